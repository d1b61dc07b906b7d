"""The fused engines: a kernel derived from the cell's step, compiled by numba, trains groups of lanes for many epochs a call."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import logging
import math
import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ltm.cells import Network
from ltm.engine.base import RUNNING, Engine, PackState, Prediction, Problem, Protocol
from ltm.engine.check import not_repeatable
from ltm.engine.compiler import FeatureLayout, Kernel, Layout, Unsupported, blocks, kernel, trace, vector
from ltm.errors import UserError

log = logging.getLogger(__name__)

UNITS_FROM = 16
"""From this hidden size on a vector is units of one seed: weights of many seeds side by side would fall out of the caches."""

WIDE, VERY_WIDE = 800, 64
"""Steps of at most so many floating-point operations run two, or four, vectors side by side: alone they would wait for one another."""

REALS = ("best_validation", "train_at_best", "best_train", "lr", "weight_decay", "clip")
COUNTS = ("best_epoch", "stale", "epoch", "status")
MATRICES = ("params", "m", "v", "best_params")


@dataclass(frozen=True)
class Compiled:
    """A kernel of one width, its module, and the memory that its calls reuse (by thread)."""

    kernel: Kernel
    module: ModuleType
    dtype: np.dtype
    seed_size: int
    memory: dict[int, tuple[np.ndarray, ...]] = field(default_factory=dict)

    @property
    def lanes(self) -> int:
        return self.kernel.layout.lanes

    def take(self, steps: int, lead: int, thread: int) -> tuple[np.ndarray, ...]:
        """The memory of one group, at 64-byte addresses; the rows before the sequence have the states' initial values."""
        k, sizes = self.kernel, self.sizes(steps, lead)
        if thread not in self.memory or any(len(a) < n for a, n in zip(self.memory[thread], sizes, strict=True)):
            self.memory.pop(thread, None)
            self.memory[thread] = tuple(aligned((n,), self.dtype) for n in sizes)
        rows = self.memory[thread][3][: lead * k.row].reshape(lead, len(k.initial), -1)
        rows[:] = np.array(k.initial, self.dtype)[:, None]
        return tuple(a[None] for a in self.memory[thread])

    def sizes(self, steps: int, lead: int) -> tuple[int, ...]:
        """Elements of the memory of one group: gradient, work, copies of weights, trajectory and scratch."""
        k, width = self.kernel, self.kernel.layout.width
        return k.parameters, k.work + width, k.copies, (steps + lead) * k.row + width, 8 * width

    def pack(self, values: np.ndarray) -> np.ndarray:
        """Values ``(S, N)`` as groups of flat parameters ``(S / lanes, size)``, filled up with copies of the last lane."""
        filled = self.fill(values)
        out = aligned((len(filled) // self.lanes, self.kernel.parameters), self.dtype)
        n = values.shape[1] * self.lanes
        out[:, :n] = filled.reshape(-1, self.lanes, values.shape[1]).transpose(0, 2, 1).reshape(-1, n)
        return out

    def unpack(self, packed: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`pack`, with the lanes that fill up."""
        N = self.seed_size
        return packed[:, : N * self.lanes].reshape(-1, N, self.lanes).transpose(0, 2, 1).reshape(-1, N)

    def fill(self, values: np.ndarray) -> np.ndarray:
        return np.concatenate([values, np.repeat(values[-1:], -len(values) % self.lanes, axis=0)])


class Fused(Engine):
    """Groups of lanes, each taken through all epochs of a call before the next; threads share the groups.

    Args:
        layout: what a vector is, ``seeds`` or ``units``; by the cell's size where it is not given.
        width: lanes of a vector; by the step's cost where it is not given. It changes no bit of a lane of ``seeds``.

    Raises (on construction):
        Unsupported: the cell's step has something that cannot be derived.
        UserError: the step is another program when it is traced again.
    """

    name = "cpu"

    def __init__(
        self,
        network: Network,
        problem: Problem,
        protocol: Protocol,
        threads: int = 1,
        dtype: str = "float32",
        layout: str | None = None,
        width: int | None = None,
    ) -> None:
        super().__init__(network, problem, protocol)
        self.dtype, self.threads = np.dtype(dtype), threads
        processor = self._processor()
        if processor is None:
            raise Unsupported("this processor has no vectors with fused multiply-add (AVX2 or NEON)")
        one = 64 // self.dtype.itemsize  # on every processor, as sums over units depend on it; narrower registers take two or four
        self.vectors = layout or layout_of(network)
        self.layout = Layout(self.vectors, width or one, processor)
        shapes = {name: value.shape[1:] for name, value in network.features(problem.inputs).items()}
        self.traced, again = (trace(network, shapes, self.layout) for _ in range(2))
        if not self.traced.same(again):
            raise not_repeatable(network)
        lengths = {n.data.K for n in self.traced.graph.nodes.values() if n.op == "block" and isinstance(n.data, blocks.Filter)}
        K = max(q.lags for q in network.state().values())  # one table of rates: only filters over the longest window may share it
        self.exponential = dtype == "float32" and lengths == {K} and blocks.EXPONENTIAL_FROM <= K
        self.features, inputs = flatten(network, problem, self.dtype, self.exponential)
        self.inputs = tuple(aligned(part.shape, self.dtype, part) for part in inputs)
        self._compiled: dict[int, Compiled] = {}
        k = self.compiled(self.layout.width).kernel
        self.flops = k.flops
        self.lead = max(k.lead, K + 1 if self.exponential else 0)
        self.widths = [self.layout.width]
        if width is None and self.layout.kind == "seeds":
            self.widths = [one * n for n, most in ((1, math.inf), (2, WIDE), (4, VERY_WIDE)) if sum(k.flops) <= most]
        self._fit()

    def _fit(self) -> None:
        """Take as many threads, and as wide groups, as trajectories fit into memory.

        Raises:
            UserError: not even one fits.
        """
        one = self.compiled(self.widths[0])
        need = sum(one.sizes(self.problem.length, self.lead)) * self.dtype.itemsize
        free = memory_available()
        if need > free:
            raise UserError(
                f"the trajectory of {one.lanes} seeds over {self.problem.length:,} steps takes {need / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB"
                " are free; expected a shorter series, a smaller hidden size, or more memory."
            )
        wanted = self.threads, self.widths[-1]
        while len(self.widths) > 1 and need * self.widths[-1] / self.widths[0] > free:
            self.widths.pop()
        self.threads = max(1, min(self.threads, int(free / (need * self.widths[-1] / self.widths[0]))))
        if (self.threads, self.widths[-1]) != wanted:
            lanes = self.compiled(self.widths[-1]).lanes
            log.warning("memory is short: groups of %d seeds on %d threads (%.1f GiB are free)", lanes, self.threads, free / 2**30)

    def _processor(self) -> vector.Processor | None:
        return vector.processor()

    def compiled(self, width: int) -> Compiled:
        """The kernel of this width; numba compiles it when it is first called."""
        if width not in self._compiled:
            layout = replace(self.layout, width=width)
            k = kernel(self.network, self.traced, self.features, layout, self.dtype.name, self.exponential, self.name)
            self._compiled[width] = Compiled(k, load(k.source), self.dtype, self.network.size)
        return self._compiled[width]

    def compiled_for(self, S: int) -> Compiled:
        """The kernel that takes S lanes: the narrowest that holds them all in one group, else the widest."""
        return self.compiled(next((width for width in self.widths if width >= S), self.widths[-1]))

    def advance(self, state: PackState, epochs: int) -> tuple[np.ndarray, np.ndarray]:
        curves = np.full((2, len(state.status), epochs), np.nan, np.float32)
        lanes = np.flatnonzero(state.status == RUNNING)  # only these are computed
        if not len(lanes):
            return curves[0], curves[1]
        compiled = self.compiled_for(len(state.status))
        width = compiled.lanes
        packed = state.take(compiled.fill(lanes))
        groups = len(packed.status) // width
        matrices = [compiled.pack(getattr(packed, name)) for name in MATRICES]
        reals = np.stack([getattr(packed, name).reshape(groups, width) for name in REALS], 1)
        counts = np.stack([getattr(packed, name).reshape(groups, width) for name in COUNTS], 1)
        new = np.full((groups, 2, epochs, width), np.nan, self.dtype)
        p, real = self.protocol, self.dtype.type
        protocol = (p.max_epochs, p.patience, real(p.min_delta), real(p.beta1), real(p.beta2), real(p.eps))
        end = self.problem.train + self.problem.validation
        self._call(compiled, "advance", (*matrices, reals, counts, new), end, epochs, protocol, self.problem.train, end)
        n = len(lanes)
        for name, matrix in zip(MATRICES, matrices, strict=True):
            getattr(packed, name)[:] = compiled.unpack(matrix)
        for names, values in ((REALS, reals), (COUNTS, counts)):
            for i, name in enumerate(names):
                getattr(packed, name)[:] = values[:, i].reshape(-1)
        state.put(lanes, packed.take(np.arange(n)))
        curves[:, lanes] = new.transpose(1, 0, 3, 2).reshape(2, groups * width, epochs)[:, :n]
        return curves[0], curves[1]

    def gradient(self, params: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Training loss ``(S,)``, validation loss ``(S,)`` and the gradient of the first ``(S, N)``."""
        S, compiled = len(params), self.compiled_for(len(params))
        packed = compiled.pack(params)
        gradient = aligned(packed.shape, self.dtype)
        losses = np.empty((len(packed), 2, compiled.lanes), self.dtype)
        end = self.problem.train + self.problem.validation
        self._call(compiled, "gradients", (packed, gradient, losses), end, self.problem.train, end)
        train, validation = losses.transpose(1, 0, 2).reshape(2, -1)[:, :S]
        return train, validation, compiled.unpack(gradient)[:S]

    def predict(self, params: np.ndarray) -> Prediction:
        S, T, compiled = len(params), self.problem.length, self.compiled_for(len(params))
        k, packed = compiled.kernel, compiled.pack(params)
        slots = np.array([*k.outputs, *k.d], np.int64)
        out = np.empty((len(packed), T, len(slots), compiled.lanes), self.dtype)
        self._call(compiled, "predict", (packed, out), T, slots, self.lead, T)
        by_lane, n = out.transpose(0, 3, 1, 2).reshape(-1, T, len(slots))[:S], len(k.outputs)
        return Prediction(by_lane[..., :n], by_lane[..., n:] if k.d else None)

    def _call(self, compiled: Compiled, entry: str, arrays: tuple[np.ndarray, ...], steps: int, *rest: Any) -> None:
        """Run an entry of the kernel over all groups of ``arrays``, in place; threads share them."""

        def work(thread: int, share: slice) -> None:
            memory = compiled.take(steps, self.lead, thread)
            getattr(compiled.module, entry)(*(a[share] for a in arrays), memory, self.inputs, *rest)

        edges = np.linspace(0, len(arrays[0]), min(self.threads, len(arrays[0])) + 1).round().astype(int)
        shares = [slice(a, b) for a, b in itertools.pairwise(edges)]
        if len(shares) == 1:
            work(0, shares[0])
            return
        with ThreadPoolExecutor(len(shares)) as pool:
            list(pool.map(work, range(len(shares)), shares))


def layout_of(network: Network) -> str:
    """What a vector is, by the cell's size alone: never by the pack."""
    return "units" if network.hidden_size >= UNITS_FROM else "seeds"


def memory_available() -> float:
    """Bytes that a process may still take; no limit where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return math.inf


def aligned(shape: tuple[int, ...], dtype: np.dtype, values: np.ndarray | float = 0.0) -> np.ndarray:
    """An array at a 64-byte address, with a vector of memory behind its end, which kernels may read."""
    n = int(np.prod(shape)) * dtype.itemsize
    raw = np.zeros(n + 1024, np.uint8)
    first = -raw.ctypes.data % 64
    out = raw[first : first + n].view(dtype).reshape(shape)
    if np.any(values):
        out[:] = values
    return out


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
    table = blocks.filter_table(max(q.lags for q in cell.state().values()), exponential)
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

    salt = f"{numba.__version__} {vector.processor()} {Path(str(vector.__file__)).read_text()}"
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
