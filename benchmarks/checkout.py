"""This checkout against a former one, in turns on one core: ``python -m benchmarks.engine --checkout PATH``.

Run as a program it is one side of it: it builds the fused engine of the ltm that it can import, by that one's API, and times it.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

SERIES = {"kind": "arfima", "name": "arfima", "train": 2000, "validation": 1200}


def engine_and_state(model: dict[str, Any], seeds: int) -> tuple[Any, Any]:
    """The fused engine of one series on one thread, and a state that no epoch has changed: by today's API, or by that of version 1's end."""
    from ltm import cells, data
    from ltm.engine import PackState, Protocol
    from ltm.engine.fused import Fused

    task, forever = data.build(SERIES), Protocol(max_epochs=10**6, patience=10**6)
    if hasattr(task, "problem"):
        network: Any = cells.build(model, len(task.values) - 1)
        settings: Any = [np.full(seeds, value, np.float32) for value in (1e-3, 0.0, 0.0)]
        task = task.problem()
    else:
        from ltm.training.state import Lane

        network, settings = cells.build(model, task), [[Lane(seed, lr=1e-3) for seed in range(seeds)]]
    params = np.stack([network.initial(seed) for seed in range(seeds)])
    return Fused(network, task, forever), PackState.start(params, *settings)


def answer(model: str, seeds: str) -> None:
    """Be one side: print losses of two epochs, then for every number read the CPU seconds of as many epochs."""
    engine, state = engine_and_state(json.loads(model), int(seeds))
    started = time.process_time()
    losses = np.stack(engine.advance(state, 2))
    print(json.dumps({"losses": losses.tolist(), "compiled": time.process_time() - started}), flush=True)
    for line in sys.stdin:
        started = time.process_time()
        engine.advance(state, int(line))
        print(json.dumps({"seconds": time.process_time() - started}), flush=True)


def compared(former: Path, model: dict[str, Any], seeds: int, rounds: int, least: float = 0.3) -> dict[str, float]:
    """Seed-epochs per second of CPU time of both, the median of the rounds' ratios, and the largest relative difference of two epochs' losses."""
    from benchmarks.peers import conversation  # not at the top: the program below knows only the ltm that is measured

    with ExitStack() as stack:
        sides = []
        for place in (Path(__file__).resolve().parents[1], former.resolve()):
            cache = stack.enter_context(tempfile.TemporaryDirectory())
            environment = os.environ | {"PYTHONPATH": str(place), "LTM_CACHE_DIR": cache}
            command = [sys.executable, __file__, json.dumps(model), str(seeds)]
            sides.append(stack.enter_context(conversation(f"the ltm of {place}", command, environment)))
        losses, compiled = zip(*((a["losses"], a["compiled"]) for a in (ask("") for ask in sides)), strict=True)
        epochs = max(1, round(least / max(sides[0]("2")["seconds"] / 2, 1e-4)))
        turns = np.array([[seeds * epochs / ask(str(epochs))["seconds"] for ask in sides] for _ in range(rounds)])
    now, then = np.median(turns, 0)
    ratio = statistics.median(turns[:, 0] / turns[:, 1])
    apart = np.abs(np.array(losses[0]) / np.array(losses[1]) - 1).max()
    return {
        "now": now,
        "former": then,
        "ratio": ratio,
        "losses apart": float(apart),
        "compiled": compiled[0],
        "former compiled": compiled[1],
    }


def table(results: dict[str, dict[str, float]]) -> Table:
    """A row for each cell and number of seeds."""
    heads = "this", "former", "this / former", "losses differ by", "compiled in", "former"
    shown = Table("", *heads, title="seed-epochs per second of CPU time, one thread, in turns; seconds of compiling")
    for condition, r in results.items():
        figures = f"{r['now']:,.0f}", f"{r['former']:,.0f}", f"{r['ratio']:.3g}", f"{r['losses apart']:.1e}"
        shown.add_row(condition, *figures, f"{r['compiled']:.1f}", f"{r['former compiled']:.1f}")
    return shown


if __name__ == "__main__":
    answer(*sys.argv[1:])
