"""The fused engines: a kernel derived from the cell's step, compiled by numba, trains blocks of lanes for many epochs a call."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import logging
import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import numpy as np

from ltm.cells import Network
from ltm.engine import macros, runtime
from ltm.engine.base import RUNNING, Engine, PackState, Prediction, Problem, Protocol
from ltm.engine.check import not_repeatable
from ltm.engine.emit import FeatureLayout
from ltm.engine.kernel import print_kernel
from ltm.engine.trace import trace

log = logging.getLogger(__name__)

WIDTH = 16
"""Lanes of a block: one 512-bit vector of float32. A pack is filled up to whole blocks, so that every lane meets the same
instructions in any company."""

LARGEST_HIDDEN = 16
"""Beyond this hidden size, matrix products dominate and the reference engine is the better one."""

REALS = ("best_validation", "train_at_best", "best_train", "lr", "weight_decay", "clip")
COUNTS = ("best_epoch", "stale", "epoch", "status")
MATRICES = ("params", "m", "v", "best_params")


class Fused(Engine):
    """Blocks of 16 lanes, each taken through all epochs of a call before the next; threads share the blocks.

    Raises (on construction):
        Unsupported: the cell's step has something that cannot be derived.
        UserError: the step is another program when it is traced again.
    """

    name = "cpu"
    width = WIDTH

    def __init__(self, cell: Network, problem: Problem, protocol: Protocol, threads: int = 1, dtype: str = "float32") -> None:
        super().__init__(cell, problem, protocol)
        self.dtype, self.threads = np.dtype(dtype), threads
        shapes = {name: value.shape[1:] for name, value in cell.features(problem.inputs).items()}
        traced, again = trace(cell, shapes), trace(cell, shapes)
        if not traced.same(again):
            raise not_repeatable(cell)
        lengths = {node.data[2] for node in traced.graph.nodes.values() if node.op == "filter"}
        K = max(q.lags for q in cell.state().values())  # one table of rates: only filters over the longest window may share it
        exponential = dtype == "float32" and lengths == {K} and macros.EXPONENTIAL_FROM <= K
        layout, self.inputs = flatten(cell, problem, self.dtype, exponential)
        self.kernel = print_kernel(cell, traced, layout, self.width, dtype, exponential, self.name)
        self.lead = max(self.kernel.lead, K + 1 if exponential else 0)
        self.module = load(self.kernel.source)

    def _memory(self, steps: int, blocks: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Work arrays and trajectories, one each of ``blocks``, the rows before the sequence at the states' initial values."""
        k = self.kernel
        trajectory = np.zeros((blocks, steps + self.lead, k.row, self.width), self.dtype)
        trajectory[:, : self.lead] = np.array(k.initial, self.dtype)[:, None]
        return np.zeros((blocks, k.work * self.width), self.dtype), trajectory.reshape(blocks, -1)

    def _shares(self, blocks: int) -> list[slice]:
        """Blocks for each thread."""
        edges = np.linspace(0, blocks, min(self.threads, blocks) + 1).round().astype(int)
        return [slice(a, b) for a, b in itertools.pairwise(edges)]

    def advance(self, state: PackState, epochs: int) -> tuple[np.ndarray, np.ndarray]:
        curves = np.full((2, len(state.status), epochs), np.nan, np.float32)
        lanes = np.flatnonzero(state.status == RUNNING)
        if not len(lanes):
            return curves[0], curves[1]
        filled = np.concatenate([lanes, np.repeat(lanes[-1:], -len(lanes) % self.width)])  # only running lanes are computed
        blocks = len(filled) // self.width
        packed = state.take(filled)
        matrices = [self._packed(getattr(packed, name)) for name in MATRICES]
        reals = np.stack([getattr(packed, name).reshape(blocks, self.width) for name in REALS], 1)
        counts = np.stack([getattr(packed, name).reshape(blocks, self.width) for name in COUNTS], 1)
        new = np.full((blocks, 2, epochs, self.width), np.nan, self.dtype)
        p = self.protocol
        real = self.dtype.type
        protocol = (p.max_epochs, p.patience, real(p.min_delta), real(p.beta1), real(p.beta2), real(p.eps))
        end = self.problem.train + self.problem.validation

        arrays = (*matrices, reals, counts)
        self._advance(epochs, arrays, protocol, end, new)
        n = len(lanes)
        for name, matrix in zip(MATRICES, matrices, strict=True):
            getattr(packed, name)[:] = matrix.transpose(0, 2, 1).reshape(blocks * self.width, -1)
        for names, values in ((REALS, reals), (COUNTS, counts)):
            for i, name in enumerate(names):
                getattr(packed, name)[:] = values[:, i].reshape(-1)
        state.put(lanes, packed.take(np.arange(n)))
        curves[:, lanes] = new.transpose(1, 0, 3, 2).reshape(2, blocks * self.width, epochs)[:, :n]
        return curves[0], curves[1]

    def _advance(self, epochs: int, arrays: tuple[np.ndarray, ...], protocol: tuple[float, ...], end: int, curves: np.ndarray) -> None:
        """Run the kernel over all blocks, in place; threads share them."""

        def work(share: slice) -> None:
            memory = self._memory(end)
            mine = (x[share] for x in arrays)
            self.module.advance(epochs, *mine, protocol, *memory, *self.inputs, self.problem.train, end, curves[share])

        shares = self._shares(len(curves))
        if len(shares) == 1:
            work(shares[0])
            return
        with ThreadPoolExecutor(len(shares)) as pool:
            list(pool.map(work, shares))

    def gradient(self, params: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Training loss ``(S,)``, validation loss ``(S,)`` and the gradient of the first ``(S, N)``."""
        S = len(params)
        packed = self._packed(params)
        gradient = np.empty_like(packed)
        losses = np.empty((len(packed), 2, self.width), self.dtype)
        end = self.problem.train + self.problem.validation
        self._call("gradients", (packed, gradient, losses), end, self.problem.train, end)
        flat = losses.transpose(1, 0, 2).reshape(2, -1)[:, :S]
        return flat[0], flat[1], gradient.transpose(0, 2, 1).reshape(-1, self.network.size)[:S]

    def predict(self, params: np.ndarray) -> Prediction:
        S, k = len(params), self.kernel
        packed = self._packed(params)
        slots = np.array([*k.outputs, *k.d], np.int64)
        out = np.empty((len(packed), self.problem.length, len(slots), self.width), self.dtype)
        self._call("predict", (packed, slots, out), self.problem.length, self.problem.length)
        by_lane = out.transpose(0, 3, 1, 2).reshape(-1, self.problem.length, len(slots))[:S]
        n = len(k.outputs)
        return Prediction(by_lane[..., :n], by_lane[..., n:] if k.d else None)

    def _call(self, entry: str, arrays: tuple[np.ndarray, ...], steps: int, *numbers: int) -> None:
        """One call of an entry of the kernel that goes through the sequence once."""
        getattr(self.module, entry)(*arrays, *self._memory(steps), *self.inputs, *numbers)

    def _packed(self, params: np.ndarray) -> np.ndarray:
        """Parameters ``(S, N)`` as blocks ``(S / W, N, W)``, filled up with copies of the last lane."""
        filled = np.concatenate([params, np.repeat(params[-1:], -len(params) % self.width, axis=0)]).astype(self.dtype)
        return np.ascontiguousarray(filled.reshape(-1, self.width, params.shape[1]).transpose(0, 2, 1))


def flatten(cell: Network, problem: Problem, dtype: np.dtype, exponential: bool) -> tuple[FeatureLayout, tuple[np.ndarray, ...]]:
    """All features and targets in flat arrays; a window over past inputs is stored once, not K times."""
    rows: dict[str, int] = {}
    windows: dict[str, tuple[int, int, int]] = {}
    columns, padded, width, offset = [], [np.zeros(0)], 0, 0
    for name, value in {**cell.features(problem.inputs), "target": problem.targets}.items():
        if value.ndim == 3 and value.strides[1] == -value.strides[0]:
            windows[name] = (offset, value.shape[1], value.shape[2])
            padded.append(np.concatenate([value[0, :0:-1], value[:, 0]]).ravel())
            offset += len(padded[-1])
        else:
            rows[name] = width
            columns.append(value.reshape(problem.length, -1))
            width += columns[-1].shape[1]
    scale = np.array([2.0 / (problem.train * problem.targets.shape[1])])
    table = macros.filter_table(max(q.lags for q in cell.state().values()), exponential)
    flat = (np.concatenate([scale, np.concatenate(columns, axis=1).ravel()]), np.concatenate(padded), table)
    return FeatureLayout(width, rows, windows), tuple(part.astype(dtype) for part in flat)


def cache_folder() -> Path:
    """Where compiled kernels are kept: ``LTM_CACHE_DIR``, or the user's cache."""
    named = os.environ.get("LTM_CACHE_DIR")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ltm" / "kernels"


@lru_cache(maxsize=256)
def load(source: str) -> ModuleType:
    """The module of a generated source, compiled code cached on disk. A damaged cache entry is made anew."""
    import numba

    salt = f"{numba.__version__} {Path(runtime.__file__).read_text()}"
    name = f"k{hashlib.sha256((salt + source).encode()).hexdigest()[:20]}"
    folder = cache_folder() / name
    try:
        return load_from(folder, name, source)
    except OSError as error:
        temporary = Path(tempfile.mkdtemp(prefix="ltm-kernels-"))
        log.warning("kernel cache %s cannot be used (%s); kernels of this process go to %s", folder, error, temporary)
        return load_from(temporary / name, name, source)


def load_from(folder: Path, name: str, source: str) -> ModuleType:
    path = folder / f"{name}.py"
    if not path.exists() or path.read_text() != source:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{os.getpid()}"
        temporary.write_text(source)
        temporary.replace(path)
    spec = importlib.util.spec_from_file_location(f"ltm_kernel_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # numba's cache imports it by name
    spec.loader.exec_module(module)
    return module
