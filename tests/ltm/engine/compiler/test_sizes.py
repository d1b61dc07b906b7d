"""Fused equals torch engine over cells, sizes, lanes, lengths and number types: every pair of them in a few kernels. The whole product of them is
run by tests/manual/every_size.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
import torch

from ltm import cells
from ltm.cells import CELLS
from ltm.engine import Protocol
from ltm.engine.fused import Fused
from ltm.engine.torch import Torch
from tests.ltm.engine.covers import cover, covered
from tests.ltm.engine.series import DERIVED, outputs, series


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


MORE = ("mgu", "lstm1997", "lnlstm", "peephole", "slstm", "matrixlstm", "lru", "attention", "esn", "filtered", "feedforward")
"""Cells whose operations the others have, too: at two sizes."""

OTHERS: tuple[Sequence[str | int], ...] = ((1, 3), (1, 7, 100), (1, 2, 63), ("float32", "float64"))
AXES: tuple[Sequence[str | int], ...] = (tuple(name for name in DERIVED if name not in MORE), (1, 3, 16, 17, 64, 130), *OTHERS)

K = 25
"""Filter length of the cells that have one."""


def agree(case: Case) -> None:
    """Losses and outputs are close, and every gradient within a share of the lane's largest.

    The torch engine runs only the first and last lanes of many units.
    """
    model = {"cell": case.cell, "hidden_size": case.hidden} | ({"K": K} if hasattr(CELLS[case.cell](), "K") else {})
    task = series(case.length, case.inputs)
    network = cells.build(model, task)
    fast, slow = Fused(network, task, Protocol(), dtype=case.dtype), Torch(network, task, Protocol(), dtype=torch.float64)
    params = np.stack([network.initial(seed) for seed in range(case.lanes)]).astype(case.dtype)
    known = slice(None) if case.hidden < 16 else sorted({0, 1 % case.lanes, case.lanes - 1})
    slow.sizes = len(params[known]), 1  # no block is filled up
    true = *slow.gradient(params[known]), outputs(slow, params[known])
    found = *fast.gradient(params), outputs(fast, params)
    loss, validation, gradient, said = (part[known] for part in found)
    close, relative = (1e-5, 1e-4) if case.dtype == "float32" else (1e-10, 1e-10)
    if case.dtype == "float32" and case.cell == "lnlstm":  # three units that are nearly equal are divided by their small deviation
        close, relative = 1e-4, 1e-3
    np.testing.assert_allclose(loss, true[0], rtol=close, atol=close)
    np.testing.assert_allclose(validation, true[1], rtol=close, atol=close)
    np.testing.assert_allclose(said, true[3], rtol=0, atol=close)
    scale = np.maximum(np.abs(true[2]).max(1, keepdims=True), 1e-300)
    assert (np.abs(gradient - true[2]) / scale).max() < relative


COVER = [Case(*values) for values in cover(AXES)]  # type: ignore[arg-type]
FURTHER = [Case(*values) for values in cover((MORE, (3, 17), *OTHERS))]  # type: ignore[arg-type]
QUICK = [
    *(Case(*values) for values in cover((("rnn", "rwa", "lstm"), (1, 3), (1, 3), (1, 100), (63,), ("float32",)))),
    Case("rnn", 17, 3, 7, 63, "float32"),
]
"""Small enough for every check."""


def test_the_cover_has_every_pair_in_few_kernels() -> None:
    covered(AXES, COVER, 70)


@pytest.mark.parametrize("case", QUICK, ids=[case.name for case in QUICK])
def test_fused_equals_torch_engine(case: Case) -> None:
    agree(case)


@pytest.mark.long
@pytest.mark.parametrize("case", [*COVER, *FURTHER], ids=[case.name for case in [*COVER, *FURTHER]])
def test_fused_equals_torch_engine_at_every_pair(case: Case) -> None:
    agree(case)
