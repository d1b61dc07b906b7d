"""Trained networks, rebuilt from the parameters in the ledger: their forecast errors, and how they respond to the past.

The one place of the analysis that needs the cells themselves, so torch is imported when a function here is called.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ltm.errors import UserError
from sweeps.ledger import Ledger, pack_of

if TYPE_CHECKING:
    import torch

POSITIONS = 48
"""Impulses, spread over the test part, over which a response is averaged."""


def typical(runs: pd.DataFrame, metric: str = "test_rmse") -> pd.DataFrame:
    """The seed run of every condition whose error is the median one (the lower of two), a row a condition."""
    finished = runs[(runs["status"] != "diverged") & np.isfinite(runs[metric].astype(float))]
    ordered = finished.sort_values([metric, "seed"], kind="stable")
    middle = {label: group.index[(len(group) - 1) // 2] for label, group in ordered.groupby("condition", sort=False)}
    return runs.loc[[middle[label] for label in finished["condition"].unique()]]


def networks(ledger: Ledger, rows: pd.DataFrame) -> list[Network]:
    """The trained networks of these rows.

    Raises:
        UserError: no parameters were kept, or the data at hand is not what they were trained on.
    """
    kept = ledger.parameters(rows).set_index("run_id")["parameters"]
    found = []
    for _, row in rows.iterrows():
        parameters = kept.get(row["run_id"])
        if parameters is None and any(pack_of(path) == row["pack"] for path in ledger.damaged):
            raise UserError(f"the file of '{row['condition']}' seed {row['seed']} is damaged.")
        if parameters is None:
            raise UserError(
                f"'{row['condition']}' seed {row['seed']} was trained before the ledger kept parameters;"
                " move its files away and run the sweep again to have them."
            )
        found.append(Network(row, np.asarray(parameters, np.float32)))
    return found


class Network:
    """One trained seed run: its cell, its series, its best parameters."""

    def __init__(self, row: pd.Series, parameters: np.ndarray) -> None:
        from ltm import cells, data

        config = json.loads(row["config"])
        self.row, self.parameters = row, parameters
        self.series = data.build(config["dataset"])
        if self.series.fingerprint != row["fingerprint"]:
            raise UserError(f"dataset '{row['dataset']}' is not the series that '{row['condition']}' was trained on (fingerprints differ).")
        self.cell = cells.build(config["model"], len(self.series.values) - 1)
        self.problem = self.series.problem()
        self.test = self.problem.train + self.problem.validation

    def errors(self) -> np.ndarray:
        """Forecast errors (actual - forecast) on the test part, original scale, shape ``(n,)``."""
        from ltm.engine import Protocol, choose

        offset, scale = self.series.offset_and_scale
        outputs = choose("auto", self.cell, self.problem, Protocol(), 1).predict(self.parameters[None]).outputs[0, self.test :, 0]
        return self.series.values[1:][self.test :] - (outputs.astype(np.float64) * scale + offset)

    def response(self, lags: int = 100) -> np.ndarray:
        """A_k = mean over the test part of dy_t / dx_{t-k}, k = 1..lags: Definition 3 of Zhao et al. (2020), linearised.

        Exact forward derivatives in float64 along an impulse at each of some positions of the test part, state carried on.
        A cell whose features are linear in x (all of the library) needs no more than the impulse's own features.

        Returns:
            shape ``(lags,)``, on the scaled series.
        """
        import torch

        from ltm.engine.reference import unroll

        T = self.problem.length
        if T - self.test < lags + 2:
            raise UserError(
                f"the test part of '{self.row['dataset']}' has {T - self.test} steps; {lags} lags need {lags + 2} (choose fewer: --lags)."
            )
        flat = tensor(self.parameters)
        whole = {name: tensor(value) for name, value in self.cell.features(self.problem.inputs).items()}
        rest = {name: value[self.test :] for name, value in whole.items()}
        with torch.no_grad():
            _, states = unroll(self.cell, flat, {name: value[: self.test] for name, value in whole.items()})
        start = {}
        for name, q in self.cell.state().items():
            before = torch.full((q.lags, q.size), q.initial, dtype=flat.dtype)
            start[name] = torch.cat([states[name].flip(0), before])[: q.lags]

        positions = np.unique(np.linspace(self.test, T - 1 - lags, POSITIONS).astype(int))
        impulses = np.zeros((len(positions), *self.problem.inputs.shape))
        impulses[np.arange(len(positions)), positions] = 1.0
        still = self.cell.features(np.zeros_like(self.problem.inputs))
        moved = [self.cell.features(impulse) for impulse in impulses]
        tangents = {name: tensor(np.stack([features[name] - value for features in moved])[:, self.test :]) for name, value in still.items()}

        def along(tangent: dict[str, torch.Tensor]) -> torch.Tensor:
            return torch.func.jvp(lambda f: unroll(self.cell, flat, f, start)[0], (rest,), (tangent,))[1]

        with torch.no_grad():
            slopes = torch.vmap(along)(tangents)[:, :, 0].numpy()
        at = positions[:, None] - self.test + np.arange(1, lags + 1)[None, :]
        return np.take_along_axis(slopes, at, axis=1).mean(0)


def tensor(array: np.ndarray) -> torch.Tensor:
    """A float64 copy for torch, which takes neither read-only nor reversed arrays."""
    import torch

    return torch.as_tensor(array.astype(np.float64, order="C", copy=True))
