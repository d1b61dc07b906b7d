"""What training is told (:class:`Protocol`, :class:`Lane`) and all that it changes (:class:`PackState`, the checkpoint of a pack)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from ltm.data.base import Task
from ltm.errors import UserError, unknown
from ltm.training.losses import fitting
from ltm.training.metrics import of_targets
from ltm.training.optimizers import OPTIMIZERS, Constants
from ltm.training.stopping import COUNTS, REALS, RUNNING, STATE, WATCHED, Until

ORDERS = ("shuffled", "fixed")
SCHEDULES = ("constant", "linear", "cosine")


@dataclass(frozen=True)
class Lane:
    """One seed run's place in a pack: its seed, and the settings that may differ from lane to lane.

    Attributes:
        lr: learning rate, before the schedule.
        weight_decay: L2 added to the gradient; taken off the parameter by ``adamw``.
        clip: largest norm of a lane's gradient; 0 is off.
        clip_value: largest absolute value of an element of the gradient; 0 is off.
        momentum: of ``sgd`` and ``rmsprop``.
        dropout: share of units that a Dropout layer sets to 0.
        smoothness: times the sum of squared second differences of smooth parameters, added to the loss (:func:`ltm.training.losses.roughness_gradient`).
    """

    seed: int
    lr: float = 0.01
    weight_decay: float = 0.0
    clip: float = 0.0
    clip_value: float = 0.0
    momentum: float = 0.0
    dropout: float = 0.0
    smoothness: float = 0.0


SETTINGS = tuple(field.name for field in fields(Lane) if field.name != "seed")
"""The settings of a lane, in the order of their columns."""


@dataclass(frozen=True)
class Protocol:
    """The training protocol. The defaults are those released with Zhao et al. 2020: Adam, one update an epoch, on one sequence.

    Attributes:
        max_epochs: evaluations, at most.
        patience, min_delta: training stops when the loss that is watched has not beaten its best by more than ``min_delta`` for ``patience`` epochs.
        watch: which loss that is, of :data:`ltm.training.stopping.WATCHED`.
        until: what a lane stops at as soon as it meets it, measured after every epoch; a task of sequences only.
        budget: training sequences that a lane reads, at most, in whole epochs; 0 is no limit but ``max_epochs``.
        optimizer: of :data:`ltm.training.optimizers.OPTIMIZERS`.
        beta1, beta2, eps, alpha: of the optimiser.
        loss: of :data:`ltm.training.losses.LOSSES`; empty: that of the task.
        batch: sequences of an update; 0 is all of them.
        order: ``shuffled`` by the seed, anew in every epoch, or ``fixed``.
        schedule: how the learning rate changes by epoch (:func:`ltm.training.schedules.factor`).

    Raises:
        UserError: an optimiser, an order, a schedule or a loss to watch that does not exist; the message lists what does.
    """

    max_epochs: int = 1000
    patience: int = 100
    min_delta: float = 1e-5
    optimizer: str = "adam"
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    alpha: float = 0.99
    loss: str = ""
    batch: int = 0
    order: str = "shuffled"
    schedule: str = "constant"
    watch: str = "train"
    until: Until | None = None
    budget: int = 0

    def __post_init__(self) -> None:
        for kind, given, known in (
            ("optimizer", self.optimizer, OPTIMIZERS),
            ("order", self.order, ORDERS),
            ("schedule", self.schedule, SCHEDULES),
            ("loss to watch", self.watch, WATCHED),
        ):
            if given not in known:
                raise unknown(kind, given, known)

    def fitted(self, task: Task) -> Protocol:
        """This protocol on a task: its budget as epochs.

        Raises:
            UserError: a budget of less than one epoch; until what a series, or a task with such targets, does not measure.
        """
        if self.until and task.split:
            raise UserError(
                f"training.until stops by a metric, and a series such as '{task.name}' is trained by its losses alone; leave it out, or choose a task of sequences."
            )
        targets = fitting(self.loss, task).targets
        if self.until and self.until.metric not in of_targets(targets):
            raise UserError(
                f"training.until asks for {self.until.metric}, and targets of task '{task.name}' are {targets}: a stopping rule that no metric feeds;"
                f" expected one of {', '.join(of_targets(targets))}."
            )
        if not self.budget:
            return self
        if self.budget < len(task.train):
            raise UserError(
                f"training.budget is {self.budget:,} sequences, fewer than the {len(task.train):,} of an epoch of task '{task.name}'; raise it, or lower"
                " dataset.sequences."
            )
        return replace(self, max_epochs=min(self.max_epochs, self.budget // len(task.train)))

    @property
    def constants(self) -> Constants:
        """Numbers of the optimiser that all lanes share."""
        return Constants(*(getattr(self, name) for name in Constants._fields))


@dataclass
class PackState:
    """Everything that training changes, for S lanes with N parameters each: the checkpoint of a pack.

    Attributes:
        params, best_params: ``(S, N)``.
        slots: of the optimiser, ``(S, slots, N)``.
        reals, counts: ``(S, 3)`` and ``(S, 4)``, by :data:`ltm.training.stopping.REALS` and ``COUNTS``.
        settings: ``(S, k)``, by :data:`SETTINGS`.
        seen: of the epoch under way, the sums of weighted losses and of weights, ``(S, 2)``.
        update: updates done of the epoch under way, the same for all running lanes.
    """

    params: np.ndarray
    best_params: np.ndarray
    slots: np.ndarray
    reals: np.ndarray
    counts: np.ndarray
    settings: np.ndarray
    seen: np.ndarray
    update: int = 0

    @classmethod
    def start(cls, params: np.ndarray, lanes: Sequence[Lane], optimizer: str = "adam") -> PackState:
        """The state before the first epoch, from initial parameters ``(S, N)`` and the settings of every lane."""
        S, N = params.shape
        settings = np.array([[getattr(lane, key) for key in SETTINGS] for lane in lanes], params.dtype)
        return cls(
            params.copy(), params.copy(), np.zeros((S, len(OPTIMIZERS[optimizer].slots), N), params.dtype),
            np.full((S, len(REALS)), np.inf, params.dtype), np.zeros((S, len(COUNTS)), np.int32), settings, np.zeros((S, 2)),
        )  # fmt: skip

    @property
    def status(self) -> np.ndarray:
        return self.counts[:, STATE]

    @property
    def running(self) -> np.ndarray:
        """The index of every lane that trains on."""
        return np.flatnonzero(self.status == RUNNING)

    def setting(self, name: str) -> np.ndarray:
        """One setting of every lane, ``(S,)``."""
        return self.settings[:, SETTINGS.index(name)]

    def __getattr__(self, name: str) -> np.ndarray:
        for names, table in ((REALS, "reals"), (COUNTS, "counts")):
            if name in names:
                return np.asarray(self.__dict__[table][:, names.index(name)])
        raise AttributeError(name)

    def take(self, lanes: np.ndarray) -> PackState:
        """A copy with the lanes of this index only."""
        return PackState(*(value[lanes] if isinstance(value := getattr(self, f.name), np.ndarray) else value for f in fields(self)))

    def put(self, lanes: np.ndarray, other: PackState) -> None:
        """Write the lanes of another state back to this index."""
        for f in fields(self):
            if isinstance(mine := getattr(self, f.name), np.ndarray):
                mine[lanes] = getattr(other, f.name)
