"""The report's part on a hyperparameter search: every configuration as it was judged, and winners as selected and on fresh seeds."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.columns import METRICS
from analysis.reporting import plots, tables
from analysis.reporting.drawing import PALETTE, QUIET, Drawing
from analysis.reporting.section import Plot, Section, Table
from analysis.reporting.tables import called
from analysis.studies import search

JUDGED, HELD = "every configuration as judged", "as selected, and on fresh seeds"

MOST_ROWS = 50
"""Configurations in the table of the page; the CSV has all."""


def section(runs: pd.DataFrame, record: dict[str, Any]) -> Section:
    """The report's part on a search."""
    axes, config = record["search"]["axes"], record["config"]["search"]
    holding = search.fresh(runs, record)
    trials = search.judged_trials(runs.drop(holding.index), config, axes)
    selection = search.selected(trials, holding, config)
    part = Section("Search", kept={"trials": trials})
    part.text = (
        f"<p>{len(trials):,} configurations and rungs, each judged by the {html.escape(config['aggregate'])} of {html.escape(config['metric'])} over"
        f" {config['seeds']} seeds. No test error had a say.</p>"
    )
    caption = (
        "Winners and the untuned. The best of many looks better than it is: <i>selected</i> is the figure that chose the winner, <i>fresh</i> the same figure on seeds"
        " that no choice has seen, with its 95 % interval (bootstrap); test errors are means over the fresh seeds."
    )
    part.tables.append(Table("selection", caption, shown(selection), "selection"))
    part.kept["selection"] = selection.drop(columns="name")
    table = trials.drop(columns="condition_id").head(MOST_ROWS)
    part.more[f"Configurations as judged: the first {len(table)} of {len(trials):,}"] = [
        Table("trials", "Configurations and rungs, the best first.", table)
    ]
    if len(trials):
        caption = "Left: every configuration as judged. Right: as selected, and on fresh seeds with 95 % intervals."
        part.plots.append(Plot("search", caption, drawing(trials, selection, axes, config), in_words(trials, selection)))
    return part


def shown(selection: pd.DataFrame) -> pd.DataFrame:
    """Winners as people read them."""
    fresh = tables.column_with_intervals(selection, ("fresh", "low", "high"))
    metric = next(name for name in METRICS if name in selection)
    test = tables.column_with_intervals(selection, (metric, "test_low", "test_high"))
    return pd.DataFrame(
        {
            "condition": [called(str(name)) for name in selection["name"]], "role": selection["role"], "seeds": selection["seeds"].astype(str),
            "selected": tables.column(selection["selected"]), "fresh (95 %)": fresh, f"mean {METRICS[metric].name} (95 %)": test,
        }
    )  # fmt: skip


def in_words(trials: pd.DataFrame, selection: pd.DataFrame) -> dict[str, str]:
    """What the two panels show."""
    best = trials.iloc[0]
    said = [
        f"{called(row['name'])} ({row['role']}) {row['fresh']:.4g}" for row in selection.to_dict("records") if np.isfinite(row["fresh"])
    ]
    return {
        JUDGED: f"{len(trials)} configurations as judged; the best has {best['score']:.4g} ({called(str(best['model']))}, {best['epochs']} epochs).",
        HELD: f"On fresh seeds: {'; '.join(said) or 'nothing has been trained yet'}.",
    }


def drawing(trials: pd.DataFrame, selection: pd.DataFrame, axes: list[str], config: dict[str, Any]) -> Drawing:
    """One panel: every configuration's score against the first searched number, by rung. The other: winners as selected and on fresh seeds."""
    numeric = [axis for axis in axes if pd.api.types.is_numeric_dtype(trials[axis])]
    name = f"{config['aggregate']} {config['metric'].replace('_', ' ')}"

    def draw(axis: Axes, panel: str, _: int) -> None:
        if panel == JUDGED:
            scatter(axis, trials, numeric[0] if numeric else None, name)
        else:
            held(axis, selection[selection["fresh"].notna()], name)

    return Drawing(draw, (JUDGED, HELD), (4.8, 3.6))


def held(axis: Axes, rows: pd.DataFrame, name: str) -> None:
    """Winners as selected and on fresh seeds."""
    for i, row in enumerate(rows.to_dict("records")):
        ends = [[max(row["fresh"] - row["low"], 0)], [max(row["high"] - row["fresh"], 0)]]
        axis.errorbar(row["fresh"], i, xerr=ends, fmt="none", ecolor=QUIET, capsize=3)
        axis.plot(row["fresh"], i, "o", color=PALETTE[0], markersize=6, label="fresh seeds" if i == 0 else None)
        if np.isfinite(row["selected"]):
            axis.plot(row["selected"], i, "D", color=PALETTE[1], markersize=6, markerfacecolor="none", label="as selected")
    plots.rows_of(axis, [f"{row['name']} ({row['role']})" for row in rows.to_dict("records")])
    axis.locator_params(axis="x", nbins=4)
    axis.margins(x=0.1)
    axis.set(xlabel=name)
    handles = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    axis.legend(handles.values(), handles.keys())


def scatter(axis: Axes, trials: pd.DataFrame, key: str | None, name: str) -> None:
    """Scores of configurations by rung; against their order where no searched key is a number."""
    shown = trials[np.isfinite(trials["score"])]
    rungs = sorted(shown["epochs"].unique())
    models = list(shown["model"].unique())
    for (epochs, model), group in shown.groupby(["epochs", "model"]):
        x = group[key] if key else np.arange(len(group))
        filled = epochs == rungs[-1]
        colour = PALETTE[models.index(model)]
        axis.plot(x, group["score"], "o", color=colour, markersize=3 + 2 * rungs.index(epochs) / max(len(rungs) - 1, 1),
                  markerfacecolor=colour if filled else "none", alpha=0.9, label=f"{called(model)}, {epochs} epochs")  # fmt: skip
    axis.set(xlabel=key or "configuration", ylabel=name)
    plots.logarithmic(axis, "y")
    if key and shown[key].min() > 0 and shown[key].max() / shown[key].min() > 30:
        plots.logarithmic(axis, "x")
    axis.legend(fontsize=8)
