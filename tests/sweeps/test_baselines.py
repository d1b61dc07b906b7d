"""The baselines of a study: computed once a task, kept whole, and never in the way of a report."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ltm import data
from sweeps import baselines
from sweeps.store import tables
from sweeps.store.ledger import Ledger

SERIES = {"name": "arfima", "kind": "arfima", "length": 301, "train": 150, "validation": 75}


def study(folder: Path, *datasets: dict, fingerprint: str | None = None) -> Ledger:
    """A ledger with one seed run a dataset."""
    book = Ledger(folder)
    for i, dataset in enumerate(datasets):
        frame = pd.DataFrame({name: pd.Series([None], dtype=object) for name in tables.COLUMNS if name != "pack"})
        frame = frame.assign(
            run_id=f"r{i}", dataset=dataset["name"], seed=0, status="completed", test_rmse=1.0, K=pd.array([None], dtype="Int64"),
            fingerprint=fingerprint or data.build(dataset).fingerprint, config=json.dumps({"dataset": dataset}),
        )  # fmt: skip
        book.write(frame, [(np.ones(2, np.float32),) * 2], np.zeros((1, 2), np.float32))
    return book


def test_only_what_is_lacking_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book, said = study(tmp_path, SERIES), []
    assert book.baselines().empty
    baselines.complete(book, said.append)
    found = book.baselines()
    assert {"mean", "last value", "AR", "ARFIMA"} <= set(found["baseline"])
    assert (found["test_rmse"] > 0).all()
    calls = []
    monkeypatch.setattr(baselines, "rows", lambda task: calls.append(task))
    baselines.complete(book, said.append)
    assert (calls, said) == ([], [])
    assert len(book.files("baselines")) == 1


def test_those_of_a_classification_have_its_metrics(tmp_path: Path) -> None:
    book, said = study(tmp_path, {"kind": "latching", "name": "latching", "length": 5, "sequences": 100}), []
    baselines.complete(book, said.append)
    found = book.baselines().set_index("baseline")
    assert set(found.index) == {"majority", "linear, last step", "linear, mean"}
    assert found["test_rmse"].isna().all()
    for name in ("accuracy", "precision", "recall", "f1", "loss"):
        assert found[f"test_{name}"].between(0, 1 if name != "loss" else np.inf).all()
    assert said == []


def test_a_newer_version_replaces_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book, said = study(tmp_path, SERIES), []
    baselines.complete(book, said.append)
    (old,) = (row["test_rmse"] for row in book.baselines().to_dict("records") if row["baseline"] == "mean")
    monkeypatch.setattr(baselines, "BASELINES_VERSION", 3)
    monkeypatch.setattr(
        baselines, "rows", lambda s: [{"fingerprint": s.fingerprint, "version": 3, "baseline": "mean", "test_rmse": old + 1}]
    )
    baselines.complete(book, said.append)
    assert book.baselines()["test_rmse"].tolist() == [old + 1]


def test_a_series_that_is_not_at_hand_is_named_and_passed_over(tmp_path: Path) -> None:
    gone = {"name": "mine", "kind": "csv", "file": "/nowhere/mine.csv", "train": 10, "validation": 10}
    book, said = study(tmp_path / "a", gone, SERIES, fingerprint="x"), []
    baselines.complete(book, said.append)
    assert book.baselines().empty
    assert len(said) == 1  # both rows have the fingerprint x: one series
    assert said[0].startswith("no baselines of 'mine': ")
    book, said = study(tmp_path / "b", SERIES, fingerprint="x"), []
    baselines.complete(book, said.append)
    assert "not the one that the networks were trained on" in said[0]
