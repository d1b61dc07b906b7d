"""Worlds of made-up errors: models of known distribution, aligned so that a null hypothesis is exactly true in each world."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy import optimize, special

GRID = 20_000
"""Quantiles that stand for a model where theta is computed."""


@dataclass(frozen=True)
class Shape:
    """A mixture of normals, ``parts`` of (weight, mean, sd); the exponential of it where ``exponential``."""

    parts: tuple[tuple[float, float, float], ...]
    exponential: bool = False

    def draw(self, rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
        weights, means, sds = (np.array(column) for column in zip(*self.parts, strict=True))
        part = np.zeros(size, int) if len(weights) == 1 else rng.choice(len(weights), size, p=weights)
        values = means[part] + sds[part] * rng.standard_normal(size)
        return np.exp(values) if self.exponential else values

    def below(self, at: np.ndarray) -> np.ndarray:
        """P(value < at)."""
        if self.exponential:
            at = np.log(np.maximum(at, 1e-300))
        return sum((weight * special.ndtr((at - mean) / sd) for weight, mean, sd in self.parts), np.zeros_like(at))

    def quantiles(self) -> np.ndarray:
        """``GRID`` values that stand for the distribution: each part's quantiles, as many as its weight says."""
        grids = []
        for weight, mean, sd in self.parts:
            count = round(weight * GRID)
            grids.append(mean + sd * special.ndtri((np.arange(count) + 0.5) / count))
        values = np.concatenate(grids)
        return np.exp(values) if self.exponential else values

    def mean(self) -> float:
        if self.exponential:
            return float(sum(weight * np.exp(mean + sd**2 / 2) for weight, mean, sd in self.parts))
        return float(sum(weight * mean for weight, mean, _ in self.parts))


@dataclass(frozen=True)
class Model:
    """Errors of a model's seeds: its shape, moved by ``shift``; a share of seeds diverges (+inf)."""

    shape: Shape
    diverged: float = 0.0
    shift: float = 0.0

    def draw(self, rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
        values = self.shape.draw(rng, size) + self.shift
        if self.diverged:
            values[rng.random(size) < self.diverged] = np.inf
        return values

    def mean(self) -> float:
        """Of the seeds that finish."""
        return self.shape.mean() + self.shift

    def median(self) -> float:
        """The value that half of all seeds are below, diverged ones among the others."""
        return float(optimize.brentq(lambda at: (1 - self.diverged) * float(self.shape.below(np.array(at - self.shift))) - 0.5, -50, 50))


@dataclass(frozen=True)
class World:
    """Two models, ``a`` and ``b``."""

    name: str
    a: Model
    b: Model

    @property
    def lopsided(self) -> bool:
        return (self.a.shape, self.a.diverged) != (self.b.shape, self.b.diverged)

    @property
    def finished(self) -> bool:
        """Whether no seed diverges, so that means exist."""
        return self.a.diverged == 0 and self.b.diverged == 0

    def swapped(self) -> World:
        return World(f"{self.name}, swapped", self.b, self.a)


def theta(a: Model, b: Model) -> float:
    """P(a < b) + P(a = b) / 2: the mean of a's distribution function over b's quantiles, and diverged seeds last."""
    finished = float(a.shape.below(b.shape.quantiles() + b.shift - a.shift).mean())
    return (1 - a.diverged) * ((1 - b.diverged) * finished + b.diverged) + a.diverged * b.diverged / 2


@lru_cache(maxsize=256)
def aligned(a: Model, b: Model, wanted: float = 0.5) -> Model:
    """a, moved so that it beats b with probability ``wanted``: the root of :func:`theta` in its shift, to 1e-10."""
    return replace(a, shift=float(optimize.brentq(lambda shift: theta(replace(a, shift=shift), b) - wanted, -60, 60, xtol=1e-10)))


def fair(name: str, a: Model, b: Model) -> World:
    """A world in which theta is 1/2."""
    return World(name, a if a == b else aligned(a, b), b)


def normal(sd: float = 1.0, diverged: float = 0.0, mean: float = 0.0) -> Model:
    return Model(Shape(((1.0, mean, sd),)), diverged)


NORMAL, TIGHT, STEADY = normal(), normal(0.1), normal(0.001)
LOGNORMAL = Model(Shape(((1.0, 0.0, 1.0),), exponential=True))
BIMODAL = Model(Shape(((0.7, 0.0, 1.0), (0.3, 5.0, 1.0))))
OUTLIERS = Model(Shape(((0.95, 0.0, 1.0), (0.05, 10.0, 1.0))))
RARE = Model(Shape(((0.95, 0.0, 0.3), (0.05, 10.0, 0.3))))
LUMP = Model(Shape(((0.5, -1.0, 0.001), (0.5, 1.0, 0.001))))


def some_diverge(model: Model, share: float) -> Model:
    return replace(model, diverged=share)


TEN_PAIRS = (
    fair("normal", NORMAL, NORMAL),
    fair("sd 3:1", normal(3.0), NORMAL),
    fair("log-normal", LOGNORMAL, LOGNORMAL),
    fair("log-normal vs normal", LOGNORMAL, NORMAL),
    fair("log-normal vs tight", LOGNORMAL, TIGHT),
    fair("bimodal", BIMODAL, BIMODAL),
    fair("bimodal vs tight", BIMODAL, TIGHT),
    fair("outliers", OUTLIERS, OUTLIERS),
    fair("outliers vs tight", OUTLIERS, TIGHT),
    fair("lump vs spike", LUMP, STEADY),
)
RARE_PAIR = fair("rare vs tight", RARE, TIGHT)
BOTH_DIVERGE = fair("diverged 20/20 %", some_diverge(NORMAL, 0.2), some_diverge(NORMAL, 0.2))
DIVERGED = (
    fair("diverged 5/5 %", some_diverge(NORMAL, 0.05), some_diverge(NORMAL, 0.05)),
    BOTH_DIVERGE,
    fair("diverged 5/0 %", some_diverge(NORMAL, 0.05), NORMAL),
    fair("diverged 20/0 %", some_diverge(NORMAL, 0.2), NORMAL),
    fair("diverged 20/0 %, log-normal vs tight", some_diverge(LOGNORMAL, 0.2), TIGHT),
)
ADVERSARY = tuple(
    fair(f"steady, {100 * share:g} % diverged, vs noisy", some_diverge(STEADY, share), NORMAL) for share in (0.05, 0.1, 0.2, 0.25)
)
"""The worst found for the default test. Where the noisy sample has n seeds, all of them are worse than the steady bulk with probability
(1/2 / (1 - share))^n, and theta is then estimated at 1 - share with nearly no variance."""
PAIRS = (*TEN_PAIRS, RARE_PAIR, *DIVERGED, *ADVERSARY)
"""Every pair of models that the default test is measured in."""

SHAPES = {"normal": NORMAL, "log-normal": LOGNORMAL}
"""Those that power is measured in; its unit, "sd", is that of the normal, and 1 for both."""


def named(name: str) -> World:
    return next(world for world in PAIRS if world.name == name)


TWELVE_PAIRS = (*TEN_PAIRS, RARE_PAIR, BOTH_DIVERGE)
"""Those that the sequential verdict is measured in."""


def one_among(a: Model, others: Model, count: int) -> tuple[Model, ...]:
    return (aligned(a, others), *(others,) * (count - 1))


CROWDS: dict[str, tuple[Model, ...]] = {
    "normal": (NORMAL,) * 9,
    "log-normal": (LOGNORMAL,) * 9,
    "bimodal": (BIMODAL,) * 9,
    "outliers": (OUTLIERS,) * 9,
    "sds 1, 3, 0.1": (normal(1.0), normal(3.0), normal(0.1)) * 3,
    "one log-normal among tight": one_among(LOGNORMAL, TIGHT, 9),
    "20 % diverged": (some_diverge(NORMAL, 0.2),) * 9,
    "one steady, 20 % diverged, among noisy": one_among(some_diverge(STEADY, 0.2), NORMAL, 9),
}
"""Nine models of which none beats another: theta is 1/2 in every pair."""

LADDERS: dict[str, tuple[Model, ...]] = {
    "normal": (NORMAL,) * 4,
    "log-normal": (LOGNORMAL,) * 4,
    "bimodal": (BIMODAL,) * 4,
    "outliers": (OUTLIERS,) * 4,
    "sds 3, 1, 0.3, 0.1": (normal(3.0), normal(1.0), normal(0.3), normal(0.1)),
    "two log-normal, two tight": (aligned(LOGNORMAL, TIGHT),) * 2 + (TIGHT,) * 2,
    "20 % diverged": (some_diverge(NORMAL, 0.2),) * 4,
}
"""Four lengths K of which none beats another."""


def draw(models: tuple[Model, ...], rng: np.random.Generator, studies: int, n: int) -> np.ndarray:
    """Errors ``(studies, models, n)``."""
    return np.stack([model.draw(rng, (studies, n)) for model in models], 1)


def in_common(rng: np.random.Generator, correlation: float, shape: tuple[int, int, int]) -> np.ndarray:
    """Standard normal errors ``(studies, models, n)`` of seeds that models share: those of one seed have this correlation."""
    studies, _, n = shape
    own, common = rng.standard_normal(shape), rng.standard_normal((studies, 1, n))
    return np.sqrt(1 - correlation) * own + np.sqrt(correlation) * common
