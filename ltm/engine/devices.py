"""Devices of the torch engine: which there are, what autograd keeps there, and how much of a pack runs side by side. It asks no GPU, but where one is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from ltm.cells import Network
from ltm.errors import UserError

MEMORY = 2 * 2**30
"""Bytes that autograd may keep of a block of lanes on a CPU; on a GPU it is half of the memory."""


def device_of(name: str) -> torch.device:
    """The device of this name.

    Raises:
        UserError: no such device here.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"device is '{name}'; expected cpu, cuda, or cuda:N.") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"device={name} finds no such NVIDIA GPU in this process, which sees {torch.cuda.device_count()}; expected cpu, or a machine with one."
        )
    return device


def memory_of(device: torch.device) -> float:
    """Bytes that autograd may keep of a block of lanes there."""
    return torch.cuda.get_device_properties(device).total_memory / 2 if device.type == "cuda" else MEMORY


def lanes_of(network: Network, batch: int, device: torch.device) -> int:
    """Lanes of a block: as many as cost little more than one. On a CPU one alone, or enough to fill whole vectors of its processor."""
    width = batch * network.hidden_size
    if device.type == "cuda":
        return 2 ** int(np.clip(np.log2(2**17 / width), 0, 10))
    return 128 if width <= 16 else 64 if width <= 512 else 1


def sizes_of(network: Network, batch: int, kept: float, memory: float, device: torch.device) -> tuple[int, int]:
    """Lanes of a block, and sequences of a batch that run at once when something is trained.

    Args:
        kept: bytes that autograd keeps of one lane's batch.
        memory: bytes that it may keep of a block.
    """
    lanes, sequences = lanes_of(network, batch, device), batch
    while lanes > 1 and kept * lanes > memory:
        lanes = lanes // 2 if lanes > 64 or device.type == "cuda" else 1  # fewer than 64 would not fill a processor's vectors
    while sequences > 1 and kept * sequences / batch > memory:
        sequences = -(-sequences // 2)
    return lanes, sequences


@contextmanager
def one_thread(wanted: bool) -> Iterator[None]:
    """One thread meanwhile, where that is wanted: at the edges of threads' shares torch computes some functions with other last bits."""
    before = torch.get_num_threads()
    try:
        if wanted:
            torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def kept_for_the_gradient() -> Iterator[list[tuple[int, int]]]:
    """The address and the bytes of the memory of every tensor that autograd keeps meanwhile, as often as it is kept."""
    kept: list[tuple[int, int]] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        memory = tensor.untyped_storage()
        kept.append((memory.data_ptr(), memory.nbytes()))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield kept
