"""What a cell is: its parameters, its state, and ONE step written for one lane, without a batch axis.

Engines give the step its lanes and its time axis (:mod:`ltm.engine`); a cell knows nothing of either.
Shape letters: S lanes, T time, K filter length, H hidden, I input, O output, P basis terms.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch

from ltm.errors import UserError

Tensors = SimpleNamespace
"""Named tensors, read as attributes: ``p.W_h``, ``s.h``, ``x.now``."""


@dataclass(frozen=True)
class Parameter:
    """A parameter's shape, and the bound of its initial uniform(-bound, bound) draw (0: it starts at zero)."""

    shape: tuple[int, ...]
    bound: float

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class State:
    """A state variable of ``size`` units. With ``lags > 1`` the step reads its last values as a window ``(lags, size)``,
    most recent first; otherwise it reads the last value, ``(size,)``. The step always returns the new value, ``(size,)``.
    Before the sequence starts every value is ``initial``."""

    size: int
    lags: int = 1
    initial: float = 0.0


def linear(out: int, fan_in: int) -> Parameter:
    """A weight matrix ``(out, fan_in)`` drawn as ``torch.nn.Linear`` draws it: uniform within 1/sqrt(fan_in)."""
    return Parameter((out, fan_in), fan_in**-0.5)


def bias(out: int, fan_in: int) -> Parameter:
    """A bias ``(out,)`` drawn as ``torch.nn.Linear`` draws it: uniform within 1/sqrt(fan_in)."""
    return Parameter((out,), fan_in**-0.5)


@dataclass(frozen=True)
class Cell:
    """A recurrent cell with a linear read-out. A subclass gives ``parameters``, ``state`` and ``step``.

    The step must be pure and free of branches on values, in torch operations: the fused engines trace it.
    """

    hidden_size: int = 1
    input_size: int = 1
    output_size: int = 1

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise UserError(f"model key '{field.name}' is {value!r}; expected a whole number of at least 1.")

    def parameters(self) -> dict[str, Parameter]:
        """Every parameter by name, in the order in which a seed's generator draws them (read-out included)."""
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

    def readout(self, p: Tensors, s: Tensors) -> torch.Tensor:
        """``y_t = V h_t + c``, shape ``(O,)``, from the state after the step."""
        return p.V @ s.h + p.c

    def linear_readout(self) -> dict[str, Parameter]:
        """The parameters V ``(O, H)`` and c ``(O,)`` of the shared read-out."""
        return {"V": linear(self.output_size, self.hidden_size), "c": bias(self.output_size, self.hidden_size)}

    @property
    def size(self) -> int:
        """Number of parameters N of one lane."""
        return sum(parameter.size for parameter in self.parameters().values())

    def initial(self, seed: int) -> np.ndarray:
        """Initial parameters of one seed, flat, shape ``(N,)``, float32, from that seed's own generator."""
        generator = torch.Generator().manual_seed(seed)
        draws = [(torch.rand(q.size, generator=generator, dtype=torch.float32) * 2.0 - 1.0) * q.bound for q in self.parameters().values()]
        return torch.cat(draws).numpy()

    def unflatten(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """Views of flat parameters ``(..., N)`` as ``{name: (..., *shape)}``."""
        pieces = flat.split([q.size for q in self.parameters().values()], dim=-1)
        named = zip(pieces, self.parameters().items(), strict=True)
        return {name: piece.unflatten(-1, q.shape) if q.shape else piece.squeeze(-1) for piece, (name, q) in named}
