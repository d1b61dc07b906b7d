"""Per condition: how many seed runs finished, and where the errors of these lie."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.statistics.intervals import best_of, iqm, mean_interval, median_interval
from analysis.study import Condition, Study

QUANTILES = (0.05, 0.25, 0.75, 0.95)


def summarise(study: Study) -> pd.DataFrame:
    """One row a condition.

    Returns:
        ``dataset, model, K, condition, name``; ``runs`` and how many ``diverged`` or ``finished``; over finished seeds ``mean`` with its 95 % interval
        (``low``, ``high``), ``sd``, ``iqm``, ``min``, ``max``, the quantiles ``q05`` to ``q95``; over all seeds, diverged ones last, the
        ``median`` (its interval is of finished seeds) and ``best_of_10``.
    """
    rows = [
        {"dataset": one.dataset, "model": one.model, "K": one.K, "condition": one.label, "name": one.name, **counts(one), **figures(one)}
        for one in study
    ]
    columns = ["dataset", "model", "K", "condition", "name", "runs", "diverged", "finished"]
    return pd.DataFrame(rows, columns=list(rows[0]) if rows else columns).astype({"K": "Int64"})


def counts(condition: Condition) -> dict[str, int]:
    """How the seed runs of a condition ended."""
    return {"runs": len(condition.errors), "diverged": condition.diverged, "finished": len(condition.finished)}


def figures(condition: Condition) -> dict[str, float]:
    """Every summary figure of one condition; NaN where it has too few values."""
    a = condition.finished
    some = len(a) > 0
    none = np.nan, np.nan  # where results decided how many seeds there are, no interval of a fixed number of them holds
    intervals = {"": none, "median_": none} if condition.anytime else {"": mean_interval(a), "median_": median_interval(a)}
    ends = {name: dict(zip((f"{name}low", f"{name}high"), pair, strict=True)) for name, pair in intervals.items()}
    quantiles = np.quantile(a, QUANTILES) if some else np.full(len(QUANTILES), np.nan)
    return {
        "mean": condition.mean, **ends[""],
        "sd": float(a.std(ddof=1)) if len(a) > 1 else np.nan,
        "median": condition.median, **ends["median_"],
        "iqm": iqm(a) if some else np.nan,
        "min": float(a.min()) if some else np.nan,
        "max": float(a.max()) if some else np.nan,
        **{f"q{round(100 * q):02d}": float(value) for q, value in zip(QUANTILES, quantiles, strict=True)},
        "best_of_10": condition.sign * float(best_of(condition.errors, np.array([10]))[0]) if len(condition.errors) >= 10 else np.nan,
    }  # fmt: skip
