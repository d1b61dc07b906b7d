"""Figures of the calibration, what each is promised to be, and tables of them."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

LEVELS = (0.05, 0.05 / 60)
NAMES = {LEVELS[0]: "0.05", LEVELS[1]: "0.05/60"}
FINEST = 1
"""R1 with laws of up to 199,999 relabellings: precise to an eighth at 0.05/156, in a tenth of the time of the finest where seeds diverge."""


@dataclass(frozen=True)
class Promise:
    """A bound, and how many standard errors a figure may pass it by.

    Args:
        error: the standard error of the bound, where it is itself a measurement; it is added in quadrature.
        least: the figure must not be below the bound; otherwise not above.
    """

    bound: float
    allowed: float
    source: str
    error: float = 0.0
    least: bool = False

    def excess(self, value: float, error: float) -> float:
        """How far the value is past the bound plus what is allowed; above 0 where the promise is broken."""
        past = self.bound - value if self.least else value - self.bound
        return past - self.allowed * float(np.hypot(error, self.error))

    def __str__(self) -> str:
        return f"{'at least' if self.least else 'at most'} {self.bound:.4g} ({self.source}, {self.allowed:g} se)"


@dataclass(frozen=True)
class Row:
    """A measured figure."""

    section: str
    world: str
    sizes: str
    figure: str
    value: float
    simulations: int
    error: float
    promises: tuple[Promise, ...]

    @property
    def excess(self) -> float:
        return max((promise.excess(self.value, self.error) for promise in self.promises), default=-np.inf)


Rows = list[Row]
Section = Callable[..., Rows]
"""A job: takes a generator, how many times as many simulations, and its own arguments."""


def work(section: Section, arguments: tuple[object, ...], factor: float) -> tuple[Rows, float]:
    """One job, from a seed of its own; the seconds it took."""
    started = time.perf_counter()
    rng = np.random.default_rng(zlib.crc32(repr((section.__name__, [getattr(one, "name", one) for one in arguments])).encode()))
    return section(rng, factor, *arguments), time.perf_counter() - started


def standard_error(rate: float, simulations: float) -> float:
    """Of a rate; one of 0 or 1 counts as one event away from it."""
    held = min(max(rate, 1 / simulations), 1 - 1 / simulations)
    return float(np.sqrt(held * (1 - held) / simulations))


def before(rate: float, simulations: int, least: bool = False) -> Promise:
    """Not worse, by more than three standard errors of the difference, than the independent code that the recipes were first measured with."""
    return Promise(rate, 3, "first measured", standard_error(rate, simulations), least)


def row(section: str, world: str, sizes: str, figure: str, values: np.ndarray, *promises: Promise) -> Row:
    """The mean of a figure over studies: ``values`` of 0 and 1, or shares of a study."""
    value, S = float(np.mean(values)), len(values)
    error = float(np.std(values) / np.sqrt(S)) or standard_error(value, S)
    return Row(section, world, sizes, figure, value, S, error, promises)


def chunks(simulations: int, size: int) -> Iterator[int]:
    """Sizes of the parts that so many simulations are run in."""
    for start in range(0, simulations, size):
        yield min(size, simulations - start)


def markdown(table: pd.DataFrame) -> str:
    lines = [" | ".join(table.columns), " | ".join(["---"] * len(table.columns)), *(" | ".join(map(str, one)) for one in table.to_numpy())]
    return "\n".join(f"| {line} |" for line in lines)


def as_table(rows: Rows) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "section": one.section, "world": one.world, "sizes": one.sizes, "figure": one.figure, "value": f"{one.value:.4g}",
            "simulations": one.simulations, "se": f"{one.error:.2g}", "promise": "; ".join(map(str, one.promises)) or "-",
            "kept": "-" if not one.promises else "yes" if one.excess <= 0 else "NO",
        }
        for one in rows
    )  # fmt: skip


def kept_of(rows: Rows) -> str:
    promised = [one for one in rows if one.promises]
    return f"{sum(one.excess <= 0 for one in promised)} of {len(promised)}" if promised else "-"


def worst_of_each(rows: Rows) -> pd.DataFrame:
    """Of every group of rows with one figure the one nearest to its bound, or past it; how many there are and how many are kept."""
    groups: dict[tuple[str, str], Rows] = {}
    for one in rows:
        groups.setdefault((one.section, one.figure), []).append(one)
    worst = [max(group, key=lambda one: (one.excess, one.value)) for group in groups.values()]
    table = as_table(worst)
    table["kept"] = [kept_of(group) for group in groups.values()]
    return table
