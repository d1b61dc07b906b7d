"""Made-up rows of a ledger for the tests of the analysis."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd


def rows(dataset: str = "tree", **models: Sequence[float]) -> pd.DataFrame:
    """Rows with these test errors by model (``mrnn_5`` is an MRNN with K = 5), seeds from 0 on; NaN is a diverged seed."""
    parts = []
    for model, values in models.items():
        name, _, K = model.partition("_")
        parts.append(
            pd.DataFrame(
                {
                    "dataset": dataset, "fingerprint": f"data of {dataset}", "model": name, "K": int(K) if K else None,
                    "condition": f"{name} K={K} / {dataset}" if K else f"{name} / {dataset}", "seed": range(len(values)),
                    "status": ["diverged" if np.isnan(v) else "completed" for v in values], "test_rmse": np.array(values, float),
                }
            )
        )  # fmt: skip
    return pd.concat([part.astype({"K": "Int64"}) for part in parts], ignore_index=True)


def held(dataset: str = "tree", **errors: float) -> pd.DataFrame:
    """Baselines of one series with these test errors, by kind."""
    names = {"last": "last value", "AR": "AR", "mean": "mean", "constant": "constant"}
    return pd.DataFrame(
        [
            {
                "fingerprint": f"data of {dataset}",
                "version": 1,
                "dataset": dataset,
                "baseline": names[k],
                "label": f"{names[k]}(1)",
                "test_rmse": v,
            }
            for k, v in errors.items()
        ]
    )


ALL = held(mean=2.0, last=1.5, AR=1.0, constant=1.9)


def classified(dataset: str = "latching", solved: float = 0.8, **models: Sequence[float]) -> pd.DataFrame:
    """Rows with these test accuracies by model; a seed above ``solved`` succeeds, after the more sequences the more accurate it is."""
    table = rows(dataset, **models).rename(columns={"test_rmse": "test_accuracy"})
    accuracy = table["test_accuracy"]
    success = (accuracy > solved).astype(float).where(accuracy.notna())
    return table.assign(test_success=success, test_sequences=(1000 * accuracy + 10 * table["seed"]).where(success == 1))


def on_paths(
    paths: int,
    seeds: int,
    name: str = "arfima",
    key: str = "path",
    tau: float = 0.0,
    of_path: float = 1.0,
    elsewhere: bool = True,
    **gaps: float,
) -> pd.DataFrame:
    """Rows of models on many paths of one process: normal errors of sd 1, a level that is the path's, and each model's gap, which differs by ``tau`` from
    path to path. ``elsewhere``: whether seeds start from other initial parameters on each."""
    rng = np.random.default_rng(5)
    parts = []
    for i in range(paths):
        level = 10 + of_path * rng.normal()
        errors = {model: level + gap + tau * rng.normal() * (gap != 0) + rng.normal(size=seeds) for model, gap in gaps.items()}
        part = rows(name, **errors)
        config = json.dumps({"dataset": {"name": name, "kind": "arfima", key: i, "train": 9}})
        parts.append(
            part.assign(
                fingerprint=f"{name} {i}",
                config=config,
                condition=part["condition"] + f" {key}={i}",
                draws=part["model"] + (f" {i}" if elsewhere else ""),
            )
        )
    return pd.concat(parts, ignore_index=True)
