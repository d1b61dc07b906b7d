"""Long memory of a series, and of forecasts and residuals, in words, tables and figures (:mod:`analysis.studies.memory.series`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.reporting import tables
from analysis.reporting.drawing import PALETTE, QUIET, Drawing
from analysis.reporting.tables import called
from analysis.statistics import Outcome, memory
from analysis.studies.memory.series import SeriesMemory

PANELS = ("series", "autocorrelation", "d by bandwidth")


def sentence(found: SeriesMemory) -> str:
    """What the series has, and whether level shifts may be what looks like long memory."""
    d, about = found.d, " without its linear trend" if found.trend else ""
    words = f"{found.name}{about}, {len(found.x):,} values: d = {d.estimate:.2f} ({d.low:.2f} to {d.high:.2f}): {in_words(d)}."
    w = f"W = {found.qu.statistic:.3f}, 5 % value {found.critical:.3f}, {tables.p_value(found.qu.p)}"
    if found.qu.statistic > found.critical:
        return f"{words} Qu's test rejects ({w}): level shifts, a trend or a cycle may be what looks like memory, or hides it."
    return f"{words} Qu's test sees no level shift or trend that would only look like memory ({w})."


def in_words(d: Outcome) -> str:
    """What an interval of d says."""
    if d.low > 0.5:
        return "not stationary"
    if d.low > 0:
        return "long memory" if d.high < 0.5 else "long memory, perhaps not stationary"
    return "negative memory" if d.high < 0 else "no long memory is shown"


def estimates(found: SeriesMemory) -> pd.DataFrame:
    """As people read them."""
    table = found.table()
    d = [tables.with_interval(row["d"], row["low"], row["high"], 3) for row in table.to_dict("records")]
    return pd.DataFrame({"estimator": table["estimator"], "d (95 %)": d, "reads": table["reads"]})


def curve(found: SeriesMemory) -> pd.DataFrame:
    """As people read it."""
    power, m = found.curve.power, found.curve.m
    d = {name: [tables.with_interval(d, low, high, 2) for d, low, high in values.tolist()] for name, values in found.curve.d.items()}
    return pd.DataFrame({"frequencies": [f"n^{p:g} = {count}" for p, count in zip(power, m, strict=True)]} | d)


def left(table: pd.DataFrame) -> pd.DataFrame:
    """The table of :func:`analysis.studies.memory.series.taken_out` as people read it."""

    def ends(name: str) -> list[str]:
        figures = table[[f"{name}_d", f"{name}_low", f"{name}_high"]].to_numpy(float)
        return [tables.with_interval(d, low, high, 3) for d, low, high in figures.tolist()]

    of = [f"{count} of {seeds}" for count, seeds in zip(table["left"], table["seeds"], strict=True)]
    shifts = [f"{count} of {seeds}" for count, seeds in zip(table["shifts"], table["seeds"], strict=True)]
    return pd.DataFrame(
        {
            "condition": [called(name) for name in table["name"]], "series": table["dataset"], "d of the test part": ends("actual"),
            "d of forecasts": ends("forecast"), "d of residuals": ends("residual"), "own ±": [f"{own:.3f}" for own in table["own"]],
            "memory left": of, "Qu rejects": shifts,
        }
    )  # fmt: skip


def left_in_words(table: pd.DataFrame) -> list[str]:
    """A sentence a series: in how many seeds' residuals long memory is left, by condition."""
    words = []
    for dataset, rows in table.groupby("dataset", sort=False):
        first = rows.iloc[0]
        each = [f"{called(row['name'])} in {row['left']} of {row['seeds']}" for row in rows.to_dict("records")]
        words.append(
            f"{dataset}: the test part, {first['steps']:,} steps, has d = {first['actual_d']:.2f} ({first['actual_low']:.2f} to {first['actual_high']:.2f});"
            f" long memory is left in the residuals of these seeds (by chance 2.5 %): {', '.join(each)}."
        )
    return words


def figure(found: Sequence[SeriesMemory], lags: int) -> Drawing:
    """Of every series: its values, its autocorrelation with the 95 % band of white noise, and d over bandwidths with 95 % intervals."""
    panels = {f"{one.name}: {panel}": (one, panel) for one in found for panel in PANELS}

    def draw(axis: Axes, name: str, _: int) -> None:
        one, panel = panels[name]
        if panel == "series":
            axis.plot(one.x, color=PALETTE[0], linewidth=0.7)
            axis.set(xlabel="step", ylabel="without trend" if one.trend else "value")
        elif panel == "autocorrelation":
            table = one.autocorrelations(lags).iloc[1:]
            band = memory.white_band(len(one.x))
            axis.axhspan(-band, band, color=QUIET, alpha=0.25, linewidth=0, zorder=0, label="white noise, 95 %")
            axis.vlines(table["lag"], 0, table["acf"], color=PALETTE[0], linewidth=1.6)
            axis.axhline(0, color="black", linewidth=0.6)
            axis.set(xlabel="lag (steps)", ylabel="autocorrelation")
            axis.legend()
        else:
            for i, (estimator, values) in enumerate(one.curve.d.items()):
                at = one.curve.power + 0.006 * (i - 1)
                errors = np.abs(values[:, 1:].T - values[:, 0])
                axis.errorbar(
                    at, values[:, 0], yerr=errors, fmt="o-", color=PALETTE[i], markersize=3, linewidth=0.8, capsize=2, label=estimator
                )
            axis.axhline(0, color="black", linewidth=0.6)
            axis.axhline(0.5, color=QUIET, linewidth=0.6, linestyle="--")
            axis.set(xlabel="power of n: frequencies n^power", ylabel="d (95 %)")
            axis.legend()

    return Drawing(draw, tuple(panels), (4.6, 2.8), columns=3)
