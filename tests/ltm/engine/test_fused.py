"""The fused engine against the torch engine on a series: losses, outputs and every parameter's gradient; and what it does where it cannot."""

import itertools
import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from ltm import cells, filters
from ltm.cells import CELLS, Cell, Network
from ltm.cells.peephole import VARIANTS
from ltm.cells.rnn import RNN
from ltm.engine import PackState, Protocol, choose, fused, modules
from ltm.engine.compiler import blocks
from ltm.engine.fused import Fused
from ltm.engine.torch import Torch
from ltm.errors import UserError
from ltm.training.state import Lane
from tests.ltm.engine.series import DERIVED, outputs, series


def engines(name: str, hidden: int, K: int, T: int, /, dtype: str, **options: object) -> tuple[Fused, Torch]:
    model = {"cell": name, "hidden_size": hidden} | ({"K": K} if hasattr(CELLS[name](), "K") else {}) | options
    protocol, task = Protocol(max_epochs=30), series(T)
    network = cells.build(model, task)
    return Fused(network, task, protocol, dtype=dtype), Torch(network, task, protocol, dtype=torch.float64)


def agree(name: str, hidden: int, K: int, T: int, /, dtype: str, close: float, relative: float, most: int = 100, **options: object) -> None:
    """Losses and outputs within ``close``, every gradient within ``relative`` of the lane's largest; alone, of 7 and of ``most`` lanes.

    A lane that happens to start where its gradient vanishes is held to a hundredth of what lanes usually have.
    """
    fast, slow = engines(name, hidden, K, T, dtype, **options)
    params = np.stack([fast.network.initial(seed) for seed in range(most)]).astype(dtype)
    true_loss, true_validation, true_gradient = slow.gradient(params)
    scale = np.abs(true_gradient).max(1, keepdims=True)
    scale = np.maximum(scale, 0.01 * np.median(scale))
    for lanes in (1, 7, most):
        loss, validation, gradient = fast.gradient(params[:lanes])
        np.testing.assert_allclose(loss, true_loss[:lanes], rtol=close, atol=close)
        np.testing.assert_allclose(validation, true_validation[:lanes], rtol=close, atol=close)
        assert (np.abs(gradient - true_gradient[:lanes]) / scale[:lanes]).max() < relative
    np.testing.assert_allclose(outputs(fast, params), outputs(slow, params), rtol=0, atol=close)


def precision(name: str) -> tuple[str, float, float]:
    """In which numbers a cell is compared, and how closely. An LNLSTM divides by the deviation of few numbers, which magnifies float32's rounding."""
    return ("float64", 1e-10, 1e-10) if name == "lnlstm" else ("float32", 1e-5, 1e-4)


QUICK = ("rnn", "rnn2", "rwa", "mist", "mrnnf", "mrnn", "gru", "lstm1997", "lstm", "mlstmf", "mlstm")
"""Cells whose kernel is compiled in every check."""


@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.long) for name in DERIVED])
def test_fused_equals_torch_engine_at_an_odd_size(name: str) -> None:
    agree(name, 3, 25, 63, *precision(name), most=16)  # one kernel each


@pytest.mark.long
@pytest.mark.parametrize("name", DERIVED)
def test_fused_equals_torch_engine_at_every_length(name: str) -> None:
    """Sizes, inputs and float64: ``compiler/test_sizes.py``."""
    for T, K in itertools.product((1, 2, 63, 500), (1, 25, 100) if hasattr(CELLS[name](), "K") else (0,)):
        agree(name, 1, K, T, *precision(name))


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(("peephole", {"variant": variant}) for variant in (*VARIANTS, "CIFG+FGR")),
        ("gru", {"reset": "before"}),
        ("lstm1997", {"block_size": 2, "truncated": True, "gate_recurrence": True}),
        ("slstm", {"heads": 2, "forget_gate": "exp"}),
        ("matrixlstm", {"heads": 2}),
        ("attention", {"heads": 2, "window": 5}),
        ("esn", {"leak": 0.3}),
        *(("mrnn", {"decay": decay}) for decay in ("exponential", "power", "tempered", "free")),
        *(("mlstm", {"decay": decay}) for decay in ("exponential", "power", "tempered", "gegenbauer")),
        ("mrnnf", {"decay": "tempered"}),
        ("mlstmf", {"decay": "gegenbauer"}),
        ("filtered", {"decay": "tempered"}),
        ("gru", {"cells": ["filtered", "gru"], "decay": "gegenbauer", "K": 12}),
        ("feedforward", {"cells": ["filtered", "feedforward"], "activation": "relu", "K": 12}),
    ],
)
def test_fused_equals_torch_engine_with_options(name: str, options: dict) -> None:
    agree(name, 4, 25, 63, "float32", 1e-5, 1e-4, most=16, **options)


def test_fused_equals_torch_engine_with_a_filter_that_swings() -> None:
    """The decay of the most involved recurrence; the others: the test before."""
    agree("mrnn", 1, 25, 63, "float32", 1e-5, 1e-4, most=16, decay="gegenbauer")


@pytest.mark.long
@pytest.mark.parametrize(("name", "decay"), [("mrnn", "tempered"), ("mlstm", "gegenbauer"), ("mlstm", "power")])
def test_filters_of_other_decays_in_float64_and_with_units_as_vectors(name: str, decay: str) -> None:
    agree(name, 2, 70, 63, "float64", 1e-10, 1e-10, most=3, decay=decay)  # longer than the sequence
    agree(name, 17, 12, 40, "float32", 1e-5, 1e-4, most=3, decay=decay)


@pytest.mark.long
@pytest.mark.parametrize("name", ["mlstm", "mlstmf"])
def test_long_filters_on_states_run_as_exponentials_with_exact_truncation(name: str) -> None:
    agree(name, 1, 40, 500, "float32", 1e-5, 1e-4)  # much shorter than the sequence: what lies 41 steps back must be gone
    agree(name, 1, 500, 500, "float32", 1e-5, 1e-4)


@pytest.mark.parametrize("K", [32, 100, 1000, 4000])
def test_exponentials_equal_the_weights(K: int) -> None:
    rates, coefficients = blocks.exponentials(K)
    for d in np.linspace(0.001, 0.499, 40):
        amplitudes = np.polynomial.chebyshev.chebvander(4 * d - 1, len(coefficients) - 1)[0] @ coefficients
        assert np.abs(rates ** np.arange(K)[:, None] @ amplitudes - filters.weights(d, K)).max() < 1e-6
        assert np.abs(amplitudes).sum() < 3


def test_training_follows_the_torch_engine() -> None:
    fast, slow = engines("lstm", 1, 1, 63, "float64")
    start = np.stack([fast.network.initial(seed) for seed in range(5)]).astype(np.float64)
    lanes = [Lane(seed, 0.01, 1e-4, 0.05 * (seed == 2), 0.02 * (seed == 3)) for seed in range(5)]
    mine, theirs = (PackState.start(start, lanes) for _ in range(2))
    a, b = np.stack(fast.advance(mine, 40)), np.stack(slow.advance(theirs, 40))
    np.testing.assert_allclose(a[..., :30], b, rtol=1e-5)
    assert np.isnan(a[..., 30:]).all()
    np.testing.assert_allclose(mine.params, theirs.params, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(mine.status, theirs.status)
    np.testing.assert_array_equal(mine.best_epoch, theirs.best_epoch)


@dataclass(frozen=True)
class Odd(RNN):
    """A cell with an operation that the derivation does not know."""

    def step(self, p, s, x):
        return {"h": torch.lgamma(p.W_ih @ x.now + p.W_hh @ s.h)}


def test_an_unknown_operation_is_named_with_its_line_and_runs_on_the_torch_engine(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        engine = choose("auto", Network.of(Odd()), series(10), Protocol())
    assert engine.name == "torch"
    assert "'lgamma'" in caplog.text
    assert "test_fused.py" in caplog.text
    with pytest.raises(UserError, match="finds no NVIDIA GPU"):
        choose("cuda", Network.of(RNN()), series(10), Protocol())
    with pytest.raises(UserError, match="engine=cpu does not cover Odd"):
        choose("cpu", Network.of(Odd()), series(10), Protocol())


def test_convolutions_run_on_the_torch_engine(caplog: pytest.LogCaptureFixture) -> None:
    task = series(10, 6)
    network = cells.build({"cell": "convlstm", "hidden_size": 12, "rows": 2, "columns": 3}, task)
    with caplog.at_level(logging.INFO):
        assert choose("auto", network, task, Protocol()).name == "torch"
    assert "'conv2d'" in caplog.text


@dataclass(frozen=True)
class Everything(Cell):
    """Uses every pointwise operation that the derivation knows."""

    def parameters(self):
        return {"W": cells.Parameter((3, 2), 0.7), "b": cells.Parameter((3,), 0.5)}

    def step(self, p, s, x):
        u = p.W @ torch.cat([x.now, s.h]) + p.b
        a, b, c = u.chunk(3)
        v = torch.log(1.0 + torch.exp(a)) + torch.sqrt(1.0 + b**2) - torch.relu(c) / (2.0 + torch.abs(b))
        w = torch.softmax(u, 0).sum() * torch.minimum(a, b) + torch.clamp(c, -0.1, 0.1) - torch.maximum(v, -v) * 0.1
        return {"h": torch.sigmoid(v) * torch.tanh(w.reshape(1)) + u.mean()}


@dataclass(frozen=True)
class TwoFilters(Cell):
    """Filters of two lengths over one state, and a longer window than either."""

    def state(self):
        return {"h": cells.State(self.hidden_size, lags=90)}

    def parameters(self):
        return {"W": cells.Parameter((self.hidden_size, 1), 0.7), "b": cells.Parameter((self.hidden_size,), 0.5)}

    def step(self, p, s, x):
        d = 0.5 * torch.sigmoid(p.b)
        past = filters.direct(s.h[:40], d) + 0.5 * filters.direct(s.h[:7], 0.5 * d) + 0.1 * s.h[89]
        return {"h": torch.tanh(p.W @ x.now - past)}


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.long)])
def test_filters_of_several_lengths_keep_to_their_own(dtype: str) -> None:
    cell, task = Network.of(TwoFilters(hidden_size=2)), series(150)
    params = np.stack([cell.initial(seed) for seed in range(5)]).astype(dtype)
    true = Torch(cell, task, Protocol(), dtype=torch.float64).gradient(params)
    for mine, theirs in zip(Fused(cell, task, Protocol(), dtype=dtype).gradient(params), true, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4 if dtype == "float32" else 1e-9, atol=1e-6 if dtype == "float32" else 1e-12)


def test_every_operation_is_differentiated_rightly() -> None:
    cell, task = Network.of(Everything()), series(40)
    fast = Fused(cell, task, Protocol(), dtype="float64")
    params = np.stack([cell.initial(seed) for seed in range(20)]).astype(np.float64)
    true = Torch(cell, task, Protocol(), dtype=torch.float64).gradient(params)
    for mine, theirs in zip(fast.gradient(params), true, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


def test_a_corrupt_kernel_cache_is_rebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTM_CACHE_DIR", str(tmp_path))
    params = Network.of(RNN()).initial(0)[None]

    def gradient() -> np.ndarray:
        modules.load.cache_clear()
        return Fused(Network.of(RNN()), series(20), Protocol()).gradient(params)[2]

    expected = gradient()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.write_bytes(b"broken")
    np.testing.assert_array_equal(gradient(), expected)


LOAD = """
import sys, time
from pathlib import Path
from ltm.engine import modules
here, me = Path(sys.argv[1]), sys.argv[2]
(here / me).touch()
while len(list(here.glob("ready*"))) < 3:
    time.sleep(0.001)
for i in range(100):
    modules.load(f"import numba\\n@numba.njit(cache=True)\\ndef f(x):\\n    return x + {i}\\n")
"""


def test_processes_that_make_one_kernel_at_once_keep_out_of_each_others_way(tmp_path: Path) -> None:
    environment = os.environ | {"LTM_CACHE_DIR": str(tmp_path / "kernels")}
    command = [sys.executable, "-c", LOAD, str(tmp_path)]
    started = [subprocess.Popen([*command, f"ready{i}"], env=environment, stderr=subprocess.PIPE, text=True) for i in range(3)]
    said = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0] * 3, said
    assert not any("cannot be used" in words for words in said), said


def test_threads_and_groups_are_cut_to_the_memory_that_is_free(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    network, task = Network.of(RNN()), series(1000)
    roomy = Fused(network, task, Protocol(), threads=8)
    need = sum(roomy.compiled(16).sizes(task.steps, roomy.lead)) * 4
    monkeypatch.setattr(fused, "memory_available", lambda: 2.5 * need)
    with caplog.at_level(logging.WARNING):
        tight = Fused(network, task, Protocol(), threads=8)
    assert (tight.threads, tight.widths) == (1, [16, 32])
    assert "memory is short: groups of 32 seeds on 1 threads" in caplog.text
    params = np.stack([network.initial(seed) for seed in range(40)])
    np.testing.assert_array_equal(tight.gradient(params)[2], roomy.gradient(params)[2])
    monkeypatch.setattr(fused, "memory_available", lambda: 0.5 * need)
    with pytest.raises(UserError, match="trajectory of 16 seeds over 1,002 steps takes .* GiB"):
        Fused(network, task, Protocol())


SOURCE = """
import numpy as np
from ltm import cells
from ltm.data.base import forecast
from ltm.engine import Protocol
from ltm.engine.fused import Fused
x = np.ones((9, 2))
task = forecast(x[:-1], x[1:, :1], 6, 1)
print(Fused(cells.build({"cell": "lstm", "hidden_size": 17}, task), task, Protocol()).compiled(16).kernel.source)
"""


def test_every_process_prints_the_same_kernel() -> None:
    """Else none would find in the cache what another has compiled."""
    first, second = (subprocess.run([sys.executable, "-c", SOURCE], capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert "store_head" in first
    assert first == second
