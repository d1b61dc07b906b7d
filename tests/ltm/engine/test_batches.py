"""Fused equals torch engine on sequences in batches, values, gradients and whole trainings: every pair of losses, optimisers, networks, batches,
data, lengths, lanes and number types in a few kernels. The whole product of them is drawn from by tests/manual/every_batch.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from ltm import cells
from ltm.cells.base import Cell, Parameter, State
from ltm.data.base import Sequences, Task, generator
from ltm.engine.fused import Fused
from ltm.engine.torch import Torch
from ltm.training.losses import LOSSES
from ltm.training.optimizers import OPTIMIZERS
from ltm.training.state import Lane, PackState, Protocol
from tests.ltm.engine.covers import cover, covered

I, O, EPOCHS = 2, 3, 2


class Case(NamedTuple):
    loss: str
    optimizer: str
    network: str
    batch: int
    draws: str
    length: int
    lanes: int
    dtype: str
    target: str
    lengths: str
    cell: str

    @property
    def name(self) -> str:
        return "-".join(map(str, self))

    @property
    def hidden(self) -> int:
        """From 1 to 5."""
        return 1 + (len(self.name) + self.batch + self.lanes) % 5


AXES: tuple[Sequence[str | int], ...] = (
    tuple(LOSSES), tuple(OPTIMIZERS), ("one", "two", "both"), (1, 3, 16, 40), ("dataset", "seed"), (1, 2, 63), (1, 7, 100),
    ("float32", "float64"), ("labelled", "every"), ("fixed", "variable"), ("rnn", "lstm", "gru", "mrnnf", "mlstm"),
)  # fmt: skip


class Drawn(NamedTuple):
    """Sequences of a seed: the source of a case's task."""

    case: Case

    def part(self, part: int, seed: int, epoch: int) -> Sequences:
        batch = self.case.batch
        n = (batch + 3) // 2 if part else 2 * batch + (batch + 1) // 2  # two full batches and one that is not
        return self.sequences(seed + 1000 * part, n)

    def sequences(self, seed: int, n: int) -> Sequences:
        """What follows the last step is padding, of odd values that nobody may read."""
        draw, T = generator(seed), self.case.length
        lengths = np.full(n, T) if self.case.lengths == "fixed" else draw.integers(1, T + 1, n)
        inside = np.arange(T) < lengths[:, None]
        weight = np.where(inside, draw.uniform(0.5, 2.0, (n, T)), 0.0)
        if self.case.target == "labelled":
            weight = (np.arange(T) == lengths[:, None] - 1).astype(float)
        targets = {
            "numbers": draw.normal(size=(n, T, O)), "classes": draw.integers(0, O, (n, T)), "yes or no": draw.integers(0, 2, (n, T, O)) * 1.0,
        }[LOSSES[self.case.loss].targets]  # fmt: skip
        return Sequences(np.where(inside[..., None], draw.normal(size=(n, T, I)), 50.0), targets, weight)


def task_of(case: Case) -> Task:
    source = Drawn(case)
    classes = O if LOSSES[case.loss].targets == "classes" else 0
    labelled, metrics = case.target == "labelled", ("accuracy",) if classes else ("rmse",)
    return Task(
        "drawn",
        *(source.part(part, 0, 0) for part in range(3)),
        case.loss,
        metrics,
        classes=classes,
        labelled=labelled,
        draws=case.draws,
        source=source,
    )


def network_of(case: Case, task: Task, hidden: int) -> cells.Network:
    model: dict[str, Any] = {"hidden_size": hidden, "cell": case.cell, "bidirectional": case.network == "both" and case.cell != "mrnnf"}
    if case.cell in ("mrnnf", "mlstm"):
        model["K"] = 5
    if case.network == "two" or (case.network == "both" and case.cell == "mrnnf"):  # of windows over inputs no kernel reads time backwards
        model["cells"] = [case.cell, "lstm"] if case.cell.startswith("mrnn") else [case.cell, case.cell]
        del model["cell"]
    return cells.build(model, task)


def lanes_of(case: Case) -> list[Lane]:
    """Settings of their own for every lane."""
    momentum = 0.5 if case.optimizer in ("sgd", "rmsprop") else 0.0
    return [
        Lane(seed, 0.01 * (1 + seed % 3), 1e-3 * (seed % 2), 0.5 * (seed % 4 == 1), 0.1 * (seed % 4 == 2), momentum)
        for seed in range(case.lanes)
    ]


def agree(case: Case, hidden: int = 0, **fused: Any) -> None:
    """Loss and gradient of the first and the last update, validation, outputs, and a training of two epochs.

    The torch engine, in float64, runs the first, a middle and the last lane.
    """
    task = task_of(case)
    network, lanes = network_of(case, task, hidden or case.hidden), lanes_of(case)
    # the optimiser's eps keeps the rounding of a gradient near 0 from being taken for a direction
    protocol = Protocol(
        EPOCHS, optimizer=case.optimizer, batch=case.batch, schedule="linear", eps=1e-3 if case.dtype == "float32" else 1e-8
    )
    every = np.arange(case.lanes)
    known = np.unique([0, case.lanes // 2, case.lanes - 1])
    fast = Fused(network, task, protocol, every.tolist(), dtype=case.dtype, **fused)
    slow = Torch(network, task, protocol, known.tolist(), dtype=torch.float64)
    params = np.stack([network.initial(lane.seed) for lane in lanes]).astype(case.dtype)
    exact, some = params[known].astype(float), np.arange(len(known))
    close = 1e-9 if case.dtype == "float64" else 1e-4

    def equal(what: str, mine: np.ndarray, true: np.ndarray, within: float = close) -> None:
        assert mine.shape == true.shape, f"{what}: {mine.shape}, {true.shape}"
        error = np.abs(mine - true).max() / max(np.abs(true).max(), 1e-3)
        assert error < within, f"{what}: {error:.2g} off, of the largest"

    for epoch, update in ((0, 0), (1, fast.feed.updates - 1)):
        loss, gradient = fast.gradient_of(params, every, epoch, update)
        true, slope = slow.gradient_of(exact, some, epoch, update)
        equal("loss of an update", loss[known], true)
        equal("gradient of an update", gradient[known], slope)
    equal("validation", fast.validate(params, every)[known], slow.validate(exact, some))
    equal("outputs", fast.predict(params, every).outputs[known], slow.predict(exact, some).outputs)
    mine, theirs = PackState.start(params, lanes, case.optimizer), PackState.start(exact, [lanes[i] for i in known], case.optimizer)
    curves = np.stack([np.stack(run.advance(state, 2 * fast.feed.updates)) for run, state in ((fast, mine),)])[0]
    expected = np.stack(slow.advance(theirs, 2 * fast.feed.updates))
    equal("curves", curves[:, known], expected, max(10 * close, 1e-6))  # they are kept in float32
    equal("parameters after the training", mine.params[known], theirs.params, 10 * close)
    equal("the best parameters", mine.best_params[known], theirs.best_params, 10 * close)
    for field in ("status", "epoch", "best_epoch"):
        np.testing.assert_array_equal(getattr(mine, field)[known], getattr(theirs, field), field)


COVER = [Case(*values) for values in cover(AXES)]  # type: ignore[arg-type]
QUICK = [
    Case("cross_entropy", "adam", "one", 16, "dataset", 63, 7, "float32", "labelled", "variable", "lstm"),
    Case("squared", "sgd", "two", 3, "seed", 2, 7, "float64", "every", "fixed", "rnn"),
    Case("binary_cross_entropy", "rmsprop", "both", 40, "dataset", 2, 1, "float64", "every", "variable", "gru"),
    Case("absolute", "adamw", "both", 1, "seed", 63, 1, "float32", "labelled", "variable", "rnn"),
]
"""Small enough for every check, where time runs one way."""


def test_the_cover_has_every_pair_in_few_kernels() -> None:
    covered(AXES, COVER, 60)


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name, marks=[pytest.mark.long] if case.network == "both" else []) for case in QUICK]
)
def test_fused_equals_torch_engine(case: Case) -> None:
    agree(case)


@pytest.mark.long
@pytest.mark.parametrize("case", COVER, ids=[case.name for case in COVER])
def test_fused_equals_torch_engine_at_every_pair(case: Case) -> None:
    agree(case)


@pytest.mark.long
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [3, 16])
def test_wide_cells_equal_the_torch_engine(batch: int, dtype: str) -> None:
    """A vector is units of one seed, or entries of a batch."""
    case = Case("cross_entropy", "adam", "two", batch, "dataset", 5, 3, dtype, "labelled", "variable", "lstm")
    agree(case, hidden=17)


def test_losses_of_wide_cells_are_weighted_step_by_step() -> None:
    agree(Case("squared", "sgd", "one", 3, "dataset", 5, 2, "float64", "every", "variable", "rnn"), hidden=17)


@dataclass(frozen=True)
class Late(Cell):
    """Its parameter's gradient is a product with what the step after it left: h reads n of the step before."""

    def state(self):
        return {"h": State(self.hidden_size), "n": State(self.hidden_size)}

    def parameters(self):
        return {"W": Parameter((self.hidden_size,), 0.7), "b": Parameter((self.hidden_size,), 0.5)}

    def step(self, p, s, x):
        return {"h": torch.tanh(p.W * s.n), "n": 0.9 * s.n + torch.sigmoid(x.now[0]) * p.b}


@pytest.mark.parametrize("batch", [pytest.param(3, marks=pytest.mark.long), 16])
def test_a_gradient_of_what_the_next_step_left_is_of_its_own_step(batch: int) -> None:
    case = Case("squared", "sgd", "one", batch, "dataset", 9, 2, "float64", "labelled", "variable", "rnn")
    task, every = task_of(case), np.arange(2)
    network = cells.Network.of(Late(hidden_size=3, input_size=I), O)
    params = np.stack([network.initial(seed) for seed in range(2)]).astype(float)
    protocol = Protocol(1, optimizer="sgd", batch=batch)
    mine, true = (
        engine(network, task, protocol, [0, 1], dtype=dtype).gradient_of(params, every)
        for engine, dtype in ((Fused, "float64"), (Torch, torch.float64))
    )
    for a, b in zip(mine, true, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.long
@pytest.mark.parametrize(
    ("cell", "network"), [("lstm1997", "both"), ("matrixlstm", "one"), ("attention", "two"), ("lru", "both"), ("esn", "one")]
)
def test_fused_batches_of_further_cells_equal_torch_engine(cell: str, network: str) -> None:
    agree(Case("cross_entropy", "adam", network, 16, "dataset", 9, 3, "float64", "labelled", "variable", cell), hidden=3)
