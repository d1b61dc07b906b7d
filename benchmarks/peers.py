"""ltm's fused kernel against what a user would take instead (:mod:`benchmarks.peer`), in turns: ``python -m benchmarks.engine --peers``."""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks import peer as program
from benchmarks.peer import LEARNING_RATE, Job
from ltm import cells
from ltm.cells import GRU, LSTM, Network
from ltm.data.base import Task
from ltm.engine import PackState, Protocol
from ltm.engine.fused import Fused
from ltm.training.state import Lane

TOLERANCE = (1e-6, 2e-6)
"""Largest relative difference of a loss from ltm's, in float32, in the first epoch and in the second (after a step of Adam, in which
either side's gradients are rounded too). A peer beyond it trains something else and is not timed."""

FAST_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**34)}
"""glibc keeps large buffers instead of returning them to the system, which spares torch the page faults of fresh ones."""

MODELS: dict[str, dict[str, Any]] = {"rnn": {}, "lstm": {}, "mrnn": {"K": 100}}
"""The cells that peers know, at hidden size 1."""

TORCH = {"torch.nn, one seed": 1, "torch.nn, masked": 100, "torch.vmap": 100}
"""Seeds that each peer in torch trains together."""

C_PEAK = """
#include <stdio.h>
#include <time.h>
#ifdef __AVX512F__
typedef float vector __attribute__((vector_size(64)));
#else
typedef float vector __attribute__((vector_size(32)));
#endif
int main(void) {
    vector a[16], b = {0}, c = {0};
    const long n = 10000000;
    double best = 0;
    for (int i = 0; i < 16; i++) a[i] = b + (i + 2.0f); /* not 1, which would stay 1 and be optimised away */
    b += 0.99f;
    c += 0.01f;
    for (int run = 0; run < 7; run++) {
        clock_t started = clock();
        for (long k = 0; k < n; k++)
            for (int i = 0; i < 16; i++) a[i] = a[i] * b + c;
        double rate = 2.0 * n * 16 * (sizeof(vector) / sizeof(float)) * CLOCKS_PER_SEC / (clock() - started);
        if (rate > best) best = rate;
    }
    float sum = 0;
    for (int i = 0; i < 16; i++) sum += a[i][0];
    fprintf(stderr, "%g", sum);
    printf("%g", best);
}
"""


@dataclass(frozen=True)
class Compared:
    """Seed-epochs per second (CPU time, one thread, medians) of ltm and of a peer, the median of the pairs' ratios, the largest
    relative differences of their losses in the first epoch and in the second, ltm's floating-point operations per second. NaN: not measured."""

    ltm: float = np.nan
    peer: float = np.nan
    ratio: float = np.nan
    first: float = np.nan
    second: float = np.nan
    flops: float = np.nan


NOT_TIMED = Compared()


def compare(engine: Fused, job: Job, name: str, python: str, seeds: int, rounds: int, least: float = 0.3) -> Compared:
    """Run ltm and a peer in turns, ``rounds`` times, each for at least ``least`` CPU seconds; the peer trains the first ``seeds`` seeds.

    A peer whose losses of the first two epochs differ by more than ``TOLERANCE`` is not timed.
    """
    S = len(job.params)
    state = PackState.start(job.params, [Lane(seed, lr=LEARNING_RATE) for seed in range(S)])
    own = np.stack(engine.advance(state, 2))
    with started(name, python, replace(job, params=job.params[:seeds])) as ask:
        answer = ask("")
        losses = np.array(answer["losses"])
        first, second = np.abs(losses / own[:, : losses.shape[1]] - 1).max((0, 1)).tolist()
        if not (first <= TOLERANCE[0] and second <= TOLERANCE[1]):
            return Compared(first=first, second=second)
        calls = max(1, round(least / max(ask("1")["seconds"], 1e-3)))
        epochs = max(1, round(least / max(cpu_seconds(lambda: engine.advance(state, 2)) / 2, 1e-4)))
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(S * epochs / cpu_seconds(lambda: engine.advance(state, epochs)))
            theirs.append(losses.shape[1] * answer["epochs"] * calls / ask(str(calls))["seconds"])
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    rate = statistics.median(ours)
    return Compared(rate, statistics.median(theirs), statistics.median(ratios), first, second, rate * operations(engine))


def operations(engine: Fused) -> float:
    """Floating-point operations of one epoch of one seed."""
    forward, backward = engine.flops
    train, validation = engine.split
    return forward * (train + validation) + backward * train


def cpu_seconds(function: Callable[[], object]) -> float:
    before = time.process_time()
    function()
    return time.process_time() - before


@contextmanager
def started(name: str, python: str, job: Job) -> Iterator[Callable[[str], dict[str, Any]]]:
    """A peer in a process of its own: a function that sends it a line, unless empty, and returns its answer."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "job.npz"
        job.write(file)
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        if name in TORCH:
            environment |= {**FAST_MALLOC, "PYTHONPATH": str(Path(__file__).parents[1])}
        with conversation(f"the peer '{name}' in {python}", [python, program.__file__, name, str(file)], environment) as ask:
            yield ask


@contextmanager
def conversation(what: str, command: list[str], environment: dict[str, str]) -> Iterator[Callable[[str], dict[str, Any]]]:
    """A process that answers a line of JSON at its start and to every line: a function that sends one, unless empty, and returns the answer."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        send, receive = process.stdin, process.stdout

        def ask(line: str) -> dict[str, Any]:
            if line:
                print(line, file=send, flush=True)
            answer = receive.readline()
            if not answer:
                raise SystemExit(f"{what} ended before it answered; its own message is above.")
            return dict(json.loads(answer))

        yield ask


def jax_version(python: str) -> str | None:
    """The version of JAX that this Python has, beside optax; None where it cannot import both."""
    found = subprocess.run([python, "-c", "import jax, optax; print(jax.__version__)"], capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else None


def programs(pythons: Iterable[str]) -> list[tuple[str, str, str]]:
    """Every peer as (label, name, Python).

    Raises:
        SystemExit: a Python without JAX.
    """
    found = []
    for python in pythons:
        version = jax_version(python)
        if version is None:
            raise SystemExit(
                f"{python} cannot import jax and optax: pip install -c constraints.txt -e '.[bench]', or name another Python with --jax-python."
            )
        found += [(name.replace("JAX", f"JAX {version}"), name, python) for name in program.PEERS if name not in TORCH]
    return found + [(name, name, sys.executable) for name in TORCH]


def prepare(network: Network, model: dict[str, Any], task: Task, seeds: int) -> tuple[Fused, Job]:
    """ltm's engine, on one thread, and the job of its peers."""
    shapes = {name: list(parameter.shape) for name, parameter in network.parameters().items()}
    params = np.stack([network.initial(seed) for seed in range(seeds)])
    assert task.split is not None
    job = Job(model, shapes, *task.split, params, task.train.targets[0], network.features(task.train.inputs[0]))
    return Fused(network, task, Protocol(max_epochs=10**6, patience=10**6)), job


def many_seeds(
    names: Iterable[str], task: Task, seeds: list[int], peers: list[tuple[str, str, str]], rounds: int
) -> Iterator[tuple[str, str, Compared]]:
    """(cell and seeds, peer, figures) of every peer, at hidden size 1."""
    for name, S in itertools.product(names, seeds):
        model = {"cell": name, "hidden_size": 1, **MODELS[name]}
        engine, job = prepare(cells.build(model, task), model, task, S)
        for label, peer, python in peers:
            if not (name == "mrnn" and peer.startswith("torch.nn")):
                yield f"{name}, {S:,} seeds", label, compare(engine, job, peer, python, min(S, TORCH.get(peer, S)), rounds)


def sizes(hidden: list[int], task: Task, seeds: list[int], rounds: int) -> Iterator[tuple[str, str, Compared]]:
    """(cell, size and seeds, peer, figures) of torch.nn's LSTM and GRU, one seed at a time, against as many seeds in ltm."""
    peer = "torch.nn, one seed"
    for (name, kind), H, S in itertools.product((("lstm", LSTM), ("gru", GRU)), hidden, seeds):
        condition = f"{name}, hidden {H}, {S:,} seed{'s' * (S > 1)}"
        engine, job = prepare(Network.of(kind(hidden_size=H)), {"cell": name, "hidden_size": H}, task, S)
        yield condition, peer, compare(engine, job, peer, sys.executable, 1, rounds)


def peak_in_c() -> float | None:
    """FLOP/s of one core on float32 multiply-adds held in 16 registers, by a C program; None without a compiler."""
    with tempfile.TemporaryDirectory() as folder:
        source, binary = Path(folder) / "peak.c", Path(folder) / "peak"
        source.write_text(C_PEAK)
        try:
            subprocess.run(["cc", "-O3", "-march=native", "-ffp-contract=fast", "-o", binary, source], check=True, capture_output=True)
            return float(subprocess.run([binary], check=True, capture_output=True, text=True).stdout)
        except (OSError, subprocess.CalledProcessError):
            return None


def one_core() -> None:
    """Keep this process, and every peer that it starts, on one core, so that none of them runs beside another."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def table(results: dict[str, dict[str, Compared]], peak: float) -> Table:
    """A row for each condition and peer; ``peak`` in FLOP/s."""
    title = "seed-epochs per second of CPU time, one thread, in turns"
    shown = Table("", "against", "ltm", "of peak", "peer", "ltm / peer", "losses differ by", "after a step", title=title)
    for condition, peers in results.items():
        for label, r in peers.items():
            figures = [f"{r.ltm:,.0f}", f"{r.flops / peak:.0%}", f"{r.peer:,.3g}" if r.peer < 100 else f"{r.peer:,.0f}", f"{r.ratio:,.3g}"]
            figures = figures if r.ratio == r.ratio else ["–", "–", "not timed", "–"]
            shown.add_row(condition, label, *figures, *(f"{x:.1e}" if x == x else "–" for x in (r.first, r.second)))
        shown.add_section()
    return shown


def collected(rows: Iterable[tuple[str, str, Compared]], tell: Callable[[str], None]) -> dict[str, dict[str, Compared]]:
    """Figures by condition and peer; ``tell`` hears of each when it is done."""
    results: dict[str, dict[str, Compared]] = {}
    for condition, label, compared in rows:
        results.setdefault(condition, {})[label] = compared
        tell(f"{condition}, {label}: {compared.ratio:,.3g} times")
    return results


def plain(results: dict[str, dict[str, Compared]]) -> dict[str, Any]:
    """The results for JSON."""
    return {
        condition: {label: {key: x for key, x in asdict(r).items() if x == x} for label, r in peers.items()}
        for condition, peers in results.items()
    }
