"""Sequences that are given and not drawn, mostly of own files: their parts, their checks, their standardisation. How each is read is a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ltm import checks
from ltm.data.base import Dataset, Parts, Sequences, Task, fingerprint, generator, of_sequences
from ltm.errors import shown, unknown

PARTS = ("train", "validation", "test")
"""What a split calls them."""

SCALINGS = ("train_only", "none")

MOST_SYMBOLS = 10_000_000

LARGEST = 200_000_000
"""Numbers of all inputs, padding included."""


@dataclass(frozen=True)
class Read:
    """What a file holds.

    Attributes:
        inputs, targets, weight, children: as in :class:`Sequences`, of all parts together; 0 after the end of a sequence, and no child.
        lengths: steps of every sequence, ``(B,)``.
        names: what every sequence is called in messages, ``(B,)``.
        labels: names of the classes; empty where targets are numbers.
        labelled: one target a sequence.
        part: 0, 1 or 2 for every sequence, ``(B,)``; None where it is split by shares.
        notes: what is to be told of how it was read.
    """

    inputs: np.ndarray
    targets: np.ndarray
    weight: np.ndarray
    lengths: np.ndarray
    names: Sequence[Any]
    labels: tuple[str, ...]
    labelled: bool
    part: np.ndarray | None
    children: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def of(self, index: np.ndarray) -> Sequences:
        """Some of the sequences, without the padding that none of them needs."""
        T = int(self.lengths[index].max())
        children = None if self.children is None else self.children[index, :T]
        return Sequences(self.inputs[index, :T], self.targets[index, :T], self.weight[index, :T], children)


@dataclass(frozen=True, kw_only=True)
class Own(Dataset):
    """Keys that own sequences have, wherever they are read.

    Attributes:
        symbols: inputs are whole numbers from 0 on, each of which a network looks up.
        scaling: ``train_only`` brings every input to mean 0 and standard deviation 1 over the steps of the training part; ``none`` leaves them.
        validation_share, test_share: of all sequences, where the file does not say which part each belongs to; of every class alike, where a sequence
            has one.
        split_seed: of the order in which sequences are then drawn.
    """

    symbols: bool = False
    scaling: str = "train_only"
    validation_share: float = 0.2
    test_share: float = 0.2
    split_seed: int = 0
    ranges: ClassVar = {"split_seed": (0, 2**63 - 1)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scaling not in SCALINGS:
            raise unknown("choice of dataset.scaling", self.scaling, SCALINGS)
        for key in ("validation_share", "test_share"):
            checks.number(f"dataset.{key}", getattr(self, key), above=0)
        if self.validation_share + self.test_share >= 1:
            self.fail(
                f"validation_share {self.validation_share:g} and test_share {self.test_share:g} leave nothing to train on;"
                " expected less than 1 together."
            )

    def read(self) -> Read:
        """All sequences of the file."""
        raise NotImplementedError

    def task(self) -> Task:
        read = self.read()
        part = self.by_shares(read) if read.part is None else read.part
        index = [np.flatnonzero(part == i) for i in range(3)]
        for name, mine in zip(PARTS, index, strict=True):
            if not len(mine):
                self.fail(f"the {name} part has no sequence; expected at least one in each of {', '.join(PARTS)}.")
        raw = read.of(index[0]), read.of(index[1]), read.of(index[2])
        self.check_weights(read, raw)
        if read.labels:
            self.check_classes(read.labels, raw)
        symbols = int(read.inputs.max()) + 1 if self.symbols else 0
        scaling = "none" if symbols else self.scaling
        parts = raw if scaling == "none" else standardised(raw, [read.lengths[mine] for mine in index])
        return of_sequences(
            self.name, parts, fingerprint(raw, len(read.labels), symbols, read.labelled, scaling),
            classes=len(read.labels), labels=read.labels, symbols=symbols, labelled=read.labelled, notes=read.notes,
        )  # fmt: skip

    def check_size(self, sequences: int, steps: int, columns: int) -> None:
        """Refuse what would not fit into memory once padded."""
        if sequences * steps * columns > LARGEST:
            self.fail(
                f"{sequences:,} sequences padded to {steps:,} steps of {columns:,} inputs are more than {LARGEST:,} numbers;"
                " cut the longest sequences into pieces, or leave some out."
            )

    def check_symbols(self, values: np.ndarray) -> None:
        """Symbols are whole numbers from 0 on; ``values`` are those of all steps."""
        if (bad := values[(values < 0) | (values != np.floor(values)) | (values > MOST_SYMBOLS)]).size:
            self.fail(f"symbol {bad.flat[0]:g} is not a whole number from 0 to {MOST_SYMBOLS:,}; expected these, or symbols: false.")

    def check_weights(self, read: Read, parts: Parts) -> None:
        """Every part, and every sequence, must count something."""
        for name, part in zip(PARTS, parts, strict=True):
            if not part.weight.sum() > 0:
                self.fail(f"the weights of the {name} part sum to 0; expected some step that counts.")
        idle = np.flatnonzero(~(read.weight > 0).any(1))
        if len(idle):
            self.fail(
                f"all weights of sequence {shown(read.names[idle[0]])} are 0; expected a step that counts, or leave the sequence out."
            )

    def check_classes(self, labels: tuple[str, ...], parts: Parts) -> None:
        """Every class must be in every part, and there must be two."""
        if len(labels) < 2:
            self.fail(f"every label is '{shown(labels[0])}'; expected at least two classes.")
        held = [set(np.unique(part.targets[part.weight > 0]).tolist()) for part in parts]
        for i, label in enumerate(labels):
            if i not in held[0] and (where := next((name for name, mine in zip(PARTS, held, strict=True) if i in mine), None)):
                self.fail(f"label '{shown(label)}' is in the {where} part but not in the train part; expected it there, to be learned.")
        for name, mine in zip(PARTS, held, strict=True):
            if lacking := [label for i, label in enumerate(labels) if i not in mine]:
                self.fail(
                    f"class '{shown(lacking[0])}' has no target in the {name} part; give it one (another split or split_seed),"
                    " or leave the class out."
                )

    def by_shares(self, read: Read) -> np.ndarray:
        """Parts by shares: 0, 1 or 2 for every sequence, ``(B,)``; of labelled classes, each class by itself."""
        B = len(read.lengths)
        classes = read.targets[np.arange(B), read.lengths - 1] if read.labelled and read.labels else np.zeros(B, int)
        rng, part = generator(self.split_seed), np.zeros(B, int)
        for which in np.unique(classes):
            mine = rng.permutation(np.flatnonzero(classes == which))
            n = len(mine)
            if n < 3:
                whose = f"class '{shown(read.labels[which])}'" if read.labelled and read.labels else "the file"
                self.fail(f"{whose} has {n} sequence{'s' * (n > 1)}; expected at least 3, one for each of {', '.join(PARTS)}.")
            test = min(max(1, round(self.test_share * n)), n - 2)
            validation = min(max(1, round(self.validation_share * n)), n - 1 - test)
            part[mine[:validation]], part[mine[validation : validation + test]] = 1, 2
        return part


def standardised(parts: Parts, lengths: Sequence[np.ndarray]) -> Parts:
    """Inputs of mean 0 and standard deviation 1, column by column, over the steps of the training part; padding stays 0. A constant becomes 0."""
    steps = [np.arange(part.steps) < mine[:, None] for part, mine in zip(parts, lengths, strict=True)]
    known = parts[0].inputs[steps[0]]
    mean, sd = known.mean(0), known.std(0)
    sd[np.ptp(known, axis=0) == 0] = 1.0
    train, validation, test = (
        replace(part, inputs=np.where(mine[..., None], (part.inputs - mean) / sd, 0.0)) for part, mine in zip(parts, steps, strict=True)
    )
    return train, validation, test


def classes_of(labels: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels, text or numbers, as classes from 0 on in sorted order, and what these are called."""
    found, codes = np.unique(labels, return_inverse=True)
    return codes.reshape(labels.shape), tuple(
        str(int(one) if isinstance(one, float) and one.is_integer() else one) for one in found.tolist()
    )
