"""How long a large study's report takes, and how much memory: a simulated ledger of many seed runs, reported in a fresh process.

    python -m benchmarks.report [--runs 100000]

The seed runs have simulated errors and learning curves, and real cells with their initial parameters on simulated series.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from rich.progress import track

from ltm import cells, data
from ltm.cells.record import record
from sweeps.store.ledger import Ledger

SEEDS, SERIES, EPOCHS = 100, 10, 300
MODELS = ("rnn", "lstm", "mist", "mrnn", "mrnnf", "mlstm", "mlstmf", "rnn2")


def simulate(folder: Path, runs: int) -> None:
    """Write a study of ``runs`` seed runs, a pack a condition."""
    ledger, rng, conditions = Ledger(folder), np.random.default_rng(0), {}
    lengths = [10 * (i + 1) for i in range(-(-runs // (SEEDS * SERIES * (len(MODELS) - 3))))]
    points = [(s, m, K) for s in range(SERIES) for m in MODELS for K in (lengths if m not in ("rnn", "lstm", "mist") else [None])]
    points = points[: runs // SEEDS]
    for i, (number, model, K) in enumerate(track(points, description="simulating a ledger", transient=True)):
        dataset = {"name": f"series{number}", "kind": "arfima", "length": 601, "d": 0.4, "seed": number, "train": 300, "validation": 100}
        config = {"name": model, "cell": model, "hidden_size": 1} | ({"K": K} if K else {})
        task = data.build(dataset)
        network, label = cells.build(config, task), f"{model}{f' K={K}' if K else ''} / series{number}"
        conditions[f"c{i:06d}"] = label
        error = rng.lognormal(0.01 * MODELS.index(model), 0.1, SEEDS)
        frame = pd.DataFrame(
            {
                "run_id": [f"c{i:06d}-{seed}" for seed in range(SEEDS)], "condition_id": f"c{i:06d}", "condition": label, "model": model,
                "dataset": dataset["name"], "K": pd.array([K] * SEEDS, dtype="Int64"), "hidden_size": 1, "lr": 0.01, "seed": range(SEEDS),
                "status": np.where(rng.random(SEEDS) < 0.01, "diverged", "stopped"), "epochs": EPOCHS, "best_epoch": EPOCHS // 2,
                "train_loss": error, "validation_loss": error, "test_rmse": error, "test_mae": error, "test_mape": error, "d": np.nan,
                "config": json.dumps({"model": config, "dataset": dataset, "training": {}}), "fingerprint": task.fingerprint,
                "step": record(network).digest, "draws": record(network).draws, "code": "simulated", "provenance": None, "engine": "none",
                "engine_version": 0, "seconds": 0.01,
            }
        )  # fmt: skip
        curves = [(np.exp(-np.linspace(0, 3, EPOCHS)) * e,) * 2 for e in error.astype(np.float32)]
        ledger.write(frame, curves, np.stack([network.initial(seed) for seed in range(SEEDS)]))
    ledger.put(
        "config.yaml", yaml.safe_dump({"study": folder.name, "command": "simulated", "config": {}, "conditions": conditions}).encode()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100_000)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "simulated"
        simulate(study, runs)
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "analysis", "report", str(study)], check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        page = (study / "report" / "index.html").stat().st_size / 2**20
        count = len(list((study / "runs").iterdir()))
    print(f"{runs:,} seed runs in {count:,} packs: reported in {seconds:.1f} s, at most {peak:.2f} GiB; the page has {page:.1f} MiB")


if __name__ == "__main__":
    main()
