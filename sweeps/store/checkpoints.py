"""Packs under way, kept beside the ledger: a worker that dies, or a later command after the driver has died, goes on where the last one was kept."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import ltm
from ltm.engine.base import VERSION
from ltm.training.pack import Training
from sweeps.plan import Pack, Place, SeedRun
from sweeps.store.ledger import Ledger

FOLDER = "checkpoints"
"""Of a study: ``PACK.json`` says which seed runs a pack has and what trains it, ``PACK.npz`` is its training."""

MOST_TIME = 0.05
"""Share of a worker's time that is spent on keeping, at most."""


class Checkpoint:
    """That of one pack, kept every so many epochs or seconds, within an epoch too.

    Bits are promised within one version of engines on one kind of device, so that a checkpoint of another is not taken.
    """

    def __init__(self, ledger: Ledger, pack: Pack, place: Place, epochs: int, seconds: float) -> None:
        self.ledger, self.pack, self.place = ledger, pack, place
        self.epochs, self.seconds = epochs, seconds
        self.epoch, self.at, self.written = 0, time.monotonic(), False

    @property
    def says(self) -> dict[str, object]:
        """What the pack is, for who finds the file."""
        return {
            "runs": [run.run_id for run in self.pack.runs], "place": str(self.place), "engine_version": VERSION, "ltm": ltm.__version__,
        }  # fmt: skip

    def restore(self, training: Training) -> bool:
        """Go on from where the pack was kept; returns whether it was."""
        said, content = self.ledger.text(f"{FOLDER}/{self.pack.id}.json"), self.ledger.content(f"{FOLDER}/{self.pack.id}.npz")
        if said is None or content is None or json.loads(said) != self.says:
            return False
        training.restore(content)
        self.epoch, self.written = int(training.state.epoch.max()), True
        return True

    def epochs_left(self, epoch: int) -> int:
        """How far the pack may go until it should be kept."""
        return max(self.epoch + self.epochs - epoch, 1)

    def is_due(self, epoch: int) -> bool:
        """Whether the pack has come so far that it should be kept."""
        return epoch - self.epoch >= self.epochs or time.monotonic() - self.at > self.seconds

    def keep(self, training: Training, epoch: int) -> None:
        """Write where the training is.

        Raises:
            StorageError: the folder cannot be written.
        """
        started = time.monotonic()
        if not self.written:
            self.ledger.put(f"{FOLDER}/{self.pack.id}.json", json.dumps(self.says).encode())
            self.written = True
        self.ledger.put(f"{FOLDER}/{self.pack.id}.npz", training.checkpoint())
        self.epoch, self.at = epoch, time.monotonic()
        self.seconds = max(self.seconds, (self.at - started) / MOST_TIME)

    def drop(self) -> None:
        """The pack is in the ledger, and its checkpoint of no more use."""
        if self.written:
            drop(self.ledger, [self.pack.id])


def drop(ledger: Ledger, packs: Sequence[str]) -> None:
    """Delete the checkpoints of these packs."""
    ledger.delete(f"{ledger.path}/{FOLDER}/{pack}.{end}" for pack in packs for end in ("json", "npz"))


def kept(ledger: Ledger, missing: Sequence[SeedRun]) -> list[Pack]:
    """The packs that an earlier command has kept and whose seed runs are all still missing, as it cut them."""
    by_id, packs = {run.run_id: run for run in missing}, []
    for path in ledger.files(FOLDER, "json"):
        text = ledger.text(f"{FOLDER}/{path.rpartition('/')[2]}")
        runs = json.loads(text)["runs"] if text else []
        if runs and all(run in by_id for run in runs):
            packs.append(Pack(tuple(by_id.pop(run) for run in runs)))
    return packs
