"""The fused engine on a GPU: the same derived kernel, one thread a lane, the time loop inside; a block of threads is a block of lanes."""

from __future__ import annotations

import numpy as np

from ltm.cells import Cell
from ltm.engine.base import Problem, Protocol
from ltm.engine.fused import Fused
from ltm.errors import UserError


class FusedCuda(Fused):
    """Lanes are consecutive in memory, so the 32 threads of a warp read and write whole lines."""

    name = "cuda"
    width = 32

    def __init__(self, cell: Cell, problem: Problem, protocol: Protocol, dtype: str = "float32") -> None:
        from numba import cuda

        if not cuda.is_available():
            raise UserError("engine=cuda finds no NVIDIA GPU in this process; use engine=auto.")
        super().__init__(cell, problem, protocol, dtype=dtype)

    def _advance(self, epochs: int, arrays: tuple[np.ndarray, ...], protocol: tuple[float, ...], end: int, curves: np.ndarray) -> None:
        from numba import cuda

        host = (*arrays, curves)
        *device, device_curves = (cuda.to_device(x) for x in host)
        memory = (cuda.to_device(x) for x in self._memory(end, len(curves)))
        inputs = (cuda.to_device(x) for x in self.inputs)
        run = self.module.advance[len(curves), self.width]
        run(epochs, *device, protocol, *memory, *inputs, self.problem.train, end, device_curves)
        for mine, theirs in zip(host, (*device, device_curves), strict=True):
            theirs.copy_to_host(mine)

    def _call(self, entry: str, arrays: tuple[np.ndarray, ...], steps: int, *numbers: int) -> None:
        from numba import cuda

        device = [cuda.to_device(x) for x in arrays]
        memory = (cuda.to_device(x) for x in self._memory(steps, len(arrays[0])))
        inputs = (cuda.to_device(x) for x in self.inputs)
        getattr(self.module, entry)[len(arrays[0]), self.width](*device, *memory, *inputs, *numbers)
        for mine, theirs in zip(arrays, device, strict=True):
            theirs.copy_to_host(mine)
