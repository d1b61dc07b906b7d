"""Calibration of R7 (claims about a process, from seeds on many paths), of its proven form R7b, and of R10 (how much theta varies between paths)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import optimize, special, stats

from analysis.statistics import paths, wins
from benchmarks.calibration.promises import LEVELS, NAMES, Promise, Rows, before, row

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]

SEEDS = 10

SCALE = 0.2
"""Of the exponential tail."""

PROMISED = Promise(0.05, 3, "promised")
CAP = Promise(0.0025, 2, "cap")


def beta(mean: float, sd: float) -> Draw:
    """theta of paths that vary evenly; all alike where sd is 0."""

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        size = mean * (1 - mean) / sd**2 - 1 if sd else np.inf
        return rng.beta(mean * size, (1 - mean) * size, shape) if sd else np.full(shape, mean)

    return draw


def either(low: float, high: float) -> Draw:
    """theta of one of two values, as often as makes its mean 1/2."""

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        return np.where(rng.random(shape) < (high - 0.5) / (high - low), low, high)

    return draw


def tail(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """theta that lies above its mean of 1/2 on most paths, with an exponential tail below that ends at 0."""
    top = float(optimize.brentq(lambda top: top - SCALE * (1 - np.exp(-top / SCALE)) - 0.5, 0.5, 1.0))
    return np.maximum(top - SCALE * rng.exponential(size=shape), 0.0)


WORLDS: dict[str, Draw] = {
    "alike": beta(0.5, 0.0), "symmetric, sd 0.1": beta(0.5, 0.1), "symmetric, sd 0.2": beta(0.5, 0.2), "skewed, 0.55 or 0.05": either(0.05, 0.55),
    "skewed, 0.6 or 0.1": either(0.1, 0.6), "skewed, 0.7 or 0.1": either(0.1, 0.7), "skewed, exponential tail": tail, "either 0.05 or 0.95": either(0.05, 0.95),
    "either 0 or 1": either(0.0, 1.0),
}  # fmt: skip
"""How theta varies from path to path; its mean is 1/2 in each."""


def shares(rng: np.random.Generator, theta: np.ndarray, n: int, coin: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Shares of wins of n seeds against n on paths with these theta ``(S, P)``, and their variance: normal errors, or a lump against a spike in its middle."""
    S, P = theta.shape
    if coin:
        a = np.where(rng.random((S, P, n)) < theta[:, :, None], -1.0, 1.0) + 1e-3 * rng.standard_normal((S, P, n))
        b = 1e-3 * rng.standard_normal((S, P, n))
    else:
        shift = np.sqrt(2) * special.ndtri(np.clip(theta, 1e-12, 1 - 1e-12))
        a, b = rng.standard_normal((2, S, P, n))
        a -= shift[:, :, None]
    found, v = wins.thetas(a.reshape(-1, n), b.reshape(-1, n))
    return found.reshape(S, P), v.reshape(S, P)


def same_starts(rng: np.random.Generator, shape: tuple[int, int], n: int) -> np.ndarray:
    """Shares of wins of equal models ``(S, P)``, were the seeds of both the same on every path: most of an error is the seed's, a third the path's and seed's."""
    S, P = shape
    a, b = rng.standard_normal((2, S, 1, n)) + 0.7 * rng.standard_normal((2, S, P, n))
    return wins.thetas(a.reshape(-1, n), b.reshape(-1, n))[0].reshape(S, P)


def levels(rng: np.random.Generator, factor: float, count: int) -> Rows:
    """Levels of R7, of R7b and of Student's t alone for so many paths of 10 seeds, and coverage of the intervals of the mean and of the sd between paths."""
    rows: Rows = []
    for world, draw in WORLDS.items():
        for kind, coin in (("normal", False), ("lump vs spike", True)):
            S, name, sizes = int(2_000 * factor), f"{world}; {kind} seeds", f"{count} x {SEEDS}"
            theta, v = shares(rng, draw(rng, (S, count)), SEEDS, coin)
            p, proven = paths.p_values(theta, SEEDS)[1], paths.proven(theta)
            with np.errstate(invalid="ignore", divide="ignore"):
                alone = np.nan_to_num(stats.ttest_1samp(theta, 0.5, axis=1).pvalue, nan=1.0)
            half = stats.t.ppf(0.975, count - 1) * paths.standard_error(theta, SEEDS)
            rows += [
                *(row("R7 process", name, sizes, f"level at {NAMES[alpha]}", p <= alpha, PROMISED if alpha == LEVELS[0] else CAP) for alpha in LEVELS),
                *(row("R7b process, proven", name, sizes, f"level at {NAMES[alpha]}", proven <= alpha, Promise(alpha, 3, "proven")) for alpha in LEVELS),
                *(row("R7 process", name, sizes, f"t alone, level at {NAMES[alpha]}", alone <= alpha) for alpha in LEVELS),
                row("R7 process", name, sizes, "interval of the mean", np.abs(theta.mean(1) - 0.5) <= half, Promise(0.95, 3, "nominal", least=True)),
            ]  # fmt: skip
            if world.startswith("symmetric") and not coin:
                sd = float(world[-3:])
                found = [paths.between(*one) for one in zip(theta, v, strict=True)]
                covered = np.array([one.low <= sd <= one.high for one in found])
                rows.append(
                    row("R10 sd between paths", name, sizes, "its interval", covered, Promise(0.93, 3, "first measured", least=True))
                )
    p = paths.p_values(same_starts(rng, (int(2_000 * factor), count), SEEDS), SEEDS)[1]
    rows += [
        row("R7 process", "the same seeds on all paths", f"{count} x {SEEDS}", f"were it asked, level at {NAMES[alpha]}", p <= alpha)
        for alpha in LEVELS
    ]
    return rows


POWERS = {
    (0.60, 20, 20): (0.72, 0.06, 0.06), (0.60, 40, 10): (0.94, 0.45, 0.71), (0.66, 20, 20): (0.99, 0.58, None), (0.66, 40, 10): (1.00, 0.98, None),
}  # fmt: skip
"""First measured, by the mean of theta, the paths and the seeds: R7 at 0.05 and at 0.05/60, R7b at 0.05."""


def power(rng: np.random.Generator, factor: float) -> Rows:
    """Power where theta varies between paths with sd 0.1, for 400 seeds of each model."""
    rows: Rows = []
    for (mean, count, n), (first, second, proven) in POWERS.items():
        theta, _ = shares(rng, beta(mean, 0.1)(rng, (int(2_000 * factor), count)), n)
        p, bets = paths.p_values(theta, n)[1], paths.proven(theta)
        world, sizes = f"mean theta {mean:.2f}, sd 0.1", f"{count} x {n}"
        for alpha, rate in zip(LEVELS, (first, second), strict=True):
            rows.append(row("R7 process", world, sizes, f"power at {NAMES[alpha]}", p <= alpha, before(rate, 3_000, least=True)))
        promises = [before(proven, 3_000, least=True)] if proven else []
        rows.append(row("R7b process, proven", world, sizes, "power at 0.05", bets <= 0.05, *promises))
    return rows
