"""What a hyperparameter search found: every configuration as it was judged, and the winner as it was selected and as it holds on fresh seeds."""

from __future__ import annotations

import html
import json
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.report import plots
from analysis.report.section import Section
from analysis.statistics.intervals import aggregate, mean_interval
from analysis.study import Study


def fresh(runs: pd.DataFrame, record: dict[str, Any]) -> pd.DataFrame:
    """The rows that a study's verdicts are about: of a search, those on seeds that chose nothing."""
    return runs[runs["seed"] < record["search"]["first_seed"]] if record.get("search") else runs


def section(runs: pd.DataFrame, record: dict[str, Any]) -> Section:
    """The report's part on a search."""
    search, config = record["search"], record["config"]["search"]
    holding = fresh(runs, record)
    trials = judged_trials(runs.drop(holding.index), config, search["axes"])
    selection = selected(trials, holding, config)
    text = (
        f"<p>{len(trials):,} configurations and rungs, each judged by the {html.escape(config['aggregate'])} of {html.escape(config['metric'])} over"
        f" {config['seeds']} seeds; no test error had a say. The best of many looks better than it is: <i>selected</i> is the figure that chose the winner,"
        " <i>fresh</i> the same figure on seeds that no choice has seen, with its 95 % interval (bootstrap); test errors are means over the fresh seeds.</p>"
    )
    part = Section("Search", text, {"selection": selection, "trials": trials.drop(columns="condition_id").head(50)}, {}, {"trials": trials})
    if len(trials):
        part.figures["search"] = figure(trials, selection, search["axes"], config)
    return part


def judged_trials(runs: pd.DataFrame, config: dict[str, Any], axes: list[str]) -> pd.DataFrame:
    """A row a configuration and rung: ``dataset, model``, the searched keys, ``epochs``, ``seeds``, ``diverged`` and ``score``; best first."""
    reduce, rows = aggregate(config["aggregate"]), []
    for condition, group in runs.groupby("condition_id", sort=False):
        said = json.loads(group["config"].iloc[0])
        flat = {**said["dataset"], **said["training"], **said["model"]}
        flat |= {f"{section}.{key}": value for section, keys in said.items() for key, value in keys.items()}
        error = group[config["metric"]].where(group["status"] != "diverged").fillna(np.inf).to_numpy(float)
        rows.append(
            {
                "condition_id": condition, "dataset": group["dataset"].iloc[0], "model": group["model"].iloc[0], **{axis: flat.get(axis) for axis in axes},
                "epochs": said["training"]["max_epochs"], "seeds": len(group), "diverged": int((group["status"] == "diverged").sum()), "score": reduce(error),
            }
        )  # fmt: skip
    columns = ["condition_id", "dataset", "model", *axes, "epochs", "seeds", "diverged", "score"]
    return pd.DataFrame(rows, columns=columns).sort_values(["epochs", "score"], ascending=[False, True], kind="stable", ignore_index=True)


def selected(trials: pd.DataFrame, fresh: pd.DataFrame, config: dict[str, Any]) -> pd.DataFrame:
    """A row a condition on fresh seeds: winners with the score that selected them, and the untuned; validation and test apart."""
    reduce, metric, rows, rng = aggregate(config["aggregate"]), config["metric"], [], np.random.default_rng(0)
    scores = trials.set_index("condition_id")["score"]
    for (condition, label), group in fresh.groupby(["condition_id", "condition"], sort=False):
        validation, test = (Study.of(group, name).conditions[0].finished for name in (metric, "test_rmse"))
        drawn = [reduce(a) for a in rng.choice(validation, (1000, len(validation)))] if len(validation) > 1 else [np.nan]
        low, high = np.quantile(drawn, [0.025, 0.975])
        test_low, test_high = mean_interval(test)
        rows.append(
            {
                "condition": label, "role": "winner" if condition in scores.index else "untuned", "seeds": len(group),
                "selected": float(scores.get(condition, np.nan)), "fresh": reduce(validation) if len(validation) else np.nan, "low": float(low), "high": float(high),
                "test_rmse": test.mean() if len(test) else np.nan, "test_low": test_low, "test_high": test_high,
            }
        )  # fmt: skip
    columns = ["condition", "role", "seeds", "selected", "fresh", "low", "high", "test_rmse", "test_low", "test_high"]
    return pd.DataFrame(rows, columns=columns)


def figure(trials: pd.DataFrame, selection: pd.DataFrame, axes: list[str], config: dict[str, Any]) -> Figure:
    """Left: every configuration's score against the first searched number, by rung. Right: winners as selected and on fresh seeds."""
    numeric = [axis for axis in axes if pd.api.types.is_numeric_dtype(trials[axis])]
    name = f"{config['aggregate']} {config['metric'].replace('_', ' ')} (MSE, scaled)"
    with matplotlib.rc_context(plots.STYLE):
        drawing = Figure(figsize=(9.5, 3.6), layout="constrained")
        left, right = drawing.subplots(1, 2)
        scatter(left, trials, numeric[0] if numeric else None, name)
        rows = selection[selection["fresh"].notna()]
        for i, row in enumerate(rows.to_dict("records")):
            right.errorbar(
                row["fresh"],
                i,
                xerr=[[max(row["fresh"] - row["low"], 0)], [max(row["high"] - row["fresh"], 0)]],
                fmt="none",
                ecolor="0.5",
                capsize=3,
            )
            right.plot(row["fresh"], i, "o", color=plots.PALETTE[0], markersize=6, label="fresh seeds" if i == 0 else None)
            if np.isfinite(row["selected"]):
                right.plot(row["selected"], i, "D", color=plots.PALETTE[1], markersize=6, markerfacecolor="none", label="as selected")
        right.set_yticks(
            range(len(rows)), [f"{plots.short(row['condition'])} ({row['role']})" for row in rows.to_dict("records")], fontsize=7
        )
        right.invert_yaxis()
        right.locator_params(axis="x", nbins=4)
        right.margins(x=0.1, y=0.2)
        right.set(xlabel=name, title="as selected, and on fresh seeds")
        handles = dict(zip(*reversed(right.get_legend_handles_labels()), strict=True))
        right.legend(handles.values(), handles.keys())
    return drawing


def scatter(axis: Axes, trials: pd.DataFrame, key: str | None, name: str) -> None:
    """Scores of configurations by rung; against their order where no searched key is a number."""
    shown = trials[np.isfinite(trials["score"])]
    rungs = sorted(shown["epochs"].unique())
    models = list(shown["model"].unique())
    for (epochs, model), group in shown.groupby(["epochs", "model"]):
        x = group[key] if key else np.arange(len(group))
        filled = epochs == rungs[-1]
        colour = plots.PALETTE[models.index(model)]
        axis.plot(x, group["score"], "o", color=colour, markersize=3 + 2 * rungs.index(epochs) / max(len(rungs) - 1, 1),
                  markerfacecolor=colour if filled else "none", alpha=0.9, label=f"{model}, {epochs} epochs")  # fmt: skip
    axis.set(yscale="log", xlabel=key or "configuration", ylabel=name, title="every configuration as judged")
    if key and shown[key].min() > 0 and shown[key].max() / shown[key].min() > 30:
        axis.set_xscale("log")
    axis.legend(fontsize=6.5)
