"""The GPU kernels' logic, under numba's CUDA simulator (a process of its own: the simulator is chosen at import)."""

import os
import subprocess
import sys

import pytest

from ltm.cells import CELLS

COMPARE = """
import sys
import numpy as np
import torch
from ltm import cells
from ltm.engine import PackState, Problem, Protocol
from ltm.engine.cuda import FusedCuda
from ltm.engine.reference import Reference

name, hidden = sys.argv[1], int(sys.argv[2])
x = np.random.default_rng(0).uniform(0, 1, (16, 1))
task = Problem(x[:-1], x[1:], 12, 2)
has_K = hasattr(cells.CELLS[name](), "K")
for K in (1, 25, 100) if has_K and hidden == 1 else (25,):
    network = cells.build({"cell": name, "hidden_size": hidden} | ({"K": K} if has_K else {}), 15)
    fast, reference = FusedCuda(network, task, Protocol(max_epochs=2)), Reference(network, task, Protocol(max_epochs=2), dtype=torch.float64)
    params = np.stack([network.initial(seed) for seed in range(7)])
    mine, true = fast.gradient(params), reference.gradient(params)
    for a, b in zip(mine[:2], true[:2]):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    assert (np.abs(mine[2] - true[2]) / np.abs(true[2]).max(1, keepdims=True)).max() < 1e-4
    np.testing.assert_allclose(fast.predict(params).outputs, reference.predict(params).outputs, atol=1e-5)
    if hidden == 1:
        settings = [np.full(7, value, np.float32) for value in (0.01, 0, 0)]
        a, b = (PackState.start(params, *settings) for _ in range(2))
        curves, expected = fast.advance(a, 3), reference.advance(b, 3)
        np.testing.assert_allclose(curves, expected, rtol=1e-4)
        np.testing.assert_allclose(a.params, b.params, atol=1e-4)
        assert list(a.status) == list(b.status)
if hidden == 1:
    FusedCuda._most_blocks = lambda self, steps: 1
    again = PackState.start(np.concatenate([params] * 5), *(np.tile(x, 5) for x in settings))
    fast.advance(again, 3)
    np.testing.assert_array_equal(again.params[28:], a.params)
"""


@pytest.mark.parametrize(
    ("name", "hidden"),
    [pytest.param(name, H, marks=[] if (name, H) in (("mrnn", 3), ("rwa", 3)) else pytest.mark.long) for name in CELLS for H in (1, 3, 8)],
)
def test_gpu_kernel_equals_reference_under_the_simulator(name: str, hidden: int) -> None:
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}
    done = subprocess.run([sys.executable, "-c", COMPARE, name, str(hidden)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
