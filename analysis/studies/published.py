"""Is a reproduction the paper's? A study against published means, which is all that papers print. A check of the reproduction, not a verdict."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import literature
from analysis.statistics import families, two_samples
from analysis.study import Condition, Rule, Study
from ltm.errors import UserError


def published(runs: pd.DataFrame, source: str | Path, correction: str = "holm") -> pd.DataFrame:
    """Welch's test of every condition's finished seeds against its published mean, sd and n. Null hypothesis: equal means; corrected over the table.

    Seeds of one score alone, as two of an accuracy often are, say nothing of their spread: no test is made of them.

    Args:
        source: a published table by name (``zhao2020_table2``) or the path of a CSV (:func:`analysis.literature.read`).

    Returns:
        ``dataset, condition, metric, n, mean, sd`` (population sd, ddof = 0, as papers print it; the test takes ddof = 1), the published
        ``published_n, published_mean, published_sd``, ``difference, low, high, percent, p, p_adjusted``.

    Raises:
        UserError: no such source, a row of it that is no figure, or none of its rows is of this study.
    """
    table = literature.read(source)
    rows = []
    for row, one in matched(runs, table):
        a = one.finished
        if len(a) < 2:
            continue
        theirs = (float(row["mean"]), float(row["sd"]), int(row["n"]))
        found = two_samples.welch_from_summary(a.mean(), a.std(ddof=1), len(a), *theirs)
        rows.append(
            {
                "dataset": row["dataset"], "condition": one.label, "metric": row["metric"], "n": len(a), "mean": a.mean(), "sd": a.std(), "published_n": theirs[2],
                "published_mean": theirs[0], "published_sd": theirs[1], "difference": found.estimate, "low": found.low,
                "high": found.high, "percent": 100 * found.estimate / abs(theirs[0]) if theirs[0] else np.nan, "p": found.p if a.min() < a.max() else np.nan,
            }
        )  # fmt: skip
    if not rows:
        raise UserError(
            f"{Path(source).name} has no model and series of this study; it has {', '.join(map(str, table['model'].unique()))}."
        )
    out = pd.DataFrame(rows)
    return out.assign(p_adjusted=families.adjust(out["p"].to_numpy(float), correction))


def of_best(runs: pd.DataFrame, source: str | Path) -> pd.DataFrame:
    """The best finished seed of every condition beside the published best. No test: the best of n says as much of n as of the model.

    Returns:
        ``dataset, condition, metric, n, best, published_n, published_best``; empty where the source has no such figure of this study.
    """
    try:
        table = literature.read(source, "best")
    except UserError:
        return pd.DataFrame()
    rows = [
        {
            "dataset": row["dataset"], "condition": one.label, "metric": row["metric"], "n": len(one.finished), "best": one.sign * float(one.errors.min()),
            "published_n": int(row["n"]), "published_best": float(row["mean"]),
        }
        for row, one in matched(runs, table) if len(one.finished)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def matched(runs: pd.DataFrame, table: pd.DataFrame) -> Iterator[tuple[Mapping[Hashable, Any], Condition]]:
    """Every published figure with each condition that it is of, judged by its metric."""
    for row in table.to_dict("records"):
        of_model = runs[(runs["dataset"] == row["dataset"]) & (runs["model"] == row["model"])]
        if not pd.isna(row["K"]):
            of_model = of_model[of_model["K"].isna() | (of_model["K"] == row["K"])]
        for one in Study.of(of_model, Rule(row["metric"])):
            yield row, one
