"""One series: the errors of its conditions, and all that is claimed of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
from analysis.studies.verdicts import Verdicts
from analysis.study import Condition, Study
from analysis.table import frame, of_series

BASELINES = {"mean": "mean of the training part", "constant (hindsight)": "best constant in hindsight"}
"""What those are called whose label says too little."""

MANY = 40
"""Conditions of one series beyond which claims are said of those that may be the best only."""


def sections(verdicts: Verdicts) -> list[Section]:
    """A part a series, or for all series that differ in one number, or of many draws of one law for the first; the first part has the files of all of them."""
    if not len(verdicts.study):
        return []
    study, shares, summary = verdicts.study, of_series(verdicts.shares), summarise(verdicts.study)
    if shares:
        summary = baselines.summary_rows(summary, verdicts.shares, study)
    succeeds, waits = study.rule.what.kind == "success", study.rule.what.kind == "time"
    spread = plots.spread(study, {one.dataset: (one.baseline, one.error) for one in verdicts.shares})
    luck = plots.best_of(study)
    matrices = {
        dataset: wins_matrix(study.only(one.label for one in plots.best_conditions(conditions)))
        for dataset, conditions in study.series.items()
        if len(conditions) > 1 and dataset not in study.spots
    }
    wins = plots.win_shares(matrices) if matrices else None
    places, tests = of_series(verdicts.best), of_series(verdicts.comparisons)
    parts = numbered(verdicts, summary)
    for dataset, conditions in study.series.items():
        if dataset in study.spots:
            continue
        rows, mine = summary[summary["dataset"] == dataset], places.get(dataset, [])
        part = Section(dataset)
        part.plots += [] if succeeds or waits else [
            Plot("spread", about_spread(conditions, study.plain if dataset in shares else ""), spread, {dataset: spread_in_words(dataset, rows, study)}, (dataset,), titled=False)
        ]  # fmt: skip
        if not (succeeds or waits):  # whose figures are in a part of their own
            part.tables.append(
                Table(f"summary_{slug(dataset, '')}", about_conditions(verdicts, dataset), of_conditions(rows, mine, study), "summary")
            )
        part.sentences = in_words(verdicts, dataset)
        if dataset in tests:
            table = Table(f"tests_{slug(dataset, '')}", about_comparisons(verdicts), of_comparisons(tests[dataset]), "tests")
            part.more[f"Every comparison in figures ({len(tests[dataset])})"] = [table]
        if wins and dataset in matrices:
            caption = f"P(a seed of the row has the {study.rule.better} than one of the column): purple wins, orange loses."
            part.plots.append(Plot("wins", caption, wins, {dataset: pairs_in_words(matrices[dataset])}, (dataset,), titled=False))
        if max(len(one.errors) for one in conditions) > 1 and not succeeds:
            caption = "The best score that a study of n seeds would expect to report: it gets better with n, so a best seed says nothing of a model."
            part.more["The best of n seeds"] = [
                Plot("best_of", caption, luck, {dataset: luck_in_words(dataset, conditions)}, (dataset,), titled=False)
            ]
        parts.append(part)
    if parts:
        every = [(part.title, line) for part in parts for line in part.sentences]
        whole = {"summary": summary, "tests": frame(verdicts.comparisons), "best": frame(verdicts.best), "shares": frame(verdicts.shares)}
        parts[0].kept = {name: table for name, table in whole.items() if len(table)}
        parts[0].kept["sentences"] = pd.DataFrame(every, columns=["dataset", "sentence"])
    return [part for part in parts if part.title in study.samples or part.title not in study.series]


def numbered(verdicts: Verdicts, summary: pd.DataFrame) -> list[Section]:
    """A part for each number in which series differ: scores over it, and all that is claimed of these series."""
    study, parts = verdicts.study, []
    apart = study.rule.what.kind in ("success", "time")  # whose figures are in a part of their own
    for key in dict.fromkeys(spot.key for spot in study.spots.values()):
        datasets = [dataset for dataset, spot in study.spots.items() if spot.key == key]
        part, rows = Section(f"By {key}"), summary[summary["dataset"].isin(datasets)]
        places = [one for one in verdicts.best if one.dataset in datasets]
        tests = [one for one in verdicts.comparisons if one.dataset in datasets]
        if not apart:
            lines, plain = plots.by_number(rows[rows["runs"].notna()], study)[0][key], best_plain(verdicts, datasets)
            caption = f"Mean {study.rule.what.noun} of finished seeds by {key}, with its 95 % interval (Hall)."
            caption += f" Dashed: the best {study.plain} without a network." if len(plain) else ""
            drawing = plots.over_number(
                pd.concat([lines, plain]), "mean", f"mean {study.rule.what.name}", points=study.points, dashed=PLAIN
            )
            part.plots.append(Plot(f"by_{slug(key, '')}", caption, drawing, numbers_in_words(lines, "mean", study)))
            part.tables.append(Table(f"by_{slug(key, '')}", about_numbers(verdicts, key), of_numbers(rows, places, key, study)))
            whole = of_conditions(rows, places, study)
            whole.insert(1, key, [f"{study.spots[dataset].at:g}" for dataset in rows["dataset"]])
            table = Table(f"summary_{slug(key, '')}", about_conditions(verdicts, datasets[0]), whole, "summary")
            part.more[f"Every condition in figures ({rows['runs'].notna().sum()})"] = [table]
        if tests:
            whole = of_comparisons(tests)
            whole.insert(2, key, [f"{study.spots[one.dataset].at:g}" for one in tests])
            part.more[f"Every comparison in figures ({len(tests)})"] = [
                Table(f"tests_{slug(key, '')}", about_comparisons(verdicts), whole, "tests")
            ]
        part.sentences = [f"{dataset}: {line}" for dataset in datasets for line in in_words(verdicts, dataset)]
        parts.append(part)
    return parts


PLAIN = "without a network"


def best_plain(verdicts: Verdicts, datasets: Sequence[str]) -> pd.DataFrame:
    """The score of the best baseline of each of these series, as rows of :func:`analysis.reporting.plots.over_number`."""
    spots, errors = verdicts.study.spots, {one.dataset: one.error for one in verdicts.shares}
    rows = [(spots[dataset].task, PLAIN, spots[dataset].at, errors[dataset]) for dataset in datasets if dataset in errors]
    return pd.DataFrame(rows, columns=["panel", "model", "at", "mean"]).assign(low=np.nan, high=np.nan)


def about_numbers(verdicts: Verdicts, key: str) -> str:
    words = f"Mean {verdicts.study.rule.what.noun} of finished seeds by {key}, with its 95 % interval (Hall)."
    if verdicts.best:
        words += f" <i>Best</i>: the conditions that no other beats: two-sided, null hypothesis {sentences.null_of_study(verdicts)}, {sentences.over(verdicts, verdicts.best_tests)}."
    return words


def of_numbers(rows: pd.DataFrame, places: Sequence[Place], key: str, study: Study) -> pd.DataFrame:
    """A row a number (and task, where there are several), a column a condition, then the best baseline and who may be the best; one power of ten."""
    power, by = tables.scale(rows["mean"].astype(float), study.points)
    cells = dict(
        zip(
            zip(rows["dataset"], rows["name"], strict=True), tables.column_with_intervals(rows, ("mean", "low", "high"), power), strict=True
        )
    )
    datasets = [dataset for dataset in study.spots if dataset in set(rows["dataset"])]
    table = wide(rows[rows["runs"].notna()], cells, key, study, by)
    plain = rows[rows["runs"].isna()].groupby("dataset")["mean"]
    if len(plain):
        best = (plain.min() if study.rule.sign > 0 else plain.max()).reindex(datasets).astype(float)
        table[f"{PLAIN}{by}"] = ["–" if np.isnan(x) else cell for x, cell in zip(best, tables.column(best, power), strict=True)]
    if places:
        inside = {dataset: [one.condition for one in some if one.may_be_best] for dataset, some in of_series(places).items()}
        table["best"] = [sentences.listed(sentences.names(inside.get(dataset, [])), 4) or "–" for dataset in datasets]
    return table


def wide(rows: pd.DataFrame, cells: Mapping[tuple[str, str], str], key: str, study: Study, by: str = "") -> pd.DataFrame:
    """A row a number (and task, where there are several) and a column a condition: these cells, by series and name.

    Args:
        by: said of every column after its name.
    """
    datasets = [dataset for dataset in study.spots if dataset in set(rows["dataset"])]
    names = plots.by_number(rows, study)[0][key]["name"].unique()
    tasks = [study.spots[dataset].task for dataset in datasets]
    table = {key: [f"{study.spots[dataset].at:g}" for dataset in datasets]}
    table |= {study.noun: tasks} if len(set(tasks)) > 1 else {}
    return pd.DataFrame(table | {f"{called(name)}{by}": [cells.get((dataset, name), "–") for dataset in datasets] for name in names})


def numbers_in_words(table: pd.DataFrame, value: str, study: Study) -> dict[str, str]:
    """What each panel over a number shows: its lines, from the least number to the largest."""
    found = {}
    for panel, rows in table.groupby("panel", sort=False):
        ends = [(called(str(model)), line.iloc[0], line.iloc[-1]) for model, line in rows.groupby("model", sort=False)]
        told = [
            f"{name} from {tables.score(float(first[value]), study.points)} to {tables.score(float(last[value]), study.points)}"
            for name, first, last in ends
        ]
        found[str(panel)] = f"{panel}, {rows['key'].iloc[0]} from {rows['at'].min():g} to {rows['at'].max():g}: {sentences.listed(told)}."
    return found


def across(verdicts: Verdicts) -> Section:
    """Over all series or tasks together: ranks."""
    study = verdicts.study
    part, where = Section(f"Across the {study.nouns}"), f"{len(study.series)} {study.nouns}"
    mean_ranks, difference = ranks(study) if len(study) else (pd.Series(dtype=float), np.nan)
    if mean_ranks.empty:
        return part
    caption = (
        f"Mean ranks over {where}, by median {study.rule.what.noun}. Bars join what Nemenyi's test does not tell apart at 0.05 (null hypothesis: equal mean ranks);"
        f" with {where} it is a blunt one."
    )
    first = sentences.listed([f"{called(str(name))} {rank:.2f}" for name, rank in mean_ranks.nsmallest(3).items()])
    drawing = plots.critical_difference(mean_ranks.nsmallest(plots.SHOWN), difference)
    finds = {"": f"Mean ranks over {where}; the smallest are {first}; the critical difference is {difference:.2f}."}
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


def about_spread(conditions: Sequence[Condition], plain: str) -> str:
    more = f" The {plots.SHOWN} best of {len(conditions)} conditions." if len(conditions) > plots.SHOWN else ""
    dashed = f" Dashed: the best {plain} without a network." if plain else ""
    if conditions[0].points:
        return f"How many seeds have which score; line: their median.{dashed}{more}"
    return f"Scores of finished seeds: quartiles and median in the box, all of them behind it.{dashed}{more}"


def spread_in_words(dataset: str, rows: pd.DataFrame, study: Study) -> str:
    """What the boxes show."""
    least, most, points = *(("smallest", "largest") if study.rule.sign > 0 else ("highest", "lowest")), study.points
    there = rows[rows["runs"].notna() & np.isfinite(rows["median"].astype(float))]
    seeds = there.sort_values("median", ascending=study.rule.sign > 0, kind="stable")
    if seeds.empty:
        return f"{dataset}: no condition has a finite median {study.rule.what.noun}."
    first, last = seeds.iloc[0], seeds.iloc[-1]
    words = f"{dataset}: the median is {least} for {called(first['name'])}, {tables.score(float(first['median']), points)}"
    words += f", and {most} for {called(last['name'])}, {tables.score(float(last['median']), points)}" if len(seeds) > 1 else ""
    others = rows[rows["runs"].isna()]
    if others.empty:
        return words + "."
    best = float(others["mean"].min() if study.rule.sign > 0 else others["mean"].max())
    return f"{words}; the best {study.plain} without a network has {tables.score(best, points)}."


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
    best, mean = tables.score(one.sign * float(one.errors.min()), one.points), tables.score(one.mean, one.points)
    return f"{dataset}: the best of {len(one.errors)} seeds of {called(one.name)} has {best}, while their mean is {mean}."


def about_conditions(verdicts: Verdicts, dataset: str) -> str:
    words = "Scores by condition. Mean with its 95 % interval (Hall), sd, interquartile mean and minimum of finished seeds; the median counts diverged seeds last."
    if any(one.dataset == dataset for one in verdicts.shares):
        kind, rule = verdicts.study.plain, verdicts.study.rule
        words += f" <i>Beat the baseline</i>: seeds with a {rule.better} than the best {kind} without a network, with Wilson's 95 % interval. Rows without seeds are such {kind}s{'; only the constant knows the test part' if verdicts.study.forecasts else ''}."
        if verdicts.study.points:
            words += " <i>Above majority</i>: seeds that do better than always naming the most frequent class."
    if any(one.dataset == dataset for one in verdicts.best):
        words += f" <i>Best?</i> Yes, unless another beats it: two-sided, null hypothesis {sentences.null_of_study(verdicts)}, {sentences.over(verdicts, verdicts.best_tests)}."
        if any(one.paired for one in verdicts.trends if one.dataset == dataset):
            words += " Seeds that share their start are compared pair by pair, which tells apart what intervals of means do not (see the filter length)."
    return words


def of_conditions(rows: pd.DataFrame, places: Sequence[Place], study: Study) -> pd.DataFrame:
    """The conditions of one series and its baselines, errors with one power of ten."""
    errors = ["mean", "low", "high", "sd", "median", "iqm", "min", "max"]
    table = {name: rows[name].astype(float).tolist() for name in errors}
    power, by = tables.scale(table["mean"], study.points)
    last = ("min", "min") if study.rule.sign > 0 else ("max", "max")
    counts = list(zip(rows["finished"], rows["runs"], strict=True))
    shown: dict[str, list[str]] = {
        "condition": [BASELINES.get(name, called(name)) for name in rows["name"]],
        "seeds": ["–" if pd.isna(N) else f"{n}" if n == N else f"{n} of {N}" for n, N in counts],
        f"mean{by} (95 %)": tables.column_with_intervals(rows, ("mean", "low", "high"), power),
        f"sd{by}": tables.column(table["sd"], power, 3),
        **{f"{name}{by}": tables.column(table[key], power) for name, key in (("median", "median"), ("IQM", "iqm"), last)},
    }
    if "beating" in rows:
        shown["beat the baseline"] = [
            "–" if pd.isna(row["beating"]) else f"{row['beating']} ({100 * row['share_low']:.0f} to {100 * row['share_high']:.0f} %)"
            for row in rows.to_dict("records")
        ]
    if study.points and "above_level" in rows and rows["above_level"].notna().any():
        shown["above majority"] = [
            "–" if pd.isna(n) or pd.isna(N) else f"{n} of {N}" for n, N in zip(rows["above_level"], rows["runs"], strict=True)
        ]
    if places:
        best = {one.condition.label: place_in_words(one) for one in places}
        shown["best?"] = [best.get(label, "–") for label in rows["condition"]]
    return pd.DataFrame(shown)


def place_in_words(one: Place) -> str:
    return "yes" if one.beaten_by is None else f"no: {called(one.beaten_by.name)}, {tables.p_value(one.p_adjusted)}"


def about_comparisons(verdicts: Verdicts) -> str:
    rule, by = verdicts.study.rule, sentences.over(verdicts, verdicts.tests)
    margin, kind = rule.within, rule.what.kind
    test = sentences.TESTS[{"success": "shares", "time": "log-rank"}.get(kind, "wins")]
    null = f"null hypothesis {sentences.null_of_study(verdicts)}, " if kind in ("success", "time") else ""
    gap = "median of first - second, in " + ("points" if verdicts.study.points else "per cent of the second's median")
    if kind == "success":
        gap = "of the shares of seeds that succeed, in points, with Newcombe's interval"
    return (
        f"Comparisons. <i>P</i>: probability that a seed of the first has the {verdicts.study.rule.better}; of starts that tell the two apart, where seeds share their initial"
        f" parameters. <i>p{'' if null else ' of P = 1/2'}</i>: two-sided, {null}by {test}, or the sign test where starts are shared, {by}. <i>Difference</i>: {gap}. <i>p of worse by {margin}</i>: one-sided, {by}. <i>Difference of means</i>: uncorrected, from 100 seeds in both and none diverged. <i>p at any time</i>:"
        " of P = 1/2, by bets on wins after every ten seeds, uncorrected."
    )


def of_comparisons(tests: Sequence[Comparison]) -> pd.DataFrame:
    """Comparisons of one series, those of errors with one power of ten."""
    table = frame(tests)
    power = tables.power_of_ten(table["mean_difference"])
    by = tables.times(power)
    points = tests[0].a.points
    scale = [one.a.relative(1.0, one.b.median) for one in tests]
    percent = table[["difference", "low", "high"]].mul(scale, axis=0)
    if points:
        power, by = (2 if points == 100 else 0), ", points"
    return pd.DataFrame(
        {
            "first": [called(one.a.name) for one in tests], "second": [called(one.b.name) for one in tests], "verdict on the first": table["verdict"],
            "seeds (diverged)": [f"{counted(one.a)}, {counted(one.b)}" for one in tests],
            "P (95 %)": [tables.with_interval(one.theta.estimate, one.theta.low, one.theta.high, 2) for one in tests],
            "p" if tests[0].a.kind in ("success", "time") else "p of P = 1/2": table["p_adjusted"].map(tables.p_cell),
            f"difference, {'points' if points else '%'} (95 %)": tables.column_with_intervals(percent, ("difference", "low", "high"), digits=2),
            "p of worse by the margin": table["p_no_worse_adjusted"].map(tables.p_cell),
            f"difference of means{by} (95 %)": tables.column_with_intervals(
                table, ("mean_difference", "mean_low", "mean_high"), power, 3),
            "p at any time": table["p_anytime"].map(tables.p_cell),
        }
    )  # fmt: skip


def counted(one: Condition) -> str:
    """``100 (2)``: seeds, and how many of them diverged, if any."""
    return f"{len(one.errors)}" + (f" ({one.diverged})" if one.diverged else "")
