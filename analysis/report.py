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

from analysis import baselines, folder, plots, provenance, search, tables, verdict
from analysis.compare import MARGIN, against_baselines, best_set, improvement_matrix, published, ranks, together
from analysis.filter_length import by_filter_length, interaction, recommend
from analysis.forgetting import forgetting
from analysis.page import page, rendered
from analysis.sample import RULES, judged
from analysis.section import Section
from analysis.summary import summarise
from ltm.errors import UserError
from sweeps.ledger import Ledger

MANY = 40
"""Conditions of one series beyond which the page lists the claims of those that may be the best only."""


@dataclass(frozen=True)
class Options:
    """What a report may be asked for: the metric, the rule for diverged seeds, the correction, the margin of equivalence (%)."""

    metric: str = "test_rmse"
    rule: str = "worst"
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
    metric, rule = options.metric, options.rule
    searched = Section("Search")
    if record.get("search"):
        searched, runs = search.section(runs, record), search.fresh(runs, record)
        if runs.empty:
            return [searched]
    summary = summarise(runs, metric, rule)
    held = baselines.known(ledger, record, metric)
    tests = against_baselines(runs, metric, rule, options.correction, options.margin)
    tests, shares = together(tests, baselines.against(runs, held, metric, rule), options.correction)
    lengths, advice, best = by_filter_length(runs, metric, rule), recommend(runs, metric, rule), best_set(runs, metric, rule)
    parts = [
        opening(runs, record, summary, baselines.first_words(shares, held, metric), options),
        verdicts(tests, shares, advice, best, options),
        searched,
        filter_lengths(lengths, advice, interaction(runs, metric, rule), metric),
        spread(runs, summary, shares, held, options),
        comparisons(runs, tests, best, options),
        against_published(runs, record, options),
        forgetting(ledger, runs, metric),
        training(ledger, runs, options),
        provenance.section(ledger, runs, record),
    ]
    return [part for part in parts if part.text or part.shown or part.figures or part.kept]


def opening(runs: pd.DataFrame, record: dict[str, Any], summary: pd.DataFrame, words: pd.DataFrame, options: Options) -> Section:
    """What the study holds, and whether its networks are worth it."""
    diverged, missing = int(summary["diverged"].sum()), missing_runs(runs, record)
    text = (
        f"{len(runs):,} seed runs of {len(summary)} conditions; {diverged} diverged. Metric: {plots.axis_label(options.metric)}; smaller is better."
        f" Rule for diverged seeds: {RULES[options.rule]}."
    )
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


def verdicts(tests: pd.DataFrame, shares: pd.DataFrame, advice: pd.DataFrame, best: pd.DataFrame, options: Options) -> Section:
    """Verdict first: all claims at a glance, then a sentence each, series by series."""
    part, count = Section("Verdicts"), int(tests["p"].notna().sum()) + len(shares)
    if len(tests) or len(shares):
        part.shown["verdicts"] = verdict.matrix(tests, shares)
        part.text = f"<p>▲ better, ▼ worse, · not told apart; p-values {family(count, options)}."
    if len(tests):
        part.text += (
            " Against a recurrent cell: = equivalent, ≥ no worse; the figure is the difference in mean error in per cent of that cell's mean (negative:"
            f" smaller error), by Welch's t-test (paired where seeds share their initial parameters). Equivalent and no worse: within {options.margin:g} %."
        )
    if len(shares):
        part.text += (
            " Against the best baseline, the one with the smallest error of its series (a choice that favours it): the share of seeds with a smaller"
            " error, diverged seeds counted as larger, by the exact binomial test against one half."
        )
    part.text += "</p>" if part.text else ""
    sentences: dict[str, list[str]] = {}
    for dataset, rows in best.groupby("dataset", sort=False):
        sentences.setdefault(str(dataset), []).append(verdict.best(rows))
    for _, row in advice.iterrows():
        sentences.setdefault(row["dataset"], []).append(row["evidence"])
    inside = set(best.loc[best["p"] > 0.05, "condition"])
    for dataset, rows in tests.groupby("dataset", sort=False):
        said = rows if rows["a"].nunique() <= MANY else rows[rows["a"].isin(inside)].head(MANY)
        lines = [verdict.claim(row, options.margin, options.correction, count) for _, row in said.iterrows()]
        if len(said) < len(rows):
            lines.append(f"{len(rows) - len(said)} further comparisons stand in the table below.")
        sentences.setdefault(str(dataset), []).extend(lines)
    for dataset, rows in shares.groupby("dataset", sort=False):
        said = rows if len(rows) <= MANY else rows[rows["condition"].isin(inside)].head(MANY)
        sentences.setdefault(str(dataset), []).extend(baselines.claim(row, options.correction, count) for _, row in said.iterrows())
    part.kept["sentences"] = pd.DataFrame([(d, line) for d, lines in sentences.items() for line in lines], columns=["dataset", "sentence"])
    return part


def family(count: int, options: Options) -> str:
    """What the p-values of a report are corrected over."""
    words = {"holm": "corrected by Holm's rule", "bh": "corrected by Benjamini and Hochberg's rule", "none": "not corrected"}
    return f"{words[options.correction]} over all {count} tests of this study together, at 0.05"


def filter_lengths(lengths: pd.DataFrame, advice: pd.DataFrame, crossed: pd.DataFrame, metric: str) -> Section:
    if lengths.empty:
        return Section("Filter length K")
    shown = advice.drop(columns=["evidence", "lengths"])
    return Section(
        "Filter length K",
        "<p>Mean error over seeds; the intervals of one model hold for all its K at once (95 %). <i>trend</i>: Kendall's tau between K and error, p by"
        " Jonckheere and Terpstra; <i>slope</i>: change of the mean error for a doubling of K; <i>plateau</i>: the shortest filter within 1 % of the lowest"
        " mean, with its bootstrap interval; <i>confidence set</i>: the K that may be the best, corrected for having looked at all.</p>",
        {"filter_length": tables.by_length(lengths), "filter_trend": shown, **({"interaction": crossed} if len(crossed) else {})},
        {"filter_length": plots.filter_length(lengths, metric)},
        {"filter_length": lengths, "filter_trend": advice},
    )


def spread(runs: pd.DataFrame, summary: pd.DataFrame, shares: pd.DataFrame, held: pd.DataFrame, options: Options) -> Section:
    text = (
        "<p>Means with Student's interval freed of skewness (Hall), interquartile means (IQM) with BCa bootstrap intervals; <i>best of 10</i>: the error a study"
        f" of 10 seeds would report as its best.{too_many(runs)}</p>"
    )
    if len(shares):
        text += (
            "<p>Rows without seeds are forecasts that need no network: fitted on the training part, orders by validation error, tested one step ahead on the"
            " same test part; only the best constant knows the test part, whose mean it is: no better than that has learned nothing. <i>beat the baseline</i>: how many seeds have a smaller error than the best of them (dashed in the figure), with Wilson's 95 %"
            " interval of the share; diverged seeds do not. <i>mean beats it</i>: whether the mean over seeds does.</p>"
        )
        summary = baselines.summary_rows(summary, shares, held, options.metric)
    lines = {row["dataset"]: (row["baseline"], float(row["error"])) for row in shares.to_dict("records")}
    figures = {"spread": plots.spread(runs, options.metric, options.rule, lines)}
    if summary["runs"].max() > 1:
        figures["best_of"] = plots.best_of(runs, options.metric, options.rule)
    return Section("Conditions", text, {"summary": tables.conditions(summary)}, figures, {"summary": summary})


def too_many(runs: pd.DataFrame) -> str:
    most = int(runs.groupby("dataset")["condition"].nunique().max())
    return f" Figures show the {plots.SHOWN} best of up to {most} conditions a series." if most > plots.SHOWN else ""


def comparisons(runs: pd.DataFrame, tests: pd.DataFrame, best: pd.DataFrame, options: Options) -> Section:
    if best.empty:
        return Section("Comparisons")
    metric, rule = options.metric, options.rule
    part = Section("Comparisons", kept={"best_set": best}, shown={"best_set": best.rename(columns={"p": "p_best"})})
    part.text = (
        "<p><i>p best</i>: above 0.05 the condition is in the 95 % model confidence set of its series; <i>p omnibus</i>: Kruskal and Wallis,"
        " all conditions alike.</p>"
    )
    if len(tests):
        part.shown["tests"], part.kept["tests"] = tables.comparisons(tests), tests
        part.text += (
            "<p>Null hypothesis of <i>p</i>: equal means; of <i>p (rank)</i>: P(a beats b) = 1/2 (Brunner and Munzel); of <i>p equivalent</i>: the means differ by"
            f" {options.margin:g} % or more (two one-sided tests). <i>p</i> is corrected over all tests of this study, the others over this table. <i>g</i>: Hedges' g. <i>could have seen</i>: the difference"
            " that these seeds find with probability 0.8.</p>"
        )
    matrices = {}
    for dataset, group in judged(runs, metric, rule).groupby("dataset", sort=False):
        chosen = runs[runs["condition"].isin(plots.best_conditions(group))]
        if chosen["condition"].nunique() > 1:
            matrices[str(dataset)] = improvement_matrix(chosen, metric, rule)
    part.figures["improvement"] = plots.improvement(matrices)
    mean_ranks, friedman, difference = ranks(runs, metric, rule)
    if len(mean_ranks):
        series = runs["dataset"].nunique()
        part.text += (
            f"<p>Across the {series} series, null hypothesis that all conditions rank alike: Friedman's {tables.p_value(friedman.p)} (Kendall's W ="
            f" {friedman.estimate:.2f}). Bars join what Nemenyi's test does not tell apart at 0.05; with {series} series it is a blunt one.</p>"
        )
        part.figures["ranks"] = plots.critical_difference(mean_ranks.nsmallest(plots.SHOWN), difference)
        part.kept["ranks"] = mean_ranks.rename("mean_rank").rename_axis("condition").reset_index()
    return part


def against_published(runs: pd.DataFrame, record: dict[str, Any], options: Options) -> Section:
    source = (record.get("config") or {}).get("published")
    if not source:
        return Section("Against the published figures")
    try:
        table = published(runs, source, options.rule, options.correction)
    except UserError as error:
        return Section("Against the published figures", f'<p class="quiet">Not shown: {html.escape(str(error))}</p>')
    apart = int((table["p_adjusted"] < 0.05).sum())
    text = (
        f"<p>Welch's test against the mean, sd and n of <i>{html.escape(str(source))}</i>; null hypothesis: equal means. {apart} of {len(table)} differ at 0.05"
        f" after the correction over this table ({options.correction}).</p>"
    )
    return Section(
        "Against the published figures", text, {"published": table.drop(columns=["dataset", "low", "high"])}, {}, {"published": table}
    )


def training(ledger: Ledger, runs: pd.DataFrame, options: Options) -> Section:
    """Learning curves, and how training ended."""
    rows = judged(runs, options.metric, options.rule)
    curves: dict[str, dict[str, list[np.ndarray]]] = {}
    for dataset, group in rows.groupby("dataset", sort=False):
        chosen = plots.best_conditions(group, len(plots.PALETTE))
        kept = ledger.curves(group[group["condition"].isin(chosen)]).set_index("run_id")["validation_loss"]
        for label in chosen:
            of_condition = group[(group["condition"] == label) & group["run_id"].isin(kept.index)]
            if len(of_condition):
                curves.setdefault(str(dataset), {})[label] = [np.asarray(kept[run_id], float) for run_id in of_condition["run_id"]]
    ended = rows.groupby(["condition", "status"], sort=False).size().unstack(fill_value=0).reset_index().rename_axis(columns=None)
    means = rows.groupby("condition", sort=False).agg(
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
