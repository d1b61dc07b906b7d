"""The filter-length study: K as the ordered factor that it is. Does the error fall with it, and which is the shortest that will do?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics.families import ALPHA
from analysis.statistics.intervals import mean_interval
from analysis.statistics.success import shares
from analysis.statistics.trend import shortest, trend
from analysis.studies.summary import counts
from analysis.study import Condition, Study


@dataclass(frozen=True, eq=False)
class Trend:
    """One model of one series over its filter lengths.

    Attributes:
        model: with what else was varied.
        by_length: its conditions by K, ascending.
        J, p: of :func:`analysis.statistics.trend.trend`; a longer filter has the smaller error with probability 1/2 + J; null hypothesis: J = 0.
        no_worse: of every K, p of "no worse, by more than the margin, than every other K"; empty where some score is below 0.
        p_adjusted, no_worse_adjusted: corrected over their family, NaN until :func:`analysis.studies.verdicts.judge` has.
    """

    dataset: str
    model: str
    by_length: dict[int, Condition]
    J: float
    p: float
    no_worse: dict[int, float]
    p_adjusted: float = np.nan
    no_worse_adjusted: dict[int, float] = field(default_factory=dict)

    @property
    def paired(self) -> bool:
        """Whether every K starts its seeds from the same parameters: errors are then paired over K."""
        first, *others = self.by_length.values()
        return all(first.pairs_with(other) for other in others)

    @property
    def lengths(self) -> str:
        """``25, 50, 100``."""
        return ", ".join(map(str, self.by_length))

    @property
    def seeds(self) -> int:
        """Of the K that has the fewest."""
        return min(len(one.errors) for one in self.by_length.values())

    @property
    def diverged(self) -> int:
        """Seeds of all K."""
        return sum(one.diverged for one in self.by_length.values())

    @property
    def recommended(self) -> int | None:
        """The shortest K shown to be no worse than every other; None where there is none."""
        return next((K for K, p in self.no_worse_adjusted.items() if p < ALPHA), None)

    @property
    def p_recommended(self) -> float:
        """Of the recommended K; the smallest of any K where none is."""
        known = [p for p in self.no_worse_adjusted.values() if not np.isnan(p)]
        return min(known, default=np.nan) if self.recommended is None else self.no_worse_adjusted[self.recommended]

    def row(self) -> dict[str, Any]:
        return {
            "dataset": self.dataset, "model": self.model, "lengths": self.lengths, "seeds": self.seeds, "diverged": self.diverged,
            "paired": self.paired, "J": self.J, "p": self.p, "p_adjusted": self.p_adjusted, "recommended": self.recommended,
            "p_recommended": self.p_recommended,
        }  # fmt: skip


def trends(study: Study) -> list[Trend]:
    """Every model and series that was trained with several K; no p corrected yet. None where results decided how many seeds there are."""
    found: list[Trend] = []
    if study.rule.anytime:
        return found
    for (dataset, model), by_length in study.lengths().items():
        errors = {K: one.errors for K, one in by_length.items()}
        bare = Trend(dataset, model, by_length, np.nan, np.nan, {})
        over = trend(errors, bare.paired)
        asked = not any(one.below_0 for one in by_length.values())
        if study.rule.what.kind == "success":
            p, no_worse = of_success(by_length, study.rule.margin)
            found.append(replace(bare, J=over.estimate, p=over.p if bare.paired else p, no_worse=no_worse))
            continue
        first = next(iter(by_length.values()))
        no_worse = shortest(errors, study.rule.margin, bare.paired, study.rule.sign, first.points) if asked else {}
        found.append(replace(bare, J=over.estimate, p=over.p, no_worse=no_worse))
    return found


def of_success(by_length: Mapping[int, Condition], margin: float) -> tuple[float, dict[int, float]]:
    """p of no trend of the share of seeds that succeed, and of every K that it is no worse than any other."""
    counts = {K: (int(-one.errors.sum()), len(one.errors)) for K, one in by_length.items()}
    p = shares.trend(*zip(*counts.values(), strict=True)).p
    return 1.0 if np.isnan(p) else p, {
        K: max(shares.no_worse(*mine, *counts[L], margin / 100) for L in counts if L != K) for K, mine in counts.items()
    }


def no_worse_lengths(trends: Iterable[Trend]) -> pd.DataFrame:
    """A row a K of every model and series: ``p, p_adjusted`` of "no worse, by more than the margin, than every other K"."""
    return pd.DataFrame(
        [
            {"dataset": one.dataset, "model": one.model, "K": K, "p": p, "p_adjusted": one.no_worse_adjusted.get(K, np.nan)}
            for one in trends
            for K, p in one.no_worse.items()
        ]
    )


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
