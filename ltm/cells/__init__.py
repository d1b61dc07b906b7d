"""The cell library: a file per family. An own cell is named by its import path, ``package.module:Class``."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

from ltm.cells.base import Cell, Parameter, State
from ltm.cells.lstm import LSTM
from ltm.cells.mist import MIST
from ltm.cells.mlstm import MLSTM, MLSTMF
from ltm.cells.mrnn import MRNN, MRNNF
from ltm.cells.network import Network, Readout
from ltm.cells.rnn import RNN, RNN2
from ltm.cells.rwa import RWA
from ltm.errors import UserError, reason, shown, unknown

CELLS: dict[str, type[Cell]] = {cell.__name__.lower(): cell for cell in (RNN, RNN2, RWA, MIST, MRNNF, MRNN, LSTM, MLSTMF, MLSTM)}

LARGEST = 10_000_000
"""Parameters of one seed run, and past values in its state."""

__all__ = ["CELLS", "Cell", "Network", "Parameter", "Readout", "State", "build", "config_of", "find", "options"]


def find(name: str) -> type[Cell]:
    """The cell class of a library name (``mrnn``) or of an import path (``package.module:Class``).

    Raises:
        UserError: no such cell; the message lists the library.
    """
    if ":" not in name:
        if name not in CELLS:
            raise unknown("cell", name, CELLS)
        return CELLS[name]
    module, _, attribute = name.partition(":")
    expected = "expected package.module:Class, a class that inherits from ltm.Cell"
    try:
        cell = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # the module is the user's: whatever it raises
        raise UserError(
            f"cell '{name}' cannot be imported ({reason(error)}); {expected}, in a module that can be imported from here."
        ) from None
    if not (isinstance(cell, type) and issubclass(cell, Cell)):
        what = f"the class {cell.__name__}" if isinstance(cell, type) else f"a {type(cell).__name__}"
        raise UserError(f"cell '{name}' is no cell but {what}; {expected}.")
    return cell


def config_of(name: str) -> dict[str, Any]:
    """The model config of a class by its import path: its name in lower case, and every field with its default, or null.

    Raises:
        UserError: no such cell, or a default that no config can hold.
    """
    cell = find(name)
    keys: dict[str, Any] = {"name": cell.__name__.lower(), "cell": name}
    for field in dataclasses.fields(cell):
        if field.name == "input_size" or not field.init:
            continue
        made = field.default_factory
        value = made() if made is not dataclasses.MISSING else None if field.default is dataclasses.MISSING else field.default
        value = list(value) if isinstance(value, tuple) else value
        if not all(isinstance(one, str | int | float | None) for one in (value if isinstance(value, list) else [value])):
            raise UserError(
                f"cell '{name}' has the field {field.name} = {shown(value)}; expected a number, text, or a list of these, as a config holds them."
            )
        keys[field.name] = value
    return keys


def options(cell: type[Cell]) -> set[str]:
    """The keys a model of this cell may set."""
    return {field.name for field in dataclasses.fields(cell)} - {"input_size"}


def build(model: Mapping[str, Any], length: int, input_size: int = 1, output_size: int = 1) -> Network:
    """The network of a resolved model config: a cell, whose class ``cell`` names and whose fields are the other keys, under a linear read-out.

    Args:
        length: steps of the sequence, which is what ``K: full`` (the whole past) stands for.
        input_size, output_size: width of the series and of the read-out.
    """
    cell = find(str(model.get("cell")))
    given = {key: value for key, value in model.items() if key not in ("name", "cell")}
    for key in given:
        if key not in options(cell):
            raise unknown(f"key of model '{model.get('name', model['cell'])}':", key, options(cell))
    if given.get("K") == "full":
        given["K"] = length
    try:
        built = Network.of(cell(input_size=input_size, **given), output_size)
        size, kept = built.size, sum(state.size * state.lags for state in built.state().values())
    except UserError:
        raise
    except Exception as error:  # an own cell's code
        raise UserError(f"cell '{model['cell']}' cannot be made of {shown(given)} ({reason(error)}).") from None
    for what, count in (("parameters", size), ("past values in its state", kept)):
        if count > LARGEST:
            raise UserError(
                f"model '{model.get('name', model['cell'])}' has {count:,} {what}; expected at most {LARGEST:,} (make it smaller: {shown(given)})."
            )
    return built
