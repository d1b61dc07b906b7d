"""Short series of random numbers, and what an engine says of every step of one."""

from __future__ import annotations

import numpy as np

from ltm.cells import CELLS
from ltm.data.base import Task, forecast
from ltm.engine import Engine

OF_SERIES = [name for name, cell in CELLS.items() if not any(state.children for state in cell().state().values())]
"""Cells that read a series: all but those of trees."""

DERIVED = [name for name in OF_SERIES if name != "convlstm"]
"""Cells that a kernel is derived of."""


def series(T: int, inputs: int = 1, outputs: int = 1) -> Task:
    """T steps to train on, then one of validation and one of the test part."""
    draw = np.random.default_rng(T)
    return forecast(draw.uniform(0, 1, (T + 2, inputs)), draw.uniform(0, 1, (T + 2, outputs)), T, 1)


def outputs(engine: Engine, params: np.ndarray) -> np.ndarray:
    """Of all steps, ``(S, T, O)``."""
    return np.concatenate([engine.predict(params, part=part).outputs for part in range(3)], 1)
