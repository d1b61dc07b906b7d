"""The ledger: whole files or none, no run twice, and clear words about what cannot be read."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ltm.errors import UserError
from sweeps import ledger
from sweeps.ledger import Ledger


def rows(*run_ids: str) -> pd.DataFrame:
    frame = pd.DataFrame({name: pd.Series([None] * len(run_ids), dtype=object) for name in ledger.COLUMNS if name != "pack"})
    return frame.assign(
        run_id=list(run_ids), seed=range(len(run_ids)), status="completed", test_rmse=1.5, K=pd.array([None] * len(run_ids), dtype="Int64")
    )


CURVE = (np.array([3.0, 2.0], np.float32), np.array([4.0], np.float32))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    book = Ledger(tmp_path / "study")
    assert book.runs().empty
    name = book.write(rows("a", "b"), [CURVE, CURVE])
    runs = book.runs()
    assert list(runs.columns) == ledger.COLUMNS
    assert list(runs["run_id"]) == ["a", "b"]
    assert set(runs["pack"]) == {name}
    assert book.done() == {"a", "b"}
    np.testing.assert_array_equal(book.curves(["b"])["train_loss"][0], CURVE[0])


def test_a_run_written_twice_is_one_row(tmp_path: Path) -> None:
    book = Ledger(tmp_path)
    book.write(rows("a", "b"), [CURVE, CURVE])
    book.write(rows("b", "c"), [CURVE, CURVE])
    assert sorted(book.runs()["run_id"]) == ["a", "b", "c"]


def test_a_half_written_file_is_not_seen(tmp_path: Path) -> None:
    book = Ledger(tmp_path)
    book.write(rows("a"), [CURVE])
    (tmp_path / "runs" / ".b.tmp").write_bytes(b"half")
    assert book.done() == {"a"}


def test_damage_and_newer_versions_are_named(tmp_path: Path) -> None:
    book = Ledger(tmp_path)
    book.write(rows("a"), [CURVE])
    (tmp_path / "runs" / "bad.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(UserError, match="bad.parquet is damaged"):
        book.runs()
    pq.write_table(pa.table({"run_id": ["x"]}).replace_schema_metadata({"ltm.schema": "99"}), tmp_path / "runs" / "bad.parquet")
    with pytest.raises(UserError, match="newer version"):
        book.runs()


def test_an_unwritable_root_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written.*root=DIR"):
        Ledger(tmp_path / "file" / "study").put_text("config.yaml", "")
