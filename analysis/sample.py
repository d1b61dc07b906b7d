"""From rows of a ledger to samples: which seed runs finished, and how those that did not enter a figure."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ltm.errors import UserError, unknown

METRICS = ("test_rmse", "test_mae", "test_mape", "validation_loss", "train_loss")

RULES = {
    "worst": "a diverged seed counts as bad as the worst finished seed of its series",
    "drop": "diverged seeds are left out; figures hold for seeds that finish",
    "best": "a diverged seed counts as good as the best finished seed of its series (the other bound)",
}
"""How a diverged seed run enters a figure. Ranks under ``worst`` are those of the usual worst-rank analysis (Lachin 1999)."""


def judged(runs: pd.DataFrame, metric: str = "test_rmse", rule: str = "worst") -> pd.DataFrame:
    """Rows of a ledger with the columns ``finished`` (bool) and ``value``: the metric, diverged seeds by the rule.

    A seed run is finished if it did not diverge and its metric is a finite number. Lower values are better throughout.

    Args:
        runs: rows of a ledger: ``dataset``, ``condition``, ``status`` and the metric at least.
        metric: one of ``METRICS``.
        rule: one of ``RULES``; ``value`` is NaN for the seeds that ``drop`` leaves out, or where a whole series never finished.

    Raises:
        UserError: an unknown metric or rule.
    """
    if metric not in METRICS:
        raise unknown("metric", metric, METRICS)
    if rule not in RULES:
        raise unknown("rule for diverged seeds", rule, RULES)
    value = runs[metric].astype(float)
    finished = (runs["status"] != "diverged") & np.isfinite(value)
    value = value.where(finished)
    if rule != "drop":
        value = value.fillna(value.groupby(runs["dataset"]).transform("max" if rule == "worst" else "min"))
    return runs.assign(finished=finished, value=value)


def samples(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """The values of every condition, in the order of its seeds: ``{label: (n,)}``, from :func:`judged` rows."""
    return {str(label): values(group) for label, group in table.groupby("condition", sort=False)}


def values(rows: pd.DataFrame) -> np.ndarray:
    """The values of :func:`judged` rows, ``(n,)``, in the order of seeds; those without a value are left out."""
    ordered = rows["value"].to_numpy(float)[np.argsort(rows["seed"].to_numpy(), kind="stable")]
    return ordered[~np.isnan(ordered)]


def finite(a: np.ndarray, least: int = 1, name: str = "sample") -> np.ndarray:
    """A sample as a float array.

    Raises:
        UserError: not one-dimensional, too few values, NaN or infinite.
    """
    array = np.asarray(a, dtype=float)
    if array.ndim != 1:
        raise UserError(f"the {name} has shape {array.shape}; expected one axis, a value a seed.")
    if not np.isfinite(array).all():
        raise UserError(
            f"the {name} has {int((~np.isfinite(array)).sum())} values that are not finite; choose how diverged seeds count first."
        )
    if len(array) < least:
        raise UserError(f"the {name} has {len(array)} values; at least {least} are needed.")
    return array
