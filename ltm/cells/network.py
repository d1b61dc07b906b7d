"""A network: a cell under a read-out, which is what is trained. The read-out maps states to outputs; the cell knows nothing of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ltm import checks
from ltm.cells.base import Cell, Draws, Parameter, State, Tensors, bias, linear
from ltm.errors import UserError


def states_of(cell: Cell) -> dict[str, State]:
    """Every state variable of a cell by name.

    Raises:
        UserError: no state, or one of no or odd size.
    """
    kind, states = type(cell).__name__, cell.state()
    if not states:
        raise UserError(f"{kind} has no state variable; expected at least one State.")
    for name, state in states.items():
        if not isinstance(state, State) or not checks.is_size(state.size) or not checks.is_size(state.lags):
            raise UserError(f"state '{name}' of {kind} is {state!r}; expected a State with size and lags of at least 1.")
    return states


@dataclass(frozen=True)
class Readout:
    """A linear map of states to outputs: y_t = V h_t + c of one state, y_t = V_h h_t + V_m m_t + c of two, from the states after the step.

    ``states``: the name and size of every state that is read. Another read-out overrides ``parameters`` and ``__call__``.
    """

    states: tuple[tuple[str, int], ...]
    output_size: int = 1

    def __post_init__(self) -> None:
        checks.whole("output_size", self.output_size)

    @classmethod
    def of(cls, cell: Cell, output_size: int = 1) -> Readout:
        """The read-out of a cell's ``outputs``.

        Raises:
            UserError: an output that is no state of the cell.
        """
        states = states_of(cell)
        if not isinstance(cell.outputs, tuple) or not cell.outputs or not set(cell.outputs) <= set(states):
            raise UserError(
                f"the outputs of {type(cell).__name__} are {cell.outputs!r}; expected one of its states or more, as a tuple: {', '.join(states)}."
            )
        return cls(tuple((name, states[name].size) for name in cell.outputs), output_size)

    def parameters(self) -> dict[str, Parameter]:
        """A map ``(O, H)`` of every state and a bias ``(O,)``, drawn with the first map."""
        maps = {self.weight(name): linear(self.output_size, size) for name, size in self.states}
        return {**maps, "c": bias(self.output_size, self.states[0][1])}

    def weight(self, state: str) -> str:
        """How the map of a state is called."""
        return "V" if len(self.states) == 1 else f"V_{state}"

    def __call__(self, p: Tensors, s: Tensors) -> torch.Tensor:
        """Outputs ``(O,)`` of one time step of one lane."""
        y, *others = (getattr(p, self.weight(name)) @ getattr(s, name) for name, _ in self.states)
        for other in others:
            y = y + other
        return y + p.c

    def released(self, draws: Draws) -> dict[str, torch.Tensor]:
        """The parameters by name as the code released with Zhao et al. (2020) draws them, after those of the cell: the bias follows the first map."""
        (first, size), *others = self.states
        V, c = draws.linear(self.output_size, size)
        return {self.weight(first): V, "c": c, **{self.weight(name): draws.weight(self.output_size, n) for name, n in others}}


@dataclass(frozen=True)
class Network:
    """One cell under one read-out: what engines run and training trains. Its parameters are the cell's, then those of the read-out."""

    cell: Cell
    readout: Readout

    def __post_init__(self) -> None:
        states_of(self.cell)

    @classmethod
    def of(cls, cell: Cell, output_size: int = 1) -> Network:
        """A cell under the linear read-out of its ``outputs``."""
        return cls(cell, Readout.of(cell, output_size))

    @property
    def input_size(self) -> int:
        return self.cell.input_size

    @property
    def hidden_size(self) -> int:
        return self.cell.hidden_size

    @property
    def output_size(self) -> int:
        return self.readout.output_size

    def parameters(self) -> dict[str, Parameter]:
        """Every parameter by name, in the order in which a seed's generator draws them.

        Raises:
            UserError: a parameter of the cell with the name of one of the read-out.
        """
        inner, outer = self.cell.parameters(), self.readout.parameters()
        for name in inner:
            if name in outer:
                raise UserError(
                    f"parameter '{name}' of {type(self.cell).__name__} has the name of one of the read-out ({', '.join(outer)});"
                    " expected another name."
                )
        return inner | outer

    def state(self) -> dict[str, State]:
        """Every state variable by name."""
        return self.cell.state()

    def features(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """What a step reads of the input ``(T, I)``: arrays with leading axis T."""
        return self.cell.features(x)

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        """One time step of one lane: the new value of every state variable."""
        return self.cell.step(p, s, x)

    @property
    def size(self) -> int:
        """Number of parameters N of one lane."""
        return sum(parameter.size for parameter in self.parameters().values())

    def initial(self, seed: int) -> np.ndarray:
        """Initial parameters of one seed, flat, shape ``(N,)``, float32, from that seed's own generator."""
        draws = Draws(seed)
        inner = self.cell.initial(draws)
        outer = self.readout.released(draws) if self.cell.init == "released" else draws.bounded(self.readout.parameters())
        drawn = inner | outer
        return torch.cat([drawn[name].reshape(-1) for name in self.parameters()]).numpy()

    def unflatten(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """Views of flat parameters ``(..., N)`` as ``{name: (..., *shape)}``."""
        pieces = flat.split([q.size for q in self.parameters().values()], dim=-1)
        named = zip(pieces, self.parameters().items(), strict=True)
        return {name: piece.unflatten(-1, q.shape) if q.shape else piece.squeeze(-1) for piece, (name, q) in named}
