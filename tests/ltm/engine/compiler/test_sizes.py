"""Fused equals reference over cells, sizes, lanes, lengths and number types: every pair of them in a few kernels. The whole product of them is
run by tests/manual/every_size.py."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
import torch

from ltm import cells
from ltm.cells import CELLS
from ltm.engine import Problem, Protocol
from ltm.engine.fused import Fused
from ltm.engine.reference import Reference


class Case(NamedTuple):
    cell: str
    hidden: int
    inputs: int
    lanes: int
    length: int
    dtype: str

    @property
    def name(self) -> str:
        return "-".join(map(str, self))


AXES: tuple[Sequence[str | int], ...] = (tuple(CELLS), (1, 3, 16, 17, 64, 130), (1, 3), (1, 7, 100), (1, 2, 63), ("float32", "float64"))

K = 25
"""Filter length of the cells that have one."""


def pairs(case: Sequence[object]) -> set[tuple[int, object, int, object]]:
    return {(i, case[i], j, case[j]) for i, j in itertools.combinations(range(len(case)), 2)}


def cover(axes: Sequence[Sequence[str | int]]) -> list[Case]:
    """Cases with every pair of values of two axes: each next one has the most pairs that are not there yet, the first of equals."""
    every = {case: pairs(case) for case in itertools.product(*axes)}
    left = set().union(*every.values())
    found = []
    while left:
        best = max(every, key=lambda case: len(every[case] & left))
        found.append(Case(*best))  # type: ignore[arg-type]
        left -= every[best]
    return found


@cache
def problem(length: int, inputs: int) -> Problem:
    rng = np.random.default_rng(length)
    return Problem(rng.uniform(0, 1, (length + 1, inputs)), rng.uniform(0, 1, (length + 1, 1)), length, 1)


def agree(case: Case) -> None:
    """Losses and outputs are close, and every gradient within a share of the lane's largest.

    The reference runs only the first and last lanes of many units: it needs seconds for each.
    """
    model = {"cell": case.cell, "hidden_size": case.hidden} | ({"K": K} if hasattr(CELLS[case.cell](), "K") else {})
    network, task = cells.build(model, case.length, case.inputs), problem(case.length, case.inputs)
    fast, reference = Fused(network, task, Protocol(), dtype=case.dtype), Reference(network, task, Protocol(), dtype=torch.float64)
    params = np.stack([network.initial(seed) for seed in range(case.lanes)]).astype(case.dtype)
    known = slice(None) if case.hidden < 16 else sorted({0, 1 % case.lanes, case.lanes - 1})
    true = reference_of(reference, params[known])
    found = *fast.gradient(params), fast.predict(params).outputs
    loss, validation, gradient, outputs = (part[known] for part in found)
    close, relative = (1e-5, 1e-4) if case.dtype == "float32" else (1e-10, 1e-10)
    np.testing.assert_allclose(loss, true[0], rtol=close, atol=close)
    np.testing.assert_allclose(validation, true[1], rtol=close, atol=close)
    np.testing.assert_allclose(outputs, true[3], rtol=0, atol=close)
    scale = np.maximum(np.abs(true[2]).max(1, keepdims=True), 1e-300)
    assert (np.abs(gradient - true[2]) / scale).max() < relative


def reference_of(reference: Reference, params: np.ndarray) -> tuple[np.ndarray, ...]:
    """Losses, gradients and outputs; of few lanes without filling them up to a block."""
    if len(params) > 7:
        return *reference.gradient(params), reference.predict(params).outputs
    leaf = torch.as_tensor(params, dtype=torch.float64).requires_grad_()
    outputs, _ = reference._run(leaf, reference.problem.length)
    error = ((outputs - reference.targets) ** 2).mean(-1)
    train = reference.problem.train
    loss, validation = error[:, :train].mean(1), error[:, train:].mean(1)
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    return tuple(part.detach().numpy() for part in (loss, validation, gradient, outputs))


COVER = cover(AXES)
QUICK = [*cover((("rnn", "rwa", "lstm"), (1, 3), (1, 3), (1, 100), (63,), ("float32",))), Case("rnn", 17, 3, 7, 63, "float32")]
"""Small enough for every check."""


def test_the_cover_has_every_pair_in_few_kernels() -> None:
    assert set().union(*map(pairs, COVER)) == set().union(*map(pairs, itertools.product(*AXES)))
    assert len(COVER) <= 60
    assert cover(AXES) == COVER


@pytest.mark.parametrize("case", QUICK, ids=[case.name for case in QUICK])
def test_fused_equals_reference(case: Case) -> None:
    agree(case)


@pytest.mark.long
@pytest.mark.parametrize("case", COVER, ids=[case.name for case in COVER])
def test_fused_equals_reference_at_every_pair(case: Case) -> None:
    agree(case)
