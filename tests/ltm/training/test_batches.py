"""Order and batches: each sequence once an epoch, by the seed, in batches of like length; and what cannot be a batch."""

from dataclasses import replace

import numpy as np
import pytest

from ltm.data.base import Sequences, Task, forecast, generator
from ltm.errors import UserError
from ltm.training.batches import WINDOW, Feed, order
from ltm.training.losses import fitting
from ltm.training.schedules import factor
from ltm.training.state import Protocol


def numbered(lengths: np.ndarray, first: int = 0) -> Sequences:
    """Sequences whose input says which they are."""
    n, T = len(lengths), int(max(lengths))
    weight = (np.arange(T) == lengths[:, None] - 1).astype(float)
    return Sequences(np.tile(np.arange(first, first + n)[:, None, None], (1, T, 1)).astype(float), np.zeros((n, T, 1)), weight)


def task(lengths: np.ndarray, name: str = "numbered", **more) -> Task:
    part = numbered(lengths)
    return Task(name, part, part, part, labelled=True, **more)


EQUAL, VARIED = np.full(103, 5), generator(3).integers(1, 60, 1003)


@pytest.mark.parametrize("lengths", [EQUAL, VARIED], ids=["equal", "varied"])
def test_an_epoch_reads_every_sequence_once_in_an_order_of_its_own(lengths: np.ndarray) -> None:
    shuffled, n = Protocol(batch=8), len(lengths)
    orders = [order(shuffled, seed, epoch, lengths) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    for found in orders:
        assert sorted(found) == list(range(n))
    assert len({tuple(found) for found in orders}) == 3
    np.testing.assert_array_equal(order(shuffled, 0, 1, lengths), orders[1])
    np.testing.assert_array_equal(order(Protocol(batch=8, order="fixed"), 0, 1, lengths), np.arange(n))


def test_batches_hold_sequences_of_like_length() -> None:
    batch = 8
    found = VARIED[order(Protocol(batch=batch), 0, 0, VARIED)]
    full = found[: len(found) // batch * batch].reshape(-1, batch)
    padding = 1 - full.sum() / (full.max(1) * batch).sum()
    plain = VARIED[: full.size].reshape(-1, batch)
    assert padding < 0.05 < 1 - plain.sum() / (plain.max(1) * batch).sum()
    assert np.corrcoef(full.mean(1), np.arange(len(full)))[0, 1] < 0.3, "batches come in no order of length"
    assert len(full) > WINDOW


def test_data_of_a_seed_are_read_by_its_lane_alone() -> None:
    class Source:
        def part(self, part, seed, epoch):
            return numbered(EQUAL, 1000 * seed + 200 * part + epoch)

    for draws, epoch in (("seed", 0), ("stream", 4)):
        feed = Feed(task(EQUAL, draws=draws, source=Source()), Protocol(batch=10), (3, 8))
        pool, index = feed.train(4, np.array([1, 0]))
        for lane, seed in ((0, 8), (1, 3)):
            assert sorted(pool.inputs[index[lane], 0, 0]) == list(range(1000 * seed + epoch, 1000 * seed + epoch + 103))
            np.testing.assert_array_equal(index[lane] - index[lane].min(), order(feed.protocol, seed, 4, EQUAL))
        pool, index = feed.part(1, np.array([1]))
        assert pool.inputs[index[0], 0, 0].min() == 8200


def test_targets_are_those_of_the_counted_steps() -> None:
    series = forecast(np.zeros((10, 1)), np.arange(10.0)[:, None], 5, 2)
    assert [own[:, 0].tolist() for own in Feed(series, Protocol(), ()).targets(2, np.arange(2))] == [[7.0, 8.0, 9.0]] * 2


def test_seeds_may_count_other_numbers_of_steps() -> None:
    class Source:
        def part(self, part, seed, epoch):
            found = numbered(EQUAL)
            found.weight[:seed, 0] = 1.0
            return found

    found = Feed(task(EQUAL, draws="seed", source=Source()), Protocol(), (0, 2)).targets(2, np.arange(2))
    assert [len(own) for own in found] == [103, 105]


def test_a_batch_larger_than_the_data_is_all_of_them_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        feed = Feed(task(EQUAL, "few"), Protocol(batch=500), (0,))
    assert (feed.batch, feed.updates) == (103, 1)
    assert caplog.text.count("task 'few' has 103 training sequences, fewer than a batch of 500: every update reads them all") == 1


def test_weights_that_cannot_be_averaged_by_are_one_line() -> None:
    good = task(EQUAL)
    empty = Sequences(good.train.inputs, good.train.targets, np.zeros_like(good.train.weight))
    odd = Sequences(good.train.inputs, good.train.targets, good.train.weight - 0.5)
    one = Sequences(good.train.inputs, good.train.targets, good.train.weight * (np.arange(103) != 7)[:, None])
    for change, message in (
        ({"validation": empty}, "validation weights of task 'numbered' sum to 0"),
        ({"test": odd}, "test weights of task 'numbered' hold -0.5; expected finite numbers of at least 0"),
        ({"train": one}, "training sequence 7 of task 'numbered' has no step that counts"),
    ):
        with pytest.raises(UserError, match=message):
            Feed(replace(good, **change), Protocol(), (0,))


def test_a_loss_must_fit_the_targets() -> None:
    numbers, classes = task(EQUAL), task(EQUAL, loss="cross_entropy", classes=3)
    assert fitting("", classes).targets == "classes"
    assert fitting("binary_cross_entropy", numbers).targets == "yes or no"
    with pytest.raises(
        UserError,
        match="loss 'cross_entropy' is for targets that are classes, and those of task 'numbered' are numbers; expected one of squared",
    ):
        fitting("cross_entropy", numbers)
    with pytest.raises(
        UserError,
        match="loss 'squared' is for targets that are numbers, and those of task 'numbered' are 3 classes; expected one of cross_entropy",
    ):
        fitting("squared", classes)
    with pytest.raises(UserError, match="unknown loss 'hinge'"):
        fitting("hinge", numbers)
    half = Sequences(numbers.train.inputs, numbers.train.targets + 0.5, numbers.train.weight)
    with pytest.raises(UserError, match="targets of 0 or 1, and task 'numbered' has 0.5"):
        fitting("binary_cross_entropy", replace(numbers, test=half))


@pytest.mark.parametrize(("key", "value"), [("optimizer", "lion"), ("order", "sorted"), ("schedule", "step")])
def test_an_unknown_name_of_the_protocol_lists_what_there_is(key: str, value: str) -> None:
    with pytest.raises(UserError, match=f"unknown {key} '{value}'.*There are: "):
        Protocol(**{key: value})


def test_schedules_fall_from_1_towards_0() -> None:
    for schedule in ("linear", "cosine"):
        found = [factor(Protocol(max_epochs=10, schedule=schedule), epoch) for epoch in range(10)]
        assert found[0] == 1.0
        assert found[5] == pytest.approx(0.5)
        assert (np.diff(found) < 0).all()
        assert found[-1] > 0
    assert factor(Protocol(), 999) == 1.0
