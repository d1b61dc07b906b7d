"""Initial values by every rule, and the biases of gates: bounds, orthogonality, which parameters are meant, and that defaults are what they were."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from ltm import cells
from ltm.cells import CELLS, Cell, Network, initial
from ltm.cells.base import Draws, bias, linear
from ltm.cells.record import record
from ltm.data.base import Sequences, Task, forecast
from ltm.errors import UserError
from tests.ltm.engine.series import OF_SERIES

X = np.random.default_rng(0).uniform(0, 1, (41, 2))
TASK = forecast(X[:-1], X[1:, :1], 20, 10)
PART = Sequences(np.zeros((2, 3), int), np.zeros((2, 3), int), np.ones((2, 3)))
BOUNDED = [name for name in OF_SERIES if CELLS[name].initial is Cell.initial and name != "filtered"]
"""Cells all of whose parameters are drawn by the rule, and whose read-out is as wide as ``hidden_size`` says."""

RECURRENT = [name for name in OF_SERIES if any(q.recurrent for q in CELLS[name]().parameters().values())]
SYMBOLS = Task("symbols", PART, PART, PART, "cross_entropy", ("accuracy",), classes=2, symbols=5)


def drawn(model: dict, seed: int = 0, task: Task = TASK) -> dict[str, np.ndarray]:
    network = cells.build({"hidden_size": 4} | model, task)
    return {name: value.numpy() for name, value in network.unflatten(torch.tensor(network.initial(seed))).items()}


@dataclass(frozen=True)
class Mine(Cell):
    """An own cell that says nothing of recurrent maps, but has a gate."""

    gates = ("u",)

    def parameters(self):
        H, I = self.hidden_size, self.input_size
        return {"W": linear(H, I + H), "b_u": bias(H, I + H)}

    def step(self, p, s, x):
        return {"h": torch.sigmoid(p.W @ torch.cat([x.now, s.h]) + p.b_u)}


@pytest.mark.parametrize("name", BOUNDED)
def test_by_default_every_parameter_is_drawn_within_its_bound_as_ever(name: str) -> None:
    network = cells.build({"cell": name, "hidden_size": 2}, TASK)
    values, expected = network.unflatten(torch.tensor(network.initial(5))), Draws(5).bounded(network.parameters())
    for key, value in values.items():
        torch.testing.assert_close(value, expected[key], rtol=0, atol=0)


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_torch_is_the_default_of_the_cells_that_torch_nn_has(name: str) -> None:
    for key, value in drawn({"cell": name, "init": "torch", "layers": 2}).items():
        np.testing.assert_array_equal(value, drawn({"cell": name, "layers": 2})[key])


@pytest.mark.parametrize("init", initial.NAMES)
@pytest.mark.parametrize("name", OF_SERIES)
def test_every_rule_draws_every_cell_from_the_seed_alone(name: str, init: str) -> None:
    if init == "released" or (init == "orthogonal" and name not in RECURRENT):
        return
    first, again, other = (drawn({"cell": name, "init": init}, seed) for seed in (0, 0, 1))
    for key, value in first.items():
        np.testing.assert_array_equal(value, again[key])
        assert np.isfinite(value).all()
    assert any((value != other[key]).any() for key, value in first.items())


@pytest.mark.parametrize("name", BOUNDED)
def test_the_bounds_of_each_rule_are_kept_and_reached(name: str) -> None:
    parameters = cells.build({"cell": name, "hidden_size": 4}, TASK).parameters()
    many = {init: [drawn({"cell": name, "init": init}, seed) for seed in range(60)] for init in ("torch", "glorot", "uniform:0.25")}
    largest = {
        init: {key: np.max([np.abs(one[key] - parameters[key].mean) for one in several], 0) for key in several[0]}
        for init, several in many.items()
    }
    for key, q in parameters.items():
        fixed = q.bound == 0.0
        assert largest["uniform:0.25"][key].max() == pytest.approx(0.25, rel=0.1)
        assert largest["torch"][key].max() == pytest.approx(0.0 if fixed else 4**-0.5, rel=0.1)
        if len(q.shape) != 2:
            assert not largest["glorot"][key].any()
            continue
        maps = [columns for columns, _ in q.bound] if isinstance(q.bound, tuple) else [q.shape[1]]
        for columns, part in zip(maps, np.split(largest["glorot"][key], np.cumsum(maps)[:-1], axis=1), strict=True):
            limit = (6 / (columns + q.shape[0])) ** 0.5
            assert 0.85 * limit < part.max() <= limit * (1 + 1e-6)


@pytest.mark.parametrize("name", [name for name in RECURRENT if name in BOUNDED])
def test_orthogonal_recurrent_maps_are_so_gate_by_gate_and_the_rest_is_glorot(name: str) -> None:
    network, values = cells.build({"cell": name, "hidden_size": 4}, TASK), drawn({"cell": name, "init": "orthogonal"})
    blocks = []
    for key, q in network.parameters().items():
        for first, columns in q.recurrent:
            blocks += np.split(values[key][:, first : first + columns], q.shape[0] // columns)
        rest = (
            np.delete(values[key], [c for first, n in q.recurrent for c in range(first, first + n)], 1)
            if q.recurrent
            else values[key] - q.mean
        )
        assert np.abs(rest).max(initial=0.0) <= (0.0 if len(q.shape) != 2 else (6 / (1 + q.shape[0])) ** 0.5)
    assert blocks
    for block in blocks:
        np.testing.assert_allclose(block @ block.T, np.eye(4), atol=1e-6)
    assert len({block.tobytes() for block in blocks}) == len(blocks)


def test_orthogonal_matrices_favour_no_direction() -> None:
    draws = Draws(0)
    matrices = np.stack([initial.orthogonal(2, draws).numpy() for _ in range(400)])
    assert abs((np.linalg.det(matrices) > 0).mean() - 0.5) < 0.1
    assert np.abs(matrices.mean(0)).max() < 0.15


def test_rules_reach_the_read_out_and_maps_of_the_inputs_and_leave_layer_norm_alone() -> None:
    model = {"cell": "rnn", "input_map": 3, "layer_norm": True}
    values = drawn(model | {"init": "glorot"})
    assert values["V"].any()
    assert not values["c"].any()
    assert not values["0.b"].any()
    assert (values["2.g"] == 1.0).all()
    small = drawn(model | {"init": "uniform:0.01"})
    assert max(np.abs(small[name]).max() for name in ("V", "c", "0.W", "0.b", "1.W_hh")) < 0.01
    assert (small["2.g"] == 1.0).all()
    np.testing.assert_array_equal(drawn(model | {"init": "torch"})["0.W"], drawn(model)["0.W"])


def test_vectors_of_symbols_keep_their_default() -> None:
    table = {init: drawn({"cell": "lstm", "init": init}, task=SYMBOLS)["E"] for init in ("default", "glorot", "orthogonal", "uniform:0.1")}
    np.testing.assert_array_equal(table["default"], table["glorot"])
    np.testing.assert_array_equal(table["default"], table["orthogonal"])
    np.testing.assert_array_equal(table["uniform:0.1"], table["default"])


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"cell": "lstm", "forget_bias": 1.0}, {"b_ih": {1: 1.0}, "b_hh": {1: 0.0}}),
        ({"cell": "lstm", "gate_biases": {"f": 2, "i": -1.0}}, {"b_ih": {0: -1.0, 1: 2.0}, "b_hh": {0: 0.0, 1: 0.0}}),
        ({"cell": "gru", "gate_biases": {"z": -1.0}}, {"b_ih": {1: -1.0}, "b_hh": {1: 0.0}}),
        ({"cell": "mlstm", "gate_biases": {"o": 3.0}}, {"b_o": {0: 3.0}}),
        ({"cell": "mlstmf", "gate_biases": {"d": -1.0}}, {"b_d": {0: -1.0}}),
        ({"cell": "mist", "gate_biases": {"r": 0.5}}, {"b_r": {0: 0.5}}),
    ],
)
def test_the_biases_of_a_gate_sum_to_what_is_asked_and_nothing_else_changes(model: dict, expected: dict) -> None:
    values, before = drawn(model), drawn({"cell": model["cell"]})
    for name, value in values.items():
        blocks, old = (
            value.reshape(-1, 4) if value.size % 4 == 0 else value[None],
            before[name].reshape(-1, 4) if value.size % 4 == 0 else before[name][None],
        )
        for i, (new, was) in enumerate(zip(blocks, old, strict=True)):
            np.testing.assert_array_equal(new, np.full(4, expected[name][i]) if i in expected.get(name, {}) else was)


def test_the_blocks_of_an_lstm_of_1997_may_start_with_a_bias_each() -> None:
    values = drawn({"cell": "lstm1997", "block_size": 2, "gate_biases": {"i": [-1, -3], "o": -2.0}})
    np.testing.assert_array_equal(values["b_i"], [-1.0, -3.0])
    np.testing.assert_array_equal(values["b_o"], [-2.0, -2.0])
    values = drawn({"cell": "gru", "gate_biases": {"z": [1, 2, 3, 4]}})
    np.testing.assert_array_equal((values["b_ih"] + values["b_hh"])[4:8], [1.0, 2.0, 3.0, 4.0])


def test_forget_bias_is_short_for_f_and_reaches_every_lstm_of_a_stack() -> None:
    stack = {"cells": ["rnn", "lstm", "lstm"], "hidden_size": 2, "init": "orthogonal"}
    short, long = drawn(stack | {"forget_bias": 1}), drawn(stack | {"gate_biases": {"f": 1.0}})
    for name, value in short.items():
        np.testing.assert_array_equal(value, long[name])
    for layer in (1, 2):
        np.testing.assert_array_equal(short[f"{layer}.b_ih"][2:4], [1.0, 1.0])


def test_records_tell_initial_values_apart_and_defaults_are_no_news() -> None:
    models = [
        {},
        {"init": "glorot"},
        {"init": "orthogonal"},
        {"init": "uniform:0.1"},
        {"init": "uniform:0.2"},
        {"forget_bias": 1},
        {"gate_biases": {"i": 1}},
    ]
    records = [record(cells.build({"cell": "lstm"} | model, TASK)) for model in models]
    assert len({one.digest for one in records}) == len({one.draws for one in records}) == len(models)
    said = record(cells.build({"cell": "lstm", "init": "default", "forget_bias": None, "gate_biases": None}, TASK))
    assert said == records[0] == record(cells.build({"cell": "lstm", "init": "torch"}, TASK))


def test_an_own_cell_has_every_rule_but_names_its_recurrent_maps_for_orthogonal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CELLS, "mine", Mine)
    assert np.abs(drawn({"cell": "mine", "init": "uniform:0.1"})["W"]).max() <= 0.1
    assert (drawn({"cell": "mine", "gate_biases": {"u": 2.0}})["b_u"] == 2.0).all()
    with pytest.raises(UserError, match="init' is orthogonal, but Mine does not say which columns read past states"):
        drawn({"cell": "mine", "init": "orthogonal"})
    assert Network.of(Mine(hidden_size=2)).biases == ()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"init": "uniform:x"}, "'init' is 'uniform:x'; expected uniform:A with a number A above 0"),
        ({"init": "uniform:0"}, "expected uniform:A with a number A above 0"),
        ({"init": "uniform:inf"}, "expected uniform:A with a number A above 0"),
        ({"init": "orthogonl"}, "Did you mean 'orthogonal'"),
        ({"init": 1}, "unknown way to draw initial values, init: '1'"),
        ({"forget_bias": True}, "'forget_bias' is True; expected a finite number"),
        ({"gate_biases": [1.0]}, "'gate_biases' is .*; expected a number by the name of a gate, such as"),
        (
            {"gate_biases": {"i": [1.0, 2.0]}},
            "'gate_biases.i' has 2 numbers, and gate 'i' of LSTM 4 units; expected one number for all, or one for",
        ),
        ({"gate_biases": {"f": "x"}}, "'gate_biases.f' is 'x'; expected a finite number"),
        ({"gate_biases": {"n": 1.0}}, "sets the bias of gate 'n', and LSTM has the gates i, f, g, o; expected one of the cell's"),
        ({"gate_biases": {"f": 1.0}, "forget_bias": 0.0}, "are one bias; leave one of them out"),
        ({"cell": "rnn", "forget_bias": 1.0}, "'forget_bias' sets the bias of gate 'f', and RNN has no gates; .* or forget_bias=null"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(model: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        drawn({"cell": "lstm"} | model)
