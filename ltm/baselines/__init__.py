"""What needs no network: forecasts of a series (:mod:`ltm.baselines.forecasts`), and linear models of sequences (:mod:`ltm.baselines.linear`)."""

from __future__ import annotations

import json

from ltm.baselines import forecasts, linear
from ltm.data.base import Task

BASELINES_VERSION = 2
"""Raised whenever the same task would give other numbers by intention: no old result is then reused."""


def rows(task: Task) -> list[dict[str, object]]:
    """Every baseline of a task, named and measured as seed runs are (:mod:`sweeps.store.ledger`).

    Returns:
        ``fingerprint``, ``version``, ``dataset``, ``baseline`` (the kind), ``label``, ``parameters`` (JSON), ``validation_loss``, and ``test_<metric>``
        for every metric of the task. A baseline that the training part is too short for is left out.
    """
    found = forecasts.rows(task.series) if task.series else linear.rows(task)
    common = {"fingerprint": task.fingerprint, "version": BASELINES_VERSION, "dataset": task.name}
    return [{**common, **row, "parameters": json.dumps(row["parameters"])} for row in found]
