"""Thirty odd ways to write a step. Each runs fused with the torch engine's values and gradients, or the log says why not and where."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ltm.cells import Cell, Network, Parameter, State
from ltm.data.base import Task, forecast
from ltm.engine import Protocol, choose
from ltm.engine.fused import Fused
from ltm.engine.torch import Torch
from ltm.errors import UserError
from tests.ltm.engine.series import outputs

H, I = 3, 2
SCALE = np.array([0.5, -0.25, 1.0], np.float32)
TABLE = torch.tensor([[0.1, -0.2, 0.3], [0.0, 0.4, -0.1], [0.2, 0.2, -0.5]])


@dataclass(frozen=True)
class Odd(Cell):
    """Parameters of many shapes, most of which a step does not use."""

    hidden_size: int = H
    input_size: int = I

    def parameters(self):
        shapes = {"U": (H, I), "W": (H, H), "b": (H,), "g": (), "k": (2, H)}
        return {name: Parameter(shape, 0.8) for name, shape in shapes.items()}

    def features(self, x):
        return {"now": x, "grid": np.stack([x, x**2, -x], 1)}


def odd(step: Callable, states: dict[str, State] | None = None) -> Network:
    body = {"step": lambda self, p, s, x: step(p, s, x)}
    return Network.of(type("Odd_" + step.__name__, (Odd,), body | ({"state": lambda self: states} if states else {}))())


def rnn(p, s, x):
    return torch.tanh(p.U @ x.now + p.W @ s.h + p.b)


def features(p, s, x):
    u = -x.now + x.now / 2 + x.now**2 - (2 - x.now) * 3 / x.now.sum() + 1 / (2 + x.now) + abs(x.now)
    return {"h": torch.tanh(p.U @ u + p.W @ s.h + x.now[0] * x.now[-1] - x.grid.mean() + x.grid[1:, 0].sum() - x.now.mean(0, keepdim=True))}


def broadcasts(p, s, x):
    table = p.b[:, None] * s.h[None, :] + x.now[:, None].sum() + torch.ones(1, 3)
    return {"h": torch.tanh(table.sum(dim=-1) * p.g + table.mean((0,), keepdim=True)[0])}


def slices_with_steps(p, s, x):
    return {"h": torch.tanh(torch.cat([p.W[::2, 1:], p.W[:-2, :2]]) @ x.now + p.W[..., -1] + s.h[[2, 0, 1]])}


def negative_indices(p, s, x):
    return {"h": torch.tanh(torch.stack([s.h[-1], p.b[-2] * x.now[-1], p.W[-1, -3] * s.h[-3]]))}


def negative_axes(p, s, x):
    return {"h": torch.softmax(p.W * s.h, dim=-1).sum(-2) + torch.cat([p.U @ x.now, p.b], dim=-1).reshape(2, -1).prod(-2)}


def splits(p, s, x):
    a, b = torch.split(torch.cat([rnn(p, s, x), p.b]), [2, 4], -1)
    c, d = b.split(2)
    return {"h": torch.cat((a, c[:1])) * 0.5 + d.sum() * 0.1}


def chunks(p, s, x):
    a, b, c = rnn(p, s, x).chunk(3, dim=-1)
    return {"h": torch.cat([c, a * b, b], dim=-1)}


def unbinds(p, s, x):
    a, b, c = rnn(p, s, x).unbind(dim=-1)
    rows = [row.sum() for row in p.W]
    return {"h": torch.stack([a + rows[0], b * rows[1], c - rows[2]], dim=-1)}


def in_place_multiplication(p, s, x):
    h = rnn(p, s, x).clone()
    h = h * 1.5
    h.mul_(2).add_(p.b, alpha=0.5)
    return {"h": torch.tanh(h)}


def in_place_operators(p, s, x):
    h = p.U @ x.now
    h += p.W @ s.h
    h -= 0.1
    h *= p.g
    h /= 2.0
    return {"h": torch.tanh(h)}


def in_place_on_a_state(p, s, x):
    h = s.h
    h += p.U @ x.now
    return {"h": torch.tanh(s.h)}


def writes_to_elements(p, s, x):
    y = torch.zeros_like(s.h)
    y[0] = torch.tanh(x.now[0] * p.b[0])
    y[1:] = rnn(p, s, x)[1:]
    y[-1] += y[0]
    return {"h": y}


def writes_through_views(p, s, x):
    u = p.U @ x.now + p.W @ s.h
    table = torch.stack([u, p.b * u])
    row, flat = table[1], table.view(-1)
    flat[2:4] = p.g
    row.add_(1.0)
    table.t()[0].zero_()
    return {"h": torch.tanh(table.sum(0) + row)}


def fills(p, s, x):
    y = s.h.new_zeros(3)
    y.fill_(0.5)
    y[1:].copy_(p.b[:2])
    return {"h": torch.tanh(y * s.h + x.now.sum())}


def closures(p, s, x):
    def gate(W, *, bias=p.b, squash=torch.sigmoid):
        return squash(W @ s.h + bias + x.now.sum())

    return {"h": gate(p.W) * gate(W=2 * p.W, bias=-p.b, squash=partial(F.leaky_relu, negative_slope=0.2))}


def keyword_arguments(p, s, x):
    u = torch.add(input=p.b, other=s.h, alpha=2)
    return {"h": torch.clamp(input=torch.mul(u, other=x.now.sum()), min=-0.9, max=0.9) + torch.sum(input=p.W, dim=1)}


def functional(p, s, x):
    u = F.linear(x.now, p.U, p.b) + F.linear(s.h, weight=p.W)
    return {"h": F.softplus(u) * F.silu(u) - F.elu(u, alpha=0.7) + F.hardtanh(u) * F.logsigmoid(u) + F.softmax(u, dim=0)}


def matrix_products(p, s, x):
    return {"h": torch.tanh((p.W @ p.W.mT) @ s.h + torch.mm(p.W, p.U) @ x.now + (p.k @ p.U).sum())}


def transposed_weights(p, s, x):
    return {"h": torch.tanh(p.W.T @ s.h + p.W.t() @ p.b + p.W.transpose(0, 1)[:, :2] @ x.now + x.now @ p.U.T)}


def vector_products(p, s, x):
    u = torch.mv(p.W, s.h) + torch.matmul(p.U, x.now) + s.h @ p.W
    return {"h": torch.tanh(u * torch.dot(p.b, s.h) + torch.outer(p.b, x.now).sum(1) + torch.inner(s.h, p.b))}


def einsums(p, s, x):
    return {
        "h": torch.tanh(torch.einsum("ij,j->i", p.W, s.h) + torch.einsum("hi, i", p.U, x.now) + torch.einsum("i,j,i->j", p.b, s.h, p.b))
    }


def scalars(p, s, x):
    return {"h": torch.tanh(p.g * s.h + p.g.exp() * p.b - math.pi * p.g**2 + x.now.mean())}


def two_states(p, s, x):
    return {"c": 0.5 * s.c + torch.tanh(p.U @ x.now), "h": torch.tanh(s.c * p.b + s.h)}


def swapped_states(p, s, x):
    return {"h": s.c, "c": torch.tanh(p.W @ s.h + p.U @ x.now)}


def windows(p, s, x):
    return {"h": torch.tanh(p.b * s.h[-1] + s.h[0] * s.h[1:3].sum(0) + s.h.mean(0) + p.U @ x.now)}


def torch_constants(p, s, x):
    mask = torch.tensor([True, False, True])
    table = TABLE.to(s.h.dtype)
    return {"h": torch.where(mask, torch.tanh(table @ s.h + p.b), table[0] * x.now.sum()) + torch.tensor(0.1) * torch.arange(3)}


def numpy_constants(p, s, x):
    return {"h": torch.tanh(torch.from_numpy(SCALE) * s.h + np.float64(0.3) * p.b + p.b * np.pi + float(SCALE[0]) + p.U @ x.now)}


def conditions(p, s, x):
    u = rnn(p, s, x)
    return {"h": torch.where((u > 0) & (s.h <= u) | ~(p.b != 0), u, -u) + (u >= 0.1).float() * p.b + torch.maximum(u, p.b).minimum(s.h)}


def reshapes(p, s, x):
    u = (p.W * s.h).flatten().view(3, 3).permute(1, 0).unsqueeze(0).squeeze(0)[:, None].expand(3, 2, 3)
    return {"h": torch.tanh(u.flip(0).roll(1, 0).narrow(0, 0, 3).select(1, 0).movedim(0, 1).sum(1) + x.now.repeat(2)[:3])}


def reductions(p, s, x):
    return {"h": p.W.amax(1) + torch.logsumexp(p.W * s.h, dim=1) + p.W.prod(dim=0) * 0.1 + F.log_softmax(s.h, 0) * x.now.sum()}


def waves(p, s, x):
    u = p.U @ x.now + s.h
    return {"h": torch.sin(u) * torch.cos(p.b) + torch.log1p(u**2) - torch.expm1(-(u.abs())) + torch.rsqrt(1 + u**2) + 1 / (2 + u.square())}


def methods(p, s, x):
    return {"h": (p.W.matmul(s.h).sigmoid() + p.b.tanh().mul(p.g)).sub(x.now.sum(), alpha=0.1).clamp(max=0.8).pow(2).lerp(p.b, 0.3)}


def loops(p, s, x):
    total = 0
    for weight, value in zip(p.U, s.h, strict=True):
        total = total + (weight * x.now).sum() * value
    return {"h": torch.stack([torch.tanh(total + b * len(p.b)) for b in p.b])}


TWO = {"h": State(H), "c": State(H, initial=0.5)}
STATES = {"two_states": TWO, "swapped_states": TWO, "windows": {"h": State(H, lags=4)}}
STEPS = [
    features, broadcasts, slices_with_steps, negative_indices, negative_axes, splits, chunks, unbinds, in_place_multiplication,
    in_place_operators, in_place_on_a_state, writes_to_elements, writes_through_views, fills, closures, keyword_arguments, functional,
    matrix_products, transposed_weights, vector_products, einsums, scalars, two_states, swapped_states, windows, torch_constants,
    numpy_constants, conditions, reshapes, reductions, waves, methods, loops,
]  # fmt: skip


def task(T: int = 7) -> Task:
    x = np.random.default_rng(T).uniform(0.1, 1, (T + 1, I))
    return forecast(x[:-1], x[1:, :1], T - 2, 1)


def agree(cell: Network, dtype: str, close: float) -> None:
    fast, slow = Fused(cell, task(), Protocol(), dtype=dtype), Torch(cell, task(), Protocol(), dtype=torch.float64)
    params = np.stack([cell.initial(seed) for seed in range(17)]).astype(dtype)
    true = *slow.gradient(params), outputs(slow, params)
    for mine, theirs in zip((*fast.gradient(params), outputs(fast, params)), true, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=close, atol=close * max(1.0, np.abs(theirs).max()))


# A kernel each, of seconds to compile: every third is checked each time.
SOME = [pytest.param(step, id=step.__name__, marks=[pytest.mark.long] if i % 3 else []) for i, step in enumerate(STEPS)]


@pytest.mark.parametrize("step", SOME)
def test_an_odd_step_runs_fused_and_equals_the_torch_engine(step: Callable, caplog: pytest.LogCaptureFixture) -> None:
    cell = odd(step, STATES.get(step.__name__))
    assert choose("auto", cell, task(), Protocol()).name == "cpu", caplog.text
    agree(cell, "float64", 1e-9)


@pytest.mark.long
@pytest.mark.parametrize("step", [features, writes_through_views, functional, conditions, waves], ids=lambda step: step.__name__)
def test_an_odd_step_in_float32(step: Callable) -> None:
    agree(odd(step), "float32", 1e-4)


def unknown_operation(p, s, x):
    return {"h": torch.lgamma(rnn(p, s, x))}


def without_gradient(p, s, x):
    with torch.no_grad():
        scale = p.b.abs()
    return {"h": rnn(p, s, x) * scale}


def computed_index(p, s, x):
    return {"h": torch.take_along_dim(rnn(p, s, x), torch.argsort(p.b), 0)}


def write_through_detached(p, s, x):
    u = (p.U @ x.now) * 1.0
    u.detach().mul_(2.0)
    return {"h": torch.tanh(u + s.h)}


def another_precision(p, s, x):
    return {"h": torch.tanh(rnn(p, s, x).double() * 3).float()}


def linear_algebra(p, s, x):
    return {"h": torch.tanh(torch.linalg.solve(p.W + 3 * torch.eye(3), s.h) + x.now.sum())}


REFUSED = {
    unknown_operation: "'lgamma'", without_gradient: "no_grad", computed_index: "argsort",
    write_through_detached: "in place", another_precision: "precision", linear_algebra: "solve",
}  # fmt: skip


@pytest.mark.parametrize("step", REFUSED, ids=lambda step: step.__name__)
def test_the_log_says_why_a_step_is_not_fused_and_where(step: Callable, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        engine = choose("auto", odd(step), task(), Protocol())
    assert engine.name == "torch"
    assert REFUSED[step] in caplog.text
    assert "test_odd_steps.py:" in caplog.text
    assert engine.why.count("\n") == 0
    assert np.isfinite(engine.predict(np.stack([engine.network.initial(0)])).outputs).all()


def branch_on_the_input(p, s, x):
    return {"h": rnn(p, s, x) if x.now[0] > 0.5 else 0.5 * s.h}


def test_a_branch_on_the_input_is_one_line_as_no_engine_can_follow_it() -> None:
    with pytest.raises(UserError, match="branches on the value of a tensor"):
        choose("auto", odd(branch_on_the_input), task(), Protocol())
