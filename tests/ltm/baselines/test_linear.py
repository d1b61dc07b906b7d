"""Baselines of sequences: known optima, what each can and cannot read, nothing of the test part used."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from ltm import baselines, data
from ltm.baselines import linear
from ltm.data import Sequences, Task
from ltm.data.base import of_sequences


def task(kind: str, **keys: Any) -> Task:
    return data.build({"kind": kind, "name": kind, "sequences": 400, **keys})


def rows_of(task: Task) -> dict[str, dict[str, Any]]:
    return {str(row["baseline"]): row for row in baselines.rows(task)}


def labelled(n: int, classes: int = 3, seed: int = 0) -> Sequences:
    """Sequences of 1 to 4 steps, whose class depends on their last step, with noise."""
    rng, map_ = np.random.default_rng(seed), np.random.default_rng(99).normal(size=(2, classes))
    lengths = rng.integers(1, 5, n)
    step = np.arange(4)
    inputs = rng.normal(size=(n, 4, 2)) * (step < lengths[:, None])[..., None]
    last = inputs[np.arange(n), lengths - 1]
    label = np.argmax(last @ map_ + rng.gumbel(size=(n, classes)), 1)
    return Sequences(inputs, np.repeat(label[:, None], 4, 1), (step == lengths[:, None] - 1) * rng.uniform(0.5, 2, (n, 1)))


def test_the_majority_is_that_of_the_training_part() -> None:
    parts = labelled(200, seed=1), labelled(50, seed=2), labelled(80, seed=3)
    row = rows_of(of_sequences("x", parts, "f", classes=3, labelled=True, labels=("a", "b", "c")))["majority"]
    train = linear.Counted.of(parts[0])
    shares = np.array([train.weight[train.targets == c].sum() for c in range(3)]) / train.weight.sum()
    test = linear.Counted.of(parts[2]).targets
    assert json.loads(row["parameters"])["shares"] == pytest.approx(list(shares))
    assert json.loads(row["parameters"])["classes"] == ["a", "b", "c"]
    assert row["test_accuracy"] == np.mean(test == shares.argmax())
    assert row["test_recall"] == pytest.approx(1 / 3)
    assert row["test_loss"] == pytest.approx(-np.log(shares[test]).mean())
    assert (row["label"], row["fingerprint"], row["dataset"], row["version"]) == ("majority", "f", "x", baselines.BASELINES_VERSION)


@pytest.mark.parametrize("kind", ["numbers", "classes", "yes or no"])
def test_the_gradient_of_the_loss_is_its_slope(kind: str) -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 5) if kind == "classes" else rng.normal(size=(5, 3))
    targets = targets > 0 if kind == "yes or no" else targets
    counted, outputs = linear.Counted(targets, rng.uniform(0.1, 2, 5)), rng.normal(size=(5, 3))
    slope = optimize.approx_fprime(outputs.ravel(), lambda y: counted.loss(y.reshape(5, 3))[0], 1e-7)
    np.testing.assert_allclose(counted.loss(outputs)[1].ravel(), slope, atol=1e-6)


def test_yes_or_no_is_answered_by_shares_and_by_logistic_regressions() -> None:
    one = task("moving_shapes", length=5, side=4)
    rows = rows_of(one)
    share, test = one.train.targets.mean((0, 1)), one.test.targets > 0.5
    assert json.loads(rows["mean"]["parameters"])["mean"] == pytest.approx(list(share))
    assert rows["mean"]["test_loss"] == pytest.approx(-np.log(np.where(test, share, 1 - share)).mean())
    assert rows["mean"]["test_accuracy"] == pytest.approx(((share > 0.5) == test).mean())
    assert rows["mean"]["test_ranked"] < rows["linear, last step"]["test_ranked"]
    assert rows["linear, last step"]["test_loss"] < rows["mean"]["test_loss"] - 0.1
    assert rows["linear, last step"]["validation_loss"] == pytest.approx(rows["linear, last step"]["test_loss"], abs=0.05)


def test_without_a_penalty_the_linear_model_is_least_squares() -> None:
    rng = np.random.default_rng(0)
    x, y, weight = rng.normal(size=(60, 3)), rng.normal(size=(60, 2)), rng.uniform(0.5, 2, 60)
    found = linear.fitted(x, linear.Counted(y, weight), 0.0, np.zeros((4, 2)))
    root = np.sqrt(weight)[:, None]
    expected = np.linalg.lstsq(root * np.concatenate([np.ones((60, 1)), x], 1), root * y, rcond=None)[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@given(l2=st.sampled_from(linear.PENALTIES[:4]), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_a_logistic_regression_is_at_its_optimum(l2: float, seed: int) -> None:
    part = labelled(80, seed=seed)
    x, train = linear.last_step(part, 0), linear.Counted.of(part)
    theta = linear.fitted(x, train, l2, np.zeros((3, 3)))

    def cost(theta: np.ndarray) -> float:
        return train.loss(x @ theta[1:] + theta[0])[0] + l2 / 2 * float((theta[1:] ** 2).sum())

    rng = np.random.default_rng(seed)
    assert all(cost(theta) <= cost(theta + 1e-2 * rng.normal(size=(3, 3))) for _ in range(20))


def test_a_linear_model_of_the_last_step_learns_what_the_last_step_tells() -> None:
    one = of_sequences("x", (labelled(4000, seed=1), labelled(1000, seed=2), labelled(1000, seed=3)), "f", classes=3, labelled=True)
    rows = rows_of(one)
    last, mean, majority = (rows[kind] for kind in ("linear, last step", "linear, mean", "majority"))
    assert last["test_loss"] < mean["test_loss"] < majority["test_loss"]
    assert last["test_accuracy"] > majority["test_accuracy"] + 0.1
    assert last["label"].startswith("linear, last step (L2 ")


def test_latching_is_not_in_the_last_step_but_in_the_mean() -> None:
    rows = rows_of(task("latching", length=10, sequences=2000))
    assert rows["linear, last step"]["test_accuracy"] == pytest.approx(0.5, abs=0.1)
    assert rows["linear, mean"]["test_accuracy"] > 0.95


def test_numbers_have_a_mean_and_least_squares_with_the_errors_of_forecasts() -> None:
    one = task("adding", length=10)
    rows = rows_of(one)
    target = linear.Counted.of(one.train).targets
    test = linear.Counted.of(one.test).targets
    assert set(rows) == {"mean", "linear, last step", "linear, mean"}
    assert rows["mean"]["test_rmse"] == pytest.approx(np.sqrt(((test - target.mean()) ** 2).mean()))
    assert rows["mean"]["test_mae"] == pytest.approx(np.abs(test - target.mean()).mean())
    assert rows["linear, mean"]["test_rmse"] < rows["mean"]["test_rmse"]
    assert "test_accuracy" not in rows["mean"]


@pytest.mark.parametrize("every", [True, False])
def test_the_mean_is_that_of_the_steps_so_far(every: bool) -> None:
    part = task("parity", every=every, length=6).train
    one_hot = np.eye(2)[part.inputs]
    sparse = linear.mean_so_far(part, 2)
    dense = linear.mean_so_far(Sequences(one_hot, part.targets, part.weight), 0)
    assert sparse is not None
    np.testing.assert_allclose(sparse.toarray(), dense)
    expected = [one_hot[b, : t + 1].mean(0) for b, t in np.argwhere(part.weight > 0)]
    np.testing.assert_allclose(dense, expected)
    np.testing.assert_array_equal(linear.last_step(part, 2).toarray(), one_hot[part.weight > 0])


def test_a_model_that_reads_too_much_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    one = task("parity", length=6)
    assert set(rows_of(one)) == {"majority", "linear, last step", "linear, mean"}
    monkeypatch.setattr(linear, "LARGEST", int((one.train.weight > 0).sum()))
    assert set(rows_of(one)) == {"majority", "linear, last step"}
    monkeypatch.setattr(linear, "LARGEST", 10)
    assert set(rows_of(one)) == {"majority"}


def test_a_weight_of_two_is_a_sequence_twice() -> None:
    part, index = labelled(60), np.repeat(np.arange(60), 1 + np.arange(60) % 2)
    ones = Sequences(part.inputs, part.targets, (part.weight > 0).astype(float))
    doubled = Sequences(part.inputs, part.targets, ones.weight * (1 + np.arange(60) % 2)[:, None])
    a, b = (linear.fitted(linear.last_step(p, 0), linear.Counted.of(p), 0.1, np.zeros((3, 3))) for p in (doubled, ones.take(index)))
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_no_fit_reads_the_test_part() -> None:
    parts = labelled(100, seed=1), labelled(50, seed=2), labelled(50, seed=3)
    other = Sequences(parts[2].inputs + 5, (parts[2].targets + 1) % 3, parts[2].weight)
    before, after = (
        [(row["label"], row["parameters"], row["validation_loss"]) for row in baselines.rows(of_sequences("x", three, "f", classes=3))]
        for three in (parts, (parts[0], parts[1], other))
    )
    assert before == after


def test_where_every_seed_has_its_own_sequences_those_of_seed_0_are_taken() -> None:
    one = task("latching", length=5, draws="seed")
    assert one.source is not None
    held = of_sequences("latching", one.parts(0), one.fingerprint, classes=2, labelled=True, labels=("-1", "+1"))
    assert baselines.rows(one) == baselines.rows(held)


def test_a_bag_of_words_reads_what_no_network_does() -> None:
    from scipy import sparse

    parts = labelled(300, seed=1), labelled(100, seed=2), labelled(100, seed=3)
    words = tuple(sparse.csr_matrix(np.eye(3)[linear.Counted.of(part).targets]) for part in parts)
    one = of_sequences("x", parts, "f", classes=3, labelled=True)
    assert "linear, bag of words" not in rows_of(one)
    found = rows_of(dataclasses.replace(one, words=words))
    assert found["linear, bag of words"]["test_accuracy"] == 1.0
    assert found["linear, bag of words"]["label"].startswith("linear, bag of words (L2 ")
