"""Sequences as kernels read them: flat arrays of features, targets and weights, of one series or of a pool of sequences."""

from __future__ import annotations

from dataclasses import dataclass, replace
from weakref import ref

import numpy as np

from ltm.cells import Network
from ltm.data.base import Sequences, Task
from ltm.engine.compiler import FeatureLayout, Unsupported


@dataclass(frozen=True)
class Inputs:
    """Where features lie; of a series the arrays themselves: features with targets, padded inputs, nothing, and the weight of a step.

    ``padded``: sequences have different lengths.
    """

    layout: FeatureLayout
    padded: bool
    arrays: tuple[np.ndarray, ...] = ()


Shapes = dict[str, tuple[int, ...]]
"""The shape of every feature of one step, by name."""


def aligned(shape: tuple[int, ...], dtype: np.dtype, values: np.ndarray | float = 0.0) -> np.ndarray:
    """An array at a 64-byte address, with a vector of memory behind its end, which kernels may read."""
    n = int(np.prod(shape)) * dtype.itemsize
    raw = np.zeros(n + 1024, np.uint8)
    first = -raw.ctypes.data % 64
    out = raw[first : first + n].view(dtype).reshape(shape)
    if np.any(values):
        out[:] = values
    return out


def is_window(value: np.ndarray) -> bool:
    """Whether a feature is a window over past inputs, which is stored once, not K times."""
    return value.ndim == 3 and value.strides[1] == -value.strides[0]


def layout_of(features: dict[str, np.ndarray]) -> FeatureLayout:
    """Where the features of a sequence lie, by their arrays ``(T, ...)``."""
    rows: dict[str, int] = {}
    windows: dict[str, tuple[int, int, int]] = {}
    width = offset = 0
    for name, value in features.items():
        if is_window(value):
            windows[name] = (offset, value.shape[1], value.shape[2])
            offset += (value.shape[1] - 1 + len(value)) * value.shape[2]
        else:
            rows[name] = width
            width += int(np.prod(value.shape[1:]))
    return FeatureLayout(width, rows, windows)


def flat(features: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The features of one sequence: those of every step side by side ``(T, width)``, and windows over padded inputs one after another."""
    columns = [value.reshape(len(value), -1) for value in features.values() if not is_window(value)]
    padded = [np.concatenate([value[0, :0:-1], value[:, 0]]).ravel() for value in features.values() if is_window(value)]
    steps = len(next(iter(features.values())))
    return np.concatenate(columns, axis=1) if columns else np.zeros((steps, 0)), np.concatenate([*padded, np.zeros(0)])


def flatten(network: Network, task: Task, dtype: np.dtype) -> tuple[Inputs, Shapes]:
    """A series: all that a kernel reads of it. The targets of a step lie behind its features."""
    part = task.train
    features, targets = network.features(part.inputs[0]), part.targets[0]
    rows, padded = flat(features)
    assert task.split is not None
    arrays = np.concatenate([rows, targets], 1).ravel(), padded, np.zeros(0), np.array([1.0 / task.split[0]])
    shapes = {name: value.shape[1:] for name, value in features.items()}
    layout = layout_of(features)
    return Inputs(replace(layout, width=layout.width + targets.shape[1]), False, tuple(aligned(a.shape, dtype, a) for a in arrays)), shapes


def read(network: Network, sequences: Sequences, b: int, held: bool) -> dict[str, np.ndarray]:
    """What the steps read of one sequence."""
    inputs = sequences.inputs[b]
    features = {"symbol": inputs[:, None].astype(float)} if network.symbols else dict(network.features(inputs))
    if held:
        features["on"] = (np.arange(sequences.steps) < sequences.lengths[b]).astype(float)[:, None]
    return features


def pooled(network: Network, task: Task, dtype: np.dtype) -> tuple[Inputs, Shapes]:
    """Sequences: where what a kernel reads of them lies.

    Raises:
        Unsupported: a cell that reads backwards more of its input than the present step.
    """
    for part in network.of_layer(0):
        if part.reverse and set(part.cell.features(np.zeros((1, part.cell.input_size)))) - {"now", "mask"}:
            raise Unsupported("it reads time backwards, and more of its input than the present step")
    parts = task.parts(0)
    padded = any(len(np.unique(part.lengths)) > 1 for part in parts) or task.draws != "dataset"
    held = padded and any(part.reverse for part in network.parts)
    whole = Sequences(
        *(np.concatenate([padded_to(getattr(part, name)[:1], task.steps) for part in parts]) for name in ("inputs", "targets", "weight"))
    )
    features = read(network, whole, 0, held)
    return Inputs(layout_of(features), padded), {name: value.shape[1:] for name, value in features.items()}


def padded_to(values: np.ndarray, steps: int) -> np.ndarray:
    """Values ``(B, T, ...)`` with zeros up to so many steps."""
    return np.pad(values, [(0, 0), (0, steps - values.shape[1]), *[(0, 0)] * (values.ndim - 2)])


@dataclass(frozen=True)
class Pool:
    """Sequences as a kernel reads them, one after another, and an empty one at the end.

    Attributes:
        sequences: what it was made of, as long as somebody keeps them.
        counts: counted steps of every sequence.
        steps: of the longest sequence of the task.
        arrays: inputs, padded inputs, targets and weights; ``strides``: elements of a sequence in each.
        tables: of every sequence its steps, the first that counts, and the sum of its weights.
        gathered: vectors that a round of sequences takes in each array.
    """

    sequences: ref[Sequences]
    counts: np.ndarray
    steps: int
    arrays: tuple[np.ndarray, ...]
    strides: tuple[int, ...]
    tables: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, network: Network, sequences: Sequences, task: Task, dtype: np.dtype, inputs: Inputs) -> Pool:
        B, T = len(sequences), task.steps
        weight, lengths = sequences.weight, np.append(sequences.lengths, 0)
        held = inputs.padded and any(part.reverse for part in network.parts)
        windows = sum((K - 1 + T) * I for _, K, I in inputs.layout.windows.values())
        X, P, V = aligned((B + 1, T, inputs.layout.width), dtype), aligned((B + 1, windows), dtype), aligned((B + 1, T), dtype)
        if inputs.layout.rows in ({"now": 0}, {"symbol": 0}) and not inputs.layout.windows:
            X[:B, : sequences.steps] = sequences.inputs.reshape(B, sequences.steps, -1)
        else:
            whole = Sequences(*(padded_to(values, T) for values in (sequences.inputs, sequences.targets, weight)))
            for b in range(B):
                X[b], P[b] = flat(read(network, whole, b, held))
        targets = sequences.targets
        if task.labelled:
            targets = targets[np.arange(B), np.maximum(lengths[:B] - 1, 0)][:, None]
        targets = np.eye(task.classes)[targets] if task.classes else targets
        Y = aligned((B + 1, 1 if task.labelled else T, targets.shape[2]), dtype)
        Y[:B, : targets.shape[1]], V[:B, : sequences.steps] = targets, weight
        counted = weight > 0
        starts = np.append(np.where(counted.any(1), counted.argmax(1), T), T)
        tables = lengths.astype(np.int64), starts.astype(np.int64), np.append(weight.sum(1), 0.0)
        arrays = tuple(values.reshape(B + 1, -1) for values in (X, P, Y, V))
        return cls(
            ref(sequences),
            counted.sum(1),
            T,
            tuple(values.ravel() for values in arrays),
            tuple(values.shape[1] for values in arrays),
            tables,
        )

    @property
    def gathered(self) -> tuple[int, ...]:
        return tuple(n + 32 for n in self.strides)

    def places(self, index: np.ndarray) -> tuple[np.ndarray, int]:
        """Where the outputs of every sequence's first counted step go among those of its lane ``(B + 1,)``, and the most outputs that a lane has."""
        places = np.zeros(len(self.counts) + 1, np.int64)
        for mine in index:
            places[mine] = np.cumsum(self.counts[mine]) - self.counts[mine]
        return places, int(self.counts[index].sum(1).max())
