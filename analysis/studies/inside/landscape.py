"""The loss of a network over a grid of two of its weights, all others held: the cliffs that grow with the length of the sequences (Pascanu et al. 2013).

Every point of the grid is a lane of one pack.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ltm.errors import LISTED, UserError, shown

if TYPE_CHECKING:
    from ltm.cells.network import Network
    from ltm.data.base import Task

SEQUENCES = 256
"""Training sequences over which a loss is taken, at most: enough for a smooth picture."""

NAMED = re.compile(r"\s*([\w.]+)\s*(?:\[([\d\s,]*)\])?\s*")


def surface(
    network: Network, task: Task, parameters: np.ndarray, places: tuple[int, int], x: np.ndarray, y: np.ndarray, loss: str = ""
) -> np.ndarray:
    """Training loss where the two weights at ``places`` have the values ``x`` ``(n,)`` and ``y`` ``(m,)``: ``(m, n)``, float32.

    It is the weighted mean over the counted steps, as in training, computed by the fused engine where that covers the network; not finite where it overflows.

    Args:
        task: of sequences (:func:`of_length`).
        parameters: of one seed, ``(N,)``.
        loss: another than that of the task, of :data:`ltm.training.losses.LOSSES`.
    """
    from ltm.engine import Protocol, choose

    lanes = np.tile(np.asarray(parameters, np.float32), (len(y) * len(x), 1))
    lanes[:, places[0]], lanes[:, places[1]] = np.tile(x, len(y)), np.repeat(y, len(x))
    engine = choose("auto", network, task, Protocol(loss=loss), [0] * len(lanes))
    with np.errstate(all="ignore"):
        return engine.validate(lanes, np.arange(len(lanes))).reshape(len(y), len(x))


def of_length(dataset: Mapping[str, Any], task: Task, seed: int, length: int) -> Task:
    """A task whose every part are up to :data:`SEQUENCES` training sequences of this length; of a series, the first steps of its training part.

    Args:
        dataset: the resolved config of the task's dataset.
        seed: the number of the seed run on these data (:func:`ltm.data.number_of`), whose sequences they are where each has its own.

    Raises:
        UserError: a length that the task or the series does not have.
    """
    from ltm import data

    if task.split is not None:
        if not 1 <= length <= task.split[0]:
            raise UserError(
                f"--lengths {length}: the training part of '{task.name}' has {task.split[0]} steps; expected 1 to {task.split[0]}."
            )
        train = task.train
        part = type(train)(train.inputs[:, :length], train.targets[:, :length], train.weight[:, :length])
    elif length == length_of(dataset, task):
        part = task.part(0, seed)
    elif "length" not in dataset:
        raise UserError(f"--lengths {length}: sequences of '{task.name}' are as they are, up to {task.steps} steps; expected no --lengths.")
    else:
        part = data.build({**dataset, "length": length}).part(0, seed)
    part = part.take(slice(SEQUENCES))
    return dataclasses.replace(task, train=part, validation=part, test=part, split=None, series=None, draws="dataset", source=None)


def length_of(dataset: Mapping[str, Any], task: Task) -> int:
    """The length of a task by its own rule; of a series, the steps of its training part."""
    return int(task.split[0] if task.split else dataset.get("length", task.steps))


def default_lengths(dataset: Mapping[str, Any], task: Task) -> list[int]:
    """The task's own length, and before it two shorter ones where it has others."""
    own = length_of(dataset, task)
    return [own] if task.split is None and "length" not in dataset else sorted({max(1, own // 4), max(1, own // 2), own})


def place_of(network: Network, named: str) -> int:
    """The place among flat parameters of a weight such as ``W_hh[0,0]``, counted from 0.

    Raises:
        UserError: a parameter or an element that the network does not have; the message lists the parameters with their shapes.
    """
    parameters, before = network.parameters(), 0
    known = [f"{name} {tuple(one.shape)}" for name, one in parameters.items()]
    there = f"There are: {', '.join(known[:LISTED])}."
    found = NAMED.fullmatch(named)
    name = found[1] if found else named
    if found is None or name not in parameters:
        raise UserError(f"'{shown(named)}' is no weight of the network; expected one such as {example(parameters)}. {there}")
    for other, one in parameters.items():
        if other == name:
            break
        before += one.size
    shape = tuple(parameters[name].shape)
    index = tuple(int(number) for number in (found[2] or "").split(",") if number.strip())
    if len(index) != len(shape) or any(i >= n for i, n in zip(index, shape, strict=True)):
        raise UserError(
            f"'{shown(named)}' is no element of {name}, whose shape is {shape}; expected {len(shape)} whole numbers below these"
            f" in brackets. {there}"
        )
    return before + int(np.ravel_multi_index(index, shape)) if shape else before


def example(parameters: Mapping[str, Any]) -> str:
    """The first element of the first matrix, or of the first parameter."""
    name = next((name for name, one in parameters.items() if len(one.shape) == 2), next(iter(parameters)))
    return f"{name}[{','.join('0' * len(parameters[name].shape))}]"


def around(value: float, span: float, size: int) -> np.ndarray:
    """Values of a weight from ``value - span`` to ``value + span``, float32; of an odd number the middle one is the value itself."""
    return (np.float32(value) + np.linspace(-span, span, size)).astype(np.float32)


def steepest(losses: np.ndarray) -> float:
    """The largest difference between neighbours of a grid ``(m, n)``; 0 where no two neighbours are finite."""
    known = np.where(np.isfinite(losses), losses, np.nan)
    return float(max(np.max(np.nan_to_num(np.abs(np.diff(known, axis=axis))), initial=0.0) for axis in (0, 1)))


def as_rows(lengths: Sequence[int], x: np.ndarray, y: np.ndarray, losses: np.ndarray) -> dict[str, np.ndarray]:
    """A row a point of ``losses`` ``(lengths, m, n)``: columns ``length, x, y, loss``."""
    length, second, first = np.meshgrid(lengths, y, x, indexing="ij")
    return {"length": length.ravel(), "x": first.ravel(), "y": second.ravel(), "loss": losses.ravel()}
