"""``python -m benchmarks.memory``: bias and coverage of every estimate of d, and how often Qu's test rejects, on simulated series whose truth is known.

Paths are ARFIMA(0, d, 0), simulated exactly; those of short memory are white noise with level shifts: one of a standard deviation in the middle, or, in the
manner of Qu (2011), at each step with probability 6.1 / n one of N(0, 1). Seeds are fixed, so figures repeat. Prints Markdown.

    python -m benchmarks.memory --quick     20 paths, 12 s of one core
    python -m benchmarks.memory             500 paths, some minutes
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from analysis.reporting import tables
from analysis.statistics import Outcome, memory
from ltm.data.arfima import fractional_noise

TRUE_D = (0.0, 0.2, 0.4)
LENGTHS = (1000, 4000)
ESTIMATORS: dict[str, Callable[[np.ndarray], Outcome]] = {
    "GPH": memory.gph, "local Whittle": memory.local_whittle, "exact local Whittle": memory.exact_local_whittle,
    "ARFIMA(0, d, 0)": lambda x: memory.arfima_of(x).d, "DFA": memory.dfa, "rescaled range": memory.rescaled_range,
}  # fmt: skip


def estimates(lengths: Sequence[int], paths: int) -> pd.DataFrame:
    """A row an estimator, n and d: bias, sd, and the share of 95 % intervals that cover d, each over ``paths`` paths."""
    rows = []
    for n in lengths:
        for d in TRUE_D:
            rng = np.random.default_rng(round(1000 * d) + n)
            simulated = [fractional_noise(d, n, rng) for _ in range(paths)]
            for name, estimate in ESTIMATORS.items():
                found = [estimate(x) for x in simulated]
                at, covers = np.array([o.estimate for o in found]), np.array([o.low <= d <= o.high for o in found])
                rows.append(
                    {"n": n, "d": d, "estimator": name, "paths": paths, "bias": at.mean() - d, "sd": at.std(), "covers": covers.mean()}
                )
            print(f"n = {n}, d = {d:g}", file=sys.stderr)
    return pd.DataFrame(rows)


def one_shift(n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(n) + (np.arange(n) >= n // 2)


def random_shifts(n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(n) + np.cumsum((rng.random(n) < 6.1 / n) * rng.standard_normal(n))


def rejections(lengths: Sequence[int], paths: int) -> pd.DataFrame:
    """How often Qu's test rejects at 0.05: by the published value, and by the p-value simulated at m frequencies; with the mean d that local Whittle reports."""
    worlds: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
        **{f"ARFIMA(0, {d:g}, 0)": lambda n, rng, d=d: fractional_noise(d, n, rng) for d in TRUE_D},  # type: ignore[misc]
        "one level shift": one_shift, "random level shifts": random_shifts,
    }  # fmt: skip
    rows = []
    for n in lengths:
        trim, m = memory.trim_of(n), memory.bandwidth(n, memory.QU_POWER)
        simulated = float(np.quantile(memory.law_of_qu(trim, m), 0.95))
        for name, draw in worlds.items():
            rng = np.random.default_rng(n)
            d, w = memory.qu_each(np.stack([draw(n, rng) for _ in range(paths)]))
            published = memory.CRITICAL[trim][0.05]
            rows.append(
                {
                    "n": n,
                    "series": name,
                    "paths": paths,
                    "mean d": d.mean(),
                    "rejects": (w > published).mean(),
                    "by simulated p": (w > simulated).mean(),
                }
            )
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--paths", type=int, default=500, help="of each n and d (default 500)")
    parser.add_argument("--n", type=int, nargs="+", default=LENGTHS, help="values of a series (default 1000 4000)")
    parser.add_argument("--quick", action="store_true", help="20 paths")
    given = parser.parse_args()
    paths, started = 20 if given.quick else max(given.paths, 2), time.process_time()
    for table, digits in (
        (estimates(given.n, paths), {"bias": 3, "sd": 3, "covers": 2}),
        (rejections(given.n, 10 * paths), {"mean d": 2, "rejects": 3, "by simulated p": 3}),
    ):
        shown = table.assign(**{name: [f"{x:.{places}f}" for x in table[name]] for name, places in digits.items()})
        print(tables.as_markdown(shown))
    print(f"{time.process_time() - started:.0f} s of one core", file=sys.stderr)


if __name__ == "__main__":
    main()
