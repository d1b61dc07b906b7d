"""Long memory: what the series of a study have, what every seed's residuals keep, and how every seed's network responds to the past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from analysis.statistics import memory
from analysis.statistics.intervals import mean_interval
from analysis.studies.memory import networks
from analysis.study import Study
from ltm.errors import UserError
from sweeps.store.ledger import Ledger

MOST_SEEDS = 100
"""Seeds of a condition, the first by number, whose residuals a report measures."""

MOST_OF_A_SERIES = 24
"""Conditions of one series whose residuals a report measures at most."""

MOST_CONDITIONS = 240
"""Conditions whose residuals a report measures: the first of each series, as many of each."""

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
    most = max(1, min(MOST_OF_A_SERIES, MOST_CONDITIONS // runs["dataset"].nunique()))
    return runs[runs["condition"].isin(runs.drop_duplicates("condition").groupby("dataset", sort=False)["condition"].head(most))]


def measure(ledger: Ledger, runs: pd.DataFrame, study: Study) -> Memory:
    """Memory of the series and of the residuals that a report measures; nothing of tasks that are no series."""
    if study.rule.what.kind != "error":
        return Memory()
    try:
        return memory_table(networks.load(ledger, networks.seeds(measured(runs), study.metric, MOST_SEEDS)), study)
    except UserError as error:
        return Memory(why=str(error))


def memory_table(groups: Sequence[networks.Networks], study: Study) -> Memory:
    """d of series and residuals for the trained networks of conditions.

    Returns:
        Its table has a row a condition: ``dataset, condition, name, seeds`` (measured), ``series_d`` (local Whittle, whole series); over seeds ``residual_d``
        (mean) with its 95 % interval ``residual_low, residual_high``, ``residual_median``, and ``residual_gph`` (mean of the other
        estimator); ``own`` (half the 95 % interval of one seed's d), ``not_zero`` (share of seeds whose own interval leaves 0 out),
        ``correlated`` (share whose residuals Ljung and Box's test rejects at 0.05, 20 lags), ``learned_d`` (mean).
    """
    rows, series, residuals, found = [], {}, {}, {}
    for group in groups:
        if (one := study.by_label.get(group.condition)) is None:
            continue
        if one.dataset not in series:
            series[one.dataset] = group.series.values
            found[one.dataset] = memory.local_whittle(series[one.dataset]).estimate
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
                "dataset": one.dataset, "condition": one.label, "name": one.name, "seeds": len(errors), "series_d": found[one.dataset],
                "residual_d": d.mean(), "residual_low": low, "residual_high": high, "residual_median": float(np.median(d)),
                "residual_gph": memory.gph_each(errors)[0].mean(), "own": own, "not_zero": float((np.abs(d) > own).mean()),
                "correlated": float((memory.ljung_box_each(errors, min(20, errors.shape[1] // 3)) < 0.05).mean()),
                "learned_d": group.rows["d"].astype(float).mean(),
            }
        )  # fmt: skip
    return Memory(pd.DataFrame(rows), series, residuals)


def responses(
    ledger: Ledger, runs: pd.DataFrame, metric: str, most: int | None = None, lags: int = 100
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """The laws (:func:`law_rows`) and the responses ``(S, lags)`` by condition of the first ``most`` seeds of every condition.

    Raises:
        UserError: as :func:`analysis.studies.memory.networks.networks`; a test part shorter than the lags.
    """
    found, rows = {}, []
    for group in networks.load(ledger, networks.seeds(runs, metric, most)):
        found[group.condition] = group.response(lags)
        rows.append(law_rows(group, found[group.condition]))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(), found


def law_rows(group: networks.Networks, response: np.ndarray) -> pd.DataFrame:
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
