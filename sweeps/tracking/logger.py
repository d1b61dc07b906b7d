"""The process that follows a study for W&B: one run a condition (or a seed) and one of the study, written as W&B's offline files.

    python -m sweeps.tracking.logger LEDGER STUDY CONFIG STARTED     # what a sweep starts; it is told what happens by a JSON object a line

``tracking=online`` has the files sent as they come (:mod:`sweeps.tracking.uploader`). What it prints is for the user.
"""

from __future__ import annotations

import gc
import json
import os
import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import wandb

from sweeps.store.ledger import Ledger, condition_config
from sweeps.store.tables import TESTS, headline
from sweeps.tracking.marks import LOGGED, OVERVIEW, TRIAL, id_of, parts_of, unlogged
from sweeps.tracking.uploader import Sender

SUMMARY = (*TESTS, "validation_loss", "epochs", "d")

POINTS = 50
"""Epochs logged of a condition at most, evenly in the logarithm: a chart shows no more, and 1,000 calls a condition would cost more than training it."""

OVERVIEW_SECONDS = 30.0
"""How often the study's own run shows its table of conditions anew."""


class Follower:
    """Logs each condition once its last missing seed run is in the ledger, and the study as it goes.

    Args:
        config: ``project``, ``entity`` and ``per_seed`` of the tracking config.
        trial: ``WANDB_RUN_ID`` and ``WANDB_SWEEP_ID`` as a W&B agent gives them: the study's run is then that of the agent's trial.
        started: when the sweep was, for its throughput; in seconds since 1970.
    """

    def __init__(self, config: Mapping[str, Any], study: str, ledger: Ledger, trial: Mapping[str, str], started: float) -> None:
        self.config, self.study, self.ledger, self.trial = config, study, ledger, trial
        self.folder = ledger.local()
        self.waiting: Counter[str] = Counter()
        self.packs: dict[str, set[str]] = {}
        self.overview: Any = None
        self.conditions: dict[str, dict[str, Any]] = {}
        self.started, self.shown, self.seed_runs = started, time.time(), 0

    def expect(self, missing: Mapping[str, int]) -> None:
        """So many seed runs of these conditions are going to be trained."""
        self.waiting.update(missing)
        known = self.ledger.runs(["run_id", "condition_id", "pack"])
        for condition, packs in known[known["condition_id"].isin(set(self.waiting))].groupby("condition_id")["pack"]:
            self.packs.setdefault(str(condition), set()).update(packs)

    def finished(self, runs: Mapping[str, int], pack: str) -> None:
        """The ledger has so many seed runs of these conditions now, in this pack."""
        self.waiting.subtract(runs)
        self.seed_runs += sum(runs.values())
        for condition in runs:
            self.packs.setdefault(condition, set()).add(pack)
            if self.waiting[condition] == 0:
                self._condition(condition)

    def trained(self) -> None:
        """All is trained: log what another command trained and did not log, and the last table of conditions."""
        runs = self.ledger.runs(["run_id", "condition_id", "pack"])
        for condition, rows in unlogged(self.folder, self.study, runs, self.config["per_seed"]).items():
            if not self.waiting[condition]:
                self.packs[condition] = set(rows["pack"])
                self._condition(condition)
        if self.overview is not None:
            self._table()

    def close(self) -> None:
        """The study's report as an artifact."""
        if self.overview is None:
            return
        page = self.ledger.text("report/index.html")
        if page:
            report = wandb.Artifact(f"{self.study}-report"[-128:], type="report")
            with report.new_file("index.html") as file:
                file.write(page)
            self.overview.log_artifact(report)
        self.overview.finish()
        (folder_of(self.overview) / LOGGED).touch()

    def _condition(self, condition: str) -> None:
        runs = self.ledger.runs(packs=self.packs[condition])
        rows = runs[runs["condition_id"] == condition].sort_values("seed", ignore_index=True)
        curves = self.ledger.curves(rows).set_index("run_id").loc[rows["run_id"]]
        parts = parts_of(condition, rows, self.config["per_seed"])
        if self.config["per_seed"]:
            for i, part in enumerate(parts):
                self._log(rows.iloc[[i]], curves.iloc[[i]], f"{rows['condition'][i]} seed={rows['seed'][i]}", part)
        else:
            self._log(rows, curves, rows["condition"][0], parts[0])
        self._show(rows)

    def _show(self, rows: pd.DataFrame) -> None:
        """One more condition in the study's own run; with throughput, cost, and the validation loss that a W&B sweep may go by."""
        if self.overview is None:
            whole = self.ledger.runs()
            done = (part for _, part in whole.groupby("condition_id") if not self.waiting[part["condition_id"].iloc[0]])
            self.conditions = {row["condition"]: row for row in map(condition_row, done)}
            total = {"conditions": len({*whole["condition_id"], *self.waiting})}
            self.overview = self._init(f"study {self.study}", f"study-{time.time():.0f}", total, self.trial)
            (folder_of(self.overview) / OVERVIEW).touch()
        self.conditions[rows["condition"][0]] = condition_row(rows)
        finished = self.conditions.values()
        elapsed = max(time.time() - self.started, 1e-9)
        self.overview.log(
            {
                "conditions_finished": len(finished), "seed_runs_finished": self.seed_runs, "seed_runs_per_second": self.seed_runs / elapsed,
                "core_seconds": sum(row["core_seconds"] for row in finished), "validation_loss": np.mean([row["validation_loss"] for row in finished]),
            }
        )  # fmt: skip
        if time.time() - self.shown > OVERVIEW_SECONDS:
            self._table()

    def _table(self) -> None:
        self.shown = time.time()
        table = pd.DataFrame(list(self.conditions.values()))
        self.overview.log({"conditions": wandb.Table(dataframe=table.astype(object))})

    def _log(self, rows: pd.DataFrame, curves: pd.DataFrame, name: str, part: str) -> None:
        config = {**condition_config(rows.iloc[0]), "code": rows["code"].iloc[0], "seeds": rows["seed"].tolist()}
        run = self._init(name, part, config)
        try:
            for epoch, point in by_epoch(curves).items():
                run.log(point, step=epoch)
            values = rows[metric := headline(rows)].dropna()
            if len(values) > 1:
                run.log({metric: wandb.Histogram(values.tolist())})
            run.summary.update(summary(rows))
        finally:
            run.finish()
        (folder_of(run) / LOGGED).touch()

    def _init(self, name: str, part: str, config: dict[str, Any], trial: Mapping[str, str] | None = None) -> Any:
        trial = trial or {}
        return wandb.init(
            project=self.config["project"], entity=self.config["entity"], group=self.study, name=name, config=config, dir=str(self.folder),
            id=trial.get("WANDB_RUN_ID", id_of(self.study, part)), mode="offline", reinit="create_new",
            settings=wandb.Settings(
                silent=True, console="off", sweep_id=trial.get("WANDB_SWEEP_ID"), disable_git=True, x_disable_meta=True, x_disable_stats=True,
                x_save_requirements=False,
            ),
        )  # fmt: skip


def condition_row(rows: pd.DataFrame) -> dict[str, Any]:
    """A condition's row in the table of the study: seeds, the mean of its first test metric with its 95 % interval, median validation loss (one that
    diverged counts as infinite), cost.
    """
    from analysis.statistics.intervals import mean_interval  # takes a second to import, in which the server is being asked

    values = rows[metric := headline(rows)].dropna().to_numpy(float)
    low, high = (None if np.isnan(end) else end for end in mean_interval(values))
    return {
        "condition": rows["condition"].iloc[0], "n": len(rows), "finished": len(values), metric: values.mean() if len(values) else None,
        "low": low, "high": high, "validation_loss": float(np.median(rows["validation_loss"].fillna(np.inf))),
        "core_seconds": float(rows["seconds"].sum()),
    }  # fmt: skip


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


def main() -> None:
    """Follow what is told line by line; end with the sweep that tells it."""
    uri, study, text, started = sys.argv[1:]
    config = json.loads(text)
    trial = {key: os.environ.pop(key) for key in TRIAL if key in os.environ}
    follower = Follower(config, study, Ledger(uri), trial, float(started))
    sender = Sender(follower.folder / "wandb.log", say) if config["mode"] == "online" else None
    told: queue.Queue[dict[str, Any]] = queue.Queue()

    def listen() -> None:
        for line in sys.stdin:
            message = json.loads(line)
            if sender and message["what"] == "trained":
                sender.hurry()
            told.put(message)
        told.put({"what": "gone"})

    threading.Thread(target=listen, daemon=True).start()
    what = ""
    while what not in ("close", "gone"):
        message = told.get()
        what = message.pop("what")
        if what != "gone":
            try:
                getattr(follower, what)(**message)
            except Exception as error:  # the boundary to a foreign service: one condition that cannot be logged must not cost the others
                say(f"W&B could not log all of the study ({what}): {error}")
    if sender and what == "close":
        sender.close()


def say(line: str) -> None:
    """Tell the user, by way of the sweep."""
    print(line, flush=True)


if __name__ == "__main__":
    main()
    gc.freeze()  # or Python looks through every object once more before it ends
