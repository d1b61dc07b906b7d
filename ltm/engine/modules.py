"""Generated modules: written to a cache, imported, and compiled by numba when they are called; and the memory that their calls reuse."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import shutil
import sys
import tempfile
import uuid
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import numpy as np

from ltm.engine.compiler import Kernel
from ltm.engine.compiler.target import assembler, vector
from ltm.engine.inputs import aligned
from ltm.machine import user_cache

log = logging.getLogger(__name__)


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

    def take(self, steps: int, lead: int, thread: int, gathered: tuple[int, ...] = ()) -> tuple[np.ndarray, ...]:
        """The memory of one group, at 64-byte addresses; the rows before the sequence have the states' initial values.

        ``gathered``: vectors of inputs, padded inputs, targets and weights that are gathered there.
        """
        k, layout = self.kernel, self.kernel.layout
        sizes = (*self.sizes(steps, lead), *(n * layout.row for n in gathered))
        if thread not in self.memory or any(len(a) < n for a, n in zip(self.memory[thread], sizes, strict=False)):
            self.memory.pop(thread, None)
            self.memory[thread] = tuple(aligned((n,), self.dtype) for n in sizes)
        rows = self.memory[thread][4][: lead * k.row].reshape(lead, len(k.initial), -1)
        rows[:] = np.array(k.initial, self.dtype)[:, None]
        return tuple(a[None] for a in self.memory[thread])

    def sizes(self, steps: int, lead: int) -> tuple[int, ...]:
        """Elements of the memory of one group: gradient, work, what is carried, copies of weights, trajectory and scratch."""
        k, width = self.kernel, self.kernel.layout.row
        return k.parameters, k.work + width, k.carry + width, k.copies, (steps + 2 * lead) * k.row + width, k.scratch

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

    def slots(self, values: np.ndarray) -> np.ndarray:
        """An optimiser's slots ``(S, k, N)`` as groups of them one after another."""
        parts = [self.pack(values[:, i]) for i in range(values.shape[1])]
        out = aligned((len(self.fill(values)) // self.lanes, len(parts) * self.kernel.parameters), self.dtype)
        if parts:
            out[:] = np.concatenate(parts, 1)
        return out

    def unslot(self, packed: np.ndarray, k: int) -> np.ndarray:
        """The inverse of :meth:`slots`."""
        return (
            np.stack([self.unpack(part) for part in np.split(packed, k, 1)], 1)
            if k
            else np.zeros((len(packed) * self.lanes, 0, self.seed_size))
        )

    def fill(self, values: np.ndarray) -> np.ndarray:
        return np.concatenate([values, np.repeat(values[-1:], -len(values) % self.lanes, axis=0)])

    def grouped(self, values: np.ndarray) -> np.ndarray:
        """Values by lane ``(S, ...)`` as groups of lanes, filled up."""
        filled = self.fill(values)
        return np.ascontiguousarray(filled.reshape(-1, self.lanes, *values.shape[1:]))


def cache_folder() -> Path:
    """Where compiled kernels are kept: ``LTM_CACHE_DIR``, or the user's cache."""
    named = os.environ.get("LTM_CACHE_DIR")
    return Path(named) if named else user_cache() / "kernels"


@lru_cache(maxsize=256)
def load(source: str) -> ModuleType:
    """The module of a generated source, compiled code cached on disk. A damaged cache entry is made anew."""
    import numba

    made_by = "".join(Path(str(module.__file__)).read_text() for module in (vector, assembler))
    salt = f"{numba.__version__} {vector.processor()} {made_by}"
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
    if path.exists() and path.read_text() != source:
        shutil.rmtree(folder, ignore_errors=True)
    if not path.exists():  # nothing is removed here: another process may be writing and compiling the same
        log.info("Compiling a kernel, which takes seconds; it is kept in %s", folder.parent)
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{uuid.uuid4().hex}"
        temporary.write_text(source)
        os.utime(temporary, (0, 0))  # numba knows a source by its size and time: these are the same, whoever writes it last
        temporary.replace(path)
    spec = importlib.util.spec_from_file_location(f"ltm_kernel_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # numba's cache imports it by name
    spec.loader.exec_module(module)
    return module
