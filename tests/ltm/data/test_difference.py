"""Fractional differences as preprocessing: networks learn them, and errors are told in the units of the series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analysis.statistics import memory
from ltm import cells, data
from ltm.data import fractional
from ltm.data.series import Series
from ltm.errors import UserError
from ltm.training.pack import Training
from ltm.training.state import Lane, Protocol

ARFIMA: dict[str, Any] = {"kind": "arfima", "name": "arfima", "length": 1201, "d": 0.4, "ar": [], "ma": [], "train": 800, "validation": 200}


def direct(x: np.ndarray, d: float) -> np.ndarray:
    """(1 - B)^d x by its sum, term by term."""
    b = np.ones(len(x))
    for k in range(1, len(x)):
        b[k] = b[k - 1] * (k - 1 - d) / k
    return np.array([b[: t + 1] @ x[t::-1] for t in range(len(x))])


@pytest.mark.parametrize("d", [-0.3, 0.25, 0.6, 1.0])
def test_what_is_learned_is_the_difference_and_the_past_restores_the_values(d: float) -> None:
    x = np.random.default_rng(0).standard_normal(200).cumsum() + 7
    series = Series("own", x, 100, 50, "none", difference=d)
    z = direct(x - fractional.level(x[:101], d), d)
    np.testing.assert_allclose(series.learned, z, atol=1e-10)
    np.testing.assert_allclose(fractional.differenced(series.learned, -d) + fractional.level(x[:101], d), x, atol=1e-9)
    later = x.copy()
    later[150:] += 5  # of what is after step 149, nothing before step 150 knows
    np.testing.assert_allclose(Series("own", later, 100, 50, "none", difference=d).carried[:151], series.carried[:151], atol=1e-10)
    np.testing.assert_allclose(series.task().train.inputs[0, :, 0], series.learned[:-1])
    if d == 1.0:
        np.testing.assert_allclose(series.carried[1:], x[:-1], atol=1e-10)  # a difference of one: the value before


def test_errors_are_those_of_forecasts_in_the_units_of_the_series() -> None:
    task = data.build(ARFIMA | {"difference": 0.4})
    series = task.series
    assert series is not None
    network = cells.build({"name": "rnn", "cell": "rnn", "hidden_size": 1}, task)
    training = Training(network, task, [Lane(0, lr=0.01)], Protocol(max_epochs=5, patience=5))
    while not training.done:
        training.advance(5)
    outputs = training.engine.predict(training.state.best_params).outputs[0, :, 0].astype(float)
    offset, scale = series.offset_and_scale
    z = direct(series.values - series.values[:801].mean(), 0.4)
    b = direct(np.eye(1, 1201)[0], 0.4)
    past = np.array([-b[1 : t + 1] @ (series.values - series.values[:801].mean())[t - 1 :: -1] for t in range(1001, 1201)])
    forecasts = outputs * scale + offset + past + series.values[:801].mean()
    errors = forecasts - series.values[1001:]
    row = training.results().iloc[0]
    assert row["test_rmse"] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-6)
    assert row["test_mape"] == pytest.approx(100 * np.mean(np.abs(errors / series.values[1001:])), rel=1e-6)
    assert row["test_rmse"] == pytest.approx(np.sqrt(np.mean((outputs * scale + offset - z[1001:]) ** 2)), rel=1e-6)


def test_d_is_estimated_on_the_training_part_alone() -> None:
    series = data.build(ARFIMA | {"difference": "estimated", "length": 4001, "train": 2500}).series
    assert series is not None
    part = series.values[:2501]
    assert series.difference == round(memory.exact_local_whittle(part).estimate, 3)
    assert series.difference == pytest.approx(0.4, abs=0.1)
    task = data.build(ARFIMA | {"difference": "estimated", "length": 4001, "train": 2500})
    assert task.notes == (
        f"arfima is differenced by d = {series.difference:g}, as exact local Whittle estimates it on its training part; errors are in its own units",
    )


def test_a_series_without_differences_is_the_task_it_was() -> None:
    plain, differenced = data.build(ARFIMA), data.build(ARFIMA | {"difference": 0.4})
    assert plain.fingerprint == data.build(ARFIMA | {"difference": None}).fingerprint != differenced.fingerprint
    assert plain.series is not None
    assert not plain.series.carried.any()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"difference": "some"}, "dataset.difference is 'some'; expected a number, such as 0.4, or estimated"),
        ({"difference": 3}, "dataset.difference is 3; expected a number above -1 and at most 2"),
        ({"difference": "estimated", "train": 20}, "reads 21 values of the training part; expected at least 64"),
    ],
)
def test_what_cannot_be_is_one_line(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        data.build(ARFIMA | keys)


def test_a_straight_line_leaves_nothing_to_forecast() -> None:
    with pytest.raises(UserError, match="differenced by 1 the training part is constant"):
        _ = Series("line", np.arange(100.0), 50, 20, difference=1.0)
