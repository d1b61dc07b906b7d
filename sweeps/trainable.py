"""What Tune runs: a trial trains one pack and writes its file of the ledger, and a callback tells the driver of it."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from ray import tune
from ray.tune.schedulers import FIFOScheduler

import ltm
from ltm.data import Series
from ltm.errors import UserError
from sweeps import provenance
from sweeps.ledger import Ledger, StorageError
from sweeps.plan import Pack
from sweeps.progress import Progress
from sweeps.tracking import Tracker
from sweeps.work import rows_of, training_of

STEP_SECONDS = 1.0
"""A trial reports about once in so many seconds."""

WRITE_RETRIES = (1.0, 4.0, 16.0)
"""Seconds waited before the results of a pack are written once more."""

REFUSED, STORAGE, PACK = "refused", "storage", "pack"
"""Why a pack failed: it must not run here at all; its results cannot be written; or its training raised, which one lane may be to blame for."""


class PackTrainable(tune.Trainable):
    """Trains one pack a trial; the actor is reused for the next one.

    Config, under the one key ``work``: ``pack``, ``labels``, ``folder``, ``engine``, ``threads``, ``version``, ``code``, ``sources``,
    ``checkpoint_epochs``, ``checkpoint_seconds``. A failure is a result like any other (``error`` and ``kind``), so that Tune starts again only what was killed.
    """

    def setup(self, config: dict[str, Any], series: Mapping[str, Series] | None = None) -> None:
        self.work, self.error, self.kind, self.name = config["work"], "", "", ""
        self.resumed, self.saved_epoch, self.saved_at = -1, 0, time.monotonic()
        torch.set_num_threads(self.work["threads"])
        try:
            self.check()
            self.pack = Pack.from_dict(self.work["pack"])
            self.training = training_of(self.pack, self.work["engine"], self.work["threads"], series)
        except UserError as error:
            self.error, self.kind = str(error), REFUSED
        except Exception as error:
            self.error, self.kind = f"{type(error).__name__}: {error}", PACK

    def check(self) -> None:
        """Refuse a node that has another version, or that does not see the study's folder."""
        if self.work["version"] != ltm.__version__:
            raise UserError(
                f"node {socket.gethostname()} has ltm {ltm.__version__}, the driver {self.work['version']}; install one version on all, or let the"
                " driver carry its own (compute.carry_code=true)."
            )
        if Ledger(self.work["folder"]).text("config.yaml") is None:
            raise UserError(
                f"node {socket.gethostname()} does not see {self.work['folder']}; on several nodes root must be shared: a mounted folder, or s3://."
            )

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        try:
            if not self.error:
                self.advance()
        except StorageError as error:
            self.error, self.kind = str(error), STORAGE
        except Exception as error:  # one pack must not stop a study: what it raised is recorded
            self.error, self.kind = f"{type(error).__name__}: {error}", PACK
        if self.error:
            return {
                "done": True,
                "error": self.error,
                "kind": self.kind,
                "seed_epochs": 0,
                "epoch": 0,
                "resumed": self.resumed,
                "why_slow": "",
            }
        training = self.training
        epoch = int(training.state.epoch.max())
        due = (
            epoch - self.saved_epoch >= self.work["checkpoint_epochs"] or time.monotonic() - self.saved_at > self.work["checkpoint_seconds"]
        )
        return {
            "done": training.done, "error": "", "kind": "", "seed_epochs": training.epochs, "epoch": epoch, "resumed": self.resumed,
            "why_slow": training.engine.why, "name": self.name, "should_checkpoint": due and not training.done,
        }  # fmt: skip

    def advance(self) -> None:
        """Advance for about a second, at most to the next checkpoint; write the results of a pack that is done."""
        left = self.saved_epoch + self.work["checkpoint_epochs"] - int(self.training.state.epoch.max())
        self.training.advance_for(STEP_SECONDS, left)
        if self.training.done:
            self.write(rows_of(self.pack, self.training, self.work["labels"]).assign(code=self.work["code"]))

    def write(self, rows: pd.DataFrame) -> None:
        """Write a pack to the ledger; a storage that fails is tried again for a while, as the results are worth it."""
        ledger, training = Ledger(self.work["folder"]), self.training
        for wait in (*WRITE_RETRIES, None):
            try:
                engine = training.engine
                source = provenance.write(ledger, self.work["sources"], self.work["threads"], engine.name, engine.vectors)
                self.name = ledger.write(rows.assign(provenance=source), training.curves(), training.state.best_params)
                return
            except StorageError:
                if wait is None:
                    raise
                time.sleep(wait)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        if not self.error:
            (Path(checkpoint_dir) / "pack.npz").write_bytes(self.training.checkpoint())
            self.saved_epoch, self.saved_at = int(self.training.state.epoch.max()), time.monotonic()

    def load_checkpoint(self, checkpoint: Any) -> None:
        file = Path(checkpoint) / "pack.npz"
        if file.exists() and not self.error:
            self.training.restore(file.read_bytes())
            self.resumed = self.saved_epoch = int(self.training.state.epoch.max())


class LastFirst(FIFOScheduler):
    """Gives a free worker the last trial that waits.

    Tune's own order gives it the first, for which a new worker may just be starting; Tune then ends that one. Where packs are shorter than the seconds that a
    worker takes to start, that happens again and again, and a node that joins a sweep never trains.
    """

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        return next((trial for trial in reversed(tune_controller.get_trials()) if trial.status == "PENDING"), None)


class Watcher(tune.Callback, tune.Stopper):
    """Tells progress and tracker what trials report, collects the packs that failed, and stops all (``stopped`` says why) where the storage takes no
    more. ``packs`` is by id.
    """

    def __init__(self, progress: Progress, tracker: Tracker, packs: dict[str, Pack], ledger: Ledger) -> None:
        self.progress, self.tracker, self.packs, self.ledger = progress, tracker, packs, ledger
        self.failures: dict[str, tuple[str, str]] = {}
        self.reported: dict[str, int] = {}
        self.stopped = ""

    def __reduce__(self) -> Any:
        # Tune pickles its callbacks into its experiment state, which is never read here: the ledger knows what is done.
        return tune.Callback, ()

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        pack = trial.config["work"]["pack_id"]
        if result["error"]:
            self.failed(pack, result["kind"], result["error"])
            if result["kind"] != PACK:
                self.probe()
            return
        before, resumed = self.reported.get(pack, 0), result["resumed"]
        if result["epoch"] < before or (resumed >= 0 and (pack, resumed) not in self.progress.resumed):
            self.progress.resumed.add((pack, resumed))
            start = max(resumed, 0)
            before = max(before, start)  # a worker may die before its last report is read
            again = max(before - start, trial.config["work"]["checkpoint_epochs"])
            self.progress.log(
                f"pack {pack[:8]} was interrupted after epoch {before}, and goes on from epoch {start}: at most {again} epochs lost"
            )
        self.reported[pack] = result["epoch"]
        self.progress.note(result["why_slow"])
        self.progress.update(pack, result["seed_epochs"], done=result["done"])
        if result["done"]:
            self.tracker.finished(self.packs[pack].runs, result["name"])

    def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.probe()

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.failed(trial.config["work"]["pack_id"], PACK, "its worker died again and again (killed, or out of memory)")
        self.probe()

    def failed(self, pack: str, kind: str, error: str) -> None:
        self.failures[pack] = (kind, error)
        self.progress.update(pack, 0, failed=True)

    def probe(self) -> None:
        """Whether the storage is to blame for what failed: on a full disk no checkpoint is kept, and Tune cannot even record why."""
        try:
            self.ledger.probe()
        except StorageError as error:
            self.stopped = str(error)

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return bool(self.stopped)
