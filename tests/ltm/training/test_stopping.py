"""When a lane ends: at success, when the loss that is watched no longer improves, at its budget; and which epoch is its best."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ltm import cells
from ltm.data.base import Sequences, Task, generator
from ltm.data.latching import Latching
from ltm.data.series import Series
from ltm.engine.base import VALIDATION
from ltm.errors import UserError
from ltm.training.metrics import accuracy
from ltm.training.pack import Training
from ltm.training.state import Lane, PackState, Protocol
from ltm.training.stopping import COMPLETED, DIVERGED, RUNNING, STOPPED, SUCCEEDED, WATCHED, Until, judge

SERIES = Series("short", generator(1).normal(size=101).cumsum(), 50, 25).task()
LATCHING = Latching(name="latching", length=5, sequences=60, draws="stream").task()
UNTIL = Until("accuracy", at_least=0.9)
EPOCHS = 12


def training(seeds: list[int], task: Task = LATCHING, engine: str = "torch", cell: str = "rnn", **protocol) -> Training:
    network = cells.build({"cell": cell, "hidden_size": 3}, task)
    lanes = [Lane(seed, lr=0.03) for seed in seeds]
    return Training(network, task, lanes, Protocol(**{"max_epochs": EPOCHS, "batch": 16, "patience": EPOCHS, **protocol}), engine)


def finished(t: Training, chunk: int = 50) -> pd.DataFrame:
    while not t.done:
        t.advance(chunk)
    return t.results().set_index("seed")


def accuracies(t: Training) -> tuple[np.ndarray, list[np.ndarray]]:
    """Validation accuracy of every lane after every epoch ``(epochs, S)``, and the parameters then."""
    lanes, found, params = np.arange(len(t.lanes)), [], []
    while not t.done:
        t.advance(t.updates)
        outputs = t.engine.predict(t.state.params, lanes, VALIDATION).outputs.astype(float)
        found.append(accuracy(outputs, np.stack(t.engine.feed.targets(VALIDATION, lanes))))
        params.append(t.state.params.copy())
    return np.array(found), params


@pytest.mark.parametrize("engine", ["torch", "cpu"])
def test_a_lane_stops_at_the_first_epoch_whose_validation_metric_is_good_enough(engine: str) -> None:
    seeds = list(range(8))
    found, params = accuracies(training(seeds, engine=engine))
    t = training(seeds, engine=engine, until=UNTIL)
    rows = finished(t)
    met = (found >= 0.9).any(0)
    assert met.any()
    assert not met.all()
    for seed in seeds:
        row = rows.loc[seed]
        if not met[seed]:
            assert (row["status"], row["test_success"]) == ("completed", 0.0)
            assert np.isnan(row["test_sequences"])
            continue
        first = int(np.argmax(found[:, seed] >= 0.9))
        assert (row["status"], row["epochs"], row["best_epoch"], row["test_success"]) == ("stopped", first + 1, first + 1, 1.0)
        assert row["test_sequences"] == 48 * (first + 1)
        assert row["validation_accuracy"] == found[first, seed]
        np.testing.assert_array_equal(t.state.best_params[seed], params[first][seed])


def test_success_is_the_same_alone_in_a_pack_and_after_a_checkpoint() -> None:
    whole = finished(training([0, 1, 2, 3], until=UNTIL))
    pd.testing.assert_series_equal(finished(training([2], until=UNTIL)).loc[2], whole.loc[2], check_exact=True)
    for updates in (1, 3 * 5):
        first, second = (training([0, 1, 2, 3], until=UNTIL) for _ in range(2))
        first.advance(updates)
        second.restore(first.checkpoint())
        pd.testing.assert_frame_equal(finished(second, 2), whole, check_exact=True)


def test_a_lane_that_does_not_succeed_is_censored_however_it_ends() -> None:
    hard = Until("accuracy", at_least=1.1)
    completed, stopped = finished(training([0], until=hard, max_epochs=2)), finished(training([0], until=hard, patience=1, min_delta=10.0))
    diverging = training([0], until=UNTIL)
    diverging.state.settings[:] = np.inf
    diverged = finished(diverging)
    for rows, status in ((completed, "completed"), (stopped, "stopped"), (diverged, "diverged")):
        assert rows["status"][0] == status
        assert rows["test_success"][0] == 0.0
        assert np.isnan(rows["test_sequences"][0])


def test_without_a_goal_nothing_is_known_of_success() -> None:
    rows = finished(training([0], max_epochs=1))
    assert rows[["test_success", "test_sequences"]].isna().to_numpy().all()
    assert np.isfinite(rows["validation_accuracy"][0])


def test_the_largest_error_of_any_step_may_be_asked_for() -> None:
    draw = generator(0)

    def flat(n: int) -> Sequences:
        return Sequences(draw.normal(size=(n, 4, 1)), np.full((n, 4, 1), 0.5), np.ones((n, 4)))

    task = Task("flat", flat(16), flat(8), flat(8), metrics=("rmse", "worst"))
    t = training([0, 1], task=task, until=Until("worst", at_most=0.3), max_epochs=200, patience=200)
    rows = finished(t)
    assert (rows["test_success"] == 1.0).all()
    assert (rows["validation_worst"] <= 0.3).all()
    assert (rows["test_sequences"] == 16 * rows["epochs"]).all()
    outputs = t.engine.predict(t.state.best_params, part=VALIDATION).outputs.astype(float)
    np.testing.assert_array_equal(rows["validation_worst"], np.abs(outputs - 0.5).max((1, 2)))


def test_a_budget_of_sequences_ends_training_in_whole_epochs() -> None:
    assert training([0], budget=48 * 3 + 47).engine.protocol.max_epochs == 3
    rows = finished(training([0, 1], budget=48 * 3 + 47))
    assert rows["epochs"].tolist() == [3, 3]
    assert rows["status"].tolist() == ["completed"] * 2
    assert training([0], budget=10**9).engine.protocol.max_epochs == EPOCHS


@pytest.mark.parametrize("engine", ["torch", "cpu"])
@pytest.mark.parametrize("watch", WATCHED)
@pytest.mark.parametrize("task", [SERIES, LATCHING], ids=["series", "batches"])
def test_patience_watches_the_loss_that_it_is_told_to(task: Task, watch: str, engine: str) -> None:
    t = training([0, 1, 2], task, engine, watch=watch, patience=3, max_epochs=60, min_delta=1e-3)
    rows = finished(t).reset_index()
    assert (rows["status"] == "stopped").any()
    for i, curves in enumerate(t.curves()):
        best, stale, losses = np.float32(np.inf), 0, curves[WATCHED.index(watch)]
        for epoch, value in enumerate(losses, start=1):
            best, stale = (value, 0) if value < best - np.float32(1e-3) else (best, stale + 1)
            assert stale < 3 or epoch == len(losses) == rows["epochs"][i]
        assert (stale == 3) == (rows["status"][i] == "stopped")


def judged(*epochs: tuple[float, float, bool, bool], watch: int = 0) -> PackState:
    """A lane after epochs of training loss, validation loss, whether it is finite and whether it met its goal."""
    state = PackState.start(np.zeros((1, 1), np.float32), [Lane(0)])
    for train, validation, finite, met in epochs:
        judge(state.reals[0], state.counts[0], train, validation, finite, met, 4, 2, 0.0, watch)
    return state


def test_success_comes_before_patience_and_the_last_epoch_and_after_divergence() -> None:
    worse = (2.0, 2.0, True, False)
    assert judged((1.0, 1.0, True, False)).status == RUNNING
    assert judged((1.0, 1.0, True, False), worse, worse).status == STOPPED
    assert judged(*[(1.0 / n, 1.0, True, False) for n in range(1, 5)]).status == COMPLETED
    succeeded = judged((1.0, 1.0, True, False), worse, (2.0, 2.0, True, True))
    assert (succeeded.status, succeeded.best_epoch, succeeded.best_validation) == (SUCCEEDED, 3, 2.0)
    assert judged(*[(1.0 / n, 1.0, True, n == 4) for n in range(1, 5)]).status == SUCCEEDED
    assert judged((1.0, 1.0, False, True)).status == DIVERGED


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (0.99, "training.until is 0.99; expected null, or a metric and a bound"),
        ({"at_least": 0.99}, "expected null, or a metric and a bound"),
        ({"metric": "accuracy", "above": 0.99}, "expected null, or a metric and a bound"),
        ({"metric": ["accuracy"], "at_least": 0.99}, "expected null, or a metric and a bound"),
        ({"metric": "acuracy", "at_least": 0.99}, "Did you mean 'accuracy'"),
        ({"metric": "accuracy"}, r"expected {metric: accuracy, at_least: NUMBER}"),
        ({"metric": "accuracy", "at_most": 0.99}, r"expected {metric: accuracy, at_least: NUMBER}"),
        ({"metric": "rmse", "at_least": 0.1, "at_most": 0.1}, r"expected {metric: rmse, at_most: NUMBER}"),
        ({"metric": "rmse", "at_most": "little"}, "training.until.at_most is 'little'; expected a finite number"),
    ],
)
def test_a_goal_that_makes_no_sense_is_one_line(given: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Until.of(given)  # type: ignore[arg-type]


def test_what_is_the_same_goal_is_written_the_same() -> None:
    one, other = (Until.of({"at_least": x, "metric": "accuracy"}).settings for x in (1, 1.0))
    assert repr(one) == repr(other) == "{'metric': 'accuracy', 'at_least': 1.0}"
    assert Until.of({"metric": "rmse", "at_most": 0.5}).met(np.array([0.5, 0.6, np.nan])).tolist() == [True, False, False]


def test_what_a_task_cannot_be_stopped_by_is_one_line() -> None:
    with pytest.raises(UserError, match="a series such as 'short' is trained by its losses alone"):
        training([0], SERIES, until=Until("rmse", at_most=0.1))
    with pytest.raises(UserError, match="asks for rmse, and targets of task 'latching' are classes: a stopping rule that no metric feeds"):
        training([0], until=Until("rmse", at_most=0.1))
    with pytest.raises(UserError, match="training.budget is 47 sequences, fewer than the 48 of an epoch of task 'latching'"):
        training([0], budget=47)
    with pytest.raises(UserError, match="unknown loss to watch 'test'"):
        training([0], replace(LATCHING), watch="test")
