"""Figures and tables of what goes on inside trained networks (:mod:`analysis.studies.inside`)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import MaxNLocator

from analysis.reporting.drawing import PALETTE, QUIET, Drawing
from analysis.reporting.plots import label

LOOKS = {"trained": "-", "untrained": "--"}

SMALLEST = 1e-12
"""Of losses and products on logarithmic axes: what is smaller is drawn as this."""

SHOWN_LAGS = (1, 2, 5)
"""And their multiples by 10, 100, ...: the lags in the terminal."""


def flow_table(table: pd.DataFrame) -> pd.DataFrame:
    """Error flow of one condition as people read it: a row a derivative and a lag, medians with quartiles (columns as :func:`error_flow`)."""
    last = int(table["lag"].max())
    wanted = [n * 10**k for k in range(len(str(last))) for n in SHOWN_LAGS if n * 10**k < last] + [last]
    have = table["lag"].unique()
    lags = sorted({int(have[np.argmin(np.abs(have - lag))]) for lag in wanted})
    cells = [f"{row.median:.2g} ({row.low:.2g} to {row.high:.2g})" for row in table.itertuples()]
    wide = table.assign(cell=cells).pivot(index=["flow", "lag"], columns="values", values="cell")
    order = [(flow, lag) for flow in table["flow"].unique() for lag in lags]
    return wide.reindex(order)[[values for values in LOOKS if values in wide]].reset_index().rename(columns={"flow": "of"})


def error_flow(table: pd.DataFrame) -> Drawing:
    """Spectral norms against the lag, a panel a condition: trained and untrained networks, medians and, of the trained, quartiles.

    Args:
        table: ``condition, values`` (trained or untrained), ``flow, lag, median, low, high``.
    """

    def draw(axis: Axes, condition: str, _: int) -> None:
        mine = table[table["condition"] == condition]
        for i, flow in enumerate(mine["flow"].unique()):
            colour = PALETTE[i % len(PALETTE)]
            for values, line in mine[mine["flow"] == flow].groupby("values", sort=False):
                low, middle, high = np.clip(line[["low", "median", "high"]].to_numpy(float).T, SMALLEST, 1 / SMALLEST)
                name = label(str(flow)) if values == "trained" else None
                axis.plot(line["lag"], middle, LOOKS[str(values)], color=colour, linewidth=1.3, label=name)
                if values == "trained":
                    axis.fill_between(line["lag"], low, high, color=colour, alpha=0.15, linewidth=0)
        axis.axhline(1, color="black", linewidth=0.6)
        axis.set_yscale("log")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set(xlabel="lag q (steps); dashed: untrained", ylabel="scaling of an error")
        axis.legend(fontsize=8, ncols=2)

    return Drawing(draw, tuple(table["condition"].unique()), (4.8, 3.2))


def landscape(
    names: tuple[str, str], x: np.ndarray, y: np.ndarray, losses: Mapping[int, np.ndarray], centre: tuple[float, float]
) -> Drawing:
    """Loss over two weights in colours and contours, logarithmic and the same in all panels; a panel a length, a cross at the network itself.

    Args:
        names: of the weights.
        losses: by length, ``(len(y), len(x))``.
    """
    finite = np.concatenate([values[np.isfinite(values)] for values in losses.values()])
    low, high = (float(max(end, SMALLEST)) for end in ((finite.min(), finite.max()) if len(finite) else (SMALLEST, 1.0)))
    high = max(high, low * 1.001)
    by_name = {f"{length:,} steps": values for length, values in losses.items()}

    def draw(axis: Axes, name: str, position: int) -> None:
        values = np.ma.masked_invalid(np.maximum(by_name[name], SMALLEST))
        ends = (x[0], x[-1], y[0], y[-1])
        image = axis.imshow(
            values, cmap="viridis", norm=LogNorm(low, high), origin="lower", extent=ends, aspect="auto", interpolation="nearest"
        )
        if values.count() and values.max() > values.min():
            axis.contour(x, y, values, levels=np.geomspace(low, high, 12)[1:-1], colors="white", linewidths=0.5, alpha=0.6)
        axis.plot(*centre, "+", color="white", markersize=9, markeredgewidth=1.6)
        axis.set(xlabel=names[0], ylabel=names[1] if position == 0 else "")
        axis.figure.colorbar(image, ax=axis, label="loss" if position == len(by_name) - 1 else "")

    return Drawing(draw, tuple(by_name), (3.6, 3.0), columns=min(4, len(by_name)))


def states(held: Mapping[str, Mapping[str, np.ndarray]], first: int = 0, most: int = len(PALETTE)) -> Drawing:
    """States over time: a row a state, a column a seed, a line a unit (the first ``most`` units); ``{seed: {state: (T, n)}}``.

    Args:
        first: the step at which the arrays begin.
    """
    panels = {
        f"{name}, {seed}": (name, values)
        for name in next(iter(held.values()))
        for seed, values in ((seed, of_seed[name]) for seed, of_seed in held.items())
    }

    def draw(axis: Axes, panel: str, _: int) -> None:
        name, values = panels[panel]
        every = np.concatenate([of_seed[name][:, :most].ravel() for of_seed in held.values()])
        low, high = np.nanmin(every), np.nanmax(every)
        for i in range(min(most, values.shape[1])):
            axis.plot(np.arange(first, first + len(values)), values[:, i], color=PALETTE[i % len(PALETTE)], linewidth=1.0)
        axis.axhline(0, color=QUIET, linewidth=0.5)
        margin = 0.05 * (high - low) or 0.1
        more = values.shape[1] - most
        axis.set(xlabel=f"step ({more} more units)" if more > 0 else "step", ylabel=name, ylim=(low - margin, high + margin))

    return Drawing(draw, tuple(panels), (4.6, 2.2), columns=len(held))


def stem(*words: object) -> str:
    """The name of a file of these words."""
    return "-".join("".join(c if c.isalnum() else " " for c in " ".join(map(str, words))).lower().split())
