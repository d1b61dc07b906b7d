"""``ltm memory SERIES.csv | STUDY``: the long memory of a series; of a study's, what its networks leave of it in their residuals, and how they respond to the past."""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from analysis.reporting import build, drawing, folder, tables
from analysis.reporting.page import rendered
from analysis.reporting.parts.memory import forgetting
from analysis.reporting.parts.memory import series as words
from analysis.reporting.section import Plot, Section
from analysis.studies.memory import networks
from analysis.studies.memory.forgetting import law_rows, law_table, memory_table
from analysis.studies.memory.series import SeriesMemory, measure, taken_out
from analysis.studies.search import fresh
from analysis.study import Rule, Study
from ltm.data import files
from ltm.errors import UserError
from sweeps.console import say
from sweeps.store.ledger import Ledger


def of_file(given: argparse.Namespace, console: Console) -> None:
    """The memory of one column of a CSV or Parquet file."""
    if given.metric:
        raise UserError("--metric is of a study's folder; a file holds one series.")
    column = given.column or only_column(given.study)
    found = measure(column, files.read_column(given.study, column), given.trend)
    console.print(words.sentence(found), highlight=False, soft_wrap=True)
    mean = "mean and linear trend taken off" if given.trend else "mean taken off; --trend takes a linear trend off, too"
    console.print(tables.for_terminal(words.estimates(found), f"memory parameter d of {column} ({mean})"))
    console.print(tables.for_terminal(words.curve(found), "d by bandwidth: a plateau speaks for one d, a slope for short memory or shifts"))
    console.print(
        f"Lo's test of short memory: V = {found.lo.statistic:.3f}, q = {found.lo.dof:.0f}, {tables.p_value(found.lo.p)}", highlight=False
    )
    if given.out:
        write(given, console, [found])


def only_column(name: str) -> str:
    """The one column of numbers of a table.

    Raises:
        UserError: there are several, or none.
    """
    path, frame = files.read_table(name)
    numeric = [str(column) for column in frame.select_dtypes("number")]
    if len(numeric) != 1:
        raise UserError(f"{path} has {len(numeric)} columns of numbers ({', '.join(numeric[:20])}); expected --column, one of its columns.")
    return numeric[0]


def of_study(given: argparse.Namespace, console: Console) -> None:
    """The memory of a study's series, of the forecasts and residuals of all seeds, and the response of every network to its past."""
    if given.column or given.trend:
        raise UserError("--column and --trend are for a CSV or Parquet file; a study knows its series.")
    ledger, runs, record = build.load(given.study)
    if line := ledger.left_out():
        say(console, line)
    runs = fresh(runs, record)
    rule = Rule(given.metric).of(runs)
    finished = networks.seeds(runs, rule.metric)
    if left := len(runs) - len(finished):
        console.print(f"{left} of {len(runs)} seed runs diverged and are left out", highlight=False)
    groups = networks.load(ledger, finished)
    if not groups:
        raise UserError(f"no condition of {given.study} forecasts a series; memory is asked of series.")
    study = Study.of(runs, rule)
    table = memory_table(groups, study)
    rows: list[pd.DataFrame] = []
    found: dict[str, dict[str, np.ndarray]] = {}
    for group in track(groups, description="responses of all seeds, condition by condition", console=console, transient=True):
        one, response = study.by_label[group.condition], group.response(given.lags)
        found.setdefault(one.dataset, {})[one.name] = response
        rows.append(law_rows(group, response))
    laws = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
    by_condition = law_table(laws)
    shown = forgetting.laws_for_page(by_condition, study)
    drawn = Plot("responses", "", forgetting.responses(found), {})
    folder.add(ledger, rendered([Section("Responses", plots=[drawn], kept={"responses": laws})], ("csv", "svg")))
    series = [measure(name, x) for name, x in table.series.items() if len(x) >= 64]
    for of_one in series:
        console.print(words.sentence(of_one), highlight=False, soft_wrap=True)
    removed = taken_out(groups, study)
    if len(removed):
        title = (
            "memory parameter d of the test part, its forecasts and residuals, by exact local Whittle; of forecasts and residuals means over seeds,"
            " intervals over seeds; own: of one seed; memory left: seeds whose own interval lies above 0"
        )
        console.print(tables.for_terminal(words.left(removed), title))
        for line in words.left_in_words(removed):
            console.print(line, highlight=False, soft_wrap=True)
    residuals = forgetting.for_page(table.table)[
        ["condition", "series", "seeds", "d of the series", "residual d (95 %)", "d not 0", "learned d"]
    ]
    console.print(
        tables.for_terminal(residuals, "memory parameter d by local Whittle, of the series and of the test residuals of every seed")
    )
    title = f"the law by which |A_k|, k = 1 to {given.lags}, decays (smaller AIC; up to K and beyond it apart), in how many seeds; means over seeds"
    console.print(tables.for_terminal(shown, title))
    if given.out:
        write(given, console, series, removed)
    console.print(f"figure: {ledger.uri}/report/figures/responses.svg; the next report includes the laws", highlight=False, soft_wrap=True)


def write(given: argparse.Namespace, console: Console, found: list[SeriesMemory], removed: pd.DataFrame | None = None) -> None:
    """Tables and the figure into the folder ``--out``."""
    kept = {
        "memory": pd.concat([one.table() for one in found], ignore_index=True),
        "tests": pd.DataFrame(
            {"series": one.name, "qu": one.qu.statistic, "qu_m": one.qu_m, "qu_critical": one.critical, "qu_p": one.qu.p}
            | {"lo": one.lo.statistic, "lo_q": one.lo.dof, "lo_p": one.lo.p}
            for one in found
        ),
        "bandwidths": pd.concat([one.bandwidths() for one in found], ignore_index=True),
        "autocorrelations": pd.concat([one.autocorrelations(given.lags) for one in found], ignore_index=True),
    }
    if removed is not None:
        kept["residuals"] = removed
    to = Ledger(given.out)
    for name, table in kept.items():
        to.put(f"{name}.csv", tables.as_csv(table).encode())
    to.put("memory.svg", drawing.svg(words.figure(found, given.lags).whole()).encode())
    say(console, f"{', '.join(f'{name}.csv' for name in kept)} and memory.svg in {to.uri}")
