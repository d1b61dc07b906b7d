"""The report of a study: the answer first, then what it rests on. One HTML page that needs nothing beside it, and every table and
figure as a file of its own, in the formats that were asked for."""

from __future__ import annotations

import datetime
import hashlib
import html
import io
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

import ltm
from analysis.claims import Claims, decided
from analysis.columns import METRICS, finite
from analysis.reporting import answer, folder, plots, tables
from analysis.reporting.page import DEFAULT, Head, page, rendered
from analysis.reporting.parts import claims, first, lengths, provenance, search, series, success, training
from analysis.reporting.parts.memory import forgetting
from analysis.reporting.parts.papers import hochreiter1997, reproduction, zhao2020
from analysis.reporting.parts.paths import components, process
from analysis.reporting.section import Plot, Section, Table
from analysis.reporting.sentences import drawn, listed, over
from analysis.reporting.tables import called
from analysis.studies import baselines
from analysis.studies.compare import Pair, pairs_against
from analysis.studies.memory.forgetting import measure
from analysis.studies.paths import claims as paths
from analysis.studies.search import fresh
from analysis.studies.verdicts import Verdicts, judge
from analysis.study import Rule, Study
from ltm.errors import UserError
from sweeps.console import counted
from sweeps.store.ledger import Ledger

PAPERS = {"hochreiter1997": hochreiter1997, "zhao2020": zhao2020}
"""The parts of a report for a whole paper, by the name that a study gives as ``published``."""


@dataclass(frozen=True, eq=False)
class Report:
    """A study as read and judged, and the parts of its report; no verdicts where a search has no fresh seed run yet."""

    ledger: Ledger
    runs: pd.DataFrame
    record: dict[str, Any]
    verdicts: Verdicts | None
    parts: Sequence[Section]
    others: Sequence[Verdicts] = ()
    """Of the conditions that the study's metric cannot judge, such as tasks of numbers beside tasks of classes."""


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


def in_order(runs: pd.DataFrame, condition_ids: list[str]) -> pd.DataFrame:
    """Rows in the order of the study's grid, whatever order they finished in."""
    place = {condition: i for i, condition in enumerate(condition_ids)}
    keys = pd.DataFrame({"place": runs["condition_id"].map(place).fillna(len(place)), "seed": runs["seed"]})
    return runs.loc[keys.sort_values(["place", "seed"], kind="stable").index].reset_index(drop=True)


def write(study: str | Path, console: Console | None = None, rule: Rule | None = None, formats: Collection[str] = DEFAULT) -> str:
    """Write ``report/`` of a study: ``index.html``, and ``tables/`` and ``figures/`` in these formats (:data:`analysis.reporting.page.FORMATS`);
    print the answer and the comparisons that matter if given a console.

    Returns:
        The path of ``index.html``.
    """
    rule = rule or Rule()
    loaded = load(study)
    of = folder.stamp(loaded[0]) if rule == Rule() and formats == DEFAULT else ""
    report = made(*loaded, rule)
    ledger = report.ledger
    plain = Console(file=io.StringIO(), width=console.width if console else 120)
    for one in (plain, *([console] if console else [])):
        to_terminal(report, one)
        if line := ledger.left_out():
            one.print(line, highlight=False, soft_wrap=True)
    folder.replace(ledger, files(report, formats), folder.kept(report.parts), of=of, said=plain.file.getvalue())  # type: ignore[attr-defined]
    return f"{ledger.path if ledger.is_local else ledger.uri}/report/index.html"


def made(ledger: Ledger, runs: pd.DataFrame, record: dict[str, Any], rule: Rule) -> Report:
    """Every part of the report, in its order; parts without content are left out."""
    searched = Section("Search")
    if record.get("search"):
        searched, runs = search.section(runs, record), fresh(runs, record)
        if runs.empty:
            return Report(ledger, runs, record, None, [Section(""), searched])
    asked = Claims.of_record(record)
    given, rule = rule, replace(rule.of(runs), anytime=bool(asked))
    study = Study.of(runs, rule, baselines.known(ledger, record, rule.metric))
    source = (
        None if asked else (record.get("config") or {}).get("published")
    )  # what a paper's figures are held against are fixed numbers of seeds
    paper = PAPERS.get(str(source))
    verdicts = judge(study, [] if asked else paper and paper.pairs(study))
    shown = paths.example(study)
    seen = runs if shown is study else runs[~runs["condition"].isin({one.label for one in study} - {one.label for one in shown})]
    memory = measure(ledger, seen, study)
    others = [] if given.metric else by_other_metrics(ledger, runs, record, study)
    if asked:
        names = {one.label: called(one.name) for some in (verdicts, *others) for one in some.study}
        verdicts = replace(verdicts, claims=tuple(decided(asked, runs, names)))
    alone = replace(verdicts, study=paths.beside(study))
    to_compare = paper.pairs if paper else pairs_against
    parts = [
        first.section(verdicts),
        claims.section(verdicts, asked),
        process.section(verdicts),
        *(paper.sections(ledger, runs, verdicts, memory) if paper else []),
        lengths.section(verdicts),
        *([] if asked else [of_example(success.section(seen, shown, to_compare if shown is study else no_pairs), study)]),
        *series.sections(alone),
        series.across(alone),
        components.section(study),
        *(part for one in others for part in apart(one)),
        searched,
        *([] if paper else [reproduction.section(runs, study, source, rule)]),
        of_example(forgetting.section(ledger, seen, shown, memory), study),
        of_example(training.section(ledger, seen, shown, runs), study),
        provenance.section(ledger, runs, record),
    ]
    parts = [part for i, part in enumerate(parts) if i == 0 or part.holds_something]
    for part in parts:
        part.plots = [sampled(one, study) for one in part.plots]
    return Report(ledger, runs, record, verdicts, parts, others)


def no_pairs(study: Study) -> list[Pair]:
    """Of one path of a process nothing is claimed."""
    return []


def of_example(part: Section, study: Study) -> Section:
    """A part that shows the first path alone of every process says so."""
    if paths.processes(study) and part.holds_something:
        part.text = f'<p class="quiet">Of each process the first of its {drawn(study)} alone.</p>{part.text}'
    return part


def by_other_metrics(ledger: Ledger, runs: pd.DataFrame, record: dict[str, Any], study: Study) -> list[Verdicts]:
    """The conditions that a study's metric leaves out, judged by that which most of them have, until none is left that has one."""
    found: list[Verdicts] = []
    left = runs[runs["condition"].isin(study.without)]
    while any(finite(left[name]).any() for name in METRICS if name in left):
        rule = replace(study.rule, metric="").of(left)
        one = Study.of(left, rule, baselines.known(ledger, record, rule.metric))
        found.append(judge(one, [] if rule.anytime else None))
        left = left[left["condition"].isin(one.without)]
    return found


def apart(verdicts: Verdicts) -> list[Section]:
    """The parts of what another metric judges, under names of their own."""
    metric, what = verdicts.study.metric, verdicts.study.rule.what.name
    parts = [part for part in (first.section(verdicts), *series.sections(verdicts), series.across(verdicts)) if part.holds_something]
    for part in parts:
        part.title = part.title or f"By {what}"
        part.plots = [replace(one, name=f"{one.name}_{metric}") for one in part.plots]
        part.tables = [under(one, metric) for one in part.tables]
        part.more = {
            words: [under(one, metric) if isinstance(one, Table) else replace(one, name=f"{one.name}_{metric}") for one in some]
            for words, some in part.more.items()
        }
        part.kept = {f"{name}_{metric}": table for name, table in part.kept.items()}
    parts[0].text = f"<p>{html.escape(answer.paragraph(verdicts))}</p>{parts[0].text}"
    return parts


def under(table: Table, metric: str) -> Table:
    return replace(table, name=f"{table.name}_{metric}", source=table.source and f"{table.source}_{metric}")


def sampled(one: Plot, study: Study) -> Plot:
    """A figure of a panel a series with those on the page that stand for all (:attr:`analysis.study.Study.samples`); its files have all."""
    names = tuple(name for name in study.samples if name in one.drawing.names)
    if one.panels is not None or not names or not set(names) < set(one.drawing.names) <= set(study.series):
        return one
    return replace(one, panels=names, caption=f"{one.caption} {len(names)} of {len(one.drawing.names)} {study.nouns}.")


def files(report: Report, formats: Collection[str] = DEFAULT) -> dict[str, bytes]:
    """All files of a report: those of :func:`rendered`, and the page."""
    beside = rendered(report.parts, formats)
    return beside | {"index.html": page(head(report), report.parts, [*beside, *folder.kept(report.parts)]).encode()}


def write_table(
    verdicts: Verdicts, to: Path, source: Path | None = None, console: Console | None = None, formats: Collection[str] = DEFAULT
) -> str:
    """The report of anybody's table of seeds: the parts that need no ledger, into a folder, in place of an earlier one.

    Returns:
        The path of ``index.html``.
    """
    alone = replace(verdicts, study=paths.beside(verdicts.study))
    parts = [
        first.section(verdicts),
        process.section(verdicts),
        lengths.section(verdicts),
        success.section(pd.DataFrame(), alone.study),
        *series.sections(alone),
        series.across(alone),
    ]
    parts = [part for i, part in enumerate(parts) if i == 0 or part.holds_something]
    foot = f"Written on {today().isoformat()} by ltm {ltm.__version__}"
    if source:
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        foot += f" from {html.escape(source.name)} (sha256 {digest}), a row a seed run; how its scores were come by is not known here"
    beside = rendered(parts, formats)
    top = Head(source.stem if source else "Seeds", html.escape(run_in_words(verdicts)), html.escape(answer.paragraph(verdicts)), f"{foot}.")
    folder.replace(Ledger(to), beside | {"index.html": page(top, parts, list(beside)).encode()}, folder="")
    if console:
        findings(verdicts, console)
    return str(to / "index.html")


def head(report: Report) -> Head:
    """What was run, the answer, and when, by what and where."""
    ledger, runs, record = report.ledger, report.runs, report.record
    title = str(record.get("study", Path(ledger.path).name))
    sources = provenance.sources_of(ledger, runs) if len(runs) else {}
    versions = sorted({str(one) for one in runs["code"].dropna().unique()}) if len(runs) else []
    foot = (
        f"Written on {today().isoformat()} by ltm {ltm.__version__}. Trained by ltm {html.escape(', '.join(versions) or 'of an unknown version')} on"
        f" {html.escape(provenance.hardware(sources))}."
    )
    if report.verdicts is None:
        return Head(
            title,
            "A search without fresh seed runs yet.",
            "No winner has been trained on fresh seeds yet, so there is nothing to judge.",
            foot,
        )
    unfinished = missing_runs(runs, record)
    warned = f" <b>The study is not finished: {html.escape(unfinished)}.</b> What is here is reported." if unfinished else ""
    return Head(title, html.escape(run_in_words(report.verdicts)) + warned, html.escape(answer.paragraph(report.verdicts)), foot)


def today() -> datetime.date:
    """The date; that of SOURCE_DATE_EPOCH where a reproducible build sets it."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).date() if epoch else datetime.date.today()


def run_in_words(verdicts: Verdicts) -> str:
    """What was run and how it is judged."""
    study = verdicts.study
    seeds = sorted({len(one.errors) for one in study})
    each = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    diverged, fate = sum(one.diverged for one in study), "without success" if study.rule.what.kind == "time" else "diverged"
    ranks = " (last in every rank; means are of the seeds that finished)" if diverged and fate == "diverged" else ""
    where = f"{len(study.series)} {study.noun if len(study.series) == 1 else study.nouns}"
    names, of = {one.name for one in study}, paths.processes(study)
    if of:
        rest = len(paths.beside(study).series)
        where = ", ".join(f"{len(some)} {drawn(study)} of {task}" for task, some in of.items()) + (
            f" and {rest} other {study.nouns}" if rest else ""
        )
    best = f" and {over(verdicts, verdicts.best_tests)} (which may be the best)" if verdicts.best_tests or not verdicts.paths else ""
    words = (
        f"{counted(sum(len(one.errors) for one in study), 'seed run')}: {counted(len(names) if of else len(study), 'condition')} on {where}, {each} seeds each,"
        f" {diverged} {fate}{ranks}. Judged by {plots.axis_label(study)}; {'smaller' if study.rule.sign > 0 else 'higher'} is better. Tests at 0.05, {over(verdicts, verdicts.tests)} (all that a condition is"
        f" held against){best}."
    )
    if any(one.below_0 for one in study):
        words += " Of conditions with a score below 0, of which per cent have no meaning, it is not asked whether they are no worse than another."
    return words + (f" Not judged by it, as they have no finite {study.metric}: {listed(study.without, 5)}." if study.without else "")


def missing_runs(runs: pd.DataFrame, record: dict[str, Any]) -> str:
    """What the study still lacks, in words; empty where it lacks nothing, or where claims decide what it trains."""
    if record.get("claims"):
        return ""
    known = record.get("conditions") or dict(zip(runs["condition_id"], runs["condition"], strict=True))
    seeds = int(runs.groupby("condition_id")["seed"].nunique().max())
    have = runs.groupby("condition_id").size()
    absent = [label for key, label in known.items() if key not in have.index]
    short = [f"{known.get(key, key)} ({n} of {seeds})" for key, n in have.items() if n < seeds]
    words = [f"{len(absent)} of {len(known)} conditions have no seed run ({listed(absent, 5)})"] if absent else []
    words += [f"{len(short)} conditions have fewer seeds than the others ({listed(short, 5)})"] if short else []
    return "; ".join(words)


def to_terminal(report: Report, console: Console) -> None:
    """The answer, and the comparisons that matter; of a paper, its claims."""
    if report.verdicts is None:
        return
    of_paper = next((part for part in report.parts if part.title == zhao2020.CLAIMS), None)
    findings(report.verdicts, console, missing_runs(report.runs, {"claims": report.verdicts.claims}), of_paper)
    for one in report.others:
        console.print(f"By {one.study.rule.what.name}:", highlight=False)
        findings(one, console)


def findings(verdicts: Verdicts, console: Console, missing: str = "", of_paper: Section | None = None) -> None:
    console.print(answer.paragraph(verdicts), highlight=False)
    if missing:
        console.print(missing, highlight=False, soft_wrap=True)
    if of_paper:
        console.print(tables.for_terminal(zhao2020.at_a_glance(of_paper.tables[0].shown), zhao2020.CLAIMS))
        return
    if verdicts.claims:
        table = claims.shown(sorted(verdicts.claims, key=lambda one: not one.told)[: answer.MOST_PAIRS])
        console.print(tables.for_terminal(table, "claims: P holds after every pack of ten seeds"))
        return
    table, test = answer.pairs(verdicts)
    if len(table):
        console.print(tables.for_terminal(table, f"p: {test}"))
