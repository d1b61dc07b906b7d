"""When a seed run ends, and which epoch is its best: written once, for a kernel as for Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ltm import checks
from ltm.errors import UserError, shown, unknown
from ltm.training.metrics import HIGHER, METRICS

RUNNING, STOPPED, COMPLETED, DIVERGED, SUCCEEDED = range(5)
"""Lane states: still training; stopped early; reached max_epochs; loss or parameters no longer finite; met what it was trained until."""

STATUS = {STOPPED: "stopped", COMPLETED: "completed", DIVERGED: "diverged", SUCCEEDED: "stopped"}

WATCHED = ("train", "validation")
"""The losses that patience may watch."""

REALS = ("best_validation", "train_at_best", "best_watched")
COUNTS = ("best_epoch", "stale", "epoch", "status")
BEST_VALIDATION, TRAIN_AT_BEST, BEST_WATCHED = range(3)
BEST_EPOCH, STALE, EPOCH, STATE = range(4)


@dataclass(frozen=True)
class Until:
    """What a lane is trained until: a metric of its validation sequences that is at least, or at most, so much.

    Raises:
        UserError: no such metric; a bound on the side where the metric is worse, or none.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise unknown("metric: training.until.metric", self.metric, METRICS)
        side, other = ("at_least", "at_most") if self.metric in HIGHER else ("at_most", "at_least")
        if getattr(self, side) is None or getattr(self, other) is not None:
            given = shown({key: value for key, value in vars(self).items() if value is not None})
            raise UserError(f"training.until is {given}; expected {{metric: {self.metric}, {side}: NUMBER}}.")
        checks.number(f"training.until.{side}", getattr(self, side))

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Until:
        """As a config has it."""
        if not isinstance(given, Mapping) or not isinstance(given.get("metric"), str) or not {*given} <= {"metric", "at_least", "at_most"}:
            raise UserError(
                f"training.until is {shown(given)}; expected null, or a metric and a bound: {{metric: accuracy, at_least: 0.99}}, {{metric: rmse, at_most: 0.04}}."
            )
        return cls(**given)

    @property
    def settings(self) -> dict[str, Any]:
        """As a config has it, the bound as a floating-point number: what is the same is written the same."""
        side = "at_most" if self.at_least is None else "at_least"
        return {"metric": self.metric, side: float(getattr(self, side))}

    def met(self, values: np.ndarray) -> np.ndarray:
        """Which values of the metric meet the bound; NaN does not."""
        return np.asarray(values <= self.at_most if self.at_least is None else values >= self.at_least)


# ---- of every kernel ---------------------------------------------------------------------------------------------------


def judge(reals, counts, train, validation, finite, met, max_epochs, patience, min_delta, watch):  # type: ignore[no-untyped-def]
    """What the protocol does with one more epoch of a lane that runs; the best epoch is that of the smallest validation loss, or that of success.

    Args:
        reals, counts: of the lane, by :data:`REALS` and :data:`COUNTS`; changed in place.
        train, validation: losses of the epoch.
        finite: whether parameters and gradient are.
        met: whether it has what it was trained until.
        watch: the loss that patience watches, by its place in :data:`WATCHED`.

    Returns:
        Whether its parameters are the best so far.
    """
    counts[EPOCH] += 1
    if not finite:
        counts[STATE] = DIVERGED
        return False
    better = met or validation < reals[BEST_VALIDATION]
    if better:
        reals[BEST_VALIDATION] = validation
        reals[TRAIN_AT_BEST] = train
        counts[BEST_EPOCH] = counts[EPOCH]
    watched = validation if watch else train
    if watched < reals[BEST_WATCHED] - min_delta:
        reals[BEST_WATCHED] = watched
        counts[STALE] = 0
    else:
        counts[STALE] += 1
    if met:
        counts[STATE] = SUCCEEDED
    elif counts[STALE] >= patience:
        counts[STATE] = STOPPED
    elif counts[EPOCH] >= max_epochs:
        counts[STATE] = COMPLETED
    return better
