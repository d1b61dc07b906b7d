"""What the claims of Zhao et al. (2020) are judged from, and what all their rules share.

Every p is of one of the report's two families (:mod:`analysis.studies.verdicts`). Outside of them are intervals of d, counts of laws of decay, and
the check against published means; each is named where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pandas as pd

from analysis.studies.compare import Comparison
from analysis.studies.memory.forgetting import Memory
from analysis.studies.verdicts import ALPHA, Verdicts
from analysis.studies.zhao2020.pairs import Ask, find, named
from analysis.study import Condition, Study
from analysis.table import OfSeries, of_series

SEEDS_FOR_LAWS = 20
"""Seeds of a condition, the first by number, whose responses the report measures."""

UPHELD, PART, NOT = "upheld", "upheld in part", "not upheld"
FEW = "not tested: too few seeds"


class Lacking(Exception):
    """What a claim needs and the study has not; never leaves this package."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(dict.fromkeys(names))


@dataclass(frozen=True, eq=False)
class Evidence:
    """What claims are judged from.

    Attributes:
        memory: of the series and residuals (:func:`analysis.studies.memory.forgetting.measure`).
        laws: of decay, :func:`analysis.studies.memory.forgetting.law_table` of the first :data:`SEEDS_FOR_LAWS` seeds.
        published: the check against Table 2 (:func:`analysis.studies.published.published`).
    """

    verdicts: Verdicts
    memory: Memory = field(default_factory=Memory)
    laws: pd.DataFrame = field(default_factory=pd.DataFrame)
    published: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def study(self) -> Study:
        return self.verdicts.study

    def conditions(self, specs: Iterable[tuple[str, str]]) -> list[Condition]:
        """The conditions of (model, series)."""
        found = [(find(self.study, spec, dataset), f"{named(spec)} / {dataset}") for spec, dataset in specs]
        if lacking := [name for one, name in found if one is None or not len(one.errors)]:
            raise Lacking(lacking)
        return [one for one, _ in found if one is not None]

    def tests(self, wanted: Sequence[Ask]) -> list[Comparison]:
        """The comparisons of these pairs."""
        self.conditions([(spec, dataset) for a, b, dataset in wanted for spec in (a, b)])
        table = {(one.a.label, one.b.label): one for one in self.verdicts.comparisons}
        labels = [[one.label for one in self.conditions([(a, dataset), (b, dataset)])] for a, b, dataset in wanted]
        if lacking := [f"{a} against {b}" for a, b in labels if (a, b) not in table]:
            raise Lacking(lacking)
        return [table[a, b] for a, b in labels]


def won(one: Comparison) -> bool:
    return one.theta.estimate > 0.5 and one.p_adjusted < ALPHA


def lost(one: Comparison) -> bool:
    return one.theta.estimate < 0.5 and one.p_adjusted < ALPHA


def not_worse(one: Comparison) -> bool:
    return one.p_no_worse_adjusted < ALPHA


def verdict_of(shown: Sequence[bool], few: bool) -> str:
    """Upheld where all tests show a claim, in part where some do, else not upheld; ``few``: whether no test could show anything."""
    if few and not any(shown):
        return FEW
    return UPHELD if all(shown) else PART if any(shown) else NOT


def too_few(tests: Iterable[Comparison]) -> bool:
    return all(one.verdict == "too few seeds" for one in tests)


Found = TypeVar("Found", bound=OfSeries)


def by_series(found: Iterable[Found], cell: Callable[[Found], str]) -> str:
    """``dji 0.64 ▲, 0.70 ▲; tree ...``."""
    return "; ".join(f"{dataset} {', '.join(map(cell, some))}" for dataset, some in of_series(found).items())


def theta(one: Comparison) -> str:
    return f"{one.theta.estimate:.2f} {'▲' if won(one) else '▼' if lost(one) else '·'}"


def probability(p: float) -> str:
    return "no p" if np.isnan(p) else "p < 1e-12" if p < 1e-12 else f"p = {p:.2g}"


Judge = Callable[[Evidence], tuple[str, str]]
