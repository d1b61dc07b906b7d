"""The fused engine on a GPU: the same derived kernel, one thread a lane, the time loop inside; a block of threads is a group of lanes."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ltm.cells import Network
from ltm.data.base import Task
from ltm.engine.base import Protocol
from ltm.engine.compiler import Unsupported
from ltm.engine.compiler.target.vector import Processor
from ltm.engine.fused import Fused
from ltm.engine.inputs import Pool
from ltm.engine.modules import Compiled
from ltm.errors import UserError

log = logging.getLogger(__name__)

WARP = 32
"""Threads of a block. Lanes are consecutive in memory, so that a warp reads and writes whole lines."""


class FusedCuda(Fused):
    """Thousands of lanes at once: a GPU hides the latency of one by the others, so its packs must be large.

    Args:
        here: whether there must be a GPU; without one it can only be asked what a pack would take there.
    """

    name = "cuda"

    def __init__(
        self, network: Network, task: Task, protocol: Protocol, seeds: Sequence[int] = (), dtype: str = "float32", here: bool = True
    ) -> None:
        if task.split is None:
            raise Unsupported("it has one long sequence only, and this task has batches")
        try:
            from numba import cuda
        except ImportError as error:
            raise UserError(f"engine=cuda needs numba.cuda ({error}): pip install 'ltm[gpu]', or use engine=auto.") from None
        self.here = here and cuda.is_available()
        if here and not self.here:
            raise UserError("engine=cuda finds no NVIDIA GPU in this process, or no CUDA toolkit; use engine=auto.")
        super().__init__(network, task, protocol, seeds, dtype=dtype, layout="seeds", width=WARP, free=None if here else math.inf)

    def _processor(self) -> Processor:
        """Eight sums at a time: with more, ``ptxas`` runs out of registers. The same text on every machine."""
        return Processor("cuda", WARP, 16)

    def _call(
        self, compiled: Compiled, entry: str, arrays: tuple[np.ndarray, ...], steps: int, *rest: Any, pool: Pool | None = None
    ) -> None:
        from numba import cuda

        most = self._most_groups(compiled, steps)
        memory = tuple(cuda.device_array((min(most, len(arrays[0])), n), self.dtype) for n in compiled.sizes(steps, self.lead))
        f, px, ta, sw = self.inputs.arrays
        inputs = tuple(cuda.to_device(a) for a in (f, px, self.table, ta, sw))
        numbers = [cuda.to_device(x) if isinstance(x, np.ndarray) else x for x in rest]
        before = cuda.to_device(np.tile(np.repeat(np.array(compiled.kernel.initial, self.dtype), WARP), self.lead))
        for first in range(0, len(arrays[0]), most):
            host = [np.ascontiguousarray(a[first : first + most]) for a in arrays]
            groups = len(host[0])
            device = [cuda.to_device(a) for a in host]
            compiled.module.start[groups, WARP](memory, before)
            getattr(compiled.module, entry)[groups, WARP](*device, memory, inputs, *numbers)
            for mine, theirs, whole in zip(host, device, arrays, strict=True):
                theirs.copy_to_host(mine)
                whole[first : first + most] = mine

    def block(self, lanes: int) -> float:
        compiled = self.compiled_for(lanes)
        groups = -(-lanes // WARP)
        return min(groups, self._most_groups(compiled, self.steps) if self.here else groups) * self._of_a_group(compiled)

    def _most_groups(self, compiled: Compiled, steps: int) -> int:
        """How many groups fit into half of the GPU's free memory, by the memory of their kernels."""
        from numba import cuda

        free = cuda.current_context().get_memory_info()[0]
        one = sum(compiled.sizes(steps, self.lead)) * self.dtype.itemsize
        most = max(int(min(free, 2**40) / 2 // one), 1)  # the simulator has no end of memory
        if self.steps and most < 32:
            log.info("%d lanes at a time: more would not fit into the GPU's memory", most * WARP)
        return most
