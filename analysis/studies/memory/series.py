"""What a series has of long memory, by every estimator; and whether the networks of a study take it out of their residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.statistics import Outcome, memory
from analysis.statistics.intervals import mean_interval
from analysis.studies.memory import networks
from analysis.study import Study

LONGEST_FIT = 20_000
"""Values up to which an ARFIMA is fitted, which then takes seconds."""


@dataclass(frozen=True, eq=False)
class SeriesMemory:
    """Long memory of one series.

    Attributes:
        name: of the series.
        x: its values ``(n,)``, without a linear trend if that was taken off (``trend``).
        estimates: of d, by estimator, each with its interval and what it read.
        curve: estimates over bandwidths.
        qu, lo: the tests.
        qu_m: frequencies of Qu's test.
    """

    name: str
    x: np.ndarray
    trend: bool
    estimates: dict[str, tuple[Outcome, str]]
    curve: memory.Curve
    qu: Outcome
    qu_m: int
    lo: Outcome

    @property
    def d(self) -> Outcome:
        """By exact local Whittle, which holds for stationary series and others."""
        return self.estimates["exact local Whittle"][0]

    @property
    def critical(self) -> float:
        """The 5 % value of Qu's test."""
        return memory.CRITICAL[memory.trim_of(len(self.x))][0.05]

    def table(self) -> pd.DataFrame:
        """A row an estimator: ``series, estimator, d, low, high, p`` (null hypothesis d = 0), ``reads``."""
        return pd.DataFrame(
            {"series": self.name, "estimator": name, "d": o.estimate, "low": o.low, "high": o.high, "p": o.p, "reads": reads}
            for name, (o, reads) in self.estimates.items()
        )

    def bandwidths(self) -> pd.DataFrame:
        """A row a bandwidth: ``series, power, m``, and each estimate of d with its interval."""
        columns = {f"{name}{end}": values[:, i] for name, values in self.curve.d.items() for i, end in enumerate(("", " low", " high"))}
        return pd.DataFrame({"series": self.name, "power": self.curve.power, "m": self.curve.m} | columns)

    def autocorrelations(self, lags: int) -> pd.DataFrame:
        """A row a lag: ``series, lag, acf, band``, half the 95 % band of white noise."""
        rho = memory.acf(self.x, min(lags, len(self.x) // 4))
        return pd.DataFrame({"series": self.name, "lag": np.arange(len(rho)), "acf": rho, "band": memory.white_band(len(self.x))})


def measure(name: str, x: np.ndarray, trend: bool = False) -> SeriesMemory:
    """Long memory of a series ``(n,)``, n at least 64; ``trend``: take a linear trend off first.

    Raises:
        UserError: gaps, a constant, too few values.
    """
    x = memory.detrended(x) if trend else memory.series_of(x, 64)
    n, m = len(x), memory.bandwidth(len(x))
    near = f"{m} frequencies, n^{memory.BANDWIDTH:g}"
    estimates = {
        "exact local Whittle": (memory.exact_local_whittle(x), near),
        "local Whittle": (memory.local_whittle(x), near),
        "GPH": (memory.gph(x), near),
    }
    if n <= LONGEST_FIT:
        fit = memory.arfima(x)
        estimates[fit.name] = fit.d, "all values, orders by BIC; d below 1/2"
    estimates["DFA"] = memory.dfa(x), f"stretches of 8 to {n // 4} steps"
    estimates["rescaled range"] = memory.rescaled_range(x), f"stretches of 8 to {n // 2} steps"
    qu_m = memory.bandwidth(n, memory.QU_POWER)
    return SeriesMemory(name, x, trend, estimates, memory.by_bandwidth(x), memory.qu(x, qu_m), qu_m, memory.lo(x))


def taken_out(groups: Sequence[networks.Networks], study: Study) -> pd.DataFrame:
    """d of the test part, of every seed's forecasts of it and of their residuals, by exact local Whittle (n^0.65 frequencies).

    Returns:
        A row a condition: ``dataset, condition, name, seeds, steps`` (of the test part), ``actual_d`` with ``actual_low, actual_high``; ``forecast_d`` and
        ``residual_d``, means over seeds with 95 % intervals over seeds (``_low, _high``), which all share one test part; ``own``, half the 95 % interval
        of one seed's d; ``left``, the seeds whose own interval lies above 0; ``shifts``, those whose residuals Qu's test rejects at 0.05.
    """
    rows = []
    for group in groups:
        if (one := study.by_label.get(group.condition)) is None:
            continue
        errors = group.errors()
        actual = group.series.values[1:][group.test :]
        forecasts = actual - errors
        varied = np.isfinite(errors).all(1) & (np.ptp(errors, axis=1) > 0) & (np.ptp(forecasts, axis=1) > 0)
        errors, forecasts = errors[varied], forecasts[varied]
        if len(actual) < 64 or not len(errors) or np.ptp(actual) == 0:
            continue
        of_actual = memory.exact_local_whittle(actual)
        left = [memory.exact_local_whittle(e) for e in errors]
        d = np.array([o.estimate for o in left])
        predicted = np.array([memory.exact_local_whittle(f).estimate for f in forecasts])
        (low, high), (forecast_low, forecast_high) = mean_interval(d), mean_interval(predicted)
        _, w = memory.qu_each(errors)
        rows.append(
            {
                "dataset": one.dataset, "condition": one.label, "name": one.name, "seeds": len(errors), "steps": len(actual),
                "actual_d": of_actual.estimate, "actual_low": of_actual.low, "actual_high": of_actual.high,
                "forecast_d": predicted.mean(), "forecast_low": forecast_low, "forecast_high": forecast_high,
                "residual_d": d.mean(), "residual_low": low, "residual_high": high, "own": (left[0].high - left[0].low) / 2,
                "left": sum(o.low > 0 for o in left), "shifts": int((w > memory.CRITICAL[memory.trim_of(len(actual))][0.05]).sum()),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)
