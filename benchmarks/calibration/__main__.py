"""Do the verdicts hold? Levels, power, coverage and false alarms of every procedure, by simulation in worlds whose truth is known.

    python -m benchmarks.calibration [--only SECTION] [--simulations FACTOR] [--to FILE.csv]

Prints Markdown: the worst figure of each group, then all of them. Exits with 1 where a promise is broken: where a figure passes its bound by
more than the standard errors that the promise allows. Seeds are fixed, so figures repeat, whatever the number of cores.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from rich.console import Console
from rich.progress import track

from benchmarks.calibration import adaptive, families, lengths, pairs, paths, scores, worlds
from benchmarks.calibration.promises import Rows, Section, as_table, markdown, work, worst_of_each

SIZES = ((100, 100), (20, 100), (20, 20), (12, 12), (6, 6))
JOBS: dict[str, list[tuple[Section, tuple[object, ...]]]] = {
    "level": [(pairs.default_test, sizes) for sizes in sorted(pairs.FIRST_LEVELS, key=sum, reverse=True)],
    "reports": [(families.whole_reports, (name,)) for name in reversed(worlds.CROWDS)],
    "trend": [
        *((lengths.many_lengths, (count,)) for count in (40, 9, 2)),
        *((lengths.paired_trends, (correlation, n)) for n in (100, 20, 10) for correlation in (0.9, 0.5)),
        *((lengths.trends, (n,)) for n in (100, 20, 10, 6)),
    ],
    "shortest": [(lengths.shortest, (n,)) for n in (50, 20, 10)],
    "margin": [(lengths.margins, ())],
    "best": [(families.best_of_nine, (n,)) for n in (100, 20, 12)],
    "baselines": [(families.two_baselines, (count, n)) for n in (100, 20) for count in (40, 9, 2)],
    "coverage": [(of, at) for of in (pairs.shift_coverage, pairs.theta_coverage) for at in SIZES],
    "means": [(pairs.means, (n,)) for n in (200, 100)],
    "sequential": [(pairs.stops, ()), *((pairs.false_alarms, (world,)) for world in worlds.TWELVE_PAIRS)],
    "adaptive": [*((adaptive.planted, one) for one in adaptive.PLANTED), *((adaptive.false_claims, (name,)) for name in worlds.CROWDS)],
    "power": [(pairs.power, ())],
    "paired": [(pairs.sign_test, ())],
    "paths": [*((paths.levels, (count,)) for count in (40, 20, 12, 6)), (paths.power, ())],
    "scores": [
        (of, at) for of in (scores.accuracies, scores.successes, scores.times) for at in ((100, 100), (20, 100), (20, 20), (12, 12))
    ],
}
"""The longest first, so that no core waits at the end."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=JOBS, action="append", help="a section; may be given again")
    parser.add_argument("--simulations", type=float, default=1.0, metavar="FACTOR", help="times as many simulations")
    parser.add_argument("--to", metavar="FILE.csv", help="write all figures there instead of the long table")
    options = parser.parse_args()
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # a process a core is enough
    jobs = [(section, arguments) for name in options.only or JOBS for section, arguments in JOBS[name]]
    console, started = Console(stderr=True), time.perf_counter()
    done: dict[int, Rows] = {}
    seconds: dict[str, float] = {}
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(work, *job, options.simulations): at for at, job in enumerate(jobs)}
        for future in track(as_completed(futures), "simulating", len(futures), console=console):
            at = futures[future]
            done[at], took = future.result()
            seconds[jobs[at][0].__name__] = seconds.get(jobs[at][0].__name__, 0.0) + took
    rows = [one for at in range(len(jobs)) for one in done[at]]
    console.print({name: round(value) for name, value in sorted(seconds.items(), key=lambda item: -item[1])})
    promised = [one for one in rows if one.promises]
    kept = sum(one.excess <= 0 for one in promised)
    print(f"The worst of each group.\n\n{markdown(worst_of_each(rows))}\n")
    if options.to:
        as_table(rows).to_csv(options.to, index=False)
    else:
        print(f"All figures.\n\n{markdown(as_table(rows))}\n")
    minutes = (time.perf_counter() - started) / 60
    print(
        f"{kept} of {len(promised)} figures keep their promises; {sum(one.simulations for one in rows):,} simulations in {minutes:.1f} minutes"
    )
    return 0 if kept == len(promised) else 1


if __name__ == "__main__":
    sys.exit(main())
