"""``python -m ltm.train``: one condition in this process, without Ray and without a ledger: for debugging and a first look."""

from __future__ import annotations

import sys

import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ltm.errors import UserError
from sweeps import cluster, config, plan, progress, work

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
        train(given, progress.terminal())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def train(overrides: list[str], console: Console) -> None:
    """Train the one condition of these overrides as one pack, with a progress bar and a table."""
    study = config.compose(overrides)
    cluster.check(study.config.compute)
    whole = plan.make(study)
    if len(whole.conditions) > 1:
        raise UserError(f"ltm.train takes one condition, this grid has {len(whole.conditions)}; python -m ltm.sweep runs them all.")
    threads = study.config.compute.cpus_per_pack
    torch.set_num_threads(threads)
    training = work.training_of(plan.Pack(tuple(whole.runs)), study.config.engine, threads)
    console.print(f"{next(iter(whole.labels.values()))}: {len(whole.seeds)} seeds, engine {training.engine.name}", highlight=False)
    with Progress(console=console, transient=True) as bars:
        bar = bars.add_task("epochs", total=study.config.training.max_epochs)
        while not training.done:
            training.advance_for(1.0, study.config.training.max_epochs)
            best = float(training.state.best_validation.min())
            bars.update(bar, completed=int(training.state.epoch.max()), description=f"best validation loss {best:.3g}")
    rows = training.results()
    shown = ["seed", "status", "epochs", "best_epoch", "validation_loss", "test_rmse", "test_mae", "test_mape", "d"]
    table = Table(*shown)
    for row in rows[shown].itertuples(index=False):
        table.add_row(*(f"{value:.5g}" if isinstance(value, float) else str(value) for value in row))
    console.print(table)
    rmse = rows["test_rmse"].dropna()
    if len(rmse):
        console.print(f"test RMSE: mean {rmse.mean():.5g}, sd {rmse.std():.3g}, min {rmse.min():.5g} over {len(rmse)} of {len(rows)} seeds")
    console.print(f"{training.epochs / training.seconds:,.0f} seed-epochs/s", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
