"""What W&B's files of a study say of themselves: which runs are logged, which are sent. Imports nothing of W&B."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

LOGGED, OVERVIEW = "logged", "study"
"""Names of empty files in the folders of W&B runs: of one that is complete, and of the study's own."""

TRIAL = ("WANDB_SWEEP_ID", "WANDB_RUN_ID")
"""What a W&B agent says of its trial, which the study's run is; all else must not see it."""


def id_of(study: str, part: str) -> str:
    """A W&B run's id: at most 64 characters."""
    return f"{study}-{part}"[-64:].lstrip("-")


def parts_of(condition: str, rows: pd.DataFrame, per_seed: bool) -> list[str]:
    """What names the W&B runs of a condition: itself and its number of seeds, or each of its seed runs."""
    return list(rows["run_id"]) if per_seed else [f"{condition}-{len(rows)}"]


def unlogged(folder: Path, study: str, runs: pd.DataFrame, per_seed: bool) -> dict[str, pd.DataFrame]:
    """The conditions of which not all is logged yet, and their rows.

    Args:
        folder: where the study's W&B files lie.
        runs: of the ledger, at least ``run_id`` and ``condition_id``.
    """
    logged = {mark.parent.name.split("-", 3)[3] for mark in folder.glob(f"wandb/offline-run-*/{LOGGED}")}
    groups = {str(key): rows for key, rows in runs.groupby("condition_id")}
    return {
        key: rows for key, rows in groups.items() if not logged.issuperset(id_of(study, part) for part in parts_of(key, rows, per_seed))
    }


def unsent(folder: Path) -> list[Path]:
    """The folders of W&B runs that are only here."""
    return [run for run in folder.glob("wandb/offline-run-*") if not is_sent(run)]


def is_sent(run: Path) -> bool:
    """Whether ``wandb sync`` has marked a run's folder as sent."""
    return any(run.glob("*.wandb.synced"))
