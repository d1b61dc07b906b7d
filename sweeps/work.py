"""One pack of work, from plan to ledger: what a Tune trial does, and what ``ltm.train`` does in its own process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pandas as pd

import ltm
from ltm import cells, data
from ltm.data import Series
from ltm.engine import Protocol
from ltm.engine.base import VERSION
from ltm.errors import UserError
from ltm.training import Training
from sweeps.plan import Pack, Plan, recorded


def training_of(pack: Pack, engine: str = "auto", threads: int = 1, known: Mapping[str, Series] | None = None) -> Training:
    """The pack's training, at its start. ``known``: series by fingerprint, for nodes that lack the data files."""
    condition = pack.runs[0].condition
    series = (known or {}).get(condition.fingerprint) or data.build(condition.dataset)
    network = cells.build(condition.model, len(series.values) - 1)
    if recorded(network, series).digest != condition.step:
        raise UserError(
            f"the cell '{condition.model['cell']}' computes something else here than where the sweep was started: its file differs, or was"
            " edited since; run the same command again."
        )
    protocol = Protocol(**{key: condition.training[key] for key in ("max_epochs", "patience", "min_delta")})
    lanes = [run.condition.lane(run.seed) for run in pack.runs]
    return Training(network, series, lanes, protocol, engine, threads)


def rows_of(pack: Pack, training: Training, labels: dict[str, str]) -> pd.DataFrame:
    """The ledger's rows of a trained pack (all columns but ``pack`` and ``provenance``)."""
    results = training.results()
    conditions = [run.condition for run in pack.runs]
    return results.assign(
        run_id=[run.run_id for run in pack.runs],
        condition_id=[c.id for c in conditions],
        condition=[labels[c.id] for c in conditions],
        model=[str(c.model["name"]) for c in conditions],
        dataset=[str(c.dataset["name"]) for c in conditions],
        K=pd.array([c.model.get("K") for c in conditions], dtype="Int64"),
        hidden_size=[int(c.model.get("hidden_size", 1)) for c in conditions],
        lr=[float(c.training["lr"]) for c in conditions],
        config=[json.dumps({"model": c.model, "dataset": c.dataset, "training": c.training}, sort_keys=True) for c in conditions],
        fingerprint=[c.fingerprint for c in conditions],
        step=[c.step for c in conditions],
        draws=[c.draws for c in conditions],
        code=code_version(),
        engine=training.engine.name,
        engine_version=VERSION,
        seconds=training.seconds / len(conditions),
    )


@cache
def code_version() -> str:
    """The version of ltm, with the commit where it runs from a git checkout."""
    folder = Path(ltm.__file__).parents[1]
    if not (folder / ".git").exists():
        return ltm.__version__
    git = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=folder, capture_output=True, text=True, check=False)
    return f"{ltm.__version__}+{git.stdout.strip()}" if git.returncode == 0 else ltm.__version__


def labels_of(plan: Plan, pack: Pack) -> dict[str, str]:
    """The labels of the conditions in a pack."""
    return {run.condition.id: plan.labels[run.condition.id] for run in pack.runs}
