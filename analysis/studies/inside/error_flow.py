"""How an error scales on its way back through time, from step t to step t - q (Hochreiter & Schmidhuber 1997, section 3.1), of any cell that reads forwards.

For the RNN of their equation 3 it is the product of diag(f'(net)) W over q steps; for other cells that of the Jacobians of a step.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.studies.memory import networks
from analysis.studies.memory.networks import one_thread, tensor, variables_of
from ltm.errors import UserError

if TYPE_CHECKING:
    import torch

    from ltm.cells.base import State
    from ltm.cells.network import Network
    from ltm.data.base import Task

PLACES = 16
"""Steps of one seed from which errors are followed, in all sequences together."""

SEQUENCES = 4
"""Sequences that these steps lie in, at most."""

MOST_LAGS = 100
"""Lags that are followed where none are asked for, at most."""

MEASURED = 40
"""Lags that are measured, at most: all small ones, then ever fewer."""

CHUNK_BYTES = 256 << 20
"""About the memory that the seeds taken at once may need."""

WHOLE = "whole state"


def error_flow(network: Network, task: Task, parameters: np.ndarray, lags: int | None = None) -> pd.DataFrame:
    """How errors scale in networks of one condition, lag by lag.

    Args:
        parameters: of S seeds, ``(S, N)``.
        lags: the longest; by default half of the steps, and no more than :data:`MOST_LAGS`.

    Returns:
        A row a lag and a product: ``flow``, whose spectral norm it is (:func:`flows`), ``lag``, and over :data:`PLACES` steps of every seed
        ``median``, ``low`` and ``high`` (quartiles).

    Raises:
        UserError: a network that reads backwards, or trees, or has no memory; sequences that are shorter than the lags.
    """
    if any(part.reverse for part in network.parts):
        raise UserError("the network reads time backwards too (bidirectional); errors are followed in networks that read forwards.")
    if any(state.children for state in carried(network).values()):
        raise UserError(
            f"{type(network.cell).__name__} reads a tree, in which errors flow to children; expected a cell that reads the last steps."
        )
    if not carried(network):
        raise UserError(f"{type(network.cell).__name__} has no memory through which errors could flow back; expected a recurrent cell.")
    x, first, steps = read(network, task)
    most = steps - 1 - first
    if most < 1 or (lags or 1) > most:
        raise UserError(f"{lags or 1} lags need sequences of {(lags or 1) + 1} steps; '{task.name}' has {most + 1} (choose fewer: --lags).")
    lags = lags or max(1, min(MOST_LAGS, (most + 1) // 2))
    B = len(next(iter(x.values())))
    starts = np.unique(np.linspace(first, steps - 1 - lags, -(-PLACES // B)).astype(int))
    places = np.repeat(np.arange(B), len(starts)), np.tile(starts, B)
    measured = set(np.unique(np.geomspace(1, lags, MEASURED).round().astype(int)).tolist())
    n = sum(state.size for state in carried(network).values())
    per_seed = 8 * 3 * len(places[0]) * n * n * longest(network)  # Jacobians, their copies, and as many products
    norms: dict[tuple[str, int], list[np.ndarray]] = {}
    for some in np.array_split(parameters, -(-len(parameters) // max(1, CHUNK_BYTES // per_seed))):
        for lag, found in enumerate(flows(network, some, x, places, lags), start=1):
            for name, product in found.items() if lag in measured else ():
                norms.setdefault((name, lag), []).append(spectral(product).ravel())
    rows = [(name, lag, *np.quantile(np.concatenate(some), [0.5, 0.25, 0.75], method="nearest")) for (name, lag), some in norms.items()]
    return pd.DataFrame(rows, columns=["flow", "lag", "median", "low", "high"])


def read(network: Network, task: Task) -> tuple[dict[str, np.ndarray], int, int]:
    """What the first layer reads of the longest test sequences ``(B, T, ...)``, the first step that errors may flow back to, and T.

    Of a series the one sequence is read from its start, and errors flow within its test part.
    """
    test = task.test
    chosen = np.argsort(-test.lengths, kind="stable")[:SEQUENCES]
    steps = int(test.lengths[chosen].min())
    if network.symbols:
        return {"symbol": test.inputs[chosen, :steps]}, 0, steps
    found = [network.features(np.asarray(test.inputs[b, :steps])) for b in chosen]
    first = sum(task.split) if task.split else 0
    return {name: np.stack([one[name] for one in found]) for name in found[0]}, first, steps


def flows(
    network: Network, parameters: np.ndarray, x: Mapping[str, np.ndarray], places: tuple[np.ndarray, np.ndarray], lags: int
) -> Iterator[dict[str, np.ndarray]]:
    """Derivatives of states q = 1, 2, ... ``lags`` steps after a place by those at the place, float64, for S seeds and P places.

    They are products of the step's Jacobians; where a step reads a window, sums of products over all ways through it. By name:

    - ``whole state``: of all states by all, ``(S, P, n, n)``; left out where all are read out.
    - ``h``: of the states that are read out, where the loss enters, by all, ``(S, P, m, n)``. Under a layer without memory, of what that layer reads.
    - ``c alone``: of a state that is not read out by itself, all other states held fixed at every step: of an LSTM's c its carousel, the product of
      the forget gates.

    Args:
        x: what the first layer reads, each ``(B, T, ...)`` (:func:`read`).
        places: sequences and steps, each ``(P,)``.
    """
    import torch

    held = states(network, parameters, x)
    variables, outputs = carried(network), read_out(network)
    edges = np.cumsum([0, *(state.size for state in variables.values())]).tolist()
    of = {name: slice(*ends) for name, ends in zip(variables, itertools.pairwise(edges), strict=True)}
    out = np.concatenate([np.arange(edges[-1])[of[name]] for name in outputs])
    ways = {WHOLE: slice(0, edges[-1]), **{f"{name} alone": at for name, at in of.items() if name not in outputs}}
    S, P, L = len(parameters), len(places[0]), longest(network)
    past = {name: [torch.eye(at.stop - at.start, dtype=torch.float64).expand(S, P, -1, -1)] for name, at in ways.items()}
    for q in range(1, lags + 1):
        step = jacobians(network, parameters, held, x, places[0], places[1] + q)
        with one_thread():
            for name, at in ways.items():
                first, *others = (step[:, :, at, k, at] @ before for k, before in enumerate(past[name]))
                past[name] = [sum(others, first), *past[name]][:L]
        found = {name: some[0].numpy() for name, some in past.items()}
        whole = found.pop(WHOLE)
        more = {WHOLE: whole} if len(out) < whole.shape[-1] else {}
        yield {**more, ", ".join(outputs): whole[..., out, :], **found}


def jacobians(
    network: Network, parameters: np.ndarray, held: np.ndarray, x: Mapping[str, np.ndarray], sequences: np.ndarray, steps: np.ndarray
) -> torch.Tensor:
    """Derivatives of the states after these steps by the L last ones before, most recent first: ``(S, P, n, L, n)``.

    Args:
        held: states after every step, ``(S, B, T, n)`` (:func:`states`).
        sequences, steps: each ``(P,)``.
    """
    import torch

    variables, L = carried(network), longest(network)
    initial = np.concatenate([np.full(state.size, state.initial) for state in variables.values()])
    before = steps[:, None] - 1 - np.arange(L)  # most recent first
    windows = np.where((before >= 0)[..., None], held[:, sequences[:, None], np.maximum(before, 0)], initial)

    def step(window: torch.Tensor, flat: torch.Tensor, now: dict[str, torch.Tensor]) -> torch.Tensor:
        past = {name: flat.new_full((q.lags, q.size), q.initial) for name, q in variables_of(network).items()}
        pieces = window.split([state.size for state in variables.values()], 1)
        past |= {name: piece[: q.lags] for (name, q), piece in zip(variables.items(), pieces, strict=True)}
        new, _ = networks.one_step(network, network.unflatten(flat), past, now)
        return torch.cat([new[name] for name in variables])

    of_places = torch.vmap(torch.func.jacrev(step), (0, None, 0))
    with one_thread():
        found = torch.vmap(of_places, (0, 0, None))(
            tensor(windows), tensor(parameters), {name: given(value[sequences, steps]) for name, value in x.items()}
        )
    return found.detach()


def states(network: Network, parameters: np.ndarray, x: Mapping[str, np.ndarray]) -> np.ndarray:
    """The states of the cells with memory after every step, side by side, ``(S, B, T, n)``, float64."""
    import torch

    def lane(flat: torch.Tensor, features: dict[str, torch.Tensor]) -> torch.Tensor:
        found = networks.unroll(network, flat, features)[1]
        return torch.cat([found[name] for name in carried(network)], 1)

    with torch.no_grad(), one_thread():
        whole = {name: given(value) for name, value in x.items()}
        return torch.vmap(torch.vmap(lane, (None, 0)), (0, None))(tensor(parameters), whole).numpy()


def given(values: np.ndarray) -> torch.Tensor:
    """Features for torch: numbers as float64, symbols as whole numbers."""
    import torch

    return tensor(values) if values.dtype.kind == "f" else torch.as_tensor(np.array(values, np.int64))


def carried(network: Network) -> dict[str, State]:
    """The state variables of cells with memory: layers without (:mod:`ltm.cells.feedforward`) hand on what they read at once."""
    return {part.prefix + name: q for part in network.parts if has_memory(part.cell) for name, q in part.cell.state().items()}


def read_out(network: Network) -> Sequence[str]:
    """The states that the highest cell with memory hands on, to the read-out or through layers without memory."""
    top = [part for part in network.parts if has_memory(part.cell)][-1]
    return [top.prefix + name for name, _ in top.outputs]


def has_memory(cell: object) -> bool:
    from ltm.cells import feedforward

    return not isinstance(cell, feedforward.Linear | feedforward.LayerNorm | feedforward.Dropout | feedforward.Mean)


def longest(network: Network) -> int:
    """Values of the longest window that a cell with memory reads of its own past."""
    return max(state.lags for state in carried(network).values())


def spectral(matrices: np.ndarray) -> np.ndarray:
    """The spectral norm of matrices ``(..., n, n)``, ``(...)``; infinite where they are. On one thread, which for these sizes is the fastest."""
    import torch

    finite = np.isfinite(matrices).all((-2, -1))
    with one_thread():
        norms = torch.linalg.matrix_norm(tensor(np.where(finite[..., None, None], matrices, 0.0)), 2).numpy()
    return np.where(finite, norms, np.inf)
