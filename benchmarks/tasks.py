"""ltm on tasks of sequences against torch.nn and JAX (:mod:`benchmarks.task_peer`), in turns: ``python -m benchmarks.engine --tasks --peers``.

``latching``: 8,000 sequences of 100 steps, one unit, batch 16, 100 seeds, each in its own order. ``sizes``: the same with 2 to 32 units.
``wide``: two layers of 128 units, batch 64, 150 steps of 16 inputs; ``reviews``: such a network with a filter over 50 past states. Kernels are compiled anew, in a folder of their own.
"""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table

from benchmarks import task_peer as program
from benchmarks.peers import FAST_MALLOC, conversation, cpu_seconds
from benchmarks.task_peer import CHECKED, LEARNING_RATE, Job
from ltm import cells, data
from ltm.cells import Cell, Parameter, State
from ltm.cells.base import Tensors, linear
from ltm.data.base import Sequences, Task, of_sequences
from ltm.data.generated import at_the_end
from ltm.engine import PackState, Protocol
from ltm.engine.fused import Fused
from ltm.training.state import Lane

TOLERANCE = 1e-4
"""Largest difference of a loss from ltm's in the first :data:`CHECKED` updates. A peer beyond it trains something else and is not timed."""

SIZES = (2, 4, 8, 16, 32)
SEEDS = 16
"""Seeds that ltm trains together in ``sizes``; torch.nn trains one."""


@dataclass(frozen=True)
class Peephole(Cell):
    """An LSTM whose gates see the cell state: i and f that of before, o that of after the step (Gers & Schmidhuber 2000). Not in torch.nn."""

    def parameters(self) -> dict[str, Parameter]:
        H, I = self.hidden_size, self.input_size
        bound = H**-0.5
        return {"W": linear(4 * H, I, H), "b": Parameter((4 * H,), bound), "P": Parameter((3 * H,), bound)}

    def state(self) -> dict[str, State]:
        return {"h": State(self.hidden_size), "c": State(self.hidden_size)}

    def step(self, p: Tensors, s: Tensors, x: Tensors) -> dict[str, torch.Tensor]:
        i, f, g, o = (p.W @ torch.cat([x.now, s.h]) + p.b).chunk(4)
        P_i, P_f, P_o = p.P.chunk(3)
        c = torch.sigmoid(f + P_f * s.c) * s.c + torch.sigmoid(i + P_i * s.c) * torch.tanh(g)
        return {"h": torch.sigmoid(o + P_o * c) * torch.tanh(c), "c": c}


@dataclass(frozen=True)
class Compared:
    """Of ltm and of a peer: CPU seconds of an update of one seed (one thread, medians) and of compiling; the median of the rounds' ratios, and
    the largest difference of the first losses. NaN: not measured."""

    batch: int
    ltm: float = np.nan
    peer: float = np.nan
    ratio: float = np.nan
    apart: float = np.nan
    compiled: float = np.nan
    peer_compiled: float = np.nan


Side = Callable[[float], float]
"""Trains for about so many CPU seconds, and returns CPU seconds of an update of one seed."""


class Ours:
    """The fused engine in training: its first losses ``(S, CHECKED)``, and CPU seconds until it was compiled."""

    def __init__(self, task: Task, model: dict[str, Any], batch: int, seeds: int) -> None:
        before = time.process_time()
        self.network, self.lanes = cells.build(model, task), np.arange(seeds)
        self.engine = Fused(self.network, task, Protocol(max_epochs=10**6, patience=10**6, batch=batch), range(seeds))
        params = np.stack([self.network.initial(seed) for seed in range(seeds)])
        self.state = PackState.start(params, [Lane(seed, lr=LEARNING_RATE) for seed in range(seeds)])
        self.epoch, losses = 0, []
        for update in range(CHECKED):
            self.state.update, self.state.seen[:] = update, 0.0
            self.engine.train(self.state, self.lanes, 0, 1, 1.0)
            losses.append(self.state.seen[:, 0] / self.state.seen[:, 1])
            if not update:
                self.compiled = time.process_time() - before
        self.losses = np.stack(losses, 1)
        self.params = params
        self.pace = cpu_seconds(lambda: self.train(2)) / 2

    def train(self, updates: int) -> None:
        """The first updates of the next epoch, with the sequences in its order."""
        self.epoch += 1
        self.state.update, self.state.seen[:] = 0, 0.0
        self.engine.train(self.state, self.lanes, self.epoch, updates, 1.0)

    def __call__(self, seconds: float) -> float:
        updates = max(1, round(min(seconds / self.pace, self.engine.feed.updates)))
        spent = cpu_seconds(lambda: self.train(updates)) / updates
        self.pace = spent
        return spent / len(self.lanes)

    def whole_epochs(self, seconds: float) -> float:
        """The same, in an epoch from its first update to its last."""
        return self(np.inf)

    def job(self, model: dict[str, Any], seeds: int) -> Job:
        """The same for a peer that trains the first seeds."""
        sequences, order = self.engine.feed.train(0, self.lanes[:seeds])
        shapes = {name: list(parameter.shape) for name, parameter in self.network.parameters().items()}
        sizes = (
            model["cell"],
            model["hidden_size"],
            model.get("layers", 1),
            self.network.output_size,
            self.engine.feed.batch,
            model.get("K", 0),
        )
        return Job(*sizes, shapes, np.float32(sequences.inputs), sequences.targets[:, -1], order, self.params[:seeds])


@contextmanager
def started(name: str, python: str, job: Job) -> Iterator[Callable[[str], dict[str, Any]]]:
    """A peer in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "job.npz"
        job.write(file)
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | FAST_MALLOC
        with conversation(f"the peer '{name}' in {python}", [python, program.__file__, name, str(file)], environment) as ask:
            yield ask


def in_turns(ours: Side, theirs: Side, rounds: int, seconds: float) -> tuple[float, float, float]:
    """CPU seconds of an update on either side, medians, and the median of the rounds' ratios; a first round warms up."""
    turns = np.array([(ours(seconds), theirs(seconds)) for _ in range(rounds + 1)])[1:]
    a, b = np.median(turns, 0).tolist()
    return a, b, statistics.median(turns[:, 1] / turns[:, 0])


def against(ours: Ours, model: dict[str, Any], peer: str, python: str, seeds: int, rounds: int, seconds: float, whole: bool) -> Compared:
    """ltm against a peer that trains the first seeds, each for about so many CPU seconds a round; ``whole``: ltm a whole epoch."""
    batch = ours.engine.feed.batch
    with started(peer, python, ours.job(model, seeds)) as ask:
        first = ask("")
        apart = float(np.abs(np.array(first["losses"]) - ours.losses[:seeds]).max())
        if not apart <= TOLERANCE:
            return Compared(batch, apart=apart)
        pace = 1e-3

        def theirs(seconds: float) -> float:
            nonlocal pace
            found = ask(str(max(1, round(seconds / pace))))
            pace = found["seconds"] / found["updates"]
            return float(pace)

        theirs(2e-3)
        figures = in_turns(ours.whole_epochs if whole else ours, theirs, rounds, seconds)
    return Compared(batch, *figures, apart, ours.compiled, first["compiled"])


def latching() -> Task:
    return data.build({"kind": "latching", "name": "latching", "sequences": 10_000, "length": 100})


def wide_task() -> Task:
    """Random sequences of 16 inputs and 150 steps, of 5 classes."""

    def drawn(rng: np.random.Generator, n: int) -> Sequences:
        labels = np.tile(rng.integers(0, 5, (n, 1)), (1, 150))
        return Sequences(rng.standard_normal((n, 150, 16)), labels, at_the_end(n, 150))

    rng = np.random.default_rng(0)
    parts = drawn(rng, 512), drawn(rng, 64), drawn(rng, 64)
    return of_sequences("wide", parts, "wide", classes=5, labelled=True)


Row = tuple[str, str, Compared]
"""Condition, peer, figures."""

TORCH, MODULES, JAX = "torch.nn, one seed", "torch modules, one seed", "JAX, tuned"


def latched(python: str, rounds: int) -> Iterator[Row]:
    """One unit, 100 seeds."""
    model = {"name": "lstm", "cell": "lstm", "hidden_size": 1}
    ours = Ours(latching(), model, 16, 100)
    for peer, where, seeds in ((TORCH, sys.executable, 1), (JAX, python, 100)):
        yield "LSTM(1), batch 16, 100 seeds", peer, against(ours, model, peer, where, seeds, rounds, 0.5, whole=True)


def by_size(rounds: int) -> Iterator[Row]:
    """2 to 32 units."""
    for H in SIZES:
        model = {"name": "lstm", "cell": "lstm", "hidden_size": H}
        ours = Ours(latching(), model, 16, SEEDS)
        yield (
            f"LSTM({H}), batch 16, {SEEDS} seeds",
            TORCH,
            against(ours, model, TORCH, sys.executable, 1, rounds, 0.5, whole=False),
        )


def wide(rounds: int) -> Iterator[Row]:
    """Two layers of 128 units, one seed; a cell that torch.nn lacks against ltm's own LSTM."""
    task, engines = wide_task(), {}
    for name in ("lstm", "gru"):
        model = {"name": name, "cell": name, "hidden_size": 128, "layers": 2}
        ours = engines[name] = Ours(task, model, 64, 1)
        yield f"2 x {name.upper()}(128), batch 64, 1 seed", TORCH, against(ours, model, TORCH, sys.executable, 1, rounds, 1.0, whole=False)
    own = Ours(task, {"name": "peephole", "cell": "benchmarks.tasks:Peephole", "hidden_size": 128, "layers": 2}, 64, 1)
    figures = in_turns(own, engines["lstm"], rounds, 1.0)
    yield (
        "2 x peephole LSTM(128), batch 64, 1 seed",
        "ltm's LSTM",
        Compared(64, *figures, np.nan, own.compiled, engines["lstm"].compiled),
    )


def reviews(rounds: int) -> Iterator[Row]:
    """The widest network of ``+experiment=paper_reviews``: a filter over 50 past states of 128 units, under an LSTM of 128."""
    model = {"name": "mlstmf", "cell": "mlstmf", "cells": ["mlstmf", "lstm"], "hidden_size": 128, "K": 50}
    ours = Ours(wide_task(), model, 64, 1)
    yield (
        "MLSTMF(128) K=50 under LSTM(128), batch 64, 1 seed",
        MODULES,
        against(ours, model, MODULES, sys.executable, 1, rounds, 1.0, whole=False),
    )


def measured(only: Sequence[str], pythons: Sequence[str], rounds: int, tell: Callable[[str], None]) -> list[Row]:
    """Figures of all tasks that are asked for; ``tell`` hears of each when it is done, and of the load."""
    python = next((path for path in pythons if has_jax(path)), None)
    if "latching" in only and python is None:
        raise SystemExit(
            f"{', '.join(pythons)} cannot import jax: pip install -c constraints.txt -e '.[bench]', or name another Python with --jax-python."
        )
    rows: Iterable[Row] = itertools.chain(
        latched(str(python), rounds) if "latching" in only else (),
        by_size(rounds) if "sizes" in only else (),
        wide(rounds) if "wide" in only else (),
        reviews(rounds) if "reviews" in only else (),
    )
    found, before = [], os.environ.get("LTM_CACHE_DIR")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LTM_CACHE_DIR"] = folder  # so that every kernel is compiled anew
        try:
            for condition, peer, r in rows:
                found.append((condition, peer, r))
                times = f"{1e3 * r.ltm:.3g} to {1e3 * r.peer:.3g} ms, compiled in {r.compiled:.1f} s"
                tell(f"{condition}, against {peer}: {r.ratio:,.3g} times ({times}; load {os.getloadavg()[0]:.1f})")
        finally:
            os.environ.pop("LTM_CACHE_DIR")
            if before is not None:
                os.environ["LTM_CACHE_DIR"] = before
    return found


def has_jax(python: str) -> bool:
    return subprocess.run([python, "-c", "import jax"], capture_output=True, check=False).returncode == 0


def table(rows: Iterable[Row]) -> Table:
    """A row for each condition and peer."""
    heads = "against", "ltm / peer", "ltm, ms", "peer", "ltm, seq/s", "peer", "apart", "compiled", "peer"
    shown = Table(
        "", *heads, title="CPU time of an update of one seed, one thread, in turns; how far losses are apart; CPU seconds of compiling"
    )
    for condition, peer, r in rows:
        times = (f"{1e3 * t:.3g}" for t in (r.ltm, r.peer))
        speeds = (f"{r.batch / t:,.0f}" for t in (r.ltm, r.peer))
        compiled = (f"{t:.1f}" if t else "–" for t in (r.compiled, r.peer_compiled))
        figures = [f"{r.ratio:,.3g}", *times, *speeds] if r.ratio == r.ratio else ["not timed", *"––––"]
        shown.add_row(condition, peer, *figures, f"{r.apart:.1e}" if r.apart == r.apart else "–", *compiled)
    return shown


def plain(rows: Iterable[Row]) -> dict[str, Any]:
    """The results for JSON, by condition and peer, in CPU seconds."""
    results: dict[str, Any] = {}
    for condition, peer, r in rows:
        results.setdefault(condition, {})[peer] = {key: x for key, x in asdict(r).items() if x == x}
    return results
