"""Two layers, as the paper has them and as the released code does, against plain modules of PyTorch: outputs, and gradients of all parameters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ltm import cells
from ltm.cells.released import NETWORKS
from ltm.data.base import Sequences, Task, generator
from ltm.engine.fused import Fused
from ltm.engine.torch import Torch
from ltm.errors import UserError
from ltm.training.state import Lane, PackState, Protocol

N, T, I, H, CLASSES, K = 7, 9, 2, 3, 5, 4


def sequences(seed: int) -> Sequences:
    """Sequences of unequal length, whose class is read at their last step."""
    draw = generator(seed)
    weight = (np.arange(T) == draw.integers(1, T, N)[:, None]).astype(float)
    return Sequences(draw.normal(size=(N, T, I)), draw.integers(0, CLASSES, (N, T)), weight)


TASK = Task("random", sequences(1), sequences(2), sequences(3), "cross_entropy", ("accuracy",), classes=CLASSES, labelled=True)


def network_of(cell: str, released: bool) -> cells.Network:
    own = {"K": K} if cell in ("mrnnf", "mlstmf") else {}
    return cells.build({"name": cell, "cell": cell, "cells": [cell, "lstm"], "hidden_size": H, "released": released, **own}, TASK)


class Peer(nn.Module):
    """The network, step by step over a batch, in the words of a user of PyTorch."""

    def __init__(self, cell: str, released: bool, p: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.cell, self.released = cell, released
        self.p = nn.ParameterDict({name.replace(".", "_"): nn.Parameter(value.clone()) for name, value in p.items()})
        self.top = f"{max(int(name.split('.')[0]) for name in p if name.endswith('W_ih'))}_"

    def forward(self, x: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        """Outputs ``(B, O)`` of sequences ``(B, T, I)`` after their last step."""
        B = len(x)
        zero = torch.zeros(B, H, dtype=x.dtype)
        h, m, c, top, c_top, past, found = zero, zero, zero, zero, zero, [], []
        for t in range(x.shape[1]):
            if self.cell == "rnn":
                p = self.p
                h = torch.tanh(nn.functional.linear(x[:, t], p["0_W_ih"], p["0_b_ih"]) + nn.functional.linear(h, p["0_W_hh"], p["0_b_hh"]))
                handed = torch.tanh(h) if self.released else h
            elif self.cell == "lstm":
                h, c = self.lstm("0_", x[:, t], h, c)
                h = torch.tanh(h) if self.released else h
                handed = h
            elif self.cell == "mrnnf":
                h, m = self.mrnnf(x, t, h, m)
                handed = self.mapped(torch.cat([h, m], 1), torch.tanh)
            else:
                h, new = self.mlstmf(x[:, t], h, past)
                past = [new, *past][:K]
                handed = self.mapped(h, lambda net: net)
            top, c_top = self.lstm(self.top, handed, top, c_top)
            out = torch.tanh(top) if self.released else top
            top = out if self.released and self.cell != "rnn" else top
            found.append(out)
        return torch.stack(found, 1)[torch.arange(B), last] @ self.p["V"].T + self.p["c"]

    def mapped(self, states: torch.Tensor, f) -> torch.Tensor:  # type: ignore[no-untyped-def]
        return f(nn.functional.linear(states, self.p["1_W"], self.p["1_b"])) if self.released else states

    def lstm(self, at: str, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        p = {name: self.p[at + name] for name in ("W_ih", "W_hh", "b_ih", "b_hh")}
        return torch.lstm_cell(x, (h, c), p["W_ih"], p["W_hh"], p["b_ih"], p["b_hh"])

    def weights(self) -> list[torch.Tensor]:
        """w_1 to w_K of (1 - B)^d."""
        d, w = 0.5 * torch.sigmoid(self.p["0_b_d"]), [torch.ones_like(self.p["0_b_d"])]
        for j in range(K):
            w.append(w[-1] * (j - d) / (j + 1))
        return w[1:]

    def mrnnf(self, x: torch.Tensor, t: int, h: torch.Tensor, m: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        p = self.p
        filtered = sum(w * x[:, t - k] for k, w in enumerate(self.weights()) if k <= t)
        new = torch.tanh(h @ p["0_W_h"].T + x[:, t] @ p["0_W_x"].T + p["0_b_h"])
        return new, torch.tanh(m @ p["0_W_m"].T + filtered @ p["0_W_f"].T + p["0_b_m"])

    def mlstmf(self, x: torch.Tensor, h: torch.Tensor, past: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        xh = torch.cat([x, h], 1)
        i, o, c = (nn.functional.linear(xh, self.p[f"0_W_{gate}"], self.p[f"0_b_{gate}"]) for gate in "ioc")
        new = torch.sigmoid(i) * torch.tanh(c) - sum((w * old for w, old in zip(self.weights(), past, strict=False)), torch.zeros_like(h))
        return torch.sigmoid(o) * torch.tanh(new), new


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "mrnnf", "mlstmf"])
@pytest.mark.parametrize("engine", ["torch", pytest.param("cpu", marks=pytest.mark.long)])
def test_two_layers_equal_plain_modules_and_so_do_their_gradients(engine: str, cell: str, released: bool) -> None:
    network = network_of(cell, released)
    params = network.initial(4)
    kind = Torch if engine == "torch" else Fused
    ours = kind(network, TASK, Protocol(optimizer="sgd"), (4,))
    peer = Peer(cell, released, network.unflatten(torch.as_tensor(params)))

    def theirs(part: Sequences) -> tuple[torch.Tensor, torch.Tensor]:
        last = torch.as_tensor(part.lengths - 1)
        return peer(torch.as_tensor(part.inputs, dtype=torch.float32), last), torch.as_tensor(part.targets)[torch.arange(N), last]

    outputs, classes = theirs(TASK.test)
    np.testing.assert_allclose(ours.predict(params[None]).outputs[0], outputs.detach(), rtol=0, atol=1e-5)
    assert np.ptp(outputs.detach().numpy(), axis=0).min() > 1e-3, "sequences differ"

    outputs, classes = theirs(TASK.train)
    nn.functional.cross_entropy(outputs, classes).backward()
    gradient = torch.cat([peer.p[name.replace(".", "_")].grad.reshape(-1) for name in network.parameters()]).numpy()
    state = PackState.start(params[None].copy(), [Lane(4, lr=1.0)], "sgd")
    ours.train(state, np.zeros(1, int), 0, 1, 1.0)
    np.testing.assert_allclose(params - state.params[0], gradient, rtol=0, atol=1e-4)
    assert np.abs(gradient).max() > 1e-2


def test_every_map_of_a_released_network_is_drawn_as_a_linear_module_of_its_own() -> None:
    for name, fan_in in (("mrnnf", H), ("mlstmf", H)):
        network = network_of(name, True)
        shapes = {key: (q.shape, q.bound) for key, q in network.parameters().items() if key.startswith("1.")}
        width = 2 * H if name == "mrnnf" else H
        bound = ((H, H**-0.5), (H, H**-0.5)) if name == "mrnnf" else H**-0.5
        assert shapes == {"1.W": ((H, width), bound), "1.b": ((H,), fan_in**-0.5)}
    assert [part.cell.state()["h"].size for part in network_of("rnn", True).parts] == [H] * 4
    assert len(NETWORKS) == 4


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"cells": ["gru", "lstm"]}, r"the cells are \[gru, lstm\]; the released networks are cells=\[rnn, lstm\], \[lstm, lstm\]"),
        ({"cells": ["lstm", "rnn"]}, r"the cells are \[lstm, rnn\]"),
        ({}, r"the cells are \[lstm\]"),
        ({"released": "yes"}, "model key 'released' is yes; expected true or false"),
        ({"cells": ["rnn", "feedforward"], "released": False, "maps": 2}, "'maps' is 2, and the layer reads 3 values; expected a divisor"),
    ],
)
def test_other_cells_have_no_released_network(model: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        cells.build({"name": "lstm", "cell": "lstm", "hidden_size": H, "released": True, **model}, TASK)
