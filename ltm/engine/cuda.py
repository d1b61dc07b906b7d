"""The fused engine on a GPU: the same derived kernel, one thread a lane, the time loop inside; a block of threads is a block of lanes."""

from __future__ import annotations

import logging

import numpy as np

from ltm.cells import Network
from ltm.engine.base import Problem, Protocol
from ltm.engine.fused import Fused
from ltm.errors import UserError

log = logging.getLogger(__name__)


class FusedCuda(Fused):
    """Lanes are consecutive in memory, so the 32 threads of a warp read and write whole lines."""

    name = "cuda"
    width = 32

    def __init__(self, cell: Network, problem: Problem, protocol: Protocol, dtype: str = "float32") -> None:
        from numba import cuda

        if not cuda.is_available():
            raise UserError("engine=cuda finds no NVIDIA GPU in this process; use engine=auto.")
        super().__init__(cell, problem, protocol, dtype=dtype)

    def _advance(self, epochs: int, arrays: tuple[np.ndarray, ...], protocol: tuple[float, ...], end: int, curves: np.ndarray) -> None:
        from numba import cuda

        most = self._most_blocks(end)
        if len(curves) > most:
            log.info(
                "%d lanes in turns of %d: all at once would not fit into the GPU's memory", len(curves) * self.width, most * self.width
            )
            for first in range(0, len(curves), most):
                share = slice(first, first + most)
                self._advance(epochs, tuple(x[share] for x in arrays), protocol, end, curves[share])
            return
        host = (*arrays, curves)
        *device, device_curves = (cuda.to_device(x) for x in host)
        memory = (cuda.to_device(x) for x in self._memory(end, len(curves)))
        inputs = (cuda.to_device(x) for x in self.inputs)
        run = self.module.advance[len(curves), self.width]
        run(epochs, *device, protocol, *memory, *inputs, self.problem.train, end, device_curves)
        for mine, theirs in zip(host, (*device, device_curves), strict=True):
            theirs.copy_to_host(mine)

    def _most_blocks(self, steps: int) -> int:
        """How many blocks of lanes fit into half of the GPU's free memory, by the size of their trajectories."""
        from numba import cuda

        free = cuda.current_context().get_memory_info()[0]
        a_block = ((steps + self.lead) * self.kernel.row + self.kernel.work) * self.width * self.dtype.itemsize
        return max(int(min(free, 2**40) / 2 // a_block), 1)  # the simulator has no end of memory

    def _call(self, entry: str, arrays: tuple[np.ndarray, ...], steps: int, *numbers: int) -> None:
        from numba import cuda

        device = [cuda.to_device(x) for x in arrays]
        memory = (cuda.to_device(x) for x in self._memory(steps, len(arrays[0])))
        inputs = (cuda.to_device(x) for x in self.inputs)
        getattr(self.module, entry)[len(arrays[0]), self.width](*device, *memory, *inputs, *numbers)
        for mine, theirs in zip(arrays, device, strict=True):
            theirs.copy_to_host(mine)
