"""The report's part on long memory: what the series have, what every seed's residuals keep, and how every seed's network responds to the past."""

from __future__ import annotations

import html
import io
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from analysis import folder, memory, plots, tables, trained
from analysis.section import Section
from analysis.summary import mean_interval
from ltm.errors import UserError
from sweeps.ledger import Ledger

MOST_SEEDS = 100
"""Seeds of a condition, the first by number, whose residuals a report measures."""

MOST_CONDITIONS = 240
"""Conditions whose residuals a report measures: the first of each series, as many of each."""

LAWS = ("power law", "exponential", "either", "no decay", "no response")


def forgetting(ledger: Ledger, runs: pd.DataFrame, metric: str) -> Section:
    """Long memory of the series, and of the residuals and responses of the seeds of every condition."""
    part = Section("Long memory")
    most = max(1, min(plots.SHOWN, MOST_CONDITIONS // runs["dataset"].nunique()))
    labels = runs.drop_duplicates("condition").groupby("dataset", sort=False)["condition"].head(most)
    chosen = runs[runs["condition"].isin(labels)]
    try:
        table, series = memory_table(trained.networks(ledger, trained.seeds(chosen, metric, MOST_SEEDS)))
    except UserError as error:
        part.text = f'<p class="quiet">Not shown: {html.escape(str(error))}</p>'
        return part
    if table.empty:
        return part
    part.text = (
        "<p>ACF of each series, and the memory parameter d by local Whittle (n<sup>0.65</sup> frequencies) of the series and of the test residuals of every"
        " seed: a d above 0 there is long memory that the model left behind. <i>residual d</i>: mean over seeds with its 95 % interval over seeds, which all"
        " share one test part; <i>own ±</i>: half the 95 % interval of one seed's d; <i>d not 0</i>: the share of seeds whose own interval leaves 0 out (5 % do"
        " by chance), <i>correlated</i>: that Ljung and Box's test rejects at 0.05 (20 lags). <i>learned d</i>: the cell's own, averaged over test part and"
        f" seeds. Diverged seeds are left out.{left_out(runs, labels)}</p>"
    )
    laws, stale = current(ledger, trained.seeds(chosen, metric))
    shown = for_page(table)
    if len(laws):
        part.beside = folder.RESPONSES
        by_condition = law_table(laws)
        table = table.merge(by_condition, on="condition", how="left", sort=False)
        shown = shown.merge(laws_for_page(by_condition), on="condition", how="left", sort=False)
        part.text += (
            "<p><i>law of decay</i>: by which law the response of y<sub>t</sub> to x<sub>t-k</sub> decays over k (Definition 3 of Zhao et al. 2020; AIC), in how"
            " many seeds; <i>power</i> of k and <i>rate</i> of an exponential: means over seeds with their 95 % intervals, each fitted to every seed.</p>"
        )
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


def memory_table(groups: Sequence[trained.Networks]) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """d of series and residuals for the trained networks of conditions: a table, and the series by name.

    Returns:
        A row a condition: ``dataset, condition, seeds`` (measured), ``series_d`` (local Whittle, whole series); over seeds ``residual_d``
        (mean) with its 95 % interval ``residual_low, residual_high``, ``residual_median``, and ``residual_gph`` (mean of the other
        estimator); ``own`` (half the 95 % interval of one seed's d), ``not_zero`` (share of seeds whose own interval leaves 0 out),
        ``correlated`` (share whose residuals Ljung and Box's test rejects at 0.05, 20 lags), ``learned_d`` (mean).
    """
    rows, series, found = [], {}, {}
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
        rows.append(
            {
                "dataset": group.dataset, "condition": group.condition, "seeds": len(errors), "series_d": found[group.dataset],
                "residual_d": d.mean(), "residual_low": low, "residual_high": high, "residual_median": float(np.median(d)),
                "residual_gph": memory.gph_each(errors)[0].mean(), "own": own, "not_zero": float((np.abs(d) > own).mean()),
                "correlated": float((memory.ljung_box_each(errors, min(20, errors.shape[1] // 3)) < 0.05).mean()),
                "learned_d": group.rows["d"].astype(float).mean(),
            }
        )  # fmt: skip
    return pd.DataFrame(rows), series


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


def law_rows(group: trained.Networks, response: np.ndarray) -> pd.DataFrame:
    """The law by which each seed's response ``(S, lags)`` decays, a row a seed, tied to the seed run that it is of."""
    decays = [memory.decay(one) for one in response]
    return pd.DataFrame(
        {
            "run_id": group.rows["run_id"].to_numpy(), "condition": group.condition, "seed": group.rows["seed"].to_numpy(), "lags": response.shape[1],
            **{name: [getattr(decay, name) for decay in decays] for name in ("law", "power", "rate", "aic_power", "aic_exponential")},
        }
    )  # fmt: skip


def current(ledger: Ledger, runs: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """What ``memory`` kept of these seed runs, and the conditions whose kept rows are of other seed runs than these, which are left out."""
    text = ledger.text(f"report/{folder.RESPONSES[0]}")
    kept = pd.read_csv(io.StringIO(text)) if text else pd.DataFrame()
    if not {"run_id", "condition", "law", "power", "rate"} <= set(kept.columns):
        return pd.DataFrame(), []
    mine = {str(label): set(group["run_id"]) for label, group in runs.groupby("condition", sort=False)}
    theirs = {str(label): set(group["run_id"]) for label, group in kept.groupby("condition", sort=False)}
    stale = [label for label, ids in theirs.items() if label in mine and ids != mine[label]]
    return kept[kept["condition"].isin(set(mine) - set(stale))].reset_index(drop=True), stale


def law_table(laws: pd.DataFrame) -> pd.DataFrame:
    """A row a condition of :func:`law_rows`: ``measured`` seeds, the share of each law, and ``power`` and ``rate`` over seeds with 95 % intervals."""
    rows = []
    for label, group in laws.groupby("condition", sort=False):
        row: dict[str, object] = {"condition": label, "measured": len(group)}
        row |= {law.replace(" ", "_"): float((group["law"] == law).mean()) for law in LAWS}
        for name in ("power", "rate"):
            a = group[name].dropna().to_numpy(float)
            row |= {name: a.mean() if len(a) else np.nan} | dict(zip((f"{name}_low", f"{name}_high"), mean_interval(a), strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def laws_for_page(table: pd.DataFrame) -> pd.DataFrame:
    """The table of :func:`law_table` as people read it."""
    words = []
    for row in table.to_dict("records"):
        counted = [(row[law.replace(" ", "_")] * row["measured"], law) for law in LAWS]
        words.append(
            ", ".join(f"{round(n)} {law}" for n, law in sorted(counted, key=lambda pair: -pair[0]) if n) + f" of {row['measured']}"
        )
    return pd.DataFrame(
        {
            "condition": table["condition"], "law of decay": words,
            "power": table["power"].round(3), "power 95 %": tables.intervals(table.round(3), "power_low", "power_high"),
            "rate": table["rate"].round(4), "rate 95 %": tables.intervals(table.round(4), "rate_low", "rate_high"),
        }
    )  # fmt: skip
