"""One pack from plan to ledger: what a Tune trial does, and a thread of this process."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

import pandas as pd
import torch

import ltm
from ltm.data import Task
from ltm.engine.base import VERSION
from ltm.errors import UserError
from ltm.training.pack import Training
from sweeps.condition import recorded
from sweeps.config import StudyConfig
from sweeps.plan import Pack, Place, Plan
from sweeps.store import provenance
from sweeps.store.checkpoints import Checkpoint
from sweeps.store.ledger import Ledger
from sweeps.store.storage import StorageError

STEP_SECONDS = 1.0
"""A worker reports about once in so many seconds."""

CPU = Place("auto", "cpu")

WRITE_RETRIES = (1.0, 4.0, 16.0)
"""Seconds waited before the results of a pack are written once more."""


class Kind(Enum):
    """Why a pack failed: it must not run there at all; its results cannot be written; or its training raised, which one lane may be to blame for."""

    REFUSED = "refused"
    STORAGE = "storage"
    PACK = "pack"


@dataclass(frozen=True)
class Failure:
    """Why a pack failed, and the error in words."""

    kind: Kind
    error: str


@dataclass(frozen=True)
class Report:
    """What a pack in training says of itself about once a second.

    Attributes:
        epoch: the furthest lane's; ``resumed``: that of the checkpoint it went on from, or -1.
        why_slow: why the torch engine trains it though a kernel would be faster; empty where nothing was given up.
        name: of its files in the ledger, once it is done.
    """

    done: bool
    epoch: int = 0
    seed_epochs: int = 0
    resumed: int = -1
    why_slow: str = ""
    name: str = ""
    failure: Failure | None = None


class Worker:
    """Trains one pack and writes its file of the ledger. A failure is a result like any other: one pack must not stop a study.

    Args:
        order: ``pack``, ``labels``, ``folder``, ``engine``, ``device``, ``threads``, ``version``, ``code``, ``here``, ``sources``, ``checkpoint_epochs``,
            ``checkpoint_seconds``, as plain JSON (:func:`orders`).
        tasks: known ones by fingerprint, for nodes that lack the data files.
    """

    def __init__(self, order: Mapping[str, Any], tasks: Mapping[str, Task] | None = None) -> None:
        self.order, self.name, self.resumed = order, "", -1
        self.failure: Failure | None = None
        try:
            self.check()
            if order["here"] not in sys.path:
                sys.path.append(order["here"])  # of own cells, on this machine
            torch.set_num_threads(order["threads"])
            self.pack = Pack.from_dict(order["pack"])
            place = Place(order["engine"], order["device"])
            self.training = training_of(self.pack, place, order["threads"], tasks)
            self.checkpoint = Checkpoint(Ledger(order["folder"]), self.pack, place, order["checkpoint_epochs"], order["checkpoint_seconds"])
            if self.checkpoint.restore(self.training):
                self.resumed = self.epoch
        except UserError as error:
            self.failure = Failure(Kind.REFUSED, str(error))
        except Exception as error:
            self.failure = Failure(Kind.PACK, f"{type(error).__name__}: {error}")

    def check(self) -> None:
        """Refuse a node that has another version, or that does not see the study's folder."""
        if self.order["version"] != ltm.__version__:
            raise UserError(
                f"node {socket.gethostname()} has ltm {ltm.__version__}, the driver {self.order['version']}; install one version on all, or let the"
                " driver carry its own (compute.carry_code=true)."
            )
        if Ledger(self.order["folder"]).text("config.yaml") is None:
            raise UserError(
                f"node {socket.gethostname()} does not see {self.order['folder']}; on several nodes root must be shared: a mounted folder, or s3://."
            )

    def step(self) -> Report:
        """Train for about a second, no further than to the next checkpoint; a pack that is done then is in the ledger."""
        try:
            if not self.failure:
                self.training.advance_for(STEP_SECONDS, self.checkpoint.epochs_left(self.epoch))
                if self.training.done:
                    self.write(rows_of(self.pack, self.training, self.order["labels"]).assign(code=self.order["code"]))
                    self.checkpoint.drop()
                elif self.checkpoint.is_due(self.epoch):
                    self.checkpoint.keep(self.training, self.epoch)
        except StorageError as error:
            self.failure = Failure(Kind.STORAGE, str(error))
        except Exception as error:
            self.failure = Failure(Kind.PACK, f"{type(error).__name__}: {error}")
        if self.failure:
            return Report(done=True, resumed=self.resumed, failure=self.failure)
        training = self.training
        return Report(training.done, self.epoch, training.epochs, self.resumed, training.engine.why, self.name)

    @property
    def epoch(self) -> int:
        """That of the furthest lane."""
        return int(self.training.state.epoch.max())

    def write(self, rows: pd.DataFrame) -> None:
        """Write a pack to the ledger; a storage that fails is tried again for a while, as the results are worth it."""
        ledger, training = Ledger(self.order["folder"]), self.training
        for wait in (*WRITE_RETRIES, None):
            try:
                engine = training.engine
                source = provenance.write(
                    ledger, self.order["sources"], self.order["threads"], engine.name, engine.vectors, self.order["device"]
                )
                self.name = ledger.write(rows.assign(provenance=source), training.curves(), training.state.best_params)
                return
            except StorageError:
                if wait is None:
                    raise
                time.sleep(wait)


def orders(config: StudyConfig, ledger: Ledger, plan: Plan, packs: Sequence[Pack]) -> list[dict[str, Any]]:
    """What a worker is told of each pack, as plain JSON (:class:`Worker`)."""
    compute = config.compute
    common = {
        "folder": ledger.uri, "threads": compute.cpus_per_pack, "version": ltm.__version__, "code": provenance.code_version(), "here": os.getcwd(),
        "sources": provenance.of_code(ledger, {str(cell) for condition in plan.conditions for cell in cells_of(condition.model)}),
        "checkpoint_epochs": compute.checkpoint_epochs, "checkpoint_seconds": compute.checkpoint_seconds,
    }  # fmt: skip
    places = [asdict(plan.places[pack.runs[0].condition.id]) for pack in packs]
    return [
        {"pack": pack.to_dict(), "pack_id": pack.id, "labels": labels_of(plan, pack), **place, **common}
        for pack, place in zip(packs, places, strict=True)
    ]


def training_of(pack: Pack, place: Place = CPU, threads: int = 1, known: Mapping[str, Task] | None = None) -> Training:
    """The pack's training, at its start. ``known``: tasks by fingerprint, for nodes that lack the data files."""
    condition = pack.runs[0].condition
    network, task = condition.built((known or {}).get(condition.fingerprint))
    if recorded(network, task, condition.dataset).digest != condition.step:
        raise UserError(
            f"the cell '{condition.model['cell']}' computes something else here than where the sweep was started: its file differs, or was"
            " edited since; run the same command again."
        )
    lanes = [run.condition.lane(run.seed) for run in pack.runs]
    return Training(network, task, lanes, condition.protocol, place.engine, threads, place.device)


def cells_of(model: Mapping[str, Any]) -> list[Any]:
    """The names of a model's cells, as its config has them."""
    return list(model.get("cells") or [model["cell"]])


def rows_of(pack: Pack, training: Training, labels: dict[str, str]) -> pd.DataFrame:
    """The ledger's rows of a trained pack (all columns but ``pack`` and ``provenance``)."""
    results = training.results()
    conditions = [run.condition for run in pack.runs]
    return results.assign(
        run_id=[run.run_id for run in pack.runs],
        seed=[run.seed for run in pack.runs],
        condition_id=[c.id for c in conditions],
        condition=[labels[c.id] for c in conditions],
        model=[str(c.model["name"]) for c in conditions],
        dataset=[str(c.dataset["name"]) for c in conditions],
        K=pd.array([c.model.get("K") for c in conditions], dtype="Int64"),
        hidden_size=[int(c.model.get("hidden_size", 1)) for c in conditions],
        lr=[float(c.training["lr"]) for c in conditions],
        config=[json.dumps({"model": c.model, "dataset": c.dataset, "training": c.training}, sort_keys=True) for c in conditions],
        fingerprint=[c.fingerprint for c in conditions],
        step=[c.step for c in conditions],
        draws=[c.draws for c in conditions],
        code=provenance.code_version(),
        engine=training.engine.name,
        engine_version=VERSION,
        seconds=training.seconds / len(conditions),
    )


def labels_of(plan: Plan, pack: Pack) -> dict[str, str]:
    """The labels of the conditions in a pack."""
    return {run.condition.id: plan.labels[run.condition.id] for run in pack.runs}
