"""Figures, apart from the numbers they show: each takes a table and returns a matplotlib figure."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.statistics import memory
from analysis.statistics.intervals import best_of as expected_best
from analysis.study import Condition, Study

PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255", "#999933"]
"""Okabe and Ito's colours, told apart by colour-blind readers too."""

STYLE: dict[Any, Any] = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "legend.frameon": False, "legend.fontsize": 8, "svg.fonttype": "none", "svg.hashsalt": "ltm",
    "pdf.fonttype": 42,
}  # fmt: skip

SHOWN = 24
"""Conditions in one panel at most: the best ones; a figure says where it left some out."""


def panels(
    names: Sequence[str], draw: Callable[[Axes, str, int], None], columns: int = 2, size: tuple[float, float] = (4.6, 3.0)
) -> Figure:
    """A figure with one panel a name, drawn in turn by ``draw(axis, name, position)``."""
    rows, columns = -(-len(names) // columns), min(columns, len(names))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
        axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
        for axis in axes[len(names) :]:
            axis.remove()
        for i, (axis, name) in enumerate(zip(axes, names, strict=False)):
            axis.set_title(name)
            draw(axis, name, i)
    return figure


def best_conditions(conditions: Sequence[Condition], most: int = SHOWN) -> list[Condition]:
    """The conditions of a series in their order, the best by median (diverged seeds last) where there are more than fit."""
    medians = np.array([one.median for one in conditions])
    kept = set(np.argsort(medians, kind="stable")[:most].tolist())
    return [one for i, one in enumerate(conditions) if i in kept]


def short(label: str) -> str:
    """A condition's label without its series."""
    return label.rsplit(" / ", 1)[0]


def spread(study: Study, lines: Mapping[str, tuple[str, float]] | None = None) -> Figure:
    """Box over violin of the errors of finished seeds, a panel a series; under each box how many seeds of how many finished.

    Args:
        lines: the best baseline of a series, its name and error: a dashed line.
    """
    models = list(dict.fromkeys(one.model for one in study))
    most = min(SHOWN, max(map(len, study.series.values())))

    def draw(axis: Axes, dataset: str, _: int) -> None:
        shown = best_conditions(study.series[dataset])
        for i, one in enumerate(shown, start=1):
            a = one.finished
            if not len(a):
                continue
            colour = PALETTE[models.index(one.model) % len(PALETTE)]
            if len(a) > 4 and np.ptp(a) > 0:
                for body in axis.violinplot([a], [i], widths=0.85, showextrema=False)["bodies"]:  # type: ignore[attr-defined]
                    body.set(facecolor=colour, alpha=0.25, linewidth=0)
            axis.boxplot(
                [a], positions=[i], widths=0.3, patch_artist=True, manage_ticks=False, boxprops={"facecolor": colour, "linewidth": 0.6},
                flierprops={"markersize": 2, "markeredgecolor": colour}, medianprops={"color": "black"}, whiskerprops={"linewidth": 0.6},
                capprops={"linewidth": 0.6},
            )  # fmt: skip
        under = [f"{one.name}\n{len(one.finished)} of {len(one.errors)}" for one in shown]
        axis.set_xticks(range(1, len(shown) + 1), under, rotation=35, ha="right", rotation_mode="anchor", fontsize=7)
        axis.set_xlim(0.4, len(shown) + 0.6)
        axis.set_ylabel(axis_label(study.metric))
        if lines and dataset in lines:
            name, error = lines[dataset]
            axis.axhline(error, color="black", linestyle="--", linewidth=0.8)
            axis.annotate(name, (0.99, error), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=7)

    return panels(list(study.series), draw, columns=1 if most > 12 else 2, size=(min(max(1.2 + 0.45 * most, 4.2), 11), 3.2))


def filter_length(table: pd.DataFrame, metric: str = "test_rmse") -> Figure:
    """Mean error against K with simultaneous 95 % intervals, a panel a series and a line a model (:func:`analysis.studies.filter_length.by_filter_length`)."""
    models = list(table["model"].unique())

    def draw(axis: Axes, dataset: str, position: int) -> None:
        group = table[table["dataset"] == dataset]
        lengths = sorted(group["K"].unique())
        for model, line in group.groupby("model", sort=False):
            i = models.index(model)
            at = np.searchsorted(lengths, line["K"]) + 0.08 * (i - (len(models) - 1) / 2)
            errors = np.abs(line[["low", "high"]].to_numpy(float).T - line["mean"].to_numpy(float))
            look: dict[str, Any] = {"color": PALETTE[i % len(PALETTE)], "marker": "o", "markersize": 4, "capsize": 3, "linewidth": 1.2}
            axis.errorbar(at, line["mean"], errors, label=model, **look)
        axis.set_xticks(range(len(lengths)), [str(K) for K in lengths])
        axis.set(xlabel="filter length K (values)", ylabel=f"mean {axis_label(metric)}")
        if position == 0:
            axis.legend(fontsize=7)

    return panels(list(table["dataset"].unique()), draw)


def win_shares(matrices: Mapping[str, pd.DataFrame]) -> Figure:
    """Probability that a seed of the row's condition beats one of the column's, a panel a series (:func:`analysis.studies.best.wins_matrix`)."""
    most = max(map(len, matrices.values()))

    def draw(axis: Axes, dataset: str, _: int) -> None:
        matrix = matrices[dataset].to_numpy(float)
        labels = [short(label) for label in matrices[dataset].index]
        image = axis.imshow(matrix, cmap="PuOr", vmin=0, vmax=1)
        if len(labels) <= 14:
            for (i, j), p in np.ndenumerate(matrix):
                if i != j:
                    axis.text(j, i, f"{p:.2f}", ha="center", va="center", fontsize=6, color="white" if abs(p - 0.5) > 0.35 else "black")
        axis.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=7)
        axis.set_yticks(range(len(labels)), labels, fontsize=7)
        axis.set(xlabel="column", ylabel="row")
        axis.figure.colorbar(image, ax=axis, label="P(row beats column)", shrink=0.75)

    side = min(max(2.0 + 0.32 * most, 3.0), 9)
    return panels(list(matrices), draw, columns=1 if most > 14 else 2, size=(side + 0.7, side))


def critical_difference(ranks: pd.Series, difference: float) -> Figure:
    """Mean ranks over series; bars join conditions that Nemenyi's test does not tell apart (Demsar 2006)."""
    ordered = ranks.sort_values(kind="stable")
    groups: list[tuple[int, int]] = []
    for i in range(len(ordered)):
        j = int(np.flatnonzero(ordered.to_numpy() - ordered.iloc[i] <= difference)[-1])
        if j > i and (not groups or j > groups[-1][1]):
            groups.append((i, j))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 0.9 + 0.24 * len(ordered)), layout="constrained")
        axis = figure.subplots()
        at = np.arange(len(ordered))
        axis.plot(ordered, at, "o", color=PALETTE[0], markersize=5)
        for column, (i, j) in enumerate(groups):
            axis.plot([ordered.max() + 0.25 + 0.12 * column] * 2, [i - 0.2, j + 0.2], color=PALETTE[1], linewidth=2.5)
        axis.set_yticks(at, list(ordered.index), fontsize=8)
        axis.invert_yaxis()
        axis.set(xlabel=f"mean rank over series (1 is best; critical difference {difference:.2f})")
    return figure


def learning_curves(curves: Mapping[str, Mapping[str, list[np.ndarray]]]) -> Figure:
    """Validation loss by epoch, median and quartiles over the seeds still training; ``{series: {label: [(epochs,), ...]}}``."""

    def draw(axis: Axes, dataset: str, position: int) -> None:
        for i, (label, lanes) in enumerate(curves[dataset].items()):
            table = np.full((len(lanes), max(map(len, lanes))), np.nan)
            for row, lane in zip(table, lanes, strict=True):
                row[: len(lane)] = lane
                row[len(lane) :] = np.minimum.accumulate(lane)[-1] if len(lane) else np.nan
            table = np.minimum.accumulate(np.where(np.isfinite(table), table, np.inf), axis=1)
            low, middle, high = np.quantile(table, [0.25, 0.5, 0.75], axis=0, method="lower")
            epochs = np.unique(np.geomspace(1, table.shape[1], 160).astype(int))
            low, middle, high = (line[epochs - 1] for line in (low, middle, high))
            colour = PALETTE[i % len(PALETTE)]
            axis.plot(epochs, middle, color=colour, linewidth=1.2, label=short(label), linestyle="-" if i < len(PALETTE) else "--")
            axis.fill_between(epochs, low, high, color=colour, alpha=0.12, linewidth=0)
        axis.set(xscale="log", yscale="log", xlabel="epoch", ylabel="best validation loss so far (MSE, scaled)")
        if position == 0:
            axis.legend(fontsize=6.5, ncols=2)

    return panels(list(curves), draw, size=(4.8, 3.4))


def autocorrelation(series: Mapping[str, np.ndarray], lags: int = 60) -> Figure:
    """ACF of each series with the band of white noise and that of ARFIMA(0, d, 0) over the interval of its local Whittle d."""

    def draw(axis: Axes, name: str, position: int) -> None:
        x = series[name]
        rho = memory.acf(x, min(lags, len(x) // 4))
        k = np.arange(1, len(rho))
        found = memory.local_whittle(x)
        axis.bar(k, rho[1:], width=0.6, color=PALETTE[0], label="ACF")
        band = memory.white_band(len(x))
        axis.axhspan(-band, band, color="0.85", zorder=0, label="white noise, 95 %")
        low, high = (memory.fractional_acf(float(np.clip(d, 0.0, 0.49)), len(rho) - 1)[1:] for d in (found.low, found.high))
        axis.fill_between(k, low, high, color=PALETTE[1], alpha=0.25, linewidth=0, label="ARFIMA(0, d, 0)")
        axis.axhline(0, color="black", linewidth=0.6)
        axis.set(
            xlabel="lag (steps)", ylabel="autocorrelation", title=f"{name}: d = {found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}]"
        )
        if position == 0:
            axis.legend(fontsize=7)

    return panels(list(series), draw, size=(4.6, 2.6))


def memory_left(table: pd.DataFrame) -> Figure:
    """Local Whittle d of every model's residuals, mean over seeds with its interval, against that of the series (:func:`analysis.studies.forgetting.memory_table`)."""

    def draw(axis: Axes, dataset: str, _: int) -> None:
        group = table[table["dataset"] == dataset]
        at = np.arange(len(group))
        errors = np.abs(group[["residual_low", "residual_high"]].to_numpy(float).T - group["residual_d"].to_numpy(float))
        axis.errorbar(group["residual_d"], at, xerr=errors, fmt="o", color=PALETTE[0], markersize=4, capsize=2, linewidth=1)
        axis.axvline(0, color="black", linewidth=0.6)
        axis.axvline(float(group["series_d"].iloc[0]), color=PALETTE[1], linestyle="--", linewidth=1)
        axis.set_yticks(at, [short(str(label)) for label in group["condition"]], fontsize=7)
        axis.invert_yaxis()
        axis.set(xlabel="d left in the residuals (dashed: d of the series)")

    names = list(table["dataset"].unique())
    most = min(SHOWN, int(table.groupby("dataset").size().max()))
    return panels(names, draw, size=(4.6, 1.0 + 0.22 * most))


def responses(found: Mapping[str, np.ndarray]) -> Figure:
    """|A_k| against k on double logarithmic axes, where a power law is a straight line; ``{label: (S, K)}``, a panel a series.

    Lines are medians over seeds, bands quartiles.
    """
    datasets = list(dict.fromkeys(label.rsplit(" / ", 1)[-1] for label in found))

    def draw(axis: Axes, dataset: str, position: int) -> None:
        for i, (label, response) in enumerate((k, v) for k, v in found.items() if k.rsplit(" / ", 1)[-1] == dataset):
            largest = np.abs(response).max(1, keepdims=True)
            low, size, high = np.quantile(np.abs(response) / np.where(largest > 0, largest, 1), [0.25, 0.5, 0.75], axis=0)
            k, there, colour = np.arange(1, len(size) + 1), size > 1e-8, PALETTE[i % len(PALETTE)]
            axis.plot(k[there], size[there], color=colour, linewidth=1.1, label=short(label))
            if len(response) > 1:
                axis.fill_between(k[there], np.maximum(low, 1e-8)[there], high[there], color=colour, alpha=0.12, linewidth=0)
        axis.set(xscale="log", yscale="log", ylim=(1e-8, 2), xlabel="lag k (steps)", ylabel="|A_k| / largest")
        if position == 0:
            axis.legend(fontsize=6.5, ncols=2, loc="lower left")

    return panels(datasets, draw, size=(4.8, 3.4))


def best_of(study: Study) -> Figure:
    """Expected smallest error of n seeds against n: what a study that reports minima would have reported.

    Where seeds diverged a line begins at the n of which every subset has a finished one.
    """

    def draw(axis: Axes, dataset: str, position: int) -> None:
        for i, one in enumerate(best_conditions(study.series[dataset], len(PALETTE))):
            if len(one.finished):
                n = np.unique(np.geomspace(1, len(one.errors), 40).astype(int))
                curve = expected_best(one.errors, n)
                there = np.isfinite(curve)
                axis.plot(n[there], curve[there], color=PALETTE[i % len(PALETTE)], label=one.name, linewidth=1.2)
        axis.set(xscale="log", xlabel="seeds n", ylabel=f"expected best {axis_label(study.metric)}")
        if position == 0:
            axis.legend(fontsize=6.5, ncols=2)

    return panels(list(study.series), draw)


def axis_label(metric: str) -> str:
    """``test RMSE (units of the series)`` of ``test_rmse``."""
    units = {"test_rmse": "units of the series", "test_mae": "units of the series", "test_mape": "%"}
    part, _, name = metric.partition("_")
    return f"{part} {name.upper()} ({units[metric]})" if metric in units else f"{metric.replace('_', ' ')} (MSE, scaled)"


def svg(figure: Figure) -> str:
    """The figure as an SVG element, the same bytes for the same figure."""
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def pdf(figure: Figure) -> bytes:
    """The figure as a PDF, the same bytes for the same figure."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="pdf", metadata={"CreationDate": None})
    return buffer.getvalue()
