"""The packed training loop: company, checkpoints, early stopping, divergence, results. Of a series, and of labelled sequences in batches."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ltm import cells
from ltm.data.base import Sequences, Task, generator
from ltm.data.series import Series
from ltm.errors import UserError
from ltm.training.pack import Training
from ltm.training.state import SETTINGS, Lane, Protocol
from tests.ltm.engine.series import OF_SERIES

SERIES = Series("short", generator(1).normal(size=101).cumsum(), 50, 25).task()


def words(seed: int, n: int = 20) -> Sequences:
    """Labelled sequences of three symbols and of 2 to 6 steps."""
    draw = generator(seed)
    lengths = draw.integers(2, 7, n)
    weight = (np.arange(6) == lengths[:, None] - 1).astype(float)
    symbols = draw.integers(0, 3, (n, 6))
    return Sequences(symbols, np.repeat((symbols[:, :1] == 0).astype(int), 6, 1), weight)


def numbers(seed: int, n: int) -> Sequences:
    """Sequences of three inputs and five targets, at every step."""
    draw = generator(seed)
    return Sequences(draw.normal(size=(n, 4, 3)), draw.normal(size=(n, 4, 5)), np.ones((n, 4)))


class Words:
    """A source that draws words for every seed, and new ones to train on in every epoch."""

    def part(self, part: int, seed: int, epoch: int) -> Sequences:
        return words(1000 * seed + (epoch, 998, 999)[part])


LABELLED = Task(
    "words",
    words(0),
    words(998),
    words(999),
    "cross_entropy",
    ("accuracy", "f1", "loss"),
    classes=2,
    symbols=3,
    labelled=True,
    source=Words(),
)


def training(model: dict, seeds: list[int], engine: str = "torch", threads: int = 1, task: Task = SERIES, **protocol) -> Training:
    lane = {key: protocol.pop(key) for key in list(protocol) if key in SETTINGS}
    network = cells.build(model, task)
    return Training(network, task, [Lane(seed, **lane) for seed in seeds], Protocol(**{"max_epochs": 4, **protocol}), engine, threads)


def labelled(seeds: list[int], draws: str = "dataset", **protocol) -> Training:
    model = {"cell": "lstm", "hidden_size": 3, "embedding": 2, "bidirectional": True, "dropout": "nonrecurrent"}
    return training(model, seeds, task=replace(LABELLED, draws=draws), **{"batch": 8, "dropout": 0.3, "max_epochs": 3, **protocol})


def finished(t: Training, chunk: int = 50) -> pd.DataFrame:
    while not t.done:
        t.advance(chunk)
    return t.results().set_index("seed")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in ("mrnn", "lstm") else pytest.mark.long) for n in OF_SERIES])
def test_seed_result_is_the_same_alone_and_in_a_pack(name: str) -> None:
    alone = finished(training({"cell": name}, [3])).loc[3]
    for seeds in (list(range(7)), list(range(32))[::-1]):
        pd.testing.assert_series_equal(finished(training({"cell": name}, seeds)).loc[3], alone, check_exact=True)


@pytest.mark.parametrize("draws", ["dataset", "seed", "stream"])
def test_seed_result_of_batches_is_the_same_alone_and_in_a_pack(draws: str) -> None:
    alone = finished(labelled([3], draws)).loc[3]
    rows = finished(labelled([5, 4, 3, *range(70, 140)], draws))
    pd.testing.assert_series_equal(rows.loc[3], alone, check_exact=True)
    assert rows["test_loss"].nunique() == len(rows)


@pytest.mark.parametrize(("name", "hidden", "batch"), [("gru", 17, 5), ("rnn", 8, 33), ("rnn", 40, 9)])
def test_seed_result_at_an_odd_size_is_the_same_wherever_it_stands_in_a_pack(name: str, hidden: int, batch: int) -> None:
    """Whatever the address of its numbers, or their place in a processor's vector."""
    task = Task("numbers", *(numbers(seed, max(batch, 9)) for seed in range(3)), metrics=("rmse",))
    model = {"cell": name, "hidden_size": hidden}
    seeds = list(range(100, 170))
    rows = finished(training(model, seeds, task=task, batch=batch, max_epochs=2))
    for seed in (141, 169):
        alone = finished(training(model, [seed], task=task, batch=batch, max_epochs=2)).loc[seed]
        pd.testing.assert_series_equal(rows.loc[seed], alone, check_exact=True)


def test_two_threads_do_not_change_a_bit() -> None:
    plain, shared = (finished(labelled(list(range(3)), threads=threads)) for threads in (1, 2))
    pd.testing.assert_frame_equal(plain, shared, check_exact=True)


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_a_checkpoint_in_the_middle_of_an_epoch_goes_on_to_the_same_bits(chunk: int) -> None:
    whole, first, second = (labelled([0, 1, 2], "stream", max_epochs=4, schedule="cosine") for _ in range(3))
    first.advance(chunk)
    assert first.state.update == chunk % first.updates
    second.restore(first.checkpoint())
    pd.testing.assert_frame_equal(finished(second, chunk), finished(whole), check_exact=True)
    for mine, theirs in zip(second.curves(), whole.curves(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
        assert np.isfinite(mine).all()


def test_a_checkpoint_of_a_series_goes_on_to_the_same_bits() -> None:
    whole, first, second = (training({"cell": "mrnn"}, [0, 1, 2], max_epochs=8) for _ in range(3))
    first.advance(3)
    second.restore(first.checkpoint())
    pd.testing.assert_frame_equal(finished(second), finished(whole), check_exact=True)
    with pytest.raises(UserError, match="checkpoint has lanes and parameters"):
        training({"cell": "rnn"}, [0, 1, 2]).restore(first.checkpoint())


def test_a_pack_advances_by_updates_and_stops_at_the_epoch_that_is_asked_for() -> None:
    t = labelled([0, 1], max_epochs=50)
    assert t.updates == 3
    t.advance(4)
    assert (t.epochs, t.state.update) == (2, 1)
    t.advance_for(60.0, 2)
    assert (t.epochs, t.state.update) == (6, 0)


def test_a_lane_stops_when_its_training_loss_no_longer_improves() -> None:
    t = training({"cell": "rnn"}, [0, 1], max_epochs=60, patience=3, lr=0.3)
    rows = finished(t).reset_index()
    assert (rows["status"] == "stopped").any()
    for i, (loss, _) in enumerate(t.curves()):
        best, stale = np.inf, 0
        for epoch, value in enumerate(loss, start=1):
            best, stale = (value, 0) if value < best - np.float32(1e-5) else (best, stale + 1)
            assert stale < 3 or epoch == len(loss) == rows["epochs"][i]


def test_the_best_epoch_has_the_lowest_validation_loss() -> None:
    for t in (training({"cell": "lstm"}, [0, 1, 2], max_epochs=10), labelled([0, 1, 2], max_epochs=6, lr=0.1)):
        rows = finished(t).reset_index()
        for i, (_, validation) in enumerate(t.curves()):
            assert rows["best_epoch"][i] == np.argmin(validation) + 1
            assert rows["validation_loss"][i] == validation.min()


@pytest.mark.parametrize(
    "task", [SERIES, replace(LABELLED, symbols=0, train=LABELLED.train, metrics=("accuracy",))], ids=["series", "batches"]
)
def test_a_seed_that_diverges_is_a_result(task: Task) -> None:
    if task is not SERIES:
        parts = (
            Sequences(part.inputs[..., None].astype(float), part.targets, part.weight) for part in (task.train, task.validation, task.test)
        )
        task = replace(task, **dict(zip(("train", "validation", "test"), parts, strict=True)), source=None)
    t = training({"cell": "rnn"}, [0, 1], task=task, max_epochs=5)
    t.state.settings[1, 0] = np.inf
    rows = finished(t)
    assert list(rows["status"]) == ["completed", "diverged"]
    metric = f"test_{task.metrics[0]}"
    assert np.isnan(rows[metric][1])
    assert np.isfinite(rows[metric][0])
    assert len(t.curves()[1][0]) == rows["epochs"][1]


def test_errors_of_a_series_are_on_its_scale() -> None:
    t = training({"cell": "rnn"}, [0])
    rows, series = finished(t), SERIES.series
    assert series is not None
    outputs = t.engine.predict(t.state.best_params).outputs[0, :, 0].astype(float)
    low, high = series.values.min(), series.values.max()
    error = low + (high - low) * outputs - series.values[76:]
    assert rows["test_rmse"][0] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-12)


def test_a_metric_that_does_not_fit_the_targets_is_one_line() -> None:
    with pytest.raises(UserError, match="metric 'accuracy' does not fit targets that are numbers; expected one of rmse, mae, mape"):
        training({"cell": "rnn"}, [0], task=replace(SERIES, metrics=("accuracy",)))
    with pytest.raises(UserError, match="unknown metric 'auc'"):
        training({"cell": "rnn"}, [0], task=replace(SERIES, metrics=("auc",)))
