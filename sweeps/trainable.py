"""What Tune runs: a trial trains one pack and writes its file of the ledger, and a callback tells the driver of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from ray import tune

from sweeps.ledger import Ledger
from sweeps.plan import Pack
from sweeps.progress import Progress
from sweeps.tracking import Tracker
from sweeps.work import rows_of, training_of

STEP_SECONDS = 1.0
"""A trial reports about once in so many seconds."""


class PackTrainable(tune.Trainable):
    """Trains one pack a trial; the actor is reused for the next one.

    Config, under the one key ``work``: ``pack``, ``labels``, ``folder``, ``engine`` and ``threads``.
    """

    def setup(self, config: dict[str, Any]) -> None:
        self.work = config["work"]
        torch.set_num_threads(self.work["threads"])
        self.pack = Pack.from_dict(self.work["pack"])
        self.training = training_of(self.pack, self.work["engine"], self.work["threads"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        end = time.monotonic() + STEP_SECONDS
        while not self.training.done and time.monotonic() < end:
            self.training.advance(epochs=10)
        if self.training.done:
            rows = rows_of(self.pack, self.training, self.work["labels"])
            Ledger(self.work["folder"]).write(rows, self.training.curves(), self.training.state.best_params)
        return {"done": self.training.done, "seed_epochs": self.training.epochs, "why_slow": self.training.engine.why}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        (Path(checkpoint_dir) / "pack.npz").write_bytes(self.training.checkpoint())

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.training.restore((Path(checkpoint) / "pack.npz").read_bytes())


class Watcher(tune.Callback):
    """Tells progress and tracker what trials report. ``packs`` is by id."""

    def __init__(self, progress: Progress, tracker: Tracker, packs: dict[str, Pack]) -> None:
        self.progress, self.tracker, self.packs = progress, tracker, packs

    def __reduce__(self) -> Any:
        # Tune pickles its callbacks into its experiment state, which is never read here: the ledger knows what is done.
        return tune.Callback, ()

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        pack = trial.config["work"]["pack_id"]
        self.progress.note(result["why_slow"])
        self.progress.update(pack, result["seed_epochs"], done=result["done"])
        if result["done"]:
            self.tracker.finished(self.packs[pack].runs)

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.progress.update(trial.config["work"]["pack_id"], 0, failed=True)
