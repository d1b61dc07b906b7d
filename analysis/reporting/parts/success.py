"""The report's part on success: what share of seeds succeeds, after how many sequences, and what is told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from analysis.reporting import plots, sentences, tables
from analysis.reporting.page import slug
from analysis.reporting.parts.series import numbers_in_words, wide
from analysis.reporting.section import Plot, Section, Table
from analysis.reporting.tables import called
from analysis.studies import success
from analysis.studies.compare import Pair, pairs_against
from analysis.studies.verdicts import judge
from analysis.study import Study
from analysis.table import frame

TITLE = "Success"

MANY = 40
"""Comparisons beyond which only those that are decided are said."""


def section(runs: pd.DataFrame, study: Study, pairs: Callable[[Study], Sequence[Pair]] = pairs_against) -> Section:
    """Empty where the seed runs know nothing of success.

    Args:
        pairs: which conditions of a study are compared; by default every one with RNN and LSTM.
    """
    part, (solved, times) = Section(TITLE), success.studies(runs, study)
    if solved is None and times is None:
        return part
    table = success.summarise(solved, times)
    first = solved or times or study
    how = f" (test accuracy above {100 * success.LEARNED:g} %)" if success.by_accuracy(runs) else ""
    caption = f"Seeds that succeed{how}, with Wilson's 95 % interval of their share."
    lines, others = plots.by_number(table, first)
    for key, some in lines.items():
        drawing = plots.over_number(some, "share", "seeds that succeed", points=100)
        part.plots.append(Plot(f"success_by_{slug(key, '')}", caption, drawing, numbers_in_words(some, "share", first)))
        if times is not None:
            middles = some.drop(columns=["low", "high"]).rename(columns={"median_low": "low", "median_high": "high"})
            drawing = plots.over_number(middles, "median", "median sequences", points=1)
            about_waits = (
                "Sequences by which half of all seeds succeeded, with Brookmeyer and Crowley's 95 % interval; none where half never did."
            )
            part.plots.append(Plot(f"waits_by_{slug(key, '')}", about_waits, drawing, numbers_in_words(middles, "median", times)))
    if len(others):
        finds = {str(name): in_words(str(name), rows) for name, rows in others.groupby("dataset", sort=False)}
        part.plots.append(Plot("success", caption, plots.success_shares(others), finds))
    if times is not None and len(others):
        caption = "Seeds that have not succeeded yet, by the sequences that they have read (Kaplan and Meier), with pointwise 95 % intervals. Seeds without success within their budget stay above."
        waits = {str(name): waits_in_words(str(name), rows) for name, rows in others.groupby("dataset", sort=False)}
        curves = plots.survival_curves(times.only(others["condition"]))
        part.plots.append(Plot("survival", caption, curves, waits))
    for key, some in lines.items():
        cells = dict(zip(zip(some["dataset"], some["name"], strict=True), shares(some), strict=True))
        part.tables.append(Table(f"success_by_{slug(key, '')}", caption, wide(some, cells, key, first, ", %")))
    every = Table("success_of_each", about(solved, times), shown(table, study.noun), "success")
    if lines:
        part.more[f"Success of every condition ({len(table)})"] = [every]
    else:
        part.tables.append(every)
    part.kept["success"] = table
    told = [one for one in (solved, times) if one is not None and one.metric != study.metric]
    for one in told:
        judged = judge(one, pairs(one), whole=False)
        if judged.comparisons:
            decided = [test for test in judged.comparisons if test.verdict in ("better", "worse")]
            said = judged.comparisons if len(judged.comparisons) <= MANY else decided[:MANY]
            part.sentences += [f"{test.dataset}: {sentences.claim(test, judged)}" for test in said]
            part.kept[f"tests_{one.metric.removeprefix('test_')}"] = frame(judged.comparisons)
    if part.sentences:
        part.text = f'<p class="quiet">Tests of this part are families of their own, {study.rule.correction.capitalize()} each.</p>'
    return part


def about(solved: Study | None, times: Study | None) -> str:
    words = "Success by condition. <i>Succeed</i>: seeds, and Wilson's 95 % interval of their share; diverged seeds do not."
    if times is not None:
        words += " <i>Median</i>: sequences by which half of all seeds succeeded, with Brookmeyer and Crowley's 95 % interval; ∞ where half never did."
    return words


def shown(table: pd.DataFrame, noun: str) -> pd.DataFrame:
    columns = {
        "condition": [called(str(name)) for name in table["name"]], noun: table["dataset"],
        "succeed": [f"{k} of {n}" for k, n in zip(table["succeeded"], table["seeds"], strict=True)],
        "% (95 %)": shares(table),
    }  # fmt: skip
    if "median" in table:
        ends = table[["median", "median_low", "median_high"]].to_numpy(float).tolist()
        columns["median sequences (95 %)"] = [f"{whole(middle)} ({whole(low)} to {whole(high)})" for middle, low, high in ends]
    return pd.DataFrame(columns)


def shares(table: pd.DataFrame) -> list[str]:
    """``83.0 (74.4 to 89.1)``, per cent."""
    return tables.column_with_intervals(100 * table[["share", "low", "high"]], ("share", "low", "high"), digits=3)


def whole(x: float) -> str:
    """``1,200``; ∞ where it was not reached, a dash where it is not known."""
    return f"{x:,.0f}" if np.isfinite(x) else tables.shown(x)


def in_words(dataset: str, rows: pd.DataFrame) -> str:
    ordered = rows.sort_values("share", ascending=False, kind="stable")
    first, last = ordered.iloc[0], ordered.iloc[-1]
    words = f"{dataset}: {called(str(first['name']))} succeeds most often, in {first['succeeded']} of {first['seeds']} seeds"
    return words + (f"; {called(str(last['name']))} least, in {last['succeeded']} of {last['seeds']}." if len(ordered) > 1 else ".")


def waits_in_words(dataset: str, rows: pd.DataFrame) -> str:
    row = rows.sort_values("median", kind="stable").iloc[0]
    if not np.isfinite(row["median"]):
        return f"{dataset}: no condition succeeds with half of its seeds."
    return f"{dataset}: half of the seeds of {called(str(row['name']))} succeed within {whole(row['median'])} sequences, the fewest."
