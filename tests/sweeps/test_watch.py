"""A study's page: what it shows, that it is live and only reads, and who may ask for it."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.intervals import mean_interval
from sweeps import watch
from sweeps.condition import digest
from sweeps.store import claims
from sweeps.store.ledger import Ledger
from tests.sweeps.store.test_ledger import BEST, CURVE, rows
from tests.sweeps.store.test_maintenance import study


@contextmanager
def served(ledger: Ledger, host: str | None = None) -> Iterator[str]:
    """The address of a study's page."""
    server, address = watch.server(ledger, host, 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def read(address: str, **headers: str) -> str:
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=20) as answer:
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        return str(answer.read().decode())


def refused(address: str, method: str = "GET", **headers: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(urllib.request.Request(address, headers=headers, method=method), timeout=20)
    error.value.close()
    return int(error.value.code)


def errors(ledger: Ledger, *values: float, status: str = "completed") -> None:
    """Two more seed runs of the condition with these errors."""
    start = len(ledger.runs())
    frame = rows("", "").assign(condition_id="c", condition="rnn / tree", seed=[start, start + 1], test_rmse=list(values), status=status)
    ledger.write(frame.assign(run_id=[digest(["c", seed]) for seed in frame["seed"]]), [CURVE, CURVE], BEST)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_page_follows_the_ledger_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "EVERY", 0.0)
    ledger = study(tmp_path / "<one>", packs=0)
    ledger.put("config.yaml", b"config: {seeds: 8}\nconditions: {c: rnn / tree, later: lstm <b> / tree}\n")
    with served(ledger) as address:
        assert "0 of 16 seed runs finished" in (page := read(address))
        assert "lstm &lt;b&gt; / tree" in page
        assert "<h1>&lt;one&gt;</h1>" in page
        assert str(tmp_path) not in page
        errors(ledger, 1.0, 2.0)
        errors(ledger, 4.0, 3.0)
        errors(ledger, np.nan, np.nan, status="diverged")
        ledger.fail(pd.DataFrame([{"run_id": "x", "condition": "rnn / tree", "seed": 7, "error": "boom & <bang>"}]))
        with claims.Claim(ledger, [digest(["c", 6])]):
            ledger.put("drivers/1.json", b"not read")  # of a driver that crashed, which a sweep would delete
            before = files(tmp_path)
            follower = watch.Follower(ledger)
            follower.next = 0.0
            page = follower.page()
            assert {k: v for k, v in files(tmp_path).items() if not k.endswith(".beat")} == {
                k: v for k, v in before.items() if not k.endswith(".beat")
            }
        low, high = mean_interval(np.array([1.0, 2.0, 4.0, 3.0]))
        assert "6 of 16 seed runs finished, 2 of them diverged, 1 in training by" in page
        assert f"2.5 ({low:.4g} to {high:.4g})" in page
        assert "1 seed run failed: boom &amp; &lt;bang&gt; (first: rnn / tree, seed 7)" in page
        deadline = 50
        while "6 of 16" not in (page := read(address)) and (deadline := deadline - 1):
            threading.Event().wait(0.1)
        assert "6 of 16 seed runs finished" in page


def test_a_storage_that_fails_leaves_the_last_page_and_says_so(tmp_path: Path) -> None:
    ledger = study(tmp_path)
    follower = watch.Follower(ledger)
    ledger.put("config.yaml", b"[")
    follower.next = 0.0
    page = follower.page()
    assert "not of now: " in page
    assert "6 of 8 seed runs finished" in page


def test_only_this_machine_may_ask_and_only_for_the_page(tmp_path: Path) -> None:
    with served(study(tmp_path)) as address:
        assert address.startswith("http://127.0.0.1:")
        assert read(address, Host=address.split("/")[2].replace("127.0.0.1", "localhost"))
        assert refused(address, Host="elsewhere.example:80") == 404
        assert refused(f"{address}config.yaml") == 404
        assert refused(f"{address}../../etc/passwd") == 404
        assert refused(address, method="POST") == 501


def test_a_named_host_asks_for_a_token_that_is_new_each_time(tmp_path: Path) -> None:
    ledger = study(tmp_path)
    with served(ledger, "127.0.0.1") as first, served(ledger, "127.0.0.1") as second:
        token = first.rstrip("/").rpartition("/")[2]
        assert len(token) >= 32
        assert token not in second
        assert "6 of 8" in read(first, Host="elsewhere.example")
        root = first.removesuffix(f"{token}/")
        assert [refused(address) for address in (root, f"{root}{'x' * len(token)}/", f"{root}{token}", f"{root}%C3%A9/")] == [404] * 4


def test_once_prints_the_same(tmp_path: Path, run) -> None:  # type: ignore[no-untyped-def]
    errors(ledger := study(tmp_path, packs=0), 1.0, 3.0)
    ledger.fail(pd.DataFrame([{"run_id": "x", "condition": "rnn / tree", "seed": 7, "error": "boom"}]))
    said = run("ltm", "watch", str(tmp_path), "--once").stdout
    assert "2 of 2 seed runs finished, no driver at work" in said
    assert "rnn / tree" in said
    assert "test RMSE" in said
    assert "2 of 2" in said
    assert "1 seed run failed: boom (first: rnn / tree, seed 7)" in said


def test_what_cannot_be_followed_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert watch.main([str(tmp_path / "nowhere")]) == 2
    assert "holds no study (no config.yaml)" in capsys.readouterr().err
    study(tmp_path)
    with served(Ledger(tmp_path)) as address:
        assert watch.main([str(tmp_path), "--port", address.rstrip("/").rpartition(":")[2]]) == 2
        assert "choose another with --port" in (said := capsys.readouterr().err)
        assert said.count("\n") == 1
    assert watch.main([str(tmp_path), "--port", "70000"]) == 2
    assert watch.main([str(tmp_path), "--host", "no such host"]) == 2


def test_a_study_on_s3_is_followed(s3: str) -> None:
    with served(study(f"{s3}/watched")) as address:
        assert "<h1>watched</h1>" in (page := read(address))
        assert "6 of 8 seed runs finished" in page
