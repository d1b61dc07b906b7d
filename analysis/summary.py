"""Per condition: how many seed runs, how they ended, and where their errors lie."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

KEYS = ["dataset", "model", "K", "condition"]


def mean_interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean.

    Args:
        values: shape ``(n,)``, finite.

    Returns:
        Lower and upper end; NaN for fewer than two values, which carry no interval.
    """
    n = len(values)
    if n < 2:
        return float("nan"), float("nan")
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n)
    return float(np.mean(values) - half), float(np.mean(values) + half)


def finished(runs: pd.DataFrame, metric: str) -> pd.Series:
    """The values of a metric over the seed runs that did not diverge."""
    return runs.loc[(runs["status"] != "diverged") & np.isfinite(runs[metric].astype(float)), metric]


def summarise(runs: pd.DataFrame, metric: str = "test_rmse") -> pd.DataFrame:
    """One row a condition: ``runs``, ``diverged``, ``n`` (runs the figures rest on), ``mean``, ``sd``, ``low``, ``high``
    (95 % interval of the mean), ``min``, ``median``.

    Diverged seed runs have no error; they are counted beside every figure, never dropped in silence.

    Args:
        runs: rows of a ledger.
    """
    rows = []
    for key, group in runs.groupby(KEYS, sort=False, dropna=False):
        values = finished(group, metric).to_numpy(float)
        low, high = mean_interval(values)
        some = len(values) > 0
        rows.append(
            {
                **dict(zip(KEYS, key, strict=True)),
                "runs": len(group),
                "diverged": int((group["status"] == "diverged").sum()),
                "n": len(values),
                "mean": values.mean() if some else np.nan,
                "sd": values.std(ddof=1) if len(values) > 1 else np.nan,
                "low": low,
                "high": high,
                "min": values.min() if some else np.nan,
                "median": np.median(values) if some else np.nan,
            }
        )
    return pd.DataFrame(rows, columns=[*KEYS, "runs", "diverged", "n", "mean", "sd", "low", "high", "min", "median"])
