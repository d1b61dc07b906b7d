"""What W&B costs a sweep, and whether it ever changes a result or loses a metric.

    python -m benchmarks.tracking [--rounds 3] [--long]

One study, tracked offline, and online against a W&B server on loopback that works, that refuses the connection, that answers 429, and 500: wall times from command
to end, report included, and processor time (steadier on a shared machine), each beside that of ``tracking=off`` just before; the ledgers are compared bit for bit,
and every logged point is looked up in the files that are left. ``--long`` does the same with 432 conditions x 100 seeds, online.
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
from pathlib import Path

import numpy as np
import pandas as pd

from sweeps.follower import by_epoch
from sweeps.ledger import Ledger
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


def sweep(folder: Path, study: tuple[str, ...], case: Case) -> tuple[float, float, Server]:
    """Run a study; seconds from the command to its end, processor seconds of the driver and its tracking, and the server it talked to."""
    mode, fails, environment = case
    with Server(fails=fails) as server:
        started, used = time.perf_counter(), processor_seconds()
        subprocess.run(
            [sys.executable, "-m", "ltm.sweep", *study, "study=study", f"tracking={mode}"],
            cwd=folder, check=True, stdout=subprocess.DEVNULL, env=os.environ | server.environment | environment,
        )  # fmt: skip
        return time.perf_counter() - started, processor_seconds() - used, server


def processor_seconds() -> float:
    """Of the processes that were started and have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def found(folder: Path) -> str:
    """How many of the points that a study's curves have are in its W&B files."""
    book = Ledger(folder / "results" / "study")
    rows, curves = book.runs(), book.curves().set_index("run_id")
    runs = {run.name: run for run in map(read, (folder / "results" / "study").glob("wandb/offline-run-*/*.wandb"))}
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
    ratios: dict[str, list[float]] = {case: [] for case in cases}
    extra: dict[str, list[float]] = {case: [] for case in cases}
    said: dict[str, str] = {}
    for number in range(rounds):
        for case in cases:
            off, driver, untracked, _, _ = tracked(study, "off")
            mine, both, results, server, kept = tracked(study, case)
            pd.testing.assert_frame_equal(results, untracked, check_exact=True)
            ratios[case].append(mine / off)
            extra[case].append(both - driver)
            groups = {run.group for run in server.runs.values()}
            arrived = (
                f"; at the server: {len(server.runs)} runs in {len(groups)} group, {len(server.artifacts)} artifacts" if groups else ""
            )
            said[case] = f"{len(results):,} seed runs, the same bits; in the files: {kept}{arrived}"
            print(
                f"round {number + 1}, {case}: off {off:.1f} s, {mine:.1f} s, {both - driver:+.1f} processor seconds; {said[case]}",
                flush=True,
            )
    for case, measured in ratios.items():
        low, middle, high = (f"{100 * (ratio - 1):+.1f}" for ratio in (min(measured), statistics.median(measured), max(measured)))
        cost = f"{statistics.median(extra[case]):+.1f} processor seconds"
        print(f"{case}: {middle} % wall time (median of {len(measured)}, {low} to {high}), {cost}; {said[case]}")


def tracked(study: tuple[str, ...], case: str) -> tuple[float, float, pd.DataFrame, Server, str]:
    """Run a study in a folder of its own: seconds, processor seconds, results, the server, and how much of its curves the W&B files have."""
    with tempfile.TemporaryDirectory() as name:
        seconds, used, server = sweep(Path(name), study, CASES[case])
        results = Ledger(Path(name) / "results" / "study").runs(SAME).sort_values("run_id", ignore_index=True)
        return seconds, used, results, server, found(Path(name)) if case != "off" else ""


if __name__ == "__main__":
    main()
