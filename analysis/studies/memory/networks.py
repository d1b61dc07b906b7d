"""Trained networks, rebuilt from the parameters in the ledger: their forecast errors, and how they respond to the past.

The one place of the analysis that needs the cells themselves, so torch is imported when a function here is called.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ltm.errors import UserError
from sweeps.store.ledger import Ledger
from sweeps.store.storage import pack_of

if TYPE_CHECKING:
    import torch

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
    """The trained networks of these rows, condition by condition in their order.

    Raises:
        UserError: no parameters were kept, or the data or the cell at hand is not what they were trained with.
    """
    kept = ledger.parameters(rows).set_index("run_id")["parameters"]
    found = []
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
        found.append(Networks(group, np.stack(parameters).astype(np.float32)))
    return found


class Networks:
    """The trained seed runs of one condition: ``rows`` of the ledger, their network, their series, their best parameters ``(S, N)``."""

    def __init__(self, rows: pd.DataFrame, parameters: np.ndarray) -> None:
        from ltm import cells, data
        from ltm.cells.record import record

        first = rows.iloc[0]
        config = json.loads(first["config"])
        self.rows, self.parameters = rows, parameters
        self.condition, self.dataset = str(first["condition"]), str(first["dataset"])
        self.series = data.build(config["dataset"])
        if self.series.fingerprint != first["fingerprint"]:
            raise UserError(f"dataset '{self.dataset}' is not the series that '{self.condition}' was trained on (fingerprints differ).")
        self.network = cells.build(config["model"], len(self.series.values) - 1)
        if record(self.network).digest != first["step"]:
            raise UserError(f"the cell of '{self.condition}' computes something else now than when it was trained; run its sweep again.")
        self.problem = self.series.problem()
        self.test = self.problem.train + self.problem.validation

    def errors(self) -> np.ndarray:
        """Forecast errors (actual - forecast) of every seed on the test part, original scale, shape ``(S, n)``."""
        from ltm.engine import Protocol, choose

        offset, scale = self.series.offset_and_scale
        outputs = choose("auto", self.network, self.problem, Protocol(), 1).predict(self.parameters).outputs[:, self.test :, 0]
        return self.series.values[1:][self.test :] - (outputs.astype(np.float64) * scale + offset)

    def response(self, lags: int = 100) -> np.ndarray:
        """A_k = mean over the test part of dy_t / dx_{t-k}, k = 1..lags, of every seed: Definition 3 of Zhao et al. (2020), linearised.

        Exact forward derivatives in float64 along an impulse at each of some positions of the test part, state carried on. Steps cost
        their Python calls, hardly their lanes (seeds x positions), so that many seeds cost little more than one.
        A cell whose features are linear in x (all of the library) needs no more than the impulse's own features.

        Returns:
            shape ``(S, lags)``, on the scaled series.
        """
        import torch

        from ltm.engine.reference import unroll

        T = self.problem.length
        if T - self.test < lags + 2:
            raise UserError(
                f"the test part of '{self.dataset}' has {T - self.test} steps; {lags} lags need {lags + 2} (choose fewer: --lags)."
            )
        positions = np.unique(np.linspace(self.test, T - 1 - lags, POSITIONS).astype(int))
        steps = positions[:, None] + np.arange(lags + 1)[None, :]  # (positions, lags + 1): an impulse and what follows
        impulses = np.zeros((len(positions), *self.problem.inputs.shape))
        impulses[np.arange(len(positions)), positions] = 1.0
        still = self.network.features(np.zeros_like(self.problem.inputs))
        whole = {name: tensor(value) for name, value in self.network.features(self.problem.inputs).items()}
        around = {name: value[steps] for name, value in whole.items()}
        along: dict[str, list[np.ndarray]] = {name: [] for name in still}
        for impulse, at in zip(impulses, steps, strict=True):
            for name, value in self.network.features(impulse).items():
                along[name].append(value[at] - still[name][at])
        tangents = {name: tensor(np.stack(values)) for name, values in along.items()}
        variables = self.network.state()

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
