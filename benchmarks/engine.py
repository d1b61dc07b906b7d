"""``python -m benchmarks.engine``: seed-epochs per second of every engine, side by side in one run.

A seed-epoch is one epoch of one seed under the released protocol: training forward, validation forward, backward, Adam, on the simulated
ARFIMA series (2000 training and 1200 validation steps). Absolute figures belong to the machine that is printed with them;
what carries over are the ratios.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from ltm import cells, data
from ltm.cells import CELLS
from ltm.engine import Engine, PackState, Problem, Protocol
from ltm.engine.fused import Fused
from ltm.engine.reference import Reference

SERIES = {"kind": "arfima", "name": "arfima", "train": 2000, "validation": 1200}


def rate(engine: Engine, lanes: int, epochs: int, repeats: int) -> tuple[float, float]:
    """Median seed-epochs per second, and the spread (half the range, in per cent of the median)."""
    params = np.stack([engine.network.initial(seed) for seed in range(lanes)])
    state = PackState.start(params, *(np.full(lanes, value, np.float32) for value in (1e-3, 0.0, 0.0)))
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


def measure(name: str, K: int, hidden: int, quick: bool, compile_too: bool, checkout: Path | None) -> dict[str, tuple[float, float]]:
    """Rates of every engine for one cell."""
    model = {"cell": name, "hidden_size": hidden} | ({"K": K} if hasattr(CELLS[name](), "K") else {})
    series = data.build(SERIES)
    network = cells.build(model, len(series.values) - 1)
    task = series.problem()
    forever = Protocol(max_epochs=10**6, patience=10**6)
    repeats, epochs = (3, 5) if quick else (5, 20)
    torch.set_num_threads(1)
    engines = {threads: Fused(network, task, forever, threads) for threads in (1, 2)}
    found = {f"fused, {n} thread{'s' * (n > 1)}": rate(engine, 112, epochs, repeats) for n, engine in engines.items()}
    forward, backward = engines[1].kernel.flops
    an_epoch = forward * (task.train + task.validation) + backward * task.train
    found["GFLOP/s, 1 thread"] = (found["fused, 1 thread"][0] * an_epoch / 1e9, float("nan"))
    if not quick:
        reference = Reference(network, task, forever)
        seconds = timed(lambda: reference.gradient(np.stack([network.initial(seed) for seed in range(100)])))
        found["reference, 100 lanes"] = (100 / seconds, float("nan"))
        found["reference, 1 lane"] = (1 / timed(lambda: single(reference, network)), float("nan"))
        if compile_too:
            found["torch.compile, 100 lanes"] = (compiled(reference), float("nan"))
    if checkout:
        found["released, 1 seed"] = (released(checkout, name, K, task) if name in RELEASED and hidden == 1 else float("nan"), float("nan"))
    return found


def single(reference: Reference, network: cells.Network) -> None:
    """One epoch of one seed by autograd, without lanes."""
    from ltm.engine.reference import unroll

    flat = torch.tensor(network.initial(0), requires_grad=True)
    end = reference.problem.train + reference.problem.validation
    outputs, _ = unroll(network, flat, {name: value[:end] for name, value in reference.features.items()})
    error = (outputs - reference.targets[:end]) ** 2
    error[: reference.problem.train].mean().backward()


def draw(record: dict[str, object], path: Path) -> None:
    """A dot a cell and engine, on a logarithmic axis."""
    import matplotlib
    from matplotlib.figure import Figure

    from analysis.plots import PALETTE, STYLE

    rows = {label: {k: r for k, r in rates.items() if "FLOP" not in k} for label, rates in record.items() if isinstance(rates, dict)}
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


def compiled(reference: Reference, lanes: int = 100, steps: int = 20) -> float:
    """Seed-epochs per second of ``torch.compile`` on chunks of unrolled steps, all lanes at once (the compilation not counted)."""
    network, task = reference.network, reference.problem
    variables = network.state()

    def chunk(
        flat: torch.Tensor, windows: dict[str, torch.Tensor], features: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        p, outputs = SimpleNamespace(**network.unflatten(flat)), []
        for t in range(steps):
            s = SimpleNamespace(**{name: w if variables[name].lags > 1 else w[0] for name, w in windows.items()})
            new = network.step(p, s, SimpleNamespace(**{name: value[t] for name, value in features.items()}))
            outputs.append(network.readout(p, SimpleNamespace(**new)))
            windows = {name: torch.cat([new[name].unsqueeze(0), w[:-1]]) for name, w in windows.items()}
        return torch.stack(outputs), windows

    fast = torch.compile(torch.vmap(chunk, in_dims=(0, 0, None)))
    params = torch.tensor(np.stack([network.initial(seed) for seed in range(lanes)]))

    def epoch() -> None:
        leaf = params.clone().requires_grad_()
        windows = {name: torch.full((lanes, q.lags, q.size), q.initial) for name, q in variables.items()}
        loss: torch.Tensor | float = 0.0
        for t in range(0, task.train + task.validation - steps + 1, steps):
            features = {name: value[t : t + steps] for name, value in reference.features.items()}
            with torch.set_grad_enabled(t < task.train):
                outputs, windows = fast(leaf, windows, features)
            if t < task.train:
                loss = loss + ((outputs - reference.targets[t : t + steps]) ** 2).sum()
        loss.backward()  # type: ignore[union-attr]

    epoch()
    return lanes / min(timed(epoch) for _ in range(2))


RELEASED = {"rnn": "RNN", "lstm": "LSTM", "mrnnf": "MRNNFixD", "mrnn": "MRNN", "mlstmf": "MLSTMFixD", "mlstm": "MLSTM"}
"""Class names in ``time_series_prediction/models.py`` of the code released with Zhao et al. 2020."""


def released(folder: Path, name: str, K: int, task: Problem) -> float:
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
    x, y = (torch.tensor(a, dtype=torch.float32).reshape(-1, 1, 1) for a in (task.inputs, task.targets))
    end = task.train + task.validation

    def epoch() -> None:
        optimiser.zero_grad()
        outputs, state = model(x[: task.train])
        with torch.no_grad():
            model(x[task.train : end], state)
        ((outputs - y[: task.train]) ** 2).mean().backward()
        optimiser.step()

    return 1 / timed(epoch)


def machine() -> str:
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, numba {__import__('numba').__version__}"
    try:
        model = next(line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor()
    return f"{model}, {os.cpu_count()} cores; {versions}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--cells", nargs="+", default=list(CELLS), choices=list(CELLS))
    parser.add_argument("--K", nargs="+", type=int, default=[100])
    parser.add_argument("--hidden", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="the fused engine only, fewer repeats")
    parser.add_argument("--compile", action="store_true", help="torch.compile too, on chunks of 20 steps (a minute or more a cell)")
    parser.add_argument("--released", type=Path, metavar="PATH", help="the released code too, from a checkout of its folder mRNN-mLSTM")
    parser.add_argument("--plot", type=Path, help="draw the figures into this file (svg, pdf or png)")
    parser.add_argument("--json", type=Path, help="write the figures, with machine and versions, to this file")
    given = parser.parse_args()
    console = Console(width=140)
    console.print(machine(), highlight=False, soft_wrap=True)
    highest = peak()
    console.print(f"peak of one core, measured: {highest / 1e9:.0f} GFLOP/s (multiply-adds on float32)", highlight=False)
    record: dict[str, object] = {"machine": machine(), "peak GFLOP/s": round(highest / 1e9)}
    table: Table | None = None
    for name in given.cells:
        for K in given.K if hasattr(CELLS[name](), "K") else [0]:
            found = measure(name, K, given.hidden, given.quick, given.compile, given.released)
            against = ["fused / packed", "fused / one lane", *(["fused / released"] if given.released else [])]
            table = table or Table("cell", *found, *against, title="seed-epochs per second (± spread); ratios of one thread")
            label = f"{name} K={K}" if K else name
            fused = found["fused, 1 thread"][0]
            ratios = [f"{fused / found[key][0]:,.0f}" if key in found else "–" for key in ("reference, 100 lanes", "reference, 1 lane")]
            if given.released:
                ratios.append(f"{fused / found['released, 1 seed'][0]:,.0f}")
            table.add_row(label, *(f"{r:,.3g} ± {s:.0f} %" if s == s else f"{r:,.3g}" for r, s in found.values()), *ratios)
            record[label] = {key: r for key, (r, _) in found.items()}
    console.print(table)
    if given.plot:
        draw(record, given.plot)
    if given.json:
        given.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
