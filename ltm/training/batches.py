"""Which sequences an update reads: by batch size and order, and from which pool where the data belong to the seed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ltm.data.base import Sequences, Task, check_trees, generator
from ltm.errors import UserError
from ltm.training.state import Protocol

log = logging.getLogger(__name__)

WINDOW = 50
"""Batches whose sequences are sorted by length together: enough for like lengths, few enough that the order stays a shuffled one."""


def order(protocol: Protocol, seed: int, epoch: int, lengths: np.ndarray) -> np.ndarray:
    """The order in which a seed run reads its training sequences in an epoch, ``(B,)``.

    ``fixed`` is as they are given. ``shuffled`` draws them anew in every epoch; where lengths differ, every :data:`WINDOW` batches of that order
    are then sorted by length, so that a batch holds like lengths and little padding, and all full batches shuffled. A last batch that is not full stays last.
    """
    n = len(lengths)
    if protocol.order == "fixed":
        return np.arange(n)
    draw = generator(seed, epoch)
    shuffled, batch = draw.permutation(n), protocol.batch or n
    if batch >= n or lengths.min() == lengths.max():
        return shuffled
    windows = (shuffled[first : first + WINDOW * batch] for first in range(0, n, WINDOW * batch))
    sorted_ = np.concatenate([window[np.argsort(lengths[window], kind="stable")] for window in windows])
    full = sorted_[: n - n % batch].reshape(-1, batch)
    return np.concatenate([full[draw.permutation(len(full))].ravel(), sorted_[full.size :]])


class Feed:
    """The sequences of every lane of a pack, by epoch and part.

    Raises:
        UserError: a part whose weights sum to 0; a training sequence none of whose steps counts; children that make no trees.
    """

    def __init__(self, task: Task, protocol: Protocol, seeds: Sequence[int]) -> None:
        self.task, self.protocol, self.seeds = task, protocol, tuple(seeds)
        for name in ("train", "validation", "test"):
            counted(task.name, name, getattr(task, name))
        n = len(task.train)
        self.batch = min(protocol.batch or n, n)
        self.updates = -(-n // self.batch)
        if protocol.batch > n:
            whole(task.name, protocol.batch, n)
        self._pools: dict[int, tuple[tuple[int, ...], Sequences]] = {}
        self._epoch: tuple[tuple[int, ...], tuple[Sequences, np.ndarray]] | None = None

    def _drawn(self, part: int, epoch: int, lanes: tuple[int, ...]) -> Sequences:
        """The sequences of several lanes, one after another; kept until others of the same part are asked for, and let go before these are drawn."""
        if part not in self._pools or self._pools[part][0] != (epoch, *lanes):
            self._pools.pop(part, None)
            drawn = [self.task.part(part, self.seeds[lane], epoch) for lane in lanes]
            pool = Sequences(**{name: np.concatenate([d.arrays[name] for d in drawn]) for name in drawn[0].arrays})
            self._pools[part] = (epoch, *lanes), pool
        return self._pools[part][1]

    def part(self, part: int, lanes: np.ndarray, epoch: int = 0) -> tuple[Sequences, np.ndarray]:
        """Training (0), validation (1) or test (2) sequences as one pool, and where those of every lane lie in it, ``(lanes, n)``."""
        if self.task.draws == "dataset":
            pool = self.task.part(part, 0)
            return pool, np.tile(np.arange(len(pool)), (len(lanes), 1))
        pool = self._drawn(part, epoch if self.task.draws == "stream" and part == 0 else 0, tuple(map(int, lanes)))
        return pool, np.arange(len(pool)).reshape(len(lanes), -1)

    def targets(self, part: int, lanes: np.ndarray) -> list[np.ndarray]:
        """What every lane is to predict at the counted steps of a part, sequence by sequence: numbers ``(n, O)``, or classes ``(n,)``."""
        pool, index = self.part(part, lanes)
        return [pool.targets[mine][pool.weight[mine] > 0] for mine in index]

    def train(self, epoch: int, lanes: np.ndarray) -> tuple[Sequences, np.ndarray]:
        """The pool of an epoch (counted from 0), and the order in which every lane reads it, ``(lanes, n)``."""
        key = (epoch, *map(int, lanes))
        if self._epoch is None or self._epoch[0] != key:  # an engine asks for it again at every call within the epoch
            self._epoch = None
            pool, index = self.part(0, lanes, epoch)
            orders = [order(self.protocol, self.seeds[lane], epoch, pool.lengths[mine]) for lane, mine in zip(lanes, index, strict=True)]
            self._epoch = key, (pool, np.stack([mine[read] for mine, read in zip(index, orders, strict=True)]))
        return self._epoch[1]


def counted(task: str, part: str, sequences: Sequences) -> None:
    """Check that a part's weights are such that a mean can be taken by them, and that children make trees."""
    weight = sequences.weight
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise UserError(f"{part} weights of task '{task}' hold {weight.min():g}; expected finite numbers of at least 0.")
    if not weight.any():
        raise UserError(f"{part} weights of task '{task}' sum to 0; expected at least one step that counts.")
    if sequences.children is not None:
        check_trees(f"the {part} part of task '{task}'", sequences.children, np.arange(sequences.steps) < sequences.lengths[:, None])
    if part == "train" and not (steps := weight.any(1)).all():
        raise UserError(
            f"training sequence {int(np.argmin(steps))} of task '{task}' has no step that counts (its weights sum to 0); leave it out."
        )


@lru_cache(maxsize=256)
def whole(task: str, batch: int, n: int) -> None:
    """Say, once, that a batch holds all the data."""
    log.warning("task '%s' has %d training sequences, fewer than a batch of %d: every update reads them all", task, n, batch)
