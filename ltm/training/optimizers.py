"""Optimisers: each is ONE elementwise function in torch operations, which the engines trace, run on tensors, or compile.

A new one is a function here and a line of the table. What may differ from lane to lane is a field of :class:`ltm.training.state.Lane`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import NamedTuple

import torch


class Constants(NamedTuple):
    """Numbers of an optimiser that are the same for all lanes."""

    beta1: float
    beta2: float
    eps: float
    alpha: float


Numbers = SimpleNamespace
"""What a step reads beside arrays, as attributes: the settings of its lane (``k.lr`` after the schedule), the constants (``k.eps``), and what
``numbers`` makes of them once an update."""


@dataclass(frozen=True)
class Optimizer:
    """An optimiser.

    Attributes:
        step: ``(p, g, s, k) -> (p, s)``: parameters, gradients and slots, arrays of one shape, elementwise; ``s`` and the dictionary that is
            returned hold the slots by name, which start at 0.
        slots: their names.
        numbers: ``(lr, n, c) -> numbers`` in float64 plain Python, once an update of a lane: learning rate, updates so far (from 1), constants.
        named: what ``k`` calls these numbers.
    """

    step: Callable[[torch.Tensor, torch.Tensor, SimpleNamespace, Numbers], tuple[torch.Tensor, dict[str, torch.Tensor]]]
    slots: tuple[str, ...] = ()
    numbers: Callable[[float, int, Constants], tuple[float, ...]] | None = None
    named: tuple[str, ...] = ()


def sgd(p, g, s, k):  # type: ignore[no-untyped-def]
    """Stochastic gradient descent with momentum, as ``torch.optim.SGD``."""
    g = g + k.weight_decay * p
    m = k.momentum * s.m + g
    return p - k.lr * m, {"m": m}


def adagrad(p, g, s, k):  # type: ignore[no-untyped-def]
    """Adagrad (Duchi et al. 2011), as ``torch.optim.Adagrad`` without a decay of the rate."""
    g = g + k.weight_decay * p
    v = s.v + g * g
    return p - k.lr * g / (torch.sqrt(v) + k.eps), {"v": v}


def rmsprop(p, g, s, k):  # type: ignore[no-untyped-def]
    """RMSprop (Hinton 2012), as ``torch.optim.RMSprop``."""
    g = g + k.weight_decay * p
    v = k.alpha * s.v + (1.0 - k.alpha) * (g * g)
    m = k.momentum * s.m + g / (torch.sqrt(v) + k.eps)
    return p - k.lr * m, {"v": v, "m": m}


def adam(p, g, s, k):  # type: ignore[no-untyped-def]
    """Adam (Kingma & Ba 2015), as ``torch.optim.Adam``."""
    return moved(p, g + k.weight_decay * p, s, k)


def adamw(p, g, s, k):  # type: ignore[no-untyped-def]
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019), as ``torch.optim.AdamW``."""
    return moved(p - (k.lr * k.weight_decay) * p, g, s, k)


def moved(p, g, s, k):  # type: ignore[no-untyped-def]
    """A step by the moments of the gradient, each divided by 1 - beta^n."""
    m = k.beta1 * s.m + (1.0 - k.beta1) * g
    v = k.beta2 * s.v + (1.0 - k.beta2) * (g * g)
    return p - k.rate * m / (torch.sqrt(v) / k.correction + k.eps), {"m": m, "v": v}


def of_adam(lr: float, n: int, c: Constants) -> tuple[float, float]:
    return lr / (1.0 - c.beta1**n), math.sqrt(1.0 - c.beta2**n)


OPTIMIZERS = {
    "sgd": Optimizer(sgd, ("m",)),
    "adagrad": Optimizer(adagrad, ("v",)),
    "rmsprop": Optimizer(rmsprop, ("v", "m")),
    "adam": Optimizer(adam, ("m", "v"), of_adam, ("rate", "correction")),
    "adamw": Optimizer(adamw, ("m", "v"), of_adam, ("rate", "correction")),
}
