"""Nothing stale is ever taken for new: what the same command does after a cell was edited, and in a folder that an older ltm made."""

import importlib
import json
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from ltm.sweep import main
from sweeps import study
from sweeps.execution import cluster, worker
from sweeps.plan import Pack, Place
from sweeps.store.ledger import Ledger

CELL = """
from dataclasses import dataclass
import torch
from own_helper import gain
from ltm.cells import Cell
from ltm.cells.base import bias, linear

class Own(torch.autograd.Function):
    generate_vmap_rule = True
    forward = staticmethod(lambda x: x.clone())
    setup_context = staticmethod(lambda ctx, inputs, output: None)
    @staticmethod
    def backward(ctx, gradient):
        return 0.5 * gradient

@dataclass(frozen=True)
class MyCell(Cell):
    def parameters(self):
        return {"W": linear(1, 2), "b": bias(1, 2)}
    def step(self, p, s, x):
        u = torch.tanh(p.W @ torch.cat([x.now, s.h]) + p.b)
        return {"h": 1.0 * gain(GATE(u))}
"""


class Folder:
    """A folder with an own cell in it, and the sweep over 16 of its seeds, trained in this process."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str], hidden: bool) -> None:
        self.path, self.capsys = path, capsys
        (path / "own_helper.py").write_text("def gain(v):\n    return 1.0 * v\n")
        (path / "own_cell.py").write_text(CELL.replace("GATE", "Own.apply" if hidden else ""))
        self.ledger = Ledger(path / "results" / "one")

    def edit(self, file: str, old: str, new: str) -> None:
        text = (self.path / file).read_text()
        assert old in text
        (self.path / file).write_text(text.replace(old, new, 1))

    def sweep(self, *overrides: str) -> str:
        """Run the command; returns what it printed."""
        for name in ("own_cell", "own_helper"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        assert main(["model=rnn", "model.cell=own_cell:MyCell", "study=one", "seeds=16", "training.max_epochs=2", "dataset.length=101", "dataset.train=50",
                     "dataset.validation=25", "tracking=off", *overrides]) == 0  # fmt: skip
        return self.capsys.readouterr().out


@pytest.fixture(params=["recorded", "hidden"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Folder:
    """``hidden``: a cell with a gradient of its own, which is told by its source."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two edits within a second have one time stamp

    def train(plan, missing, executor, job) -> study.Outcome:  # type: ignore[no-untyped-def]
        pack = Pack(tuple(missing))
        training = worker.training_of(pack, Place("torch" if request.param == "hidden" else "auto", "cpu"))
        training.advance(2)
        rows = worker.rows_of(pack, training, worker.labels_of(plan, pack)).assign(code="", provenance="none")
        job.ledger.write(rows, training.curves(), training.state.best_params)
        return study.Outcome.DONE

    monkeypatch.setattr(study, "train", train)
    monkeypatch.setattr(study, "report", lambda job: None)
    monkeypatch.setattr(cluster, "connect", lambda *given: cluster.Slots(1))
    return Folder(tmp_path, capsys, request.param == "hidden")


def test_an_edited_cell_is_trained_anew_and_a_remark_is_not(folder: Folder) -> None:
    assert "0 finished before, 16 to train" in folder.sweep()
    first = folder.ledger.runs()
    for file, old, new in (("own_cell.py", "1.0 * gain", "0.9 * gain"), ("own_helper.py", "1.0 * v", "0.8 * v")):
        folder.edit(file, old, new)
        before = len(folder.ledger.runs(former=True))
        printed = folder.sweep()
        assert "0 finished before, 16 to train" in printed
        assert f"the step of MyCell has changed: 16 seed runs to train; {before} of its former step are kept and not used" in printed
        assert len(folder.ledger.runs(former=True)) == before + 16
        assert len(folder.ledger.runs()) == 16
        assert set(folder.ledger.runs()["run_id"]).isdisjoint(first["run_id"])
    folder.edit("own_cell.py", "    def step", "    # a remark\n    def step")
    assert "16 finished before, 0 to train" in folder.sweep()
    folder.edit("own_cell.py", "0.9 * gain", "1.0 * gain")
    folder.edit("own_helper.py", "0.8 * v", "1.0 * v")
    assert "16 finished before, 0 to train" in folder.sweep(), "the first step is back, and its seed runs with it"
    pd.testing.assert_frame_equal(folder.ledger.runs().sort_values("run_id"), first.sort_values("run_id"))


def test_other_initial_values_are_named_as_such(folder: Folder) -> None:
    folder.sweep()
    folder.edit("own_cell.py", "bias(1, 2)", "bias(1, 3)")
    assert "the initial values of MyCell have changed: 16 seed runs to train; 16 of its former initial values" in folder.sweep()


def test_a_folder_made_by_an_older_ltm_is_kept_and_not_mixed_in(folder: Folder) -> None:
    folder.sweep()
    record = yaml.safe_load(folder.ledger.text("config.yaml") or "")
    (label,) = record["conditions"].values()
    folder.ledger.put("config.yaml", yaml.safe_dump(record | {"conditions": {"0123456789abcdef": label}}).encode())
    rows, curves = folder.ledger.runs(), folder.ledger.curves()
    folder.ledger.delete([*folder.ledger.files("runs"), *folder.ledger.files("curves")])
    old = rows.assign(
        run_id=[f"old{i}" for i in range(16)], condition_id="0123456789abcdef", step=None, draws=None, provenance=None, engine_version=None
    )
    pairs = list(zip(curves["train_loss"], curves["validation_loss"], strict=True))
    folder.ledger.write(old, pairs, [[0.0]] * 16)  # type: ignore[arg-type]
    printed = folder.sweep()
    assert "0 finished before, 16 to train" in printed
    assert "16 seed runs of an earlier version of ltm are kept and not used" in printed
    assert len(folder.ledger.runs()) == 16
    assert len(folder.ledger.runs(former=True)) == 32
    assert json.loads((folder.path / "results/one/former.json").read_text()) == ["0123456789abcdef"]


def test_another_setting_is_another_study_whatever_its_label(folder: Folder) -> None:
    folder.sweep()
    with pytest.raises(AssertionError):
        folder.sweep("training.lr=0.02")
    assert "holds another study" in folder.capsys.readouterr().err


def test_a_model_that_joins_a_study_is_not_taken_for_an_edited_one(folder: Folder) -> None:
    folder.sweep()
    printed = folder.sweep("model.name=other", "model.cell=lstm")  # the same settings: their ids differ in what the cells compute alone
    assert "0 finished before, 16 to train" in printed
    assert "has changed" not in printed
    assert len(folder.ledger.runs()) == 32
    assert "16 finished before, 0 to train" in folder.sweep()
