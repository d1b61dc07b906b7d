"""``python -m benchmarks.engine``: seed-epochs per second of every engine, side by side in one run.

A seed-epoch is one epoch of one seed under the released protocol: training forward, validation forward, backward, Adam, on the simulated
ARFIMA series (2000 training and 1200 validation steps). Absolute figures belong to the machine that is printed with them;
what carries over are the ratios.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.checkout import SERIES
from ltm import cells, data
from ltm.cells import CELLS
from ltm.data.base import Task
from ltm.engine import Engine, PackState, Protocol
from ltm.engine.fused import Fused
from ltm.engine.torch import Torch
from ltm.training.state import Lane

OF_SERIES = [name for name in CELLS if name not in ("convlstm", "treelstm")]
"""Cells that read a series of numbers: neither images nor trees."""

TASKS = ("latching", "sizes", "wide", "reviews")
"""What ``--tasks`` compares: see :mod:`benchmarks.tasks`."""


def rate(engine: Engine, lanes: int, epochs: int, repeats: int) -> tuple[float, float]:
    """Median seed-epochs per second, and the spread (half the range, in per cent of the median)."""
    params = np.stack([engine.network.initial(seed) for seed in range(lanes)])
    state = PackState.start(params, [Lane(seed, lr=1e-3) for seed in range(lanes)])
    engine.advance(state, 1)
    rates = []
    for _ in range(repeats):
        started = time.perf_counter()
        engine.advance(state, epochs)
        rates.append(lanes * epochs / (time.perf_counter() - started))
    median = statistics.median(rates)
    return median, 50 * (max(rates) - min(rates)) / median


def peak() -> float:
    """FLOP/s of one core on float32 multiply-adds held in registers, by numba: the best of a few runs."""
    from numba import njit

    # Two chains of 64 multiply-adds an element, times the compiler's interleaving, hide the latency of each.
    source = "def work(n, a, e, b, c):\n    for _ in range(n):\n        for i in range(len(a)):\n            v, u = a[i], e[i]\n"
    source += "            v = v * b + c\n            u = u * b + c\n" * 64 + "            a[i] = v\n            e[i] = u\n"
    space: dict[str, Callable[..., None]] = {}
    exec(source, space)
    work = njit(fastmath={"contract"})(space["work"])
    arguments = (np.ones(1024, np.float32), np.ones(1024, np.float32), np.float32(0.99), np.float32(0.01))
    work(1, *arguments)
    n = 2000
    return 2 * 2 * 64 * 1024 * n / min(timed(lambda: work(n, *arguments)) for _ in range(5))


def timed(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def measure(name: str, K: int, hidden: int, quick: bool, highest: float, code: Path | None) -> dict[str, float]:
    """Rates of every engine for one cell, and the fused engine's share of the ``highest`` FLOP/s of a core."""
    model = {"cell": name, "hidden_size": hidden} | ({"K": K} if hasattr(CELLS[name](), "K") else {})
    task = data.build(SERIES)
    network = cells.build(model, task)
    forever = Protocol(max_epochs=10**6, patience=10**6)
    repeats, epochs = (3, 2 if hidden > 1 else 5) if quick else (5, 2 if hidden > 1 else 20)
    torch.set_num_threads(1)
    one, two = (Fused(network, task, forever, threads=threads) for threads in (1, 2))
    found = {f"fused, {S} seeds": rate(one, S, epochs, repeats)[0] for S in (100, 1000)}
    found["2 threads, 1000 seeds"] = rate(two, 1000, epochs, repeats)[0]
    forward, backward = one.flops
    train, validation = task.split or (0, 0)
    an_epoch = forward * (train + validation) + backward * train
    found["% of peak"] = 100 * found["fused, 1000 seeds"] * an_epoch / highest
    if not quick:
        plain = Torch(network, task, forever)
        seconds = timed(lambda: plain.gradient(np.stack([network.initial(seed) for seed in range(100)])))
        found["torch, 100 seeds"] = 100 / seconds
    if code:
        found["released, 1 seed"] = released(code, name, K, task) if name in RELEASED and hidden == 1 else float("nan")
    return found


def draw(record: dict[str, object], path: Path) -> None:
    """A dot a cell and engine, on a logarithmic axis."""
    import matplotlib
    from matplotlib.figure import Figure

    from analysis.reporting.drawing import PALETTE, STYLE

    rows = {label: {k: r for k, r in rates.items() if "peak" not in k} for label, rates in record.items() if isinstance(rates, dict)}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7, 0.33 * len(rows) + 1.1), layout="constrained")
        axis = figure.subplots()
        for i, engine in enumerate(next(iter(rows.values()))):
            axis.plot([rates[engine] for rates in rows.values()], range(len(rows)), "o", color=PALETTE[i], label=engine, markersize=6)
        axis.set(xscale="log", xlabel="seed-epochs per second", yticks=range(len(rows)), yticklabels=list(rows))
        axis.invert_yaxis()
        axis.grid(axis="x", color="#ddd", linewidth=0.6)
        figure.legend(loc="outside lower center", ncols=2, fontsize=8)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


RELEASED = {"rnn": "RNN", "lstm": "LSTM", "mrnnf": "MRNNFixD", "mrnn": "MRNN", "mlstmf": "MLSTMFixD", "mlstm": "MLSTM"}
"""Class names in ``time_series_prediction/models.py`` of the code released with Zhao et al. 2020."""


def released(folder: Path, name: str, K: int, task: Task) -> float:
    """Seed-epochs per second of the released code, from a checkout of its folder ``mRNN-mLSTM``."""
    sys.path.insert(0, str(folder))
    try:
        models = importlib.import_module("time_series_prediction.models")
    finally:
        sys.path.remove(str(folder))
    torch.manual_seed(0)
    sizes = {"input_size": 1, "hidden_size": 1, "output_size": 1} | ({"k": K} if name not in ("rnn", "lstm") else {})
    model = getattr(models, RELEASED[name])(**sizes)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    x, y = (torch.tensor(a[0], dtype=torch.float32).reshape(-1, 1, 1) for a in (task.train.inputs, task.train.targets))
    train, validation = task.split or (0, 0)
    end = train + validation

    def epoch() -> None:
        optimiser.zero_grad()
        outputs, state = model(x[:train])
        with torch.no_grad():
            model(x[train:end], state)
        ((outputs - y[:train]) ** 2).mean().backward()
        optimiser.step()

    return 1 / timed(epoch)


def machine() -> str:
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, numba {__import__('numba').__version__}"
    try:
        model = next(line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor()
    return f"{model}, {os.cpu_count()} cores; {versions}"


def peak_of_a_core(console: Console) -> float:
    """The highest FLOP/s of one core, told on the console."""
    from benchmarks import peers

    in_c = peers.peak_in_c()
    highest = in_c or peak()
    by = "in C" if in_c else "by numba, for want of a C compiler"
    console.print(f"peak of one core, measured {by}: {highest / 1e9:.0f} GFLOP/s (multiply-adds on float32)", highlight=False)
    return highest


def against_peers(given: argparse.Namespace, console: Console) -> None:
    """``--peers``: ltm and what a user would take instead, in turns on one core."""
    from benchmarks import peers

    peers.one_core()
    torch.set_num_threads(1)
    highest = peak_of_a_core(console)
    task = data.build(SERIES)
    if given.hidden == [1]:
        names = [name for name in given.cells if name in peers.MODELS]
        rows = peers.many_seeds(names, task, given.seeds or [100, 1000], peers.programs(given.jax_python), given.rounds)
    else:
        rows = peers.sizes(given.hidden, task, given.seeds or [1], given.rounds)
    with console.status("comparing") as status:
        results = peers.collected(rows, status.update)
    console.print(peers.table(results, highest))
    written(given.json, {"machine": machine(), "peak GFLOP/s": round(highest / 1e9), "peers": peers.plain(results)})


def against_checkout(given: argparse.Namespace, console: Console) -> None:
    """``--checkout``: this ltm and that of a former commit, in turns on one core."""
    from benchmarks import checkout, peers

    peers.one_core()
    results = {}
    for name, hidden, S in itertools.product(given.cells, given.hidden, given.seeds or [100, 1000]):
        model = {"cell": name, "hidden_size": hidden} | ({"K": given.K[0]} if hasattr(CELLS[name](), "K") else {})
        results[condition := f"{label_of(model)}, {S:,} seeds"] = found = checkout.compared(given.checkout, model, S, given.rounds)
        console.print(f"{condition}: {found['ratio']:.3g} times", highlight=False)
    console.print(checkout.table(results))
    written(given.json, {"machine": machine(), "checkout": results})


def of_tasks(given: argparse.Namespace, console: Console) -> None:
    """``--tasks --peers``: tasks of sequences, ltm and what a user would take instead, in turns on one core."""
    from benchmarks import peers, tasks

    peers.one_core()
    torch.set_num_threads(1)
    results = tasks.measured(given.only, given.jax_python, given.rounds, lambda line: console.print(line, highlight=False))
    console.print(tasks.table(results))
    written(given.json, {"machine": machine(), "load": os.getloadavg(), "tasks": tasks.plain(results)})


def label_of(model: dict[str, Any]) -> str:
    """A cell, and what of it is not the smallest."""
    K, hidden = model.get("K"), model["hidden_size"]
    return model["cell"] + (f" K={K}" if K else "") + (f" hidden {hidden}" if hidden > 1 else "")


def written(path: Path | None, record: dict[str, Any]) -> None:
    """The figures as JSON, where a file is named."""
    if path:
        path.write_text(json.dumps(record, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--cells", nargs="+", default=OF_SERIES, choices=OF_SERIES)
    parser.add_argument("--K", nargs="+", type=int, default=[100])
    parser.add_argument(
        "--hidden", nargs="+", type=int, default=[1], help="with --peers and not 1 alone: torch.nn's LSTM and GRU at these sizes"
    )
    parser.add_argument("--peers", action="store_true", help="ltm against JAX and torch, in turns (rnn, lstm and mrnn K=100 by default)")
    parser.add_argument("--tasks", action="store_true", help="with --peers: tasks of sequences instead of one series")
    parser.add_argument("--only", nargs="+", default=list(TASKS), choices=TASKS, help="which of --tasks")
    parser.add_argument("--checkout", type=Path, metavar="PATH", help="against the ltm of another checkout, in turns")
    parser.add_argument("--jax-python", nargs="+", default=[sys.executable], metavar="PATH", help="Pythons with jax and optax, for --peers")
    parser.add_argument("--seeds", nargs="+", type=int, help="seeds of ltm with --peers: 100 and 1000, or 1 at the sizes of --hidden")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each pair of --peers")
    parser.add_argument("--quick", action="store_true", help="the fused engine only, fewer repeats")
    parser.add_argument("--released", type=Path, metavar="PATH", help="the released code too, from a checkout of its folder mRNN-mLSTM")
    parser.add_argument("--plot", type=Path, help="draw the figures into this file (svg, pdf or png)")
    parser.add_argument("--json", type=Path, help="write the figures, with machine and versions, to this file")
    given = parser.parse_args()
    console = Console(width=140)
    console.print(machine(), highlight=False, soft_wrap=True)
    for wanted, compare in ((given.checkout, against_checkout), (given.tasks, of_tasks), (given.peers, against_peers)):
        if wanted:
            compare(given, console)
            return
    highest = peak_of_a_core(console)
    record: dict[str, object] = {"machine": machine(), "peak GFLOP/s": round(highest / 1e9)}
    table: Table | None = None
    for name, hidden in itertools.product(given.cells, given.hidden):
        for K in given.K if hasattr(CELLS[name](), "K") else [0]:
            found = measure(name, K, hidden, given.quick, highest, given.released)
            table = table or Table(
                "cell", *found, title="seed-epochs per second; the share of the peak is that of 1000 seeds on one thread"
            )
            label = label_of({"cell": name, "hidden_size": hidden, "K": K})
            table.add_row(label, *(f"{r:,.0f}" if r >= 10 else f"{r:,.2g}" for r in found.values()))
            record[label] = found
    console.print(table)
    if given.plot:
        draw(record, given.plot)
    written(given.json, record)


if __name__ == "__main__":
    main()
