"""What W&B costs a sweep, and whether it ever changes a result or loses a metric.

    python -m benchmarks.tracking [--rounds 3] [--long]

One study, tracked offline, and online against a W&B server on loopback that works, that refuses the connection, that answers 429, and 500: wall time from command
to end, report included; what of it comes after the last pack (where all of tracking falls in a study this short) and processor time, both steadier on a shared
machine; each beside that of ``tracking=off`` just before. The ledgers are compared bit for bit, and every logged point is looked up in the files that are left.
``--long`` does the same with 432 conditions x 100 seeds, online.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sweeps.store.ledger import Ledger
from sweeps.tracking.logger import by_epoch
from tests.wandb_server import Server, read

STUDY = ("+experiment=k_sweep", "seeds=400")
LONG = ("+experiment=paper_table2", "grid.lr=[0.03,0.025,0.02,0.018,0.016,0.014,0.012,0.01,0.008,0.006,0.005,0.004]")
SAME = [
    "run_id",
    "condition_id",
    "status",
    "epochs",
    "best_epoch",
    "train_loss",
    "validation_loss",
    "test_rmse",
    "test_mae",
    "test_mape",
    "d",
]
NOWHERE = "http://127.0.0.1:9"

Case = tuple[str, Callable[[str], int], dict[str, str]]
CASES: dict[str, Case] = {
    "off": ("off", lambda path: 0, {}),
    "offline": ("offline", lambda path: 0, {}),
    "online": ("online", lambda path: 0, {}),
    "network refused": ("online", lambda path: 0, {"WANDB_BASE_URL": NOWHERE}),
    "server answers 429": ("online", lambda path: 429, {}),
    "server answers 500": ("online", lambda path: 500, {}),
}


@dataclass(frozen=True)
class Measured:
    """A study that was run: seconds from the command to its end, how many of them after the last pack, processor seconds of the driver and its tracking;
    its results, the server it talked to, and how much of its curves the W&B files have."""

    seconds: float
    after: float
    processor: float
    results: pd.DataFrame
    server: Server
    kept: str


def measure(study: tuple[str, ...], case: str) -> Measured:
    """Run a study in a folder of its own."""
    mode, fails, environment = CASES[case]
    with tempfile.TemporaryDirectory() as name, Server(fails=fails) as server:
        started, used = time.time(), processor_seconds()
        subprocess.run(
            [sys.executable, "-m", "ltm.sweep", *study, "study=study", f"tracking={mode}"],
            cwd=name, check=True, stdout=subprocess.DEVNULL, env=os.environ | server.environment | environment,
        )  # fmt: skip
        ended, book = time.time(), Ledger(Path(name) / "results" / "study")
        return Measured(
            ended - started, ended - max(book.times("runs").values()), processor_seconds() - used,
            book.runs(SAME).sort_values("run_id", ignore_index=True), server, found(book) if mode != "off" else "",
        )  # fmt: skip


def processor_seconds() -> float:
    """Of the processes that were started and have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def found(book: Ledger) -> str:
    """How many of the points that a study's curves have are in its W&B files."""
    rows, curves = book.runs(), book.curves().set_index("run_id")
    runs = {run.name: run for run in map(read, book.local().glob("wandb/offline-run-*/*.wandb"))}
    points = kept = 0
    for name, condition in rows.groupby("condition"):
        logged = {row["_step"]: row for row in runs[str(name)].rows} if str(name) in runs else {}
        for epoch, point in by_epoch(curves.loc[condition["run_id"]]).items():
            points += len(point)
            kept += sum(np.isclose(logged.get(epoch, {}).get(key, np.nan), value, rtol=1e-12) for key, value in point.items())
    return f"{kept:,} of {points:,} points, {len(runs)} runs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="times each case is run (default 3)")
    parser.add_argument("--long", action="store_true", help="432 conditions x 100 seeds, off and online, once")
    given = parser.parse_args()
    study, cases, rounds = (LONG, ["online"], 1) if given.long else (STUDY, list(CASES)[1:], given.rounds)
    pairs: dict[str, list[tuple[Measured, Measured]]] = {case: [] for case in cases}
    for number in range(rounds):
        for case in cases:
            off, mine = measure(study, "off"), measure(study, case)
            pd.testing.assert_frame_equal(mine.results, off.results, check_exact=True)
            pairs[case].append((off, mine))
            print(f"round {number + 1}, {case}: off {off.seconds:.1f} s, {mine.seconds:.1f} s; {in_words([(off, mine)])}", flush=True)
    for case, measured in pairs.items():
        print(f"{case}, {rounds} rounds: {in_words(measured)}")


def in_words(pairs: list[tuple[Measured, Measured]]) -> str:
    """What a case cost, in medians over its pairs, and what it left."""
    ratios = [100 * (mine.seconds / off.seconds - 1) for off, mine in pairs]
    after = statistics.median(mine.after - off.after for off, mine in pairs)
    processor = statistics.median(mine.processor - off.processor for off, mine in pairs)
    mine = pairs[-1][1]
    runs, groups = mine.server.runs, {run.group for run in mine.server.runs.values()}
    arrived = f"; at the server: {len(runs)} runs in {len(groups)} group, {len(mine.server.artifacts)} artifacts" if runs else ""
    return (
        f"{statistics.median(ratios):+.1f} % wall time ({min(ratios):+.1f} to {max(ratios):+.1f}), {after:+.1f} s after the last pack, {processor:+.1f} processor"
        f" seconds; {len(mine.results):,} seed runs, the same bits; in the files: {mine.kept}{arrived}"
    )


if __name__ == "__main__":
    main()
