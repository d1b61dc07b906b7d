"""What an engine is: it takes the lanes of a pack through epochs of the training protocol, and predicts with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields

import numpy as np

from ltm.cells import Network

VERSION = 2
"""Raised whenever an engine gives a seed run other digits than before by rounding alone. Bits are promised within one version."""

RUNNING, STOPPED, COMPLETED, DIVERGED = range(4)
"""Lane states: still training; stopped early; reached max_epochs; loss or parameters no longer finite."""

STATUS = {STOPPED: "stopped", COMPLETED: "completed", DIVERGED: "diverged"}


@dataclass(frozen=True)
class Problem:
    """One sequence to learn: inputs ``(T, I)`` and one-step-ahead targets ``(T, O)``, both scaled, split in time.

    Steps ``[0, train)`` are trained on, ``[train, train + validation)`` choose the epoch, the rest is the test part.
    The state is carried through all three.
    """

    inputs: np.ndarray
    targets: np.ndarray
    train: int
    validation: int

    @property
    def length(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class Protocol:
    """The training protocol, as released with Zhao et al. 2020: full-batch Adam on one sequence, MSE.

    ``max_epochs`` counts evaluations. Training stops when the training loss has not beaten its best by more than
    ``min_delta`` for ``patience`` epochs.
    """

    max_epochs: int = 1000
    patience: int = 100
    min_delta: float = 1e-5
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8


@dataclass
class PackState:
    """Everything that training changes, for S lanes with N parameters each: the checkpoint of a pack.

    ``params, m, v, best_params`` are ``(S, N)`` (Adam's moments are m and v); all else is ``(S,)``.
    ``lr``, ``weight_decay`` (L2, as in ``torch.optim.Adam``) and ``clip`` (gradient norm, 0 = off) differ per lane.
    """

    params: np.ndarray
    m: np.ndarray
    v: np.ndarray
    best_params: np.ndarray
    best_validation: np.ndarray
    train_at_best: np.ndarray
    best_train: np.ndarray
    best_epoch: np.ndarray
    stale: np.ndarray
    epoch: np.ndarray
    status: np.ndarray
    lr: np.ndarray
    weight_decay: np.ndarray
    clip: np.ndarray

    @classmethod
    def start(cls, params: np.ndarray, lr: np.ndarray, weight_decay: np.ndarray, clip: np.ndarray) -> PackState:
        """The state before the first epoch, from initial parameters ``(S, N)`` and per-lane settings ``(S,)``."""
        S, dtype = len(params), params.dtype

        def full(value: float) -> np.ndarray:
            return np.full(S, value, dtype)

        def counts(value: int) -> np.ndarray:
            return np.full(S, value, np.int32)

        return cls(
            params=params.copy(), m=np.zeros_like(params), v=np.zeros_like(params), best_params=params.copy(),
            best_validation=full(np.inf), train_at_best=full(np.inf), best_train=full(np.inf),
            best_epoch=counts(0), stale=counts(0), epoch=counts(0), status=counts(RUNNING),
            lr=lr.astype(dtype), weight_decay=weight_decay.astype(dtype), clip=clip.astype(dtype),
        )  # fmt: skip

    def take(self, lanes: np.ndarray) -> PackState:
        """A copy with the lanes of this index only."""
        return PackState(**{f.name: getattr(self, f.name)[lanes] for f in fields(self)})

    def put(self, lanes: np.ndarray, other: PackState) -> None:
        """Write the lanes of another state back to this index."""
        for f in fields(self):
            getattr(self, f.name)[lanes] = getattr(other, f.name)


@dataclass(frozen=True)
class Prediction:
    """Outputs ``(S, T, O)`` of every step, and the memory parameter d ``(S, T, n)`` where the cell has one."""

    outputs: np.ndarray
    d: np.ndarray | None


class Engine(ABC):
    """Runs one network on one problem for all lanes of a pack. A lane's numbers never depend on the other lanes."""

    name: str
    why: str = ""
    """Why a slower engine than the fused one was taken, for the user; empty where nothing was given up."""
    vectors: str = ""
    """What a vector is, seeds or units, by the cell alone; empty where there are none."""

    def __init__(self, network: Network, problem: Problem, protocol: Protocol) -> None:
        self.network, self.problem, self.protocol = network, problem, protocol

    @abstractmethod
    def advance(self, state: PackState, epochs: int) -> tuple[np.ndarray, np.ndarray]:
        """Train every running lane for up to ``epochs`` epochs, in place.

        Returns:
            Training and validation loss (MSE on the scaled series), each ``(S, epochs)``, NaN where a lane did not run.
        """

    @abstractmethod
    def predict(self, params: np.ndarray) -> Prediction:
        """Run the whole sequence with parameters ``(S, N)``."""
