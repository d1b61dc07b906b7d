"""Layers without memory: their state is what they hand on, and no step reads that of the step before. They stand between recurrent cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ltm.cells.base import Cell, Parameter, State, Tensors, bias, linear
from ltm.errors import UserError, unknown

DROPOUTS = ("nonrecurrent", "variational")

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"tanh": torch.tanh, "relu": torch.relu, "identity": lambda net: net}
"""What a feed-forward layer does to its net input, by the value of model key ``activation``."""

EPSILON = 1e-5
"""Added to a variance, as ``torch.nn.LayerNorm`` does."""


@dataclass(frozen=True)
class Linear(Cell):
    """A map of the input: h_t = W x_t + b, drawn as ``torch.nn.Linear`` draws it."""

    def parameters(self) -> dict[str, Parameter]:
        return {"W": linear(self.hidden_size, self.input_size), "b": bias(self.hidden_size, self.input_size)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        return {"h": p.W @ x.now + p.b}


@dataclass(frozen=True)
class Feedforward(Linear):
    """A layer of a feed-forward network: h_t = f(W x_t + b), drawn as ``torch.nn.Linear`` draws it; f is the ``activation``.

    ``maps``: of so many states of one size below, side by side, each has a map that is drawn by itself, and b is drawn with the first: 2 above an MRNNF is the
    output of its cell in the code released with Zhao et al. (2020). ``mapped`` false: h_t = f(x_t), without parameters and as wide as the input.

    Raises:
        UserError: no such activation; inputs that are no multiple of ``maps``.
    """

    activation: str = "tanh"
    maps: int = 1
    mapped: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.activation not in ACTIVATIONS:
            raise unknown("value of model key 'activation':", self.activation, ACTIVATIONS)
        if self.input_size % self.maps:
            raise UserError(f"model key 'maps' is {self.maps}, and the layer reads {self.input_size} values; expected a divisor of these.")

    def parameters(self) -> dict[str, Parameter]:
        each = self.input_size // self.maps
        return {"W": linear(self.hidden_size, *[each] * self.maps), "b": bias(self.hidden_size, each)} if self.mapped else {}

    def state(self) -> dict[str, State]:
        return {"h": State(self.hidden_size if self.mapped else self.input_size)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        return {"h": ACTIVATIONS[self.activation](p.W @ x.now + p.b if self.mapped else x.now)}


@dataclass(frozen=True)
class LayerNorm(Cell):
    """h_t = g (x_t - mean) / sqrt(variance + 1e-5) + b over the units of one step (Ba et al. 2016, equations 3 and 4); g starts at 1, b at 0.

    ``hidden_size`` is that of the input.
    """

    def parameters(self) -> dict[str, Parameter]:
        return {"g": Parameter((self.input_size,), 0.0, mean=1.0), "b": Parameter((self.input_size,), 0.0)}

    def state(self) -> dict[str, State]:
        return {"h": State(self.input_size)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        return {"h": p.g * normalised(x.now) + p.b}


def normalised(v: torch.Tensor) -> torch.Tensor:
    """(v - mean) / sqrt(variance + 1e-5) over all elements of a vector."""
    centred = v - v.mean()
    return centred / torch.sqrt((centred * centred).mean() + EPSILON)


@dataclass(frozen=True)
class Dropout(Cell):
    """h_t = mask * x_t, where a unit's mask is 0 with the seed run's dropout rate r, else 1 / (1 - r); all 1 when nothing is trained.

    ``kind`` is ``nonrecurrent``: a mask drawn for every step, on what goes from layer to layer (Zaremba et al. 2014); or ``variational``: one
    mask for all steps of a sequence (Gal & Ghahramani 2016, Section 4, on the same connections). The mask belongs to the seed, the update,
    the sequence and the layer; the engine hands it over as ``x.mask``.
    """

    kind: str = "nonrecurrent"

    def parameters(self) -> dict[str, Parameter]:
        return {}

    def state(self) -> dict[str, State]:
        return {"h": State(self.input_size)}

    def features(self, x: np.ndarray) -> dict[str, np.ndarray]:
        return {"now": x, "mask": np.ones_like(x)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        return {"h": x.mask * x.now}


@dataclass(frozen=True)
class Mean(Cell):
    """The mean of all inputs so far: h_t = h_{t-1} + (x_t - h_{t-1}) / t. Under a read-out of the last step it is that of the whole sequence."""

    def parameters(self) -> dict[str, Parameter]:
        return {}

    def state(self) -> dict[str, State]:
        return {"h": State(self.input_size), "t": State(1)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        t = s.t + 1.0
        return {"h": s.h + (x.now - s.h) / t, "t": t}
