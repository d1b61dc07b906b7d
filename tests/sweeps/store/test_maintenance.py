"""Status, verify, compact, export; on a folder and on an S3 endpoint of this machine."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from sweeps.__main__ import main
from sweeps.condition import digest
from sweeps.store import claims, maintenance
from sweeps.store.ledger import Ledger
from sweeps.store.storage import StorageError, pack_of
from tests import waiting
from tests.sweeps.store.test_ledger import BEST, CURVE, rows


def study(folder: Path | str, packs: int = 3) -> Ledger:
    """A ledger of packs of two seed runs of one condition."""
    ledger = Ledger(folder)
    ledger.put("config.yaml", f"config: {{seeds: {2 * packs + 2}}}\nconditions: {{c: rnn / tree}}\n".encode())
    for i in range(packs):
        frame = rows("", "").assign(condition_id="c", seed=[2 * i, 2 * i + 1])
        ledger.write(frame.assign(run_id=[digest(["c", seed]) for seed in frame["seed"]]), [CURVE, CURVE], BEST)
    return ledger


def test_status_counts_what_is_done_missing_failed_and_being_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = study(tmp_path)
    ledger.fail(pd.DataFrame([{"run_id": "x", "condition": "rnn / tree", "seed": 7, "error": "boom"}]))
    with claims.Claim(ledger, [digest(["c", 6])]):
        seen = maintenance.status(ledger)
    assert (seen.planned, seen.finished, seen.missing, seen.failed, seen.running) == (8, 6, 2, 1, 1)
    assert str(os.getpid()) in str(seen.drivers[0])
    assert main(["status", str(tmp_path)]) == 0
    assert "no driver is at work" in capsys.readouterr().out
    assert main(["status", str(tmp_path / "nowhere")]) == 2


def test_verify_finds_damage_wrong_ids_and_missing_curves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = study(tmp_path)
    assert main(["verify", str(tmp_path)]) == 0
    assert "6 files, 6 seed runs: 0 things wrong" in capsys.readouterr().out
    first, second, third = ledger.files("runs")
    content = bytearray(Path(first).read_bytes())
    content[100] ^= 0xFF
    Path(first).write_bytes(content)
    Path(ledger.files("curves")[1]).unlink()
    table = pq.read_table(third).to_pandas()
    Ledger(tmp_path).write(table.assign(seed=99).drop(columns="pack").astype({"K": "Int64"}), [CURVE, CURVE], BEST)
    assert main(["verify", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert f"{Path(first).name} is damaged" in printed
    assert f"in {pack_of(second)} has no curve" in printed
    assert "held twice, with different results" in printed


def test_compact_keeps_every_row_curve_and_parameter(tmp_path: Path) -> None:
    ledger = study(tmp_path, packs=5)
    before = ledger.runs().drop(columns="pack").sort_values("run_id", ignore_index=True)
    assert maintenance.compact(ledger) == (5, 1)
    after = ledger.runs().sort_values("run_id", ignore_index=True)
    pd.testing.assert_frame_equal(after.drop(columns="pack"), before)
    assert len(ledger.curves(after.iloc[:3])) == 3
    assert len(ledger.parameters()) == 10
    assert maintenance.verify(ledger).wrong == []
    assert maintenance.compact(ledger) == (1, 1)


def test_a_compaction_that_is_cut_off_loses_and_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = study(tmp_path, packs=4)
    before = ledger.done()

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "delete", cut_off)
    with pytest.raises(KeyboardInterrupt):
        maintenance.compact(ledger)
    monkeypatch.undo()
    assert ledger.done() == before
    assert len(ledger.runs()) == 8
    assert len(ledger.curves(ledger.runs())) == 8
    assert maintenance.verify(ledger).wrong == []
    maintenance.compact(ledger)
    assert len(ledger.runs()) == 8


def test_export_writes_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study(tmp_path / "s")
    for name, read in (("runs.csv", pd.read_csv), ("runs.parquet", pd.read_parquet)):
        assert main(["export", str(tmp_path / "s"), "--to", str(tmp_path / "out" / name)]) == 0
        assert len(read(tmp_path / "out" / name)) == 6
    assert main(["export", str(tmp_path / "s"), "--to", "runs.xlsx"]) == 2
    assert "ends in .parquet or .csv" in capsys.readouterr().err


def test_a_failure_is_forgotten_once_the_seed_run_finishes(tmp_path: Path) -> None:
    ledger = study(tmp_path, packs=1)
    for seed in (0, 9, 9):
        ledger.fail(pd.DataFrame([{"run_id": digest(["c", seed]), "condition": "rnn / tree", "seed": seed, "error": f"boom {seed}"}]))
    assert list(ledger.failures()["error"]) == ["boom 9"]


def test_a_dead_driver_of_this_machine_is_swept_away_and_a_living_one_is_seen(tmp_path: Path) -> None:
    ledger = study(tmp_path)
    code = f"from sweeps.store import claims; from sweeps.store.ledger import Ledger; import time\nwith claims.Claim(Ledger({str(tmp_path)!r}), ['a', 'b']): time.sleep(1000)"
    other = subprocess.Popen([sys.executable, "-c", code], text=True)
    waiting.until(lambda: claims.living(ledger), other)
    assert [driver.pid for driver in claims.living(ledger)] == [other.pid]
    with claims.Claim(ledger, ["b", "c"]) as mine:
        assert mine.taken == {"c"}
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert claims.living(ledger) == []
    assert ledger.files("drivers", "json") == []


def test_a_driver_elsewhere_lives_as_long_as_it_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.3)
    ledger = study(tmp_path)
    with claims.Claim(ledger, ["a"]):
        monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
        assert len(claims.living(ledger)) == 1
    ledger.put("drivers/1.json", b'{"id": "1", "host": "gone", "pid": 1, "born": 1, "since": "", "taken": ["a"]}')
    ledger.put("drivers/1.beat", b"7")
    assert claims.living(ledger) == []


def test_a_ledger_on_s3_is_written_read_compacted_and_verified(s3: str) -> None:
    ledger = study(f"{s3}/one")
    assert len(ledger.runs()) == 6
    assert maintenance.compact(ledger) == (3, 1)
    assert maintenance.verify(ledger).wrong == []
    assert main(["status", f"{s3}/one"]) == 0
    with claims.Claim(ledger, ["a"]):
        assert len(claims.living(ledger)) == 1
    assert claims.living(ledger) == []


@pytest.mark.long
def test_a_study_is_written_killed_resumed_and_reported_on_s3(s3: str, run, run_and_kill, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    command = [
        "ltm.sweep",
        "+experiment=k_sweep",
        "seeds=2",
        "training.max_epochs=400",
        "tracking=off",
        "compute.cpus=1",
        f"root={s3}",
        "grid.K=[25,50]",
    ]
    ledger = Ledger(f"{s3}/k_sweep")
    before = len(run_and_kill(command, ledger, 2))
    assert 2 <= before < 16
    done = run(*command)
    assert f"{before} finished before, {16 - before} to train" in done.stdout
    assert done.stdout.splitlines()[-1] == f"report: {s3}/k_sweep/report/index.html"
    assert "Verdicts" in (ledger.text("report/index.html") or "")
    assert len(ledger.runs()) == 16
    assert ledger.text(".tune") is None
    assert list(tmp_path.iterdir()) == []


def test_storage_that_refuses_is_one_line(s3: str, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = run("ltm.sweep", "+experiment=smoke", "root=s3://no-such-bucket", status=2)
    assert done.stderr.startswith("error: results folder 's3://no-such-bucket/smoke' cannot be")
    assert len(done.stderr.strip().splitlines()) == 1
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        Ledger(tmp_path / "file" / "study").put("config.yaml", b"")
