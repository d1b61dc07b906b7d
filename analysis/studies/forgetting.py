"""The report's part on long memory: what the series have, what every seed's residuals keep, and how every seed's network responds to the past."""

from __future__ import annotations

import html
import io
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.report import folder, plots, tables
from analysis.report.section import Section
from analysis.statistics import memory
from analysis.statistics.intervals import mean_interval
from analysis.studies import trained
from ltm.errors import UserError
from sweeps.ledger import Ledger

MOST_SEEDS = 100
"""Seeds of a condition, the first by number, whose residuals a report measures."""

MOST_CONDITIONS = 240
"""Conditions whose residuals a report measures: the first of each series, as many of each."""

ABOUT_LAWS = (
    "<i>law of decay</i>: by which law the response of y<sub>t</sub> to x<sub>t-k</sub> decays over k (Definition 3 of Zhao et al. 2020; AIC), in how many seeds,"
    " over the lags of the column before: 1 to K for a cell with a filter, since the cut at K would look like a law. <i>law beyond K</i>: over the lags after K, where"
    " eight or more were measured. <i>power</i> of k and <i>rate</i> of an exponential: means over seeds with their 95 % intervals, each fitted to every seed."
)

LAWS = ("power law", "exponential", "either", "no decay", "no response")


LEAST_LAGS = 8
"""Lags that a law of decay needs at least."""


@dataclass(frozen=True, eq=False)
class Memory:
    """What the series of a study have of long memory, and the test residuals of its networks.

    Attributes:
        table: a row a condition, see :func:`memory_table`.
        series: the series by name.
        residuals: d (local Whittle) of each measured seed's test residuals ``(n,)``, by condition.
        why: why nothing was measured, where nothing was.
    """

    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    series: dict[str, np.ndarray] = field(default_factory=dict)
    residuals: dict[str, np.ndarray] = field(default_factory=dict)
    why: str = ""


def measured(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows of those conditions whose residuals a report measures."""
    most = max(1, min(plots.SHOWN, MOST_CONDITIONS // runs["dataset"].nunique()))
    return runs[runs["condition"].isin(runs.drop_duplicates("condition").groupby("dataset", sort=False)["condition"].head(most))]


def measure(ledger: Ledger, runs: pd.DataFrame, metric: str) -> Memory:
    """Memory of the series and of the residuals that a report measures."""
    try:
        return memory_table(trained.networks(ledger, trained.seeds(measured(runs), metric, MOST_SEEDS)))
    except UserError as error:
        return Memory(why=str(error))


def forgetting(ledger: Ledger, runs: pd.DataFrame, metric: str, found: Memory | None = None) -> Section:
    """Long memory of the series, and of the residuals and responses of the seeds of every condition.

    Args:
        found: of :func:`measure`, where it was measured already.
    """
    part, chosen = Section("Long memory"), measured(runs)
    found = measure(ledger, runs, metric) if found is None else found
    table, series = found.table, found.series
    if found.why:
        part.text = f'<p class="quiet">Not shown: {html.escape(found.why)}</p>'
    if table.empty:
        return part
    part.text = (
        "<p>ACF of each series, and the memory parameter d by local Whittle (n<sup>0.65</sup> frequencies) of the series and of the test residuals of every"
        " seed: a d above 0 there is long memory that the model left behind. <i>residual d</i>: mean over seeds with its 95 % interval over seeds, which all"
        " share one test part; <i>own ±</i>: half the 95 % interval of one seed's d; <i>d not 0</i>: the share of seeds whose own interval leaves 0 out (5 % do"
        " by chance), <i>correlated</i>: that Ljung and Box's test rejects at 0.05 (20 lags). <i>learned d</i>: the cell's own, averaged over test part and"
        f" seeds. Diverged seeds are left out.{left_out(runs, chosen['condition'])}</p>"
    )
    laws, stale = current(ledger, trained.seeds(chosen, metric))
    shown = for_page(table)
    if len(laws):
        part.beside = folder.RESPONSES
        by_condition = law_table(laws)
        table = table.merge(by_condition, on="condition", how="left", sort=False)
        shown = shown.merge(laws_for_page(by_condition), on="condition", how="left", sort=False)
        part.text += f"<p>{ABOUT_LAWS}</p>"
    command = f"python -m analysis memory {html.escape(ledger.uri)}"
    if stale:
        part.text += f"<p class=quiet>The responses of {html.escape(some(stale))} were measured on other seeds than the present ones and are not shown; {command} measures them again.</p>"
    elif laws.empty:
        part.text += f"<p class=quiet>{command} adds how each network's response to the past decays.</p>"
    part.shown["memory"], part.kept["memory"] = shown, table
    part.figures = {"acf": plots.autocorrelation(series), "memory_left": plots.memory_left(table)}
    return part


def left_out(runs: pd.DataFrame, labels: Iterable[str]) -> str:
    """What a report does not measure, in words; empty where it measures all."""
    more = runs["condition"].nunique() - len(set(labels))
    words = f" Measured are the first {MOST_SEEDS} seeds of a condition." if runs.groupby("condition").size().max() > MOST_SEEDS else ""
    return words + (f" {more:,} further conditions are not measured here." if more else "")


def some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more conditions" if len(names) > most else "")


def memory_table(groups: Sequence[trained.Networks]) -> Memory:
    """d of series and residuals for the trained networks of conditions.

    Returns:
        Its table has a row a condition: ``dataset, condition, seeds`` (measured), ``series_d`` (local Whittle, whole series); over seeds ``residual_d``
        (mean) with its 95 % interval ``residual_low, residual_high``, ``residual_median``, and ``residual_gph`` (mean of the other
        estimator); ``own`` (half the 95 % interval of one seed's d), ``not_zero`` (share of seeds whose own interval leaves 0 out),
        ``correlated`` (share whose residuals Ljung and Box's test rejects at 0.05, 20 lags), ``learned_d`` (mean).
    """
    rows, series, residuals, found = [], {}, {}, {}
    for group in groups:
        if group.dataset not in series:
            series[group.dataset] = group.series.values
            found[group.dataset] = memory.local_whittle(series[group.dataset]).estimate
        errors = group.errors()
        errors = errors[np.isfinite(errors).all(1) & (np.ptp(errors, axis=1) > 0)]
        if errors.shape[1] < 32 or not len(errors):
            continue
        d, error = memory.local_whittle_each(errors)
        own = float(stats.norm.ppf(0.975)) * error
        low, high = mean_interval(d)
        residuals[group.condition] = d
        rows.append(
            {
                "dataset": group.dataset, "condition": group.condition, "seeds": len(errors), "series_d": found[group.dataset],
                "residual_d": d.mean(), "residual_low": low, "residual_high": high, "residual_median": float(np.median(d)),
                "residual_gph": memory.gph_each(errors)[0].mean(), "own": own, "not_zero": float((np.abs(d) > own).mean()),
                "correlated": float((memory.ljung_box_each(errors, min(20, errors.shape[1] // 3)) < 0.05).mean()),
                "learned_d": group.rows["d"].astype(float).mean(),
            }
        )  # fmt: skip
    return Memory(pd.DataFrame(rows), series, residuals)


def for_page(table: pd.DataFrame) -> pd.DataFrame:
    """The table of :func:`memory_table` as people read it."""
    return pd.DataFrame(
        {
            "condition": table["condition"], "seeds": table["seeds"], "series d": table["series_d"].round(3),
            "residual d": [f"{mean:.3f} ({middle:.3f})" for mean, middle in zip(table["residual_d"], table["residual_median"], strict=True)],
            "95 % over seeds": tables.intervals(table.round(3), "residual_low", "residual_high"), "own ±": table["own"].round(3),
            "d not 0": percent(table["not_zero"]), "correlated": percent(table["correlated"]), "learned d": table["learned_d"].round(3),
        }
    ).rename(columns={"residual d": "residual d: mean (median)"})  # fmt: skip


def percent(shares: pd.Series) -> list[str]:
    return [f"{100 * share:.0f} %" for share in shares]


def responses(
    ledger: Ledger, runs: pd.DataFrame, metric: str, most: int | None = None, lags: int = 100
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """The laws (:func:`law_rows`) and the responses ``(S, lags)`` by condition of the first ``most`` seeds of every condition.

    Raises:
        UserError: as :func:`analysis.studies.trained.networks`; a test part shorter than the lags.
    """
    found, rows = {}, []
    for group in trained.networks(ledger, trained.seeds(runs, metric, most)):
        found[group.condition] = group.response(lags)
        rows.append(law_rows(group, found[group.condition]))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(), found


def law_rows(group: trained.Networks, response: np.ndarray) -> pd.DataFrame:
    """The laws by which each seed's response ``(S, lags)`` decays, a row a seed, tied to the seed run that it is of.

    ``law, power, rate`` and both AICs are over lags 1 to ``to_lag``: K of a cell with a filter, all lags of another. ``law_beyond``,
    ``power_beyond`` and ``rate_beyond`` are over the lags after K, where there are enough. A law is missing where it has too few lags.
    """
    K, lags = group.rows["K"].iloc[0], response.shape[1]
    to = lags if pd.isna(K) else min(lags, int(K))
    names = ("law", "power", "rate", "aic_power", "aic_exponential")
    within = [memory.decay(one) for one in response[:, :to]] if to >= LEAST_LAGS else []
    after = np.where(np.arange(lags) >= to, response, 0.0)  # a lag without a response enters no fit
    beyond = [memory.decay(one) for one in after] if lags - to >= LEAST_LAGS else []
    return pd.DataFrame(
        {
            "run_id": group.rows["run_id"].to_numpy(), "condition": group.condition, "seed": group.rows["seed"].to_numpy(), "lags": lags, "to_lag": to,
            **{name: [getattr(decay, name) for decay in within] or None for name in names},
            **{f"{name}_beyond": [getattr(decay, name) for decay in beyond] or None for name in names[:3]},
        }
    )  # fmt: skip


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


def law_table(laws: pd.DataFrame) -> pd.DataFrame:
    """A row a condition of :func:`law_rows`: ``measured`` seeds, the share of each law, and ``power`` and ``rate`` over seeds with 95 % intervals.

    Shares of the laws beyond K are ``beyond_power_law`` and so on; NaN where a law was not asked about.
    """
    rows = []
    for label, group in laws.groupby("condition", sort=False):
        row: dict[str, object] = {"condition": label, "measured": len(group), "to_lag": group["to_lag"].iloc[0]}
        for start, name in (("", "law"), ("beyond_", "law_beyond")):
            known = group[name].dropna()
            row |= {f"{start}{law.replace(' ', '_')}": float((known == law).mean()) if len(known) else np.nan for law in LAWS}
        for name in ("power", "rate", "rate_beyond"):
            a = group[name].dropna().to_numpy(float)
            row |= {name: a.mean() if len(a) else np.nan} | dict(zip((f"{name}_low", f"{name}_high"), mean_interval(a), strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def in_words(row: Mapping[Hashable, Any], start: str = "") -> str:
    """``3 power law, 1 exponential of 4`` of a row of :func:`law_table`; ``start``: ``beyond_`` for the laws beyond K."""
    shares = {law: row[f"{start}{law.replace(' ', '_')}"] for law in LAWS}
    if any(map(np.isnan, shares.values())):
        return "–"
    n = row["measured"]
    counted = sorted(((round(share * n), law) for law, share in shares.items()), key=lambda pair: -pair[0])
    return ", ".join(f"{k} {law}" for k, law in counted if k) + f" of {n}"


def laws_for_page(table: pd.DataFrame) -> pd.DataFrame:
    """The table of :func:`law_table` as people read it."""
    rows = table.to_dict("records")
    return pd.DataFrame(
        {
            "condition": table["condition"], "lags": [f"1 to {row['to_lag']}" for row in rows], "law of decay": [in_words(row) for row in rows],
            "power": table["power"].round(3), "power 95 %": tables.intervals(table.round(3), "power_low", "power_high"),
            "rate": table["rate"].round(4), "rate 95 %": tables.intervals(table.round(4), "rate_low", "rate_high"),
            "law beyond K": [in_words(row, "beyond_") for row in rows], "rate beyond K": table["rate_beyond"].round(4),
        }
    )  # fmt: skip
