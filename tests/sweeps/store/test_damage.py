"""Damaged files: what a power cut or a stray hand leaves in a study is told, moved away, and its seed runs are trained again."""

import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweeps.__main__ import main
from sweeps.store import claims, damage, maintenance
from sweeps.store.ledger import Ledger
from sweeps.store.storage import pack_of
from tests.sweeps.store.test_maintenance import study


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def foreign(path: Path) -> None:
    pq.write_table(pa.table({"run_id": ["x"]}), path)


def garbled(path: Path) -> None:
    content = bytearray(path.read_bytes())
    footer = int.from_bytes(content[-8:-4], "little")
    content[-8 - footer : -8] = bytes(footer)
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [empty, cut_off, foreign, garbled])
def test_reading_goes_on_without_a_damaged_file_and_says_so(harm, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    ledger = study(tmp_path / "s")
    bad = Path(ledger.files("runs")[1])
    harm(bad)
    assert len(ledger.runs()) == 4
    for command in (["status", ledger.uri], ["export", ledger.uri, "--to", str(tmp_path / "runs.csv")]):
        assert main(command) == 0
        (line,) = (line for line in capsys.readouterr().out.splitlines() if "damaged" in line)
        assert line.startswith(f"left out: {bad}, which is damaged (")
        assert f"python -m sweeps verify --repair {ledger.uri}" in line
    assert len(pd.read_csv(tmp_path / "runs.csv")) == 4
    assert main(["compact", ledger.uri]) == 2
    assert "verify --repair" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["runs", "curves"])
@pytest.mark.parametrize("harm", [empty, cut_off])
def test_a_damaged_file_is_moved_with_its_partner_and_told_in_one_line(harm, kind: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ledger = study(tmp_path)
    bad = Path(ledger.files(kind)[1])
    harm(bad)
    ledger.done()
    said = damage.heal(ledger)
    assert said.startswith(f"1 damaged file ({kind}/{bad.name}: ")
    assert said.endswith(f", with 1 that belonged to them, moved to {tmp_path}/damaged; 2 seed runs are trained again")
    assert "\n" not in said
    kept = {pack_of(path) for path in ledger.files("runs")}
    assert len(kept) == 2
    assert {pack_of(path) for path in ledger.files("curves")} == kept
    assert {path.relative_to(tmp_path).parts[1] for path in (tmp_path / "damaged").rglob("*.parquet")} == {"runs", "curves"}
    assert len(ledger.done()) == 4
    assert damage.heal(ledger) == ledger.left_out() == ""
    assert maintenance.verify(ledger).wrong == []


def test_a_row_without_its_curve_is_trained_again_and_a_broken_record_of_failures_goes(tmp_path: Path) -> None:
    ledger = study(tmp_path)
    Path(ledger.files("curves")[0]).unlink()
    (tmp_path / "failures").mkdir()
    empty(tmp_path / "failures" / "1.parquet")
    assert ledger.failures().empty
    assert "2 damaged files (first: runs/" in damage.heal(ledger)
    assert len(ledger.done()) == 4
    assert (tmp_path / "damaged" / "failures" / "1.parquet").is_file()


def test_verify_tells_and_with_repair_moves_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = study(tmp_path)
    flipped = Path(ledger.files("curves")[0])
    content = bytearray(flipped.read_bytes())
    content[60] ^= 0xFF
    flipped.write_bytes(content)
    empty(Path(ledger.files("runs")[1]))
    for _ in range(2):
        assert main(["verify", ledger.uri]) == 1
    assert "bytes are not those that were written" in capsys.readouterr().out
    assert len(ledger.files("runs")) == 3
    assert main(["verify", "--repair", ledger.uri]) == 0
    assert "are trained again by the study's sweep command" in capsys.readouterr().out
    assert main(["verify", ledger.uri]) == 0
    assert len(ledger.files("runs")) == len(ledger.files("curves")) == 1


def test_a_newer_file_is_no_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = study(tmp_path)
    newer = Path(ledger.files("runs")[0])
    pq.write_table(pq.read_table(newer).replace_schema_metadata({"ltm.schema": "99"}), newer)
    assert main(["status", ledger.uri]) == 2
    assert "upgrade ltm" in capsys.readouterr().err
    assert main(["verify", "--repair", ledger.uri]) == 1
    assert newer.is_file()


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[]", b'{"id": "1"}'])
def test_a_broken_driver_file_is_swept_away(text: bytes, tmp_path: Path) -> None:
    ledger = study(tmp_path)
    ledger.put("drivers/1.json", text)
    with claims.Claim(ledger, ["a"]) as mine:
        assert mine.taken == {"a"}
        assert [driver.pid for driver in maintenance.status(ledger).drivers] == [os.getpid()]
    assert ledger.files("drivers", "json") == []


@pytest.mark.parametrize("text", [b"config: {", b"\x00\x01", b"words", b"study: one"])
def test_a_broken_record_is_one_clear_line(text: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = study(tmp_path)
    ledger.put("config.yaml", text)
    assert main(["status", ledger.uri]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path}/config.yaml is damaged (")
    assert "give the study's sweep command again" in line
    assert main(["verify", ledger.uri]) == 1
    ledger.put("config.yaml", b"")
    assert main(["status", ledger.uri]) == 2
    assert "is empty; the study's sweep command writes it anew" in capsys.readouterr().err


def test_damage_on_s3_is_moved_away(s3: str) -> None:
    ledger = study(f"{s3}/harmed")
    bad = ledger.files("curves")[0]
    with ledger.fs.open_output_stream(bad) as stream:
        stream.write(b"PAR1")
    assert "2 seed runs are trained again" in damage.heal(ledger)
    assert len(ledger.done()) == 4
    assert len(ledger.files("damaged/runs")) == len(ledger.files("damaged/curves")) == 1


@pytest.mark.long
def test_the_sweep_trains_again_what_was_damaged(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    command = ("ltm.sweep", "model=rnn", "seeds=6", "training.max_epochs=3", "study=one", "tracking=off", "compute.cpus=1", "compute.pack_size=2",
               "dataset.length=301", "dataset.train=150", "dataset.validation=75")  # fmt: skip
    run(*command)
    ledger = Ledger(tmp_path / "results" / "one")
    same = ["run_id", "epochs", "validation_loss", "test_rmse"]
    before = ledger.runs(same).sort_values("run_id", ignore_index=True)
    empty(Path(ledger.files("runs")[0]))
    cut_off(Path(ledger.files("curves")[2]))
    done = run(*command)
    assert "2 damaged files (first: " in done.stdout
    assert "2 finished before, 4 to train" in done.stdout
    pd.testing.assert_frame_equal(ledger.runs(same).sort_values("run_id", ignore_index=True), before, check_exact=True)
    assert maintenance.verify(ledger).wrong == []
