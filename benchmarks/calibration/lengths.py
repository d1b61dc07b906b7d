"""Calibration of R5 (no worse than a margin) and R6 (trend over the filter length K, the shortest K)."""

from __future__ import annotations

import numpy as np

from analysis.statistics import families, trend, wins
from benchmarks.calibration import worlds
from benchmarks.calibration.promises import LEVELS, Promise, Rows, before, row
from benchmarks.calibration.worlds import NORMAL, SHAPES, in_common

AT = 51.0
"""Where errors lie, in sds: a margin of 2 % then grants 1 sd."""

CAPS = {LEVELS[0]: Promise(0.07, 2, "cap"), LEVELS[1]: Promise(0.0025, 2, "cap")}


def margins(rng: np.random.Generator, factor: float) -> Rows:
    """R5's level where a is worse by the margin, and its power for equal normals whose margin of 2 % is so many sds."""
    rows: Rows = []
    for n in (6, 10, 20, 100):
        for world in worlds.PAIRS:
            S = int((8_000 if world.finished else 4_000) * factor)
            p = wins.each_no_worse(1.02 * world.a.draw(rng, (S, n)), world.b.draw(rng, (S, n)), 2.0)
            rows.append(row("R5 no worse", world.name, f"{n}/{n}", "level at the margin", p <= 0.05, before(0.059, 2_000), CAPS[0.05]))
    for margin, n, rate in ((1.0, 10, 0.32), (1.0, 20, 0.82), (1.0, 50, 1.0), (0.5, 50, 0.56), (0.5, 100, 0.93)):
        x, y = NORMAL.draw(rng, (2, int(4_000 * factor), n)) + 51 * margin
        found = (wins.each_no_worse(x, y, 2.0) <= 0.05) & (wins.each_no_worse(y, x, 2.0) <= 0.05)
        name, power = f"normal, margin {margin:g} sd", wins.each_no_worse(x, y, 2.0) <= 0.05
        rows.append(row("R5 no worse", name, f"{n}/{n}", "power, equivalent", found, before(rate, 2_000, least=True)))
        rows.append(row("R5 no worse", name, f"{n}/{n}", "power, no worse", power))
    for correlation in (0.5, 0.9):
        for n in (6, 10, 20, 100):
            a, b = in_common(rng, correlation, (int(8_000 * factor), 2, n)).transpose(1, 0, 2)
            name = f"paired, correlation {correlation:g}"
            level = wins.each_no_worse(1.02 * a, b, 2.0, pairs=True) <= 0.05
            rows.append(row("R5 no worse", name, f"{n} pairs", "level at the margin", level, Promise(0.05, 2, "nominal")))
            if n in (10, 20):
                power = wins.each_no_worse(a + 51, b + 51, 2.0, pairs=True) <= 0.05
                rows.append(row("R5 no worse", f"{name}, margin 1 sd", f"{n} pairs", "power, no worse", power))
    return rows


FIRST_TRENDS = {"sds 3, 1, 0.3, 0.1": 0.053, "two log-normal, two tight": 0.063, "20 % diverged": 0.052}
"""Worst level of the trend as first measured; 0.061 in worlds of one distribution. 4,000 simulations, 800 of 100 seeds."""


def trend_p(errors: np.ndarray, pairs: bool = False) -> np.ndarray:
    """p of the trend in every study, from errors ``(studies, levels, n)``."""
    return np.array([trend.trend(dict(enumerate(study)), pairs).p for study in errors])


def trends(rng: np.random.Generator, factor: float, n: int) -> Rows:
    """R6's level where no K beats another, and its power for a linear fall of 1 sd from the shortest of four K to the longest."""
    rows: Rows = []
    for name, ladder in worlds.LADDERS.items():
        p = trend_p(worlds.draw(ladder, rng, int((4_000 if n < 100 else 1_000) * factor), n))
        promises = before(FIRST_TRENDS.get(name, 0.061), 4_000 if n < 100 else 800), CAPS[0.05]
        rows.append(row("R6 trend", name, f"4 K, {n}", "level at 0.05", p <= 0.05, *promises))
        rows.append(row("R6 trend", name, f"4 K, {n}", "level at 0.05/60", p <= LEVELS[1], CAPS[LEVELS[1]]))
    fall, measured = np.linspace(1, 0, 4)[:, None], {10: 0.57, 20: 0.89}.get(n)
    p = trend_p(worlds.draw(worlds.LADDERS["normal"], rng, int(2_000 * factor), n) + fall)
    promises = (before(measured, 4_000, least=True),) if measured else ()
    rows.append(row("R6 trend", "normal, falls by 1 sd", f"4 K, {n}", "power at 0.05", p <= 0.05, *promises))
    return rows


def paired_trends(rng: np.random.Generator, factor: float, correlation: float, n: int) -> Rows:
    """The same for seeds that start from the same parameters at every K."""
    rows: Rows = []
    fall, S = np.linspace(1, 0, 4)[:, None], int((1_000 if n < 100 else 200) * factor)
    for name, sds in (("normal", np.ones(4)), ("sds 3, 1, 0.3, 0.1", np.array([3, 1, 0.3, 0.1]))):
        errors = sds[:, None] * in_common(rng, correlation, (S, 4, n))
        world = f"{name}, paired, correlation {correlation:g}"
        p = trend_p(errors, pairs=True)
        rows.append(row("R6 trend", world, f"4 K, {n} pairs", "level at 0.05", p <= 0.05, CAPS[0.05]))
        rows.append(row("R6 trend", world, f"4 K, {n} pairs", "unpaired test's level at 0.05", trend_p(errors) <= 0.05))
    if n < 100:
        errors, world = in_common(rng, correlation, (S // 2, 4, n)) + fall, f"paired, correlation {correlation:g}, falls by 1 sd"
        rows.append(row("R6 trend", world, f"4 K, {n} pairs", "power at 0.05", trend_p(errors, pairs=True) <= 0.05))
        rows.append(row("R6 trend", world, f"4 K, {n} pairs", "unpaired test's power at 0.05", trend_p(errors) <= 0.05))
    return rows


def chosen(errors: np.ndarray, pairs: bool = False) -> np.ndarray:
    """The place of the shortest K that is shown to be no worse than every other, -1 where none is; Holm over the K."""
    found = np.full(len(errors), -1)
    for study, levels in enumerate(errors):
        passed = families.adjust(np.array(list(trend.shortest(dict(enumerate(levels)), 2.0, pairs).values()))) <= 0.05
        if passed.any():
            found[study] = int(passed.argmax())
    return found


def shortest(rng: np.random.Generator, factor: float, n: int) -> Rows:
    """The choice of K where the margin is 1 sd: the shortest is worse by just that, or all are equal."""
    rows: Rows = []
    none, first = {10: (0.47, 0.16), 20: (0.0, 0.69), 50: (0.0, 1.0)}[n]
    S, sizes = int((1_500 if n < 50 else 500) * factor), f"4 K, {n}"
    for name, model in SHAPES.items():
        errors = worlds.draw((model,) * 4, rng, S, n) + AT
        rows += choices(errors, f"{name}, margin 1 sd", sizes, pairs=False)
    errors = worlds.draw(worlds.LADDERS["normal"], rng, S, n) + AT
    found = chosen(errors)
    rows.append(row("R6 shortest K", "normal, all equal", sizes, "none chosen", found == -1, before(none, 1_500)))
    rows.append(row("R6 shortest K", "normal, all equal", sizes, "the shortest chosen", found == 0, before(first, 1_500, least=True)))
    for correlation in (0.5, 0.9):
        errors = in_common(rng, correlation, (S, 4, n)) + AT
        world = f"paired, correlation {correlation:g}"
        rows += choices(errors, f"{world}, margin 1 sd", sizes, pairs=True)
        found = chosen(errors, pairs=True)
        rows.append(row("R6 shortest K", f"{world}, all equal", sizes, "none chosen", found == -1))
        rows.append(row("R6 shortest K", f"{world}, all equal", sizes, "the shortest chosen", found == 0))
    return rows


def choices(errors: np.ndarray, world: str, sizes: str, pairs: bool) -> Rows:
    """How often the shortest K is chosen where it is worse by the margin than the others; first measured with four K."""
    worse = errors.copy()
    worse[:, 0] *= 1.02
    wrong = chosen(worse, pairs) == 0
    promises = [Promise(0.05, 2, "promised"), *([before(0.012, 500)] if errors.shape[1] == 4 else [])]
    return [row("R6 shortest K", world, sizes, "worse by the margin, chosen", wrong, *promises)]


def many_lengths(rng: np.random.Generator, factor: float, count: int) -> Rows:
    """The trend over 2 to 40 K of 20 seeds, unpaired and paired, and the choice among them where the shortest is worse by the margin."""
    rows: Rows = []
    n, sizes = 20, f"{count} K, 20"
    half = count // 2
    ladders = {
        "normal": (NORMAL,) * count,
        "half log-normal, half tight": (worlds.aligned(worlds.LOGNORMAL, worlds.TIGHT),) * half + (worlds.TIGHT,) * (count - half),
    }
    for name, ladder in ladders.items():
        p = trend_p(worlds.draw(ladder, rng, int(1_500 * factor), n))
        rows.append(row("R6 trend", name, sizes, "level at 0.05", p <= 0.05, CAPS[0.05]))
    few = int((600 if count < 40 else 100) * factor)
    p = trend_p(in_common(rng, 0.5, (few, count, n)), pairs=True)
    rows.append(row("R6 trend", "paired, correlation 0.5", sizes, "level at 0.05", p <= 0.05, CAPS[0.05]))
    errors = in_common(rng, 0.5, (few, count, n)) + AT
    rows += choices(errors, "paired, correlation 0.5, margin 1 sd", sizes, pairs=True)
    rows += choices(worlds.draw(ladders["normal"], rng, few, n) + AT, "normal, margin 1 sd", sizes, pairs=False)
    return rows
