"""The trained networks of a study, run once more: :func:`ltm.states`. It reads the ledger, and trains nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ltm import door
from ltm.errors import UserError, shown, unknown

if TYPE_CHECKING:
    import pandas as pd

    from ltm.cells import Network
    from ltm.data.base import Task
    from sweeps.store.ledger import Ledger

PARTS = ("train", "validation", "test")

BYTES = 256 << 20
"""About the memory that the seeds and sequences which run at once may need, besides what is returned."""


@dataclass(frozen=True)
class States:
    """What S trained networks of one condition hold in memory while they read a part of their task: B sequences of up to T steps.

    Attributes:
        seeds: of the networks, in the order of the arrays.
        states: by name, ``(S, B, T, n)`` after every step: ``h`` of a cell alone; else (and where it reads symbols) ``0.h``, ``0_back.h``, ``1.h``,
            with the layer (those of layer norm and dropout are counted) and the direction of time. A cell that reads backwards has read steps T-1 to t.
        outputs: ``(S, B, T, O)`` at every step; of a labelled task ``(S, B, O)``, one a sequence.
        lengths: steps of every sequence up to the last that counts, ``(S, B)``. States and outputs after it are NaN.
        parameters: of the best epoch, ``(S, N)``; ``network.unflatten`` tells them apart.
        network, task: what was trained, and on what.
    """

    condition: str
    seeds: tuple[int, ...]
    states: dict[str, np.ndarray]
    outputs: np.ndarray
    lengths: np.ndarray
    parameters: np.ndarray
    network: Network
    task: Task


def states(study: str | Path | Ledger, condition: str, seeds: Iterable[int] | None = None, part: str = "test") -> States:
    """Every state at every step of the trained networks of a condition: their best parameters, in float32, by the torch engine; nothing is dropped out.

    Args:
        study: the folder of a study, or its ledger.
        condition: its label, as the ledger's column ``condition`` has it: ``lstm / adding``.
        seeds: which seed runs; all that did not diverge where not given.
        part: ``test``, ``validation`` or ``train``. Of a series the one sequence is read from its first step to the last of the part.

    Raises:
        UserError: an unknown condition, part or seed; a study without finished seed runs; parameters, data or a cell that are not what was trained.
    """
    door.check()
    from analysis.studies.memory.networks import rebuilt
    from sweeps.store.ledger import Ledger

    if part not in PARTS:
        raise unknown("part of a task", part, PARTS)
    ledger = study if isinstance(study, Ledger) else Ledger(study)
    rows = chosen(ledger.runs(), ledger.uri, condition, seeds)
    (found,) = rebuilt(ledger, rows)
    which = tuple(int(seed) for seed in rows["seed"])
    every, lengths = run(found.network, found.task, found.parameters, found.numbers, PARTS.index(part))
    sizes = {one.prefix + name: state.size for one in found.network.parts for name, state in one.cell.state().items()}
    *split, outputs = np.split(every, np.cumsum(list(sizes.values())), axis=3)
    outputs = outputs[:, :, 0] if found.task.labelled else outputs
    return States(condition, which, dict(zip(sizes, split, strict=True)), outputs, lengths, found.parameters, found.network, found.task)


def chosen(runs: pd.DataFrame, where: str, condition: str, seeds: Iterable[int] | None) -> pd.DataFrame:
    """The rows of these seed runs, in the order of the seeds.

    Raises:
        UserError: there are none.
    """
    if runs.empty:
        raise UserError(f"{where} holds no finished seed run; expected the folder of a study that was trained.")
    rows = runs[runs["condition"] == condition].set_index("seed", drop=False).sort_index()
    if rows.empty:
        raise unknown("condition", condition, list(dict.fromkeys(runs["condition"])))
    if not isinstance(seeds, Iterable | None):
        raise UserError(f"seeds is {shown(seeds)}; expected several, such as [0, 1] or range(10).")
    wanted = list(rows.index[rows["status"] != "diverged"]) if seeds is None else list(seeds)
    if lacking := [seed for seed in wanted if seed not in rows.index]:
        raise UserError(
            f"'{condition}' has no finished seed run of seed {shown(lacking[0])}; it has {shown([int(seed) for seed in rows.index])}."
        )
    if not wanted:
        raise UserError(
            f"every seed run of '{condition}' diverged." if seeds is None else f"seeds is empty; expected some of '{condition}'."
        )
    return rows.loc[wanted].reset_index(drop=True)


def run(network: Network, task: Task, parameters: np.ndarray, seeds: tuple[int, ...], part: int) -> tuple[np.ndarray, np.ndarray]:
    """All states of all cells side by side, and the outputs after them, ``(S, B, T, n)``; and the length of every sequence ``(S, B)``.

    In blocks of seeds, and of sequences where one seed has too many.
    """
    import torch

    from ltm.engine.unroll import everywhere, features_of, taken, tops, unroll
    from ltm.training.batches import Feed
    from ltm.training.state import Protocol

    def tensor(values: np.ndarray, dtype: torch.dtype | None = None) -> torch.Tensor:
        return torch.as_tensor(np.array(values), dtype=dtype or torch.float32)

    def lane(flat: torch.Tensor, given: dict) -> torch.Tensor:
        p = network.unflatten(flat)
        found = unroll(network, p, given)
        steps = len(found[0])
        y = [network.read(p, top).reshape(O) for top in tops(network, found, given, None if task.labelled else range(steps))]
        held = [
            torch.stack([torch.cat([new[name] for name in cell.state()]) for new in own]) for cell, own in zip(cells, found, strict=True)
        ]
        return torch.cat([*held, torch.stack(y).expand(steps, O)], 1)

    cells, O, feed = [one.cell for one in network.parts], network.output_size, Feed(task, Protocol(), seeds)
    B, T = feed.part(part, np.arange(1))[1].shape[1], getattr(task, PARTS[part]).steps
    variables = [state for cell in cells for state in cell.state().values()]
    width = sum(state.size for state in variables) + O
    of_sequence = 4 * (3 * T * (width + network.hidden_size) + 3 * sum(state.size * state.lags for state in variables))
    lanes, sequences = max(1, BYTES // (of_sequence * B)), max(1, BYTES // of_sequence)
    whole, lengths = np.full((len(seeds), B, T, width), np.nan, np.float32), np.zeros((len(seeds), B), np.int64)
    with torch.no_grad():
        for at in np.split(np.arange(len(seeds)), np.arange(lanes, len(seeds), lanes)):
            pool, index = feed.part(part, at)
            prepared, lengths[at] = features_of(network, task, pool, tensor), pool.lengths[index]
            for first in range(0, B, sequences):
                some = index[:, first : first + sequences]
                long = pool.lengths[some]
                given = taken(prepared, tensor(some, torch.int64), max(int(long.max()), 1), len(at))
                if task.split is None:
                    given["length"] = tensor(long, torch.int64)
                found = everywhere(lane, tensor(parameters[at]), given).numpy()
                counted = np.arange(found.shape[2]) < long[..., None]
                whole[at, first : first + sequences, : found.shape[2]] = np.where(counted[..., None], found, np.nan)
    return whole, lengths
