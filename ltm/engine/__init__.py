"""Engines run a cell over a sequence for all lanes of a pack, forward and backward."""

from __future__ import annotations

from ltm.cells import Cell
from ltm.engine.base import Engine, PackState, Prediction, Problem, Protocol
from ltm.engine.reference import Reference
from ltm.errors import unknown

ENGINES = ("auto", "reference")

__all__ = ["ENGINES", "Engine", "PackState", "Prediction", "Problem", "Protocol", "choose"]


def choose(name: str, cell: Cell, problem: Problem, protocol: Protocol, threads: int = 1) -> Engine:
    """The engine of this name; ``auto`` takes the fastest that covers the cell."""
    if name not in ENGINES:
        raise unknown("engine", name, ENGINES)
    return Reference(cell, problem, protocol)
