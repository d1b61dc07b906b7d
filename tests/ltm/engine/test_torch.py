"""The torch engine against torch's own modules, against numbers by hand and against itself: padding, directions, symbols, masks, chunks, devices."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ltm import cells, filters
from ltm.cells import MRNN, Network, Readout
from ltm.cells.lstm import LSTM
from ltm.data.base import Sequences, Task, forecast, generator
from ltm.engine import choose
from ltm.engine.devices import lanes_of
from ltm.engine.torch import Torch
from ltm.errors import UserError
from ltm.training.masks import masks
from ltm.training.optimizers import OPTIMIZERS
from ltm.training.state import Lane, PackState, Protocol

N, T, I, H, O = 10, 7, 2, 3, 3
LENGTHS = np.array([7, 1, 4, 6, 2, 7, 3, 5, 4, 2])
DOUBLE = torch.float64


def sequences(classes: bool, labelled: bool) -> Sequences:
    """Of several lengths; what follows them is padding, of odd values that nobody may read."""
    draw = generator(4)
    inside = np.arange(T) < LENGTHS[:, None]
    weight = (np.arange(T) == LENGTHS[:, None] - 1).astype(float) if labelled else inside * draw.uniform(0.5, 2.0, (N, T))
    targets = draw.integers(0, O, (N, T)) if classes else draw.normal(size=(N, T, O))
    return Sequences(np.where(inside[..., None], draw.normal(size=(N, T, I)), 50.0), targets, weight)


def task(classes: bool = True, labelled: bool = True, **more: Any) -> Task:
    part = sequences(classes, labelled)
    loss = "cross_entropy" if classes else "squared"
    return Task("padded", part, part, part, loss, ("accuracy",), classes=O if classes else 0, labelled=labelled, **more)


def engine(given: Task, model: dict[str, Any] | None = None, protocol: Protocol | None = None, **more: Any) -> Torch:
    network = cells.build({"cell": "lstm", "hidden_size": H} | (model or {}), given)
    return Torch(network, given, protocol or Protocol(batch=4, order="fixed"), (3, 1, 2), **{"dtype": DOUBLE, **more})


def draws(network: Network, lanes: int = 3) -> np.ndarray:
    return np.stack([network.initial(seed) for seed in range(lanes)]).astype(float)


def module(network: Network, flat: torch.Tensor, both: bool) -> tuple[torch.nn.LSTM, dict[str, torch.Tensor]]:
    """``torch.nn.LSTM`` with the parameters of a network."""
    p, peer = network.unflatten(flat), torch.nn.LSTM(I, H, batch_first=True, bidirectional=both).double()
    own = {name: value.clone() for name, value in peer.state_dict().items()}
    for name in own:
        kind, way = name.split("_l0")[0], "0_back." if name.endswith("reverse") else "0." if both else ""
        own[name] = p[way + {"weight": "W", "bias": "b"}[kind.split("_")[0]] + "_" + kind.split("_")[1]]
    return peer, own


@pytest.mark.parametrize("labelled", [True, False], ids=["labelled", "every"])
@pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
def test_padded_sequences_are_those_of_packed_ones_in_pytorch(both: bool, labelled: bool) -> None:
    """Loss, gradient, validation and outputs of a batch of several lengths."""
    run = engine(task(labelled=labelled), {"bidirectional": both}, Protocol(batch=N, order="fixed"))
    params = draws(run.network)
    losses, gradients = run.gradient_of(params)
    data = run.task.train
    for lane, flat in enumerate(params):
        leaf = torch.tensor(flat, requires_grad=True)
        peer, own = module(run.network, leaf, both)
        packed = pack_padded_sequence(torch.tensor(data.inputs), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
        packed, (h, _) = torch.func.functional_call(peer, own, (packed,))
        out = torch.cat(list(h), 1)[:, None] if labelled else pad_packed_sequence(packed, batch_first=True)[0]
        p = run.network.unflatten(leaf)
        y = out @ (torch.cat([p["V_h"], p["V_h_back"]], 1) if both else p["V"]).T + p["c"]
        wanted = torch.tensor(data.targets[np.arange(N), LENGTHS - 1][:, None] if labelled else data.targets)
        each = torch.nn.functional.cross_entropy(y.flatten(0, 1), wanted.flatten(), reduction="none").reshape(wanted.shape)
        weight = torch.ones(N, 1) if labelled else torch.tensor(data.weight)
        loss = (each * weight).sum() / weight.sum()
        loss.backward()
        np.testing.assert_allclose(losses[lane], float(loss.detach()), rtol=0, atol=1e-12)
        np.testing.assert_allclose(gradients[lane], leaf.grad.numpy(), rtol=0, atol=1e-12)
        np.testing.assert_allclose(run.validate(params, np.arange(3))[lane], float(loss.detach()), rtol=0, atol=1e-12)
        shown = y.detach().numpy()[:, 0] if labelled else y.detach().numpy()[data.weight > 0]
        np.testing.assert_allclose(run.predict(params).outputs[lane], shown, rtol=0, atol=1e-12)


def test_gradients_are_the_slopes_of_the_loss() -> None:
    model = {"cell": None, "cells": ["lstm", "mist", "rwa"], "layer_norm": True, "delays": 2}
    run = engine(task(classes=False, labelled=False), model, Protocol(batch=4))
    params, move = draws(run.network, 1), generator(1).normal(size=run.network.size)
    step = 1e-5 * move / np.linalg.norm(move)
    (up,), (down,), gradient = run.gradient_of(params + step)[0], run.gradient_of(params - step)[0], run.gradient_of(params)[1][0]
    assert (up - down) / 2 == pytest.approx(gradient @ step, rel=1e-6)


def test_a_series_is_carried_on_from_part_to_part() -> None:
    x = generator(2).normal(size=(40, 2))
    series = forecast(x[:-1], x[1:, :1], 20, 10)
    network = cells.build({"cell": "mrnn", "hidden_size": 2, "K": 5}, series)
    run = Torch(network, series, Protocol(), (0, 1, 2), dtype=DOUBLE)
    params = draws(network)
    train, validation, gradient = run.gradient(params)
    whole = np.concatenate([run.predict(params, part=part).outputs for part in range(3)], 1)
    error = (whole[..., 0] - x[1:, 0]) ** 2
    np.testing.assert_allclose(train, error[:, :20].mean(1), rtol=1e-12)
    np.testing.assert_allclose(validation, error[:, 20:30].mean(1), rtol=1e-12)
    np.testing.assert_allclose(run.validate(params, np.arange(3)), validation, rtol=1e-12)
    loss, same = run.gradient_of(params)
    np.testing.assert_allclose(loss, train, rtol=1e-12)
    np.testing.assert_allclose(same, gradient, rtol=0, atol=1e-14)
    assert run.predict(params).d.shape == (3, 9, 2)


def test_a_series_is_judged_before_its_parameters_move() -> None:
    x = generator(2).normal(size=(31, 1))
    run = Torch(
        cells.build({"cell": "rnn"}, forecast(x[:-1], x[1:], 20, 5)), forecast(x[:-1], x[1:], 20, 5), Protocol(max_epochs=3), dtype=DOUBLE
    )
    params, lanes = draws(run.network, 2), [Lane(0, lr=0.1, clip=0.01), Lane(1, lr=0.02, weight_decay=0.1)]
    state = PackState.start(params, lanes)
    curves = run.advance(state, 10)
    expected = params.copy()
    m, v = np.zeros_like(params), np.zeros_like(params)
    for epoch in range(1, 4):
        train, validation, gradient = run.gradient(expected)
        np.testing.assert_allclose(curves[0][:, epoch - 1], train, rtol=1e-6)
        np.testing.assert_allclose(curves[1][:, epoch - 1], validation, rtol=1e-6)
        if epoch < 3:  # a lane that is done stays where it was measured
            gradient[0] *= min(1.0, 0.01 / np.linalg.norm(gradient[0]))
            gradient[1] += 0.1 * expected[1]
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            expected -= np.array([[0.1], [0.02]]) / (1 - 0.9**epoch) * m / (np.sqrt(v / (1 - 0.999**epoch)) + 1e-8)
    np.testing.assert_allclose(state.params, expected, rtol=0, atol=1e-10)
    assert curves[0].shape == (2, 3)


def test_a_cell_that_reads_backwards_has_the_features_of_the_sequence_turned_round() -> None:
    part = sequences(False, True)
    turned = Sequences(
        np.stack([np.concatenate([x[:n][::-1], x[n:]]) for x, n in zip(part.inputs, LENGTHS, strict=True)]), part.targets, part.weight
    )
    cell = MRNN(hidden_size=H, input_size=I, K=3)
    given = task(classes=False)
    both = Torch(Network(((cell, cell),), Readout.of(cell, O, cell)), given, Protocol(), (0,), dtype=DOUBLE)
    one = Torch(Network.of(cell, O), replace(given, test=turned), Protocol(), (0,), dtype=DOUBLE)
    params = draws(both.network, 1)
    p = {name: value.clone() for name, value in both.network.unflatten(torch.tensor(params)).items()}
    for name in ("V_h", "V_m"):
        p[name].zero_()
    flat = torch.cat([value.flatten(1) for value in p.values()], 1).numpy()
    back = {name.removeprefix("0_back."): value for name, value in p.items()} | {"V_h": p["V_h_back"], "V_m": p["V_m_back"]}
    alone = torch.cat([back[name].flatten(1) for name in one.network.parameters()], 1).numpy()
    np.testing.assert_allclose(both.predict(flat).outputs, one.predict(alone).outputs, rtol=0, atol=1e-12)
    assert filters.BASIS_TERMS > 3


def test_symbols_are_looked_up() -> None:
    """As one-hot vectors under a linear map without bias."""
    symbols = generator(7).integers(0, 5, (N, T))
    given = task()
    looked = replace(
        given,
        symbols=5,
        **{name: Sequences(symbols, getattr(given, name).targets, given.train.weight) for name in ("train", "validation", "test")},
    )
    hot = replace(
        given,
        **{
            name: Sequences(np.eye(5)[symbols], getattr(given, name).targets, given.train.weight)
            for name in ("train", "validation", "test")
        },
    )
    mine, theirs = engine(looked, {"embedding": 4}), engine(hot, {"input_map": 4})
    params = draws(mine.network)
    p = mine.network.unflatten(torch.tensor(params))
    other = {
        "0.W": p["E"].mT,
        "0.b": torch.zeros(3, 4),
        **{("1." + n.removeprefix("0.") if n.startswith("0.") else n): value for n, value in p.items()},
    }
    flat = torch.cat([other[name].flatten(1) for name in theirs.network.parameters()], 1).numpy()
    (loss, gradient), (same, expected) = mine.gradient_of(params), theirs.gradient_of(flat)
    np.testing.assert_allclose(loss, same, rtol=1e-12)
    table = theirs.network.unflatten(torch.tensor(expected))["0.W"].mT
    np.testing.assert_allclose(mine.network.unflatten(torch.tensor(gradient))["E"], table, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["nonrecurrent", "variational"])
def test_units_are_dropped_by_the_masks_of_seed_update_place_and_layer(kind: str) -> None:
    run = engine(task(), {"dropout": kind}, Protocol(batch=4, order="fixed"))
    params, rates = draws(run.network), np.array([0.5, 0.0, 0.2])
    losses, _ = run.gradient_of(params, epoch=2, update=1, dropout=rates)
    data, n = run.task.train.take(slice(4, 8)), 2 * 3 + 1 + 1
    for lane, flat in enumerate(params):
        p = run.network.unflatten(torch.tensor(flat))
        states, _ = torch.func.functional_call(
            torch.nn.LSTM(I, H, batch_first=True).double(),
            {f"{kind}_{way}_l0": p[f"0.{name}_{way}"] for kind, name in (("weight", "W"), ("bias", "b")) for way in ("ih", "hh")},
            (torch.tensor(data.inputs),),
        )
        steps = np.arange(T) if kind == "nonrecurrent" else np.arange(1)
        drawn = masks((3, 1, 2)[lane], n, 1, np.arange(4), steps, H, rates[lane])
        last = (states * torch.tensor(drawn))[np.arange(4), data.lengths - 1]
        y, wanted = last @ p["V"].T + p["c"], torch.tensor(data.targets[np.arange(4), data.lengths - 1])
        assert losses[lane] == pytest.approx(float(torch.nn.functional.cross_entropy(y, wanted)), rel=1e-12)
    quiet = engine(task(), {"dropout": "none"}, Protocol(batch=4, order="fixed"))
    np.testing.assert_allclose(run.validate(params, np.arange(3)), quiet.validate(params, np.arange(3)), rtol=1e-12)


@pytest.mark.parametrize("labelled", [True, False], ids=["labelled", "every"])
def test_little_memory_gives_the_same_numbers_in_smaller_pieces(labelled: bool) -> None:
    plain = engine(task(labelled=labelled), {"dropout": "nonrecurrent"}, Protocol(batch=8))
    small = engine(task(labelled=labelled), {"dropout": "nonrecurrent"}, Protocol(batch=8), memory=plain._kept_a_step[0] * T / 3)
    assert plain.sizes[1] == 8
    assert small.sizes == (1, 2)
    params, rates = draws(plain.network), np.full(3, 0.3)
    for mine, theirs in zip(small.gradient_of(params, dropout=rates), plain.gradient_of(params, dropout=rates), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12)


def test_memory_is_estimated_by_the_steps_of_the_longest_sequence() -> None:
    kept = [engine(task(), {"hidden_size": hidden})._kept_a_step[0] for hidden in (2, 20)]
    assert 8 * 4 * 2 * 5 < kept[0] < 8 * 4 * 2 * 100, "some tensors of a state's size for each of four sequences"
    assert kept[1] > 5 * kept[0]
    network = cells.build({"cell": "lstm", "hidden_size": 2}, task())
    assert [lanes_of(network, batch, torch.device("cpu")) for batch in (1, 16, 1000)] == [128, 64, 1]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_settings_belong_to_their_lane(optimizer: str) -> None:
    protocol = Protocol(batch=4, optimizer=optimizer, max_epochs=2)
    run = engine(task(), protocol=protocol)
    lanes = [Lane(3, 0.1, 0.0, 0.05), Lane(1, 0.01, 0.1, 0.0, 0.01), Lane(2, 0.03, momentum=0.5)]
    params = draws(run.network)
    state = PackState.start(params, lanes, optimizer)
    curves = run.advance(state, 100)
    for i, lane in enumerate(lanes):
        alone = Torch(run.network, run.task, protocol, (lane.seed,), dtype=DOUBLE)
        mine = PackState.start(params[i : i + 1], [lane], optimizer)
        np.testing.assert_array_equal(np.stack(alone.advance(mine, 100))[:, 0], np.stack(curves)[:, i])
        np.testing.assert_array_equal(mine.params[0], state.params[i])
        np.testing.assert_array_equal(mine.slots[0], state.slots[i])


def test_gradients_are_clipped_by_norm_then_by_value() -> None:
    run = engine(task(), protocol=Protocol(batch=10, optimizer="sgd", order="fixed"))
    params = draws(run.network)
    gradient = run.gradient_of(params)[1]
    state = PackState.start(params, [Lane(3, 1.0), Lane(1, 1.0, clip=0.05), Lane(2, 1.0, clip=0.05, clip_value=0.01)], "sgd")
    run.train(state, np.arange(3), 0, 1, 0.5)
    expected = gradient * np.array([[1.0], *(0.05 / np.linalg.norm(gradient[1:], axis=1))[:, None]])
    expected[2] = np.clip(expected[2], -0.01, 0.01)
    np.testing.assert_allclose(params - state.params, 0.5 * expected, rtol=0, atol=1e-12)


def test_what_network_and_task_cannot_do_together_is_one_line() -> None:
    x = np.zeros((9, 1))
    series, padded = forecast(x, x, 4, 2), task()
    rnn = cells.build({"cell": "rnn"}, series)
    both = Network(((LSTM(2), LSTM(2)),), Readout.of(LSTM(2), 1, LSTM(2)))
    for network, given, message in (
        (both, series, "bidirectional is true, and 'series' is a series.*expected false"),
        (rnn, padded, "the network reads 1 inputs, and task 'padded' has 2; expected equal numbers"),
        (cells.build({"cell": "rnn", "readout": "mean"}, padded), task(labelled=False), "readout is mean.*has a target at every step"),
    ):
        with pytest.raises(UserError, match=message):
            choose("torch", network, given, Protocol())
    with pytest.raises(UserError, match="unknown engine 'reference'.*There are: auto, cpu, cuda, torch"):
        choose("reference", rnn, series, Protocol())
    with pytest.raises(UserError, match="device is 'tpu7'; expected cpu, cuda, or cuda:N"):
        choose("torch", rnn, series, Protocol(), device="tpu7")


def test_a_cell_that_reads_more_than_the_present_step_is_no_layer_above_others() -> None:
    for more, below in ({"symbols": 5}, "the symbols"), ({"layers": 2}, "layer 0"):
        given = task(symbols=more.get("symbols", 0))
        with pytest.raises(UserError, match=f"MRNN reads more of its input than the present step.*expected another cell above {below}"):
            cells.build({"cell": "mrnn", "layers": more.get("layers", 1)}, given)


def test_a_step_that_cannot_be_derived_trains_batches_and_says_how_long_it_takes(caplog: pytest.LogCaptureFixture) -> None:
    class Odd(LSTM):
        def step(self, p, s, x):
            return {name: torch.lgamma(value.exp()) for name, value in super().step(p, s, x).items()}

    with caplog.at_level(logging.INFO):
        run = choose("auto", Network.of(Odd(2, I), O), task(), Protocol(batch=4, max_epochs=1), (0,))
    assert run.name == "torch"
    assert re.search(r"Using the slow torch engine: Odd: the step cannot be derived.* s an epoch of up to 128 seeds", caplog.text)
    state = PackState.start(np.stack([run.network.initial(0)]), [Lane(0)])
    assert np.isfinite(run.advance(state, 9)).all()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_line() -> None:
    with pytest.raises(UserError, match="device=cuda finds no such NVIDIA GPU in this process, which sees 0"):
        engine(task(), device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("labelled", [True, False], ids=["labelled", "every"])
def test_a_gpu_agrees_with_the_cpu_and_repeats_itself(labelled: bool) -> None:
    model, protocol = {"layers": 2, "bidirectional": True, "dropout": "nonrecurrent"}, Protocol(batch=4, max_epochs=3)
    runs = [engine(task(labelled=labelled), model, protocol, device=device, dtype=torch.float32) for device in ("cpu", "cuda", "cuda")]
    states, params = [], draws(runs[0].network).astype(np.float32)
    for run in runs:
        states.append(PackState.start(params, [Lane(seed, dropout=0.2) for seed in (3, 1, 2)]))
        run.advance(states[-1], 100)
    np.testing.assert_allclose(states[1].params, states[0].params, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(states[1].params, states[2].params)
    np.testing.assert_array_equal(runs[1].predict(params).outputs, runs[2].predict(params).outputs)
