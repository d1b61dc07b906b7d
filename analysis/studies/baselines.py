"""Is a network worth it? The conditions of a study against what needs no network (:mod:`ltm.baselines`), series by series.

A condition is held against the best baseline of its series: the one with the best test score, a choice that favours the baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics import Outcome, wins
from analysis.statistics.families import ALPHA
from analysis.statistics.success.shares import wilson
from analysis.studies import compare
from analysis.study import Condition, Study
from analysis.table import frame
from sweeps.store.ledger import Ledger
from sweeps.store.tables import BASELINES

CONSTANTS = ("mean", "constant", "majority")
"""Kinds of baselines that read no input."""


@dataclass(frozen=True, eq=False)
class Share:
    """The seeds of a condition against the best baseline of its series.

    Attributes:
        baseline: its label; its ``kind`` and ``error``.
        beating: seeds with a better score; a diverged seed has none.
        level: score of the best constant, such as the majority class; NaN where there is none.
        low, high: Wilson's (1927) 95 % interval of the ``share`` that they are.
        p: of the exact two-sided binomial test, null hypothesis: half of the seeds whose error is another than the baseline's. Where results decided how many
            seeds there are, both are of bets (:mod:`analysis.statistics.sequential.bets`).
        learned: whether the mean over finished seeds beats every constant, the best one in hindsight included.
        p_adjusted: corrected over its family, NaN until :func:`analysis.studies.verdicts.judge` has.
        verdict: beats, is beaten, too few seeds or undecided.
    """

    condition: Condition
    baseline: str
    kind: str
    error: float
    beating: int
    low: float
    high: float
    p: float
    learned: bool
    level: float = np.nan
    p_adjusted: float = np.nan
    verdict: str = ""

    @property
    def dataset(self) -> str:
        return self.condition.dataset

    @property
    def n(self) -> int:
        return len(self.condition.errors)

    @property
    def share(self) -> float:
        return self.beating / self.n

    @property
    def mean_beats(self) -> bool:
        """Whether the mean over finished seeds beats the baseline."""
        return self.condition.sign * (self.condition.mean - self.error) < 0

    @property
    def above_level(self) -> int:
        """Seeds with a better score than every constant: those that learned anything."""
        one = self.condition
        return int((one.errors < one.sign * self.level).sum())

    def row(self) -> dict[str, Any]:
        one = self.condition
        return {
            "dataset": one.dataset, "fingerprint": one.fingerprint, "condition": one.label, "name": one.name, "baseline": self.baseline,
            "kind": self.kind, "error": self.error, "n": self.n, "diverged": one.diverged, "beating": self.beating, "share": self.share,
            "low": self.low, "high": self.high, "p": self.p, "mean": one.mean, "mean_beats": self.mean_beats, "learned": self.learned, "above_level": self.above_level,
            "p_adjusted": self.p_adjusted, "verdict": self.verdict,
        }  # fmt: skip


def known(ledger: Ledger, record: dict[str, Any], metric: str) -> pd.DataFrame:
    """The baselines of a study that have this metric; none where ``baselines=none`` turned them off or an older ltm trained the study."""
    if (record.get("config") or {}).get("baselines") == "none" or metric not in BASELINES.names:
        return pd.DataFrame()
    found = ledger.baselines()
    return found[found[metric].notna()]


def against(study: Study) -> list[Share]:
    """Every condition of a series with baselines against the best of these; no p corrected yet."""
    held = study.baselines
    if held.empty:
        return []
    forecasts = held[held["baseline"] != "constant"].sort_values(study.metric, kind="stable", ascending=study.rule.sign > 0)
    best = {row["fingerprint"]: row for row in forecasts.drop_duplicates("fingerprint").to_dict("records")}
    constants = held[held["baseline"].isin(CONSTANTS)].groupby("fingerprint")[study.metric]
    level = constants.min() if study.rule.sign > 0 else constants.max()
    shares = []
    for one in study:
        if one.fingerprint not in best:
            continue
        row = best[one.fingerprint]
        error = float(row[study.metric])
        beating, untied = int((one.errors < one.sign * error).sum()), int((one.errors != one.sign * error).sum())
        interval = wilson(beating, len(one.errors))
        p = float(wins.sign_p(np.array(beating), np.array(untied)))
        if one.anytime:
            p, interval = so_far(one, error)
        constant = float(level.get(one.fingerprint, np.nan))
        learned = one.sign * one.mean < one.sign * constant if np.isfinite(constant) else len(one.finished) > 0
        shares.append(
            Share(one, str(row["label"]), str(row["baseline"]), error, beating, interval.low, interval.high, p, bool(learned), constant)
        )
    return shares


def so_far(one: Condition, error: float) -> tuple[float, Outcome]:
    """p and the interval of the share of seeds that beat a constant, to be read after every pack of ten seeds."""
    constant = replace(one, errors=np.full(len(one.errors), one.sign * error), draws=None)
    found = compare.read(replace(one, draws=None), constant, interval=True)
    return found.p, Outcome(found.theta, found.low, found.high, p=found.p)


def verdict(one: Share, tests: int) -> str:
    """Does more than half, or less, of a condition's seeds beat the baseline? The p is corrected over so many tests."""
    if one.p_adjusted < ALPHA:
        return "beats" if one.share > 0.5 else "is beaten"
    return "too few seeds" if wins.floor(one.n, one.n) * tests >= ALPHA and not one.condition.anytime else "undecided"


def summary_rows(summary: pd.DataFrame, findings: Sequence[Share], study: Study) -> pd.DataFrame:
    """The summary of conditions with what share of seeds beats the best baseline, and the baselines as rows of their own after each series.

    Returns:
        The columns of :func:`analysis.studies.summary.summarise`, and ``baseline, beating, share, share_low, share_high, p_share, p_share_adjusted, mean_beats, above_level``.
    """
    shares, held = frame(findings), study.baselines
    columns = {"low": "share_low", "high": "share_high", "p": "p_share", "p_adjusted": "p_share_adjusted"}
    kept = ["condition", "baseline", "beating", "share", *columns.values(), "mean_beats", "above_level"]
    table = summary.merge(shares.rename(columns=columns)[kept], on="condition", how="left", sort=False)
    table = table.astype(
        dict.fromkeys(("K", "runs", "diverged", "finished", "beating", "above_level"), "Int64") | {"mean_beats": "boolean"}
    )
    parts = []
    for dataset, group in table.groupby("dataset", sort=False):
        mine = held[held["fingerprint"].isin(shares.loc[shares["dataset"] == dataset, "fingerprint"])]
        rows = pd.DataFrame(
            {
                "dataset": dataset,
                "model": mine["label"],
                "name": mine["label"],
                "condition": mine["label"] + f" / {dataset}",
                "mean": mine[study.metric],
            }
        )
        parts += [group, rows.reindex(columns=table.columns).astype(table.dtypes)] if len(rows) else [group]
    return pd.concat(parts, ignore_index=True)
