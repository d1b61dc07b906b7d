"""A study of networks with their initial parameters: a ledger without training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from ltm import cells, data
from ltm.cells.record import record
from sweeps.store import tables
from sweeps.store.ledger import Ledger

DATASET = {"name": "arfima", "kind": "arfima", "length": 301, "train": 150, "validation": 75}
MODEL = {"name": "rnn", "cell": "rnn", "hidden_size": 1}


def study(folder: Path, seeds: int, diverged: tuple[int, ...] = ()) -> Ledger:
    """One condition with initial parameters as its best, a seed a pack; some diverged."""
    book, network = Ledger(folder), cells.build(MODEL, data.build(DATASET))
    for seed in range(seeds):
        frame = pd.DataFrame({name: pd.Series([None], dtype=object) for name in tables.COLUMNS if name != "pack"})
        frame = frame.assign(
            run_id=f"r{seed}", condition_id="c", condition="rnn / arfima", model="rnn", dataset="arfima", seed=seed, test_rmse=1.0 + seed,
            status="diverged" if seed in diverged else "completed", K=pd.array([None], dtype="Int64"),
            fingerprint=data.build(DATASET).fingerprint, step=record(network).digest, config=json.dumps({"dataset": DATASET, "model": MODEL}),
        )  # fmt: skip
        book.write(frame, [(np.ones(2, np.float32),) * 2], network.initial(seed)[None])
    return book
