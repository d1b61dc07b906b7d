"""The questions, asked of anybody's seeds: a table with a row a seed run, as a DataFrame, a CSV or a Parquet file, or a :class:`Study`.

Every function takes the same keywords: ``model, dataset, seed, score, K, by`` name columns (:class:`analysis.columns.Columns`; found by their names where they
are not given), ``higher_is_better``, ``correction`` and ``margin`` say how it is judged (:class:`analysis.study.Rule`). All raise UserError, one line, for a table
that lacks a column or has a cell that is no seed's score.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import pandas as pd

from analysis.columns import Columns, read
from analysis.studies import summary
from analysis.studies.compare import Pair, pairs_of
from analysis.studies.verdicts import Verdicts, judge
from analysis.study import MARGIN, Rule, Study
from analysis.table import frame, of_series

if TYPE_CHECKING:
    from rich.console import Console

Table = pd.DataFrame | str | Path

FEW = 6
"""Conditions of a series up to which a report compares all pairs; of more, every one with those of the first model."""


class How(TypedDict, total=False):
    """Which column is what, and how it is judged."""

    model: str | None
    dataset: str | None
    seed: str | None
    score: str | None
    K: str | None
    by: Sequence[str] | None
    higher_is_better: bool | None
    correction: str
    margin: float


def study_of(table: Table | Study, **how: Unpack[How]) -> Study:
    """The study of a table; one that is a study already stays as it is."""
    if isinstance(table, Study):
        return table
    columns = Columns(how.get("model"), how.get("dataset"), how.get("seed"), how.get("score"), how.get("K"), how.get("by"))
    rule = Rule(correction=how.get("correction", "holm"), margin=how.get("margin", MARGIN), higher_is_better=how.get("higher_is_better"))
    if isinstance(table, pd.DataFrame):
        return Study.of(table, rule, columns=columns)
    return Study.of(read(table), rule, columns=columns, source=Path(table).name)


def compare(table: Table | Study, a: str | None = None, b: str | None = None, **how: Unpack[How]) -> pd.DataFrame:
    """Does a beat b? A row a comparison, with its verdict; the columns are those of ``tests.csv`` (:class:`analysis.studies.compare.Comparison`), or, of a study
    of many paths, those of ``paths.csv`` (:class:`analysis.studies.paths.claims.PathClaim`), a row a claim about the process.

    Args:
        a, b: models or conditions; every pair of each series where neither is given.
    """
    study = study_of(table, **how)
    pairs = pairs_of(study, a, b) if a is not None and b is not None else pairs_among(study)
    found = judge(study, pairs, whole=False)
    return frame(found.paths or found.comparisons)


def summarise(table: Table | Study, **how: Unpack[How]) -> pd.DataFrame:
    """A row a condition: seeds, mean with its 95 % interval, median, quantiles (:func:`analysis.studies.summary.summarise`)."""
    return summary.summarise(study_of(table, **how))


@dataclass(frozen=True, eq=False)
class Recommendation:
    """Which conditions may be the best of each series, and which K will do; printed, a line each.

    Attributes:
        best: a row a condition (:class:`analysis.studies.best.Place`).
        lengths: a row a model and series whose K varies (:class:`analysis.studies.filter_length.Trend`); empty where none does.
    """

    best: pd.DataFrame
    lengths: pd.DataFrame
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.lines)


def recommend(table: Table | Study, **how: Unpack[How]) -> Recommendation:
    """Which conditions may be the best (no other beats them), and the shortest K shown to be no worse than every other."""
    from analysis.reporting import sentences

    found = judge(study_of(table, **how), pairs=[])
    lines = [f"{dataset}: {sentences.best(places, found)}" for dataset, places in of_series(found.best).items()]
    lines += [f"{trend.dataset}: {sentences.length(trend, found)}" for trend in found.trends]
    return Recommendation(frame(found.best), frame(found.trends), tuple(lines))


def report(
    table: Table | Study,
    to: str | Path | None = None,
    console: Console | None = None,
    formats: Collection[str] = ("csv",),
    **how: Unpack[How],
) -> str:
    """Write the report of a table: ``index.html``, ``tables/``, ``figures/``. Without a ledger it has no curves, baselines and provenance.

    Args:
        to: a folder; by default ``NAME_report`` beside the file ``NAME.csv``, ``report`` in the working directory for a DataFrame.
        console: where to print the verdicts.
        formats: of the files beside the page (:data:`analysis.reporting.page.FORMATS`).

    Returns:
        The path of ``index.html``.
    """
    from analysis.reporting.build import write_table

    path = None if isinstance(table, pd.DataFrame | Study) else Path(table)
    folder = Path(to) if to else path.with_name(f"{path.stem}_report") if path else Path("report")
    return write_table(judged(study_of(table, **how)), folder, path, console, formats)


def judged(study: Study) -> Verdicts:
    """All that a report says of a study that is no ledger's."""
    return judge(study, pairs_among(study))


def pairs_among(study: Study) -> list[Pair]:
    """All pairs of every series of few conditions; in one of more, every condition with those of the first model."""
    found: list[Pair] = []
    for conditions in study.series.values():
        first = conditions[0].model
        found += [(a, b) for a, b in itertools.combinations(conditions, 2) if len(conditions) <= FEW or first in (a.model, b.model)]
    return found
