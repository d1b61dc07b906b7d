"""Training of one pack: seed runs of one model on one task, in chunks of updates, with checkpoints and results."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import pandas as pd

from ltm import machine
from ltm.cells import Network
from ltm.data.base import Task
from ltm.engine import Engine, PackState, choose
from ltm.engine.base import TEST, VALIDATION
from ltm.errors import UserError
from ltm.training import metrics
from ltm.training.state import Lane, Protocol
from ltm.training.stopping import DIVERGED, STATUS, SUCCEEDED


class Training:
    """A pack in training: ``advance`` until ``done``, then read ``results`` and ``curves``.

    Raises (on construction):
        UserError: anything that network, task, protocol and engine make impossible together.
    """

    def __init__(
        self,
        network: Network,
        task: Task,
        lanes: Sequence[Lane],
        protocol: Protocol,
        engine: str = "auto",
        threads: int = 1,
        device: str = "cpu",
    ) -> None:
        machine.reuse_memory()
        self.network, self.task, self.lanes, self.protocol = network, task, tuple(lanes), protocol
        self.engine: Engine = choose(engine, network, task, protocol, [lane.seed for lane in self.lanes], threads, device)
        metrics.check(task.metrics, self.engine.loss.targets)
        self.targets = self.engine.targets(TEST, np.arange(len(self.lanes)))
        params = np.stack([network.initial(lane.seed) for lane in self.lanes])
        self.state = PackState.start(params, self.lanes, protocol.optimizer)
        self._curves: list[np.ndarray] = []
        self.seconds = 0.0
        self._pace = 1

    @property
    def done(self) -> bool:
        return not len(self.state.running)

    @property
    def epochs(self) -> int:
        """Seed-epochs done, summed over lanes."""
        return int(self.state.epoch.sum())

    @property
    def updates(self) -> int:
        """Updates of an epoch."""
        return self.engine.feed.updates

    def advance(self, updates: int = 50) -> None:
        """Train every running lane for up to so many updates, of which a series has one an epoch."""
        started = time.perf_counter()
        self._curves.append(np.stack(self.engine.advance(self.state, updates)))
        self.seconds += time.perf_counter() - started

    def advance_for(self, seconds: float, most: int) -> None:
        """Advance for about so long, to the end of the ``most``-th epoch from here at most; one call of the engine takes a quarter of the time."""
        started, left = time.monotonic(), most * self.updates - self.state.update
        while not self.done and left > 0 and (more := started + seconds - time.monotonic()) > 0:
            updates, before = min(self._pace, left), time.monotonic()
            self.advance(updates)
            left -= updates
            took = max(time.monotonic() - before, 1e-4)
            self._pace = max(1, min(int(updates * min(seconds / 4, more) / took), 8 * self._pace))

    def curves(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Per lane: training and validation loss by epoch, each ``(epochs,)``, float32."""
        whole = self._whole_curves()
        return [
            (train[: self.state.epoch[i]], validation[: self.state.epoch[i]])
            for i, (train, validation) in enumerate(zip(*whole, strict=True))
        ]

    def _whole_curves(self) -> np.ndarray:
        return np.concatenate([np.zeros((2, len(self.lanes), 0), np.float32), *self._curves], axis=2)

    def results(self) -> pd.DataFrame:
        """One row a lane: status, epochs, losses at the best epoch, the task's metrics on its validation (of sequences) and its test part, learned d.

        They are those of the best epoch's parameters; of a series the whole sequence is run, and errors are on its original scale. A diverged
        lane has no losses and no metrics. Where lanes are trained until something: whether they met it, and after how many training sequences.
        """
        state, lanes = self.state, np.arange(len(self.lanes))
        chosen = self.engine.measured(metrics.of_validation(self.task), state.best_params, lanes, VALIDATION)
        succeeded = state.status == SUCCEEDED
        prediction = self.engine.predict(state.best_params)
        outputs, targets = self._scaled(np.asarray(prediction.outputs, np.float64), self.targets)
        measured = metrics.measured(self.task.metrics, outputs, targets)
        rows = pd.DataFrame(
            {
                "seed": [lane.seed for lane in self.lanes],
                "status": [STATUS[int(s)] for s in state.status],
                "epochs": state.epoch,
                "best_epoch": state.best_epoch,
                "train_loss": state.train_at_best.astype(np.float64),
                "validation_loss": state.best_validation.astype(np.float64),
                **{f"validation_{name}": value for name, value in chosen.items()},
                **{f"test_{name}": value for name, value in measured.items()},
                "d": np.nan,
            }
        )
        if prediction.d is not None:
            rows["d"] = metrics.rows(np.asarray(prediction.d, np.float64)).mean(1)
        numbers = [*rows.columns[rows.columns.get_loc("train_loss") :]]
        rows.loc[state.status == DIVERGED, numbers] = np.nan
        rows["test_success"] = succeeded.astype(float) if self.protocol.until else np.nan
        rows["test_sequences"] = np.where(succeeded, state.epoch * len(self.task.train), np.nan)
        return rows

    def _scaled(self, outputs: np.ndarray, targets: Sequence[np.ndarray]) -> tuple[np.ndarray, Sequence[np.ndarray] | np.ndarray]:
        """Outputs and targets as metrics read them: those of a series on its original scale."""
        if (series := self.task.series) is None:
            return outputs, targets
        offset, scale = series.offset_and_scale
        actual = series.values[-outputs.shape[1] :].reshape(1, -1, 1)  # as they are: a 0 that was scaled and back may be none
        carried = series.carried[-outputs.shape[1] :].reshape(1, -1, 1)
        return outputs * scale + offset + carried, np.broadcast_to(actual, outputs.shape)

    def checkpoint(self) -> bytes:
        """The whole state of training, as an ``.npz`` (no pickle)."""
        buffer = io.BytesIO()
        arrays = {f.name: getattr(self.state, f.name) for f in fields(self.state)}
        np.savez(buffer, curves=self._whole_curves(), seconds=self.seconds, **arrays)
        return buffer.getvalue()

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint of the same pack, in the middle of an epoch too."""
        with np.load(io.BytesIO(checkpoint), allow_pickle=False) as saved:
            if saved["params"].shape != self.state.params.shape:
                raise UserError(f"checkpoint has lanes and parameters {saved['params'].shape}, the pack {self.state.params.shape}.")
            self._curves = [saved["curves"]]
            self.seconds = float(saved["seconds"])
            held = {f.name: saved[f.name] if saved[f.name].ndim else saved[f.name].item() for f in fields(self.state)}
            self.state = PackState(**held | {"settings": self.state.settings})  # the pack's: an older version wrote fewer
