"""The cell library: a file per family. An own cell is named by its import path, ``package.module:Class``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ltm import checks, registry
from ltm.cells import initial, released
from ltm.cells.attention import Attention
from ltm.cells.base import Cell, Parameter, State
from ltm.cells.convlstm import ConvLSTM
from ltm.cells.esn import ESN
from ltm.cells.feedforward import DROPOUTS, Dropout, Feedforward, LayerNorm, Linear, Mean
from ltm.cells.gru import GRU, MGU
from ltm.cells.lru import LRU
from ltm.cells.lstm import LNLSTM, LSTM
from ltm.cells.lstm1997 import LSTM1997
from ltm.cells.mist import MIST
from ltm.cells.mlstm import MLSTM, MLSTMF
from ltm.cells.mrnn import MRNN, MRNNF, Filtered
from ltm.cells.network import Network, Readout, outputs_of
from ltm.cells.peephole import Peephole
from ltm.cells.rnn import RNN, RNN2
from ltm.cells.rwa import RWA
from ltm.cells.treelstm import TreeLSTM
from ltm.cells.xlstm import SLSTM, MatrixLSTM
from ltm.errors import UserError, reason, shown, unknown

if TYPE_CHECKING:
    from ltm.data.base import Task

CELLS: dict[str, type[Cell]] = {
    cell.__name__.lower(): cell
    for cell in (
        RNN, RNN2, RWA, MIST, MRNNF, MRNN, Filtered, GRU, MGU, LSTM1997, LSTM, LNLSTM, Peephole, SLSTM, MatrixLSTM, MLSTMF, MLSTM, LRU, Attention, ESN, ConvLSTM,
        Feedforward, TreeLSTM,
    )
}  # fmt: skip

READOUTS = ("every", "last", "mean")
"""Of which steps the outputs are read: as the task's weights say, or the mean of all steps of a labelled sequence."""

MOST_LAYERS = 100

LARGEST = 10_000_000
"""Parameters of one seed run, and past values in its state."""

__all__ = ["CELLS", "Cell", "Network", "Parameter", "Readout", "State", "build", "config_of", "find", "options"]


def find(name: str) -> type[Cell]:
    """The cell class of a library name (``mrnn``) or of an import path (``package.module:Class``).

    Raises:
        UserError: no such cell; the message lists the library.
    """
    return registry.find("cell", name, CELLS, Cell, "ltm.Cell", "no cell")


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


def options(*kinds: type[Cell]) -> set[str]:
    """The keys that a model of these cells may set."""
    return {field.name for kind in kinds for field in dataclasses.fields(kind)} - {"input_size"} | set(STACK)


STACK = {
    "layers": 1, "cells": None, "bidirectional": False, "embedding": 16, "readout": None, "dropout": "none", "layer_norm": False, "input_map": 0,
    "forget_bias": None, "gate_biases": None, "released": False,
}  # fmt: skip
"""Keys of the network around the cells, and their defaults: see ``conf/model``."""

ADDED = {**STACK, "decay": "fractional", "squashed": False, "maps": 1, "mapped": True}
"""Keys that models got when there were results already, and the values at which they are the same work as those."""


def build(model: Mapping[str, Any], task: Task) -> Network:
    """The network of a resolved model config for a task: cells, whose class ``cell`` names (or ``cells``, layer by layer) and whose fields are the
    other keys, between what :data:`STACK` adds, under a linear read-out.

    Raises:
        UserError: an unknown key, a value that a cell or the task rejects, layers that do not fit each other.
    """
    given = {key: value for key, value in model.items() if key not in ("name", "cell")}
    stack = STACK | {key: given.pop(key) for key in list(given) if key in STACK}
    name, said = str(model.get("name", model.get("cell"))), stack["cells"]
    if said is not None and (not isinstance(said, list | tuple) or not said or stack["layers"] not in (1, len(said))):
        raise UserError(
            f"model key 'cells' is {shown(said)}; expected a list of cells, a layer each, such as [mrnnf, lstm] (and no other number of layers)."
        )
    checks.whole("model key 'layers'", stack["layers"], high=MOST_LAYERS)
    kinds = [find(str(one)) for one in said or [model.get("cell")] * stack["layers"]]
    for key in given:
        if key not in options(*kinds):
            raise unknown(f"key of model '{name}':", key, options(*kinds))
    if given.get("K") == "full":
        given["K"] = task.steps
    checked(stack, task)
    try:
        built = assembled(kinds, given, stack, task)
        kept = sum(state.size * state.lags for part in built.parts for state in part.cell.state().values())
        size = built.size
    except UserError:
        raise
    except Exception as error:  # an own cell's code
        raise UserError(f"cell '{model['cell']}' cannot be made of {shown(given)} ({reason(error)}).") from None
    check_children(built, task)
    for what, count in (("parameters", size), ("past values in its state", kept)):
        if count > LARGEST:
            raise UserError(f"model '{name}' has {count:,} {what}; expected at most {LARGEST:,} (make it smaller: {shown(given)}).")
    return built


def checked(stack: Mapping[str, Any], task: Task) -> None:
    """The keys of a network around its cells.

    Raises:
        UserError: the first with a value that it, or the task, cannot have.
    """
    for key, choices in (("readout", (None, *READOUTS)), ("dropout", ("none", *DROPOUTS))):
        if stack[key] not in choices:
            raise unknown(f"value of model key '{key}':", stack[key], [str(choice) for choice in choices])
    for key in ("bidirectional", "layer_norm", "released"):
        if not isinstance(stack[key], bool):
            raise UserError(f"model key '{key}' is {shown(stack[key])}; expected true or false.")
    checks.whole("model key 'embedding'", stack["embedding"])
    checks.whole("model key 'input_map'", stack["input_map"], low=0)
    check_biases(stack)
    if stack["bidirectional"] and task.split:
        raise UserError(
            f"bidirectional=true reads the future that '{task.name}' is to forecast; expected bidirectional=false for a series."
        )
    if stack["readout"] in ("last", "mean") and not task.labelled:
        raise UserError(
            f"readout={stack['readout']} reads one step, and task '{task.name}' has a target at every step; expected readout=every."
        )
    if stack["readout"] == "every" and task.labelled:
        raise UserError(f"readout=every reads every step, and task '{task.name}' has one label a sequence; expected readout=last or mean.")


def check_biases(stack: Mapping[str, Any]) -> None:
    """The keys that set the biases of gates.

    Raises:
        UserError: what is no number, or no gate's; two numbers for one gate.
    """
    forget, gates = stack["forget_bias"], {} if stack["gate_biases"] is None else stack["gate_biases"]
    if not isinstance(gates, Mapping) or not all(isinstance(gate, str) for gate in gates):
        raise UserError(f"model key 'gate_biases' is {shown(gates)}; expected a number by the name of a gate, such as {{i: -1.0, f: 1.0}}.")
    for gate, value in gates.items():
        check = checks.numbers if isinstance(value, list | tuple) else checks.number
        check(f"model key 'gate_biases.{gate}'", value)
    if forget is not None:
        checks.number("model key 'forget_bias'", forget)
        if "f" in gates:
            raise UserError(
                f"model keys 'forget_bias' ({forget:g}) and 'gate_biases.f' ({shown(gates['f'])}) are one bias; leave one of them out."
            )


def check_children(network: Network, task: Task) -> None:
    """That cells which read the states of children have trees to read, from the leaves to the root, of no more children than they have maps for.

    Raises:
        UserError: they have not.
    """
    for part in network.parts:
        kind, most = type(part.cell).__name__, [state.lags for state in part.cell.state().values() if state.children]
        if most and not task.children:
            raise UserError(
                f"{kind} reads the states of children, and task '{task.name}' has no trees; expected one that has, such as dataset=expressions,"
                " or another cell."
            )
        if most and part.reverse:
            raise UserError(f"bidirectional is true, and {kind} reads a tree from its leaves to its root; expected bidirectional=false.")
        if any(1 < lags < task.children for lags in most):
            raise UserError(
                f"{kind} has maps for {min(most)} children, and a node of task '{task.name}' has {task.children}; expected model.children={task.children}."
            )


def check_orthogonal(cell: Cell) -> None:
    """That a cell which is to start with orthogonal recurrent maps says which they are.

    Raises:
        UserError: it does not.
    """
    without_memory = type(cell).__module__ == Linear.__module__
    if cell.init == "orthogonal" and not without_memory and not any(q.recurrent for q in cell.parameters().values()):
        kind = type(cell).__name__
        raise UserError(
            f"model key 'init' is orthogonal, but {kind} does not say which columns read past states; expected a Parameter or linear(...) with recurrent=,"
            " or another init."
        )


def biases_of(stack: Mapping[str, Any], cells: Sequence[Cell]) -> tuple[tuple[str, float | tuple[float, ...]], ...]:
    """What the biases of gates sum to at the start, by gate: of all its units, or unit by unit.

    Raises:
        UserError: a gate that no cell has, or that has another number of units.
    """
    found = {**(stack["gate_biases"] or {}), **({} if stack["forget_bias"] is None else {"f": stack["forget_bias"]})}
    for gate, value in found.items():
        if not any(gate in cell.gates and any(initial.places(cell.parameters(), cell.gates, gate, cell.hidden_size)) for cell in cells):
            key = "gate_biases" if gate in (stack["gate_biases"] or {}) else "forget_bias"
            have = dict.fromkeys(
                f"{type(cell).__name__} has {'the gates ' + ', '.join(cell.gates) if cell.gates else 'no gates'}" for cell in cells
            )
            raise UserError(
                f"model key '{key}' sets the bias of gate '{gate}', and {', '.join(have)}; expected one of the cell's, or {key}=null."
            )
        for cell in cells if isinstance(value, list | tuple) else ():
            for units in initial.units(cell.parameters(), cell.gates, gate, cell.hidden_size):
                if units != len(value):
                    raise UserError(
                        f"model key 'gate_biases.{gate}' has {len(value)} numbers, and gate '{gate}' of {type(cell).__name__} {units} units;"
                        " expected one number for all, or one for each."
                    )
    return tuple(
        (gate, tuple(map(float, value)) if isinstance(value, list | tuple) else float(value)) for gate, value in sorted(found.items())
    )


def assembled(kinds: Sequence[type[Cell]], given: Mapping[str, Any], stack: Mapping[str, Any], task: Task) -> Network:
    """The layers from the inputs up, each as wide as what is below it hands on.

    Layer norm and dropout follow every cell; but not the last where a label is read from a cell in both directions, as these end at different steps.
    """
    layers: list[tuple[Cell, ...]] = []
    below = stack["embedding"] if task.symbols else task.input_size

    def add(*cells: Cell) -> None:
        nonlocal below
        layers.append(cells)
        below = sum(size for cell in cells for _, size in outputs_of(cell))

    if stack["input_map"]:
        rule = given.get("init", "default")
        add(Linear(hidden_size=stack["input_map"], input_size=below, init="default" if rule in initial.OF_CELLS else rule))
    recurrent = []
    wanted = released.layers(kinds) if stack["released"] else [(kind, {}) for kind in kinds]
    for i, (kind, fixed) in enumerate(wanted):
        own = {key: value for key, value in given.items() if key in {field.name for field in dataclasses.fields(kind)}}
        cell = kind(input_size=below, **own | fixed)
        check_orthogonal(cell)
        recurrent.append(cell)
        add(*((cell, cell) if stack["bidirectional"] else (cell,)))
        if i == len(wanted) - 1 and stack["bidirectional"] and task.labelled and stack["readout"] != "mean":
            break
        if stack["layer_norm"]:
            add(LayerNorm(hidden_size=below, input_size=below))
        if stack["dropout"] != "none":
            add(Dropout(hidden_size=below, input_size=below, kind=stack["dropout"]))
    if stack["readout"] == "mean":
        add(Mean(hidden_size=below, input_size=below))
    readout = Readout.of(layers[-1][0], task.output_size, *layers[-1][1:])
    return Network(tuple(layers), readout, task.symbols, stack["embedding"] if task.symbols else 0, biases_of(stack, recurrent))
