"""Error flow: the product of Hochreiter and Schmidhuber's section 3.1 for an RNN, 1 along a carousel, and every way through a window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from analysis.studies.inside import error_flow
from analysis.studies.memory import networks
from ltm import Cell, Parameter, State, cells, data, linear
from ltm.cells.network import Network
from ltm.errors import UserError

LATCHING = data.build({"name": "latching", "kind": "latching", "length": 12, "sequences": 20})
PARITY = data.build({"name": "parity", "kind": "parity", "length": 12, "shortest": 10, "sequences": 20})
SERIES = data.build({"name": "arfima", "kind": "arfima", "length": 61, "train": 20, "validation": 10})
LAGS = 7


def network_of(name: str, task: data.Task = LATCHING, **more: object) -> Network:
    return cells.build({"name": name, "cell": name, "hidden_size": 3, **more}, task)


def flows_of(network: Network, parameters: np.ndarray, task: data.Task = LATCHING) -> list[dict[str, np.ndarray]]:
    x, first, _ = error_flow.read(network, task)
    where = np.array([0, 0, min(1, len(x["now"]) - 1)]), np.array([0, 3, 4]) + first
    return list(error_flow.flows(network, parameters, x, where, LAGS))


def drawn(network: Network, seeds: int = 2) -> np.ndarray:
    return np.stack([network.initial(seed) for seed in range(seeds)])


def test_an_rnn_follows_the_formula_of_the_paper() -> None:
    network = network_of("rnn")
    found = flows_of(network, drawn(network))
    x, *_ = error_flow.read(network, LATCHING)
    for seed in range(2):
        p = {name: value.numpy() for name, value in network.unflatten(torch.as_tensor(network.initial(seed)).double()).items()}
        for place, (b, v) in enumerate([(0, 0), (0, 3), (1, 4)]):
            h, slopes = np.zeros(3), []
            for now in x["now"][b]:
                h = np.tanh(p["W_ih"] @ now + p["b_ih"] + p["W_hh"] @ h + p["b_hh"])
                slopes.append(1 - h**2)
            product = np.eye(3)
            for q in range(1, LAGS + 1):
                product = np.diag(slopes[v + q]) @ p["W_hh"] @ product
                np.testing.assert_allclose(found[q - 1]["h"][seed, place], product, rtol=1e-6, atol=1e-12)
    assert list(found[0]) == ["h"], "all states are read out"


def test_the_carousel_of_an_lstm_whose_forget_gate_is_open_is_1_at_every_lag() -> None:
    network = network_of("lstm")
    parameters = drawn(network)
    for flat in parameters:
        network.unflatten(torch.as_tensor(flat))["b_ih"][3:6] = 100.0
    for found in flows_of(network, parameters):
        assert list(found) == ["whole state", "h", "c alone"]
        np.testing.assert_array_equal(found["c alone"], np.broadcast_to(np.eye(3), (2, 3, 3, 3)))


@dataclass(frozen=True)
class Of1997(Cell):
    """s_t = s_{t-1} + i_t g(net), y_t = o_t h(s_t) without a forget gate; errors do not leave through the net inputs."""

    outputs = ("y",)

    def parameters(self) -> dict[str, Parameter]:
        return {"W": linear(3 * self.hidden_size, self.input_size + self.hidden_size)}

    def state(self) -> dict[str, State]:
        return {"s": State(self.hidden_size), "y": State(self.hidden_size)}

    def step(self, p, s, x):  # type: ignore[no-untyped-def]
        i, o, g = (p.W @ torch.cat([x.now, s.y.detach()])).chunk(3)
        new = s.s + torch.sigmoid(i) * (4 * torch.sigmoid(g) - 2)
        return {"s": new, "y": torch.sigmoid(o) * (2 * torch.sigmoid(new) - 1)}


def test_the_carousel_of_1997_is_1_in_the_whole_state_where_the_gradient_is_truncated() -> None:
    network = Network.of(Of1997(hidden_size=3, input_size=1), 2)
    for found in flows_of(network, drawn(network)):
        np.testing.assert_array_equal(found["s alone"], np.broadcast_to(np.eye(3), (2, 3, 3, 3)))
        np.testing.assert_array_equal(found["whole state"][..., :3, :3], found["s alone"])
        assert (found["y"][..., 3:] == 0).all(), "no error reaches an earlier output"
        assert (found["y"][..., :3] != 0).any(), "it reaches what is stored"


@pytest.mark.parametrize(("name", "more"), [("mlstm", {"K": 3}), ("mist", {"delays": 3})])
def test_errors_take_every_way_through_a_window(name: str, more: dict[str, object]) -> None:
    network = network_of(name, SERIES, **more)
    found = flows_of(network, drawn(network, 1), SERIES)
    x, first, _ = error_flow.read(network, SERIES)
    flat = torch.as_tensor(network.initial(0)).double()
    sequence = {key: torch.as_tensor(np.array(value[0])) for key, value in x.items()}
    _, states = networks.unroll(network, flat, sequence)
    variables, v = network.cell.state(), first
    start = {key: states[key][v - np.arange(one.lags)] for key, one in variables.items()}
    after = {key: value[v + 1 : v + 1 + LAGS] for key, value in sequence.items()}

    def run(last: torch.Tensor) -> torch.Tensor:
        pieces = last.split([one.size for one in variables.values()])
        windows = {key: torch.cat([piece[None], start[key][1:]]) for key, piece in zip(variables, pieces, strict=True)}
        later = networks.unroll(network, flat, after, windows)[1]
        return torch.cat([later[key] for key in variables], 1)

    expected = torch.func.jacrev(run)(torch.cat([start[key][0] for key in variables])).numpy()
    whole = np.stack([one.get("whole state", one["h"])[0, 0] for one in found])
    np.testing.assert_allclose(whole, expected, rtol=1e-9, atol=1e-14)


def test_layers_symbols_and_layers_without_memory_are_followed() -> None:
    network = network_of("gru", PARITY, layers=2, layer_norm=True, dropout="variational")
    found = error_flow.error_flow(network, PARITY, drawn(network))
    assert list(dict.fromkeys(found["flow"])) == ["whole state", "3.h", "0.h alone"]
    assert (found[["low", "median", "high"]] > 0).all(axis=None)
    assert (found["low"] <= found["median"]).all()
    assert list(found.loc[found["flow"] == "3.h", "lag"]) == list(range(1, 6))


def test_what_cannot_be_followed_is_said_in_one_line() -> None:
    both, alone = network_of("lstm", PARITY, bidirectional=True), network_of("rnn")
    with pytest.raises(UserError, match="reads time backwards too"):
        error_flow.error_flow(both, PARITY, drawn(both))
    layer = network_of("feedforward")
    with pytest.raises(UserError, match="Feedforward has no memory through which errors could flow back"):
        error_flow.error_flow(layer, LATCHING, drawn(layer))
    with pytest.raises(UserError, match="12 lags need sequences of 13 steps; 'latching' has 12"):
        error_flow.error_flow(alone, LATCHING, drawn(alone), 12)
    assert error_flow.error_flow(alone, LATCHING, drawn(alone), 11)["lag"].max() == 11
