"""Mistakes in a cell: each is one line that names the cell, what was given and what was expected, on every engine."""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from ltm import cells
from ltm.cells import Cell, Network, Parameter, Readout, State
from ltm.cells.rnn import RNN
from ltm.data.base import forecast
from ltm.engine import PackState, Protocol, choose
from ltm.errors import UserError
from ltm.training.state import Lane
from ltm.training.stopping import DIVERGED
from tests.ltm.engine.series import OF_SERIES

X = np.random.default_rng(0).uniform(0.1, 1, (9, 1))
TASK = forecast(X[:-1], X[1:], 5, 2)
COUNTER = itertools.count()


def own(readout=None, outputs=("h",), output_size: int = 1, **parts) -> Network:  # type: ignore[no-untyped-def]
    """An RNN with some of its parts replaced, under a linear read-out or this one."""
    body = {name: (lambda self, *args, f=f: f(*args)) for name, f in parts.items()}
    network = Network.of(type("Mine", (RNN,), {**body, "outputs": outputs})(hidden_size=2), output_size)
    return replace(network, readout=read_by(readout)(network.readout.states, output_size)) if readout else network


def read_by(function: Callable) -> type[Readout]:
    return type("Mine", (Readout,), {"__call__": lambda self, p, s: function(p, s)})


def h(p, s, x):  # type: ignore[no-untyped-def]
    return torch.tanh(p.W_ih @ x.now + p.W_hh @ s.h)


def branch(p, s, x):  # type: ignore[no-untyped-def]
    value = h(p, s, x)
    return {"h": value if value[0] > 0 else -value}


def raising(p, s, x):  # type: ignore[no-untyped-def]
    raise RuntimeError("two\nlines")


def constant(p, s, x):  # type: ignore[no-untyped-def]
    out = torch.zeros(2)
    out[0] = h(p, s, x)[0]
    return {"h": out}


MISTAKES = {
    "scalar read-out of two": (own(readout=lambda p, s: s.h.sum(), output_size=2), r"read-out of Mine returns shape \(\); expected shape \(2,\)"),
    "matrix read-out": (own(readout=lambda p, s: (p.V @ s.h)[None]), r"read-out of Mine returns shape \(1, 1\); expected shape \(1,\)"),
    "read-out of a number": (own(readout=lambda p, s: 1.0), r"read-out of Mine returns a float"),
    "wrong state shape": (own(step=lambda p, s, x: {"h": h(p, s, x)[:1]}), r"returns state 'h' as shape \(1,\); expected shape \(2,\)"),
    "a state too few": (own(step=lambda p, s, x: {}), "returns the states none; expected h"),
    "a state too many": (own(step=lambda p, s, x: {"h": s.h, "c": s.h}), "returns the states h, c; expected h"),
    "no dictionary": (own(step=h), r"returns shape \(2,\); expected a dictionary of its states: h"),
    "branch": (own(step=branch), r"Mine branches on the value of a tensor.*torch.where \(.*test_check.py:\d+"),
    "item": (own(step=lambda p, s, x: {"h": s.h * h(p, s, x)[0].item()}), r"Mine takes a number out of a tensor.*test_check.py:\d+"),
    "float": (own(step=lambda p, s, x: {"h": s.h * float(h(p, s, x)[0])}), r"Mine takes a number out of a tensor.*torch.where"),
    "empty parameter": (own(parameters=lambda: {"W": Parameter((0, 2), 0.1)}), r"parameter 'W' of Mine has shape \(0, 2\)"),
    "odd parameter": (own(parameters=lambda: {"W": Parameter(3, 0.1)}), "parameter 'W' of Mine has shape 3; expected .* tuple"),  # type: ignore[arg-type]
    "parameter of a float": (own(parameters=lambda: {"W": Parameter((2.0,), 0.1)}), "parameter 'W'"),  # type: ignore[arg-type]
    "bare tuple": (own(parameters=lambda: {"W": (2, 2)}), r"parameter 'W' of Mine has \(2, 2\); expected a Parameter"),
    "parameter of the read-out": (own(parameters=lambda: {"V": Parameter((1,), 0.1)}), r"'V' of Mine has the name of one of the read-out \(V, c\)"),
    "raises": (own(step=raising), r"step of Mine fails: RuntimeError: two lines \(.*test_check.py:\d+: raise"),
    "shapes do not fit": (own(step=lambda p, s, x: {"h": p.W_hh @ x.now}), "step of Mine fails: RuntimeError: size mismatch"),
    "announces by raising": (own(parameters=lambda: {}["W"]), "what Mine announces .* fails: KeyError"),
    "parameter in place": (own(step=lambda p, s, x: {"h": h(p, s, x) * p.b_ih.mul_(2)}), "changes a parameter, a feature or a past state in place"),
    "feature in place": (own(step=lambda p, s, x: {"h": h(p, s, x) * x.now.mul_(2)}), "writes in place to a tensor that its gradient needs"),
    "feature in place without gradient": (own(step=lambda p, s, x: {"h": torch.tanh(p.b_ih + s.h) + x.now.mul_(2)}), "changes a parameter, a feature or a past state in place"),
    "constant in place": (own(step=constant), "into a constant in place.*zeros_like"),
    "torch draws": (own(step=lambda p, s, x: {"h": h(p, s, x) + torch.rand(2)}), "Mine is not repeatable: it draws random numbers or depends"),
    "dropout": (own(step=lambda p, s, x: {"h": torch.nn.functional.dropout(h(p, s, x))}), "Mine is not repeatable"),
    "numpy draws": (own(step=lambda p, s, x: {"h": h(p, s, x) * np.random.rand()}), "Mine is not repeatable"),  # noqa: NPY002
    "python draws": (own(step=lambda p, s, x: {"h": h(p, s, x) * random.random()}), "Mine is not repeatable"),
    "counts": (own(step=lambda p, s, x: {"h": h(p, s, x) * next(COUNTER)}), "Mine is not repeatable"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_on_every_engine(mistake: str) -> None:
    network, message = MISTAKES[mistake]
    for engine in ("auto", "torch", "cpu"):
        with pytest.raises(UserError, match=message) as error:
            choose(engine, network, forecast(X[:-1], np.repeat(X[1:], network.output_size, 1), 5, 2), Protocol())
        assert len(str(error.value).splitlines()) == 1
        assert "Mine" in str(error.value)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"state": lambda: {"h": State(2, lags=0)}}, r"state 'h' of Mine is State\(size=2, lags=0.*at least 1"),
        ({"state": lambda: {"h": State(-2)}}, r"state 'h' of Mine is State\(size=-2"),
        ({"state": lambda: {"h": 2}}, "state 'h' of Mine is 2; expected a State"),
        ({"state": dict}, "Mine has no state variable"),
        ({"outputs": ("h", "m")}, r"the outputs of Mine are \('h', 'm'\); expected one of its states or more, as a tuple: h\."),
        ({"outputs": ()}, r"the outputs of Mine are \(\); expected one"),
        ({"outputs": "h"}, "the outputs of Mine are 'h'; expected one"),
    ],
)
def test_a_mistake_in_states_and_outputs_is_found_where_the_network_is_made(parts: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        own(**parts)


def test_a_draw_that_the_sample_does_not_show_is_found_in_the_trace() -> None:
    network = own(step=lambda p, s, x: {"h": h(p, s, x) + torch.relu(x.now - 10.0 - random.random())})
    for engine in ("auto", "cpu"):
        with pytest.raises(UserError, match="Mine is not repeatable"):
            choose(engine, network, TASK, Protocol())


def test_a_scalar_read_out_of_one_output_is_taken() -> None:
    network = own(readout=lambda p, s: s.h @ p.V[0] + p.c[0])
    params = np.stack([network.initial(seed) for seed in range(3)])
    fast, slow = (choose(engine, network, TASK, Protocol()) for engine in ("cpu", "torch"))
    for mine, true in zip(fast.gradient(params), slow.gradient(params), strict=True):  # type: ignore[attr-defined]
        np.testing.assert_allclose(mine, true, rtol=1e-4, atol=1e-6)
    assert fast.predict(params).outputs.shape == slow.predict(params).outputs.shape == (3, 1, 1)


@dataclass(frozen=True)
class Clamped(Cell):
    """Its state hides an infinite parameter, but no NaN."""

    def parameters(self):
        return {"a": Parameter((1,), 1.0)}

    def step(self, p, s, x):
        diverging = torch.exp(p.a * 100.0) * (1.0 + s.h) - torch.exp(p.a * 100.0) * s.h
        return {"h": torch.minimum(torch.maximum(torch.clamp(diverging, -1.0, 1.0), x.now - 9.0), x.now + 9.0)}


class Squashed(Readout):
    """Its output hides an infinite parameter, and everything but NaN that the state does."""

    def parameters(self):
        return {"b": Parameter((1,), 1.0)}

    def __call__(self, p, s):
        return torch.tanh(p.b) * torch.relu(s.h)


@pytest.mark.parametrize("engine", ["cpu", "torch"])
def test_a_lane_that_is_no_longer_finite_diverges(engine: str) -> None:
    """Lane 0 stays finite, lane 1 has a NaN state behind clamps, lane 2 an infinite parameter behind tanh; lane 3 gets one in training."""
    params = np.array([[0.0, 0.5], [5.0, 0.5], [0.0, np.inf], [0.0, 0.5]], np.float32)
    state = PackState.start(params, [Lane(0, lr) for lr in (0.01, 0.01, 0.01, 3e38)])
    run = choose(engine, Network(((Clamped(),),), Squashed((("h", 1),))), TASK, Protocol(max_epochs=6))
    run.advance(state, 6)
    assert [status == DIVERGED for status in state.status] == [False, True, True, True]
    assert state.epoch[1] == state.epoch[2] == 1


@pytest.mark.parametrize("engine", ["cpu", "torch"])
def test_a_large_gradient_is_no_divergence(engine: str) -> None:
    """Its square is not finite in float32."""
    network = own(readout=lambda p, s: 1e15 * (p.V @ s.h))
    state = PackState.start(network.initial(0)[None], [Lane(0, 1e-6, clip=1.0)])
    run = choose(engine, network, TASK, Protocol(max_epochs=3))
    run.advance(state, 3)
    assert state.status[0] != DIVERGED


def test_the_cells_that_come_with_it_pass() -> None:
    for name in OF_SERIES:
        choose("torch", cells.build({"cell": name, "hidden_size": 3}, TASK), TASK, Protocol())
