"""Engines run a network over a sequence for all lanes of a pack, forward and backward."""

from __future__ import annotations

import logging

from ltm.cells import Network
from ltm.engine.base import Engine, PackState, Prediction, Problem, Protocol
from ltm.engine.check import check
from ltm.engine.compiler import Unsupported
from ltm.engine.cuda import FusedCuda
from ltm.engine.fused import Fused
from ltm.engine.reference import Reference, lanes_of
from ltm.errors import UserError, unknown

log = logging.getLogger(__name__)

ENGINES = ("auto", "reference", "cpu", "cuda")

__all__ = ["ENGINES", "Engine", "PackState", "Prediction", "Problem", "Protocol", "choose"]


def choose(name: str, network: Network, problem: Problem, protocol: Protocol, threads: int = 1) -> Engine:
    """The engine of this name; ``auto`` takes the fused CPU kernel where it covers the cell, and the log says where not and why.

    ``cuda`` runs only where it is named: its logic is tested, its speed has not been measured.

    Raises:
        UserError: unknown engine, ``cpu`` or ``cuda`` for a cell that they do not cover, ``cuda`` without a GPU, a mistake in
            the cell (:func:`ltm.engine.check.check`).
    """
    if name not in ENGINES:
        raise unknown("engine", name, ENGINES)
    check(network, problem.inputs)
    if name == "reference":
        return Reference(network, problem, protocol)
    kind = type(network.cell).__name__
    try:
        if name == "cuda":
            return FusedCuda(network, problem, protocol)
        return Fused(network, problem, protocol, threads)
    except Unsupported as error:
        if name != "auto":
            raise UserError(f"engine={name} does not cover {kind}: {error}; use engine=reference.") from None
        return fallback(Reference(network, problem, protocol), f"{kind}: the step cannot be derived, {error}")


def fallback(engine: Reference, why: str) -> Reference:
    """The reference engine, with the reason that stands for it in the log, and how long it will take."""
    engine.why = f"{why}; about {engine.seconds():.2g} s an epoch of up to {lanes_of(engine.network)} seeds"
    log.info("Using the slow reference engine: %s", engine.why)
    return engine
