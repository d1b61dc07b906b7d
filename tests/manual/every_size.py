"""Fused against torch engine over the whole product of cells, sizes, lanes, lengths and number types (about two thousand kernels, hours).

``python -m tests.manual.every_size LOG [--seconds 3600] [--only TEXT]`` writes a line a case to LOG, and a summary last. Cases that LOG has
as good are not run again, so that a run may be cut off at any time and go on later.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.ltm.engine.compiler.test_sizes import AXES, Case, agree


def options(description: str | None) -> argparse.ArgumentParser:
    """What a run of many cases may be told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("log", type=Path, help="text file of the cases that are done; it is made where there is none")
    parser.add_argument("--seconds", type=float, default=3600, help="no case begins after this time")
    parser.add_argument("--only", default="", help="only cases whose name has this text, as 'lstm-17-'")
    return parser


def run(cases: Sequence[Any], agree: Callable[[Any], None], chosen: argparse.Namespace) -> int:
    """Check the cases that the log has not as good; returns the exit status."""
    known = [line.split(maxsplit=2) for line in chosen.log.read_text().splitlines()] if chosen.log.exists() else []
    good = {words[1] for words in known if words and words[0] == "good"}
    todo, failed = [case for case in cases if case.name not in good], 0
    begun, ran = time.monotonic(), 0
    with chosen.log.open("a") as log:

        def say(line: str) -> None:
            print(line, flush=True)
            print(line, file=log, flush=True)

        for case in todo:
            if time.monotonic() - begun > chosen.seconds:
                break
            start = time.monotonic()
            try:
                agree(case)
                line = f"good {case.name}"
            except Exception as error:
                failed += 1
                line = f"bad {case.name} {type(error).__name__}: {' '.join(str(error).split())[:300]}"
            ran += 1
            say(f"{line} {time.monotonic() - start:.1f}s")
        say(f"summary: {len(cases)} cases, {len(cases) - len(todo) + ran - failed} good, {failed} bad, {len(todo) - ran} not run")
    return 1 if failed else 0


def main() -> int:
    chosen = options(__doc__).parse_args()
    cases = [case for case in (Case(*values) for values in itertools.product(*AXES)) if chosen.only in case.name]  # type: ignore[arg-type]
    return run(cases, agree, chosen)


if __name__ == "__main__":
    sys.exit(main())
