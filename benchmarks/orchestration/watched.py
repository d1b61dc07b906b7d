"""``python -m ltm.sweep``, which logs the seed runs that begin and end in its process as the peers' training does."""

from __future__ import annotations

import runpy
from typing import Any

import pandas as pd

from benchmarks.orchestration.user.seen import note
from ltm.training.pack import Training

begin, end = Training.__init__, Training.results


def tell(training: Training, event: str) -> None:
    """A line for each of its seed runs."""
    for lane in training.lanes:
        note(event, type(training.network.parts[0].cell).__name__, training.task.fingerprint[:12], lane.seed)


def begun(self: Training, *given: Any, **named: Any) -> None:
    begin(self, *given, **named)
    tell(self, "began")


def ended(self: Training) -> pd.DataFrame:
    found = end(self)
    tell(self, "ended")
    return found


Training.__init__, Training.results = begun, ended  # type: ignore[method-assign]
runpy.run_module("ltm.sweep", run_name="__main__")
