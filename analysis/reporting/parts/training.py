"""Learning curves, and how training ended."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.reporting import plots, sentences, tables
from analysis.reporting.drawing import PALETTE
from analysis.reporting.section import Plot, Section, Table
from analysis.reporting.tables import called
from analysis.study import Study
from sweeps.store.ledger import Ledger

Curves = Mapping[str, Mapping[str, list[np.ndarray]]]


def section(ledger: Ledger, runs: pd.DataFrame, study: Study, every: pd.DataFrame | None = None) -> Section:
    """Of these seed runs.

    Args:
        every: all seed runs of the study, where these are some of them.
    """
    every = runs if every is None else every
    part, found, table = Section("Training"), curves(ledger, runs, study), ended(runs)
    if found:
        caption = f"Best validation loss so far: median and quartiles over seeds, the {len(PALETTE)} best conditions of a {study.noun}."
        finds = {dataset: finding(dataset, some) for dataset, some in found.items()}
        part.plots.append(Plot("learning_curves", caption, plots.learning_curves(found), finds))
    caption = f"How training ended. Epochs are means; seconds are of all seeds together, {every['seconds'].sum():,.0f} s for the study."
    part.more[f"How training ended: {sentences.counted(len(table), 'condition')}"] = [Table("training", caption, shown(table, study))]
    part.kept["training"] = table if every is runs else ended(every)
    return part


def curves(ledger: Ledger, runs: pd.DataFrame, study: Study) -> Curves:
    """Validation losses of every seed by series and name, of as many conditions as there are colours."""
    found: dict[str, dict[str, list[np.ndarray]]] = {}
    for dataset, conditions in study.series.items():
        chosen = plots.best_conditions(conditions, len(PALETTE))
        group = runs[runs["condition"].isin([one.label for one in chosen])]
        kept = ledger.curves(group).set_index("run_id")["validation_loss"]
        for one in chosen:
            of_condition = group[(group["condition"] == one.label) & group["run_id"].isin(kept.index)]
            if len(of_condition):
                found.setdefault(dataset, {})[one.name] = [np.asarray(kept[run_id], float) for run_id in of_condition["run_id"]]
    return found


def finding(dataset: str, some: Mapping[str, list[np.ndarray]]) -> str:
    ends = {name: float(np.median([np.nanmin(lane) if len(lane) else np.inf for lane in lanes])) for name, lanes in some.items()}
    name = min(ends, key=lambda one: ends[one])
    return f"{dataset}: the median of the best validation losses ends lowest for {called(name)}, at {tables.shown(ends[name])}."


def ended(runs: pd.DataFrame) -> pd.DataFrame:
    """A row a condition: how many seed runs ended how, and at which epoch."""
    counts = runs.groupby(["condition", "status"], sort=False).size().unstack(fill_value=0).reset_index().rename_axis(columns=None)
    means = runs.groupby("condition", sort=False).agg(
        epochs=("epochs", "mean"), best_epoch=("best_epoch", "mean"), seconds=("seconds", "sum")
    )
    return counts.merge(means.reset_index(), on="condition", sort=False)


def shown(table: pd.DataFrame, study: Study) -> pd.DataFrame:
    known = study.by_label
    names = [(called(known[label].name), known[label].dataset) if label in known else (label, "–") for label in table["condition"]]
    figures = {"epochs": ("epochs", 4), "best epoch": ("best_epoch", 4), "seconds": ("seconds", 3)}
    counts = [name for name in table.columns if name not in ("condition", *(key for key, _ in figures.values()))]
    return pd.DataFrame(
        {
            "condition": [name for name, _ in names], study.noun: [dataset for _, dataset in names], **{name: table[name] for name in counts},
            **{head: tables.column(table[key], digits=digits) for head, (key, digits) in figures.items()},
        }
    )  # fmt: skip
