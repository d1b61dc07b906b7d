"""The ledger: whole files or none, no run twice, and clear words about what cannot be read."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ltm.errors import UserError
from sweeps.store import ledger, tables
from sweeps.store.ledger import DamagedError, Ledger
from sweeps.store.storage import StorageError


def rows(*run_ids: str) -> pd.DataFrame:
    frame = pd.DataFrame({name: pd.Series([None] * len(run_ids), dtype=object) for name in tables.COLUMNS if name != "pack"})
    return frame.assign(
        run_id=list(run_ids), seed=range(len(run_ids)), status="completed", test_rmse=1.5, K=pd.array([None] * len(run_ids), dtype="Int64")
    )


CURVE = (np.array([3.0, 2.0], np.float32), np.array([4.0], np.float32))
BEST = np.array([[0.5, -0.5], [1.5, 2.5]], np.float32)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    book = Ledger(tmp_path / "study")
    assert book.runs().empty
    name = book.write(rows("a", "b"), [CURVE, CURVE], BEST[:2])
    runs = book.runs()
    assert list(runs.columns) == tables.COLUMNS
    assert list(runs["run_id"]) == ["a", "b"]
    assert set(runs["pack"]) == {name}
    assert book.done() == {"a", "b"}
    second = runs[runs["run_id"] == "b"]
    np.testing.assert_array_equal(book.curves(second)["train_loss"][0], CURVE[0])
    np.testing.assert_array_equal(book.parameters(second)["parameters"][0], BEST[1])


def test_a_ledger_from_before_parameters_were_kept_still_reads(tmp_path: Path) -> None:
    book = Ledger(tmp_path)
    book.write(rows("a"), [CURVE], BEST[:1])
    old = pa.table({"run_id": ["z"], "train_loss": [[1.0]], "validation_loss": [[2.0]]}, schema=pa.schema(list(tables.CURVES)[:3]))
    pq.write_table(old.replace_schema_metadata({"ltm.schema": "1"}), tmp_path / "curves" / "old.parquet")
    kept = book.parameters().set_index("run_id")["parameters"]
    assert kept["z"] is None
    np.testing.assert_array_equal(kept["a"], BEST[0])
    assert len(book.curves()) == 2


def test_a_ledger_from_before_the_metrics_of_classes_still_reads(tmp_path: Path) -> None:
    book = Ledger(tmp_path)
    book.write(rows("old", "older"), [CURVE, CURVE], BEST)
    (path,) = book.files("runs")
    table = pq.read_table(path)
    of_then = [name for name in table.column_names if not name.startswith("test_") or name in ("test_rmse", "test_mae", "test_mape")]
    pq.write_table(table.select(of_then).replace_schema_metadata({"ltm.schema": "3"}), tmp_path / "runs" / "old.parquet")
    Path(path).unlink()
    for _ in range(2):  # alone, and beside a file of today
        runs = book.runs().set_index("run_id")
        assert list(runs.columns) == [name for name in tables.COLUMNS if name != "run_id"]
        assert runs.loc[["old", "older"], "test_accuracy"].isna().all()
        assert (runs.loc[["old", "older"], "test_rmse"] == 1.5).all()
        assert book.runs(["run_id", "test_f1"])["test_f1"].isna().all()
        book.write(rows("new").assign(test_rmse=np.nan, test_accuracy=0.75), [CURVE], BEST[:1])
    assert book.runs().set_index("run_id")["test_accuracy"]["new"] == 0.75
    assert not book.damaged
    assert book.baselines().columns.tolist() == tables.BASELINES.names


def test_the_metric_that_is_told_is_the_first_that_rows_have() -> None:
    assert tables.headline(rows("a")) == "test_rmse"
    classified = rows("a").assign(test_rmse=np.nan, test_loss=0.5, test_accuracy=0.75)
    assert tables.headline(classified) == "test_accuracy"
    assert tables.headline(classified.assign(test_accuracy=np.nan, test_loss=np.nan)) == "test_rmse"


def test_a_run_written_twice_is_one_row(tmp_path: Path) -> None:
    book = Ledger(tmp_path)
    book.write(rows("a", "b"), [CURVE, CURVE], BEST[:2])
    book.write(rows("b", "c"), [CURVE, CURVE], BEST[:2])
    assert sorted(book.runs()["run_id"]) == ["a", "b", "c"]


def test_a_half_written_file_is_not_seen(tmp_path: Path) -> None:
    book = Ledger(tmp_path)
    book.write(rows("a"), [CURVE], BEST[:1])
    (tmp_path / "runs" / ".b.tmp").write_bytes(b"half")
    assert book.done() == {"a"}


def test_damage_and_newer_versions_are_named(tmp_path: Path) -> None:
    book = Ledger(tmp_path)
    book.write(rows("a"), [CURVE], BEST[:1])
    (tmp_path / "runs" / "bad.parquet").write_bytes(b"PAR1 nonsense")
    assert book.done() == {"a"}
    assert "bad.parquet, which is damaged (" in book.left_out()
    with pytest.raises(DamagedError, match="bad.parquet is damaged"):
        book.table(str(tmp_path / "runs" / "bad.parquet"))
    pq.write_table(pa.table({"run_id": ["x"]}).replace_schema_metadata({"ltm.schema": "99"}), tmp_path / "runs" / "bad.parquet")
    with pytest.raises(UserError, match="newer version"):
        book.runs()


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, rename = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        done.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        sync(descriptor)

    def renamed(path: Path, to: str) -> Path:
        done.append(f"-> {to}")
        return rename(path, to)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    Ledger(tmp_path / "study").write(rows("a"), [CURVE], BEST[:1])
    for kind in ("curves", "runs"):
        (name,) = (i for i, what in enumerate(done) if what.startswith(f"-> {tmp_path}/study/{kind}/"))
        assert done[name - 1].startswith(f"{tmp_path}/study/{kind}/.")
        assert done[name + 1] == f"{tmp_path}/study/{kind}"
    assert f"{tmp_path}" in done  # the study's own name


def test_storage_that_fails_is_not_taken_for_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Ledger(tmp_path)
    book.write(rows("a"), [CURVE], BEST[:1])
    read = ledger.parsed
    answers = iter([OSError("connection reset"), None])

    def flaky(*given: object) -> pa.Table:
        if error := next(answers):
            raise error
        return read(*given)

    monkeypatch.setattr(ledger, "parsed", flaky)
    assert book.done() == {"a"}
    Path(book.files("runs")[0]).chmod(0)
    if os.access(book.files("runs")[0], os.R_OK):
        pytest.skip("this user may read every file")
    with pytest.raises(StorageError, match="cannot be read"):
        book.done()


def test_a_file_that_is_merged_while_it_is_read_is_looked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Ledger(tmp_path)
    book.write(rows("a"), [CURVE], BEST[:1])
    there = book.files("runs")
    listings = iter([[f"{tmp_path}/runs/merged.parquet"], there])
    monkeypatch.setattr(book, "files", lambda kind: next(listings))
    assert book.done() == {"a"}
    assert not book.damaged


def test_an_unwritable_root_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written.*root=DIR"):
        Ledger(tmp_path / "file" / "study").put("config.yaml", b"")
