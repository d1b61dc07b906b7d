"""The penalty for rough free filters: its gradient, that every engine trains it, and that nothing else changes."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch

from ltm import cells
from ltm.data.base import Sequences, Task
from ltm.engine import PackState, Protocol
from ltm.engine.fused import Fused
from ltm.engine.torch import Torch
from ltm.training.losses import roughness_gradient, smooth_filters
from ltm.training.pack import Training
from ltm.training.state import SETTINGS, Lane
from sweeps import config, plan
from sweeps.condition import Condition
from tests.ltm.engine.series import series

LANES = [
    Lane(0, 0.05),
    Lane(1, 0.05, smoothness=0.3),
    Lane(2, 0.02, smoothness=2.0, clip=0.1),
    Lane(3, 0.05, smoothness=0.1, clip_value=0.02),
]


def batches(T: int = 9) -> Task:
    draw = np.random.default_rng(0)
    part = Sequences(draw.normal(size=(21, T, 2)), draw.normal(size=(21, T, 1)), draw.uniform(0.5, 2.0, (21, T)))
    return Task("drawn", part, part, part)


def network_of(model: dict[str, Any], task: Task) -> cells.Network:
    return cells.build({"K": 7, "hidden_size": 3} | model, task)


def roughness(a: torch.Tensor) -> torch.Tensor:
    return sum(((a[k - 1] - 2 * a[k] + a[k + 1]) ** 2).sum() for k in range(1, len(a) - 1))


def test_the_gradient_is_that_of_squared_second_differences() -> None:
    network = network_of({"cell": "mrnn", "decay": "free"}, series(20, 2))
    filters = smooth_filters(network.parameters())
    assert len(filters) == 1
    flat = torch.tensor(np.stack([network.initial(seed) for seed in range(3)]), dtype=torch.float64, requires_grad=True)
    total = sum(roughness(network.unflatten(one)["a"]) for one in flat)
    (expected,) = torch.autograd.grad(total, flat)
    torch.testing.assert_close(roughness_gradient(flat.detach(), filters), expected, rtol=0, atol=1e-12)
    assert (expected != 0).sum() == 3 * 14


def test_weights_on_a_line_cost_nothing_and_other_parameters_never_do() -> None:
    network = network_of({"cell": "rnn2"}, series(20, 2))
    flat = torch.tensor(network.initial(0), dtype=torch.float64)
    network.unflatten(flat)["a"][:] = 0.3 * torch.arange(7, dtype=torch.float64)[:, None] - 1.0
    assert roughness_gradient(flat[None], smooth_filters(network.parameters())).abs().max() < 1e-14
    for model in ({"cell": "mrnn", "K": 7}, {"cell": "lstm"}, {"cell": "rnn2", "K": 2}):
        assert smooth_filters(cells.build(model, series(20)).parameters()) == ()


def test_an_update_follows_the_gradient_of_the_loss_and_its_penalty_clipped_together() -> None:
    task = batches()
    network = network_of({"cell": "filtered", "decay": "free"}, task)
    run = Torch(network, task, Protocol(optimizer="sgd", order="fixed"), range(4), torch.float64)
    params = np.stack([network.initial(seed) for seed in range(4)]).astype(float)
    state = PackState.start(params, LANES, "sgd")
    run.train(state, np.arange(4), 0, 1, 1.0)
    _, gradient = run.gradient_of(params)
    whole = (
        gradient
        + np.array([[lane.smoothness] for lane in LANES])
        * roughness_gradient(torch.tensor(params), smooth_filters(network.parameters())).numpy()
    )
    whole[2] *= 0.1 / np.linalg.norm(whole[2])
    whole[3] = np.clip(whole[3], -0.02, 0.02)
    np.testing.assert_allclose(params - state.params, np.array([[lane.lr] for lane in LANES]) * whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("model", "batch"),
    [
        ({"cell": "rnn2"}, None),
        pytest.param({"cell": "rnn2", "hidden_size": 17}, None, marks=pytest.mark.long),  # a vector is units
        ({"cell": "filtered", "cells": ["filtered", "feedforward"], "decay": "free"}, 4),
        pytest.param({"cell": "mrnnf", "decay": "free"}, 16, marks=pytest.mark.long),  # or entries of a batch
        pytest.param({"cell": "mrnn", "decay": "free", "hidden_size": 17}, 4, marks=pytest.mark.long),
    ],
    ids=str,
)
def test_kernels_train_it_as_the_torch_engine_does(model: dict[str, Any], batch: int | None) -> None:
    task = batches() if batch else series(30, 2)
    network = network_of(model, task)
    protocol = Protocol(max_epochs=4, batch=batch or 0, optimizer="sgd")
    params = np.stack([network.initial(seed) for seed in range(4)]).astype(float)
    fast = Fused(network, task, protocol, range(4), dtype="float64")
    slow = Torch(network, task, protocol, range(4), torch.float64)
    mine, true = PackState.start(params, LANES, "sgd"), PackState.start(params, LANES, "sgd")
    curves = [np.stack(run.advance(state, 4 * run.feed.updates)) for run, state in ((fast, mine), (slow, true))]
    np.testing.assert_allclose(mine.params, true.params, rtol=0, atol=1e-9)
    np.testing.assert_allclose(*curves, rtol=1e-6)  # they are kept in float32
    without = PackState.start(params, [Lane(lane.seed, lane.lr, clip=lane.clip, clip_value=lane.clip_value) for lane in LANES], "sgd")
    slow.advance(without, 4 * slow.feed.updates)
    np.testing.assert_array_equal(without.params[0], true.params[0])
    assert (without.params[1:] != true.params[1:]).any(1).all()


def test_a_checkpoint_of_fewer_settings_is_gone_on_from_with_those_of_the_pack() -> None:
    task = series(20, 2)
    network, protocol = network_of({"cell": "rnn2"}, task), Protocol(max_epochs=6)
    one, other = (Training(network, task, [Lane(0, 0.05, smoothness=1.0)], protocol, "torch") for _ in range(2))
    one.advance(3)
    saved = dict(np.load(io.BytesIO(one.checkpoint())))
    saved["settings"] = saved["settings"][:, : SETTINGS.index("smoothness")]
    buffer = io.BytesIO()
    np.savez(buffer, **saved)
    other.restore(buffer.getvalue())
    one.advance(3)
    other.advance(3)
    np.testing.assert_array_equal(one.state.params, other.state.params)


def test_no_id_changes_until_it_is_asked_for() -> None:
    def condition(*words: str) -> Condition:
        (found,) = plan.make(config.compose(["model=rnn2", "seeds=1", *words])).conditions
        return found

    assert condition().id == condition("training.smoothness=0.0").id
    assert len({condition(f"training.smoothness={one}").id for one in (0.0, 0.1, 0.2)}) == 3
    assert condition("training.smoothness=0.1").shape == condition().shape, "one pack may hold several"
