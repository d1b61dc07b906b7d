"""The GPU kernels without a GPU: their logic under numba's CUDA simulator, their text through NVIDIA's compiler, and their functions.

The simulator is chosen when numba is imported, so that it runs in processes of its own.
"""

import itertools
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np
import pytest

from ltm import cells
from ltm.engine import Protocol
from ltm.engine.compiler.target import vector
from ltm.engine.cuda import FusedCuda
from ltm.errors import UserError
from tests.ltm.engine.series import DERIVED, series

TASK = series(6)

COMPARE = """
import sys
import numpy as np
import torch
from ltm import cells
from ltm.data.base import forecast
from ltm.engine import PackState, Protocol
from ltm.engine.cuda import FusedCuda
from ltm.engine.torch import Torch
from ltm.training.state import Lane

name, hidden = sys.argv[1], int(sys.argv[2])
x = np.random.default_rng(0).uniform(0, 1, (16, 1))
task = forecast(x[:-1], x[1:], 12, 2)
has_K = hasattr(cells.CELLS[name](), "K")
for K in (1, 25, 100) if has_K and hidden == 1 else (25,):
    network = cells.build({"cell": name, "hidden_size": hidden} | ({"K": K} if has_K else {}), task)
    protocol = Protocol(max_epochs=2, eps=1e-3)  # the rounding of a gradient that is 0, as of attention's b_k, is no direction
    fast, slow = FusedCuda(network, task, protocol), Torch(network, task, protocol, dtype=torch.float64)
    params = np.stack([network.initial(seed) for seed in range(7)])
    mine, true = fast.gradient(params), slow.gradient(params)
    for a, b in zip(mine[:2], true[:2]):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    assert (np.abs(mine[2] - true[2]) / np.abs(true[2]).max(1, keepdims=True)).max() < 1e-4
    np.testing.assert_allclose(fast.predict(params).outputs, slow.predict(params).outputs, atol=1e-5)
    if hidden == 1:
        lanes = [Lane(seed, 0.01, clip=0.05 * (seed == 2), clip_value=0.02 * (seed == 3)) for seed in range(7)]
        a, b = (PackState.start(params, lanes) for _ in range(2))
        curves, expected = np.stack(fast.advance(a, 3)), np.stack(slow.advance(b, 3))
        np.testing.assert_allclose(curves[..., :2], expected, rtol=1e-4)
        np.testing.assert_allclose(a.params, b.params, atol=1e-4)
        assert list(a.status) == list(b.status)
if hidden == 1:
    FusedCuda._most_groups = lambda self, compiled, steps: 1
    again = PackState.start(np.concatenate([params] * 5), lanes * 5)
    fast.advance(again, 3)
    np.testing.assert_array_equal(again.params[28:], a.params)
"""


COMPILE = """
import sys
from types import SimpleNamespace
import numpy as np
from numba import cuda, typeof
from numba.cuda import dispatcher
from numba.cuda.cudadrv import nvvm
from ltm import cells
from ltm.data.base import forecast
from ltm.engine import PackState, Protocol
from ltm.engine.cuda import FusedCuda
from ltm.training.state import Lane

if not nvvm.is_available():
    sys.exit("no libNVVM")
cuda.is_available = lambda: True
dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=(8, 0))
name, hidden, dtype = sys.argv[1], int(sys.argv[2]), sys.argv[3]
x = np.random.default_rng(0).uniform(0, 1, (16, 1))
task = forecast(x[:-1], x[1:], 12, 2)
found = {}

def call(compiled, entry, arrays, steps, *rest):
    memory, inputs = tuple(np.zeros((1, n), dtype) for n in compiled.sizes(steps, engine.lead)), tuple(np.zeros(1, dtype) for _ in range(5))
    found[entry] = [typeof(a) for a in (*map(np.ascontiguousarray, arrays), memory, inputs, *rest)]
    found["start"] = [typeof(memory), typeof(np.zeros(1, dtype))]

for K in (25, 100) if hasattr(cells.CELLS[name](), "K") else (25,):
    network = cells.build({"cell": name, "hidden_size": hidden} | ({"K": K} if hasattr(cells.CELLS[name](), "K") else {}), task)
    engine = FusedCuda(network, task, Protocol(), dtype=dtype)
    engine._call = call
    params = np.stack([network.initial(seed) for seed in range(3)])
    engine.gradient(params), engine.predict(params)
    engine.advance(PackState.start(params, [Lane(seed, 0.01, 0.01, 0.01) for seed in range(3)]), 1)
    module = engine.compiled(32).module
    for entry, types in found.items():
        text, _ = cuda.compile_ptx(getattr(module, entry).py_func, tuple(types), cc=(8, 0))
        assert "fma.rn.f" in text or entry == "start", entry
        doubles = [line for line in text.splitlines() if ".f64" in line and ("fma" in line or "mul" in line) and "0d3BF921FB54442D19" not in line]
        assert dtype == "float64" or entry == "advance" or not doubles, entry  # an epoch is judged in float64; so are angles beyond 1e5 reduced
"""


WITH_ONE_UNIT = ("rnn", "rwa", "mist", "mrnnf", "mrnn", "gru", "lstm", "mlstm")
"""Cells that are run with one unit, too, and trained."""

SIZES = [(name, 3) for name in DERIVED] + [(name, 1) for name in WITH_ONE_UNIT]


@pytest.mark.parametrize(
    ("name", "hidden"), [pytest.param(*size, marks=[] if size in (("mrnn", 3), ("rwa", 3)) else pytest.mark.long) for size in SIZES]
)
def test_gpu_kernel_equals_torch_engine_under_the_simulator(name: str, hidden: int) -> None:
    done = python(COMPARE, name, str(hidden), NUMBA_ENABLE_CUDASIM="1")
    assert done.returncode == 0, done.stderr[-2000:]


PTX = [(name, "float32") for name in ("rwa", "mist", "mrnn", "lstm", "mlstm", "lnlstm", "slstm", "lru", "attention")] + [
    ("mrnn", "float64")
]
"""Cells that have every operation of all the others between them."""


@pytest.mark.long
@pytest.mark.parametrize(("name", "dtype"), PTX)
def test_gpu_kernel_compiles_to_ptx_of_its_own_precision(name: str, dtype: str) -> None:
    toolkit = max(Path("/usr/local").glob("cuda*"), default=None)  # numba looks where CUDA_HOME points
    done = python(COMPILE, name, "3", dtype, **({"CUDA_HOME": str(toolkit)} if toolkit and "CUDA_HOME" not in os.environ else {}))
    if done.stderr.startswith("no libNVVM"):
        pytest.skip("no CUDA toolkit")
    assert done.returncode == 0, done.stderr[-2000:]


def python(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The functions of a GPU's thread 0, for float32 numbers of Python."""
    pytest.importorskip("numba.cuda")
    from ltm.engine.compiler.target import scalar

    def fma(a: np.float32, b: np.float32, c: np.float32) -> np.float32:
        return np.float32(np.float64(a) * np.float64(b) + np.float64(c))

    monkeypatch.setattr(scalar, "cuda", SimpleNamespace(fma=fma, threadIdx=SimpleNamespace(x=0), blockIdx=SimpleNamespace(x=0)))
    out = {name: value.py_func for name, value in vars(scalar).items() if hasattr(value, "py_func")}
    for name, value in out.items():
        monkeypatch.setattr(scalar, name, value)
    return out


def test_gpu_has_every_function_but_those_of_units(functions: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from numba import cuda

    from ltm.engine.compiler.target.scalar import ABSENT

    assert set(vector.functions("float32", 4)) - set(functions) == ABSENT
    assert not ABSENT & set(functions)
    monkeypatch.setattr(cuda, "is_available", lambda: True)
    for name in DERIVED:
        source = FusedCuda(cells.build({"cell": name, "hidden_size": 3}, TASK), TASK, Protocol()).compiled(32).kernel.source
        assert not ABSENT & set(re.findall(r"\w+(?=\()", source)), name


def test_functions_of_a_gpu_are_those_of_vectors(functions: dict[str, Any]) -> None:
    """Infinity and NaN as well, but for what Python's own math refuses to compute."""
    values = [-math.inf, -90.0, -2.5, -1.0, -0.0, 0.0, 0.3, 1.0, 3.0, 1e19, math.inf, math.nan]
    grid = np.array(list(itertools.product(values, values)), np.float32)
    x, y, z = grid[:, 0].copy(), grid[:, 1].copy(), np.roll(grid[:, 1], 5)
    tables = vector.functions("float32", 4)
    takes = {name: count for name, (count, _) in vector.arithmetic(vector.Vector("float32", 4)).items() if name in functions}
    lines = [
        f"        store(out[{i}], i, {name}({', '.join(['load(x, i)', 'load(y, i)', 'load(z, i)'][:count])}))"
        for i, (name, count) in enumerate(takes.items())
    ]
    space = dict(tables)
    exec("\n".join(["def run(x, y, z, out):", "    for i in range(0, len(x), 4):", *lines]), space)
    expected = np.zeros((len(takes), len(x)), np.float32)
    numba.njit(error_model="numpy")(space["run"])(x, y, z, expected)
    checked = 0
    with np.errstate(all="ignore"):
        for (name, count), row in zip(takes.items(), expected, strict=True):
            for *numbers, true in zip(x, y, z, row, strict=True):
                try:
                    mine = functions[name](*numbers[:count])
                except (ValueError, OverflowError):
                    continue
                assert type(mine) is np.float32, name
                np.testing.assert_allclose(mine, true, rtol=1e-5, atol=1e-6, err_msg=f"{name}{numbers[:count]}")
                checked += 1
    assert checked > 0.9 * expected.size


def test_numba_without_cuda_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba.cuda", None)
    monkeypatch.delattr(numba, "cuda", raising=False)
    with pytest.raises(UserError, match=r"needs numba.cuda .*pip install 'ltm\[gpu\]'"):
        FusedCuda(cells.build({"cell": "rnn", "hidden_size": 3}, TASK), TASK, Protocol())
