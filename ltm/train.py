"""``python -m ltm.train``: one condition in this process, without Ray, and nothing is kept: for debugging and a first look."""

from __future__ import annotations

import sys
import tempfile

import pandas as pd
from rich.console import Console
from rich.table import Table

from ltm.errors import UserError
from sweeps import config, plan
from sweeps.console import say, terminal
from sweeps.record import folder_of
from sweeps.store.tables import TESTS, headline
from sweeps.study import run

USAGE = """python -m ltm.train model=NAME [dataset=NAME] [seeds=N] [training.max_epochs=E] [any Hydra override]

Trains one condition in this process and prints its seed runs; nothing is written.

models        {model}
datasets      {dataset}

Example
  python -m ltm.train model=mrnn dataset=tree seeds=5"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status is 0, 2 (bad input) or 130 (Ctrl-C)."""
    given = sys.argv[1:] if arguments is None else arguments
    if {"-h", "--help"} & set(given):
        print(USAGE.format(**{group: ", ".join(config.options(group)) for group in config.GROUPS}))
        return 0
    try:
        return train(given, terminal())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def train(overrides: list[str], console: Console) -> int:
    """Train the one condition of these overrides, as a sweep does, into a ledger that is thrown away; print its seed runs. Returns the exit status."""
    study = config.compose([*overrides, "compute.ray=never", "tracking=off", "search=none"])
    proposed = plan.make(study)
    if len(proposed.conditions) > 1:
        raise UserError(f"ltm.train takes one condition, this grid has {len(proposed.conditions)}; python -m ltm.sweep runs them all.")
    with tempfile.TemporaryDirectory(prefix="ltm-train-") as folder:
        study.config.root = folder
        outcome = run(study, "ltm train", console, reported=False)
        _, ledger = folder_of(study)
        if not (rows := ledger.runs()).empty:
            show(rows, console)
    return outcome.status


def show(rows: pd.DataFrame, console: Console) -> None:
    """Print the seed runs of one condition, and what they come to."""
    tests = [name for name in TESTS if rows[name].notna().any()]
    shown = ["seed", "status", "epochs", "best_epoch", "validation_loss", *tests, "d"]
    table = Table(*shown)
    for row in rows[shown].sort_values("seed").itertuples(index=False):
        table.add_row(*(f"{value:.5g}" if isinstance(value, float) else str(value) for value in row))
    console.print(table)
    values = rows[name := headline(rows)].dropna()
    if len(values):
        ends = f"min {values.min():.5g}, max {values.max():.5g}"
        say(
            console,
            f"test {TESTS[name]}: mean {values.mean():.5g}, sd {values.std():.3g}, {ends} over {len(values)} of {len(rows)} seeds",
        )
    say(console, f"engine {rows['engine'].iloc[0]}, {rows['epochs'].sum() / rows['seconds'].sum():,.0f} seed-epochs/s")


if __name__ == "__main__":
    sys.exit(main())
