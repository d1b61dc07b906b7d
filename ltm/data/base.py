"""What is learned: a task is weighted steps of sequences, a loss, and metrics. Where its numbers come from is each source's affair."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Protocol

import numpy as np

from ltm import checks
from ltm.errors import UserError

if TYPE_CHECKING:
    from scipy import sparse  # imported where it is used, as a plan does without

    from ltm.data.series import Series


CLASSIFIED = ("accuracy", "precision", "recall", "f1", "loss")
"""What classifications are measured by."""


def generator(*key: int) -> np.random.Generator:
    """Random numbers that a key alone decides, the same on every machine (Philox, a counter-based generator).

    Keys of other lengths are other keys: left to itself, a SeedSequence takes (1,) and (1, 0) for the same.
    """
    words = [word for number in key for word in (number & 0xFFFFFFFF, number >> 32)]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([len(key), *words])))


@dataclass(frozen=True)
class Sequences:
    """B sequences of up to T steps.

    Attributes:
        inputs: numbers ``(B, T, I)``, or symbols ``(B, T)`` from 0 on (whole numbers, which a network looks up).
        targets: numbers ``(B, T, O)``, 0 or 1 where an output answers yes or no; or classes ``(B, T)`` from 0 on (whole numbers).
        weight: ``(B, T)``, what each step counts in the loss: 1 for every step of a series' training part, or for the last step of a labelled
            sequence; 0 for padding. Never negative.
        children: of trees ``(B, T, N)``: which earlier steps are the children of each, -1 for none (:func:`check_trees`). Most cells do not read it.
    """

    inputs: np.ndarray
    targets: np.ndarray
    weight: np.ndarray
    children: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def steps(self) -> int:
        """T, those of the longest sequence."""
        return int(self.weight.shape[1])

    @cached_property
    def lengths(self) -> np.ndarray:
        """Steps of every sequence up to the last that counts, ``(B,)``; what follows is padding."""
        counted = self.weight > 0
        return np.where(counted.any(1), self.steps - np.argmax(counted[:, ::-1], 1), 0)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Those that it has, by name."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: array for name, array in found.items() if array is not None}

    def take(self, index: np.ndarray | slice) -> Sequences:
        """Some of the sequences, in this order."""
        return Sequences(**{name: array[index] for name, array in self.arrays.items()})


Parts = tuple[Sequences, Sequences, Sequences]
"""Training, validation and test sequences."""


class Source(Protocol):
    """What draws sequences anew: for every seed run, or for every epoch of one."""

    def part(self, part: int, seed: int, epoch: int) -> Sequences:
        """Training (0), validation (1) or test (2) sequences of a seed run; those of an epoch differ in the first alone."""
        ...


@dataclass(frozen=True)
class Task:
    """What networks learn.

    Attributes:
        train, validation, test: three sets of sequences that each start anew; of a series (``split``) one sequence under three weights,
            through which the state is carried on.
        loss: of :data:`ltm.training.losses.LOSSES`, unless the training says another.
        metrics: what results are measured by, of :data:`ltm.training.metrics.METRICS`.
        fingerprint: sha256 of all that decides the numbers: the same for the same task everywhere.
        classes: how many, where targets are classes; 0 where they are numbers.
        symbols: how many, where inputs are symbols; 0 where they are numbers.
        labelled: each sequence has one target, at its last step; else steps have their own.
        split: steps of training and of validation of a series' one sequence; the rest is the test part.
        series: the series that this forecasts, whose scale errors are measured on.
        labels: what the classes are called, in their order; empty where they have no other name than their number.
        words: of texts, for training, validation and test ``(B, V)``: how often each word of the training part came, as a share of the text's words. No network reads it.
        notes: what is to be told of the data, a line each.
        draws: ``dataset`` (one for all seeds), ``seed`` (each seed run its own, by ``source``), ``stream`` (its training sequences new in every epoch).
    """

    name: str
    train: Sequences
    validation: Sequences
    test: Sequences
    loss: str = "squared"
    metrics: tuple[str, ...] = ("rmse", "mae", "mape")
    fingerprint: str = ""
    classes: int = 0
    symbols: int = 0
    labelled: bool = False
    split: tuple[int, int] | None = None
    series: Series | None = None
    labels: tuple[str, ...] = ()
    words: tuple[sparse.csr_matrix, sparse.csr_matrix, sparse.csr_matrix] | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    draws: str = "dataset"
    source: Source | None = field(default=None, repr=False)

    @property
    def input_size(self) -> int:
        """I, or 1 where inputs are symbols."""
        return 1 if self.symbols else int(self.train.inputs.shape[2])

    @property
    def output_size(self) -> int:
        """Outputs of a network: one a class, or one a target."""
        return self.classes or int(self.train.targets.shape[2])

    @property
    def steps(self) -> int:
        """T of the longest sequence, all parts considered."""
        return max(part.steps for part in (self.train, self.validation, self.test))

    @property
    def children(self) -> int:
        """Children of a node of a tree, at most, all parts considered; 0 where sequences are no trees."""
        held = [part.children for part in (self.train, self.validation, self.test)]
        return 0 if any(one is None for one in held) else max(one.shape[2] for one in held if one is not None)

    def part(self, part: int, seed: int, epoch: int = 0) -> Sequences:
        """Training (0), validation (1) or test (2) sequences of a seed run in an epoch (counted from 0)."""
        if self.source is None or self.draws == "dataset":
            return (self.train, self.validation, self.test)[part]
        return self.source.part(part, seed, epoch if self.draws == "stream" else 0)

    def parts(self, seed: int, epoch: int = 0) -> Parts:
        """Training, validation and test sequences of a seed run in an epoch."""
        return self.part(0, seed, epoch), self.part(1, seed, epoch), self.part(2, seed, epoch)


def fingerprint(parts: Parts, *words: object) -> str:
    """sha256 of sequences and of words for what else decides a task's numbers: the same on every machine."""
    digest = hashlib.sha256(repr(words).encode())
    for array in (array for part in parts for array in part.arrays.values()):
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array, "<f8" if array.dtype.kind == "f" else "<i8").tobytes())
    return digest.hexdigest()


def check_trees(what: str, children: np.ndarray, within: np.ndarray) -> None:
    """That ``children`` (:class:`Sequences`) make trees, one or several a sequence: each child is an earlier step, and has one parent.

    Args:
        what: how a message calls the sequences.
        within: ``(B, T)``, which steps are no padding.

    Raises:
        UserError: they do not.
    """
    B, T = within.shape
    if children.ndim != 3 or children.shape[:2] != (B, T) or not children.size or children.dtype.kind not in "iu":
        raise UserError(
            f"{what}: children have the shape {children.shape} and hold {children.dtype}; expected ({B}, {T}, N) whole numbers."
        )
    inside = within[..., None]
    if len(bad := np.argwhere(inside & ((children < -1) | (children >= np.arange(T)[:, None])))):
        b, t, k = bad[0].tolist()
        expected = f"an earlier step, 0 to {t - 1}, or -1" if t else "-1"
        raise UserError(
            f"{what}: step {t} of sequence {b} has the child {children[b, t, k]}; expected {expected} for none: children come before their parent."
        )
    b, t, k = np.nonzero(inside & (children >= 0))
    named = np.bincount(b * T + children[b, t, k].astype(np.int64), minlength=B * T)
    if named.max() > 1:
        b, t = divmod(int(named.argmax()), T)
        raise UserError(f"{what}: step {t} of sequence {b} is a child {named.max()} times; expected one parent of each.")


def of_sequences(name: str, parts: Parts, fingerprint: str, *, classes: int = 0, yes_or_no: bool = False, **more: Any) -> Task:
    """The task of three sets of sequences: cross-entropy and accuracy where targets are classes, squared error where they are numbers.

    Args:
        yes_or_no: targets are 0 or 1, each output for itself: binary cross-entropy, and what classifications are measured by.
        more: further fields of the task.
    """
    loss, metrics = (
        ("cross_entropy", CLASSIFIED) if classes
        else ("binary_cross_entropy", ("ranked", *CLASSIFIED)) if yes_or_no
        else ("squared", ("rmse", "mae", "mape", "worst"))
    )  # fmt: skip
    return Task(name, *parts, loss, metrics, fingerprint, classes, **more)


def forecast(inputs: np.ndarray, targets: np.ndarray, train: int, validation: int, name: str = "series", **more: Any) -> Task:
    """The task of one long sequence whose steps are split in time.

    Args:
        inputs, targets: ``(T, I)`` and ``(T, O)``, both scaled.
        train, validation: steps ``[0, train)`` are trained on, the next ``validation`` choose the epoch, the rest is the test part.
        more: further fields of the task.
    """
    step = np.arange(len(inputs))
    edges = itertools.pairwise((0, train, train + validation, len(inputs)))
    first, second, third = (
        Sequences(inputs[None], targets[None], ((low <= step) & (step < high)).astype(float)[None]) for low, high in edges
    )
    return Task(name, first, second, third, split=(train, validation), **more)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset's config: ``kind`` names the class, every other key is a field. A kind is a file with a subclass, and a YAML.

    Raises:
        UserError: the first key with a value that it cannot have.
    """

    name: str
    kind: ClassVar[str]
    ranges: ClassVar[dict[str, tuple[int, int]]] = {}
    """Of whole numbers that have another one than 1 to 2,147,483,647."""
    instead: ClassVar[dict[str, str]] = {}
    """Keys of other kinds that this one cannot have, and what a message says of it, and of what to do in their stead."""

    def __post_init__(self) -> None:
        checks.fields(self, lambda key: f"dataset.{key}", {"seed": (0, 2**63 - 1)} | self.ranges)

    def fail(self, message: str) -> NoReturn:
        """Raise a UserError that names the dataset."""
        raise UserError(f"dataset '{self.name}': {message}")

    def task(self) -> Task:
        """What networks learn of it.

        Raises:
            UserError: anything that the files or the keys together make impossible.
        """
        raise NotImplementedError
