"""Packs under way: kept within an epoch, found by a later command, and of no use to another engine."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ltm.data.base import Task
from sweeps import config, plan
from sweeps.execution import worker
from sweeps.store import checkpoints
from sweeps.store.checkpoints import Checkpoint
from sweeps.store.ledger import Ledger

STUDY = (
    "dataset=latching",
    "dataset.sequences=200",
    "dataset.length=20",
    "model=lstm",
    "training=batches",
    "training.max_epochs=3",
    "seeds=3",
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(tmp_path)
    ledger.put("config.yaml", b"study: one")
    return ledger


def order(ledger: Ledger, seconds: float = 0.0) -> tuple[plan.Plan, dict[str, object]]:
    study = config.compose([*STUDY, f"compute.checkpoint_seconds={seconds}"])
    whole = plan.make(study)
    whole = dataclasses.replace(whole, places=dict.fromkeys(whole.labels, worker.CPU))
    (one,) = worker.orders(study.config, ledger, whole, [plan.Pack(tuple(whole.runs))])
    return whole, one


def finished(ledger: Ledger, one: dict[str, object]) -> pd.DataFrame:
    mine = worker.Worker(one)
    while not (said := mine.step()).done:
        assert said.failure is None
    assert said.failure is None
    return ledger.runs().sort_values("seed", ignore_index=True)


def test_a_pack_that_is_cut_off_within_an_epoch_ends_with_the_same_bits(ledger: Ledger, tmp_path: Path) -> None:
    _, one = order(ledger)
    first = worker.Worker(one)
    first.training.advance(13)  # of 10 updates an epoch
    assert (first.training.state.update, first.epoch) == (3, 1)
    first.checkpoint.keep(first.training, first.epoch)
    second = worker.Worker(one)
    assert second.resumed == 1
    assert second.training.state.update == 3
    resumed = finished(ledger, one)
    assert ledger.files(checkpoints.FOLDER, "npz") == ledger.files(checkpoints.FOLDER, "json") == []
    other = Ledger(tmp_path / "alone")
    other.put("config.yaml", b"study: one")
    alone = finished(other, order(other, 1e6)[1])
    same = ["run_id", "epochs", "best_epoch", "train_loss", "validation_loss", "test_accuracy", "test_loss"]
    pd.testing.assert_frame_equal(resumed[same], alone[same], check_exact=True)
    for mine, theirs in zip(ledger.curves(resumed)["train_loss"], other.curves(alone)["train_loss"], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_later_command_finds_packs_as_they_were_cut_and_only_where_all_is_missing(ledger: Ledger) -> None:
    whole, one = order(ledger)
    mine = worker.Worker(one)
    mine.checkpoint.keep(mine.training, 0)
    assert [pack.id for pack in checkpoints.kept(ledger, whole.runs)] == [mine.pack.id]
    assert checkpoints.kept(ledger, whole.runs[1:]) == []
    checkpoints.drop(ledger, [mine.pack.id])
    assert checkpoints.kept(ledger, whole.runs) == []


def test_a_checkpoint_of_another_engine_is_not_taken(ledger: Ledger) -> None:
    _, one = order(ledger)
    mine = worker.Worker(one)
    mine.training.advance(12)
    mine.checkpoint.keep(mine.training, mine.epoch)
    assert worker.Worker(one | {"engine": "torch"}).resumed == -1
    assert worker.Worker(one).resumed == 1


def test_keeping_takes_a_small_share_of_the_time(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now)
    whole, _ = order(ledger)
    one = Checkpoint(ledger, plan.Pack(tuple(whole.runs)), worker.CPU, epochs=500, seconds=10.0)

    class Slow:
        def checkpoint(self) -> bytes:
            nonlocal now
            now += 3.0
            return b""

    now += 11.0
    assert one.is_due(0)
    one.keep(Slow(), 0)  # type: ignore[arg-type]
    now += 11.0
    assert not one.is_due(0), "three seconds are kept for a minute of training"
    now += 50.0
    assert one.is_due(0)
    assert (one.is_due(500), one.epochs_left(0), one.epochs_left(499), one.epochs_left(500)) == (True, 500, 1, 1)


def test_tasks_are_built_once_where_they_are_known(ledger: Ledger) -> None:
    whole, one = order(ledger)
    (condition,) = whole.conditions
    _, task = condition.built()
    assert isinstance(task, Task)
    assert worker.Worker(one, {condition.fingerprint: task}).training.task is task
