"""The figures of a report, apart from the numbers they show: each takes a table or a study and returns a drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from analysis.reporting.drawing import FAINT, PALETTE, Drawing
from analysis.reporting.tables import called, scale
from analysis.statistics.intervals import best_of as expected_best
from analysis.statistics.success.survival import kaplan_meier
from analysis.study import Condition, Study

SHOWN = 24
"""Conditions in one panel at most: the best ones; a figure says where it left some out."""

MARKERS = "osD^v"

FEW = 8
"""Values of a number up to which each has a place of its own on an axis, with error bars; more lie where they are, and intervals are bands."""


def best_conditions(conditions: Sequence[Condition], most: int = SHOWN) -> list[Condition]:
    """The conditions of a series in their order, the best by median (diverged seeds last) where there are more than fit."""
    medians = np.array([one.level for one in conditions])
    kept = set(np.argsort(medians, kind="stable")[:most].tolist())
    return [one for i, one in enumerate(conditions) if i in kept]


def label(name: str, most: int = 24) -> str:
    """The published name of a condition, its middle left out where it is too long for a figure."""
    name = called(name)
    return name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-(most // 2) :]}"


def rows_of(axis: Axes, names: Sequence[str]) -> None:
    """Names down the left side, the first on top."""
    axis.set_yticks(range(len(names)), [label(name) for name in names], fontsize=8.5)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="y", color=FAINT, linewidth=0.5)
    axis.set_axisbelow(True)
    axis.spines["left"].set_visible(False)


def forest(table: pd.DataFrame, margin: float, sign: int = 1, unit: str = "%") -> Drawing:
    """Differences from what a condition is held against, with their 95 % intervals; a panel a series.

    Args:
        table: ``dataset, name, against`` and, in per cent, ``percent, low, high``; ``decided``: whether the verdict is one of better or worse.
        margin: of equivalence, in the unit of the differences: a band.
        sign: -1 where higher is better.
        unit: of the differences.
    """
    sides = list(dict.fromkeys(table["role"]))
    most = int(table.groupby("dataset")["name"].nunique().max())

    def draw(axis: Axes, dataset: str, position: int) -> None:
        rows = table[table["dataset"] == dataset]
        names = list(dict.fromkeys(rows["name"]))
        left, right = reach(rows, margin)
        axis.axvspan(-margin, margin, color=FAINT, alpha=0.5, linewidth=0)
        axis.axvline(0, color="black", linewidth=0.8)
        for row in rows.to_dict("records"):
            side = sides.index(row["role"])
            at = names.index(row["name"]) + (0.22 * (side - (len(sides) - 1) / 2) if len(sides) > 1 else 0)
            colour, x = PALETTE[side], float(np.clip(row["percent"], left, right))
            low, high = np.clip([row["low"], row["high"]], left, right)
            axis.plot([low, high], [at, at], color=colour, linewidth=1.1, solid_capstyle="butt")
            outside = x != row["percent"]
            mark = (">" if x > 0 else "<") if outside else MARKERS[side]
            axis.plot(x, at, mark, color=colour, markersize=4.2, markerfacecolor=colour if row["decided"] else "none", clip_on=False)
        axis.set_xlim(left, right)
        rows_of(axis, names)
        axis.set_xlabel(f"difference, {unit} ({'left' if sign > 0 else 'right'}: better)", loc="right")
        axis.xaxis.set_major_locator(MaxNLocator(5))
        if position == 0:
            lines = [axis.plot([], [], MARKERS[i], color=PALETTE[i], label=f"against {side}")[0] for i, side in enumerate(sides)]
            axis.legend(handles=lines, fontsize=8.5)

    return Drawing(draw, tuple(table["dataset"].unique()), (3.3, 0.85 + 0.2 * most), columns=2, legend=False)


def reach(rows: pd.DataFrame, margin: float) -> tuple[float, float]:
    """Ends of the axis of a forest, per cent: past the margin and nearly all intervals; what lies beyond is an arrow at the edge."""
    ends = rows[["percent", "low", "high"]].to_numpy(float).ravel()
    ends = ends[np.isfinite(ends)]
    cap = max(3.0, 1.5 * float(np.quantile(np.abs(ends), 0.85))) if len(ends) else 3.0
    low, high = min(ends.min(initial=0), -margin), max(ends.max(initial=0), margin)
    return max(1.1 * low, -cap), min(1.1 * high, cap)


def spread(study: Study, lines: Mapping[str, tuple[str, float]] | None = None) -> Drawing:
    """Box over violin of the errors of finished seeds, a panel a series; beside a name how many seeds of how many finished, if not all.

    Shares, such as accuracies, are counts of few test sequences, and some seeds learn nothing: of them it draws how many seeds have each, so that two heaps
    are seen as two, with the median as a line.

    Args:
        lines: the best baseline of a series, its name and score: a dashed line.
    """
    models = list(dict.fromkeys(one.model for one in study))
    scales = {dataset: scale([one.median for one in some], study.points) for dataset, some in study.series.items()}
    most = min(SHOWN, max(map(len, study.series.values())))

    def draw(axis: Axes, dataset: str, _: int) -> None:
        shown, by = best_conditions(study.series[dataset]), 10.0 ** scales[dataset][0]
        every = by * np.concatenate([one.finished for one in shown])
        for i, one in enumerate(shown):
            a, colour = one.finished * by, PALETTE[models.index(one.model) % len(PALETTE)]
            if not len(a):
                continue
            if study.points:
                heaps(axis, a, i, (every.min(), every.max()), colour)
                continue
            if len(a) > 4 and np.ptp(a) > 0:
                drawn = axis.violinplot([a], [i], widths=0.85, showextrema=False, points=48, orientation="horizontal")
                for body in drawn["bodies"]:  # type: ignore[attr-defined]
                    body.set(facecolor=colour, alpha=0.3, linewidth=0)
            axis.boxplot(
                [a], positions=[i], widths=0.3, orientation="horizontal", manage_ticks=False,
                boxprops={"color": colour, "linewidth": 0.9}, medianprops={"color": "black", "linewidth": 1.3},
                flierprops={"markersize": 2, "markeredgecolor": colour}, whiskerprops={"linewidth": 0.7, "color": colour},
                capprops={"linewidth": 0.7, "color": colour},
            )  # fmt: skip
        rows_of(axis, [one.name + (f" ({len(one.finished)} of {len(one.errors)})" if one.diverged else "") for one in shown])
        axis.set_xlabel(study.rule.what.name + scales[dataset][1])
        if lines and dataset in lines:
            name, error = lines[dataset][0], by * lines[dataset][1]
            axis.axvline(error, color="black", linestyle="--", linewidth=0.8)
            axis.annotate(name, (error, 1.0), xycoords=("data", "axes fraction"), xytext=(3, -1), textcoords="offset points", va="bottom", ha="center", fontsize=9)  # fmt: skip

    return Drawing(draw, tuple(study.series), (5.4, 0.9 + 0.3 * most))


def heaps(axis: Axes, a: np.ndarray, at: int, ends: tuple[float, float], colour: str) -> None:
    """How many seeds have each score, as columns on a row, and their median."""
    low, high = ends if ends[1] > ends[0] else (ends[0] - 1, ends[0] + 1)
    counts, edges = np.histogram(a, 40, (low, high))
    floor, middle = at + 0.4, float(np.median(a))
    axis.bar(edges[:-1], -0.75 * counts / counts.max(), np.diff(edges), floor, align="edge", color=colour, alpha=0.55, linewidth=0)
    axis.plot([middle, middle], [floor, floor - 0.75], color="black", linewidth=1.3)


def filter_length(table: pd.DataFrame, study: Study) -> Drawing:
    """Mean score against K with 95 % intervals, a panel a series and a line a model (:func:`analysis.studies.filter_length.by_filter_length`)."""
    return over_number(of_lengths(table), "mean", f"mean {study.rule.what.name}", points=study.points)


def paired_lengths(table: pd.DataFrame, unit: str = "%") -> Drawing:
    """Differences of the same seeds at another K (:func:`analysis.reporting.lengths.paired`), per cent or points, with 95 % intervals."""
    return over_number(of_lengths(table), "percent", f"difference from shortest K, {unit}", zero=True)


def of_lengths(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename(columns={"dataset": "panel", "K": "at"}).assign(key="filter length K (values)")


def by_number(table: pd.DataFrame, study: Study) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Rows of series that differ in one number, by its name, with ``panel`` (what they have in common), ``key, at`` (the number) and ``model``; and the others.

    Conditions are in the order of the study, so that each has one colour in all figures.

    Args:
        table: ``dataset, name``; of many conditions those of the best mean ranks are kept.
    """
    spots, levels = (
        study.spots,
        pd.DataFrame([(one.dataset, called(one.name), one.level) for one in study], columns=["dataset", "name", "level"]),
    )
    place = levels.groupby("dataset")["level"].rank().groupby(levels["name"], sort=False).mean()
    order = [name for name in place.index if name in place.nsmallest(len(PALETTE)).index]
    there, names = table["dataset"].isin(spots), table["name"].map(called)
    some = table[there & names.isin(order)]
    at = [spots[dataset] for dataset in some["dataset"]]
    some = some.assign(panel=[one.task for one in at], key=[one.key for one in at], at=[one.at for one in at], model=some["name"])
    some = some.sort_values("at", kind="stable").sort_values("name", key=lambda name: name.map(called).map(order.index), kind="stable")
    return {str(key): rows for key, rows in some.groupby("key", sort=False)}, table[~there]


def over_number(
    table: pd.DataFrame, value: str, axis_name: str, zero: bool = False, points: float = 0.0, margin: float = 0.0, dashed: str = ""
) -> Drawing:
    """A value against a number with 95 % intervals, a panel a ``panel`` and a line a ``model``.

    Args:
        table: ``panel, model, key, at, low, high`` and the value; where it has ``decided``, only such values have a mark.
        zero: whether 0 is marked; differences are as they are, other values are scaled (:func:`analysis.reporting.tables.scale`).
        margin: a band around 0.
        dashed: the model whose line is dashed and black, without a place among the colours.
    """  # fmt: skip
    models = [model for model in table["model"].unique() if model != dashed]

    def draw(axis: Axes, panel: str, position: int) -> None:
        group = table[table["panel"] == panel]
        numbers, (power, by) = sorted(group["at"].unique()), (0, "") if zero else scale(group[value], points)
        few = len(numbers) <= FEW
        if zero:
            axis.axhline(0, color="black", linewidth=0.8)
        if margin:
            axis.axhspan(-margin, margin, color=FAINT, alpha=0.5, linewidth=0)
            axis.set_ylim(*reach(group.rename(columns={value: "percent"}), margin))
        for model, line in group.groupby("model", sort=False):
            i = models.index(model) if model != dashed else 0
            at = np.searchsorted(numbers, line["at"]) + 0.08 * (i - (len(models) - 1) / 2) if few else line["at"].to_numpy(float)
            at_value, low, high = 10.0**power * line[[value, "low", "high"]].to_numpy(float).T
            look: dict[str, Any] = {"color": PALETTE[i % len(PALETTE)], "linewidth": 1.2, "label": label(str(model))}
            if model == dashed:
                axis.plot(at, at_value, color="black", linestyle="--", linewidth=0.8, label=model)
                continue
            marked = line["decided"].to_numpy(bool) if "decided" in line else np.ones(len(line), bool)
            if few:
                axis.errorbar(at, at_value, np.abs([low - at_value, high - at_value]), marker="o", markersize=4, capsize=2.5, **look)
            else:
                axis.plot(at, at_value, marker="o", markersize=3, markevery=np.flatnonzero(marked).tolist(), **look)
                axis.fill_between(at, low, high, color=look["color"], alpha=0.15, linewidth=0)
        if few:
            axis.set_xticks(range(len(numbers)), [f"{x:g}" for x in numbers])
        axis.set(xlabel=group["key"].iloc[0], ylabel=axis_name + by)
        if not margin:
            axis.margins(y=0.2 if few else 0.05)
        if position == 0:
            axis.legend(fontsize=8.5, ncols=2)

    return Drawing(draw, tuple(table["panel"].unique()))


def win_shares(matrices: Mapping[str, pd.DataFrame]) -> Drawing:
    """Probability that a seed of the row's condition beats one of the column's, a panel a series (:func:`analysis.studies.best.wins_matrix`)."""
    most = max(map(len, matrices.values()))

    def draw(axis: Axes, dataset: str, _: int) -> None:
        matrix = matrices[dataset].to_numpy(float)
        labels = [label(str(name)) for name in matrices[dataset].index]
        cells = axis.pcolormesh(matrix, cmap="PuOr", vmin=0, vmax=1, edgecolors="none")
        if len(labels) <= 16:
            for (i, j), p in np.ndenumerate(matrix):
                if i != j:
                    ink = ink_on(cells.cmap(float(p)))
                    axis.text(j + 0.5, i + 0.5, f"{p:.2f}", ha="center", va="center", fontsize=7.5, color=ink)
        axis.set_xticks(np.arange(len(labels)) + 0.5, labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=8.5)
        axis.set_yticks(np.arange(len(labels)) + 0.5, labels, fontsize=8.5)
        axis.invert_yaxis()
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)

    side = min(max(1.6 + 0.26 * most, 2.6), 7.6)
    return Drawing(draw, tuple(matrices), (side + 0.4, side), columns=1 if most > 14 else 2)


def ink_on(colour: tuple[float, ...]) -> str:
    """What is read better on a colour; not quite white or black, which the page takes for its own ink."""
    light = np.array(colour[:3])
    light = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
    return "#fefefe" if light < 0.179 else "#010101"


def critical_difference(ranks: pd.Series, difference: float) -> Drawing:
    """Mean ranks over series; bars join conditions that Nemenyi's test does not tell apart (Demsar 2006)."""
    ordered = ranks.sort_values(kind="stable")
    groups: list[tuple[int, int]] = []
    for i in range(len(ordered)):
        j = int(np.flatnonzero(ordered.to_numpy() - ordered.iloc[i] <= difference)[-1])
        if j > i and (not groups or j > groups[-1][1]):
            groups.append((i, j))

    def draw(axis: Axes, _: str, __: int) -> None:
        axis.plot(ordered, np.arange(len(ordered)), "o", color=PALETTE[0], markersize=5)
        for column, (i, j) in enumerate(groups):
            axis.plot([ordered.max() + 0.25 + 0.12 * column] * 2, [i - 0.2, j + 0.2], color=PALETTE[1], linewidth=2.5)
        rows_of(axis, [str(name) for name in ordered.index])
        axis.set(xlabel=f"mean rank (1 is best; critical difference {difference:.2f})")

    return Drawing(draw, size=(5.4, 0.9 + 0.24 * len(ordered)))


def learning_curves(curves: Mapping[str, Mapping[str, list[np.ndarray]]]) -> Drawing:
    """Validation loss by epoch, median and quartiles over the seeds still training; ``{series: {name: [(epochs,), ...]}}``."""

    def draw(axis: Axes, dataset: str, position: int) -> None:
        for i, (name, lanes) in enumerate(curves[dataset].items()):
            epochs, low, middle, high = quartiles(lanes)
            colour = PALETTE[i % len(PALETTE)]
            axis.plot(epochs, middle, color=colour, linewidth=1.2, label=label(name))
            axis.fill_between(epochs, low, high, color=colour, alpha=0.12, linewidth=0)
        logarithmic(axis, "xy")
        axis.set(xlabel="epoch", ylabel="best validation loss so far")
        if position == 0:
            axis.legend(fontsize=8.5, ncols=2)

    return Drawing(draw, tuple(curves), (4.8, 3.4))


def quartiles(lanes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Epochs, and over seeds the quartiles of the best loss so far; a seed that has stopped keeps its best."""
    table = np.full((len(lanes), max(map(len, lanes))), np.nan)
    for row, lane in zip(table, lanes, strict=True):
        row[: len(lane)] = lane
        row[len(lane) :] = np.minimum.accumulate(lane)[-1] if len(lane) else np.nan
    table = np.minimum.accumulate(np.where(np.isfinite(table), table, np.inf), axis=1)
    epochs = np.unique(np.geomspace(1, table.shape[1], 100).astype(int))
    low, middle, high = np.quantile(table[:, epochs - 1], [0.25, 0.5, 0.75], axis=0, method="lower")
    return epochs, low, middle, high


def logarithmic(axis: Axes, which: str) -> None:
    """Logarithmic axes with plain labels, at decades only unless there is none."""
    for name in which:
        getattr(axis, f"set_{name}scale")("log")
        ruler = getattr(axis, f"{name}axis")
        ruler.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        ruler.set_minor_formatter(FuncFormatter(lambda x, _: f"{x:.2g}"))
        low, high = getattr(axis, f"get_{name}lim")()
        if np.floor(np.log10(high)) - np.ceil(np.log10(low)) >= 1:
            ruler.set_minor_formatter(NullFormatter())


def best_of(study: Study) -> Drawing:
    """Expected smallest error of n seeds against n: what a study that reports minima would have reported.

    Where seeds diverged a line begins at the n of which every subset has a finished one.
    """

    def draw(axis: Axes, dataset: str, position: int) -> None:
        chosen = best_conditions(study.series[dataset], len(PALETTE))
        power, by = scale([one.median for one in chosen], study.points)
        for i, one in enumerate(chosen):
            if len(one.finished):
                n = np.unique(np.geomspace(1, len(one.errors), 40).astype(int))
                curve = one.sign * 10.0**power * expected_best(one.errors, n)
                there = np.isfinite(curve)
                axis.plot(n[there], curve[there], color=PALETTE[i % len(PALETTE)], label=label(one.name), linewidth=1.2)
        logarithmic(axis, "x")
        axis.set(xlabel="seeds n", ylabel=f"expected best {study.rule.what.name}{by}")
        if position == 0:
            axis.legend(fontsize=8.5, ncols=2)

    return Drawing(draw, tuple(study.series))


def survival_curves(study: Study) -> Drawing:
    """Kaplan and Meier's share of seeds that have not succeeded yet against the sequences read, with its 95 % intervals, a panel a task."""

    def draw(axis: Axes, dataset: str, position: int) -> None:
        last = max((one.finished.max() for one in study.series[dataset] if len(one.finished)), default=1.0)
        for i, one in enumerate(best_conditions(study.series[dataset], len(PALETTE))):
            curve, colour = kaplan_meier(one.errors), PALETTE[i % len(PALETTE)]
            times = np.concatenate([[0.0], curve.times, [last]])
            share, low, high = (np.concatenate([[1.0], y, y[-1:] if len(y) else [1.0]]) for y in (curve.surviving, curve.low, curve.high))
            axis.step(times, share, where="post", color=colour, linewidth=1.3, label=label(one.name))
            axis.fill_between(times, low, high, step="post", color=colour, alpha=0.12, linewidth=0)
        axis.set(xlabel="sequences read", ylabel="seeds without success", ylim=(-0.02, 1.02))
        if position == 0:
            axis.legend(fontsize=8.5, ncols=2)

    return Drawing(draw, tuple(study.series), (4.8, 3.2))


def success_shares(table: pd.DataFrame) -> Drawing:
    """Shares of seeds that succeed with Wilson's 95 % intervals, a panel a task; ``dataset, name, share, low, high``."""
    most = int(table.groupby("dataset").size().max())

    def draw(axis: Axes, dataset: str, _: int) -> None:
        rows = table[table["dataset"] == dataset].head(SHOWN)
        share = 100 * rows["share"].to_numpy(float)
        ends = np.abs(100 * rows[["low", "high"]].to_numpy(float).T - share)
        axis.errorbar(share, np.arange(len(rows)), xerr=ends, fmt="o", color=PALETTE[0], markersize=4.5, capsize=2, linewidth=1)
        rows_of(axis, [str(name) for name in rows["name"]])
        axis.set(xlabel="seeds that succeed, %", xlim=(-3, 103))

    return Drawing(draw, tuple(table["dataset"].unique()), (4.6, 0.9 + 0.24 * min(most, SHOWN)))


def axis_label(study: Study) -> str:
    """``test RMSE (units of the series)``; the units of other tasks are not known."""
    what = study.rule.what
    return f"{what.name} ({what.unit})" if what.unit == "%" or (what.unit and study.forecasts) else what.name
