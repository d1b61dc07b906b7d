"""Is a network worth it? The conditions of a study against the forecasts that need no network (:mod:`ltm.baselines`), series by series.

A condition is held against the best baseline of its series: the one with the least test error, a choice that favours the baseline.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.statistics import wins
from analysis.study import Study
from sweeps.ledger import Ledger
from sweeps.tables import BASELINES

COLUMNS = [
    "dataset", "fingerprint", "condition", "name", "baseline", "kind", "error", "n", "diverged", "beating", "share", "low", "high", "p", "mean",
    "mean_beats", "learned",
]  # fmt: skip
"""Of the table of :func:`against`, which says what each holds."""

NONE = BASELINES.empty_table().to_pandas()
"""No baselines."""


def known(ledger: Ledger, record: dict[str, Any], metric: str) -> pd.DataFrame:
    """The baselines of a study that have this metric; none where ``baselines=none`` turned them off or an older ltm trained the study."""
    if (record.get("config") or {}).get("baselines") == "none" or metric not in BASELINES.names:
        return NONE
    return ledger.baselines()


def against(study: Study, held: pd.DataFrame) -> pd.DataFrame:
    """Every condition against the best baseline of its series; p-values not yet corrected (:mod:`analysis.studies.verdicts`).

    Args:
        held: baselines, rows of :meth:`sweeps.ledger.Ledger.baselines`.

    Returns:
        ``baseline`` (its label), its ``kind`` and ``error``; ``beating`` of ``n`` seeds have a smaller error, a diverged seed does not;
        ``share`` with Wilson's (1927) 95 % interval; ``p`` of the exact two-sided binomial test, null hypothesis: half of the seeds whose error is another than the baseline's;
        ``mean`` over finished seeds, and whether it ``mean_beats`` the baseline; ``learned``: whether it beats every constant, the best one
        in hindsight included.
    """
    forecasts = held[held["baseline"] != "constant"].sort_values(study.metric, kind="stable")
    best = {row["fingerprint"]: row for row in forecasts.drop_duplicates("fingerprint").to_dict("records")}
    level = held[held["baseline"].isin(["mean", "constant"])].groupby("fingerprint")[study.metric].min()
    rows = []
    for one in study:
        if one.fingerprint not in best:
            continue
        row, n = best[one.fingerprint], len(one.errors)
        error = float(row[study.metric])
        beating, untied = int((one.errors < error).sum()), int((one.errors != error).sum())
        interval = stats.binomtest(beating, n).proportion_ci(method="wilson")
        rows.append(
            {
                "dataset": one.dataset, "fingerprint": one.fingerprint, "condition": one.label, "name": one.name, "baseline": row["label"],
                "kind": row["baseline"], "error": error, "n": n, "diverged": one.diverged, "beating": beating, "share": beating / n, "low": interval.low,
                "high": interval.high, "p": float(wins.sign_p(np.array(beating), np.array(untied))), "mean": one.mean, "mean_beats": one.mean < error,
                "learned": one.mean < level.get(one.fingerprint, np.inf),
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def verdict(share: float, p: float, n: int, tests: int, alpha: float = 0.05) -> str:
    """Does more than half, or less, of a condition's seeds beat the baseline? ``beats``, ``is beaten``, ``too few seeds`` or ``undecided``."""
    if p < alpha:
        return "beats" if share > 0.5 else "is beaten"
    return "too few seeds" if wins.floor(n, n) * tests >= alpha else "undecided"


def summary_rows(summary: pd.DataFrame, shares: pd.DataFrame, held: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The summary of conditions with what share of seeds beats the best baseline, and the baselines as rows of their own after each series.

    Returns:
        The columns of :func:`analysis.studies.summary.summarise`, and ``baseline, beating, share, share_low, share_high, p_share, p_share_adjusted, mean_beats``.
    """
    columns = {"low": "share_low", "high": "share_high", "p": "p_share", "p_adjusted": "p_share_adjusted"}
    kept = ["condition", "baseline", "beating", "share", *columns.values(), "mean_beats"]
    table = summary.merge(shares.rename(columns=columns)[kept], on="condition", how="left", sort=False)
    table = table.astype(dict.fromkeys(("K", "runs", "diverged", "finished", "beating"), "Int64") | {"mean_beats": "boolean"})
    parts = []
    for dataset, group in table.groupby("dataset", sort=False):
        mine = held[held["fingerprint"].isin(shares.loc[shares["dataset"] == dataset, "fingerprint"])]
        rows = pd.DataFrame(
            {"dataset": dataset, "model": mine["label"], "condition": mine["label"] + f" / {dataset}", "mean": mine[metric]}
        )
        parts += [group, rows.reindex(columns=table.columns).astype(table.dtypes)] if len(rows) else [group]
    return pd.concat(parts, ignore_index=True)
