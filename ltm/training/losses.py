"""Losses: each is one step, like a cell's: an output and its target in, a number out, in torch operations and without axes.

A step's loss is multiplied by its weight, and the sum over a batch divided by the sum of the weights. Engines trace and differentiate it: a new
loss is a function here, or an own one named ``package.module:function``. Beside them, the penalty for rough weights of free filters, which is of an
update: it is trained, and no part of the losses that are reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ltm.data.base import Task
from ltm.errors import UserError, unknown

if TYPE_CHECKING:
    from ltm.cells.base import Parameter

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


Filters = tuple[tuple[int, int, int], ...]
"""Where smooth weights lie among flat parameters: the first, how many lags, and how many numbers a lag."""


def smooth_filters(parameters: Mapping[str, Parameter]) -> Filters:
    """The smooth parameters of a network, of three lags or more: fewer have no second difference."""
    found, first = [], 0
    for parameter in parameters.values():
        lags = parameter.shape[0] if parameter.smooth else 0
        if lags > 2:
            found.append((first, lags, parameter.size // lags))
        first += parameter.size
    return tuple(found)


def roughness_gradient(params: torch.Tensor, filters: Filters) -> torch.Tensor:
    """The gradient of sum_k (a_{k-1} - 2 a_k + a_{k+1})^2, summed over all smooth weights a_k, by parameters ``(S, N)``.

    Beside the squared error it is the smoothness prior of distributed lags (Shiller 1973, Econometrica 41, of degree 1): free weights on a line cost nothing.
    """
    found, pad = torch.zeros_like(params), torch.nn.functional.pad
    for first, K, I in filters:
        a = params[:, first : first + K * I].unflatten(1, (K, I))
        bends = a[:, :-2] - 2.0 * a[:, 1:-1] + a[:, 2:]
        found[:, first : first + K * I] = 2.0 * (
            pad(bends, (0, 0, 0, 2)) - 2.0 * pad(bends, (0, 0, 1, 1)) + pad(bends, (0, 0, 2, 0))
        ).flatten(1)
    return found
