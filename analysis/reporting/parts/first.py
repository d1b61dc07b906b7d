"""What stands first: every effect with its interval, and every verdict with its key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pandas as pd

from analysis.reporting import plots, sentences, tables
from analysis.reporting.page import slug
from analysis.reporting.parts import lengths
from analysis.reporting.parts.series import PLAIN
from analysis.reporting.section import Plot, Section, Table
from analysis.reporting.tables import called
from analysis.statistics.intervals import median_interval
from analysis.studies.compare import AGAINST, Comparison
from analysis.studies.paths.claims import PathClaim
from analysis.studies.verdicts import DISAGREE, Verdicts
from analysis.study import Condition

SIGN_OF = {
    "better": "▲", "worse": "▼", "equivalent": "=", "no worse": "≥", "undecided": "·", "too few seeds": "?", "too few paths": "?", **dict.fromkeys(DISAGREE.values(), "◆"),
    "beats": "▲", "is beaten": "▼",
}  # fmt: skip

BASELINE = "the best baseline"

MOST_ROWS = 40
"""Conditions in the matrix of the page; its CSV has all."""


def section(verdicts: Verdicts) -> Section:
    part, rule, rows = Section(""), verdicts.study.rule, effects(verdicts)
    unit = "points" if rule.what.in_points else "%"
    what = "Difference of the shares of seeds that succeed" if rule.what.kind == "success" else "Typical difference of a seed's score"
    if len(rows):
        marks = ["●", "■", "◆"]
        key = ", ".join(
            f'<span aria-hidden="true" style="color:var(--c{i})">{marks[i]}</span> against {role}'
            for i, role in enumerate(rows["role"].unique())
        )
        told = f"{'points' if unit == 'points' else 'per cent'}: {{key}}. Intervals are of one comparison each; {{mark}}: told apart after correction for all. Band: ±{rule.within}."
        lines, others = plots.by_number(rows, verdicts.study)
        for number, some in lines.items():
            some = some.assign(panel=[f"{panel}, against {role}" for panel, role in zip(some["panel"], some["role"], strict=True)])
            finds = {str(panel): f"{panel}. {numbers_told(group, rule.sign, unit)}" for panel, group in some.groupby("panel", sort=False)}
            caption = f"{what} by {number}, with its 95 % interval, {told.format(key='above 0 is higher', mark='dots')}"
            drawing = plots.over_number(some, "percent", f"difference, {unit}", zero=True, margin=rule.margin)
            roles = list(rows["role"].unique())
            panels = some[["panel", "role"]].drop_duplicates().sort_values("role", key=lambda role: role.map(roles.index), kind="stable")
            drawing = replace(drawing, names=tuple(panels["panel"]))
            part.plots.append(Plot(f"effects_{slug(number, '')}", caption, drawing, finds))
        if len(others):
            part.plots.append(
                Plot(
                    "effects",
                    f"{what} with its 95 % interval, {told.format(key=key, mark='filled')} Arrow: beyond the axis.",
                    plots.forest(others, rule.margin, rule.sign, unit),
                    {
                        str(dataset): f"{dataset}. {finding(group, rule.sign, unit)}"
                        for dataset, group in others.groupby("dataset", sort=False)
                    },
                )
            )
        part.kept["effects"] = rows
    whole = matrix(verdicts)
    if len(verdicts.study.series) == 1 and verdicts.trends:
        part.plots.append(lengths.main_plot(verdicts))
    if len(whole):
        part.tables.append(Table("verdicts", key_of(verdicts), few(whole, verdicts)))
        part.kept["verdicts"] = tables.flat(whole)
    return part


T = TypeVar("T", Comparison, PathClaim)


def in_order(tests: Sequence[T]) -> list[T]:
    """As they are held against RNN first, then LSTM, then others."""
    place = {model: i for i, model in enumerate(AGAINST)}
    return sorted(tests, key=lambda one: place.get(one.b.model, len(place)))


def key_of(verdicts: Verdicts) -> str:
    seen = (
        {one.verdict for one in verdicts.comparisons} | {one.verdict for one in verdicts.shares} | {one.verdict for one in verdicts.paths}
    )
    signs = list(dict.fromkeys(sign for verdict, sign in SIGN_OF.items() if verdict in seen))
    told = [
        f"{sign} {'too few paths' if sign == '?' and verdicts.paths else tables.SIGNS[sign]}{f' within {verdicts.study.rule.within}' * (sign in '=≥')}"
        for sign in signs
    ]
    both = f" A network that equals another and loses to the baseline (last column of its {verdicts.study.noun}) is no good {verdicts.study.plain}." if seen & {"equivalent", "no worse"} and verdicts.shares else ""  # fmt: skip
    figures = " or the ".join(
        filter(
            None,
            (
                f"probability that a seed of the row has the {verdicts.study.rule.better} than one of the column"
                + f", on average over {sentences.drawn(verdicts.study)} of a process" * bool(verdicts.paths)
                if verdicts.comparisons or verdicts.paths
                else "",
                "share of its seeds that beat the baseline" if verdicts.shares else "",
            ),
        )
    )
    if verdicts.study.spots:
        figures = figures.replace("of the row", "of the condition on top").replace("of the column", "of the one under it")
        return f"Verdicts on the condition on top of a column: {', '.join(told)}. Number: {figures}."
    return f"Verdicts on the row: {', '.join(told)}. Number: {figures}.{both}"


def effects(verdicts: Verdicts) -> pd.DataFrame:
    """Differences in per cent, or in points of a share, a row each: ``dataset, name, role`` (what it is held against), ``percent, low, high, verdict, decided``."""
    study, rows = verdicts.study, []
    chosen = {one.label for conditions in study.series.values() for one in plots.best_conditions(conditions)}
    references = references_of(verdicts)
    for one in in_order(verdicts.comparisons):
        if one.b.model not in references or one.a.label not in chosen or np.isnan(one.percent):
            continue
        ends = [one.a.relative(x, one.b.median) for x in (one.difference.estimate, one.difference.low, one.difference.high)]
        rows.append((one.dataset, called(one.a.name), called(one.b.model), *ends, one.verdict))
    for share in verdicts.shares:
        if share.condition.label in chosen and (share.error or share.condition.points):
            rows.append(
                (share.dataset, called(share.condition.name), BASELINE, *from_baseline(share.condition, share.error), share.verdict)
            )
    table = pd.DataFrame(rows, columns=["dataset", "name", "role", "percent", "low", "high", "verdict"])
    table = table[np.isfinite(table["percent"].astype(float))]
    return table.assign(decided=table["verdict"].isin({"better", "worse", "beats", "is beaten", *DISAGREE.values()}))


def references_of(verdicts: Verdicts) -> set[str]:
    """The models that others are held against: RNN and LSTM, or else the one that most are."""
    held = Counter(one.b.model for one in verdicts.comparisons)
    return {*AGAINST} & {*held} or {model for model, _ in held.most_common(1)}


def from_baseline(one: Condition, error: float) -> tuple[float, float, float]:
    """The median seed's distance from a baseline with the interval that the sign test inverts, per cent of it or points; none where seeds diverged."""
    low, high = (np.nan, np.nan) if one.diverged or one.anytime else median_interval(one.finished)
    found = [one.relative(x - error, error) for x in (one.median, low, high)]
    return found[0], found[1], found[2]


def finding(rows: pd.DataFrame, sign: int, unit: str = "%") -> str:
    """What a panel of the forest shows."""
    words = []
    for role, group in rows.groupby("role", sort=False):
        decided = group[group["decided"]]
        sides = {"better": decided[sign * decided["percent"] < 0], "worse": decided[sign * decided["percent"] > 0]}
        told = [
            f"{side}: {sentences.listed([f'{name} by {abs(gap):.2g} {unit}' for name, gap in zip(some['name'], some['percent'], strict=True)], 4)}"
            for side, some in sides.items()
            if len(some)
        ]
        words.append(f"Against {role}, {'; '.join(told) or 'none is told apart'}.")
    return " ".join(words)


def numbers_told(rows: pd.DataFrame, sign: int, unit: str) -> str:
    """What a panel over a number shows: at which numbers a condition is told apart."""
    words = []
    for name, line in rows[rows["decided"]].groupby("name", sort=False):
        for side, some in (("better", line[sign * line["percent"] < 0]), ("worse", line[sign * line["percent"] > 0])):
            if len(some):
                words.append(
                    f"{name} is {side} at {sentences.listed([f'{x:g}' for x in some['at']])}, by up to {some['percent'].abs().max():.2g} {unit}"
                )
    return f"{'; '.join(words) or 'None is told apart'}."


def matrix(verdicts: Verdicts) -> pd.DataFrame:
    """All verdicts at a glance: a row a condition, a column a series and what it is held against (RNN, LSTM, the best baseline); where series differ in
    a number a row a series, a column a condition and what it is held against.

    A cell is a sign with the probability of the better score against the other's seed, or with the share of seeds that beats the baseline.
    """
    references = references_of(verdicts)
    cells = [
        (one.dataset, one.a.name, called(one.b.name), f"{SIGN_OF[one.verdict]} {one.theta.estimate:.2f}")
        for one in in_order(verdicts.comparisons)
        if one.b.model in references
    ]
    cells += [
        (one.process, one.a.name, called(one.b.name), f"{SIGN_OF[one.verdict]} {one.theta.estimate:.2f}")
        for one in in_order(verdicts.paths)
    ]
    spots = verdicts.study.spots
    cells += [
        (one.dataset, one.condition.name, PLAIN if spots else one.baseline, f"{SIGN_OF[one.verdict]} {one.share:.2f}")
        for one in verdicts.shares
    ]
    if spots:
        rows_of = {dataset: f"{spot.at:g}" if verdicts.study.axis else dataset for dataset, spot in spots.items()}
        names, datasets = list(dict.fromkeys(one.name for one in verdicts.study)), list(spots)
        cells.sort(key=lambda one: (datasets.index(one[0]) if one[0] in spots else len(datasets), names.index(one[1])))
        cells = [(called(name), rows_of.get(dataset, dataset), other, cell) for dataset, name, other, cell in cells]
    over = list(dict.fromkeys(upper for upper, *_ in cells))
    columns = list(dict.fromkeys((upper, other) for name in over for upper, _, other, _ in cells if upper == name))
    table: dict[str, dict[tuple[str, str], str]] = {}
    for upper, name, other, cell in cells:
        table.setdefault(name, {}).setdefault((upper, other), cell)
    rows = [[name if spots else called(name), *(row.get(column, "–") for column in columns)] for name, row in table.items()]
    head = (verdicts.study.axis or verdicts.study.noun) if spots else "condition"
    return pd.DataFrame(rows, columns=pd.MultiIndex.from_tuples([(head, ""), *columns])) if rows else pd.DataFrame()


def few(whole: pd.DataFrame, verdicts: Verdicts) -> pd.DataFrame:
    """Of a large matrix the conditions that may be the best somewhere, or beat another on a process; of many draws of one law the first."""
    study = verdicts.study
    hidden = set(study.series) - set(study.samples) - set(study.spots)
    whole = whole.loc[:, [column[0] not in hidden for column in whole.columns]]
    if len(whole) <= MOST_ROWS or study.spots:
        return whole
    inside = {called(one.condition.name) for one in verdicts.best if one.may_be_best}
    inside |= {called(one.a.name) for one in verdicts.paths if one.verdict == "better"}
    return whole[whole.iloc[:, 0].isin(inside)].head(MOST_ROWS)
