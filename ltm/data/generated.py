"""Tasks whose sequences are drawn by a rule: sizes, keys of the generators, and when they are drawn anew. The rules are a file each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ltm import checks
from ltm.data.base import Dataset, Sequences, Task, fingerprint, generator, of_sequences
from ltm.errors import unknown

DRAWS = ("dataset", "seed", "stream")

LARGEST = 200_000_000
"""Steps of all sequences of a task together, or their numbers, where a step has many."""


@dataclass(frozen=True, kw_only=True)
class Generated(Dataset):
    """Keys that every generated task has. Sequences are independent of each other, so no part knows of another.

    Attributes:
        sequences: of the training and the validation part together.
        validation_share: of these, those that choose the epoch.
        test_share: the size of the test part, further sequences, as a share of ``sequences``.
        length: steps of a sequence, by the rule of the task.
        seed: of the data, not of the networks.
        draws: ``dataset`` (once, by ``seed``), ``seed`` (for every seed run its own, by ``seed`` and its), ``stream`` (as ``seed``, and
            training sequences new in every epoch).
    """

    sequences: int = 10_000
    validation_share: float = 0.2
    test_share: float = 0.2
    length: int
    seed: int = 0
    draws: str = "dataset"
    ranges: ClassVar = {"sequences": (3, 10_000_000), "length": (1, 1_000_000)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.draws not in DRAWS:
            raise unknown("choice of dataset.draws", self.draws, DRAWS)
        for key in ("validation_share", "test_share"):
            checks.number(f"dataset.{key}", getattr(self, key), above=0)
        checks.number("dataset.test_share", self.test_share, high=10)
        if self.validation_share >= 1:
            self.fail(f"validation_share is {self.validation_share:g}; expected less than 1, so that some sequences are trained on.")
        if min(self.sizes) < 1:
            train, validation, test = self.sizes
            self.fail(
                f"{self.sequences} sequences leave {train} for training, {validation} for validation and {test} for the test;"
                " expected at least 1 of each: raise sequences or the shares."
            )
        if sum(self.sizes) * self.longest * self.width > LARGEST:
            each, all_ = (f" of {self.width:,} numbers", "numbers") if self.width > 1 else ("", "steps")
            self.fail(
                f"{sum(self.sizes):,} sequences of {self.longest:,} steps{each} are more than {LARGEST:,} {all_}; lower sequences or length."
            )

    @property
    def longest(self) -> int:
        """Steps of the longest sequence."""
        return self.length

    @property
    def width(self) -> int:
        """Numbers of a step, where they are many."""
        return 1

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Sequences of training, validation and test."""
        validation = round(self.validation_share * self.sequences)
        return self.sequences - validation, validation, round(self.test_share * self.sequences)

    def draw(self, rng: np.random.Generator, n: int) -> Sequences:
        """So many sequences of the task."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """Fields of the task beside its sequences, such as ``classes``."""
        raise NotImplementedError

    def part(self, part: int, seed: int, epoch: int) -> Sequences:
        """Training (0), validation (1) or test (2) sequences of a seed run; those of an epoch differ in the first alone."""
        return self.draw(self.generator(part, seed, epoch), self.sizes[part])

    def generator(self, part: int, seed: int, epoch: int) -> np.random.Generator:
        """The random numbers of a part (3 on: of something else that is trained on), as ``draws`` says."""
        again = self.draws == "stream" and part not in (1, 2)
        return generator(self.seed, 0 if self.draws == "dataset" else seed, part, epoch if again else 0)

    def task(self) -> Task:
        """The task; where every seed run has sequences of its own, those of seed 0 stand in it."""
        parts, facts = (self.part(0, 0, 0), self.part(1, 0, 0), self.part(2, 0, 0)), self.facts()
        later = () if self.draws == "dataset" else (self.kind, *sorted((k, v) for k, v in dataclasses.asdict(self).items() if k != "name"))
        decides = [facts.get(key, 0) for key in ("classes", "symbols", "labelled")]
        return of_sequences(self.name, parts, fingerprint(parts, *decides, *later), draws=self.draws, source=self, **facts)


@dataclass(frozen=True, kw_only=True)
class Symbolic(Generated):
    """A generated task whose inputs are symbols of an alphabet.

    Attributes:
        symbols: a step is the number of its symbol, which a network looks up; else a vector, 1 at the symbol's place and 0 elsewhere, as in
            Hochreiter and Schmidhuber (1997).
    """

    symbols: bool = False

    @property
    def alphabet(self) -> int:
        """How many symbols there are."""
        raise NotImplementedError

    @property
    def width(self) -> int:
        return 1 if self.symbols else self.alphabet

    def coded(self, symbols: np.ndarray, within: np.ndarray | bool = True) -> np.ndarray:
        """Inputs of symbols ``(n, T)``: themselves, or vectors ``(n, T, I)``; 0 where a step is not ``within`` its sequence."""
        if self.symbols:
            return np.where(within, symbols, 0)
        return np.eye(self.alphabet + 1, self.alphabet)[np.where(within, symbols, self.alphabet)]

    def facts(self) -> dict[str, Any]:
        return {"symbols": self.alphabet if self.symbols else 0}


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Standard normal numbers, rounded to those that 32 bits hold: so that no machine's logarithm decides the last bit of a few in a thousand."""
    return rng.standard_normal(shape).astype(np.float32).astype(np.float64)


def at_the_end(n: int, steps: int) -> np.ndarray:
    """The weight of labelled sequences of one length: 1 at the last step, ``(n, steps)``."""
    return np.broadcast_to((np.arange(steps) == steps - 1).astype(float), (n, steps))
