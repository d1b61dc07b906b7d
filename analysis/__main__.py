"""``python -m analysis report|compare|power|memory|export STUDY``."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from analysis import folder, forgetting, plots, power, report, sample, search, tables, trained, verdict
from analysis.compare import compare, every_test, published
from analysis.families import CORRECTIONS
from analysis.forecast import diebold_mariano
from analysis.report import Options
from ltm.errors import UserError
from sweeps.progress import say, terminal


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m analysis", description="Verdicts from a study's ledger. Smaller errors are better throughout."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="report|compare|power|memory|export")

    def command(name: str, words: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=words, description=words)
        one.add_argument("study", help="the study's folder, such as results/k_sweep")
        one.add_argument("--metric", default="test_rmse", choices=sample.METRICS)
        one.add_argument("--diverged", default="worst", choices=sample.RULES, help="; ".join(f"{k}: {v}" for k, v in sample.RULES.items()))
        return one

    def corrected(one: argparse.ArgumentParser) -> None:
        one.add_argument("--correction", default="holm", choices=CORRECTIONS, help="over all tests of a table (default holm)")
        one.add_argument("--margin", type=float, default=report.MARGIN, help="of equivalence, per cent of the baseline's mean (default 2)")

    def pair(one: argparse.ArgumentParser, required: bool) -> None:
        one.add_argument("--a", required=required, help="model (mrnn) or condition ('mrnn K=100 / tree')")
        one.add_argument("--b", required=required, help="what to compare it with")

    corrected(command("report", "one HTML page with verdicts, tables and figures; tables and figures as files beside it"))
    two = command("compare", "two models or conditions, series by series: verdict, tests, effect sizes, forecasts of the median seeds")
    pair(two, required=False)
    two.add_argument("--published", help="instead of --a and --b: a published table by name (zhao2020_table2) or a CSV's path")
    corrected(two)
    seeds = command("power", "how many seeds two models need, what the present ones could have seen, and a verdict to read at any time")
    pair(seeds, required=True)
    seeds.add_argument("--power", type=float, default=0.8, help="probability of finding the observed difference (default 0.8)")
    seeds.add_argument("--alpha", type=float, default=0.05)
    past = command("memory", "how the networks of every seed respond to the past (Definition 3), and what memory their residuals keep")
    past.add_argument("--lags", type=int, default=100, help="steps of the response (default 100)")
    files = command("export", "the report's tables (CSV, Markdown, LaTeX) and figures (SVG, PDF), and the seed runs as one CSV")
    files.add_argument("--to", help="folder (default STUDY/report)")
    corrected(files)
    return top


def main(arguments: list[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    console = terminal()
    try:
        {"report": on_report, "compare": on_compare, "power": on_power, "memory": on_memory, "export": on_export}[given.command](
            given, console
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def options_of(given: argparse.Namespace) -> Options:
    return Options(given.metric, given.diverged, given.correction, given.margin)


def load(given: argparse.Namespace, console: Console) -> tuple[report.Ledger, pd.DataFrame, dict[str, Any]]:
    """The study, and a line on what of it is damaged."""
    ledger, runs, record = report.load(given.study)
    if line := ledger.left_out():
        say(console, line)
    return ledger, runs, record


def on_report(given: argparse.Namespace, console: Console) -> None:
    console.print(f"report: {report.write(given.study, console, options_of(given))}", highlight=False, soft_wrap=True)


def on_export(given: argparse.Namespace, console: Console) -> None:
    ledger, runs, record = load(given, console)
    parts = report.sections(ledger, runs, record, options_of(given))
    files = {"runs.csv": runs.to_csv(index=False).encode(), **report.whole(ledger, record, parts)}
    to = report.Ledger(given.to or f"{ledger.uri}/report")
    folder.replace(to, files, folder.kept(parts), folder="")
    console.print(f"{len(files)} files in {to.uri}", highlight=False, soft_wrap=True)


def on_compare(given: argparse.Namespace, console: Console) -> None:
    ledger, runs, record = load(given, console)
    runs = search.fresh(runs, record)
    if given.published:
        found = published(runs, given.published, given.diverged, given.correction)
        columns = ["condition", "n", "mean", "sd", "published_mean", "published_sd", "percent", "p_adjusted"]
        console.print(
            tables.for_terminal(found[columns], f"Welch's test against {given.published}; p corrected over this table ({given.correction})")
        )
        return
    if not (given.a and given.b):
        raise UserError("compare needs --a and --b (models or conditions), or --published.")
    found = compare(runs, given.a, given.b, given.metric, given.diverged, given.correction, given.margin)
    tests = int(found["p"].notna().sum())
    for _, row in found.iterrows():
        console.print(
            f"[b]{row['dataset']}[/b]: {verdict.claim(row, given.margin, given.correction, tests)}", highlight=False, soft_wrap=True
        )
        if min(row["n_a"], row["n_b"]) < 2:
            continue
        every = every_test(runs, row["a"], row["b"], np.random.default_rng(0), given.metric, given.diverged)
        console.print(tables.for_terminal(every, "a - b and a against b; p not corrected"))
    forecasts(found, trained.typical(runs, given.metric), ledger, console)


def forecasts(found: pd.DataFrame, typical: pd.DataFrame, ledger: report.Ledger, console: Console) -> None:
    """Diebold and Mariano's test of the median seeds of every pair, where their parameters and data are at hand."""
    rows = []
    by_label = typical.set_index("condition", drop=False)
    for row in found.to_dict("records"):
        a, b = row["a"], row["b"]
        if a not in by_label.index or b not in by_label.index:
            continue
        try:
            errors = [one.errors()[0] for one in trained.networks(ledger, by_label.loc[[a, b]])]
        except UserError as error:
            console.print(f"forecasts of the median seeds are not compared: {error}", highlight=False, soft_wrap=True)
            return
        if len(errors[0]) >= 8:
            out = diebold_mariano(errors[0], errors[1])
            rows.append(
                {
                    "series": row["dataset"],
                    "a": a,
                    "b": b,
                    "squared loss a - b": out.estimate,
                    "low": out.low,
                    "high": out.high,
                    "p": out.p,
                }
            )
    if rows:
        title = "Diebold-Mariano: the two median seeds as forecasters of one test part (HAC; p not corrected)"
        console.print(tables.for_terminal(pd.DataFrame(rows), title))


def on_power(given: argparse.Namespace, console: Console) -> None:
    if not 0 < given.power < 1 or not 0 < given.alpha < 1:
        raise UserError(f"--power {given.power:g} and --alpha {given.alpha:g}: expected numbers between 0 and 1.")
    _, runs, record = load(given, console)
    runs = search.fresh(runs, record)
    found = compare(runs, given.a, given.b, given.metric, given.diverged)
    groups = sample.samples(sample.judged(runs, given.metric, given.diverged))
    rng, rows = np.random.default_rng(0), []
    for _, row in found.iterrows():
        a, b = groups[row["a"]], groups[row["b"]]
        if min(len(a), len(b)) < 2:
            raise UserError(
                f"'{row['a']}' and '{row['b']}' have {len(a)} and {len(b)} seeds; the power of a test needs at least 2 of each."
            )
        least = power.smallest_difference(a.std(ddof=1), len(a), b.std(ddof=1), len(b), given.power, given.alpha)
        low, high, p = (float(row[name]) for name in ("anytime_low", "anytime_high", "p_anytime"))
        console.print(
            f"[b]{row['dataset']}[/b]: {row['a']} - {row['b']} = {tables.shown(row['difference'])} over {len(a)} and {len(b)} seeds; a difference of"
            f" {tables.shown(least)} would have been found with probability {given.power:g}; read at any time, the difference lies within"
            f" {tables.shown(low)} to {tables.shown(high)} (95 %, {tables.p_value(p)})",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
        for test, name in zip(power.TESTS, ("Welch", "Mann-Whitney"), strict=True):
            now = power.power(a, b, min(len(a), len(b)), rng, test, given.alpha)
            needed = power.seeds_needed(a, b, rng, given.power, test, given.alpha)
            words = str(needed) if needed else f"over {power.MOST:,}"
            rows.append({"series": row["dataset"], "test": name, "power with these seeds": now, f"seeds for power {given.power:g}": words})
    title = f"seeds a condition at alpha = {given.alpha:g}, simulated from the observed errors as if they were all there is"
    console.print(tables.for_terminal(pd.DataFrame(rows), title))


def on_memory(given: argparse.Namespace, console: Console) -> None:
    if given.lags < 8:
        raise UserError(f"--lags {given.lags}: a decay needs at least 8.")
    ledger, runs, record = load(given, console)
    runs = search.fresh(runs, record)
    finished = trained.seeds(runs, given.metric)
    if left := len(runs) - len(finished):
        console.print(f"{left} of {len(runs)} seed runs diverged and are left out", highlight=False)
    groups = trained.networks(ledger, finished)
    table, _series = forgetting.memory_table(groups)
    rows, found = [], {}
    for group in track(groups, description="responses of all seeds, condition by condition", console=console, transient=True):
        found[group.condition] = group.response(given.lags)
        rows.append(forgetting.law_rows(group, found[group.condition]))
    laws = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
    by_condition = forgetting.law_table(laws)
    figure = plots.responses(found)
    shown = forgetting.laws_for_page(by_condition)
    part = report.Section("Responses", shown={"responses": shown}, figures={"responses": figure}, kept={"responses": laws})
    folder.add(ledger, report.rendered([part]))
    residuals = forgetting.for_page(table)[
        ["condition", "seeds", "series d", "residual d: mean (median)", "95 % over seeds", "d not 0", "learned d"]
    ]
    console.print(
        tables.for_terminal(residuals, "memory parameter d by local Whittle, of the series and of the test residuals of every seed")
    )
    title = f"the law by which |A_k|, k = 1 to {given.lags}, decays (smaller AIC), in how many seeds; means over seeds"
    console.print(tables.for_terminal(shown, title))
    console.print(f"figure: {ledger.uri}/report/figures/responses.svg; the next report includes the laws", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
