"""Training of one pack: seed runs of one model on one series, in chunks of epochs, with checkpoints and results."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from ltm.cells import Network
from ltm.data.series import Series
from ltm.engine import Engine, PackState, Protocol, choose
from ltm.engine.base import DIVERGED, RUNNING, STATUS
from ltm.errors import UserError
from ltm.training.metrics import errors


@dataclass(frozen=True)
class Lane:
    """One seed run's place in a pack: its seed and the settings that may differ from lane to lane."""

    seed: int
    lr: float = 0.01
    weight_decay: float = 0.0
    clip: float = 0.0


class Training:
    """A pack in training: ``advance`` until ``done``, then read ``results`` and ``curves``."""

    def __init__(
        self, network: Network, series: Series, lanes: Sequence[Lane], protocol: Protocol, engine: str = "auto", threads: int = 1
    ) -> None:
        self.network, self.series, self.lanes, self.protocol = network, series, tuple(lanes), protocol
        self.engine: Engine = choose(engine, network, series.problem(), protocol, threads)
        params = np.stack([network.initial(lane.seed) for lane in self.lanes])
        settings = (np.array([getattr(lane, key) for lane in self.lanes], np.float32) for key in ("lr", "weight_decay", "clip"))
        self.state = PackState.start(params, *settings)
        self._curves: list[np.ndarray] = []
        self.seconds = 0.0
        self._pace = 1

    @property
    def done(self) -> bool:
        return not (self.state.status == RUNNING).any()

    @property
    def epochs(self) -> int:
        """Seed-epochs done, summed over lanes."""
        return int(self.state.epoch.sum())

    def advance(self, epochs: int = 50) -> None:
        """Train every running lane for up to this many epochs."""
        started = time.perf_counter()
        self._curves.append(np.stack(self.engine.advance(self.state, epochs)))
        self.seconds += time.perf_counter() - started

    def advance_for(self, seconds: float, most: int) -> None:
        """Advance for about so long, by ``most`` epochs at most; one call of the engine takes a quarter of it."""
        started = time.monotonic()
        while not self.done and most > 0 and (left := started + seconds - time.monotonic()) > 0:
            epochs, before = min(self._pace, most), time.monotonic()
            self.advance(epochs)
            most -= epochs
            took = max(time.monotonic() - before, 1e-4)
            self._pace = max(1, min(int(epochs * min(seconds / 4, left) / took), 8 * self._pace))

    def curves(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Per lane: training and validation loss (MSE, scaled series) by epoch, each ``(epochs,)``, float32."""
        whole = np.concatenate(self._curves, axis=2)
        return [
            (train[: self.state.epoch[i]], validation[: self.state.epoch[i]])
            for i, (train, validation) in enumerate(zip(*whole, strict=True))
        ]

    def results(self) -> pd.DataFrame:
        """One row a lane: status, epochs, losses at the best epoch, test errors on the original scale, learned d.

        The best epoch's parameters are run over the whole sequence, state carried on, and judged on the test part.
        A diverged lane has no test errors.
        """
        state, problem = self.state, self.engine.problem
        prediction = self.engine.predict(state.best_params)
        test = slice(problem.train + problem.validation, None)
        offset, scale = self.series.offset_and_scale
        outputs = np.ascontiguousarray(prediction.outputs[:, test, 0], np.float64) * scale + offset
        rows = pd.DataFrame(
            {
                "seed": [lane.seed for lane in self.lanes],
                "status": [STATUS[int(s)] for s in state.status],
                "epochs": state.epoch,
                "best_epoch": state.best_epoch,
                "train_loss": state.train_at_best.astype(np.float64),
                "validation_loss": state.best_validation.astype(np.float64),
                **{f"test_{name}": value for name, value in errors(outputs, self.series.values[1:][test]).items()},
            }
        )
        # One lane's mean over contiguous memory: the same order of additions however lanes are packed.
        rows["d"] = np.nan
        if prediction.d is not None:
            rows["d"] = np.ascontiguousarray(prediction.d[:, test], np.float64).reshape(len(rows), -1).mean(1)
        measured = ["train_loss", "validation_loss", "test_rmse", "test_mae", "test_mape", "d"]
        rows.loc[state.status == DIVERGED, measured] = np.nan
        return rows

    def checkpoint(self) -> bytes:
        """The whole state of training, as an ``.npz`` (no pickle)."""
        buffer = io.BytesIO()
        arrays = {f.name: getattr(self.state, f.name) for f in fields(self.state)}
        curves = np.concatenate(self._curves, axis=2) if self._curves else np.zeros((2, len(self.lanes), 0), np.float32)
        np.savez(buffer, curves=curves, seconds=self.seconds, **arrays)
        return buffer.getvalue()

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint of the same pack."""
        with np.load(io.BytesIO(checkpoint), allow_pickle=False) as saved:
            if saved["params"].shape != self.state.params.shape:
                raise UserError(f"checkpoint has lanes and parameters {saved['params'].shape}, the pack {self.state.params.shape}.")
            self._curves = [saved["curves"]]
            self.seconds = float(saved["seconds"])
            self.state = PackState(**{f.name: saved[f.name] for f in fields(self.state)})
