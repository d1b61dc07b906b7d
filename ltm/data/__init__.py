"""The series a study runs on, by resolved config: ``kind`` names the source, every other key one of its fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from ltm import checks
from ltm.data import arfima, files, random_rnn
from ltm.data.series import Series
from ltm.errors import UserError, unknown

__all__ = ["KINDS", "Series", "build"]

LONGEST = 1_000_000
"""Steps of a simulated series."""

MOST_HIDDEN = 1_000
"""Hidden units of the random RNN that makes a series."""

RANGES = {
    "seed": (0, 2**63 - 1), "length": (1, LONGEST), "hidden": (1, MOST_HIDDEN), "train": (0, checks.LARGEST), "validation": (0, checks.LARGEST),
}  # fmt: skip
"""Of the whole numbers among a dataset's keys; the split is checked against the series (:class:`Series`)."""


@dataclass(frozen=True)
class Source:
    """Keys that every dataset has."""

    name: str
    train: int
    validation: int
    scaling: str = "released"
    kind: ClassVar[str]

    def __post_init__(self) -> None:
        """Check every key by its type.

        Raises:
            UserError: the first key with a value that it cannot have.
        """
        checks.fields(self, lambda key: f"dataset.{key}", RANGES)
        if (sigma := getattr(self, "sigma", None)) is not None:
            checks.number("dataset.sigma", sigma, above=0)

    def values(self) -> np.ndarray:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Arfima(Source):
    """Simulated ARFIMA(p, d, q); the defaults are the paper's model."""

    kind = "arfima"
    length: int = 4001
    d: float = 0.4
    ar: Sequence[float] = (0.7, -0.4)
    ma: Sequence[float] = (-0.2,)
    sigma: float = 1.0
    seed: int = 0

    def values(self) -> np.ndarray:
        return arfima.simulate(self.length, self.d, self.ar, self.ma, self.sigma, self.seed)


@dataclass(frozen=True, kw_only=True)
class RandomRNN(Source):
    """The short-memory series of a random RNN."""

    kind = "random_rnn"
    length: int = 4001
    hidden: int = 1
    sigma: float = 1.0
    seed: int = 0

    def values(self) -> np.ndarray:
        return random_rnn.simulate(self.length, self.hidden, self.sigma, self.seed)


@dataclass(frozen=True, kw_only=True)
class CSV(Source):
    """One column of a CSV: a published file by name, or any file by path."""

    kind = "csv"
    file: str
    column: str = "x"

    def values(self) -> np.ndarray:
        return files.read_column(self.file, self.column)


KINDS: dict[str, type[Source]] = {source.kind: source for source in (Arfima, RandomRNN, CSV)}


def build(dataset: Mapping[str, Any]) -> Series:
    """The series of a resolved dataset config.

    Raises:
        UserError: unknown kind or key, a missing key, or anything the source or the split rejects.
    """
    given = dict(dataset)
    kind = given.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise unknown("dataset kind", kind, KINDS)
    known = {field.name for field in fields(KINDS[kind])}
    for key in given:
        if key not in known:
            raise unknown(f"key of dataset '{given.get('name')}':", key, known)
    if missing := [f.name for f in fields(KINDS[kind]) if f.name not in given and f.default is MISSING]:
        raise UserError(f"dataset '{given.get('name')}' lacks {', '.join(missing)}; expected a value of dataset.{missing[0]}.")
    hashable: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    return _build(KINDS[kind](**hashable))


def forget() -> None:
    """Read every series anew: a file may have changed since."""
    _build.cache_clear()


@lru_cache(maxsize=32)
def _build(source: Source) -> Series:
    with np.errstate(all="ignore"):  # the series says which value is not finite
        values = source.values()
    return Series(source.name, values, source.train, source.validation, source.scaling)
