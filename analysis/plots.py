"""Figures, apart from the numbers they show: each takes a table and returns a matplotlib figure."""

from __future__ import annotations

import io
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.summary import finished

PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255", "#999933"]
"""Okabe and Ito's colours, told apart by colour-blind readers too."""

STYLE: dict[Any, Any] = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "legend.frameon": False, "svg.fonttype": "none", "svg.hashsalt": "ltm",
}  # fmt: skip


def box(runs: pd.DataFrame, metric: str = "test_rmse") -> Figure:
    """Box plots of a metric over seeds, a panel a series and a box a condition, with the number of runs under each."""
    datasets = list(runs["dataset"].unique())
    most = max(runs[runs["dataset"] == name]["condition"].nunique() for name in datasets)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(min(max(1.0 + 0.55 * most, 4), 12), 3.1 * len(datasets)), layout="constrained")
        axes = figure.subplots(len(datasets), 1, squeeze=False)[:, 0]
        for axis, dataset in zip(axes, datasets, strict=True):
            group = runs[runs["dataset"] == dataset]
            labels = list(group["condition"].unique())
            values = [finished(group[group["condition"] == label], metric).to_numpy(float) for label in labels]
            boxes = axis.boxplot(values, widths=0.6, patch_artist=True, flierprops={"markersize": 2.5}, medianprops={"color": "black"})
            models = list(group["model"].unique())
            for patch, label in zip(boxes["boxes"], labels, strict=True):
                model = group.loc[group["condition"] == label, "model"].iloc[0]
                patch.set(facecolor=PALETTE[models.index(model) % len(PALETTE)], alpha=0.75, linewidth=0.6)
            names = [label.rsplit(" / ", 1)[0] for label in labels]
            axis.set_xticks(
                range(1, len(labels) + 1),
                [f"{n}\nn={len(v)}" for n, v in zip(names, values, strict=True)],
                rotation=35,
                ha="right",
                fontsize=7,
            )
            axis.set(title=dataset, ylabel=axis_label(metric))
    return figure


def filter_length(table: pd.DataFrame, metric: str = "test_rmse") -> Figure:
    """Mean error against K with 95 % intervals, a panel a series and a line a model (:func:`analysis.by_filter_length`)."""
    datasets = list(table["dataset"].unique())
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.4 * min(len(datasets), 2) + 1, 3.2 * -(-len(datasets) // 2)), layout="constrained")
        axes = np.ravel(figure.subplots(-(-len(datasets) // 2), min(len(datasets), 2), squeeze=False))
        for axis in axes[len(datasets) :]:
            axis.remove()
        for axis, dataset in zip(axes, datasets, strict=False):
            lengths = sorted(table.loc[table["dataset"] == dataset, "K"].unique())
            for i, (model, line) in enumerate(table[table["dataset"] == dataset].groupby("model", sort=False)):
                at = np.searchsorted(lengths, line["K"]) + 0.08 * (i - 1.5)
                errors = np.abs(line[["low", "high"]].to_numpy(float).T - line["mean"].to_numpy(float))
                look: dict[str, Any] = {"color": PALETTE[i % len(PALETTE)], "marker": "o", "markersize": 4, "capsize": 3, "linewidth": 1.2}
                axis.errorbar(at, line["mean"], errors, label=model, **look)
            axis.set_xticks(range(len(lengths)), [str(K) for K in lengths])
            axis.set(title=dataset, xlabel="filter length K", ylabel=f"mean {axis_label(metric)}")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", fontsize=8)
    return figure


def axis_label(metric: str) -> str:
    """``test RMSE`` of ``test_rmse``."""
    part, _, name = metric.partition("_")
    return f"{part} {name.upper()}" if part == "test" else metric.replace("_", " ")


def svg(figure: Figure) -> str:
    """The figure as an SVG element, the same bytes for the same figure."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
