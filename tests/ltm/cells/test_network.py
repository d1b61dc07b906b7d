"""A cell under a read-out: parameters in their order, outputs from their equations, initial values from one generator."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from ltm import cells
from ltm.cells import Cell, Network, Readout, State
from ltm.cells.base import Draws, bias, linear
from ltm.data.base import forecast
from ltm.engine import Protocol
from ltm.engine.torch import Torch
from tests.ltm.engine.series import OF_SERIES, outputs, series


@dataclass(frozen=True)
class Mine(Cell):
    """A running mean of the input: parameters, state and step, and nothing of outputs."""

    def parameters(self):
        return {"W": linear(self.hidden_size, self.input_size), "b": bias(self.hidden_size, self.input_size)}

    def step(self, p, s, x):
        return {"h": 0.9 * s.h + 0.1 * (p.W @ x.now + p.b)}


class Sum(Mine):
    """Reads two states, of which one is of another size."""

    outputs = ("h", "total")

    def state(self):
        return {"h": State(self.hidden_size), "total": State(1)}

    def step(self, p, s, x):
        return super().step(p, s, x) | {"total": s.total + x.now.sum(0, keepdim=True)}


class Unchanged(Readout):
    """The state itself, without parameters."""

    def parameters(self):
        return {}

    def __call__(self, p, s):
        return s.h


def test_parameters_of_the_read_out_follow_those_of_the_cell() -> None:
    one, two = (Network.of(kind(hidden_size=3, input_size=2), output_size=4) for kind in (Mine, Sum))
    assert {name: q.shape for name, q in one.parameters().items()} == {"W": (3, 2), "b": (3,), "V": (4, 3), "c": (4,)}
    assert list(one.parameters()) == ["W", "b", "V", "c"]
    assert {name: q.shape for name, q in two.readout.parameters().items()} == {"V_h": (4, 3), "V_total": (4, 1), "c": (4,)}
    assert [q.bound for q in two.readout.parameters().values()] == [3**-0.5, 1.0, 3**-0.5]
    assert (one.size, one.input_size, one.hidden_size, one.output_size) == (25, 2, 3, 4)


@pytest.mark.parametrize("kind", [Mine, Sum])
def test_outputs_are_a_linear_map_of_the_states_that_are_read(kind: type[Mine]) -> None:
    network = Network.of(kind(hidden_size=3), output_size=2)
    p = {name: torch.randn(q.shape) for name, q in network.parameters().items()}
    s = {name: torch.randn(q.size) for name, q in network.cell.state().items()}
    y = network.readout(cells.base.Tensors(**p), cells.base.Tensors(**s))
    maps = [p["V"] @ s["h"]] if kind is Mine else [p["V_h"] @ s["h"], p["V_total"] @ s["total"]]
    torch.testing.assert_close(y, sum(maps) + p["c"])


@pytest.mark.parametrize("name", [name for name in OF_SERIES if cells.CELLS[name].initial is cells.Cell.initial])
def test_initial_values_are_drawn_cell_first_from_one_generator(name: str) -> None:
    network = cells.build({"cell": name, "hidden_size": 2}, series(30))
    flat, drawn = torch.tensor(network.initial(5)), Draws(5).bounded(network.parameters())
    for key, value in network.unflatten(flat).items():
        torch.testing.assert_close(value, drawn[key], rtol=0, atol=0)


def test_a_cell_may_draw_its_initial_values_itself() -> None:
    class Ones(Mine):
        def initial(self, draws):
            return {name: torch.ones(q.shape) for name, q in self.parameters().items()}

    network = Network.of(Ones(hidden_size=2))
    assert network.initial(3).tolist()[:4] == [1.0] * 4
    assert (network.initial(3)[4:] != network.initial(4)[4:]).all()


def test_another_read_out_takes_the_place_of_the_linear_one() -> None:
    network = Network(((Mine(hidden_size=2),),), Unchanged((("h", 2),), 2))
    assert list(network.parameters()) == ["W", "b"]
    x = np.ones((5, 1))
    found = outputs(Torch(network, forecast(x, np.ones((5, 2)), 3, 1), Protocol()), np.ones((1, network.size), np.float32))
    np.testing.assert_allclose(found[0, :, 1], 2 * (1 - 0.9 ** np.arange(1, 6)), rtol=1e-6)
