"""What an engine is: it takes the lanes of a pack through the updates of the training protocol, and predicts with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ltm.cells import Network
from ltm.data.base import Sequences, Task
from ltm.training import metrics
from ltm.training.batches import Feed
from ltm.training.losses import Loss, fitting
from ltm.training.optimizers import OPTIMIZERS
from ltm.training.schedules import factor
from ltm.training.state import PackState, Protocol
from ltm.training.stopping import WATCHED, judge

VERSION = 2
"""Raised whenever an engine gives a seed run other digits than before by rounding alone. Bits are promised within one version."""

TRAIN, VALIDATION, TEST = range(3)
"""The parts of a task."""

EPOCH = 16
"""Bytes of an epoch's two losses, as they are collected and as they are written."""

ANSWER = 36
"""Bytes of an output at a counted step beside the output: on the scale of its series, with its target and their difference, in float64."""


@dataclass(frozen=True)
class Prediction:
    """Outputs of a part at its counted steps, sequence by sequence, ``(S, n, O)``, and the memory parameter d there ``(S, n, k)`` where the cell has one.

    n is the most that a lane counts; what others lack is NaN.
    """

    outputs: np.ndarray
    d: np.ndarray | None = None


class Engine(ABC):
    """Runs one network on one task for all lanes of a pack. A lane's numbers never depend on the other lanes.

    Args:
        seeds: of the lanes, which decide orders, masks and, where the task says so, data; a series needs none.
    """

    name: str
    why: str = ""
    """Why a slower engine than the fused one was taken, for the user; empty where nothing was given up."""
    vectors: str = ""
    """What a vector is: seeds, entries or units, by cell and task alone; empty where there are none."""

    def __init__(self, network: Network, task: Task, protocol: Protocol, seeds: Sequence[int] = ()) -> None:
        self.network, self.task, self.protocol = network, task, protocol.fitted(task)
        self.feed = Feed(task, protocol, seeds)
        self.loss: Loss = fitting(protocol.loss, task)

    def advance(self, state: PackState, updates: int) -> tuple[np.ndarray, np.ndarray]:
        """Train every running lane for up to so many updates, in place; a lane that ends its epoch is validated and judged.

        Returns:
            Training and validation loss of every epoch that was ended, each ``(S, epochs)``, float32, NaN where a lane did not run.
        """
        curves: list[np.ndarray] = []
        while updates > 0 and len(lanes := state.running):
            count = min(updates, self.feed.updates - state.update)
            epoch = int(state.epoch[lanes[0]])
            running = state.take(lanes)
            with np.errstate(all="ignore"):  # a diverged lane overflows; it is marked, not warned of
                self.train(running, lanes, epoch, count, factor(self.protocol, epoch))
            running.update += count
            updates -= count
            if running.update == self.feed.updates:
                train = (running.seen[:, 0] / running.seen[:, 1]).astype(running.params.dtype)
                validation = self.validate(running.params, lanes)
                self.judge(running, train, validation, self.met(running.params, lanes))
                curves.append(np.full((2, len(state.status)), np.nan, np.float32))
                curves[-1][:, lanes] = train, validation
                running.update, running.seen[:] = 0, 0.0
            state.put(lanes, running)
            state.update = running.update
        whole = np.stack(curves, -1) if curves else np.zeros((2, len(state.status), 0), np.float32)
        return whole[0], whole[1]

    def judge(self, state: PackState, train: np.ndarray, validation: np.ndarray, met: np.ndarray | None = None) -> None:
        """What the protocol does with one epoch of lanes that all run; the best keep their parameters. ``met``: those that have what they are trained until."""
        finite, p = np.isfinite(state.params).all(1) & np.isfinite(train) & np.isfinite(validation), self.protocol
        rules = p.max_epochs, p.patience, state.params.dtype.type(p.min_delta), WATCHED.index(p.watch)
        for i in range(len(train)):
            success = met is not None and bool(met[i])
            if judge(state.reals[i], state.counts[i], train[i], validation[i], bool(finite[i]), success, *rules):
                state.best_params[i] = state.params[i]

    def met(self, params: np.ndarray, lanes: np.ndarray) -> np.ndarray | None:
        """Which lanes have what the protocol trains until, ``(S,)``; None where it asks for nothing."""
        if (until := self.protocol.until) is None:
            return None
        return until.met(self.measured((until.metric,), params, lanes, VALIDATION)[until.metric])

    def measured(self, names: tuple[str, ...], params: np.ndarray, lanes: np.ndarray, part: int) -> dict[str, np.ndarray]:
        """Metrics of a part of sequences by name, each ``(S,)``."""
        return metrics.measured(names, self.predict(params, lanes, part).outputs, self.targets(part, lanes))

    def targets(self, part: int, lanes: np.ndarray) -> list[np.ndarray]:
        """What every lane is to predict at the counted steps of a part, as metrics read it: yes or no as booleans."""
        found = self.feed.targets(part, lanes)
        return [own > 0.5 for own in found] if self.loss.targets == "yes or no" else found

    # ---- memory --------------------------------------------------------------------------------------------------------

    def memory(self, lanes: int) -> float:
        """Bytes that a pack of so many lanes takes at its peak, about, beside its task: the engine's own, what each lane has, and the data as they are read.

        It depends on network, task and protocol alone, not on the lanes that this engine was made for.
        """
        return self.block(lanes) + lanes * self._of_a_lane() + self._data(lanes)

    def _of_a_lane(self) -> float:
        """Bytes of one lane: all that training changes, as often as it is held at once, or the results; losses by epoch; and targets."""
        state = self.network.size * 4.0 * (2 + len(OPTIMIZERS[self.protocol.optimizer].slots))
        columns = self.network.output_size + sum(part.cell.state()["d"].size for part in self.network.parts if "d" in part.cell.state())
        counted = int((self.task.test.weight > 0).sum())
        whole = self.task.steps if self.task.split else 0  # a series is run from its beginning
        results = 4 * columns * (counted + whole) + ANSWER * self.network.output_size * counted
        return state + max((self.copies - 1) * state, results) + EPOCH * self.protocol.max_epochs

    def _data(self, lanes: int) -> float:
        """Bytes of sequences: as the engine reads them; where they belong to the seed, as they are drawn too, those of training twice while they are put together."""
        parts = self.task.train, self.task.validation, self.task.test
        if self.task.split:
            return self.read(self.task.train)
        if self.task.draws == "dataset":
            return sum(map(self.read, parts))
        raw = [float(sum(array.nbytes for array in part.arrays.values())) for part in parts]
        return lanes * (sum(map(self.read, parts)) + sum(raw) + raw[TRAIN])

    copies: int = 3
    """How often a lane's state is held at once: kept, in training, and as it is written."""

    @abstractmethod
    def block(self, lanes: int) -> float:
        """Bytes that the engine needs to train so many lanes, about, beside what :meth:`memory` adds: steps as they are kept for the gradient."""

    @abstractmethod
    def read(self, part: Sequences) -> float:
        """Bytes of these sequences as the engine reads them, about."""

    # ---- what an engine does -------------------------------------------------------------------------------------------

    @abstractmethod
    def train(self, state: PackState, lanes: np.ndarray, epoch: int, count: int, rate: float) -> None:
        """The next ``count`` updates of an epoch (from ``state.update`` on) for lanes that all run, in place: ``params``, ``slots``, ``seen``.

        Args:
            state: of these lanes only.
            lanes: which of the pack's they are, for :class:`Feed`.
            rate: what the schedule multiplies learning rates by.
        """

    @abstractmethod
    def validate(self, params: np.ndarray, lanes: np.ndarray) -> np.ndarray:
        """Validation loss of every lane, ``(S,)``: the weighted mean over the counted steps."""

    @abstractmethod
    def predict(self, params: np.ndarray, lanes: np.ndarray | None = None, part: int = TEST) -> Prediction:
        """Run a part with parameters ``(S, N)``; nothing is dropped out. ``lanes`` says which of the pack's these are (all, where not given)."""
