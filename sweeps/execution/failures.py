"""Packs that failed: split until the seed runs to blame are alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pandas as pd

from sweeps.execution.progress import Progress
from sweeps.execution.worker import Failure
from sweeps.plan import Pack, SeedRun


def parts_of(
    packs: Mapping[str, Pack], failures: Mapping[str, Failure], progress: Progress
) -> tuple[list[Pack], list[tuple[SeedRun, str]]]:
    """Failed packs in parts, to be tried again, and the seed runs that failed alone, with their errors.

    A pack that ran out of memory is halved; one that raised is cut in four, to find the seed run to blame in fewer turns.
    """
    again: list[Pack] = []
    alone: list[tuple[SeedRun, str]] = []
    for key, failure in failures.items():
        runs = packs[key].runs
        if len(runs) == 1:
            alone.append((runs[0], failure.error))
            continue
        size = -(-len(runs) // (2 if "memory" in failure.error.lower() else 4))
        parts = [Pack(runs[i : i + size]) for i in range(0, len(runs), size)]
        progress.split(key, {part.id: part for part in parts})
        again += parts
    return again, alone


def in_words(failures: pd.DataFrame) -> str:
    """What failed and why: a line an error, with how often and where first."""
    lines = [f"{len(failures)} seed runs failed; the same command tries them again:"]
    for error, count in Counter(failures["error"]).most_common(10):
        first = failures[failures["error"] == error].iloc[0]
        lines.append(f"  {count} x {error} (first: {first['condition']}, seed {first['seed']})")
    return "\n".join(lines)
