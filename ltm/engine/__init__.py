"""Engines run a network over sequences for all lanes of a pack, forward and backward."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

from ltm.cells import Network, check_children
from ltm.cells.feedforward import Mean
from ltm.data.base import Task
from ltm.engine.base import Engine, PackState, Prediction
from ltm.engine.check import check, failed
from ltm.engine.compiler import Unsupported
from ltm.engine.fused import Fused
from ltm.engine.torch import Torch
from ltm.errors import UserError, unknown
from ltm.training.state import Protocol

log = logging.getLogger(__name__)

ENGINES = ("auto", "torch", "cpu", "cuda")

__all__ = ["ENGINES", "Engine", "PackState", "Prediction", "Protocol", "choose", "planned"]


def choose(
    name: str, network: Network, task: Task, protocol: Protocol, seeds: Sequence[int] = (), threads: int = 1, device: str = "cpu"
) -> Engine:
    """The engine of this name; ``auto`` takes the fused CPU kernel where it covers the network, and the log says where not and why.

    ``cuda`` runs only where it is named: its logic is tested, its speed has not been measured. ``device`` is that of ``torch``.

    Raises:
        UserError: unknown engine, ``cpu`` or ``cuda`` for a cell that they do not cover, a GPU where there is none, a network that does not
            fit the task, a mistake in the cell (:func:`ltm.engine.check.check`).
    """
    if name not in ENGINES:
        raise unknown("engine", name, ENGINES)
    fits(network, task)
    check(network, task.train.inputs[0])
    if name == "torch":
        return Torch(network, task, protocol, seeds, device=device)
    kind = type(network.cell).__name__
    try:
        if name == "cuda":
            from ltm.engine.cuda import FusedCuda

            return FusedCuda(network, task, protocol, seeds)
        return Fused(network, task, protocol, seeds, threads)
    except Unsupported as error:
        if name != "auto":
            raise UserError(f"engine={name} does not cover {kind}: {error}; use engine=torch.") from None
        return fallback(Torch(network, task, protocol, seeds, device=device), f"{kind}: the step cannot be derived, {error}")


def planned(
    name: str, network: Network, task: Task, protocol: Protocol, threads: int = 1, device: str = "cpu", memory: float = math.inf
) -> Engine:
    """The engine that :func:`choose` takes, to be asked what a pack takes there (:meth:`Engine.memory`). Nothing is checked, and its GPU need not be here.

    Args:
        memory: bytes of the GPU, where that is not here.

    Raises:
        UserError: the engine that is named does not cover the network.
    """
    try:
        if name == "cuda":
            from ltm.engine.cuda import FusedCuda

            return FusedCuda(network, task, protocol, here=False)
        if name != "torch":
            return Fused(network, task, protocol, threads=threads, free=math.inf)
    except Unsupported as error:
        if name != "auto":
            raise UserError(f"engine={name} does not cover {type(network.cell).__name__}: {error}; use engine=torch.") from None
    return Torch(network, task, protocol).sized_for(device, memory)


def fits(network: Network, task: Task) -> None:
    """Check that a network reads what the task gives and answers what it asks.

    Raises:
        UserError: inputs, symbols or outputs of other sizes; a cell that reads backwards what is forecast, or children where there are no trees; one answer where every step asks.
    """
    for what, mine, theirs in (
        ("reads {} inputs", network.input_size, task.input_size),
        ("looks up {} symbols", network.symbols, task.symbols),
        ("has {} outputs", network.output_size, task.output_size),
    ):
        if mine != theirs:
            raise UserError(f"the network {what.format(mine)}, and task '{task.name}' has {theirs}; expected equal numbers.")
    check_children(network, task)
    if task.split and any(part.reverse for part in network.parts):
        raise UserError(
            f"bidirectional is true, and '{task.name}' is a series: a cell that reads backwards would see what it forecasts; expected false."
        )
    if not task.labelled and isinstance(network.layers[-1][0], Mean):
        raise UserError(f"readout is mean, and task '{task.name}' has a target at every step; expected every.")


def fallback(engine: Torch, why: str) -> Torch:
    """The torch engine, with the reason that stands for it in the log, and how long it will take.

    Raises:
        UserError: a step that it cannot run for many sequences at once either.
    """
    try:
        seconds = engine.seconds()
    except UserError:
        raise
    except Exception as error:
        raise failed(f"the step of {type(engine.network.cell).__name__}", error) from None
    engine.why = f"{why}; about {seconds:.2g} s an epoch of up to {engine.sizes[0]} seeds"
    log.info("Using the slow torch engine: %s", engine.why)
    return engine
