"""Calibration of the verdicts on two models: R1 (default test), R2 (means), the sign test of paired seeds, R3 (read after every pack)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import stats

from analysis.statistics import relabelling, sequential, two_samples, wins
from benchmarks.calibration import worlds
from benchmarks.calibration.promises import FINEST, LEVELS, NAMES, Promise, Rows, before, chunks, row
from benchmarks.calibration.worlds import SHAPES, Model, World, in_common

FIRST_LEVELS = {
    (6, 6): (0.046, 0.0, 20_000), (8, 8): (0.069, 0.0, 20_000), (12, 12): (0.045, 0.0013, 20_000), (20, 20): (0.048, 0.0009, 20_000),
    (100, 100): (0.057, 0.0014, 8_000), (6, 100): (0.047, 0.0, 8_000), (12, 100): (0.047, 0.0018, 8_000), (20, 100): (0.052, 0.0014, 8_000),
    (100, 20): (0.048, 0.0016, 8_000), (12, 400): (0.054, 0.0017, 3_000), (20, 400): (0.057, 0.0013, 3_000), (100, 400): (0.062, 0.0023, 3_000),
}  # fmt: skip
"""By sizes: R1's worst level at 0.05 and at 0.05/60 as first measured, and simulations a world then."""

CAPS = {LEVELS[0]: Promise(0.07, 2, "cap"), LEVELS[1]: Promise(0.0025, 2, "cap")}


def default_test(rng: np.random.Generator, factor: float, n: int, m: int) -> Rows:
    """R1's level in every world; Welch's on the same draws, where no seed diverges, moved to equal means."""
    rows: Rows = []
    *measured, S = FIRST_LEVELS[n, m]
    simulations = int(factor * (20_000 if max(n, m) < 400 else 10_000))
    for world in worlds.PAIRS:
        both = (world, world.swapped()) if world.lopsided and n != m and (m, n) not in FIRST_LEVELS else (world,)
        for one in both:
            x, y = one.a.draw(rng, (simulations, n)), one.b.draw(rng, (simulations, m))
            p, at = wins.p_values(x, y, FINEST)[1], f"{n}/{m}"
            for alpha, rate in zip(LEVELS, measured, strict=True):
                promises = before(rate, S), CAPS[alpha]
                rows.append(row("R1 level", one.name, at, f"level at {NAMES[alpha]}", p <= alpha, *promises))
            if one.finished:
                by_means = stats.ttest_ind(x - one.a.mean(), y - one.b.mean(), axis=1, equal_var=False).pvalue
                for alpha in LEVELS:
                    rows.append(row("R1 level", one.name, at, f"Welch's level at {NAMES[alpha]}, equal means", by_means <= alpha))
    return rows


FIRST_POWER = {
    ("normal", 12, 12, 1.0): (0.597, 0.099), ("normal", 20, 20, 0.6): (0.413, 0.047), ("normal", 20, 20, 1.0): (0.837, 0.308),
    ("normal", 20, 100, 0.6): (0.635, 0.138), ("normal", 100, 100, 0.3): (0.542, 0.089), ("normal", 100, 100, 0.6): (0.982, 0.773),
    ("log-normal", 12, 12, 1.0): (0.557, 0.090), ("log-normal", 20, 20, 0.6): (0.490, 0.072), ("log-normal", 20, 20, 1.0): (0.805, 0.252),
    ("log-normal", 20, 100, 0.6): (0.563, 0.082), ("log-normal", 100, 100, 0.3): (0.693, 0.189), ("log-normal", 100, 100, 0.6): (0.990, 0.871),
}  # fmt: skip
"""R1's power as first measured (4,000 simulations): shape, sizes, shift in sds of the bulk; at 0.05 and 0.05/60."""


def power(rng: np.random.Generator, factor: float) -> Rows:
    """R1's power beside Welch's.

    The power first measured has two errors: of its simulations, and of its one law of 19,999 relabellings, whose count beyond alpha is off by its
    square root. At 0.05/60 and 20/100 twelve such laws give powers from 0.08 to 0.15 on the same draws.
    """
    rows: Rows = []
    for (name, n, m, gap), measured in FIRST_POWER.items():
        S = int(20_000 * factor)
        x, y = SHAPES[name].draw(rng, (S, n)), SHAPES[name].draw(rng, (S, m)) + gap
        p, by_means = wins.p_values(x, y, FINEST)[1], stats.ttest_ind(x, y, axis=1, equal_var=False).pvalue
        for alpha, rate in zip(LEVELS, measured, strict=True):
            promise = before(rate, 4_000, least=True)
            of_law = np.mean(p <= alpha * (1 + 1 / np.sqrt(20_000 * alpha))) - np.mean(p <= alpha)
            promises = [replace(promise, error=float(np.hypot(promise.error, of_law)))]
            welch = by_means <= alpha
            if (n, m, gap, alpha) == (20, 20, 0.6, 0.05):
                promises.append(Promise(float(welch.mean()) - (0.06 if name == "normal" else 0.0), 0, "against Welch", least=True))
            world, at = f"{name}, {gap:g} sd", f"{n}/{m}"
            rows.append(row("R1 power", world, at, f"power at {NAMES[alpha]}", p <= alpha, *promises))
            rows.append(row("R1 power", world, at, f"Welch's power at {NAMES[alpha]}", welch))
    return rows


def theta_intervals(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The interval of :func:`analysis.statistics.wins.beats` without its p, for every row: ``(studies, 2)``."""
    n, m = x.shape[1], y.shape[1]
    pooled = np.concatenate([x, y], 1)
    order = np.argsort(pooled, axis=1, kind="stable")
    ordered = np.take_along_axis(pooled, order, 1)
    theta, v, *_ = relabelling.of_rows(ordered, order < n, n, m)
    found = zip(theta, v, map(relabelling.groups_of, ordered), strict=True)
    return np.array([wins.theta_interval(float(one), float(variance), n, m, ends) for one, variance, ends in found])


def theta_coverage(rng: np.random.Generator, factor: float, n: int, m: int) -> Rows:
    """How often theta's interval has the true theta."""
    rows: Rows = []
    for name in ("normal", "sd 3:1", "log-normal", "log-normal vs tight", "outliers vs tight", "diverged 20/0 %"):
        world, S = worlds.named(name), int(1_500 * factor)
        for theta in (0.5, 0.7, 0.9, 0.97):
            if theta > 1 - world.a.diverged:
                continue  # a diverges too often to win so much
            a = worlds.aligned(world.a, world.b, theta)
            truth = worlds.theta(a, world.b)
            x, y = a.draw(rng, (S, n)), world.b.draw(rng, (S, m))
            limits = theta_intervals(x, y)
            covered = (limits[:, 0] <= truth) & (truth <= limits[:, 1])
            promise = before(0.909, 2_000, least=True)
            rows.append(row("R1 coverage", f"{name}, theta {truth:.3g}", f"{n}/{m}", "theta's interval", covered, promise))
    return rows


def shift_coverage(rng: np.random.Generator, factor: float, n: int, m: int) -> Rows:
    """How often Hodges and Lehmann's interval has the true difference of two models that differ by a shift."""
    rows: Rows = []
    for name, model in SHAPES.items():
        S = int(800 * factor)
        x, y = model.draw(rng, (S, n)), model.draw(rng, (S, m)) + 0.5
        covered = np.array([found.low <= -0.5 <= found.high for found in map(wins.typical_difference, x, y)])
        promise = Promise(0.95, 3, "nominal", least=True)
        rows.append(row("R1 coverage", f"{name}, shift 0.5", f"{n}/{m}", "Hodges-Lehmann interval", covered, promise))
    return rows


def means(rng: np.random.Generator, factor: float, n: int) -> Rows:
    """R2's level: equal means."""
    rows: Rows = []
    for name in ("normal", "log-normal vs tight", "outliers vs tight", "rare vs tight"):
        world, S = worlds.named(name), int(1_500 * factor)
        x, y = world.a.draw(rng, (S, n)) - world.a.mean(), world.b.draw(rng, (S, n)) - world.b.mean()
        p = np.array([two_samples.means(a, b).p for a, b in zip(x, y, strict=True)])
        rows.append(row("R2 means", name, f"{n}/{n}", "level at 0.05", p <= 0.05, before(0.053, 1_500)))
    return rows


def sign_test(rng: np.random.Generator, factor: float) -> Rows:
    """The sign test of paired seeds beside R1, which takes them as independent."""
    rows: Rows = []
    n, S = 20, int(20_000 * factor)
    for correlation in (0.0, 0.5, 0.9):
        for gap in (0.0, 0.6):
            a, b = in_common(rng, correlation, (S, 2, n)).transpose(1, 0, 2)
            b = b + gap
            signs, ranks = wins.sign_p((a < b).sum(1), np.full(S, n)) <= 0.05, wins.p_values(a, b)[1] <= 0.05
            what, world = "power at 0.6 sd" if gap else "level at 0.05", f"normal, correlation {correlation:g}"
            measured = {0.5: 0.52, 0.9: 0.99}.get(correlation)
            promises = [Promise(0.05, 2, "nominal")] if not gap else [before(measured, 10_000, least=True)] if measured else []
            rows.append(row("Paired seeds", world, f"{n} pairs", f"sign test's {what}", signs, *promises))
            rows.append(row("Paired seeds", world, f"{n} pairs", f"R1's {what}", ranks, *([] if gap else [CAPS[0.05]])))
    return rows


def evidence(rng: np.random.Generator, world: World, studies: int, packs: int) -> np.ndarray:
    """The logarithm of R3's evidence after each pack, its largest so far, ``(packs, studies)``; a few are held to :func:`sequential.anytime`."""
    a, b = (model.draw(rng, (studies * packs, sequential.PACK)) for model in (world.a, world.b))
    factors = sequential.wins(a, b)[1] @ sequential.multipliers(np.array([0.5]))[:, :, 0]
    most = np.maximum.accumulate(sequential.mixture(factors.reshape(studies, packs, -1).transpose(1, 2, 0)), 0)
    for study in range(min(studies, 3)):
        part = slice(study * packs, (study + 1) * packs)
        p = sequential.anytime(a[part], b[part], interval=False).p
        if not np.isclose(min(1.0, np.exp(-most[-1, study])), p):
            raise RuntimeError(f"evidence of many studies at once says p = {np.exp(-most[-1, study]):g}, sequential.anytime {p:g}")
    return most


def false_alarms(rng: np.random.Generator, factor: float, world: World) -> Rows:
    alarms = [evidence(rng, world, count, 40)[-1] >= np.log(20) for count in chunks(int(8_000 * factor), 500)]
    return [row("R3 false alarms", world.name, "40 packs", "ever p <= 0.05", np.concatenate(alarms), Promise(0.03, 0, "promised 0.05"))]


FIRST_STOPS = {
    ("normal", 0.3): (0.877, 218), ("normal", 0.6): (1.0, 68), ("normal", 1.0): (1.0, 32),
    ("log-normal", 0.3): (0.972, 159), ("log-normal", 0.6): (1.0, 56), ("log-normal", 1.0): (1.0, 33),
}  # fmt: skip
"""Share that stops within 400 seeds, and mean seeds each when it does, as first measured (2,000 simulations)."""


def stops(rng: np.random.Generator, factor: float) -> Rows:
    rows: Rows = []
    for (name, gap), (share, seeds) in FIRST_STOPS.items():
        model = SHAPES[name]
        world = World(f"{name}, {gap:g} sd", model, Model(model.shape, shift=gap))
        stopped, read = [], []
        for count in chunks(int(2_000 * factor), 500):
            over = evidence(rng, world, count, 40) >= np.log(20)
            stopped.append(over[-1])
            read.append(np.where(over[-1], over.argmax(0) + 1, 40) * sequential.PACK)
        used = np.concatenate(read)
        spread = Promise(seeds, 3, "first measured", float(used.std()) / np.sqrt(2_000))
        rows.append(row("R3 power", world.name, "40 packs", "share that stops", np.concatenate(stopped), before(share, 2_000, least=True)))
        rows.append(row("R3 power", world.name, "40 packs", "mean seeds", used, spread))
    return rows
