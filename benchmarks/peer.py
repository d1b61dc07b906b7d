"""What a user would take instead of ltm's fused kernel: JAX, and torch in three ways. A program that :mod:`benchmarks.peers` starts and times.

It may run inside another Python, where JAX is: as a JAX peer it needs NumPy, JAX and optax, and imports neither ltm nor torch.
It is given a job (series, initial parameters, sizes) as .npz and answers with losses and CPU seconds as lines of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

LEARNING_RATE = 1e-3
EPOCHS_OF_A_JIT = 50
BLOCK = {"old": 100, "new": 1000}
"""Seeds that tuned JAX runs together on either runtime of XLA, the fastest for 1000 seeds: of 32, 48, 50, 64, 100, 125, 200, 250, 1000 on the
old one (which is best where a step's arrays stay in the nearest cache), of 100, 200, 500, 1000 on the new one (which pays for every step)."""

Curves = np.ndarray
"""Training and validation losses of consecutive epochs, ``(2, S, epochs)``."""


@dataclass(frozen=True)
class Job:
    """What a peer trains: the model, flat initial parameters ``(S, N)`` with their names and shapes, features and targets ``(T, ...)``."""

    model: dict[str, Any]
    shapes: dict[str, list[int]]
    train: int
    validation: int
    params: np.ndarray
    targets: np.ndarray
    features: dict[str, np.ndarray]

    @classmethod
    def read(cls, path: str) -> Job:
        arrays = dict(np.load(path))
        return cls(**json.loads(str(arrays.pop("about"))), params=arrays.pop("params"), targets=arrays.pop("targets"), features=arrays)

    def write(self, path: Path) -> None:
        about = {key: getattr(self, key) for key in ("model", "shapes", "train", "validation")}
        arrays: dict[str, Any] = {"about": json.dumps(about), "params": self.params, "targets": self.targets, **self.features}
        np.savez(path, **arrays)

    def split(self, flat: Any) -> dict[str, Any]:
        """Flat parameters ``(N, ...)`` of NumPy, torch or JAX by name, each ``(size, ...)``."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes.values()]).tolist()
        return {name: flat[end - int(np.prod(shape)) : end] for end, (name, shape) in zip(ends, self.shapes.items(), strict=True)}


# JAX, imported inside the functions: XLA_FLAGS must be set before.


def jax_training(job: Job, run: Callable[..., Any], state: Any) -> Callable[[Any], Any]:
    """``EPOCHS_OF_A_JIT`` epochs as a function of the initial parameters: of one seed, or of seeds along the last axis.

    Args:
        run: ``(params, state, slice of time) -> loss, state``.
        state: the state before the sequence.
    """
    import jax
    import optax

    end = job.train + job.validation
    adam = optax.adam(LEARNING_RATE)

    def losses(params: Any) -> tuple[Any, Any]:
        training, last = run(params, state, slice(0, job.train))
        validation, _ = run(*jax.lax.stop_gradient((params, last)), slice(job.train, end))
        return training.sum(), (training, validation)

    def epoch(carry: Any, _: None) -> tuple[Any, Any]:
        params, slots = carry
        (_, curves), gradient = jax.value_and_grad(losses, has_aux=True)(params)
        updates, slots = adam.update(gradient, slots, params)
        return (optax.apply_updates(params, updates), slots), curves

    return lambda params: jax.lax.scan(epoch, (params, adam.init(params)), None, length=EPOCHS_OF_A_JIT)


def jax_arrays(job: Job) -> tuple[dict[str, Any], Any]:
    import jax.numpy as jnp

    return {name: jnp.asarray(value, jnp.float32) for name, value in job.features.items()}, jnp.asarray(job.targets, jnp.float32)


def clenshaw(basis: Any, d: Any) -> Any:
    """The fractional filter from its Chebyshev basis, ``basis[p]`` for P terms (as ``ltm.filters.chebyshev``)."""
    u = 4.0 * d - 1.0
    after, b = 0.0 * u, basis[-1]
    for p in range(len(basis) - 2, 0, -1):
        after, b = b, 2.0 * u * b - after + basis[p]
    return u * b - after + basis[0]


def jax_textbook(job: Job) -> Callable[[], Curves]:
    """One seed written with matrices, ``vmap`` over seeds, ``lax.scan`` over time, optax.adam, all epochs in one ``jit``."""
    import jax
    import jax.numpy as jnp

    features, targets = jax_arrays(job)
    H, sigmoid, tanh = job.model["hidden_size"], jax.nn.sigmoid, jnp.tanh

    def rnn(p: Any, s: Any, x: Any) -> Any:
        h = tanh(p["W_ih"] @ x["now"] + p["b_ih"] + p["W_hh"] @ s[0] + p["b_hh"])
        return (h,), p["V"] @ h + p["c"]

    def lstm(p: Any, s: Any, x: Any) -> Any:
        i, f, g, o = jnp.split(p["W_ih"] @ x["now"] + p["b_ih"] + p["W_hh"] @ s[0] + p["b_hh"], 4)
        c = sigmoid(f) * s[1] + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
        return (h, c), p["V"] @ h + p["c"]

    def mrnn(p: Any, s: Any, x: Any) -> Any:
        d = 0.5 * sigmoid(p["W_d"] @ jnp.concatenate([s[2], s[0], s[1], x["now"]]) + p["b_d"])
        h = tanh(p["W_h"] @ s[0] + p["W_x"] @ x["now"] + p["b_h"])
        m = tanh(p["W_m"] @ s[1] + p["W_f"] @ clenshaw(x["basis"], d) + p["b_m"])
        return (h, m, d), p["V_h"] @ h + p["V_m"] @ m + p["c"]

    step, sizes = {"rnn": (rnn, (H,)), "lstm": (lstm, (H, H)), "mrnn": (mrnn, (H, H, 1))}[job.model["cell"]]

    def run(flat: Any, state: Any, time: slice) -> tuple[Any, Any]:
        p = {name: part.reshape(job.shapes[name]) for name, part in job.split(flat).items()}
        state, outputs = jax.lax.scan(lambda s, x: step(p, s, x), state, {name: value[time] for name, value in features.items()})
        return ((outputs - targets[time]) ** 2).mean(), state

    state = tuple(jnp.zeros(size) for size in sizes)
    train = jax.jit(jax.vmap(jax_training(job, run, state)))
    params = jnp.asarray(job.params)
    return lambda: np.stack([np.asarray(curve) for curve in train(params)[1]])


def jax_tuned(job: Job) -> Callable[[], Curves]:
    """Hidden size 1 in scalars, a vector of seeds each; ``jax.checkpoint`` on the step; blocks of seeds one after another."""
    import jax
    import jax.numpy as jnp

    features, targets = jax_arrays(job)
    sigmoid, tanh = jax.nn.sigmoid, jnp.tanh

    def rnn(p: Any, s: Any, x: Any) -> Any:
        h = tanh(p["W_ih"][0] * x["now"][0] + p["b"][0] + p["W_hh"][0] * s[0])
        return (h,), p["V"][0] * h + p["c"][0]

    def lstm(p: Any, s: Any, x: Any) -> Any:
        i, f, g, o = (p["W_ih"][k] * x["now"][0] + p["b"][k] + p["W_hh"][k] * s[0] for k in range(4))
        c = sigmoid(f) * s[1] + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
        return (h, c), p["V"][0] * h + p["c"][0]

    def mrnn(p: Any, s: Any, x: Any) -> Any:
        now, W_d = x["now"][0], p["W_d"]
        d = 0.5 * sigmoid(W_d[0] * s[2] + W_d[1] * s[0] + W_d[2] * s[1] + W_d[3] * now + p["b_d"][0])
        h = tanh(p["W_h"][0] * s[0] + p["W_x"][0] * now + p["b_h"][0])
        m = tanh(p["W_m"][0] * s[1] + p["W_f"][0] * clenshaw(x["basis"][:, 0], d) + p["b_m"][0])
        return (h, m, d), p["V_h"][0] * h + p["V_m"][0] * m + p["c"][0]

    step, states = {"rnn": (rnn, 1), "lstm": (lstm, 2), "mrnn": (mrnn, 3)}[job.model["cell"]]

    def run(flat: Any, state: Any, time: slice) -> tuple[Any, Any]:
        p = {name: list(part) for name, part in job.split(flat).items()}
        if "b_ih" in p:
            p["b"] = [a + b for a, b in zip(p["b_ih"], p["b_hh"], strict=True)]

        body = jax.checkpoint(lambda state, now: step(p, state, now))
        state, outputs = jax.lax.scan(body, state, {name: value[time] for name, value in features.items()})
        return ((outputs - targets[time]) ** 2).mean(0), state

    S, N = job.params.shape
    block = min(BLOCK[runtime()], S)
    filled = job.params[np.arange(-(-S // block) * block) % S]
    train = jax_training(job, run, (jnp.zeros(block),) * states)
    blocks = jnp.asarray(filled.reshape(-1, block, N).transpose(0, 2, 1))
    mapped = jax.jit(lambda blocks: jax.lax.map(train, blocks))

    def call() -> Curves:
        curves = (np.asarray(curve) for curve in mapped(blocks)[1])
        return np.stack([curve.transpose(0, 2, 1).reshape(-1, EPOCHS_OF_A_JIT)[:S] for curve in curves])

    return call


def runtime() -> str:
    """Before jaxlib 0.7 XLA has its old CPU runtime on demand, which runs a whole scan as one compiled loop.

    The new one dispatches every fusion of every time step, which takes three to five times as long for 100 seeds.
    """
    return "old" if tuple(int(part) for part in version("jaxlib").split(".")[:2]) < (0, 7) else "new"


def xla_flags(tuned: bool) -> str:
    """One thread, and the faster runtime; 512-bit vectors when tuned."""
    flags = ["--xla_cpu_multi_thread_eigen=false"]
    if runtime() == "old":
        flags.append("--xla_cpu_use_thunk_runtime=false")
    if tuned:
        flags.append("--xla_cpu_prefer_vector_width=512")
    return " ".join([*flags, "intra_op_parallelism_threads=1"])  # the last: XLA stops reading at a word without dashes


# torch


def torch_training(
    job: Job, parameters: list[torch.Tensor], run: Callable[..., Any], fix: Callable[[], None] = lambda: None
) -> Callable[[], Curves]:
    """Two epochs a call, from where the last one ended.

    Args:
        run: ``(slice of time, state or None) -> outputs (T, S), state``.
        fix: called between backward and Adam, to mend gradients.
    """
    import torch

    targets, end = torch.tensor(job.targets, dtype=torch.float32), job.train + job.validation
    optimiser = torch.optim.Adam(parameters, lr=LEARNING_RATE, fused=True)

    def loss(time: slice, state: Any) -> tuple[torch.Tensor, Any]:
        outputs, state = run(time, state)
        return ((outputs - targets[time]) ** 2).mean(0), state

    def epoch() -> np.ndarray:
        optimiser.zero_grad()
        training, state = loss(slice(0, job.train), None)
        with torch.no_grad():
            validation, _ = loss(slice(job.train, end), state)
        training.sum().backward()
        fix()
        optimiser.step()
        return torch.stack([training.detach(), validation]).numpy()

    return lambda: np.stack([epoch(), epoch()], -1)


def torch_network(
    job: Job, hidden: int, parts: dict[str, torch.Tensor], fix: Callable[[Any], None] = lambda network: None
) -> Callable[[], Curves]:
    """torch's own network, with weights as in ``W_ih``, ``W_hh``, ``b_ih``, ``b_hh``, and a read-out ``V (H, outputs)`` (or per unit), ``c``."""
    import torch

    network = getattr(torch.nn, job.model["cell"].rpartition(":")[2].upper())(1, hidden)
    with torch.no_grad():
        for name in ("W_ih", "W_hh", "b_ih", "b_hh"):
            getattr(network, f"{name.replace('W', 'weight').replace('b', 'bias')}_l0").copy_(parts[name])
    V, c = (parts[name].clone().requires_grad_() for name in ("V", "c"))
    x = torch.tensor(job.features["now"], dtype=torch.float32)

    def run(time: slice, state: Any) -> tuple[torch.Tensor, Any]:
        h, state = network(x[time], state)
        return (h * V if V.ndim == 1 else h @ V) + c, state

    return torch_training(job, [*network.parameters(), V, c], run, lambda: fix(network))


def torch_one_seed(job: Job) -> Callable[[], Curves]:
    """``torch.nn``'s RNN, LSTM or GRU, for one seed."""
    import torch

    parts = {name: part.reshape(job.shapes[name]) for name, part in job.split(torch.tensor(job.params[0])).items()}
    return torch_network(job, job.model["hidden_size"], {**parts, "V": parts["V"].T})


def torch_masked(job: Job) -> Callable[[], Curves]:
    """Seeds of hidden size 1 as the units of one network whose recurrent weights are masked to their diagonals."""
    import torch

    S = len(job.params)
    parts = {name: part.reshape(-1) for name, part in job.split(torch.tensor(job.params.T)).items()}
    gates = len(parts["b_ih"]) // S
    mask = torch.eye(S).repeat(gates, 1)
    parts |= {"W_ih": parts["W_ih"].unsqueeze(1), "W_hh": mask * parts["W_hh"].unsqueeze(1)}
    return torch_network(job, S, parts, lambda network: network.weight_hh_l0.grad.mul_(mask))


def torch_vmap(job: Job) -> Callable[[], Curves]:
    """ltm's own step of one seed, under ``torch.vmap`` over all seeds."""
    import torch

    from ltm import cells
    from ltm.data.base import forecast

    task = forecast(job.features["now"], job.targets, job.train, job.validation)
    network = cells.build(job.model, task)
    (part,) = network.parts
    flat = torch.tensor(job.params, requires_grad=True)
    features = {name: torch.tensor(value, dtype=torch.float32) for name, value in job.features.items()}
    start = {name: torch.zeros(len(flat), state.size) for name, state in part.cell.state().items()}

    def unroll(flat: torch.Tensor, series: dict[str, torch.Tensor], state: dict[str, torch.Tensor]) -> Any:
        p, outputs = network.unflatten(flat), []
        for now in zip(*(value.unbind(0) for value in series.values()), strict=True):
            state = part.cell.step(part.own(p), SimpleNamespace(**state), SimpleNamespace(**dict(zip(series, now, strict=True))))
            outputs.append(network.read(p, network.joined([state], 0))[0])
        return torch.stack(outputs), state

    def run(time: slice, state: Any) -> Any:
        series = {name: value[time] for name, value in features.items()}
        return torch.vmap(unroll, in_dims=(0, None, 0), out_dims=(1, 0))(flat, series, state or start)

    return torch_training(job, [flat], run)


PEERS: dict[str, Callable[[Job], Callable[[], Curves]]] = {
    "JAX, textbook": jax_textbook,
    "JAX, tuned": jax_tuned,
    "torch.nn, one seed": torch_one_seed,
    "torch.nn, masked": torch_masked,
    "torch.vmap": torch_vmap,
}


def answer(name: str, path: str) -> None:
    """Be the peer: print its first losses, then for every number read the CPU seconds of as many calls."""
    if name.startswith("JAX"):
        os.environ["XLA_FLAGS"] = xla_flags(name == "JAX, tuned")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    else:
        import torch

        torch.set_num_threads(1)
    call = PEERS[name](Job.read(path))
    curves = call()
    print(json.dumps({"losses": curves[:, :, :2].tolist(), "epochs": curves.shape[2]}), flush=True)
    for line in sys.stdin:
        started = time.process_time()
        for _ in range(int(line)):
            call()
        print(json.dumps({"seconds": time.process_time() - started}), flush=True)


if __name__ == "__main__":
    answer(*sys.argv[1:])
