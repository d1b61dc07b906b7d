"""Whether the peers train what ltm trains: from the same initial parameters the same losses and test error, for every model.

Run as a program, in the peers' Python, it is one side of it: ``check.py torch|jax FOLDER`` reads initial parameters and prints what comes of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

USER = Path(__file__).parent / "user"
TOLERANCE = 1e-4
"""Largest relative difference from ltm of a validation loss in the first epochs and of the test error after them, in float32 (measured: 1e-6 to 1.4e-5, by processor)."""

EPOCHS = 5


def differences(study: Any, python: str, folder: Path) -> dict[str, dict[str, float]]:
    """The largest relative difference from ltm by peer and model, on the first series, from the initial values of seed 0."""
    from dataclasses import replace

    from benchmarks.orchestration.measure import environment

    short = replace(study, epochs=EPOCHS)
    short.write(folder)
    own = {model: by_ltm(short, model) for model in short.models}
    params = {f"{model}/{name}": value for model, (initial, _) in own.items() for name, value in initial.items()}
    np.savez(folder / "initial.npz", **params)
    found = {}
    for peer in ("torch", "jax"):
        command = [python, __file__, peer, str(folder)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment(folder), cwd=folder)
        answers = json.loads(done.stdout.splitlines()[-1])
        found[peer] = {model: float(np.abs(np.array(answers[model]) / own[model][1] - 1).max()) for model in short.models}
    return found


def by_ltm(study: Any, model: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Initial parameters by name, and what ltm makes of them: validation losses by epoch, then the test error."""
    from ltm import cells, data
    from ltm.engine import Protocol
    from ltm.training.pack import Training
    from ltm.training.state import Lane

    task = data.build(study.dataset(study.series[0]))
    config = {"name": model, "cell": model, "hidden_size": 1} | ({"K": study.K} if model == "mrnn" else {})
    network = cells.build(config, task)
    training = Training(network, task, [Lane(0, lr=study.lr)], Protocol(max_epochs=study.epochs, patience=study.epochs))
    flat, initial = network.initial(0), {}
    for name, parameter in network.parameters().items():
        size = int(np.prod(parameter.shape))
        initial[name], flat = flat[:size].reshape(parameter.shape), flat[size:]
    while not training.done:
        training.advance(study.epochs)
    return initial, np.append(training.curves()[0][1], training.results()["test_rmse"][0])


def by_torch(model: str, series: str, p: dict[str, np.ndarray]) -> list[float]:
    """The same by ``user/training.py``."""
    import torch
    import training

    def side_by_side(*names: str) -> np.ndarray:
        return np.concatenate([p[name] for name in names], -1)

    layers = {"weight_ih_l0": "W_ih", "weight_hh_l0": "W_hh", "bias_ih_l0": "b_ih", "bias_hh_l0": "b_hh"}
    values = {f"cell.{theirs}": p[ours] for theirs, ours in layers.items() if ours in p}
    if model == "mrnn":
        maps = {"memory": ("d", ("W_d",)), "hidden": ("h", ("W_h", "W_x")), "filtered": ("m", ("W_m", "W_f"))}
        values = {f"cell.{layer}.weight": side_by_side(*names) for layer, (_, names) in maps.items()}
        values |= {f"cell.{layer}.bias": p[f"b_{q}"] for layer, (q, _) in maps.items()}
    if model == "rwa":
        values = {"cell.value.weight": p["W_u"], "cell.value.bias": p["b_u"], "cell.gate.weight": p["W_g"], "cell.gate.bias": p["b_g"]}
        values |= {"cell.attention.weight": p["W_a"]}
    values |= {"readout.weight": side_by_side("V_h", "V_m") if "V_h" in p else p["V"], "readout.bias": p["c"]}
    network = training.Forecaster(model)
    network.load_state_dict({name: torch.tensor(value) for name, value in values.items()})
    x, y, scale = training.sequences(series)
    losses = training.fit(network, x, y)
    return [*losses, training.error(network, x, y, scale)]


def by_jax(model: str, series: str, p: dict[str, np.ndarray]) -> list[float]:
    """The same by ``user/jax_loop.py``."""
    import jax
    import jax_loop

    x, y, scale = jax_loop.sequences(series)
    error, losses = jax.jit(lambda p: jax_loop.fit(model, p, x, y))(p)
    return [*map(float, losses), float(error) * scale]


def answer(peer: str, folder: str) -> None:
    """Be the peer: print losses and error by model."""
    sys.path[0] = str(USER)
    params: dict[str, dict[str, np.ndarray]] = {}
    for key, value in np.load(Path(folder) / "initial.npz").items():
        model, name = key.split("/")
        params.setdefault(model, {})[name] = value
    study = json.loads((Path(folder) / "study.json").read_text())
    train = {"torch": by_torch, "jax": by_jax}[peer]
    print(json.dumps({model: train(model, study["series"][0], p) for model, p in params.items()}))


if __name__ == "__main__":
    answer(*sys.argv[1:])
