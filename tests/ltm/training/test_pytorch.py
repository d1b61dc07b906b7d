"""Against PyTorch itself: the same networks, parameters, data and order give the same losses, with every optimiser."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from ltm import cells
from ltm.data.base import Sequences, Task, generator
from ltm.engine.base import Engine
from ltm.engine.fused import Fused
from ltm.engine.torch import Torch
from ltm.training.state import Lane, PackState, Protocol

ENGINES = {
    "torch": lambda *given, dtype: Torch(*given, dtype=getattr(torch, dtype)),
    "cpu": lambda *given, dtype: Fused(*given, dtype=dtype),
}
"""Engine by name: (network, task, protocol, seeds; dtype)."""

EPOCHS, BATCH, N, T, I, H, CLASSES = 10, 16, 40, 6, 2, 3, 3
"""Two full batches and one that is not."""

TORCH = {
    "sgd": torch.optim.SGD,
    "adagrad": partial(torch.optim.Adagrad, eps=1e-8),  # our default, theirs is 1e-10
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
SETTINGS = {
    "sgd": {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3},
    "adagrad": {"lr": 0.05, "weight_decay": 1e-3},
    "rmsprop": {"lr": 0.005, "momentum": 0.5, "weight_decay": 1e-3},
    "adam": {"lr": 0.01, "weight_decay": 1e-3},
    "adamw": {"lr": 0.01, "weight_decay": 0.1},
}


def labelled(seed: int) -> Sequences:
    """Sequences whose class is read at their last step."""
    draw = generator(seed)
    weight = np.zeros((N, T))
    weight[:, -1] = 1.0
    return Sequences(draw.normal(size=(N, T, I)), draw.integers(0, CLASSES, (N, T)), weight)


TASK = Task("random", labelled(1), labelled(2), labelled(3), "cross_entropy", ("accuracy",), classes=CLASSES, labelled=True)


class Peer(torch.nn.Module):
    """What a user of torch writes: the last output of a recurrent module, or both directions' final states, under a linear layer."""

    def __init__(self, cell: str, layers: int, both: bool) -> None:
        super().__init__()
        self.body = getattr(torch.nn, cell.upper())(I, H, num_layers=layers, batch_first=True, bidirectional=both)
        self.head = torch.nn.Linear(H * (2 if both else 1), CLASSES)
        self.both = both

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out, h = self.body(x)
        h = h[0] if isinstance(h, tuple) else h
        return self.head(torch.cat([out[:, -1, :H], h[-1]], 1) if self.both else out[:, -1])

    def load(self, p: dict[str, torch.Tensor], layers: int) -> None:
        """Take over the parameters of a network of ours by their names."""
        there = self.state_dict()
        for layer in range(layers):
            for back in ("", "_back") if self.both else ("",):
                prefix = f"{layer}{back}." if layers > 1 or self.both else ""
                for mine, theirs in (("W_ih", "weight_ih"), ("W_hh", "weight_hh"), ("b_ih", "bias_ih"), ("b_hh", "bias_hh")):
                    there[f"body.{theirs}_l{layer}{'_reverse' if back else ''}"] = p[prefix + mine]
        there["head.weight"] = torch.cat([p["V_h"], p["V_h_back"]], 1) if self.both else p["V"]
        there["head.bias"] = p["c"]
        self.load_state_dict(there)


def theirs(engine: Engine, params: np.ndarray, layers: int, both: bool, optimizer: str, epochs: int) -> np.ndarray:
    """Training loss by epoch of PyTorch's own module, loss and optimiser, over the batches of an engine's feed."""
    peer = Peer(type(engine.network.cell).__name__, layers, both).to(torch.as_tensor(params).dtype)
    peer.load(engine.network.unflatten(torch.as_tensor(params)), layers)
    steps = TORCH[optimizer](peer.parameters(), **SETTINGS[optimizer])
    losses = []
    for epoch in range(epochs):
        pool, order = engine.feed.train(epoch, np.zeros(1, int))
        total = 0.0
        for first in range(0, N, BATCH):
            index = order[0, first : first + BATCH]
            inputs, classes = torch.as_tensor(pool.inputs[index], dtype=peer.head.bias.dtype), torch.as_tensor(pool.targets[index, -1])
            steps.zero_grad()
            loss = torch.nn.functional.cross_entropy(peer(inputs), classes)
            loss.backward()
            steps.step()
            total += float(loss.detach()) * len(index)
        losses.append(total / N)
    return np.array(losses)


SHAPES = [
    ("rnn", 1, False),
    ("gru", 1, True),
    ("lstm", 2, False),
    ("lstm", 2, True),
    ("rnn", 2, True),
    ("gru", 2, False),
    ("lstm", 1, False),
]


CASES = [
    pytest.param(engine, *shape, optimizer, marks=[] if i % len(TORCH) == j and (engine == "torch" or i in (1, 2)) else pytest.mark.long)
    for engine in ENGINES
    for i, shape in enumerate(SHAPES)
    for j, optimizer in enumerate(TORCH)
    if engine == "torch" or i % len(TORCH) == j
]
"""The whole product on the torch engine, and on kernels, which are slow to compile, each shape and each optimiser at least once. Where time is short,
two of these kernels."""


def compared(engine: str, cell: str, layers: int, both: bool, optimizer: str, dtype: str, epochs: int) -> tuple[np.ndarray, np.ndarray]:
    network = cells.build({"cell": cell, "hidden_size": H, "layers": layers, "bidirectional": both}, TASK)
    protocol = Protocol(max_epochs=EPOCHS, batch=BATCH, optimizer=optimizer)
    ours = ENGINES[engine](network, TASK, protocol, (5,), dtype=dtype)
    params = network.initial(5).astype(dtype)
    state = PackState.start(params[None], [Lane(5, **SETTINGS[optimizer])], optimizer)
    losses = []
    for epoch in range(epochs):
        state.seen[:] = 0.0
        ours.train(state, np.zeros(1, int), epoch, ours.feed.updates, 1.0)
        losses.append(state.seen[0, 0] / state.seen[0, 1])
    return np.array(losses), theirs(ours, params, layers, both, optimizer, epochs)


@pytest.mark.parametrize(("engine", "cell", "layers", "both", "optimizer"), CASES)
def test_ten_epochs_have_the_losses_of_pytorch_in_float64(engine: str, cell: str, layers: int, both: bool, optimizer: str) -> None:
    ours, peers = compared(engine, cell, layers, both, optimizer, "float64", EPOCHS)
    np.testing.assert_allclose(ours, peers, rtol=0, atol=1e-9)
    assert np.ptp(peers) > 1e-3, "they have moved"


def test_the_fused_kernel_of_adagrad_has_the_losses_of_pytorch() -> None:
    ours, peers = compared("cpu", "rnn", 1, False, "adagrad", "float64", EPOCHS)
    np.testing.assert_allclose(ours, peers, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("engine", "cell", "layers", "both", "optimizer"), CASES)
def test_the_first_epoch_has_the_loss_of_pytorch_in_float32(engine: str, cell: str, layers: int, both: bool, optimizer: str) -> None:
    ours, peers = compared(engine, cell, layers, both, optimizer, "float32", 1)
    np.testing.assert_allclose(ours, peers, rtol=0, atol=1e-5)
