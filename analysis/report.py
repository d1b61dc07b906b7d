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
import yaml
from rich.console import Console

from analysis import folder, memory, plots, search, tables, trained, verdict
from analysis.compare import MARGIN, against_baselines, best_set, improvement_matrix, published, ranks
from analysis.filter_length import by_filter_length, interaction, recommend
from analysis.sample import RULES, judged
from analysis.section import Section
from analysis.summary import summarise
from ltm.errors import UserError
from sweeps.ledger import Ledger

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }}
h1 {{ margin-bottom: 0 }} h2 {{ margin-top: 2.4rem; border-bottom: 1px solid #ddd }} h3 {{ margin: 1.2rem 0 .2rem; font-size: 1rem }}
.quiet, figcaption {{ color: #666 }} ul {{ margin: .2rem 0; padding-left: 1.2rem }} li {{ margin: .15rem 0 }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 12.5px; margin: .6rem 0 }}
th, td {{ padding: .18rem .6rem; text-align: right; border-bottom: 1px solid #eee; white-space: nowrap }}
th {{ border-bottom: 1px solid #888 }} td.text, th.text {{ text-align: left }}
figure {{ margin: 1rem 0 }} .scroll {{ overflow-x: auto }} svg {{ max-width: 100%; height: auto }}
pre {{ background: #f6f6f6; padding: .7rem; overflow-x: auto; font-size: 12px }}
@media print {{ body {{ max-width: none; margin: 0; font-size: 10pt }} h2, h3 {{ break-after: avoid }} figure, tr {{ break-inside: avoid }}
  .scroll {{ overflow: visible }} table {{ font-size: 7.5pt }} th, td {{ padding: .1rem .3rem; white-space: normal }} }}
</style></head><body><h1>{title}</h1>{body}</body></html>
"""

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


def rendered(parts: Sequence[Section]) -> dict[str, bytes]:
    """Every table as CSV (all digits), Markdown and LaTeX, every figure as SVG and PDF: file names and contents."""
    files: dict[str, bytes] = {}
    for part in parts:
        for name, table in (part.shown | part.kept).items():
            for suffix, text in tables.FORMATS.items():
                source = part.kept.get(name, table) if suffix == "csv" else part.shown.get(name, table)
                files[f"tables/{name}.{suffix}"] = text(source).encode()
        for name, figure in part.figures.items():
            files[f"figures/{name}.svg"] = plots.svg(figure).encode()
            figure.set_layout_engine("none")  # laid out once, for both
            files[f"figures/{name}.pdf"] = plots.pdf(figure)
    return files


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
    tests = against_baselines(runs, metric, rule, options.correction, options.margin)
    lengths, advice, best = by_filter_length(runs, metric, rule), recommend(runs, metric, rule), best_set(runs, metric, rule)
    parts = [
        opening(runs, record, summary, options),
        verdicts(tests, advice, best, options),
        searched,
        filter_lengths(lengths, advice, interaction(runs, metric, rule), metric),
        spread(runs, summary, options),
        comparisons(runs, tests, best, options),
        against_published(runs, record, options),
        forgetting(ledger, runs, metric),
        training(ledger, runs, options),
        provenance(runs, record),
    ]
    return [part for part in parts if part.text or part.shown or part.figures or part.kept]


def opening(runs: pd.DataFrame, record: dict[str, Any], summary: pd.DataFrame, options: Options) -> Section:
    diverged, missing = int(summary["diverged"].sum()), missing_runs(runs, record)
    text = (
        f"{len(runs):,} seed runs of {len(summary)} conditions; {diverged} diverged. Metric: {plots.axis_label(options.metric)}; smaller is better."
        f" Rule for diverged seeds: {RULES[options.rule]}."
    )
    if missing:
        text += f" <b>The study is not finished: {missing}.</b> What is here is reported."
    return Section("", f'<p class="quiet">{text}</p>')


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


def verdicts(tests: pd.DataFrame, advice: pd.DataFrame, best: pd.DataFrame, options: Options) -> Section:
    """Verdict first: all claims at a glance, then a sentence each, series by series."""
    part = Section("Verdicts")
    if len(tests):
        part.shown["verdicts"] = verdict.matrix(tests)
        part.text = (
            "<p>▲ better, ▼ worse, = equivalent, ≥ no worse, · not told apart; the figure is the difference in mean error in per cent of the baseline's"
            f" (negative: smaller error). Difference: {family(tests, options)}. Equivalent and no worse: within {options.margin:g} % of the baseline's mean.</p>"
        )
    sentences: dict[str, list[str]] = {}
    for dataset, rows in best.groupby("dataset", sort=False):
        sentences.setdefault(str(dataset), []).append(verdict.best(rows))
    for _, row in advice.iterrows():
        sentences.setdefault(row["dataset"], []).append(row["evidence"])
    inside = set(best.loc[best["p"] > 0.05, "condition"])
    for dataset, rows in tests.groupby("dataset", sort=False):
        said = rows if rows["a"].nunique() <= MANY else rows[rows["a"].isin(inside)].head(MANY)
        lines = [verdict.claim(row, options.margin, options.correction, int(tests["p"].notna().sum())) for _, row in said.iterrows()]
        if len(said) < len(rows):
            lines.append(f"{len(rows) - len(said)} further comparisons stand in the table below.")
        sentences.setdefault(str(dataset), []).extend(lines)
    part.kept["sentences"] = pd.DataFrame([(d, line) for d, lines in sentences.items() for line in lines], columns=["dataset", "sentence"])
    return part


def family(tests: pd.DataFrame, options: Options) -> str:
    """What the p-values of a table are corrected over."""
    name = {"holm": "Holm", "bh": "Benjamini-Hochberg", "none": "not corrected"}[options.correction]
    return f"Welch's t-test (paired where seeds share their initial parameters), {name} over the {int(tests['p'].notna().sum())} tests of this study at 0.05"


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


def spread(runs: pd.DataFrame, summary: pd.DataFrame, options: Options) -> Section:
    text = (
        "<p>Means with Student's interval freed of skewness (Hall), interquartile means (IQM) with BCa bootstrap intervals; <i>best of 10</i>: the error a study"
        f" of 10 seeds would report as its best.{too_many(runs)}</p>"
    )
    figures = {"spread": plots.spread(runs, options.metric, options.rule)}
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
            f" {options.margin:g} % or more (two one-sided tests). All corrected over this table. <i>g</i>: Hedges' g. <i>could have seen</i>: the difference"
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


def forgetting(ledger: Ledger, runs: pd.DataFrame, metric: str) -> Section:
    """Long memory of the series and of the residuals of every condition's median seed."""
    part = Section("Long memory")
    typical = trained.typical(runs, metric)
    typical = typical.groupby("dataset", sort=False).head(plots.SHOWN)
    try:
        table, series = memory_table(trained.networks(ledger, typical))
    except UserError as error:
        part.text = f'<p class="quiet">Not shown: {html.escape(str(error))}</p>'
        return part
    if table.empty:
        return part
    part.text = (
        "<p>ACF of each series, and the memory parameter d by local Whittle (n<sup>0.65</sup> frequencies) of the series and of the test residuals of every"
        " condition's median seed: a d above 0 there is long memory that the model left behind. <i>learned d</i>: the cell's own, averaged over the test part.</p>"
    )
    laws = folder.responses(ledger, table["run_id"])
    if laws is not None:
        part.beside = folder.RESPONSES
        table = table.join(laws, on="run_id")
        part.text += (
            "<p><i>law</i>: how the response of y<sub>t</sub> to x<sub>t-k</sub> decays over k (Definition 3 of Zhao et al. 2020), by AIC; <i>power</i> of k, or"
            " <i>rate</i> of an exponential.</p>"
        )
    else:
        part.text += (
            f"<p class=quiet>python -m analysis memory {html.escape(ledger.uri)} adds how each network's response to the past decays.</p>"
        )
    part.shown["memory"], part.kept["memory"] = table.drop(columns=["run_id", "dataset"]), table
    part.figures = {"acf": plots.autocorrelation(series), "memory_left": plots.memory_left(table)}
    return part


def memory_table(networks: Sequence[trained.Network]) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """d of series and residuals for trained networks: a table, and the series by name.

    Returns:
        ``dataset, condition, run_id, seed, series_d`` (local Whittle, whole series), ``residual_d, residual_low, residual_high``, ``residual_gph``,
        ``p_white`` (Ljung and Box, 20 lags) and ``learned_d``.
    """
    from analysis.forecast import ljung_box

    rows, series, found = [], {}, {}
    for network in networks:
        name = str(network.row["dataset"])
        if name not in series:
            series[name] = network.series.values
            found[name] = memory.local_whittle(series[name]).estimate
        errors = network.errors()
        if len(errors) < 32 or np.ptp(errors) == 0:
            continue
        left = memory.local_whittle(errors)
        rows.append(
            {
                "dataset": name, "condition": network.row["condition"], "run_id": network.row["run_id"], "seed": network.row["seed"],
                "series_d": found[name], "residual_d": left.estimate, "residual_low": left.low, "residual_high": left.high,
                "residual_gph": memory.gph(errors).estimate, "p_white": ljung_box(errors, min(20, len(errors) // 3)).p,
                "learned_d": float(network.row["d"]) if network.row["d"] is not None else np.nan,
            }
        )  # fmt: skip
    return pd.DataFrame(rows), series


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


def provenance(runs: pd.DataFrame, record: dict[str, Any]) -> Section:
    text = (
        "<p>Every seed run, with its run_id, config, code version and data fingerprint, is a row of <code>runs/*.parquet</code> beside this report.</p>"
        f"<pre>{html.escape(str(record.get('command', '')))}\ncode {html.escape(', '.join(runs['code'].unique()))}"
        f"\nengine {html.escape(', '.join(runs['engine'].unique()))}</pre>"
        f"<pre>{html.escape(yaml.safe_dump(record.get('config', {}), sort_keys=False))}</pre>"
    )
    return Section("Where these figures come from", text)


def page(title: str, parts: Sequence[Section], files: dict[str, bytes]) -> str:
    """The HTML of the report; its figures are those among the files of :func:`rendered`."""
    body = []
    for part in parts:
        body += [f"<h2>{html.escape(part.title)}</h2>"] if part.title else []
        body.append(part.text)
        if part.title == "Verdicts":
            body += [tables.as_html(table) for table in part.shown.values()]
            for dataset, lines in part.kept["sentences"].groupby("dataset", sort=False):
                items = "".join(f"<li>{html.escape(str(line))}</li>" for line in lines["sentence"])
                body.append(f"<h3>{html.escape(str(dataset))}</h3><ul>{items}</ul>")
            continue
        body += [f"<figure>{files[f'figures/{name}.svg'].decode()}</figure>" for name in part.figures]
        body += [tables.as_html(table) for table in part.shown.values()]
    return PAGE.format(title=html.escape(title), body="\n".join(body))


def to_terminal(runs: pd.DataFrame, parts: Sequence[Section], options: Options, console: Console) -> None:
    """The main table, and the sentence on the best of every series and on every filter length."""
    by_title = {part.title: part for part in parts}
    if "Filter length K" in by_title:
        main, title = by_title["Filter length K"].shown["filter_length"], "mean ± half its simultaneous 95 % interval (seeds)"
    else:
        main, title = by_title["Conditions"].shown["summary"][["condition", "finished", "mean", "95 % interval", "sd", "min"]], "conditions"
    console.print(tables.for_terminal(main, f"{plots.axis_label(options.metric)}, {title}"))
    missing = missing_runs(runs, {})
    if missing:
        console.print(missing, highlight=False)
    advice = by_title["Filter length K"].kept["filter_trend"] if "Filter length K" in by_title else pd.DataFrame({"dataset": []})
    for dataset, lines in by_title["Verdicts"].kept["sentences"].groupby("dataset", sort=False):
        for sentence in lines["sentence"].head(1 + int((advice["dataset"] == dataset).sum())):
            console.print(f"{dataset}: {sentence}", highlight=False, soft_wrap=True)
