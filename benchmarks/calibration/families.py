"""Calibration of families of claims: R4 (best of nine), whole reports, many conditions against two baselines."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from analysis.statistics import families, wins
from benchmarks.calibration import worlds
from benchmarks.calibration.promises import FINEST, Promise, Rows, before, chunks, row
from benchmarks.calibration.worlds import LOGNORMAL, NORMAL, SHAPES, TIGHT, in_common

COUPLES = list(combinations(range(9), 2))


def compared(errors: np.ndarray, couples: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """theta and p of R1 for these couples of models in every study, ``(studies, couples)`` each, from errors ``(studies, models, n)``."""
    first, second = (errors[:, [pair[side] for pair in couples]].reshape(-1, errors.shape[2]) for side in (0, 1))
    theta, p = wins.p_values(first, second, FINEST)
    return theta.reshape(len(errors), -1), p.reshape(len(errors), -1)


def square(values: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Figures of the 36 couples as a table of 9 by 9."""
    table = np.full((9, 9), np.nan)
    i, j = np.array(COUPLES).T
    table[i, j], table[j, i] = values, mirrored
    return table


def left_out(errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of nine models R4, and Hsu's form of it, leave out in every study, ``(studies, 9)`` each."""
    by_holm, by_hsu = np.zeros((2, len(errors), 9), bool)
    for study, (theta, p) in enumerate(zip(*compared(errors, COUPLES), strict=True)):
        against, corrected = square(theta, 1 - theta), families.adjust(p)
        by_holm[study] = families.beaten(against, square(corrected, corrected)) >= 0
        by_hsu[study] = ~families.among(against, square(p, p))
    return by_holm, by_hsu


def best_of_nine(rng: np.random.Generator, factor: float, n: int) -> Rows:
    """R4: how often equal models are left out, and how many of eight beside a better one."""
    rows: Rows = []
    measured = {12: before(0.044, 3_000), 20: before(0.038, 3_000), 100: before(0.037, 1_500)}[n]
    nominal = Promise(0.05, 2, "promised")
    for name, crowd in worlds.CROWDS.items():
        by_holm, by_hsu = left_out(worlds.draw(crowd, rng, int((2_000 if n < 100 else 1_000) * factor), n))
        rows.append(row("R4 best of 9", name, str(n), "any of 9 equal left out", by_holm.any(1), nominal, measured))
        worst = by_hsu[:, by_hsu.mean(0).argmax()]
        rows.append(row("R4 best of 9", name, str(n), "Hsu: a given equal one left out (worst of 9)", worst, Promise(0.05, 3, "promised")))
        rows.append(row("R4 best of 9", name, str(n), "Hsu: any of 9 equal left out", by_hsu.any(1)))
    powers = {12: {"normal": (0.14, 0.82), "log-normal": (0.13, 0.37)}, 20: {"normal": (0.37, 0.99), "log-normal": (0.33, 0.78)}}
    for name, model in SHAPES.items():
        errors = worlds.draw((model,) * 9, rng, int(2_000 * factor), n)
        errors[:, 8] += 5
        found = left_out(errors)[0][:, :8].any(1)
        rows.append(row("R4 best of 9", f"{name}, one worse by 5 sd", str(n), "any of 8 equal left out", found, nominal, measured))
        for gap, rate in zip((1, 2), powers.get(n, {}).get(name, ()), strict=False):
            errors = worlds.draw((model,) * 9, rng, int(1_000 * factor), n)
            errors[:, 8] -= gap
            promise = Promise(rate, 3, "first measured", 0.012, least=True)
            for form, out in zip(("R4", "Hsu"), left_out(errors), strict=True):
                promises = [promise] if form == "R4" else []
                rows.append(
                    row("R4 best of 9", f"{name}, one better by {gap} sd", str(n), f"{form}: share left out", out[:, :8].mean(1), *promises)
                )
    return rows


AT = 51.0
"""Where errors lie in the reports: 2 % is then one sd of a normal seed, so that "no worse" is shown nearly always and Holm is at its most lenient."""

BASELINE_PAIRS = [(a, b) for b in (0, 1) for a in range(b + 1, 9)]


def report_of_baselines(errors: np.ndarray, medians: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """p of a report's false claims and of its true ones, for each of a few series: errors ``(series, models, n)``.

    False: each model against two of them (15), and its share of seeds below a constant, which is its median (9). True: "no worse" (15).
    """
    _, against = compared(errors, BASELINE_PAIRS)
    n = errors.shape[2]
    a, b = (errors[:, [pair[side] for pair in BASELINE_PAIRS]].reshape(-1, n) for side in (0, 1))
    shares = wins.sign_p((errors < medians[:, None]).sum(2), np.full(errors.shape[:2], n))
    return np.concatenate([against, shares], 1), wins.each_no_worse(a, b, 2.0, finest=FINEST).reshape(len(errors), -1)


def whole_reports(rng: np.random.Generator, factor: float, name: str) -> Rows:
    """Reports of 9 equal models, 4 series, 100 seeds: any false verdict after Holm over everything that the report claims."""
    crowd, series, n = worlds.CROWDS[name], 4, 100
    medians = np.array([model.median() for model in crowd]) + AT
    of_baselines, of_pairs = [], []
    for count in chunks(int((2_000 if crowd[0].diverged == 0 else 1_500) * factor), 250):
        errors = worlds.draw(crowd, rng, count * series, n) + AT
        false, true = (p.reshape(count, -1) for p in report_of_baselines(errors, medians))
        corrected = np.array([families.adjust(p) for p in np.concatenate([false, true], 1)])
        of_baselines.append((corrected[:, : false.shape[1]] < 0.05).any(1))
        every = compared(errors, COUPLES)[1].reshape(count, -1)
        of_pairs.append(np.array([families.adjust(p).min() < 0.05 for p in every]))
    promise, sizes = Promise(0.05, 2, "promised"), "9 models, 4 series, 100 seeds"
    claims = (
        ("two baselines, margins, a constant: any false of 156", np.concatenate(of_baselines)),
        ("all pairs: any false of 144", np.concatenate(of_pairs)),
    )
    return [row("Whole reports", name, sizes, what, found, promise) for what, found in claims]


FAMILIES = {
    "normal": (NORMAL, NORMAL),
    "log-normal": (LOGNORMAL, LOGNORMAL),
    "tight baselines, log-normal": (TIGHT, worlds.aligned(LOGNORMAL, TIGHT)),
}
"""Two equal baselines, and conditions that neither beats."""


def against_baselines(conditions: np.ndarray, baselines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every condition beside each of two baselines, a row a pair: errors ``(studies, models, n)`` to ``(studies * 2 * conditions, n)``."""
    n = conditions.shape[2]
    return np.repeat(conditions, 2, 1).reshape(-1, n), np.tile(baselines, (1, conditions.shape[1], 1)).reshape(-1, n)


def any_after_holm(p: np.ndarray, studies: int) -> np.ndarray:
    """In which studies any claim is left after Holm over the claims of a study."""
    return np.array([families.adjust(one).min() <= 0.05 for one in p.reshape(studies, -1)])


def two_baselines(rng: np.random.Generator, factor: float, conditions: int, n: int) -> Rows:
    """So many conditions against two baselines, all equal: any false "better" or "worse", and any false "no worse" at the margin."""
    rows: Rows = []
    sizes, promise, at_once = f"{conditions} conditions, {n} seeds", Promise(0.05, 3, "promised"), max(1, 10_000 // conditions)
    for name, (baseline, model) in FAMILIES.items():
        better, no_worse = [], []
        for count in chunks(int(2_000 * factor), at_once):
            a, b = against_baselines(worlds.draw((model,) * conditions, rng, count, n), worlds.draw((baseline,) * 2, rng, count, n))
            better.append(any_after_holm(wins.p_values(a, b, FINEST)[1], count))
            no_worse.append(any_after_holm(wins.each_no_worse(1.02 * a, b, 2.0), count))
        rows.append(row("Two baselines", name, sizes, "any false verdict", np.concatenate(better), promise))
        rows.append(row("Two baselines", name, sizes, "any false no worse, at the margin", np.concatenate(no_worse), promise))
    for correlation in (0.5, 0.9):
        better, no_worse = [], []
        for count in chunks(int(2_000 * factor), at_once):
            errors = in_common(rng, correlation, (count, conditions + 2, n))
            a, b = against_baselines(errors[:, 2:], errors[:, :2])
            better.append(any_after_holm(wins.sign_p((a < b).sum(1), np.full(len(a), n)), count))
            no_worse.append(any_after_holm(wins.each_no_worse(1.02 * a, b, 2.0, pairs=True), count))
        name = f"paired, correlation {correlation:g}"
        rows.append(row("Two baselines", name, sizes, "any false verdict", np.concatenate(better), promise))
        rows.append(row("Two baselines", name, sizes, "any false no worse, at the margin", np.concatenate(no_worse), promise))
    return rows
