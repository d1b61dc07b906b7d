"""The report's part on long memory (:mod:`analysis.studies.memory.forgetting`): its words, its tables, and the responses that ``analysis memory`` kept."""

from __future__ import annotations

import io
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.reporting import folder, tables
from analysis.reporting.drawing import PALETTE, QUIET, Drawing
from analysis.reporting.page import as_paragraph
from analysis.reporting.plots import SHOWN, label, logarithmic, rows_of
from analysis.reporting.section import Plot, Section, Table
from analysis.reporting.tables import called
from analysis.statistics import memory
from analysis.studies.memory import networks
from analysis.studies.memory.forgetting import LAWS, MOST_SEEDS, Memory, law_table, measured
from analysis.study import Study
from sweeps.store.ledger import Ledger

ABOUT_ACF = "Autocorrelation of each series, and its memory parameter d by local Whittle (n<sup>0.65</sup> frequencies) with its 95 % interval: above 0 it has long memory."

ABOUT_LEFT = (
    "d left in the test residuals, mean over seeds with its 95 % interval: above 0 there is long memory that the model left behind."
)

ABOUT_TABLE = (
    "Memory left in test residuals. <i>Residual d</i>: by local Whittle, mean over seeds with its 95 % interval over seeds, which all share one test part;"
    " <i>own ±</i>: half the 95 % interval of one seed's d; <i>d not 0</i>: seeds whose own interval leaves 0 out (5 % do by chance); <i>correlated</i>: that Ljung"
    " and Box's test rejects at 0.05 (null hypothesis: no autocorrelation up to lag 20). <i>Learned d</i>: the cell's own, averaged over test part and seeds."
    " Diverged seeds are left out."
)

ABOUT_LAWS = (
    "Laws of decay. <i>Law of decay</i>: by which law the response of y<sub>t</sub> to x<sub>t-k</sub> decays over k (Definition 3 of Zhao et al. 2020; AIC), in how many seeds,"
    " over the lags of the column before: 1 to K for a cell with a filter, since the cut at K would look like a law. <i>Law beyond K</i>: over the lags after K, where"
    " eight or more were measured. <i>Power</i> of k and <i>rate</i> of an exponential: means over seeds with their 95 % intervals, each fitted to every seed."
)


def section(ledger: Ledger, runs: pd.DataFrame, study: Study, found: Memory) -> Section:
    """Long memory of the series, and of the residuals and responses of the seeds of every condition.

    Args:
        found: of :func:`analysis.studies.memory.forgetting.measure`.
    """
    part, chosen = Section("Long memory"), measured(runs)
    table = found.table
    if found.why:
        part.text = as_paragraph(f"Not shown: {found.why}", quiet=True)
    if table.empty:
        return part
    laws, stale = current(ledger, networks.seeds(chosen, study.metric))
    part.plots = [
        Plot("acf", ABOUT_ACF, autocorrelation(found.series), {name: series_in_words(name, x) for name, x in found.series.items()}),
        Plot("memory_left", ABOUT_LEFT, memory_left(table), {str(name): left_in_words(str(name), rows) for name, rows in table.groupby("dataset", sort=False)}),
    ]  # fmt: skip
    part.tables.append(Table("memory", f"{ABOUT_TABLE}{left_out(runs, chosen['condition'])}", for_page(table)))
    if len(laws):
        part.beside = folder.RESPONSES
        by_condition = law_table(laws)
        part.tables.append(Table("laws", ABOUT_LAWS, laws_for_page(by_condition, study), "memory"))
        table = table.merge(by_condition, on="condition", how="left", sort=False)
    command = f"python -m analysis memory {ledger.uri}"
    if stale:
        words = f"The responses of {some(stale)} were measured on other seeds than the present ones and are not shown; {command} measures them again."
        part.text += as_paragraph(words, quiet=True)
    elif laws.empty:
        part.text += as_paragraph(f"{command} adds how each network's response to the past decays (Definition 3).", quiet=True)
    part.kept["memory"] = table
    return part


def series_in_words(name: str, x: np.ndarray) -> str:
    d = memory.local_whittle(x)
    return f"{name}: memory parameter d = {d.estimate:.2f}, 95 % interval {d.low:.2f} to {d.high:.2f}; its autocorrelation over lags."


def left_in_words(name: str, rows: pd.DataFrame) -> str:
    ordered = rows.sort_values("residual_d", kind="stable")
    first, last = ordered.iloc[0], ordered.iloc[-1]
    words = f"{name}: d left in the residuals from {first['residual_d']:.2f} ({called(first['name'])}) to {last['residual_d']:.2f} ({called(last['name'])})"
    return f"{words}; d of the series is {first['series_d']:.2f}."


def left_out(runs: pd.DataFrame, labels: Iterable[str]) -> str:
    """What a report does not measure, in words; empty where it measures all."""
    more = runs["condition"].nunique() - len(set(labels))
    words = f" Measured are the first {MOST_SEEDS} seeds of a condition." if runs.groupby("condition").size().max() > MOST_SEEDS else ""
    return words + (f" {more:,} further conditions are not measured here." if more else "")


def some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more conditions" if len(names) > most else "")


def for_page(table: pd.DataFrame) -> pd.DataFrame:
    """The table of :func:`memory_table` as people read it."""
    d = tables.column_with_intervals(table, ("residual_d", "residual_low", "residual_high"), digits=3)
    return pd.DataFrame(
        {
            "condition": [called(name) for name in table["name"]], "series": table["dataset"], "seeds": table["seeds"].astype(str),
            "d of the series": places(table["series_d"]), "residual d (95 %)": d, "own ±": places(table["own"]), "d not 0": percent(table["not_zero"]),
            "correlated": percent(table["correlated"]), "learned d": places(table["learned_d"]),
        }
    )  # fmt: skip


def places(values: pd.Series, count: int = 3) -> list[str]:
    return [tables.fixed(float(x), count) for x in values]


def percent(shares: pd.Series) -> list[str]:
    return [f"{100 * share:.0f} %" for share in shares]


def current(ledger: Ledger, runs: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """What ``memory`` kept of these seed runs, and the conditions whose kept rows are of other seed runs than these, which are left out."""
    text = ledger.text(f"report/{folder.RESPONSES[0]}")
    kept = pd.read_csv(io.StringIO(text)) if text else pd.DataFrame()
    if not {"run_id", "condition", "to_lag", "law", "power", "rate", "law_beyond", "rate_beyond"} <= set(kept.columns):
        return pd.DataFrame(), []
    mine = {str(label): set(group["run_id"]) for label, group in runs.groupby("condition", sort=False)}
    theirs = {str(label): set(group["run_id"]) for label, group in kept.groupby("condition", sort=False)}
    stale = [label for label, ids in theirs.items() if label in mine and ids != mine[label]]
    return kept[kept["condition"].isin(set(mine) - set(stale))].reset_index(drop=True), stale


def in_words(row: Mapping[Hashable, Any], start: str = "") -> str:
    """``3 power law, 1 exponential of 4`` of a row of :func:`law_table`; ``start``: ``beyond_`` for the laws beyond K."""
    shares = {law: row[f"{start}{law.replace(' ', '_')}"] for law in LAWS}
    if any(map(np.isnan, shares.values())):
        return "–"
    n = row["measured"]
    counted = sorted(((round(share * n), law) for law, share in shares.items()), key=lambda pair: -pair[0])
    return ", ".join(f"{k} {law}" for k, law in counted if k) + f" of {n}"


def laws_for_page(table: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The table of :func:`law_table` as people read it."""
    rows, known = table.to_dict("records"), study.by_label
    conditions = [known[str(label)] for label in table["condition"]]
    return pd.DataFrame(
        {
            "condition": [called(one.name) for one in conditions], "series": [one.dataset for one in conditions],
            "lags": [f"1 to {row['to_lag']}" for row in rows], "law of decay": [in_words(row) for row in rows],
            "power (95 %)": tables.column_with_intervals(table, ("power", "power_low", "power_high"), digits=3),
            "rate (95 %)": tables.column_with_intervals(table, ("rate", "rate_low", "rate_high"), digits=3),
            "law beyond K": [in_words(row, "beyond_") for row in rows], "rate beyond K": places(table["rate_beyond"], 4),
        }
    )  # fmt: skip


def autocorrelation(series: Mapping[str, np.ndarray], lags: int = 60) -> Drawing:
    """ACF of each series with the band of white noise and that of ARFIMA(0, d, 0) over the interval of its local Whittle d."""

    def draw(axis: Axes, name: str, position: int) -> None:
        x = series[name]
        rho = memory.acf(x, min(lags, len(x) // 4))
        k = np.arange(1, len(rho))
        found = memory.local_whittle(x)
        axis.vlines(k, 0, rho[1:], color=PALETTE[0], linewidth=1.6, label="ACF")
        band = memory.white_band(len(x))
        axis.axhspan(-band, band, color=QUIET, alpha=0.25, linewidth=0, zorder=0, label="white noise, 95 %")
        low, high = (memory.fractional_acf(float(np.clip(d, 0.0, 0.49)), len(rho) - 1)[1:] for d in (found.low, found.high))
        axis.fill_between(k, low, high, color=PALETTE[1], alpha=0.3, linewidth=0, label="ARFIMA(0, d, 0)")
        axis.axhline(0, color="black", linewidth=0.6)
        axis.set(
            xlabel="lag (steps)", ylabel="autocorrelation", title=f"{name}: d = {found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}]"
        )
        if position == 0:
            axis.legend(fontsize=8.5)

    return Drawing(draw, tuple(series), (4.6, 2.6))


def memory_left(table: pd.DataFrame) -> Drawing:
    """Local Whittle d of every model's residuals, mean over seeds with its interval, against that of the series."""

    def draw(axis: Axes, dataset: str, _: int) -> None:
        group = table[table["dataset"] == dataset]
        at = np.arange(len(group))
        errors = np.abs(group[["residual_low", "residual_high"]].to_numpy(float).T - group["residual_d"].to_numpy(float))
        axis.errorbar(group["residual_d"], at, xerr=errors, fmt="o", color=PALETTE[0], markersize=4, capsize=2, linewidth=1)
        axis.axvline(0, color="black", linewidth=0.6)
        axis.axvline(float(group["series_d"].iloc[0]), color=PALETTE[1], linestyle="--", linewidth=1)
        rows_of(axis, [str(name) for name in group["name"]])
        axis.set(xlabel="d left in the residuals (dashed: d of the series)")

    most = min(SHOWN, int(table.groupby("dataset").size().max()))
    return Drawing(draw, tuple(table["dataset"].unique()), (4.6, 0.9 + 0.22 * most))


def responses(found: Mapping[str, Mapping[str, np.ndarray]]) -> Drawing:
    """|A_k| against k on double logarithmic axes, where a power law is a straight line; ``{series: {name: (S, K)}}``, a panel a series.

    Lines are medians over seeds, bands quartiles.
    """

    def draw(axis: Axes, dataset: str, position: int) -> None:
        for i, (name, response) in enumerate(found[dataset].items()):
            largest = np.abs(response).max(1, keepdims=True)
            low, size, high = np.quantile(np.abs(response) / np.where(largest > 0, largest, 1), [0.25, 0.5, 0.75], axis=0)
            k, there, colour = np.arange(1, len(size) + 1), size > 1e-8, PALETTE[i % len(PALETTE)]
            axis.plot(k[there], size[there], color=colour, linewidth=1.1, label=label(name))
            if len(response) > 1:
                axis.fill_between(k[there], np.maximum(low, 1e-8)[there], high[there], color=colour, alpha=0.12, linewidth=0)
        logarithmic(axis, "xy")
        axis.set(ylim=(1e-8, 2), xlabel="lag k (steps)", ylabel="|A_k| / largest")
        if position == 0:
            axis.legend(fontsize=8.5, ncols=2, loc="lower left")

    return Drawing(draw, tuple(found), (4.8, 3.4))
