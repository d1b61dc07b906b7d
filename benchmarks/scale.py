"""Planning, status and resume of a study of a million seed runs in ten thousand packs, without training anything.

    python -m benchmarks.scale [--conditions 10000] [--seeds 100]

Each stage runs in a process of its own; prints seconds and the largest memory.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.progress import track

from sweeps import config, record
from sweeps.plan import Plan, cut, make
from sweeps.store import maintenance
from sweeps.store.ledger import Ledger

SIZE = 100


def plan_of(conditions: int, seeds: int) -> Plan:
    """One RNN on one short series with as many learning rates as there are conditions."""
    rates = [f"{rate:.6g}" for rate in np.geomspace(1e-4, 1, conditions)]
    return make(config.compose(["model=rnn", f"seeds={seeds}", f"grid.lr=[{','.join(rates)}]"]))


def stage(name: str, folder: str, conditions: int, seeds: int) -> str:
    """One stage; returns a line on what it did."""
    ledger = Ledger(folder)
    if name == "plan":
        plan = plan_of(conditions, seeds)
        study = config.compose(["model=rnn", f"seeds={seeds}"])
        record.claim(ledger, plan, study.config, "scale", "simulated")
        packs = cut(plan.runs, 10, SIZE)
        assert len({run.run_id for pack in packs for run in pack.runs}) == conditions * seeds
        return f"{conditions * seeds:,} seed runs planned, identified and cut into {len(packs):,} packs"
    if name == "resume":
        plan = plan_of(conditions, seeds)
        return f"{len(record.lacking(plan.runs, ledger)):,} seed runs found missing"
    if name == "status":
        seen = maintenance.status(ledger)
        return f"{seen.finished:,} of {seen.planned:,} finished"
    return "{} files became {}".format(*maintenance.compact(ledger))


def simulate(folder: str, conditions: int, seeds: int) -> None:
    """A ledger that holds all but the last hundred packs."""
    ledger, plan = Ledger(folder), plan_of(conditions, seeds)
    packs = cut(plan.runs, 10, SIZE)[:-100]
    for pack in track(packs, description="simulating a ledger", transient=True):
        n = len(pack.runs)
        frame = pd.DataFrame(
            {
                "run_id": [run.run_id for run in pack.runs], "condition_id": [run.condition.id for run in pack.runs], "condition": "rnn / arfima",
                "model": "rnn", "dataset": "arfima", "K": pd.array([None] * n, dtype="Int64"), "hidden_size": 1, "lr": 0.01,
                "seed": [run.seed for run in pack.runs], "status": "stopped", "epochs": 10, "best_epoch": 5, "train_loss": 1.0, "validation_loss": 1.0,
                "test_rmse": 1.0, "test_mae": 1.0, "test_mape": 1.0, "d": np.nan, "config": "{}", "fingerprint": "f", "step": "s", "draws": "d", "code": "c",
                "provenance": None, "engine": "e", "engine_version": 0, "seconds": 0.01,
            }
        )  # fmt: skip
        curve = (np.ones(10, np.float32), np.ones(10, np.float32))
        ledger.write(frame, [curve] * n, np.ones((n, 4), np.float32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--conditions", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--stage", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        started = time.perf_counter()
        line = stage(*given.stage, given.conditions, given.seeds)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{given.stage[0]}: {line} in {time.perf_counter() - started:.1f} s, at most {peak:.2f} GiB", flush=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        study = str(Path(folder) / "study")
        for name in ("plan", "resume", "status", "compact", "resume"):
            if name == "resume" and not Path(study, "runs").exists():
                simulate(study, given.conditions, given.seeds)
            sizes = ["--conditions", str(given.conditions), "--seeds", str(given.seeds)]
            subprocess.run([sys.executable, "-m", "benchmarks.scale", *sizes, "--stage", name, study], check=True)


if __name__ == "__main__":
    main()
