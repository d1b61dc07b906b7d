"""``python -m analysis report STUDY`` and ``python -m analysis compare STUDY --a mrnn --b lstm``."""

from __future__ import annotations

import argparse
import sys

import pandas as pd
from rich.console import Console
from rich.table import Table

from analysis import report
from analysis.compare import compare
from ltm.errors import UserError
from sweeps.ledger import Ledger
from sweeps.progress import terminal


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m analysis", description="Verdicts from a study's ledger.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("report", help="tables, tests and plots of a study as one HTML page and CSV files")
    two = commands.add_parser("compare", help="Welch's t-test of two models or conditions, series by series, Holm-corrected")
    for command in (one, two):
        command.add_argument("study", help="the study's folder, such as results/k_sweep")
    two.add_argument("--a", required=True, help="model (mrnn) or condition ('mrnn K=100 / tree')")
    two.add_argument("--b", required=True, help="what to compare it with")
    two.add_argument("--metric", default="test_rmse", choices=["test_rmse", "test_mae", "test_mape"])
    given = parser.parse_args(arguments)
    console = terminal()
    try:
        if given.command == "report":
            console.print(f"report: {report.write(given.study, console)}", highlight=False, soft_wrap=True)
        else:
            show(compare(Ledger(given.study).runs(), given.a, given.b, given.metric), console)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def show(comparison: pd.DataFrame, console: Console) -> None:
    """Print a comparison; a negative difference means that a has the smaller error."""
    title = "difference of means a - b with its 95 % interval; p by Welch's t-test, p (Holm) corrected over this table"
    table = Table("series", "a", "b", "n", "difference", "95 % interval", "p", "p (Holm)", title=title, title_justify="left")
    for row in comparison.itertuples():
        names = (str(name).removesuffix(f" / {row.dataset}") for name in (row.a, row.b))
        difference, low, high, p, corrected = (report.shown(value) for value in (row.difference, row.low, row.high, row.p, row.p_holm))
        table.add_row(str(row.dataset), *names, f"{row.n_a}, {row.n_b}", difference, f"{low} to {high}", p, corrected)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
