"""``python -m analysis report|compare|power|memory|export STUDY``; the first four take a CSV or Parquet file as well."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from analysis import memory
from analysis.columns import METRICS
from analysis.reporting import build, folder, sentences, tables
from analysis.reporting.page import DEFAULT, FORMATS
from analysis.seeds import How, report, study_of
from analysis.statistics import power, sequential
from analysis.statistics.families import CORRECTIONS
from analysis.statistics.two_samples import diebold_mariano
from analysis.studies import compare
from analysis.studies.compare import Pair, every_test, pairs_of
from analysis.studies.memory import networks
from analysis.studies.paths.claims import example
from analysis.studies.published import published
from analysis.studies.search import fresh
from analysis.studies.verdicts import judge
from analysis.study import MARGIN, Condition, Rule, Study
from ltm.errors import UserError, unknown
from sweeps.console import say, terminal
from sweeps.store.ledger import Ledger


def parser(prog: str = "python -m analysis") -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog=prog, description="Verdicts from a study's ledger, or from anybody's table of seeds.")
    commands = top.add_subparsers(dest="command", required=True, metavar="report|compare|power|memory|export")

    seed_runs = "; or a CSV or Parquet file with a row a seed run"

    def command(name: str, words: str, files: str = seed_runs) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=words, description=words)
        one.add_argument("study", help=f"the study's folder, such as results/k_sweep{files}")
        one.add_argument(
            "--metric", default="", choices=[*METRICS], metavar="METRIC",
            help=f"of a study's folder: {', '.join(METRICS)} (default: the first of these that it has)",
        )  # fmt: skip
        if files == seed_runs:
            group = one.add_argument_group("columns of a CSV or Parquet file", "found by their names where they are not given")
            group.add_argument("--model", metavar="COL", help="what is compared")
            group.add_argument("--dataset", metavar="COL", help="what it was trained on, if there are several")
            group.add_argument("--seed", metavar="COL", help="whole numbers")
            group.add_argument("--score", metavar="COL", help="numbers; inf, or 'diverged' in a column 'status', is a seed that diverged")
            group.add_argument("--K", metavar="COL", help="an ordered setting such as a filter length")
            group.add_argument(
                "--by",
                metavar="COL,COL",
                type=listed,
                help="further columns that make conditions (default: those whose values have several seeds each)",
            )
            group.add_argument(
                "--higher-is-better", action=argparse.BooleanOptionalAction, help="of the score (default: by its name, such as accuracy)"
            )
        return one

    def corrected(one: argparse.ArgumentParser) -> None:
        one.add_argument("--correction", default="holm", choices=CORRECTIONS, help="over all tests of a family (default holm)")
        one.add_argument(
            "--margin",
            type=float,
            default=MARGIN,
            help="of no worse and equivalent: per cent of an error, percentage points of an accuracy or another share (default 2)",
        )

    def pair(one: argparse.ArgumentParser, required: bool) -> None:
        one.add_argument("--a", required=required, help="model (mrnn) or condition ('mrnn K=100')")
        one.add_argument("--b", required=required, help="what to compare it with")

    page = command("report", "one HTML page with the answer, verdicts, tables and figures; tables and figures as files beside it")
    page.add_argument(
        "--formats",
        type=listed,
        default=list(DEFAULT),
        help=f"of the files beside it: {','.join(FORMATS)} (default {','.join(DEFAULT)}; export writes all)",
    )
    page.add_argument("--to", help="folder for the report of a CSV or Parquet file (default NAME_report beside NAME.csv)")
    corrected(page)
    two = command(
        "compare",
        "two models or conditions, dataset by dataset: the verdict, then every test and effect size, and forecasts of the median seeds",
    )
    pair(two, required=False)
    two.add_argument("--published", help="instead of --a and --b: a published table by name (zhao2020_table2) or a CSV's path")
    corrected(two)
    seeds = command("power", "how many seeds two models need, what the present ones could have seen, and a verdict to read at any time")
    pair(seeds, required=True)
    seeds.add_argument("--power", type=float, default=0.8, help="probability of finding the observed difference (default 0.8)")
    seeds.add_argument("--alpha", type=float, default=0.05)
    past = command(
        "memory",
        "long memory of a series, of forecasts and of what networks leave in their residuals; how the networks of every seed respond to the past (Definition 3)",
        "; or a CSV or Parquet file with a series, a row a time step",
    )
    past.add_argument("--lags", type=int, default=100, help="steps of the response, and of autocorrelations (default 100)")
    past.add_argument("--column", metavar="COL", help="of a file: the series (may be left out where one column has numbers)")
    past.add_argument("--trend", action="store_true", help="of a file: take a linear trend off first")
    past.add_argument("--out", metavar="DIR", help="folder for the tables (CSV) and the figure (SVG)")
    files = command(
        "export", "the report with its tables (CSV, Markdown, LaTeX) and figures (SVG, PDF), and the seed runs as one CSV", files=""
    )
    files.add_argument("--to", help="folder (default STUDY/report)")
    corrected(files)
    return top


def listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def main(arguments: list[str] | None = None, prog: str = "python -m analysis") -> int:
    given = parser(prog).parse_args(arguments)
    console = terminal()
    try:
        {"report": on_report, "compare": on_compare, "power": on_power, "memory": on_memory, "export": on_export}[given.command](
            given, console
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def is_table(given: argparse.Namespace) -> bool:
    """Whether a file was named, and no study's folder."""
    return Path(given.study).is_file() or given.study.endswith((".csv", ".parquet"))


def how_of(given: argparse.Namespace) -> How:
    """Which column is what, and how it is judged."""
    how: How = {"model": given.model, "dataset": given.dataset, "seed": given.seed, "score": given.score, "K": given.K, "by": given.by}
    how["higher_is_better"] = given.higher_is_better
    if "margin" in given:
        how["correction"], how["margin"] = given.correction, given.margin
    return how


def rule_of(given: argparse.Namespace) -> Rule:
    return Rule(given.metric, given.correction, given.margin)


def load(given: argparse.Namespace, console: Console) -> tuple[Ledger, pd.DataFrame, dict[str, Any]]:
    """The study, and a line on what of it is damaged."""
    ledger, runs, record = build.load(given.study)
    if line := ledger.left_out():
        say(console, line)
    return ledger, runs, record


def formats_of(given: argparse.Namespace) -> list[str]:
    """The formats that were asked for, each a known one."""
    for name in given.formats:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS)
    return list(given.formats)


def on_report(given: argparse.Namespace, console: Console) -> None:
    if is_table(given):
        path = report(given.study, given.to, console, formats_of(given), **how_of(given))
        console.print(f"report: {path}", highlight=False, soft_wrap=True)
        return
    if given.to:
        raise UserError("--to is for the report of a CSV or Parquet file; a study's report lies in its folder.")
    console.print(f"report: {build.write(given.study, console, rule_of(given), formats_of(given))}", highlight=False, soft_wrap=True)


def on_export(given: argparse.Namespace, console: Console) -> None:
    ledger, runs, record = load(given, console)
    report = build.made(ledger, runs, record, rule_of(given))
    files = {"runs.csv": runs.to_csv(index=False).encode(), **build.files(report, FORMATS)}
    to = Ledger(given.to or f"{ledger.uri}/report")
    folder.replace(to, files, folder.kept(report.parts), folder="")
    console.print(f"{len(files)} files in {to.uri}", highlight=False, soft_wrap=True)


def on_compare(given: argparse.Namespace, console: Console) -> None:
    if is_table(given):
        said(study_of(given.study, **how_of(given)), given, console)
        return
    ledger, runs, record = load(given, console)
    runs = fresh(runs, record)
    if given.published:
        found = published(runs, given.published, given.correction)
        columns = ["condition", "metric", "n", "mean", "sd", "published_mean", "published_sd", "percent", "p_adjusted"]
        console.print(
            tables.for_terminal(
                found[columns],
                f"Welch's test of finished seeds against {given.published}; p: {CORRECTIONS[given.correction]} over this table; population sds",
            )
        )
        return
    study = Study.of(runs, replace(rule_of(given), anytime="claims" in record))
    pairs = said(study, given, console)
    if study.rule.what.kind == "error":
        forecasts(pairs, networks.typical(runs, study.metric), ledger, console)


def said(study: Study, given: argparse.Namespace, console: Console) -> list[Pair]:
    """Print the verdict on two models or conditions, and every test of them; of a process the claim over its paths. Returns the pairs on other series."""
    if not (given.a and given.b):
        raise UserError("compare needs --a and --b (models or conditions), or --published.")
    pairs = pairs_of(study, given.a, given.b)
    verdicts = judge(study, pairs, whole=False)
    for claim in verdicts.paths:
        console.print(f"[b]{claim.process}[/b]: {sentences.process(claim, verdicts)}", highlight=False, soft_wrap=True)
        console.print(f"{sentences.alone(claim, verdicts)}", highlight=False, soft_wrap=True)
    for one in verdicts.comparisons:
        console.print(f"[b]{one.dataset}[/b]: {sentences.claim(one, verdicts)}", highlight=False, soft_wrap=True)
        every = every_test(one.a, one.b, np.random.default_rng(0))
        console.print(tables.for_terminal(every, "a - b and a against b; p not corrected; the verdict is the sentence above"))
    return [(one.a, one.b) for one in verdicts.comparisons]


def forecasts(pairs: list[Pair], typical: pd.DataFrame, ledger: Ledger, console: Console) -> None:
    """Diebold and Mariano's test of the median seeds of every pair, where their parameters and data are at hand."""
    rows = []
    by_label = typical.set_index("condition", drop=False)
    for a, b in ((one.label, other.label) for one, other in pairs):
        if a not in by_label.index or b not in by_label.index:
            continue
        try:
            errors = [one.errors()[0] for one in networks.load(ledger, by_label.loc[[a, b]])]
        except UserError as error:
            console.print(f"forecasts of the median seeds are not compared: {error}", highlight=False, soft_wrap=True)
            return
        if len(errors) == 2 and len(errors[0]) >= 8:
            out = diebold_mariano(errors[0], errors[1])
            rows.append(
                {
                    "series": by_label.loc[a, "dataset"],
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
    if is_table(given):
        study = study_of(given.study, **how_of(given))
    else:
        _, runs, record = load(given, console)
        study = Study.of(fresh(runs, record), Rule(given.metric))
    rng, rows = np.random.default_rng(0), []
    for a, b in pairs_of(example(study), given.a, given.b):  # of a process on the first path, where the others have as many seeds
        n, m = len(a.errors), len(b.errors)
        if min(n, m) < 2:
            raise UserError(f"'{a.label}' and '{b.label}' have {n} and {m} seeds; the power of a test needs at least 2 of each.")
        least = power.smallest_theta(n, m, given.power, given.alpha)
        could = f"a probability of {least:.2f} or more would have been found" if least < 1 else "no probability would have been found"
        console.print(
            f"[b]{a.dataset}[/b]: {a.name} against {b.name}, {n} and {m} seeds: {could} with probability {given.power:g}; {read_at_any_time(a, b)}",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
        for test, name in (("wins", "wins (the default)"), ("welch", "Welch t, finished seeds")):
            x, y = (a.errors, b.errors) if test == "wins" else (a.finished, b.finished)
            if min(len(x), len(y)) < 2:
                continue
            now = power.power(x, y, min(len(x), len(y)), rng, test, given.alpha)
            with console.status(f"{a.dataset}: simulating studies of {a.name} against {b.name} until their power is {given.power:g}"):
                needed = power.seeds_needed(x, y, rng, given.power, test, given.alpha)
            words = str(needed) if needed else f"over {power.MOST:,}"
            rows.append(
                {
                    study.noun: a.dataset,
                    "a": a.name,
                    "b": b.name,
                    "test": name,
                    "power with these seeds": now,
                    f"seeds for power {given.power:g}": words,
                }
            )
    title = f"seeds a condition at alpha = {given.alpha:g}, simulated from the observed errors as if they were all there is"
    console.print(tables.for_terminal(pd.DataFrame(rows), title))


def read_at_any_time(a: Condition, b: Condition) -> str:
    """The verdict that may be read after every pack, in words."""
    found = compare.read(a, b, interval=True)
    if not found.packs:
        return f"no pack of {sequential.PACK} seeds, of the same numbers, is complete in both, so nothing can be read yet"
    verdict = f"{a.name} {'beats' if found.theta > 0.5 else 'is beaten by'} {b.name}" if found.p < 0.05 else "nothing decided"
    return (
        f"after {sequential.PACK * found.packs} seeds each, read after every {sequential.PACK}: {verdict}, probability {found.theta:.2f}"
        f" ({found.low:.2f} to {found.high:.2f} at every reading at once), anytime {tables.p_value(found.p)}"
    )


def on_memory(given: argparse.Namespace, console: Console) -> None:
    if given.lags < 8:
        raise UserError(f"--lags {given.lags}: a decay needs at least 8.")
    (memory.of_file if is_table(given) else memory.of_study)(given, console)


if __name__ == "__main__":
    sys.exit(main())
