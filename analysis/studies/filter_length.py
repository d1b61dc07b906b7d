"""The filter-length study: K as the ordered factor that it is. Does the error fall with it, and which is the shortest that will do?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.statistics.intervals import mean_interval
from analysis.statistics.trend import shortest, trend
from analysis.studies.compare import MARGIN
from analysis.studies.summary import counts
from analysis.study import Condition, Study

TRENDS = ["dataset", "model", "lengths", "seeds", "diverged", "paired", "J", "p"]
SHORTEST = ["dataset", "model", "K", "p"]


def by_filter_length(study: Study) -> pd.DataFrame:
    """Mean error by series, model and K, for the models trained with more than one K.

    Returns:
        ``dataset, model, K, condition, runs, diverged, finished``; ``mean`` over finished seeds, with ``low, high``: intervals that hold for all K of a model
        at once with 95 % (Sidak: conditions are independent); ``median``, diverged seeds last. Sorted by K; empty if K does not vary.
    """
    rows = []
    for (dataset, model), by_length in study.lengths().items():
        level = 0.95 ** (1 / len(by_length))
        for K, one in by_length.items():
            low, high = mean_interval(one.finished, level)
            rows.append(
                {
                    "dataset": dataset, "model": model, "K": K, "condition": one.label, **counts(one), "mean": one.mean, "low": low, "high": high,
                    "median": one.median,
                }
            )  # fmt: skip
    return pd.DataFrame(
        rows, columns=["dataset", "model", "K", "condition", "runs", "diverged", "finished", "mean", "low", "high", "median"]
    )


def together(by_length: dict[int, Condition]) -> bool:
    """Whether every K starts its seeds from the same parameters: errors are then paired over K."""
    first, *others = by_length.values()
    return all(first.pairs_with(other) for other in others)


def trends(study: Study) -> pd.DataFrame:
    """The trend over K of every model and series: ``J`` and ``p`` of :func:`analysis.statistics.trend.trend`, not yet corrected."""
    rows = []
    for (dataset, model), by_length in study.lengths().items():
        pairs = together(by_length)
        found = trend({K: one.errors for K, one in by_length.items()}, pairs)
        rows.append(
            {
                "dataset": dataset, "model": model, "lengths": ", ".join(map(str, by_length)), "seeds": min(len(one.errors) for one in by_length.values()),
                "diverged": sum(one.diverged for one in by_length.values()), "paired": pairs, "J": found.estimate, "p": found.p,
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=TRENDS)


def no_worse_lengths(study: Study, margin: float = MARGIN) -> pd.DataFrame:
    """Of every K of every model and series: ``p`` of "no worse, by more than the margin, than every other K", not yet corrected."""
    rows = []
    for (dataset, model), by_length in study.lengths().items():
        found = shortest({K: one.errors for K, one in by_length.items()}, margin, together(by_length))
        rows += [{"dataset": dataset, "model": model, "K": K, "p": p} for K, p in found.items()]
    return pd.DataFrame(rows, columns=SHORTEST)


def recommended(rows: pd.DataFrame, alpha: float = 0.05) -> tuple[int | None, float]:
    """The shortest K whose corrected p is below alpha, and that p; None, and the smallest p, where there is none.

    Args:
        rows: of one model and series, ``K`` and ``p_adjusted``.
    """
    passing = rows[rows["p_adjusted"] < alpha].sort_values("K")
    if passing.empty:
        return None, float(np.nanmin(rows["p_adjusted"])) if rows["p_adjusted"].notna().any() else np.nan
    return int(passing["K"].iloc[0]), float(passing["p_adjusted"].iloc[0])
