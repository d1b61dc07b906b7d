"""A network: layers of cells under a read-out, which is what is trained. A cell knows nothing of the others, nor of the read-out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace

import numpy as np
import torch

from ltm import checks
from ltm.cells import initial
from ltm.cells.base import Cell, Draws, Parameter, State, Tensors, bias, linear
from ltm.cells.feedforward import Linear
from ltm.errors import UserError

EMBEDDING = "E"
"""The name of the table in which symbols are looked up."""


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


def outputs_of(cell: Cell) -> tuple[tuple[str, int], ...]:
    """The states that a cell hands on, and their sizes.

    Raises:
        UserError: an output that is no state of the cell.
    """
    states = states_of(cell)
    if not isinstance(cell.outputs, tuple) or not cell.outputs or not set(cell.outputs) <= set(states):
        raise UserError(
            f"the outputs of {type(cell).__name__} are {cell.outputs!r}; expected one of its states or more, as a tuple: {', '.join(states)}."
        )
    return tuple((name, states[name].size) for name in cell.outputs)


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
    def of(cls, cell: Cell, output_size: int = 1, back: Cell | None = None) -> Readout:
        """The read-out of a cell's ``outputs``, and of those of a cell that reads time backwards beside it, as ``NAME_back``."""
        both = [outputs_of(cell), [(f"{name}_back", size) for name, size in (outputs_of(back) if back else ())]]
        return cls(tuple(itertools.chain(*both)), output_size)

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
class Part:
    """One cell of a network, run over whole sequences in one direction of time.

    Attributes:
        layer: counted from 0; those of layer 0 read the inputs, those above all outputs of the layer below, side by side.
        reverse: from the last step to the first.
        prefix: of the names of its parameters; empty where the network has no other cell.
    """

    cell: Cell
    layer: int = 0
    reverse: bool = False
    prefix: str = ""

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """The states that it hands on, and their sizes."""
        return outputs_of(self.cell)

    def parameters(self) -> dict[str, Parameter]:
        """Its parameters by their names in the network."""
        return {self.prefix + name: parameter for name, parameter in self.cell.parameters().items()}

    def own(self, p: Mapping[str, torch.Tensor]) -> Tensors:
        """Its parameters among those of the network, by the names that its step knows."""
        return SimpleNamespace(**{name: p[self.prefix + name] for name in self.cell.parameters()})


@dataclass(frozen=True)
class Network:
    """Layers of cells under one read-out: what engines run and training trains.

    Attributes:
        layers: from the inputs up: one cell, or two of which the second reads time backwards.
        symbols, embedding: where inputs are symbols, how many there are, and the size of the vector that stands for each.
        biases: what the biases of gates sum to at the start, by the name of the gate: one number, or one for each of its units; those of other gates
            are drawn.
    """

    layers: tuple[tuple[Cell, ...], ...]
    readout: Readout
    symbols: int = 0
    embedding: int = 0
    biases: tuple[tuple[str, float | tuple[float, ...]], ...] = ()

    def __post_init__(self) -> None:
        below, name = self.embedding or self.layers[0][0].input_size, "the symbols" if self.embedding else "the inputs"
        for i in range(len(self.layers)):
            for part in self.of_layer(i):
                states_of(part.cell)
                kind = type(part.cell).__name__
                if part.cell.input_size != below:
                    raise UserError(f"{kind} reads {part.cell.input_size} values and {name} {below}; expected equal numbers.")
                if (i or self.embedding) and set(part.cell.features(np.zeros((1, below)))) - {"now", "mask"}:
                    raise UserError(
                        f"{kind} reads more of its input than the present step, so it can only be the first layer, above numbers; expected another cell above"
                        f" {name}."
                    )
            mapped = i == 0 and isinstance(self.layers[0][0], Linear)
            below, name = self.width(i), "the input map (model key 'input_map', which is 0 for none)" if mapped else f"layer {i}"

    @classmethod
    def of(cls, cell: Cell, output_size: int = 1) -> Network:
        """A cell under the linear read-out of its ``outputs``."""
        return cls(((cell,),), Readout.of(cell, output_size))

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Every cell, from the inputs up."""
        alone = len(self.layers) == 1 and len(self.layers[0]) == 1 and not self.embedding
        return tuple(
            Part(cell, i, back, "" if alone else f"{i}{'_back' if back else ''}.")
            for i, layer in enumerate(self.layers)
            for cell, back in zip(layer, (False, True), strict=False)
        )

    def of_layer(self, layer: int) -> list[Part]:
        """The cells of one layer."""
        return [part for part in self.parts if part.layer == layer]

    def width(self, layer: int) -> int:
        """Values that a layer hands on."""
        return sum(size for part in self.of_layer(layer) for _, size in part.outputs)

    @property
    def cell(self) -> Cell:
        """The cell of the first layer."""
        return self.layers[0][0]

    @property
    def input_size(self) -> int:
        return 1 if self.symbols else self.cell.input_size

    @property
    def hidden_size(self) -> int:
        """Units of the widest state."""
        return (
            max(state.size for part in self.parts for state in part.cell.state().values()) if len(self.parts) > 1 else self.cell.hidden_size
        )

    @property
    def output_size(self) -> int:
        return self.readout.output_size

    def parameters(self) -> dict[str, Parameter]:
        """Every parameter by name, in the order in which a seed's generator draws them: the symbols' vectors, those of every cell, the read-out's.

        Raises:
            UserError: a parameter of a cell with the name of one of the read-out.
        """
        inner = {EMBEDDING: Parameter((self.symbols, self.embedding), 1.0)} if self.embedding else {}
        outer = self.readout.parameters()
        for part in self.parts:
            inner |= part.parameters()
        for name in inner:
            if name in outer:
                raise UserError(
                    f"parameter '{name}' of {type(self.cell).__name__} has the name of one of the read-out ({', '.join(outer)});"
                    " expected another name."
                )
        return inner | outer

    def features(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """What the cells of the first layer read of an input ``(T, I)``: arrays with leading axis T."""
        return {name: value for part in self.of_layer(0) for name, value in part.cell.features(x).items()}

    def joined(self, states: Sequence[Mapping[str, torch.Tensor]], layer: int) -> torch.Tensor:
        """What a layer hands on at one step, from the new states of its cells."""
        return torch.cat([new[name] for part, new in zip(self.of_layer(layer), states, strict=True) for name, _ in part.outputs])

    def read(self, p: Mapping[str, torch.Tensor], top: torch.Tensor) -> torch.Tensor:
        """Outputs ``(O,)`` of one step, from what the last layer hands on."""
        pieces = top.split([size for _, size in self.readout.states], -1)
        states = {name: piece for (name, _), piece in zip(self.readout.states, pieces, strict=True)}
        return self.readout(SimpleNamespace(**{name: p[name] for name in self.readout.parameters()}), SimpleNamespace(**states))

    @property
    def size(self) -> int:
        """Number of parameters N of one lane."""
        return sum(parameter.size for parameter in self.parameters().values())

    def initial(self, seed: int) -> np.ndarray:
        """Initial parameters of one seed, flat, shape ``(N,)``, float32, from that seed's own generator."""
        draws, rule = Draws(seed), getattr(self.cell, "init", "default")
        table = {EMBEDDING: self.parameters()[EMBEDDING]} if self.embedding else {}
        drawn = initial.drawn("default", table, draws)
        for part in self.parts:
            own, cell = part.cell.initial(draws), part.cell
            own = initial.biased(own, cell.parameters(), cell.gates, dict(self.biases), cell.hidden_size) if self.biases else own
            drawn |= {part.prefix + name: value for name, value in own.items()}
        drawn |= self.readout.released(draws) if rule == "released" else initial.drawn(rule, self.readout.parameters(), draws)
        return torch.cat([drawn[name].reshape(-1) for name in self.parameters()]).numpy()

    def unflatten(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """Views of flat parameters ``(..., N)`` as ``{name: (..., *shape)}``."""
        pieces = flat.split([q.size for q in self.parameters().values()], dim=-1)
        named = zip(pieces, self.parameters().items(), strict=True)
        return {name: piece.unflatten(-1, q.shape) if q.shape else piece.squeeze(-1) for piece, (name, q) in named}
