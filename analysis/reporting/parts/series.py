"""One series: the errors of its conditions, and all that is claimed of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.reporting import plots, sentences, tables
from analysis.reporting.page import slug
from analysis.reporting.section import Plot, Section, Table
from analysis.reporting.tables import called
from analysis.studies import baselines
from analysis.studies.best import Place, ranks, wins_matrix
from analysis.studies.compare import Comparison
from analysis.studies.summary import summarise
from analysis.studies.table import frame, of_series
from analysis.studies.verdicts import Verdicts
from analysis.study import Condition

BASELINES = {"mean": "mean of the training part", "constant (hindsight)": "best constant in hindsight"}
"""What those are called whose label says too little."""

MANY = 40
"""Conditions of one series beyond which claims are said of those that may be the best only."""


def sections(verdicts: Verdicts) -> list[Section]:
    """A part a series; the first has the files of all of them."""
    study, shares, summary = verdicts.study, of_series(verdicts.shares), summarise(verdicts.study)
    if shares:
        summary = baselines.summary_rows(summary, verdicts.shares, study)
    spread = plots.spread(study, {one.dataset: (one.baseline, one.error) for one in verdicts.shares})
    luck = plots.best_of(study)
    matrices = {
        dataset: wins_matrix(study.only(one.label for one in plots.best_conditions(conditions)))
        for dataset, conditions in study.series.items()
        if len(conditions) > 1
    }
    wins = plots.win_shares(matrices) if matrices else None
    places, tests = of_series(verdicts.best), of_series(verdicts.comparisons)
    parts = []
    for dataset, conditions in study.series.items():
        rows, mine = summary[summary["dataset"] == dataset], places.get(dataset, [])
        part = Section(dataset)
        part.plots.append(
            Plot("spread", about_spread(conditions, dataset in shares), spread, {dataset: spread_in_words(dataset, rows)}, (dataset,), titled=False)
        )  # fmt: skip
        part.tables.append(Table(f"summary_{slug(dataset, '')}", about_conditions(verdicts, dataset), of_conditions(rows, mine), "summary"))
        part.sentences = in_words(verdicts, dataset)
        if dataset in tests:
            table = Table(f"tests_{slug(dataset, '')}", about_comparisons(verdicts), of_comparisons(tests[dataset]), "tests")
            part.more[f"Every comparison in figures ({len(tests[dataset])})"] = [table]
        if wins and dataset in matrices:
            caption = f"P(a seed of the row has the {study.rule.better} than one of the column): purple wins, orange loses."
            part.plots.append(Plot("wins", caption, wins, {dataset: pairs_in_words(matrices[dataset])}, (dataset,), titled=False))
        if max(len(one.errors) for one in conditions) > 1:
            caption = "The best score that a study of n seeds would expect to report: it gets better with n, so a best seed says nothing of a model."
            part.more["The best of n seeds"] = [
                Plot("best_of", caption, luck, {dataset: luck_in_words(dataset, conditions)}, (dataset,), titled=False)
            ]
        parts.append(part)
    if parts:
        every = [(dataset, line) for dataset, part in zip(study.series, parts, strict=True) for line in part.sentences]
        whole = {"summary": summary, "tests": frame(verdicts.comparisons), "best": frame(verdicts.best), "shares": frame(verdicts.shares)}
        parts[0].kept = {name: table for name, table in whole.items() if len(table)}
        parts[0].kept["sentences"] = pd.DataFrame(every, columns=["dataset", "sentence"])
    return parts


def across(verdicts: Verdicts) -> Section:
    """Over all series together: ranks."""
    part, series = Section("Across the series"), len(verdicts.study.series)
    mean_ranks, difference = ranks(verdicts.study)
    if mean_ranks.empty:
        return part
    caption = (
        f"Mean ranks over {series} series, by median error. Bars join what Nemenyi's test does not tell apart at 0.05 (null hypothesis: equal mean ranks);"
        f" with {series} series it is a blunt one."
    )
    first = sentences.listed([f"{called(str(name))} {rank:.2f}" for name, rank in mean_ranks.nsmallest(3).items()])
    drawing = plots.critical_difference(mean_ranks.nsmallest(plots.SHOWN), difference)
    finds = {"": f"Mean ranks over {series} series; the smallest are {first}; the critical difference is {difference:.2f}."}
    part.plots.append(Plot("ranks", caption, drawing, finds))
    part.kept["ranks"] = mean_ranks.rename("mean_rank").rename_axis("condition").reset_index()
    return part


def in_words(verdicts: Verdicts, dataset: str) -> list[str]:
    """Every claim on a series in a sentence; of many conditions those that may be the best."""
    inside = {one.condition.label for one in verdicts.best if one.may_be_best}
    places, tests = of_series(verdicts.best).get(dataset, []), of_series(verdicts.comparisons).get(dataset, [])
    lines = [sentences.best(places, verdicts)] if places else []
    lines += [sentences.length(one, verdicts) for one in verdicts.trends if one.dataset == dataset]
    few = tests if len({one.a.label for one in tests}) <= MANY else [one for one in tests if one.a.label in inside][:MANY]
    lines += [sentences.claim(one, verdicts) for one in few]
    if len(few) < len(tests):
        lines.append(f"{len(tests) - len(few)} further comparisons stand in the table below.")
    shares = of_series(verdicts.shares).get(dataset, [])
    told = shares if len(shares) <= MANY else [one for one in shares if one.condition.label in inside][:MANY]
    return lines + [sentences.share(one, verdicts) for one in told]


def about_spread(conditions: Sequence[Condition], lines: bool) -> str:
    more = f" The {plots.SHOWN} best of {len(conditions)} conditions." if len(conditions) > plots.SHOWN else ""
    return f"Scores of finished seeds: quartiles and median in the box, all of them behind it.{' Dashed: the best forecast without a network.' if lines else ''}{more}"


def spread_in_words(dataset: str, rows: pd.DataFrame) -> str:
    """What the boxes show."""
    seeds = rows[rows["runs"].notna() & np.isfinite(rows["median"].astype(float))].sort_values("median")
    if seeds.empty:
        return f"{dataset}: no condition has a finite median error."
    first, last = seeds.iloc[0], seeds.iloc[-1]
    words = f"{dataset}: the median is smallest for {called(first['name'])}, {tables.shown(float(first['median']))}"
    words += f", and largest for {called(last['name'])}, {tables.shown(float(last['median']))}" if len(seeds) > 1 else ""
    others = rows[rows["runs"].isna()]
    return words + (f"; the best forecast without a network has {tables.shown(float(others['mean'].min()))}." if len(others) else ".")


def pairs_in_words(matrix: pd.DataFrame) -> str:
    values = matrix.to_numpy(float)
    i, j = divmod(int(values.argmax()), len(matrix))
    strongest = f"{called(str(matrix.index[i]))} over {called(str(matrix.columns[j]))}, with probability {values[i, j]:.2f}"
    return f"Probability of the better score for every pair of {len(matrix)} conditions. The surest win is that of {strongest}."


def luck_in_words(dataset: str, conditions: Sequence[Condition]) -> str:
    some = [one for one in conditions if len(one.finished)]
    if not some:
        return f"{dataset}: no seed finished."
    one = min(some, key=lambda one: one.errors.min())
    best, mean = tables.shown(one.sign * float(one.errors.min())), tables.shown(one.mean)
    return f"{dataset}: the best of {len(one.errors)} seeds of {called(one.name)} has {best}, while their mean is {mean}."


def about_conditions(verdicts: Verdicts, dataset: str) -> str:
    words = "Scores by condition. Mean with its 95 % interval (Hall), sd, interquartile mean and minimum of finished seeds; the median counts diverged seeds last."
    if any(one.dataset == dataset for one in verdicts.shares):
        words += " <i>Beat the baseline</i>: seeds with a smaller error than the best forecast without a network, with Wilson's 95 % interval. Rows without seeds are such forecasts; only the constant knows the test part."
    if any(one.dataset == dataset for one in verdicts.best):
        words += f" <i>Best?</i> Yes, unless another beats it: two-sided, null hypothesis P = 1/2, {sentences.over(verdicts, verdicts.best_tests)}."
        if any(one.paired for one in verdicts.trends if one.dataset == dataset):
            words += " Seeds that share their start are compared pair by pair, which tells apart what intervals of means do not (see the filter length)."
    return words


def of_conditions(rows: pd.DataFrame, places: Sequence[Place]) -> pd.DataFrame:
    """The conditions of one series and its baselines, errors with one power of ten."""
    errors = ["mean", "low", "high", "sd", "median", "iqm", "min"]
    table = {name: rows[name].astype(float).tolist() for name in errors}
    power = tables.power_of_ten(table["mean"])
    by = tables.times(power)
    counts = list(zip(rows["finished"], rows["runs"], strict=True))
    shown: dict[str, list[str]] = {
        "condition": [BASELINES.get(name, called(name)) for name in rows["name"]],
        "seeds": ["–" if pd.isna(N) else f"{n}" if n == N else f"{n} of {N}" for n, N in counts],
        f"mean{by} (95 %)": tables.column_with_intervals(rows, ("mean", "low", "high"), power),
        f"sd{by}": tables.column(table["sd"], power, 3),
        **{f"{name}{by}": tables.column(table[key], power) for name, key in (("median", "median"), ("IQM", "iqm"), ("min", "min"))},
    }
    if "beating" in rows:
        shown["beat the baseline"] = [
            "–" if pd.isna(row["beating"]) else f"{row['beating']} ({100 * row['share_low']:.0f} to {100 * row['share_high']:.0f} %)"
            for row in rows.to_dict("records")
        ]
    if places:
        best = {one.condition.label: place_in_words(one) for one in places}
        shown["best?"] = [best.get(label, "–") for label in rows["condition"]]
    return pd.DataFrame(shown)


def place_in_words(one: Place) -> str:
    return "yes" if one.beaten_by is None else f"no: {called(one.beaten_by.name)}, {tables.p_value(one.p_adjusted)}"


def about_comparisons(verdicts: Verdicts) -> str:
    margin, by = f"{verdicts.study.rule.margin:g} %", sentences.over(verdicts, verdicts.tests)
    return (
        f"Comparisons. <i>P</i>: probability that a seed of the first has the {verdicts.study.rule.better}; of starts that tell the two apart, where seeds share their initial"
        f" parameters. <i>p of P = 1/2</i>: two-sided, by relabelling, or the sign test where starts are shared, {by}. <i>Difference</i>: median of first - second, in per cent of the second's"
        f" median. <i>p of worse by {margin}</i>: one-sided, {by}. <i>Difference of means</i>: uncorrected, from 100 seeds in both and none diverged. <i>p at any time</i>:"
        " of P = 1/2, by bets on wins after every ten seeds, uncorrected."
    )


def of_comparisons(tests: Sequence[Comparison]) -> pd.DataFrame:
    """Comparisons of one series, those of errors with one power of ten."""
    table = frame(tests)
    power = tables.power_of_ten(table["mean_difference"])
    scale = [abs(100 / one.b.median) if one.b.median else np.nan for one in tests]
    percent = table[["difference", "low", "high"]].mul(scale, axis=0)
    return pd.DataFrame(
        {
            "first": [called(one.a.name) for one in tests], "second": [called(one.b.name) for one in tests], "verdict on the first": table["verdict"],
            "seeds (diverged)": [f"{counted(one.a)}, {counted(one.b)}" for one in tests],
            "P (95 %)": [tables.with_interval(one.theta.estimate, one.theta.low, one.theta.high, 2) for one in tests],
            "p of P = 1/2": table["p_adjusted"].map(tables.p_cell),
            "difference, % (95 %)": tables.column_with_intervals(percent, ("difference", "low", "high"), digits=2),
            "p of worse by the margin": table["p_no_worse_adjusted"].map(tables.p_cell),
            f"difference of means{tables.times(power)} (95 %)": tables.column_with_intervals(
                table, ("mean_difference", "mean_low", "mean_high"), power, 3),
            "p at any time": table["p_anytime"].map(tables.p_cell),
        }
    )  # fmt: skip


def counted(one: Condition) -> str:
    """``100 (2)``: seeds, and how many of them diverged, if any."""
    return f"{len(one.errors)}" + (f" ({one.diverged})" if one.diverged else "")
