"""Losses: each is one step, like a cell's: an output and its target in, a number out, in torch operations and without axes.

A step's loss is multiplied by its weight, and the sum over a batch divided by the sum of the weights. Engines trace and differentiate it: a new
loss is a function here, or an own one named ``package.module:function``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ltm.data.base import Task
from ltm.errors import UserError, unknown

Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(outputs ``(O,)``, targets) -> loss ``()``. Targets are ``(O,)``; those of a class are 1 at its place and 0 elsewhere."""


@dataclass(frozen=True)
class Loss:
    """A loss and what it is for: targets that are ``numbers``, one of several ``classes``, or ``yes or no`` (0 or 1, each output for itself)."""

    step: Step
    targets: str


def squared(y: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """(y - target)^2, the mean over outputs."""
    error = y - target
    return (error * error).mean()


def absolute(y: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """|y - target|, the mean over outputs."""
    return (y - target).abs().mean()


def huber(y: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Half the squared error up to 1, linear beyond (Huber 1964), as ``torch.nn.functional.huber_loss`` with delta 1; the mean over outputs."""
    error = (y - target).abs()
    near = error.clamp(max=1.0)
    return (near * (error - 0.5 * near)).mean()


def cross_entropy(y: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """-log softmax(y) of the target's class, as ``torch.nn.functional.cross_entropy``."""
    return torch.logsumexp(y, 0) - (target * y).sum()


def binary_cross_entropy(y: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Of outputs as logits, as ``torch.nn.functional.binary_cross_entropy_with_logits``; the mean over outputs."""
    return (torch.relu(y) - y * target + torch.log1p(torch.exp(-y.abs()))).mean()


def brier(y: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """(sigma(y) - target)^2 of outputs as logits (Brier 1950), the mean over outputs: what was minimised before cross-entropy was usual."""
    error = torch.sigmoid(y) - target
    return (error * error).mean()


LOSSES = {
    "squared": Loss(squared, "numbers"),
    "absolute": Loss(absolute, "numbers"),
    "huber": Loss(huber, "numbers"),
    "cross_entropy": Loss(cross_entropy, "classes"),
    "binary_cross_entropy": Loss(binary_cross_entropy, "yes or no"),
    "brier": Loss(brier, "yes or no"),
}


def find(name: str) -> Loss:
    """The loss of this name.

    Raises:
        UserError: no such loss; the message lists them.
    """
    if name not in LOSSES:
        raise unknown("loss", name, LOSSES)
    return LOSSES[name]


def fitting(name: str, task: Task) -> Loss:
    """The loss of this name (empty: that of the task), for targets that it can be taken of.

    Raises:
        UserError: no such loss, or one of other targets than the task has.
    """
    loss = find(name or task.loss)
    if (loss.targets == "classes") != bool(task.classes):
        has = f"{task.classes} classes" if task.classes else "numbers"
        suits = [key for key, other in LOSSES.items() if (other.targets == "classes") == bool(task.classes)]
        raise UserError(
            f"loss '{name or task.loss}' is for targets that are {loss.targets}, and those of task '{task.name}' are {has};"
            f" expected one of {', '.join(suits)}."
        )
    if loss.targets == "yes or no":
        for part in (task.train, task.validation, task.test):
            odd = part.targets[(part.weight > 0) & ((part.targets != 0) & (part.targets != 1)).any(-1)]
            if odd.size:
                value = odd[(odd != 0) & (odd != 1)][0]
                raise UserError(
                    f"loss '{name or task.loss}' is for targets of 0 or 1, and task '{task.name}' has {value:g}; expected another loss."
                )
    return loss
