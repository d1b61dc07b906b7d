"""Which seed runs began and ended, a line each. It belongs to the measurement, not to what a user writes; the lines that call it are not counted."""

import os
import time


def note(event: str, *seed_run: object) -> None:
    """Append ``time event model series seed`` to the log, in one write, so that any number of processes may."""
    with open(os.environ["SEED_RUNS"], "a") as log:
        log.write(f"{time.time():.3f} {event} {' '.join(map(str, seed_run))}\n")
