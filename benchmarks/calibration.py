"""Are the verdicts sound? Type-I errors, coverage and false alarms by simulation.

    python -m benchmarks.calibration [--simulations 4000]

Prints a Markdown table; exits with 1 where a figure lies outside what it promises.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
from rich.progress import track
from scipy import stats

from analysis import filter_length, power, summary, tables, two_samples
from ltm.errors import UserError

Draw = Callable[[np.random.Generator, int], np.ndarray]

DISTRIBUTIONS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "log-normal (sigma 0.75)": lambda rng, n: rng.lognormal(0, 0.75, n),
    "bimodal (70 % N(0,1), 30 % N(5,1))": lambda rng, n: np.where(rng.random(n) < 0.7, rng.normal(0, 1, n), rng.normal(5, 1, n)),
}

SEEDS = (20, 100)
READINGS = 10


def truth(draw: Draw) -> dict[str, float]:
    """Mean, median and interquartile mean of a distribution, from ten million values."""
    values = draw(np.random.default_rng(123), 10_000_000)
    return {"mean": float(values.mean()), "median": float(np.median(values)), "IQM": float(stats.trim_mean(values, 0.25))}


def type_one(draw: Draw, n: int, simulations: int, rng: np.random.Generator) -> dict[str, float]:
    """Share of true null hypotheses rejected at 0.05 by each default test."""
    rejected = dict.fromkeys(("Welch t", "Brunner-Munzel", "Mann-Whitney", "Jonckheere-Terpstra"), 0)
    for _ in range(simulations):
        a, b, c = (draw(rng, n) for _ in range(3))
        rejected["Welch t"] += two_samples.welch(a, b).p < 0.05
        rejected["Brunner-Munzel"] += two_samples.brunner_munzel(a, b).p < 0.05
        rejected["Mann-Whitney"] += two_samples.mann_whitney(a, b).p < 0.05
        rejected["Jonckheere-Terpstra"] += filter_length.jonckheere_terpstra({25: a, 50: b, 100: c}).p < 0.05
    return {name: count / simulations for name, count in rejected.items()}


def coverage(draw: Draw, n: int, simulations: int, rng: np.random.Generator) -> dict[str, float]:
    """Share of 95 % intervals that cover what they are about."""
    at, covered = truth(draw), dict.fromkeys(("mean", "median", "IQM (BCa)", "difference of means", "P(a beats b)"), 0)
    for _ in range(simulations):
        a, b = draw(rng, n), draw(rng, n)
        difference, beats = two_samples.welch(a, b), two_samples.brunner_munzel(a, b)
        found = {
            "mean": (summary.mean_interval(a), at["mean"]),
            "median": (summary.median_interval(a), at["median"]),
            "IQM (BCa)": (summary.iqm_interval(a, rng), at["IQM"]),
            "difference of means": ((difference.low, difference.high), 0.0),
            "P(a beats b)": ((beats.low, beats.high), 0.5),
        }
        for name, ((low, high), value) in found.items():
            covered[name] += low <= value <= high
    return {name: count / simulations for name, count in covered.items()}


def false_alarms(draw: Draw, simulations: int, rng: np.random.Generator, most: int = 400) -> float:
    """Share of studies without a difference in which the sequential verdict, read at every seed up to 400, ever excludes 0."""
    alarms = 0
    for _ in range(simulations):
        d = draw(rng, most) - draw(rng, most)
        alarms += ever_excludes(d)
    return alarms / simulations


def ever_excludes(d: np.ndarray, effect: float = 0.5) -> bool:
    """:func:`analysis.power.confidence_sequence` at every n at once (held to it by the first readings)."""
    n = np.arange(2, len(d) + 1)
    mean = np.cumsum(d)[1:] / n
    t2 = n * (n - 1) * mean**2 / np.maximum(np.cumsum(d**2)[1:] - n * mean**2, 1e-300)
    grown = 1 + n * effect**2
    evidence = -0.5 * np.log(grown) + n / 2 * (np.log1p(t2 / (n - 1)) - np.log1p(t2 / ((n - 1) * grown)))
    for i in range(0, READINGS):
        p = power.confidence_sequence(d[: n[i]], np.zeros(n[i])).p
        if not np.isclose(min(1.0, np.exp(-evidence[i])), p, rtol=1e-6):
            raise UserError("the vectorised reading departs from analysis.power.confidence_sequence")
    return bool((evidence >= np.log(1 / 0.05)).any())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=4000)
    simulations = parser.parse_args().simulations
    rng = np.random.default_rng(0)
    rows = []
    for name, draw in track(DISTRIBUTIONS.items(), description="simulating", transient=True):
        for n in SEEDS:
            found = {f"type I: {test}": (rate, 0.03, 0.07) for test, rate in type_one(draw, n, simulations, rng).items()}
            found |= {f"coverage: {what}": (rate, 0.92, 0.97) for what, rate in coverage(draw, n, simulations, rng).items()}
            rows += [(name, n, what, rate, f"{low:g} to {high:g}", low <= rate <= high) for what, (rate, low, high) in found.items()]
        rate = false_alarms(draw, simulations, rng)
        rows.append((name, "2 to 400", "sequential verdict: false alarms", rate, "at most 0.05", rate <= 0.05))
    table = pd.DataFrame(rows, columns=["errors", "seeds", "figure", "rate", "promise", "kept"])
    print(tables.as_markdown(table))
    print(
        f"{int(table['kept'].sum())} of {len(table)} promises kept; {simulations} simulations, one standard error of 0.05 is {np.sqrt(0.05 * 0.95 / simulations):.4f}"
    )
    return 0 if bool(table["kept"].all()) else 1


if __name__ == "__main__":
    sys.exit(main())
