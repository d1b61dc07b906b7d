"""The series a study runs on, by resolved config: ``kind`` names the source, every other key one of its fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from ltm.data import arfima, files, random_rnn
from ltm.data.series import Series
from ltm.errors import UserError, unknown

__all__ = ["KINDS", "Series", "build"]


@dataclass(frozen=True)
class Source:
    """Keys that every dataset has."""

    name: str
    train: int
    validation: int
    scaling: str = "released"
    kind: ClassVar[str]

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
    if kind not in KINDS:
        raise unknown("dataset kind", str(kind), KINDS)
    known = {field.name for field in fields(KINDS[kind])}
    for key in given:
        if key not in known:
            raise unknown(f"key of dataset '{given.get('name')}':", key, known)
    return _build(kind, tuple((key, tuple(v) if isinstance(v, list) else v) for key, v in given.items()))


@lru_cache(maxsize=32)
def _build(kind: str, given: tuple[tuple[str, Any], ...]) -> Series:
    try:
        source = KINDS[kind](**dict(given))
        return Series(source.name, source.values(), source.train, source.validation, source.scaling)
    except TypeError as error:
        raise UserError(f"dataset '{dict(given).get('name')}': {error}") from None
