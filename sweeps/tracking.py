"""W&B follows a study: one run a condition (or a seed) and one of the study, written beside the training and never in its way.

Everything is written as W&B's offline files; ``tracking=online`` has them sent as they come (:mod:`sweeps.sending`). So nothing waits for a server.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from sweeps.config import TrackingConfig
from sweeps.ledger import Ledger, condition_config
from sweeps.plan import SeedRun
from sweeps.sending import Sender, is_sent

SUMMARY = ("test_rmse", "test_mae", "test_mape", "validation_loss", "epochs", "d")

SEEDS = ("run_id", "seed", "status", "epochs", "best_epoch", "train_loss", "validation_loss", "test_rmse", "test_mae", "test_mape", "d")
"""Columns of the table of seeds in a condition's run."""

POINTS = 100
"""Epochs logged of a condition at most, evenly in the logarithm: a chart shows no more, and 1,000 calls a condition would cost more than training it."""

OVERVIEW_SECONDS = 30.0
"""How often the study's own run shows its table of conditions anew."""


class Tracker:
    """Logs each condition as soon as its last missing seed run is in the ledger, and the study as it goes; in a thread of its own.

    A tracker that fails costs no result: ``say`` tells of the failure.
    """

    def __init__(self, config: TrackingConfig, study: str, ledger: Ledger, say: Callable[[str], None]) -> None:
        self.config, self.study, self.ledger, self.say = config, study, ledger, say
        self.waiting: Counter[str] = Counter()
        self.packs: dict[str, set[str]] = {}
        silence()
        # A W&B agent names the run of its trial: that is the study's. The conditions' runs and the processes that send must not see it.
        self.trial = {key: os.environ.pop(key) for key in ("WANDB_SWEEP_ID", "WANDB_RUN_ID") if key in os.environ}
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="wandb") if config.mode != "off" else None
        self.sender: Sender | None = None
        self.overview: Any = None
        self.conditions: dict[str, dict[str, Any]] = {}
        self.started, self.shown, self.seed_runs = time.monotonic(), time.monotonic(), 0

    def expect(self, missing: Sequence[SeedRun]) -> None:
        """These seed runs are going to be trained."""
        if self.pool is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.config.mode == "online" and self.sender is None:
            self.sender = Sender(self.folder / "wandb-sync.log", self.say)
        self.waiting.update(run.condition.id for run in missing)
        known = self.ledger.runs(["run_id", "condition_id", "pack"])
        for condition, packs in known[known["condition_id"].isin(set(self.waiting))].groupby("condition_id")["pack"]:
            self.packs.setdefault(str(condition), set()).update(packs)

    def finished(self, runs: Sequence[SeedRun], pack: str) -> None:
        """The ledger has these seed runs now, in this pack. Returns at once."""
        if self.pool is None:
            return
        for run in runs:
            self.waiting[run.condition.id] -= 1
            self.packs.setdefault(run.condition.id, set()).add(pack)
        self.seed_runs += len(runs)
        for condition in sorted({run.condition.id for run in runs if self.waiting[run.condition.id] == 0}):
            self.pool.submit(self._safely, self._condition, condition)

    def trained(self) -> None:
        """All is trained: what is logged may be sent at once."""
        if self.pool and self.sender:
            self.pool.submit(self.sender.hurry)

    def close(self) -> None:
        """Log the end of the study, its report with it; say how the runs are sent that are only here."""
        if self.pool is None:
            return
        if self.overview is not None:
            self.pool.submit(self._safely, self._end)
        self.pool.shutdown(wait=True)
        if self.sender:
            self.sender.close()
        if unsent := [run for run in self.folder.glob("wandb/offline-run-*") if not is_sent(run)]:
            self.say(f"W&B files of {len(unsent)} runs are offline; send them with: wandb sync {self.folder}/wandb/offline-run-*")
        self.pool = None

    @property
    def folder(self) -> Path:
        return self.ledger.local()

    def _safely(self, what: Callable[..., None], *arguments: str) -> None:
        try:
            what(*arguments)
        except Exception as error:  # the boundary to a foreign service: whatever it raises must not reach the sweep
            self.say(f"W&B could not log {', '.join(arguments) or 'the study'}: {error}")

    def _condition(self, condition: str) -> None:
        runs = self.ledger.runs(packs=self.packs[condition])
        rows = runs[runs["condition_id"] == condition].sort_values("seed", ignore_index=True)
        curves = self.ledger.curves(rows).set_index("run_id").loc[rows["run_id"]]
        if self.config.per_seed:
            for i in range(len(rows)):
                self._log(rows.iloc[[i]], curves.iloc[[i]], f"{rows['condition'][i]} seed={rows['seed'][i]}", str(rows["run_id"][i]))
        else:
            self._log(rows, curves, rows["condition"][0], f"{condition}-{len(rows)}")
        self._show(rows)

    def _show(self, rows: pd.DataFrame) -> None:
        """The study's own run: the conditions so far, throughput and cost."""
        from analysis.summary import mean_interval

        rmse = rows["test_rmse"].dropna().to_numpy(float)
        low, high = mean_interval(rmse)
        self.conditions[rows["condition"][0]] = {
            "condition": rows["condition"][0], "n": len(rows), "finished": len(rmse), "test_rmse": rmse.mean() if len(rmse) else None,
            "low": None if np.isnan(low) else low, "high": None if np.isnan(high) else high,
            "validation_loss": float(np.median(rows["validation_loss"].fillna(np.inf))), "core_seconds": float(rows["seconds"].sum()),
        }  # fmt: skip
        if self.overview is None:
            self.overview = self._init(f"study {self.study}", "study", {"conditions": len(self.waiting)}, self.trial)
            if self.sender:
                self.sender.study = folder_of(self.overview)
        elapsed = max(time.monotonic() - self.started, 1e-9)
        self.overview.log(
            {
                "conditions_finished": len(self.conditions), "seed_runs_finished": self.seed_runs, "seed_runs_per_second": self.seed_runs / elapsed,
                **{name: total([row[name] for row in self.conditions.values()]) for name, total in (("core_seconds", sum), ("validation_loss", np.mean))},
            }
        )  # fmt: skip
        if time.monotonic() - self.shown > OVERVIEW_SECONDS:
            self._table()

    def _table(self) -> None:
        import wandb

        self.shown = time.monotonic()
        self.overview.log({"conditions": wandb.Table(dataframe=pd.DataFrame(list(self.conditions.values())).astype(object))})

    def _end(self) -> None:
        """The last table, and the report as an artifact."""
        import wandb

        self._table()
        page = self.ledger.text("report/index.html")
        if page:
            report = wandb.Artifact(f"{self.study}-report"[-128:], type="report")
            with report.new_file("index.html") as file:
                file.write(page)
            self.overview.log_artifact(report)
        self.overview.finish()

    def _log(self, rows: pd.DataFrame, curves: pd.DataFrame, name: str, run_id: str) -> None:
        import wandb

        config = {**condition_config(rows.iloc[0]), "code": rows["code"].iloc[0], "seeds": rows["seed"].tolist()}
        run = self._init(name, run_id, config)
        try:
            for epoch, point in by_epoch(curves).items():
                run.log(point, step=epoch)
            seeds = rows[[name for name in SEEDS if name in rows]].astype(object)
            run.log({"seeds": wandb.Table(columns=list(seeds.columns), data=seeds.where(seeds.notna(), None).to_numpy())})
            run.summary.update(summary(rows))
        finally:
            run.finish()
            if self.sender:
                self.sender.add(folder_of(run))

    def _init(self, name: str, run_id: str, config: dict[str, Any], trial: Mapping[str, str] = MappingProxyType({})) -> Any:
        import wandb

        run_id = trial.get("WANDB_RUN_ID", f"{self.study}-{run_id}"[-64:])
        return wandb.init(
            project=self.config.project, entity=self.config.entity, group=self.study, name=name, config=config, dir=str(self.folder),
            id=run_id, mode="offline", reinit="create_new",
            settings=wandb.Settings(
                silent=True, console="off", sweep_id=trial.get("WANDB_SWEEP_ID"), x_disable_meta=True, x_disable_stats=True, x_save_requirements=False
            ),
        )  # fmt: skip


def folder_of(run: Any) -> Path:
    """Where the files of a W&B run lie."""
    return Path(run.dir).parent


def by_epoch(curves: pd.DataFrame) -> dict[int, dict[str, float]]:
    """Median and quartiles over seeds of both losses, over the seeds that trained so long: by epoch (from 1), at ``POINTS`` epochs at most."""
    points: dict[int, dict[str, float]] = {}
    for loss in ("train_loss", "validation_loss"):
        width = max(map(len, curves[loss]))
        whole = np.full((len(curves), width), np.nan)
        for row, values in zip(whole, curves[loss], strict=True):
            row[: len(values)] = values
        whole[~np.isfinite(whole)] = np.nan
        at = np.unique(np.geomspace(1, width, POINTS).round().astype(int)) - 1 if width > POINTS else np.arange(width)
        at = at[(~np.isnan(whole[:, at])).any(0)]
        trained = (~np.isnan(whole[:, at])).sum(0)
        for epoch, (low, median, high), seeds in zip(
            at + 1, np.nanquantile(whole[:, at], [0.25, 0.5, 0.75], axis=0).T, trained, strict=True
        ):
            points.setdefault(int(epoch), {}).update(
                {f"{loss}/median": float(median), f"{loss}/q25": float(low), f"{loss}/q75": float(high), "seeds_training": int(seeds)}
            )
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
    """Keep W&B from asking, talking, and reporting on itself: that waits for a server, too."""
    os.environ.setdefault("WANDB_SILENT", "true")
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    logging.getLogger("wandb").setLevel(logging.ERROR)
