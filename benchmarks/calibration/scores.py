"""Calibration of what is not an error: R1 on accuracies that tie, of which some seeds learn nothing; shares of seeds that succeed; times until success."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from analysis.statistics import wins
from analysis.statistics.success import shares, survival
from benchmarks.calibration.promises import LEVELS, NAMES, Promise, Rows, row

NOMINAL = {LEVELS[0]: Promise(0.05, 3, "nominal"), LEVELS[1]: Promise(LEVELS[1], 3, "nominal")}
CAPS = {LEVELS[0]: Promise(0.07, 2, "cap"), LEVELS[1]: Promise(0.0025, 2, "cap")}

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def learned(level: float, tested: int, stuck: float = 0.0) -> Draw:
    """Accuracies of so many test sequences; a share of the seeds is stuck at the majority class, 0.5."""

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        return np.where(rng.random(shape) < stuck, 0.5, rng.binomial(tested, level, shape) / tested)

    return draw


def all_or_nothing(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Half of the seeds are stuck at 0.5, the others are perfect."""
    return np.where(rng.random(shape) < 0.5, 0.5, 1.0)


def between(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Accuracies of 50 test sequences, all of them above 0.5 and below 1."""
    return np.clip(rng.binomial(50, 0.8, shape), 26, 49) / 50


WORLDS: dict[str, tuple[Draw, Draw]] = {
    "accuracy of 50": (learned(0.8, 50), learned(0.8, 50)), "accuracy of 10": (learned(0.8, 10), learned(0.8, 10)),
    "a third stuck": (learned(0.9, 50, 0.33), learned(0.9, 50, 0.33)), "nearly perfect": (learned(0.995, 50), learned(0.995, 50)),
    "stuck or perfect vs between": (all_or_nothing, between),
}  # fmt: skip
"""Pairs of models; theta is 1/2 in each."""


def accuracies(rng: np.random.Generator, factor: float, n: int, m: int) -> Rows:
    """R1's level on tied accuracies."""
    rows: Rows = []
    for world, (a, b) in WORLDS.items():
        S = int(4_000 * factor)
        p = wins.p_values(-a(rng, (S, n)), -b(rng, (S, m)), 1)[1]
        rows += [row("R1 accuracies", world, f"{n}/{m}", f"level at {NAMES[alpha]}", p <= alpha, CAPS[alpha]) for alpha in LEVELS]
    return rows


def successes(rng: np.random.Generator, factor: float, n: int, m: int) -> Rows:
    """The levels of Barnard's test, of its "no worse" on the margin, and the coverage of Newcombe's interval."""
    rows: Rows = []
    for chance in (0.1, 0.5, 0.95):
        S, at, world = int(20_000 * factor), f"{n}/{m}", f"{chance:g} of seeds succeed"
        k, l = rng.binomial(n, chance, S), rng.binomial(m, chance, S)
        p = shares.barnard_table(n, m)[k, l]
        rows += [row("Shares", world, at, f"level at {NAMES[alpha]}", p <= alpha, NOMINAL[alpha]) for alpha in LEVELS]
        if chance > 0.1:
            worse = shares.no_worse_table(n, m, 0.1)[rng.binomial(n, chance - 0.1, S), l]
            rows.append(row("Shares", world, at, "no worse, level at the margin", worse <= 0.05, NOMINAL[0.05]))
        both, count = np.unique(np.stack([k, l], 1), axis=0, return_counts=True)
        found = [shares.newcombe(int(a), n, int(b), m) for a, b in both]
        covered = np.repeat([one.low <= 0 <= one.high for one in found], count)
        rows.append(row("Shares", world, at, "Newcombe's interval", covered, Promise(0.93, 3, "nominal less 0.02", least=True)))
    return rows


def times(rng: np.random.Generator, factor: float, n: int, m: int) -> Rows:
    """The level of the log-rank test with a budget that some seeds do not reach."""
    rows: Rows = []
    for reached in (0.95, 0.5, 0.2):
        S = int(2_000 * factor)
        drawn = np.ceil(rng.exponential(1.0, (S, n + m)) * 50)
        drawn[drawn > -50 * np.log(1 - reached)] = np.inf
        p = np.array([one.p for one in survival.each_log_rank(drawn[:, :n], drawn[:, n:])])
        p = np.where(np.isnan(p), 1.0, p)
        world = f"{reached:g} reach it"
        rows += [row("Log-rank", world, f"{n}/{m}", f"level at {NAMES[alpha]}", p <= alpha, NOMINAL[alpha]) for alpha in LEVELS]
    return rows
