"""Forecasts without a network: the published series' known figures, known models recovered, nothing of the future used."""

from pathlib import Path

import numpy as np
import pytest

from ltm import baselines, data
from ltm.baselines import forecasts
from ltm.data import Series, arfima
from sweeps.config import compose


def rows_of(series: Series) -> dict[str, dict[str, object]]:
    return {str(row["baseline"]): row for row in baselines.rows(series.task())}


@pytest.mark.parametrize(
    ("dataset", "train", "ar", "order", "mean", "last"),
    [
        ("arfima_paper", 2000, "1.0228", 8, "1.677", "1.175"),
        ("dji", 2500, "0.002496", 5, "0.002988", "0.003163"),
        ("traffic", 1400, "335.8", 50, "352.9", "387.6"),
        ("tree", 2500, "0.2773", 5, "0.3054", "0.3381"),
    ],
)
def test_published_series_have_their_known_baselines(
    real_data: Path, dataset: str, train: int, ar: str, order: int, mean: str, last: str
) -> None:
    (config,) = compose([f"dataset={dataset}", f"dataset.train={train}"]).datasets
    series = data.build(config).series
    assert series is not None
    found = rows_of(series)
    assert found["AR"]["label"] == f"AR({order})"
    for kind, figure in (("AR", ar), ("mean", mean), ("last value", last)):
        digits = len(figure.replace(".", "").lstrip("0"))
        assert float(f"{found[kind]['test_rmse']:.{digits}g}") == float(figure)
    assert found["ARFIMA"]["test_rmse"] < found["AR"]["test_rmse"]  # type: ignore[operator]


def test_arfima_by_conditional_sum_of_squares_finds_the_published_model(real_data: Path) -> None:
    (config,) = compose(["dataset=arfima_paper"]).datasets
    series = data.build(config).series
    assert series is not None
    x = series.values
    d, ar, ma = forecasts.unpacked(forecasts.minimise(x, 2, 1, {}), 2)
    assert (d, *ar, *ma) == pytest.approx((0.42, 0.72, -0.42, -0.23), abs=0.01)
    assert forecasts.innovations(x, d, ar, ma)[1].std() == pytest.approx(1.026, abs=0.005)


@pytest.mark.parametrize("d", [-0.3, 0.0, 0.3])
def test_the_memory_parameter_is_recovered_with_its_error(d: float) -> None:
    found = []
    for seed in range(20):
        x = 5 + arfima.simulate(1500, d, [0.5], seed=seed)
        found.append(forecasts.unpacked(forecasts.minimise(x, 1, 0, {}), 1))
    assert np.mean([one[0] for one in found]) == pytest.approx(d, abs=0.06)
    assert np.mean([one[1][0] for one in found]) == pytest.approx(0.5, abs=0.08)


def test_innovations_are_those_of_the_recursion() -> None:
    rng = np.random.default_rng(0)
    x, d, ar, ma, mu = rng.normal(size=40), 0.3, np.array([0.5, -0.2]), np.array([0.4]), 0.7
    weights = [1.0]
    for j in range(39):
        weights.append(weights[-1] * (j - d) / (j + 1))
    z = [sum(weights[k] * (x[t - k] - mu) for k in range(t + 1)) for t in range(40)]
    e: list[float] = []
    for t in range(40):
        past = [ar[i] * z[t - 1 - i] for i in range(2) if t - 1 - i >= 0]
        e.append(z[t] - sum(past) - (ma[0] * e[t - 1] if t else 0.0))
    np.testing.assert_allclose(forecasts.innovations(x, d, ar, ma, mu)[1], e, atol=1e-12)
    best, _ = forecasts.innovations(x, d, ar, ma)
    costs = [np.sum(forecasts.innovations(x, d, ar, ma, best + step)[1] ** 2) for step in (-1e-3, 0, 1e-3)]
    assert costs[1] == min(costs)


@pytest.mark.parametrize("partial", [[0.9], [0.9, -0.95], [-0.99, 0.99, 0.5]])
def test_partial_autocorrelations_within_one_are_stationary(partial: list[float]) -> None:
    phi = forecasts.stationary(np.array(partial))
    assert np.abs(np.roots([1.0, *-phi])).max() < 1
    assert phi[-1] == partial[-1]


def test_an_autoregression_is_least_squares_with_intercept() -> None:
    x = 3 + arfima.simulate(400, 0.0, [0.6, 0.2], seed=1)
    series = Series("x", x, 200, 100)
    fit = forecasts.fitted_ar(series, 2)
    train = x[:201]
    rows = np.stack([np.ones(199), train[1:-1], train[:-2]], 1)
    beta = np.linalg.solve(rows.T @ rows, rows.T @ train[2:])
    assert [fit.parameters["intercept"], *fit.parameters["ar"]] == pytest.approx(list(beta))  # type: ignore[misc]
    assert fit.forecasts[250] == pytest.approx(beta @ [1, x[250], x[249]])
    assert np.isnan(fit.forecasts[0])


def test_no_forecast_reads_the_future_and_no_fit_the_test_part() -> None:
    x = arfima.simulate(500, 0.3, [0.3], seed=2)
    for kind, fit in forecasts.BASELINES.items():
        before = fit(Series("x", x, 250, 100))
        moved = x.copy()
        moved[420:] += 10
        after = fit(Series("x", moved, 250, 100))
        assert before is not None, kind
        assert after is not None, kind
        assert after.parameters == before.parameters
        np.testing.assert_allclose(after.forecasts[:419], before.forecasts[:419], atol=1e-9)  # of x[1] to x[419]


def test_a_short_training_part_has_only_what_it_can_carry() -> None:
    x = np.random.default_rng(0).normal(size=60)
    assert set(rows_of(Series("x", x, 2, 20))) == {"mean", "last value", "constant"}
    assert rows_of(Series("x", x, 3, 20)).keys() == {"mean", "last value", "constant"}
    found = rows_of(Series("x", x, 12, 20))
    assert found.keys() == {"mean", "last value", "AR", "constant"}
    assert found["AR"]["label"] in ("AR(1)", "AR(2)", "AR(3)")
    flat = np.concatenate([np.ones(40), x])
    assert "ARFIMA" not in rows_of(Series("x", flat, 35, 20))


def test_errors_are_on_the_original_scale_and_the_validation_loss_on_that_of_the_networks() -> None:
    x = 100 + 7 * np.random.default_rng(1).normal(size=300)
    series = Series("x", x, 100, 100)
    row = rows_of(series)["last value"]
    assert row["test_rmse"] == pytest.approx(np.sqrt(np.mean(np.diff(x)[200:] ** 2)))
    assert row["validation_loss"] == pytest.approx(np.mean((np.diff(x)[100:200] / np.ptp(x)) ** 2))
    constant = rows_of(series)["constant"]
    assert constant["test_rmse"] == pytest.approx(x[201:].std())
