"""What a cell is: its parameters, its state, and ONE step written for one lane, without a batch axis.

Engines give the step its lanes and its time axis (:mod:`ltm.engine`), a network its outputs (:mod:`ltm.cells.network`); a cell knows nothing
of either.
Shape letters: S lanes, T time, K filter length, H hidden, I input, O output, P basis terms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import torch

from ltm import checks
from ltm.cells import initial
from ltm.errors import UserError

Tensors = SimpleNamespace
"""Named tensors, read as attributes: ``p.W_h``, ``s.h``, ``x.now``."""


@dataclass(frozen=True)
class Parameter:
    """A parameter's shape, and the bound of its initial uniform(mean - bound, mean + bound) draw (0: it starts at the mean).

    ``smooth``: its first axis are lags, over which ``training.smoothness`` asks for small second differences (:func:`ltm.training.losses.roughness_gradient`).
    Several maps side by side have a bound each: ``((columns, bound), ...)``. ``recurrent``: of a matrix, the columns that a past state is
    multiplied by, as ``((first, how many), ...)``, which ``init: orthogonal`` asks for.
    """

    shape: tuple[int, ...]
    bound: float | tuple[tuple[int, float], ...]
    mean: float = 0.0
    recurrent: tuple[tuple[int, int], ...] = ()
    smooth: bool = False

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class State:
    """A state variable of ``size`` units. With ``lags > 1`` the step reads its last values as a window ``(lags, size)``,
    most recent first; otherwise it reads the last value, ``(size,)``. The step always returns the new value, ``(size,)``.
    Before the sequence starts every value is ``initial``.

    With ``children`` a step is a node of a tree, and reads the values of its children instead, ``(N, size)`` in their order, ``initial`` for one that it lacks.
    N is ``lags`` where that is above 1, else as many as any node of the task has."""

    size: int
    lags: int = 1
    initial: float = 0.0
    children: bool = False

    @property
    def window(self) -> bool:
        """Whether the step reads several values."""
        return self.lags > 1 or self.children


def linear(out: int, *fan_in: int, recurrent: tuple[tuple[int, int], ...] = ()) -> Parameter:
    """A weight matrix ``(out, sum(fan_in))`` of one or more maps side by side, each drawn as ``torch.nn.Linear`` draws it.

    That is uniform within 1/sqrt(fan_in) of that map: ``linear(H, I + H)`` is one map of ``[x, h]``, ``linear(H, I, H)`` a map of x and one of h.
    """
    bound = tuple((size, size**-0.5) for size in fan_in) if len(fan_in) > 1 else fan_in[0] ** -0.5
    return Parameter((out, sum(fan_in)), bound, recurrent=recurrent)


def bias(out: int, fan_in: int) -> Parameter:
    """A bias ``(out,)`` drawn as ``torch.nn.Linear`` draws it: uniform within 1/sqrt(fan_in)."""
    return Parameter((out,), fan_in**-0.5)


class Draws:
    """Initial values of one seed, from a generator of its own: the numbers after ``torch.manual_seed(seed)``."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.generator = torch.Generator().manual_seed(seed)

    def bounded(self, parameters: Mapping[str, Parameter]) -> dict[str, torch.Tensor]:
        """Each of these parameters uniform within its bound, in their order."""
        return {name: self.within(parameter) for name, parameter in parameters.items()}

    def within(self, parameter: Parameter) -> torch.Tensor:
        unit = torch.rand(parameter.size, generator=self.generator, dtype=torch.float32).reshape(parameter.shape) * 2.0 - 1.0
        if not isinstance(parameter.bound, tuple):
            return unit * parameter.bound + parameter.mean if parameter.mean else unit * parameter.bound
        maps = unit.split([columns for columns, _ in parameter.bound], 1)
        return torch.cat([part * bound for part, (_, bound) in zip(maps, parameter.bound, strict=True)], 1)

    def uniform(self, shape: tuple[int, ...], fan_in: int) -> torch.Tensor:
        return torch.empty(shape).uniform_(-(fan_in**-0.5), fan_in**-0.5, generator=self.generator)

    def linear(self, out: int, fan_in: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight and bias of ``torch.nn.Linear(fan_in, out)``."""
        return self.uniform((out, fan_in), fan_in), self.uniform((out,), fan_in)

    def weight(self, out: int, fan_in: int) -> torch.Tensor:
        """Weight of ``torch.nn.Linear(fan_in, out, bias=False)``."""
        return self.uniform((out, fan_in), fan_in)

    def recurrent(self, H: int, I: int, gates: int = 1) -> dict[str, torch.Tensor]:
        """Parameters of ``torch.nn.RNN`` (one gate) or ``torch.nn.LSTM`` (four)."""
        shapes = {"W_ih": (gates * H, I), "W_hh": (gates * H, H), "b_ih": (gates * H,), "b_hh": (gates * H,)}
        return {name: self.uniform(shape, H) for name, shape in shapes.items()}


@dataclass(frozen=True)
class Cell:
    """A recurrent cell. A subclass gives ``parameters``, ``state`` and ``step``.

    The step must be pure and free of branches on values, in torch operations: the fused engines trace it.

    ``init``: ``default`` draws every parameter by its bound, in the order of ``parameters()``; ``released`` draws the very numbers of the
    code released with Zhao et al. (2020), for the six cells that it contains (:meth:`released`); the others are those of
    :func:`ltm.cells.initial.drawn`.
    """

    hidden_size: int = 1
    input_size: int = 1
    init: str = "default"

    outputs: ClassVar[tuple[str, ...]] = ("h",)
    """The states that the read-out of a network reads."""

    gates: ClassVar[tuple[str, ...]] = ()
    """The gates whose biases can be set (:func:`ltm.cells.initial.places`), in the order in which vectors hold them."""

    def __post_init__(self) -> None:
        checks.fields(self, lambda key: f"model key '{key}'")
        initial.check(self.init)
        if self.init == "released" and type(self).released is Cell.released:
            raise UserError(f"model key 'init' is released, but the released code has no {type(self).__name__}; expected default.")

    def parameters(self) -> dict[str, Parameter]:
        """Every parameter by name, in the order in which a seed's generator draws them."""
        raise NotImplementedError

    def state(self) -> dict[str, State]:
        """Every state variable by name."""
        return {"h": State(self.hidden_size)}

    def features(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """What a step reads of the input, computed once for all seeds and epochs.

        Args:
            x: input sequence, shape ``(T, I)``.

        Returns:
            Arrays with leading axis T; a step sees ``x.NAME`` without that axis. ``now`` is the input itself.
        """
        return {"now": x}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        """One time step of one lane: parameters, last state and features in, the new value of every state variable out."""
        raise NotImplementedError

    def initial(self, draws: Draws) -> dict[str, torch.Tensor]:
        """Initial values of every parameter by name, from one seed's draws."""
        return self.released(draws) if self.init == "released" else initial.drawn(self.init, self.parameters(), draws, self.hidden_size)

    def released(self, draws: Draws) -> dict[str, torch.Tensor]:
        """Every parameter by name as the released code draws it: its modules' draws in the order of their construction, unused ones included."""
        raise NotImplementedError
