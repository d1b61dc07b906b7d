"""The filter length K: errors, and what seeds that share their start show of it, which intervals of means cannot."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.reporting import plots, sentences, tables
from analysis.reporting.section import Plot, Section, Table
from analysis.reporting.tables import called
from analysis.statistics import wins
from analysis.studies.filter_length import no_worse_lengths
from analysis.studies.summary import summarise
from analysis.studies.verdicts import Verdicts
from analysis.study import Study
from analysis.table import frame


def section(verdicts: Verdicts) -> Section:
    part = Section("Filter length K")
    if not verdicts.trends:
        return part
    means, steps = by_length(verdicts), paired(verdicts)
    if len(verdicts.study.series) > 1:
        part.plots.append(main_plot(verdicts))
    if len(steps):
        caption = f"Mean {verdicts.study.rule.what.noun} by K with the 95 % interval of each mean, which says little of seeds that share their start."
        part.plots.append(Plot("filter_length", caption, plots.filter_length(means, verdicts.study), in_words(means, "mean", verdicts)))
        part.kept["filter_length_paired"] = steps
    part.tables += [
        Table(
            "filter_length",
            "Means by K with the 95 % interval of each (seeds that finished, where some did not).",
            of_lengths(means, verdicts.study),
        ),
        Table("filter_trend", about_trends(verdicts), of_trends(verdicts)),
    ]
    part.kept |= {"filter_length": means, "filter_trend": frame(verdicts.trends), "filter_no_worse": no_worse_lengths(verdicts.trends)}
    return part


def main_plot(verdicts: Verdicts) -> Plot:
    """What the tests over K are about: paired differences where seeds share their start, else means."""
    means, steps = by_length(verdicts), paired(verdicts)
    if steps.empty:
        caption = f"Mean {verdicts.study.rule.what.noun} by K with the 95 % interval of each mean."
        return Plot("filter_length", caption, plots.filter_length(means, verdicts.study), in_words(means, "mean", verdicts))
    unit = "points" if verdicts.study.points else "%"
    caption = (
        f"Seeds that share their start, K against the shortest K: median of the paired differences with its 95 % interval, {unit.replace('%', 'per cent')}. The tests over K are about"
        " these; intervals of means, which overlap, cannot show them."
    )
    return Plot("filter_length_paired", caption, plots.paired_lengths(steps, unit), in_words(steps, "percent", verdicts))


def by_length(verdicts: Verdicts) -> pd.DataFrame:
    """The summary of the conditions whose K varies: each mean with the one interval that it has everywhere."""
    place = {one.label: (trend.model, i) for trend in verdicts.trends for i, one in enumerate(trend.by_length.values())}
    rows = summarise(verdicts.study.only(place))
    return rows.assign(model=[place[label][0] for label in rows["condition"]])


def paired(verdicts: Verdicts) -> pd.DataFrame:
    """Of seeds that share their start: ``dataset, model, K``, and the median difference from the shortest K, ``percent`` of its median or in points, with ``low, high``."""
    rows = []
    for trend in verdicts.trends:
        first, *others = trend.by_length.items()
        level = first[1].median
        if not trend.paired or np.isnan(first[1].relative(0.0, level)):
            continue
        rows.append((trend.dataset, trend.model, first[0], 0.0, 0.0, 0.0))
        for K, one in others:
            gap = wins.paired_difference(one.errors, first[1].errors).turned(one.sign)
            percent = [one.relative(x, level) if np.isfinite(x) else np.nan for x in (gap.estimate, gap.low, gap.high)]
            rows.append((trend.dataset, trend.model, K, percent[0], percent[1], percent[2]))
    return pd.DataFrame(rows, columns=["dataset", "model", "K", "percent", "low", "high"])


def in_words(table: pd.DataFrame, value: str, verdicts: Verdicts) -> dict[str, str]:
    """What each panel shows: from the shortest K to the longest, model by model."""
    found, points = {}, verdicts.study.points
    for dataset, rows in table.groupby("dataset", sort=False):
        told = []
        for model, line in rows.groupby("model", sort=False):
            first, last = line.iloc[0], line.iloc[-1]
            ends = [float(row[value]) for row in (first, last)]
            if value == "percent":
                said = f"{tables.shown(ends[0])} to {tables.shown(ends[1])} {'points' if points else '%'}"
            else:
                said = " to ".join(tables.score(end, points) for end in ends)
            told.append(f"{called(str(model))} from {said}, K = {first['K']} to {last['K']}")
        what = "paired difference from the shortest K" if value == "percent" else f"mean {verdicts.study.rule.what.noun}"
        found[str(dataset)] = f"{dataset}, {what}: {'; '.join(told)}."
    return found


def of_lengths(means: pd.DataFrame, study: Study) -> pd.DataFrame:
    """A row a series and model, a column a K, with one power of ten a series."""
    lengths, rows = sorted(means["K"].unique()), []
    for dataset, group in means.groupby("dataset", sort=False):
        power, by = tables.scale(group["mean"], study.points)
        cells = tables.column_with_intervals(group, ("mean", "low", "high"), power)
        some = [f" [{n} of {N}]" if n < N else "" for n, N in zip(group["finished"], group["runs"], strict=True)]
        known = {(model, K): cell + few for model, K, cell, few in zip(group["model"], group["K"], cells, some, strict=True)}
        for model in group["model"].unique():
            row = {f"K = {K}": known.get((model, K), "–") for K in lengths}
            rows.append({"model": called(model), study.noun: f"{dataset}{by}", **row})
    return pd.DataFrame(rows)


def about_trends(verdicts: Verdicts) -> str:
    margin, by = verdicts.study.rule.within, sentences.over(verdicts, verdicts.tests)
    relabelling = "relabelling (levels within a start, where starts are shared)"
    how = f"{sentences.TREND}'s test" if verdicts.study.rule.what.kind == "success" else relabelling
    return (
        f"Trends over K. <i>P(longer)</i>: probability that the longer filter has the {verdicts.study.rule.better}, averaged over pairs of K; its <i>p</i> is two-sided, null hypothesis 1/2,"
        f" by {how}, {by}. <i>Shortest K that will do</i>: shown to be at most {margin} worse than every"
        f" other; its <i>p</i> is one-sided, {by}."
    )


def of_trends(verdicts: Verdicts) -> pd.DataFrame:
    rows = verdicts.trends
    return pd.DataFrame(
        {
            "model": [called(one.model) for one in rows], verdicts.study.noun: [one.dataset for one in rows], "K": [one.lengths for one in rows],
            "seeds (diverged)": [f"{one.seeds}" + (f" ({one.diverged})" if one.diverged else "") for one in rows],
            "P(longer)": [tables.fixed(0.5 + one.J, 2) for one in rows], "p of no trend": [tables.p_cell(one.p_adjusted) for one in rows],
            "shortest K that will do": ["not asked" if not one.no_worse else "none shown" if one.recommended is None else str(one.recommended) for one in rows],
            "p of worse by the margin": [tables.p_cell(one.p_recommended) for one in rows],
        }
    )  # fmt: skip
