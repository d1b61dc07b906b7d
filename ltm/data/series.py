"""A series: values, split and scaling; how it becomes the sequence a cell learns; and the keys that every kind of series has, or every simulated one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from ltm import checks
from ltm.data import fractional
from ltm.data.base import Dataset, Task, forecast
from ltm.errors import UserError, shown

SCALINGS = ("released", "train_only", "none")

ESTIMATED = "estimated"
"""Of ``dataset.difference``: d is estimated on the training part."""

LEAST = 64
"""Values of a training part from which d is estimated."""

LONGEST = 1_000_000
"""Steps of a simulated series."""

KEPT = 256
"""Simulated series that are kept: models of a study of paths ask for them in turn, and each takes tens of milliseconds."""

MOST_HIDDEN = 1_000
"""Hidden units of the random RNN that makes a series."""


@dataclass(frozen=True)
class Series:
    """A univariate series and its split in time.

    ``train`` and ``validation`` count one-step-ahead pairs (x_t, x_{t+1}); the rest of the T - 1 pairs is the test part.
    ``difference``: networks learn ``z = (1 - B)^d (x - level)`` of it in its stead, and errors are told in the units of x all the same: the one-step
    forecast of x is that of z and what the known past adds (``carried``).
    ``scaling``: ``released`` is min-max to [0, 1] over the whole series, test part included; ``train_only`` fits the same
    map on the training part; ``none`` leaves the values.

    Raises:
        UserError: a split that leaves no test part, a constant series, values that are not finite.
    """

    name: str
    values: np.ndarray
    train: int
    validation: int
    scaling: str = "released"
    difference: float | None = None

    def __post_init__(self) -> None:
        def fail(message: str) -> None:
            raise UserError(f"dataset '{self.name}': {message}")

        values = self.values
        if self.scaling not in SCALINGS:
            fail(f"scaling is '{self.scaling}'; expected one of {', '.join(SCALINGS)}.")
        if not np.isfinite(values).all():
            fail(f"value {int(np.flatnonzero(~np.isfinite(values))[0])} is not finite; every value must be a number.")
        if self.train < 1 or self.validation < 1:
            fail(f"train={self.train}, validation={self.validation}; both parts need at least 1 pair.")
        pairs = len(values) - 1
        if self.train + self.validation >= pairs:
            fail(
                f"the split takes {self.train} + {self.validation} pairs, the series has {max(pairs, 0)};"
                " leave at least one for the test part."
            )
        if not np.isfinite(values.max() - values.min()):
            fail("the values span more than a float holds; scale them down.")
        if np.ptp(values) == 0 or (self.scaling == "train_only" and np.ptp(values[: self.train + 1]) == 0):
            fail("the series is constant; there is nothing to forecast.")
        if self.difference is not None:
            learned = self.learned
            if np.ptp(learned[1 : self.train + 1]) <= 1e-12 * np.ptp(values):
                fail(f"differenced by {self.difference:g} the training part is constant; there is nothing to forecast.")

    @cached_property
    def learned(self) -> np.ndarray:
        """What networks learn, ``(T,)``: the values, or their fractional differences. The level is that of the training part."""
        if self.difference is None:
            return self.values
        return fractional.differenced(self.values - fractional.level(self.values[: self.train + 1], self.difference), self.difference)

    @property
    def carried(self) -> np.ndarray:
        """``(T,)``: what the values before each step add to a forecast of ``learned`` to make one of ``values``; 0 without differences."""
        return self.values - self.learned

    @property
    def fingerprint(self) -> str:
        """sha256 of the values, the split and the scaling: the same for the same task everywhere."""
        digest = hashlib.sha256(np.ascontiguousarray(self.values, dtype="<f8").tobytes())
        digest.update(f"{self.train},{self.validation},{self.scaling}".encode())
        if self.difference is not None:
            digest.update(f",difference={self.difference!r}".encode())
        return digest.hexdigest()

    @property
    def offset_and_scale(self) -> tuple[float, float]:
        """``(a, b)`` of the scaled value ``(x - a) / b``, x what is learned."""
        if self.scaling == "none":
            return 0.0, 1.0
        part = self.learned if self.scaling == "released" else self.learned[: self.train + 1]
        return float(part.min()), float(np.ptp(part))

    def task(self) -> Task:
        """The one-step-ahead task on the scaled series."""
        offset, scale = self.offset_and_scale
        scaled = ((self.learned - offset) / scale)[:, None]
        return forecast(scaled[:-1], scaled[1:], self.train, self.validation, self.name, series=self, fingerprint=self.fingerprint)


@dataclass(frozen=True, kw_only=True)
class SeriesDataset(Dataset):
    """Keys that every kind of series has; the split is checked against the values (:class:`Series`)."""

    train: int
    validation: int
    scaling: str = "released"
    difference: float | str | None = None
    ranges: ClassVar = {
        "length": (1, LONGEST), "hidden": (1, MOST_HIDDEN), "train": (0, checks.LARGEST), "validation": (0, checks.LARGEST),
        "path": (0, 2**63 - 1), "origin": (0, checks.LARGEST),
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if (sigma := getattr(self, "sigma", None)) is not None:
            checks.number("dataset.sigma", sigma, above=0)
        if self.difference is not None and self.difference != ESTIMATED:
            if isinstance(self.difference, str):
                raise UserError(f"dataset.difference is '{shown(self.difference)}'; expected a number, such as 0.4, or {ESTIMATED}.")
            checks.number("dataset.difference", self.difference, above=-1, high=2)

    def values(self) -> np.ndarray:
        """The whole series, ``(T,)``, float64."""
        raise NotImplementedError

    def read(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """The whole series, and what is to be told of how it was read."""
        return self.values(), ()

    def task(self) -> Task:
        with np.errstate(all="ignore"):  # the series says which value is not finite
            values, notes = self.read()
        series = Series(self.name, values, self.train, self.validation, self.scaling)
        if self.difference is not None:
            d = float(self.difference) if self.difference != ESTIMATED else self.estimated(values)
            series = replace(series, difference=d)
            how = ", as exact local Whittle estimates it on its training part" if self.difference == ESTIMATED else ""
            notes = (*notes, f"{self.name} is differenced by d = {d:g}{how}; errors are in its own units")
        return replace(series.task(), notes=notes)

    def estimated(self, values: np.ndarray) -> float:
        """d of the training part, rounded so that every machine differences alike."""
        part = values[: self.train + 1]
        m = int(len(part) ** fractional.BANDWIDTH)
        if len(part) < LEAST or np.ptp(part) == 0:
            self.fail(f"dataset.difference=estimated reads {len(part)} values of the training part; expected at least {LEAST} that vary.")
        return round(fractional.exact_local_whittle(part, m)[0], 3)


@dataclass(frozen=True, kw_only=True)
class Simulated(SeriesDataset):
    """Keys that every simulated series has.

    Attributes:
        sigma: standard deviation of the noise.
        seed: of the data, not of the networks: of the process, where some of it is drawn, and of its noise.
        path: which path of that process: one with other noise, independent of the noise of every other path.
    """

    length: int = 4001
    sigma: float = 1.0
    seed: int = 0
    path: int = 0
    instead: ClassVar = dict.fromkeys(
        ("origin", "test"), "is simulated and has no origins; draw further paths of its process: grid.path=[0-9]"
    )


def noise_of(seed: int, path: int) -> np.random.Generator:
    """Random numbers of a path's noise: of path 0 those of the seed itself, of the others those of its children (``SeedSequence.spawn``)."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(path,) if path else ()))
