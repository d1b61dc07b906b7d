"""The report of a study: verdicts first, then what they rest on. One HTML page that needs nothing beside it, and every
table and figure as a file of its own."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from analysis.report import folder, plots, provenance, sentences, tables, zhao2020
from analysis.report.page import page, rendered
from analysis.report.section import Section
from analysis.statistics.families import CORRECTIONS
from analysis.studies import baselines, search
from analysis.studies.best import ranks, wins_matrix
from analysis.studies.compare import MARGIN
from analysis.studies.filter_length import by_filter_length
from analysis.studies.forgetting import forgetting, measure
from analysis.studies.published import published
from analysis.studies.summary import summarise
from analysis.studies.verdicts import Verdicts, judge
from analysis.study import Study
from ltm.errors import UserError
from sweeps.ledger import Ledger

PAPERS = {"zhao2020": zhao2020}
"""The parts of a report for a whole paper, by the name that a study gives as ``published``."""

MANY = 40
"""Conditions of one series beyond which the page lists the claims of those that may be the best only."""


@dataclass(frozen=True)
class Options:
    """What a report may be asked for: the metric, the correction, the margin of "no worse" (%)."""

    metric: str = "test_rmse"
    correction: str = "holm"
    margin: float = MARGIN


def load(study: str | Path) -> tuple[Ledger, pd.DataFrame, dict[str, Any]]:
    """A study's ledger, its rows in the order of its grid, and its record (``config.yaml``).

    Raises:
        UserError: no such study, or one without a finished seed run.
    """
    ledger = Ledger(study)
    record = ledger.record()
    runs = ledger.runs()
    if runs.empty:
        raise UserError(f"{ledger.path} has no finished seed run; expected a study's folder, such as results/k_sweep.")
    return ledger, in_order(runs, list(record.get("conditions", {}))), record


def write(study: str | Path, console: Console | None = None, options: Options | None = None) -> str:
    """Write ``report/`` of a study: ``index.html``, ``tables/`` (CSV, Markdown, LaTeX), ``figures/`` (SVG, PDF); print the main table
    and the verdicts if given a console.

    Returns:
        The path of ``index.html``.
    """
    options = options or Options()
    ledger, runs, record = load(study)
    parts = sections(ledger, runs, record, options)
    if console:
        to_terminal(search.fresh(runs, record), parts, options, console)
        if line := ledger.left_out():
            console.print(line, highlight=False, soft_wrap=True)
    folder.replace(ledger, whole(ledger, record, parts), folder.kept(parts))
    return f"{ledger.path if ledger.is_local else ledger.uri}/report/index.html"


def whole(ledger: Ledger, record: dict[str, Any], parts: Sequence[Section]) -> dict[str, bytes]:
    """All files of a report: those of :func:`rendered`, and the page."""
    files = rendered(parts)
    return files | {"index.html": page(str(record.get("study", Path(ledger.path).name)), parts, files).encode()}


def in_order(runs: pd.DataFrame, condition_ids: list[str]) -> pd.DataFrame:
    """Rows in the order of the study's grid, whatever order they finished in."""
    place = {condition: i for i, condition in enumerate(condition_ids)}
    keys = pd.DataFrame({"place": runs["condition_id"].map(place).fillna(len(place)), "seed": runs["seed"]})
    return runs.loc[keys.sort_values(["place", "seed"], kind="stable").index].reset_index(drop=True)


def sections(ledger: Ledger, runs: pd.DataFrame, record: dict[str, Any], options: Options) -> list[Section]:
    """Every part of the report, in its order; parts without content are left out."""
    searched = Section("Search")
    if record.get("search"):
        searched, runs = search.section(runs, record), search.fresh(runs, record)
        if runs.empty:
            return [searched]
    study = Study.of(runs, options.metric)
    held = baselines.known(ledger, record, options.metric)
    paper = PAPERS.get(str((record.get("config") or {}).get("published")))
    verdicts = judge(study, held, paper and paper.pairs(study), options.correction, options.margin)
    summary, memory = summarise(study), measure(ledger, runs, options.metric)
    parts = [
        opening(runs, record, study, sentences.first_words(verdicts.shares, held, options.metric)),
        *(paper.sections(paper.Material(ledger, runs, study, held, verdicts, memory)) if paper else []),
        claims(study, verdicts),
        searched,
        filter_lengths(study, verdicts),
        spread(study, summary, verdicts.shares, held),
        comparisons(study, verdicts),
        against_published(runs, record, options),
        forgetting(ledger, runs, options.metric, memory),
        training(ledger, runs, study),
        provenance.section(ledger, runs, record),
    ]
    return [part for part in parts if part.text or part.shown or part.figures or part.kept]


def opening(runs: pd.DataFrame, record: dict[str, Any], study: Study, words: pd.DataFrame) -> Section:
    """What the study holds, and whether its networks are worth it."""
    diverged, missing = sum(one.diverged for one in study), missing_runs(runs, record)
    text = (
        f"{len(runs):,} seed runs of {len(study)} conditions; {diverged} diverged. Metric: {plots.axis_label(study.metric)}; smaller is better."
        " Diverged seeds come last in every rank; means are of the seeds that finished."
    )
    if study.without:
        text += f" Left out, as they have no finite {study.metric}: {listed(study.without)}."
    if missing:
        text += f" <b>The study is not finished: {missing}.</b> What is here is reported."
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in words["sentence"])
    return Section(
        "", f'<p class="quiet">{text}</p>' + (f"<ul>{lines}</ul>" if lines else ""), kept={"baselines_in_words": words} if lines else {}
    )


def missing_runs(runs: pd.DataFrame, record: dict[str, Any]) -> str:
    """What the study still lacks, in words; empty where it lacks nothing."""
    known = record.get("conditions", {})
    seeds = int(runs.groupby("condition_id")["seed"].nunique().max())
    have = runs.groupby("condition_id").size()
    absent = [label for key, label in known.items() if key not in have.index]
    short = [f"{known.get(key, key)} ({n} of {seeds})" for key, n in have.items() if n < seeds]
    words = [f"{len(absent)} of {len(known)} conditions have no seed run ({listed(absent)})"] if absent else []
    words += [f"{len(short)} conditions have fewer seeds than the others ({listed(short)})"] if short else []
    return "; ".join(words)


def listed(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(map(html.escape, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")


def claims(study: Study, verdicts: Verdicts) -> Section:
    """Verdict first: all claims at a glance, then a sentence each, series by series."""
    part, tests, shares = Section("Verdicts"), verdicts.comparisons, verdicts.shares
    table = sentences.matrix(verdicts)
    if len(table):
        part.shown["verdicts"] = table
        part.text = (
            f"<p>▲ better, ▼ worse, = equivalent and ≥ no worse within {verdicts.margin:g} %, · not told apart, ? too few seeds, ◆ better by most seeds and worse by"
            " the mean, or the reverse. The figure is the probability that a seed has the smaller error than one of the cell it is held against (ties count half), or the share of"
            " seeds with a smaller error than the best baseline, the one with the smallest error of its series (a choice that favours it)."
            f" {about(study, verdicts)}</p>"
        )
    inside = set(verdicts.best.loc[verdicts.best["may_be_best"], "condition"])
    said: dict[str, list[str]] = {}
    for dataset, rows in verdicts.best.groupby("dataset", sort=False):
        said.setdefault(str(dataset), []).append(sentences.best(rows, verdicts))
    for _, row in verdicts.trends.iterrows():
        said.setdefault(row["dataset"], []).append(sentences.length(row, verdicts))
    for dataset, rows in tests.groupby("dataset", sort=False):
        few = rows if rows["a"].nunique() <= MANY else rows[rows["a"].isin(inside)].head(MANY)
        lines = [sentences.claim(row, verdicts) for _, row in few.iterrows()]
        if len(few) < len(rows):
            lines.append(f"{len(rows) - len(few)} further comparisons stand in the table below.")
        said.setdefault(str(dataset), []).extend(lines)
    for dataset, rows in shares.groupby("dataset", sort=False):
        few = rows if len(rows) <= MANY else rows[rows["condition"].isin(inside)].head(MANY)
        said.setdefault(str(dataset), []).extend(sentences.share(row, verdicts) for _, row in few.iterrows())
    part.kept["sentences"] = pd.DataFrame([(d, line) for d, lines in said.items() for line in lines], columns=["dataset", "sentence"])
    return part


def about(study: Study, verdicts: Verdicts) -> str:
    """What the tests of a report are about, and what they are corrected over."""
    rule = {"holm": "each by Holm's rule at 0.05", "bh": "each by Benjamini and Hochberg's rule at 0.05", "none": "not corrected"}[
        verdicts.correction
    ]
    return (
        "Tests are about seeds: other initial parameters on one path of each series and one split. They are corrected in two families, over all series"
        f" together, {rule}: {verdicts.tests} tests of what a condition, a filter length or a baseline is held against, and {verdicts.best_tests} of which may be"
        " the best."
    )


def filter_lengths(study: Study, verdicts: Verdicts) -> Section:
    lengths = by_filter_length(study)
    if lengths.empty:
        return Section("Filter length K")
    margin = f"{verdicts.margin:g} %"
    return Section(
        "Filter length K",
        "<p>Mean error over finished seeds; the intervals of one model hold for all its K at once (95 %). <i>P(longer wins)</i>: probability that a seed with a"
        " longer filter has the smaller error than one with a shorter, averaged over pairs of K; <i>p trend</i>: null hypothesis 1/2, by relabelling (levels within"
        f" a start, where starts are shared); <i>recommended</i>: the shortest K shown to be at most {margin} worse than every other, with the p of that (one-sided)."
        " All p are corrected with the claims above.</p>",
        {"filter_length": tables.by_length(lengths), "filter_trend": tables.trends(verdicts.trends)},
        {"filter_length": plots.filter_length(lengths, study.metric)},
        {"filter_length": lengths, "filter_trend": verdicts.trends, "filter_no_worse": verdicts.lengths},
    )


def spread(study: Study, summary: pd.DataFrame, shares: pd.DataFrame, held: pd.DataFrame) -> Section:
    text = (
        "<p>Of finished seeds: means with Student's interval freed of skewness (Hall), and interquartile means (IQM). The <i>median</i>"
        " counts diverged seeds last; <i>best of 10</i>: the error a study of 10 seeds would report as its best."
        f"{too_many(study)}</p>"
    )
    if len(shares):
        text += (
            "<p>Rows without seeds are forecasts that need no network: fitted on the training part, orders by validation error, tested one step ahead on the"
            " same test part; only the best constant knows the test part, whose mean it is: no better than that has learned nothing. <i>beat the baseline</i>: how many seeds have a smaller error than the best of them (dashed in the figure), with Wilson's 95 %"
            " interval of the share; diverged seeds do not. <i>mean beats it</i>: whether the mean over finished seeds does.</p>"
        )
        summary = baselines.summary_rows(summary, shares, held, study.metric)
    lines = {row["dataset"]: (row["baseline"], float(row["error"])) for row in shares.to_dict("records")}
    figures = {"spread": plots.spread(study, lines)}
    if summary["runs"].max() > 1:
        figures["best_of"] = plots.best_of(study)
    return Section("Conditions", text, {"summary": tables.conditions(summary)}, figures, {"summary": summary})


def too_many(study: Study) -> str:
    most = max(map(len, study.series.values()))
    return f" Figures show the {plots.SHOWN} best of up to {most} conditions a series." if most > plots.SHOWN else ""


def comparisons(study: Study, verdicts: Verdicts) -> Section:
    if verdicts.best.empty:
        return Section("Comparisons")
    part = Section("Comparisons", kept={"best": verdicts.best}, shown={"best": tables.best(verdicts.best)})
    part.text = (
        f"<p><i>may be best</i>: no other condition of the series beats it (all pairs of all series, {sentences.over(verdicts, verdicts.best_tests)});"
        " <i>among</i>: with 95 % the best of the series is among these (Hsu; one promise a series, and of equal conditions it leaves some out).</p>"
    )
    if len(verdicts.comparisons):
        part.shown["tests"], part.kept["tests"] = tables.comparisons(verdicts.comparisons), verdicts.comparisons
        part.text += (
            "<p><i>P(a beats b)</i>: probability that a seed of a has the smaller error, with its 95 % interval; <i>p</i>: null hypothesis 1/2, by relabelling, or the sign"
            " test where seeds share their initial parameters. <i>typical difference</i>: median of a - b (Hodges and Lehmann) with its 95 % interval. <i>p no worse</i>:"
            f" null hypothesis that a is worse by {verdicts.margin:g} % or more, one-sided. These p are corrected. <i>difference of means</i>: uncorrected 95 % interval, from 100"
            " seeds in both samples and none diverged. <i>p any time</i>: by bets on wins after every pack of ten seeds, uncorrected.</p>"
        )
    matrices = {}
    for dataset, conditions in study.series.items():
        chosen = plots.best_conditions(conditions)
        if len(chosen) > 1:
            matrices[dataset] = wins_matrix(study.only(one.label for one in chosen))
    part.figures["wins"] = plots.win_shares(matrices)
    mean_ranks, difference = ranks(study)
    if len(mean_ranks):
        part.text += (
            f"<p>Across the {len(study.series)} series: mean ranks by median error. Bars join what Nemenyi's test does not tell apart at 0.05; with"
            f" {len(study.series)} series it is a blunt one.</p>"
        )
        part.figures["ranks"] = plots.critical_difference(mean_ranks.nsmallest(plots.SHOWN), difference)
        part.kept["ranks"] = mean_ranks.rename("mean_rank").rename_axis("condition").reset_index()
    return part


def against_published(runs: pd.DataFrame, record: dict[str, Any], options: Options) -> Section:
    source = (record.get("config") or {}).get("published")
    if not source:
        return Section("Against the published figures")
    try:
        table = published(runs, source, options.correction)
    except UserError as error:
        return Section("Against the published figures", f'<p class="quiet">Not shown: {html.escape(str(error))}</p>')
    apart = int((table["p_adjusted"] < 0.05).sum())
    text = (
        f"<p>A check of the reproduction, not a verdict: Welch's test of the finished seeds against the mean, sd and n of <i>{html.escape(str(source))}</i>; null hypothesis:"
        f" equal means. {apart} of {len(table)} differ at 0.05 ({CORRECTIONS[options.correction]} over this table). <i>sd</i>: population sds (ddof = 0), as the published ones.</p>"
    )
    return Section(
        "Against the published figures", text, {"published": table.drop(columns=["dataset", "low", "high"])}, {}, {"published": table}
    )


def training(ledger: Ledger, runs: pd.DataFrame, study: Study) -> Section:
    """Learning curves, and how training ended."""
    curves: dict[str, dict[str, list[np.ndarray]]] = {}
    for dataset, conditions in study.series.items():
        chosen = [one.label for one in plots.best_conditions(conditions, len(plots.PALETTE))]
        group = runs[runs["condition"].isin(chosen)]
        kept = ledger.curves(group).set_index("run_id")["validation_loss"]
        for label in chosen:
            of_condition = group[(group["condition"] == label) & group["run_id"].isin(kept.index)]
            if len(of_condition):
                curves.setdefault(dataset, {})[label] = [np.asarray(kept[run_id], float) for run_id in of_condition["run_id"]]
    ended = runs.groupby(["condition", "status"], sort=False).size().unstack(fill_value=0).reset_index().rename_axis(columns=None)
    means = runs.groupby("condition", sort=False).agg(
        epochs=("epochs", "mean"), best_epoch=("best_epoch", "mean"), seconds=("seconds", "sum")
    )
    table = ended.merge(means.reset_index(), on="condition", sort=False)
    text = (
        f"<p>Median and quartiles over seeds of the best validation loss so far (the {len(plots.PALETTE)} best conditions a series). <i>epochs</i>, <i>best epoch</i>:"
        f" means; <i>seconds</i>: training time of all seeds together, {runs['seconds'].sum():,.0f} s for the study.</p>"
    )
    figures = {"learning_curves": plots.learning_curves(curves)} if curves else {}
    return Section("Training", text, {"training": table}, figures)


def to_terminal(runs: pd.DataFrame, parts: Sequence[Section], options: Options, console: Console) -> None:
    """The main table, and the sentence on the best of every series and on every filter length."""
    by_title = {part.title: part for part in parts}
    if zhao2020.CLAIMS in by_title:
        console.print(tables.for_terminal(zhao2020.at_a_glance(by_title[zhao2020.CLAIMS].shown["claims"]), zhao2020.CLAIMS))
        if missing := missing_runs(runs, {}):
            console.print(missing, highlight=False)
        return
    if "Filter length K" in by_title:
        main, title = by_title["Filter length K"].shown["filter_length"], "mean ± half its simultaneous 95 % interval (seeds)"
        main = tables.beside_lengths(main, by_title["Conditions"].kept["summary"])
    else:
        whole = by_title["Conditions"].shown["summary"]
        columns = ["condition", "finished", "mean", "95 % interval", "sd", "min", "beat the baseline"]
        main, title = whole[[name for name in columns if name in whole]], "conditions"
    console.print(tables.for_terminal(main, f"{plots.axis_label(options.metric)}, {title}"))
    missing = missing_runs(runs, {})
    if missing:
        console.print(missing, highlight=False)
    for line in by_title[""].kept.get("baselines_in_words", pd.DataFrame({"sentence": []}))["sentence"]:
        console.print(line, highlight=False, soft_wrap=True)
    advice = by_title["Filter length K"].kept["filter_trend"] if "Filter length K" in by_title else pd.DataFrame({"dataset": []})
    for dataset, lines in by_title["Verdicts"].kept["sentences"].groupby("dataset", sort=False):
        for sentence in lines["sentence"].head(1 + int((advice["dataset"] == dataset).sum())):
            console.print(f"{dataset}: {sentence}", highlight=False, soft_wrap=True)
