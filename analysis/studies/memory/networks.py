"""Trained networks, rebuilt from the parameters in the ledger; of those of series, their forecast errors, and how they respond to the past.

The one place of the analysis that needs the cells themselves, so torch is imported when a function here is called.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ltm.errors import UserError
from sweeps.store.ledger import Ledger
from sweeps.store.storage import pack_of

if TYPE_CHECKING:
    import torch

    from ltm.cells.base import State
    from ltm.cells.network import Network, Part
    from ltm.data.series import Series

POSITIONS = 48
"""Impulses, spread over the test part, over which a response is averaged."""

CHUNK_BYTES = 256 << 20
"""About the memory that the responses of the seeds taken at once may need."""


def typical(runs: pd.DataFrame, metric: str = "test_rmse") -> pd.DataFrame:
    """The seed run of every condition whose error is the median one (the lower of two), a row a condition."""
    finished = runs[(runs["status"] != "diverged") & np.isfinite(runs[metric].astype(float))]
    ordered = finished.sort_values([metric, "seed"], kind="stable")
    middle = {label: group.index[(len(group) - 1) // 2] for label, group in ordered.groupby("condition", sort=False)}
    return runs.loc[[middle[label] for label in finished["condition"].unique()]]


def seeds(runs: pd.DataFrame, metric: str = "test_rmse", most: int | None = None) -> pd.DataFrame:
    """The seed runs whose networks are measured: of each condition the first ``most`` seeds by number (all by default), diverged ones left out."""
    if most is not None:
        runs = runs[runs.sort_values("seed", kind="stable").groupby("condition", sort=False).cumcount().loc[runs.index] < most]
    return runs[(runs["status"] != "diverged") & np.isfinite(runs[metric].astype(float))]


def load(ledger: Ledger, rows: pd.DataFrame) -> list[Networks]:
    """The trained networks of these rows, condition by condition in their order; those that learn another task than a series are left out.

    Raises:
        UserError: as :func:`rebuilt`.
    """
    return [networks for networks in rebuilt(ledger, rows) if networks.task.series is not None]


def rebuilt(ledger: Ledger, rows: pd.DataFrame) -> Iterator[Networks]:
    """The trained networks of these rows, whatever their task, condition by condition in their order.

    Raises:
        UserError: no parameters were kept, or the data or the cell at hand is not what they were trained with.
    """
    kept = ledger.parameters(rows).set_index("run_id")["parameters"]
    for label, group in rows.reset_index(drop=True).groupby("condition", sort=False):
        parameters = [values for values in map(kept.get, group["run_id"]) if values is not None]
        if len(parameters) < len(group):
            if any(pack_of(path) in set(group["pack"]) for path in ledger.damaged):
                raise UserError(f"a file of '{label}' is damaged.")
            lacking = [seed for seed, run_id in zip(group["seed"], group["run_id"], strict=True) if kept.get(run_id) is None]
            raise UserError(
                f"'{label}' seed {lacking[0]} was trained before the ledger kept parameters;"
                " move its files away and run the sweep again to have them."
            )
        yield Networks(group, np.stack(parameters).astype(np.float32))


class Networks:
    """The trained seed runs of one condition: ``rows`` of the ledger, their network, their task, their best parameters ``(S, N)``, and the ``numbers`` that their
    seeds drew by (:func:`ltm.data.number_of`)."""

    def __init__(self, rows: pd.DataFrame, parameters: np.ndarray) -> None:
        from ltm import cells, data
        from ltm.cells.record import record

        first = rows.iloc[0]
        config = json.loads(first["config"])
        self.rows, self.parameters = rows, parameters
        self.condition, self.dataset = str(first["condition"]), str(first["dataset"])
        self.task = data.build(config["dataset"])
        if self.task.fingerprint != first["fingerprint"]:
            raise UserError(f"dataset '{self.dataset}' is not what '{self.condition}' was trained on (fingerprints differ).")
        self.network = cells.build(config["model"], self.task)
        self.numbers = tuple(data.number_of(int(seed), config["dataset"]) for seed in rows["seed"])
        if record(self.network).elsewhere(data.draw_of(config["dataset"])).digest != first["step"]:
            raise UserError(f"the cell of '{self.condition}' computes something else now than when it was trained; run its sweep again.")

    @property
    def series(self) -> Series:
        """The series that is forecast."""
        assert self.task.series is not None, "load leaves out what is no series"
        return self.task.series

    @property
    def test(self) -> int:
        """The step at which the test part begins."""
        return self.series.train + self.series.validation

    def errors(self) -> np.ndarray:
        """Forecast errors (actual - forecast) of every seed on the test part, original scale, shape ``(S, n)``."""
        from ltm.engine import Protocol, choose

        offset, scale = self.series.offset_and_scale
        outputs = choose("auto", self.network, self.task, Protocol()).predict(self.parameters).outputs[:, :, 0]
        return self.series.learned[1:][self.test :] - (outputs.astype(np.float64) * scale + offset)

    def response(self, lags: int = 100) -> np.ndarray:
        """A_k = mean over the test part of dy_t / dx_{t-k}, k = 1..lags, of every seed: Definition 3 of Zhao et al. (2020), linearised.

        Exact forward derivatives in float64 along an impulse at each of some positions of the test part, state carried on. Steps cost
        their Python calls, hardly their lanes (seeds x positions), so that many seeds cost little more than one.
        A cell whose features are linear in x (all of the library) needs no more than the impulse's own features.

        Returns:
            shape ``(S, lags)``, on the scaled series.
        """
        import torch

        inputs = self.task.test.inputs[0]
        T = len(inputs)
        if T - self.test < lags + 2:
            raise UserError(
                f"the test part of '{self.dataset}' has {T - self.test} steps; {lags} lags need {lags + 2} (choose fewer: --lags)."
            )
        positions = np.unique(np.linspace(self.test, T - 1 - lags, POSITIONS).astype(int))
        steps = positions[:, None] + np.arange(lags + 1)[None, :]  # (positions, lags + 1): an impulse and what follows
        impulses = np.zeros((len(positions), *inputs.shape))
        impulses[np.arange(len(positions)), positions] = 1.0
        still = self.network.features(np.zeros_like(inputs))
        whole = {name: tensor(value) for name, value in self.network.features(inputs).items()}
        around = {name: value[steps] for name, value in whole.items()}
        along: dict[str, list[np.ndarray]] = {name: [] for name in still}
        for impulse, at in zip(impulses, steps, strict=True):
            for name, value in self.network.features(impulse).items():
                along[name].append(value[at] - still[name][at])
        tangents = {name: tensor(np.stack(values)) for name, values in along.items()}
        variables = variables_of(self.network)

        def slope(
            flat: torch.Tensor, start: dict[str, torch.Tensor], near: dict[str, torch.Tensor], tangent: dict[str, torch.Tensor]
        ) -> torch.Tensor:
            return torch.func.jvp(lambda features: unroll(self.network, flat, features, start)[0], (near,), (tangent,))[1][:, 0]

        every_position = torch.vmap(slope, in_dims=(None, 0, 0, 0))
        every_seed = torch.vmap(every_position, in_dims=(0, 0, None, None))
        per_seed = 8 * 6 * len(positions) * sum(q.lags * q.size for q in variables.values())  # windows, their tangents, and copies of both
        found = []
        with torch.no_grad(), one_thread():
            for chunk in tensor(self.parameters).split(max(1, CHUNK_BYTES // per_seed)):
                _, states = torch.vmap(lambda flat: unroll(self.network, flat, whole))(chunk)
                start = {}
                for name, q in variables.items():
                    before = torch.full((len(chunk), q.lags, q.size), q.initial, dtype=chunk.dtype)
                    past = positions[:, None] - 1 - np.arange(q.lags)[None, :]  # most recent first
                    start[name] = torch.cat([before, states[name]], 1)[:, past + q.lags]
                found.append(every_seed(chunk, start, around, tangents)[:, :, 1:].mean(1))
        return torch.cat(found).numpy()


def variables_of(network: Network) -> dict[str, State]:
    """Every state variable of every cell, under the name that it has among those of the others."""
    return {part.prefix + name: state for part in network.parts for name, state in part.cell.state().items()}


def unroll(
    network: Network, flat: torch.Tensor, features: Mapping[str, torch.Tensor], start: Mapping[str, torch.Tensor] | None = None
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Run one lane of a network that reads forwards over a sequence; nothing is dropped out.

    Args:
        flat: parameters ``(N,)``.
        features: what the first layer's steps read, each ``(T, ...)``; ``symbol`` ``(T,)``, where inputs are symbols.
        start: the last values of every state variable (:func:`variables_of`) before the sequence, ``(lags, n)``, most recent first; its initial ones otherwise.

    Returns:
        Outputs ``(T, O)`` and every state variable ``(T, n)``.
    """
    import torch

    p = network.unflatten(flat)
    past = dict(start) if start else {name: flat.new_full((q.lags, q.size), q.initial) for name, q in variables_of(network).items()}
    columns = {name: feature.unbind(0) for name, feature in features.items()}
    outputs, states = [], []
    for t in range(len(next(iter(columns.values())))):
        now, top = one_step(network, p, past, {name: column[t] for name, column in columns.items()})
        outputs.append(network.read(p, top).reshape(network.output_size))
        states.append(now)
        past = {name: torch.cat([now[name].unsqueeze(0), w[:-1]]) for name, w in past.items()}
    return torch.stack(outputs), {name: torch.stack([now[name] for now in states]) for name in past}


def one_step(
    network: Network, p: Mapping[str, torch.Tensor], past: Mapping[str, torch.Tensor], x: Mapping[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The new states of every cell, layer after layer, and what the last layer hands on.

    Args:
        p: parameters of one lane by name.
        past: the last values of every state variable, ``(lags, n)``, most recent first.
        x: what the first layer reads of this step; ``symbol``, where a network looks it up.
    """
    import torch

    from ltm.cells.network import EMBEDDING

    if network.embedding:
        x = ones_beside(torch.nn.functional.embedding(x["symbol"], p[EMBEDDING]))
    now: dict[str, torch.Tensor] = {}
    for layer in range(len(network.layers)):
        parts = network.of_layer(layer)
        found = [stepped(part, p, past, x) for part in parts]
        now |= {part.prefix + name: value for part, new in zip(parts, found, strict=True) for name, value in new.items()}
        top = network.joined([*found], layer)
        x = ones_beside(top)
    return now, top


def ones_beside(values: torch.Tensor) -> dict[str, torch.Tensor]:
    """What a layer above others reads: nothing is dropped out."""
    import torch

    return {"now": values, "mask": torch.ones_like(values)}


def stepped(
    part: Part, p: Mapping[str, torch.Tensor], past: Mapping[str, torch.Tensor], x: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The new states of one cell."""
    windows = {name: (past[part.prefix + name], q.lags) for name, q in part.cell.state().items()}
    s = SimpleNamespace(**{name: w if lags > 1 else w[0].clone() for name, (w, lags) in windows.items()})
    return dict(part.cell.step(part.own(p), s, SimpleNamespace(**x)))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Steps so small run on one thread, with the same numbers: on a busy machine two that wait for each other cost up to eight times as much.

    On an idle one, 100 seeds at K = 100 would take 2.7 s on two instead of 4.7.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def tensor(array: np.ndarray) -> torch.Tensor:
    """A float64 copy for torch, which takes neither read-only nor reversed arrays."""
    import torch

    return torch.as_tensor(array.astype(np.float64, order="C", copy=True))
