"""ltm: seed sweeps of recurrent cells that are trained as lanes of one program.

``from ltm import Cell, State, Parameter, linear, bias, filters`` is all that a cell needs; :func:`ltm.run` is ``ltm sweep`` from Python, and
:func:`ltm.states` what the networks that it trained remember at every step.
Each is imported when it is first asked for, so that ``import ltm`` takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ltm import filters
    from ltm.cells.base import Cell, Parameter, State, bias, linear
    from ltm.sweep import run
    from ltm.trained import states

__version__ = "0.2.0"

__all__ = ["Cell", "Parameter", "State", "bias", "filters", "linear", "run", "states"]

HOMES = {
    **dict.fromkeys(("Cell", "Parameter", "State", "bias", "linear"), "ltm.cells.base"), "filters": "ltm.filters", "run": "ltm.sweep",
    "states": "ltm.trained",
}  # fmt: skip
"""The module of every public name; ``filters`` is one itself."""


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'ltm' has no attribute '{name}'")
    module = import_module(HOMES[name])
    return getattr(module, name, module)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
