"""What a user would take instead of ltm for tasks of sequences: torch.nn and JAX. A program that :mod:`benchmarks.tasks` starts and times.

It may run inside another Python, where JAX is: as a JAX peer it needs NumPy and JAX, and imports neither ltm nor torch.
It is given a job as .npz and answers with losses and CPU seconds as lines of JSON.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LEARNING_RATE = 1e-3
CHECKED = 8
"""Updates whose losses are compared."""


@dataclass(frozen=True)
class Job:
    """What a peer trains: cell, sizes, inputs ``(n, T, I)``, labels ``(n,)``, the orders of an epoch ``(S, n)`` and flat initial parameters ``(S, N)``; K is 0
    of a cell without a filter."""

    cell: str
    hidden: int
    layers: int
    classes: int
    batch: int
    K: int
    shapes: dict[str, list[int]]
    inputs: np.ndarray
    labels: np.ndarray
    order: np.ndarray
    params: np.ndarray

    @classmethod
    def read(cls, path: str) -> Job:
        arrays = dict(np.load(path))
        return cls(**json.loads(str(arrays.pop("about"))), **arrays)

    def write(self, path: Path) -> None:
        about = {key: getattr(self, key) for key in ("cell", "hidden", "layers", "classes", "batch", "K", "shapes")}
        arrays: dict[str, Any] = {key: getattr(self, key) for key in ("inputs", "labels", "order", "params")}
        np.savez(path, about=json.dumps(about), **arrays)

    @property
    def updates(self) -> int:
        """Full batches of an epoch."""
        return self.order.shape[1] // self.batch

    def split(self, flat: Any) -> dict[str, Any]:
        """Flat parameters ``(N, ...)`` by name, each ``(size, ...)``."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes.values()]).tolist()
        return {name: flat[end - int(np.prod(shape)) : end] for end, (name, shape) in zip(ends, self.shapes.items(), strict=True)}


Peer = tuple[np.ndarray, Callable[[int], int], float]
"""Losses of the first updates ``(S, CHECKED)``; what trains for about so many updates of a seed and returns how many it did; CPU seconds of compiling."""


def of_updates(update: Callable[[], float]) -> Peer:
    """The peer of one seed that ``update`` trains, which returns its loss."""

    def train(updates: int) -> int:
        for _ in range(updates):
            update()
        return updates

    return np.array([[update() for _ in range(CHECKED)]]), train, 0.0


def torch_one_seed(job: Job) -> Peer:
    """``torch.nn``'s LSTM or GRU under a linear map of its last output, with Adam, for one seed."""
    import torch

    torch.set_num_threads(1)
    network = getattr(torch.nn, job.cell.upper())(job.inputs.shape[2], job.hidden, job.layers)
    head = torch.nn.Linear(job.hidden, job.classes)
    own = {name: torch.tensor(part).reshape(job.shapes[name]) for name, part in job.split(job.params[0]).items()}
    with torch.no_grad():
        for layer, name in itertools.product(range(job.layers), ("W_ih", "W_hh", "b_ih", "b_hh")):
            value = own[f"{layer}.{name}" if job.layers > 1 else name]
            getattr(network, f"{name.replace('W', 'weight').replace('b', 'bias')}_l{layer}").copy_(value)
        head.weight.copy_(own["V"])
        head.bias.copy_(own["c"])
    optimiser = torch.optim.Adam([*network.parameters(), *head.parameters()], lr=LEARNING_RATE, fused=True)
    x, y = torch.tensor(job.inputs, dtype=torch.float32).transpose(0, 1).contiguous(), torch.tensor(job.labels)
    batches = itertools.cycle(torch.tensor(job.order[0][: job.updates * job.batch]).reshape(-1, job.batch))

    def update() -> float:
        index = next(batches)
        optimiser.zero_grad()
        outputs, _ = network(x[:, index])
        loss = torch.nn.functional.cross_entropy(head(outputs[-1]), y[index])
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return of_updates(update)


def torch_reviews(job: Job) -> Peer:
    """The MLSTMF in the words of a user of torch, all past states of a step as one array, under ``torch.nn``'s LSTM and a linear map of its last output; Adam, one seed."""
    import torch

    torch.set_num_threads(1)
    own = {name: torch.nn.Parameter(torch.tensor(part).reshape(job.shapes[name])) for name, part in job.split(job.params[0]).items()}
    gates, biases = ([own[f"0.{kind}_{gate}"] for gate in "ioc"] for kind in "Wb")
    top = torch.nn.LSTM(job.hidden, job.hidden)
    for mine, theirs in (("weight_ih_l0", "W_ih"), ("weight_hh_l0", "W_hh"), ("bias_ih_l0", "b_ih"), ("bias_hh_l0", "b_hh")):
        setattr(top, mine, own[f"1.{theirs}"])
    optimiser = torch.optim.Adam(own.values(), lr=LEARNING_RATE, fused=True)
    x, y = torch.tensor(job.inputs, dtype=torch.float32).transpose(0, 1).contiguous(), torch.tensor(job.labels)
    batches = itertools.cycle(torch.tensor(job.order[0][: job.updates * job.batch]).reshape(-1, job.batch))
    lags = torch.arange(job.K, dtype=torch.float32)[:, None]

    def update() -> float:
        index = next(batches)
        optimiser.zero_grad()
        W, b = torch.cat(gates), torch.cat(biases)
        weights = torch.cumprod((lags - 0.5 * torch.sigmoid(own["0.b_d"])) / (lags + 1), 0)[:, None]  # of (1 - B)^d, (K, 1, H)
        h, past, found = torch.zeros(job.batch, job.hidden), [], []
        for now in x[:, index]:
            i, o, c = torch.nn.functional.linear(torch.cat([now, h], 1), W, b).chunk(3, 1)
            new = torch.sigmoid(i) * torch.tanh(c)
            if past:
                new = new - (weights[: len(past)] * torch.stack(past)).sum(0)
            past = [new, *past][: job.K]
            h = torch.sigmoid(o) * torch.tanh(new)
            found.append(h)
        outputs, _ = top(torch.stack(found))
        loss = torch.nn.functional.cross_entropy(torch.nn.functional.linear(outputs[-1], own["V"], own["c"]), y[index])
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return of_updates(update)


# JAX, imported inside the functions: XLA_FLAGS must be set before.


def textbook(job: Job, p: dict[str, Any], x: Any) -> Any:
    """Outputs ``(S, B, O)`` of inputs ``(T, S, B, I)``: one seed's LSTM with matrices, ``vmap`` over seeds."""
    import jax
    import jax.numpy as jnp

    sigmoid, tanh, H = jax.nn.sigmoid, jnp.tanh, job.hidden

    def one(p: dict[str, Any], x: Any) -> Any:
        def step(state: Any, now: Any) -> Any:
            h, c = state
            i, f, g, o = jnp.split(now @ p["W_ih"].T + p["b_ih"] + h @ p["W_hh"].T + p["b_hh"], 4, -1)
            c = sigmoid(f) * c + sigmoid(i) * tanh(g)
            return (sigmoid(o) * tanh(c), c), None

        start = jnp.zeros((job.batch, H))
        (h, _), _ = jax.lax.scan(step, (start, start), x)
        return h @ p["V"].T + p["c"]

    seeds = {name: part.T.reshape(-1, *job.shapes[name]) for name, part in p.items()}
    return jax.vmap(one, (0, 1))(seeds, x)


def scalars(job: Job, p: dict[str, Any], x: Any, checkpoint: bool) -> Any:
    """The same for hidden size 1, without a matrix: seeds and their batches as one flat vector."""
    import jax
    import jax.numpy as jnp

    sigmoid, tanh = jax.nn.sigmoid, jnp.tanh
    T, S, B, _ = x.shape
    W, U, b = ([jnp.repeat(part[k], B) for k in range(4)] for part in (p["W_ih"], p["W_hh"], p["b_ih"] + p["b_hh"]))

    def step(state: Any, now: Any) -> Any:
        h, c = state
        i, f, g, o = (W[k] * now + b[k] + U[k] * h for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return (sigmoid(o) * tanh(c), c), None

    start = jnp.zeros(S * B)
    (h, _), _ = jax.lax.scan(jax.checkpoint(step) if checkpoint else step, (start, start), x.reshape(T, -1))
    return h.reshape(S, B, 1) * p["V"].T[:, None] + p["c"].T[:, None]


def jax_variant(job: Job, outputs: Callable[[dict[str, Any], Any], Any], block: int) -> Callable[[], np.ndarray]:
    """An epoch from the initial parameters, in blocks of seeds, as one jit: a function that returns losses ``(S, updates)``."""
    import jax
    import jax.numpy as jnp

    data, labels = jnp.asarray(job.inputs.transpose(1, 0, 2), jnp.float32), jnp.asarray(job.labels)

    def loss(flat: Any, index: Any) -> Any:
        y = outputs(job.split(flat), data[:, index])
        losses = -jnp.take_along_axis(jax.nn.log_softmax(y), labels[index][..., None], -1)[..., 0].mean(1)
        return losses.sum(), losses

    def update(carry: Any, index: Any) -> Any:
        p, m, v, n = carry
        g, losses = jax.grad(loss, has_aux=True)(p, index)
        m, v, n = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g, n + 1
        p = p - LEARNING_RATE / (1 - 0.9**n) * m / (jnp.sqrt(v) / jnp.sqrt(1 - 0.999**n) + 1e-8)
        return (p, m, v, n), losses

    def epoch(given: Any) -> Any:
        p, index = given
        zero = jnp.zeros_like(p)
        return jax.lax.scan(update, (p, zero, zero, jnp.float32(0)), index)[1]

    S, B = len(job.params), job.batch
    filled = np.arange(-(-S // block) * block) % S
    params = jnp.asarray(job.params[filled].reshape(-1, block, job.params.shape[1]).transpose(0, 2, 1))
    index = job.order[filled][:, : job.updates * B].reshape(-1, block, job.updates, B).transpose(0, 2, 1, 3)
    run, places = jax.jit(lambda p, index: jax.lax.map(epoch, (p, index))), jnp.asarray(index)
    return lambda: np.asarray(run(params, places)).transpose(0, 2, 1).reshape(-1, job.updates)[:S]


def jax_tuned(job: Job) -> Peer:
    """The fastest of several variants, each tried on an epoch, which the standard error stream has.

    Arrays of batches by seeds, either inside, were 1.5 to 3 times as slow as the flat vector, with and without ``jax.checkpoint``.
    """
    S = len(job.params)
    blocks = sorted({S, -(-S // 4), -(-S // 10)}, reverse=True)
    variants: dict[str, tuple[Callable[[dict[str, Any], Any], Any], int]] = {f"textbook, {S} seeds": (lambda p, x: textbook(job, p, x), S)}
    for block, checkpoint in itertools.product(blocks if job.hidden == 1 else (), (False, True)):
        name = f"scalars, {block} seeds together" + ", checkpoint" * checkpoint
        variants[name] = (lambda p, x, checkpoint=checkpoint: scalars(job, p, x, checkpoint)), block
    found, seconds, compiled = {}, {}, {}
    for name, (outputs, block) in variants.items():
        found[name] = jax_variant(job, outputs, block)
        first = cpu_seconds(found[name])
        seconds[name] = min(cpu_seconds(found[name]) for _ in range(2))
        compiled[name] = first - seconds[name]
        print(f"JAX, {name}: {seconds[name]:.2f} s an epoch, {compiled[name]:.1f} s to compile", file=sys.stderr, flush=True)
    name = min(seconds, key=seconds.__getitem__)
    best = found[name]

    def train(updates: int) -> int:
        for _ in range(calls := -(-updates // (S * job.updates))):
            best()
        return calls * S * job.updates

    return best()[:, :CHECKED], train, compiled[name]


def cpu_seconds(function: Callable[[], object]) -> float:
    before = time.process_time()
    function()
    return time.process_time() - before


PEERS: dict[str, Callable[[Job], Peer]] = {
    "torch.nn, one seed": torch_one_seed,
    "torch modules, one seed": torch_reviews,
    "JAX, tuned": jax_tuned,
}


def answer(name: str, path: str) -> None:
    """Be the peer: print its first losses, then for every number read how many updates it did and their CPU seconds."""
    if name.startswith("JAX"):
        # the runtime of before jaxlib 0.7, which runs a whole scan as one compiled loop
        flags = ["--xla_cpu_multi_thread_eigen=false", "--xla_cpu_use_thunk_runtime=false", "--xla_cpu_prefer_vector_width=512"]
        os.environ["XLA_FLAGS"] = " ".join([*flags, "intra_op_parallelism_threads=1"])
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    losses, train, compiled = PEERS[name](Job.read(path))
    print(json.dumps({"losses": losses.tolist(), "compiled": compiled}), flush=True)
    for line in sys.stdin:
        started = time.process_time()
        updates = train(int(line))
        print(json.dumps({"updates": updates, "seconds": time.process_time() - started}), flush=True)


if __name__ == "__main__":
    answer(*sys.argv[1:])
