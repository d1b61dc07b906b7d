"""Every cell against an independent source: torch.nn where it has the cell, else a plain transcription of its equations."""

import dataclasses
import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from ltm import cells
from ltm.cells import CELLS
from ltm.cells.peephole import VARIANTS
from ltm.engine import PackState, Protocol
from ltm.engine.torch import Torch
from ltm.engine.unroll import tops, unroll
from ltm.errors import UserError
from ltm.training.optimizers import OPTIMIZERS
from ltm.training.state import Lane
from tests.ltm.engine.series import OF_SERIES, series

spec = importlib.util.spec_from_file_location("transcriptions", Path(__file__).with_name("transcriptions.py"))
transcriptions = importlib.util.module_from_spec(spec)
spec.loader.exec_module(transcriptions)

BOUNDED = [name for name in OF_SERIES if CELLS[name].initial is cells.Cell.initial]
"""Cells all of whose parameters are drawn within their bounds."""

WITH_K = [name for name, cell in CELLS.items() if "K" in {f.name for f in dataclasses.fields(cell)}]


def make(name: str, hidden: int, inputs: int, K: int | None = None) -> cells.Network:
    return cells.build({"cell": name, "hidden_size": hidden, **({"K": K} if K and name in WITH_K else {})}, series(300, inputs))


def run(network: cells.Network, flat: torch.Tensor, x: np.ndarray) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Outputs ``(T, O)`` and states ``(T, size)`` of one cell over one sequence."""
    p, read = network.unflatten(flat), {name: torch.tensor(value.copy()) for name, value in network.features(x).items()}
    given = {"x": {"": read}, "mask": {}}
    (steps,) = found = unroll(network, p, given)
    outputs = torch.stack([network.read(p, top) for top in tops(network, found, given, range(len(x)))])
    return outputs, {name: torch.stack([new[name] for new in steps]) for name in steps[0]}


@pytest.mark.parametrize("inputs", [pytest.param(1, marks=pytest.mark.long), 2])
@pytest.mark.parametrize("hidden", [pytest.param(1, marks=pytest.mark.long), 3])
@pytest.mark.parametrize(
    ("name", "K"),
    [
        *(pytest.param(name, K, marks=[] if K == 25 else pytest.mark.long) for name in WITH_K for K in (1, 2, 25, 100)),
        *((name, None) for name in OF_SERIES if name not in WITH_K),
    ],
)
def test_cell_equals_its_equations_over_300_steps(name: str, K: int | None, hidden: int, inputs: int) -> None:
    network = make(name, hidden, inputs, K)
    x = np.random.default_rng(0).uniform(0, 1, (300, inputs))
    flat = torch.tensor(network.initial(7), dtype=torch.float64)
    outputs, _ = run(network, flat, x)
    p = {key: value.numpy() for key, value in network.unflatten(flat).items()}
    expected = transcriptions.run(name, p, x, K, hidden)
    assert np.abs(outputs.numpy() - expected).max() < 1e-5


@pytest.mark.parametrize(("name", "peer"), [("rnn", torch.nn.RNN), ("gru", torch.nn.GRU), ("lstm", torch.nn.LSTM)])
@pytest.mark.parametrize(("hidden", "inputs"), [(1, 1), (5, 2)])
def test_rnn_gru_and_lstm_equal_torch_nn(name: str, peer: type[torch.nn.RNNBase], hidden: int, inputs: int) -> None:
    network = make(name, hidden, inputs)
    flat = torch.tensor(network.initial(3))
    p = network.unflatten(flat)
    module = peer(inputs, hidden)
    with torch.no_grad():
        for mine, theirs in zip(
            ("W_ih", "W_hh", "b_ih", "b_hh"), ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), strict=True
        ):
            getattr(module, theirs).copy_(p[mine])
        x = torch.randn(60, inputs, generator=torch.Generator().manual_seed(0))
        hidden_states, _ = module(x)
        _, states = run(network, flat, x.numpy())
    torch.testing.assert_close(states["h"], hidden_states, rtol=0, atol=1e-6)


OPTIONS = [
    *({"cell": "peephole", "variant": variant} for variant in (*VARIANTS, "CIFG+FGR")),
    {"cell": "gru", "reset": "before"},
    {"cell": "lstm1997", "block_size": 2},
    {"cell": "lstm1997", "block_size": 2, "gate_recurrence": True},
    {"cell": "lstm1997", "direct": True},
    {"cell": "slstm", "heads": 2},
    {"cell": "slstm", "heads": 4, "forget_gate": "exp"},
    {"cell": "matrixlstm", "heads": 2},
    {"cell": "matrixlstm", "forget_gate": "exp"},
    {"cell": "attention", "heads": 2, "window": 5},
    {"cell": "attention", "window": 1},
    {"cell": "esn", "leak": 0.3},
    {"cell": "convlstm", "rows": 2, "columns": 3, "kernel": 3},
    {"cell": "convlstm", "rows": 3, "columns": 2, "kernel": 1},
    {"cell": "feedforward", "activation": "relu"},
    {"cell": "feedforward", "activation": "identity"},
    *({"cell": "mrnn", "decay": decay, "K": 12} for decay in ("exponential", "power", "tempered", "gegenbauer", "free")),
    *({"cell": "mlstm", "decay": decay, "K": 12} for decay in ("exponential", "power", "tempered", "gegenbauer")),
    {"cell": "mrnnf", "decay": "gegenbauer", "K": 5},
    {"cell": "filtered", "decay": "tempered", "K": 12},
    {"cell": "mlstmf", "decay": "exponential", "K": 5},
]


@pytest.mark.parametrize("model", OPTIONS, ids=lambda model: "-".join(map(str, model.values())))
def test_options_of_cells_equal_their_equations_over_100_steps_and_pass_gradcheck(model: dict) -> None:
    options = {key: value for key, value in model.items() if key not in ("cell", "K")}
    hidden, inputs = (12, 6) if model["cell"] == "convlstm" else (4, 2)
    network = cells.build(model | {"hidden_size": hidden}, series(100, inputs))
    x = np.random.default_rng(2).uniform(-1, 1, (100, inputs))
    flat = torch.tensor(network.initial(7), dtype=torch.float64, requires_grad=True)
    p = {key: value.detach().numpy() for key, value in network.unflatten(flat).items()}
    expected = transcriptions.run(model["cell"], p, x, model.get("K"), hidden, **options)
    assert np.abs(run(network, flat, x)[0].detach().numpy() - expected).max() < 1e-5
    if model["cell"] != "esn":
        assert torch.autograd.gradcheck(lambda q: run(network, q, x[:6])[0], (flat,))


@pytest.mark.parametrize(("inputs", "cells_", "outputs", "weights"), [(2, 4, 1, 93), (8, 4, 4, 156), (8, 6, 8, 308)])
def test_networks_of_1997_have_the_numbers_of_weights_that_the_paper_prints(inputs: int, cells_: int, outputs: int, weights: int) -> None:
    cell = CELLS["lstm1997"](input_size=inputs, hidden_size=cells_, block_size=2, gate_recurrence=True)
    own = sum(math.prod(parameter.shape) for parameter in cell.parameters().values())
    assert own + outputs * (cells_ + 1) == weights  # adding, temporal order with two and with three blocks


@pytest.mark.parametrize("gates", [False, True])
def test_the_truncated_gradient_is_that_of_net_inputs_in_which_the_past_is_held(gates: bool) -> None:
    x = np.random.default_rng(3).uniform(-1, 1, (12, 2))
    networks = {
        truncated: cells.build(
            {"cell": "lstm1997", "hidden_size": 4, "block_size": 2, "truncated": truncated, "gate_recurrence": gates}, series(12, 2)
        )
        for truncated in (False, True)
    }
    flat = torch.tensor(networks[True].initial(7), dtype=torch.float64, requires_grad=True)
    (whole, _), (outputs, states) = (run(networks[truncated], flat, x) for truncated in (False, True))
    torch.testing.assert_close(outputs, whole)
    (gradient,) = torch.autograd.grad(outputs.sum(), flat)
    read = np.concatenate([states[name].detach().numpy() for name in (("h", "i", "o") if gates else ("h",))], 1)
    past = np.concatenate([np.zeros((1, read.shape[1])), read])

    def held(q: np.ndarray) -> float:
        p = {key: value.numpy() for key, value in networks[True].unflatten(torch.tensor(q)).items()}
        return float(transcriptions.run("lstm1997", p, x, None, 4, block_size=2, gate_recurrence=gates, frozen=past).sum())

    at, moved = flat.detach().numpy(), 1e-6 * np.eye(len(flat))
    measured = [(held(at + step) - held(at - step)) / 2e-6 for step in moved]
    np.testing.assert_allclose(gradient.numpy(), measured, atol=1e-8)
    assert (torch.autograd.grad(whole.sum(), flat)[0] - gradient).abs().max() > 1e-3


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_reservoir_keeps_its_draw_and_its_spectral_radius_while_the_read_out_is_trained(optimizer: str) -> None:
    task = series(30)
    network = cells.build({"cell": "esn", "hidden_size": 6, "spectral_radius": 0.7, "init": "orthogonal"}, task)
    start = network.initial(3)[None]
    state = PackState.start(start, [Lane(3, 0.1)], optimizer)
    Torch(network, task, Protocol(max_epochs=3, optimizer=optimizer)).advance(state, 3)
    before, after = (network.unflatten(torch.tensor(params[0])) for params in (start, state.params))
    for name in ("W_x", "W_h", "b"):
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=0)
    assert (after["V"] != before["V"]).all()
    assert np.abs(np.linalg.eigvals(before["W_h"].numpy())).max() == pytest.approx(0.7, rel=1e-5)


def test_eigenvalues_of_an_lru_start_on_its_ring_and_its_inputs_at_unit_scale() -> None:
    network = cells.build({"cell": "lru", "hidden_size": 1000, "r_min": 0.5, "r_max": 0.9, "max_phase": 1.0}, series(30))
    p = {key: value.double().numpy() for key, value in network.unflatten(torch.tensor(network.initial(3))).items()}
    radius, phase = np.exp(-np.exp(p["nu"])), np.exp(p["theta"])
    assert kstest(radius**2, "uniform", (0.25, 0.56)).pvalue > 0.01  # as many on every area of the ring
    assert kstest(phase, "uniform").pvalue > 0.01
    np.testing.assert_allclose(np.exp(p["gamma"]) ** 2, 1 - radius**2, rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in OF_SERIES if name != "esn"])  # whose parameters have no gradient
def test_gradients_pass_gradcheck(name: str) -> None:
    network = make(name, 2, 1, 4)
    x = np.random.default_rng(1).uniform(0, 1, (9, 1))
    flat = torch.tensor(network.initial(5), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda q: run(network, q, x)[0], (flat,))


@pytest.mark.parametrize("name", BOUNDED)
def test_initial_parameters_depend_on_the_seed_alone_and_keep_their_bounds(name: str) -> None:
    network = make(name, 3, 1)
    np.testing.assert_array_equal(network.initial(11), network.initial(11))
    assert (network.initial(11) != network.initial(12)).mean() > 0.5
    drawn = network.unflatten(torch.tensor(network.initial(11)))
    for key, parameter in network.parameters().items():
        assert tuple(drawn[key].shape) == parameter.shape
        assert (drawn[key] - parameter.mean).abs().max() <= (
            max(bound for _, bound in parameter.bound) if isinstance(parameter.bound, tuple) else parameter.bound
        )


@pytest.mark.parametrize("name", ["rnn", "lstm", "mrnn", "mrnnf", "mlstm", "mlstmf"])
@pytest.mark.parametrize(("hidden", "inputs"), [(1, 1), (3, 2)])
def test_released_initial_values_are_those_of_pytorchs_modules_in_the_release_s_order(name: str, hidden: int, inputs: int) -> None:
    torch.manual_seed(7)
    made = transcriptions.released_modules(name, inputs, hidden)
    flat = torch.cat([value.detach().reshape(-1) for value in made.values()])
    network = cells.build({"cell": name, "hidden_size": hidden, "init": "released"}, series(300, inputs))
    drawn = network.unflatten(torch.tensor(network.initial(7)))
    assert sum(value.numel() for value in drawn.values()) == len(flat)
    for key, value in made.items():
        torch.testing.assert_close(drawn[key], value.detach(), rtol=0, atol=0)


def test_a_sum_of_maps_is_drawn_map_by_map() -> None:
    drawn = np.stack([make("mrnn", 4, 1).initial(seed)[:10] for seed in range(400)])  # W_d, a map each of d, h, m and x
    np.testing.assert_allclose(np.abs(drawn).max(0), [1.0, *[0.5] * 8, 1.0], rtol=0.02)


def test_released_initial_values_are_refused_for_a_cell_that_the_release_lacks() -> None:
    with pytest.raises(UserError, match="the released code has no RWA; expected default"):
        cells.build({"cell": "rwa", "init": "released"}, series(300))
    with pytest.raises(UserError, match="unknown way to draw initial values, init: 'relesed'. Did you mean 'released'"):
        cells.build({"cell": "rnn", "init": "relesed"}, series(300))


def test_learned_memory_starts_at_a_quarter_where_it_is_constant() -> None:
    network = make("mrnnf", 1, 1)
    _, states = run(network, torch.tensor(network.initial(0), dtype=torch.float64), np.ones((3, 1)))
    torch.testing.assert_close(states["d"], torch.full((3, 1), 0.25, dtype=torch.float64))


def test_an_own_cell_is_found_by_its_import_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mycell.py").write_text("from ltm.cells.rnn import RNN\nclass Mine(RNN):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert cells.find("mycell:Mine").__name__ == "Mine"
    with pytest.raises(UserError, match="cannot be imported"):
        cells.find("mycell:Other")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"cell": "mrn"}, "unknown cell 'mrn'. Did you mean 'mrnn'"),
        ({"cell": "mrnn", "hiden_size": 2}, "Did you mean 'hidden_size'"),
        ({"cell": "mrnn", "K": 0}, "'K' is 0; expected a whole number of at least 1"),
        ({"cell": "rnn", "hidden_size": "two"}, "'hidden_size' is 'two'"),
        ({"cell": "peephole", "variant": "nop"}, "unknown value of model key 'variant': 'nop'. There are: CIFG, FGR"),
        ({"cell": "peephole", "variant": "CIFG+NIG"}, "CIFG .* excludes NIG .*; expected one of them"),
        ({"cell": "gru", "reset": "befor"}, "Did you mean 'before'"),
        (
            {"cell": "lstm1997", "hidden_size": 3, "block_size": 2},
            "'block_size' is 2 and 'hidden_size' 3; expected a hidden_size that is a",
        ),
        ({"cell": "slstm", "hidden_size": 3, "heads": 2}, "'heads' is 2 and 'hidden_size' 3; expected a hidden_size that is a multiple"),
        ({"cell": "matrixlstm", "forget_gate": "tanh"}, "unknown value of model key 'forget_gate': 'tanh'"),
        ({"cell": "attention", "window": 65}, "'window' is 65; expected a whole number of at most 64"),
        ({"cell": "lru", "r_min": 0.9, "r_max": 0.5}, "'r_min' is 0.9; expected a number of at least 0 and at most 0.5"),
        (
            {"cell": "convlstm", "rows": 2, "hidden_size": 3},
            "'hidden_size' is 3; expected a multiple of 2, the pixels of an image of 2 rows",
        ),
        ({"cell": "convlstm", "kernel": 2}, "'kernel' is 2; expected an odd number"),
        ({"cell": "mrnn", "decay": "powr"}, "unknown value of model key 'decay': 'powr'. Did you mean 'power'"),
        ({"cell": "mlstm", "decay": "free"}, "unknown value of model key 'decay': 'free'. There are: exponential, fractional, gegenbauer"),
        ({"cell": "mrnn", "decay": "power", "init": "released"}, "the released code has no decay 'power'; expected init default"),
        ({"cell": "filtered", "decay": "power", "K": 0}, "'K' is 0; expected a whole number of at least 1"),
        ({"cell": "lstm", "cells": ["gru", "filtered"]}, "Filtered reads more of its input than the present step"),
        ({"cell": "feedforward", "activation": "rel"}, "unknown value of model key 'activation': 'rel'. Did you mean 'relu'"),
        ({"cell": "esn", "leak": 0.0}, "'leak' is 0.0; expected a number above 0 and at most 1"),
    ],
)
def test_a_wrong_model_is_refused_in_words(model: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        cells.build(model, series(100))
