"""Is a network worth it? The conditions of a study against the forecasts that need no network (:mod:`ltm.baselines`), series by series.

A condition is held against the best baseline of its series: the one with the least test error, a choice that favours the baseline.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.sample import judged
from analysis.tables import p_value, shown
from sweeps.ledger import Ledger
from sweeps.tables import BASELINES

COLUMNS = [
    "dataset", "fingerprint", "condition", "baseline", "kind", "error", "n", "beating", "share", "low", "high", "p", "p_adjusted", "mean",
    "mean_beats", "learned", "verdict",
]  # fmt: skip
"""Of the table of :func:`against`, which says what each holds."""

KINDS = {
    "mean": "the mean of the training part", "last value": "the last value", "AR": "a linear forecast", "ARFIMA": "a linear forecast"
}  # fmt: skip
SYMBOLS = {"beats": "▲", "is beaten": "▼", "undecided": "·"}


def known(ledger: Ledger, record: dict[str, Any], metric: str) -> pd.DataFrame:
    """The baselines of a study that have this metric; none where ``baselines=none`` turned them off or an older ltm trained the study."""
    if (record.get("config") or {}).get("baselines") == "none" or metric not in BASELINES.names:
        return BASELINES.empty_table().to_pandas()
    return ledger.baselines()


def against(runs: pd.DataFrame, held: pd.DataFrame, metric: str = "test_rmse", rule: str = "worst") -> pd.DataFrame:
    """Every condition against the best baseline of its series; p-values not yet corrected (:func:`analysis.compare.together`).

    Args:
        runs: rows of a ledger.
        held: baselines, rows of :meth:`sweeps.ledger.Ledger.baselines`.

    Returns:
        ``baseline`` (its label), its ``kind`` and ``error``; ``beating`` of ``n`` seeds have a smaller error, a diverged seed does not;
        ``share`` with Wilson's (1927) 95 % interval; ``p`` of the exact two-sided binomial test, null hypothesis: share = 1/2;
        ``mean`` over seeds, diverged ones by the rule, and whether it ``mean_beats`` the baseline; ``learned``: whether it beats every
        constant, the best one in hindsight included.
    """
    forecasts = held[held["baseline"] != "constant"].sort_values(metric, kind="stable")
    best = {row["fingerprint"]: row for row in forecasts.drop_duplicates("fingerprint").to_dict("records")}
    level = held[held["baseline"].isin(["mean", "constant"])].groupby("fingerprint")[metric].min()
    rows = []
    for (dataset, fingerprint, label), group in judged(runs, metric, rule).groupby(["dataset", "fingerprint", "condition"], sort=False):
        if fingerprint not in best:
            continue
        row = best[fingerprint]
        n, beating = len(group), int((group["finished"] & (group[metric] < row[metric])).sum())
        test, mean = stats.binomtest(beating, n), float(group["value"].mean())
        interval = test.proportion_ci(method="wilson")
        rows.append(
            {
                "dataset": dataset, "fingerprint": fingerprint, "condition": label, "baseline": row["label"], "kind": row["baseline"],
                "error": row[metric], "n": n, "beating": beating, "share": beating / n, "low": interval.low, "high": interval.high,
                "p": test.pvalue, "mean": mean, "mean_beats": mean < row[metric], "learned": mean < level.get(fingerprint, np.inf),
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def verdict(share: float, p: float, alpha: float = 0.05) -> str:
    """``beats``, ``is beaten`` or ``undecided``: does more than half, or less, of a condition's seeds beat the baseline?"""
    return "undecided" if not p < alpha else "beats" if share > 0.5 else "is beaten"


def summary_rows(summary: pd.DataFrame, shares: pd.DataFrame, held: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The summary of conditions with what share of seeds beats the best baseline, and the baselines as rows of their own after each series.

    Returns:
        The columns of :func:`analysis.summarise`, and ``baseline, beating, share, share_low, share_high, p_share, p_share_adjusted, mean_beats``.
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


def beaten(row: pd.Series) -> str:
    """``22 of 100 (15 to 31 %)``: the seeds of a condition that beat the best baseline, and Wilson's interval of their share."""
    return f"{row['beating']} of {row['n']} ({100 * row['low']:.0f} to {100 * row['high']:.0f} %)"


def first_words(shares: pd.DataFrame, held: pd.DataFrame, metric: str) -> pd.DataFrame:
    """What the report says first, a sentence a series (``dataset, sentence``): does any network beat the best baseline, or learn anything?"""
    lines = []
    for (dataset, fingerprint), rows in shares.groupby(["dataset", "fingerprint"], sort=False):
        errors = held[held["fingerprint"] == fingerprint].set_index("baseline")[metric].astype(float)
        lines.append((dataset, in_words(str(dataset), rows, metric, errors)))
    return pd.DataFrame(lines, columns=["dataset", "sentence"])


def in_words(dataset: str, rows: pd.DataFrame, metric: str, errors: pd.Series) -> str:
    """One series' sentence; ``rows`` of :func:`against`, ``errors`` of the baselines by kind."""
    first, tests = rows.iloc[0], "tests at" if metric.startswith("test") else "has"
    line = f"{first['baseline']} {tests} {shown(float(first['error']))}"
    if rows["mean"].isna().all():
        return f"{dataset}: no network finished; {line}."
    best = rows.iloc[int(np.nanargmin(rows["mean"].to_numpy(float)))]
    network = f"the best network's mean ({short(best)}) is {shown(best['mean'])}; {best['beating']} of {best['n']} of its seeds beat it"
    network += f" (95 % interval of the share {100 * best['low']:.0f} to {100 * best['high']:.0f} %)"
    if not rows["learned"].any():
        level, constant = float(errors["mean"]), float(errors.get("constant", np.nan))
        nothing = f"the networks learned nothing: no condition's mean beats the mean of the training part ({shown(level)})"
        if (rows["mean"] < level).any():
            nothing = f"the networks learned nothing: no condition's mean beats a constant (the best in hindsight, {shown(constant)})"
        return f"{dataset}: {nothing}. {line}, {network}."
    winners = int(rows["mean_beats"].sum())
    if winners:
        count = f"{winners} of {len(rows)} networks beat" if len(rows) > 1 else "the network beats"
    else:
        count = "no network beats" if len(rows) > 1 else "the network does not beat"
    idle = [short(row) for _, row in rows[~rows["learned"]].iterrows()]
    more = f" and {len(idle) - 5} more" if len(idle) > 5 else ""
    rest = f" No better on average than a constant: {', '.join(idle[:5])}{more}." if idle else ""
    return f"{dataset}: {count} {KINDS[first['kind']]} on average: {line}, {network}.{rest}"


def claim(row: pd.Series, correction: str, family: int) -> str:
    """One condition against the best baseline of its series, as a sentence; p corrected over ``family`` tests."""
    corrected = {"holm": "Holm", "bh": "Benjamini-Hochberg", "none": "uncorrected"}[correction]
    side = {"beats": "beats", "is beaten": "is beaten by", "undecided": "is not told apart from"}[row["verdict"]]
    if row["verdict"] == "undecided" and 2.0 ** (1 - row["n"]) * (1 if correction == "none" else family) >= 0.05:
        side = f"has too few seeds for a verdict (tests: {family}) against"
    seeds = f"{row['beating']} of {row['n']} seeds have the smaller error ({100 * row['low']:.0f} to {100 * row['high']:.0f} %)"
    tested = f"{p_value(row['p_adjusted'])} (exact binomial test of the share against 1/2, {corrected} over {family})"
    mean = f"its mean {shown(row['mean'])} is {'below' if row['mean_beats'] else 'not below'} {shown(float(row['error']))}"
    return f"{short(row)} {side} {row['baseline']}: {seeds}; {tested}; {mean}."


def short(row: pd.Series) -> str:
    """A condition without its series."""
    return str(row["condition"]).rsplit(" / ", 1)[0]
