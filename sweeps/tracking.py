"""W&B follows a study: one run a condition (or a seed), written beside the training and never in its way."""

from __future__ import annotations

import logging
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sweeps.config import TrackingConfig
from sweeps.ledger import Ledger, condition_config
from sweeps.plan import SeedRun

log = logging.getLogger(__name__)

SUMMARY = ("test_rmse", "test_mae", "test_mape", "validation_loss", "epochs", "d")


class Tracker:
    """Logs each condition as soon as its last missing seed run is in the ledger; in a thread of its own.

    A tracker that fails costs no result: the failure is logged, and ``online`` falls back to offline files.
    """

    def __init__(self, config: TrackingConfig, study: str, ledger: Ledger, missing: list[SeedRun]) -> None:
        self.config, self.study, self.ledger = config, study, ledger
        self.waiting = Counter(run.condition.id for run in missing)
        self.offline = config.mode == "offline"
        self.logged = 0
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="wandb") if config.mode != "off" else None

    def finished(self, runs: tuple[SeedRun, ...]) -> None:
        """The ledger has these seed runs now. Returns at once."""
        for run in runs:
            self.waiting[run.condition.id] -= 1
        complete = {run.condition.id for run in runs if self.waiting[run.condition.id] == 0}
        if self.pool:
            for condition in sorted(complete):
                self.pool.submit(self._safely, condition)

    def close(self) -> str | None:
        """Wait for what is still to be logged. Returns how offline files are sent, if there are any."""
        if self.pool is None:
            return None
        self.pool.shutdown(wait=True)
        return f"wandb sync {self.folder}/wandb/offline-run-*" if self.offline and self.logged else None

    @property
    def folder(self) -> Path:
        return self.ledger.local()

    def _safely(self, condition: str) -> None:
        try:
            self._condition(condition)
        except Exception as error:  # the boundary to a foreign service: whatever it raises must not reach the sweep
            log.warning("W&B could not log condition %s: %s", condition, error)

    def _condition(self, condition: str) -> None:
        runs = self.ledger.runs()
        rows = runs[runs["condition_id"] == condition].sort_values("seed", ignore_index=True)
        curves = self.ledger.curves(rows).set_index("run_id").loc[rows["run_id"]]
        if self.config.per_seed:
            for i in range(len(rows)):
                self._log(rows.iloc[[i]], curves.iloc[[i]], f"{rows['condition'][i]} seed={rows['seed'][i]}", str(rows["run_id"][i]))
        else:
            self._log(rows, curves, rows["condition"][0], f"{condition}-{len(rows)}")

    def _log(self, rows: pd.DataFrame, curves: pd.DataFrame, name: str, run_id: str) -> None:
        import wandb

        config = {**condition_config(rows.iloc[0]), "code": rows["code"].iloc[0], "seeds": rows["seed"].tolist()}
        run = self._init(name, run_id, config)
        try:
            for epoch, point in enumerate(by_epoch(curves), start=1):
                run.log(point, step=epoch)
            seeds = rows.drop(columns=["config", "condition", "condition_id", "pack"]).astype(object)
            run.log({"seeds": wandb.Table(dataframe=seeds.where(seeds.notna(), None))})
            run.summary.update(summary(rows))
        finally:
            run.finish()
        self.logged += 1

    def _init(self, name: str, run_id: str, config: dict[str, Any]) -> Any:
        import wandb

        self.folder.mkdir(parents=True, exist_ok=True)
        common: dict[str, Any] = {
            "project": self.config.project, "entity": self.config.entity, "group": self.study, "name": name, "config": config,
            "dir": str(self.folder), "reinit": "create_new",
        }  # fmt: skip
        quiet = wandb.Settings(silent=True, console="off", init_timeout=20, x_disable_meta=True, x_disable_stats=True)
        if not self.offline:
            try:
                return wandb.init(**common, id=f"{self.study}-{run_id}"[-64:], mode="online", settings=quiet)
            except Exception as error:  # no key, no network, no such entity
                log.warning("W&B is not reachable (%s); going on offline.", str(error).splitlines()[0])
                self.offline = True
        return wandb.init(**common, id=f"{self.study}-{run_id}"[-64:], mode="offline", settings=quiet)


def by_epoch(curves: pd.DataFrame) -> list[dict[str, float]]:
    """Median and quartiles over seeds of both losses, epoch by epoch, over the seeds that trained so long."""
    points: list[dict[str, float]] = []
    for loss in ("train_loss", "validation_loss"):
        width = max(map(len, curves[loss]))
        whole = np.full((len(curves), width), np.nan)
        for row, values in zip(whole, curves[loss], strict=True):
            row[: len(values)] = values
        whole[~np.isfinite(whole)] = np.nan
        trained = (~np.isnan(whole)).sum(0)
        points = points or [{} for _ in range(width)]
        for epoch in np.flatnonzero(trained):
            low, median, high = np.nanquantile(whole[:, epoch], [0.25, 0.5, 0.75])
            points[epoch] |= {f"{loss}/median": median, f"{loss}/q25": low, f"{loss}/q75": high, "seeds_training": int(trained[epoch])}
    return points


def summary(rows: pd.DataFrame) -> dict[str, float]:
    """What a condition's W&B run shows in the table of runs."""
    out: dict[str, float] = {"n": len(rows), "diverged": int((rows["status"] == "diverged").sum())}
    for name in SUMMARY:
        values = rows[name].dropna()
        if len(values):
            out |= {f"{name}/mean": values.mean(), f"{name}/sd": values.std(), f"{name}/median": values.median()}
    return out


def silence() -> None:
    """Keep W&B from asking or talking."""
    os.environ.setdefault("WANDB_SILENT", "true")
    logging.getLogger("wandb").setLevel(logging.ERROR)
