"""Rules for the claims of Zhao et al. (2020) about memory: of the series, of the networks (Definition 3), and what they leave in their residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.statistics import memory, wins
from analysis.studies.zhao2020.evidence import Evidence, Lacking, by_series, verdict_of
from analysis.studies.zhao2020.pairs import GATED, RECURRENT, SERIES, SHORT, SHORT_K, K


def series_memory(e: Evidence) -> tuple[str, str]:
    """Long memory: the interval of d lies above 0; short: it holds 0."""
    if lacking := [f"the series {name}" for name in (*SERIES, SHORT) if name not in e.memory.series]:
        raise Lacking(lacking)
    found = {name: memory.local_whittle(e.memory.series[name]) for name in (*SERIES, SHORT)}
    shown = [found[name].low > 0 for name in SERIES] + [found[SHORT].low <= 0 <= found[SHORT].high]
    line = "; ".join(f"{name} {one.estimate:.3f} [{one.low:.3f}, {one.high:.3f}]" for name, one in found.items())
    beyond = [name for name, one in found.items() if one.high >= 0.5]
    more = f" {', '.join(beyond)}: the interval reaches 1/2, where stationarity ends." if beyond else ""
    return verdict_of(shown, False), f"As claimed on {sum(shown)} of {len(shown)}: d by local Whittle with its 95 % interval {line}.{more}"


def laws_of(e: Evidence, specs: Sequence[str], law: str, start: str = "") -> tuple[list[bool], str, bool]:
    """Whether Wilson's interval of the share of seeds with this law lies above one half, condition by condition; the counts; whether seeds are few.

    ``start``: ``beyond_`` for the law beyond K.
    """
    conditions = e.conditions([(spec, dataset) for spec in specs for dataset in (*SERIES, SHORT)])
    table = {row["condition"]: row for row in e.laws.to_dict("records")}
    column = f"{start}{law.replace(' ', '_')}"
    if lacking := [f"the response of {one.label}" for one in conditions if one.label not in table or pd.isna(table[one.label][column])]:
        raise Lacking(lacking)
    shown, counts, few = [], [], True
    for one in conditions:
        n = int(table[one.label]["measured"])
        counts.append(round(n * table[one.label][column]))
        shown.append(bool(stats.binomtest(counts[-1], n).proportion_ci(method="wilson").low > 0.5))
        few = few and n < 4
    most = max(int(table[one.label]["measured"]) for one in conditions)
    words = f"{counts[0]}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    return shown, f"{words} of {most} seeds", few


def no_long_memory(e: Evidence) -> tuple[str, str]:
    found = {spec: laws_of(e, (spec,), "exponential") for spec in ("rnn", "lstm")}
    shown = [one for some, _, _ in found.values() for one in some]
    line = "; ".join(f"{spec.upper()} {counts} a series" for spec, (_, counts, _) in found.items())
    few = all(few for *_, few in found.values())
    return verdict_of(shown, few), f"Exponential decay in most seeds in {sum(shown)} of {len(shown)} conditions: {line}."


def long_memory(e: Evidence) -> tuple[str, str]:
    """Upheld where the law is a power law up to K (100 and 25) and, for K = 25, beyond it as well."""
    models = (*RECURRENT, *GATED)
    short = [f"{model} K={SHORT_K}" for model in models]
    whole, at_whole, few = laws_of(e, models, "power law")
    within, at_short, _ = laws_of(e, short, "power law")
    beyond, after, _ = laws_of(e, short, "power law", "beyond_")
    _, cut, _ = laws_of(e, short, "exponential", "beyond_")
    figure = (
        f"A power law in most seeds in {sum(whole)} of {len(whole)} conditions up to lag K = {K}, in {sum(within)} of {len(within)} up to K = {SHORT_K} and in {sum(beyond)} of"
        f" {len(beyond)} beyond K = {SHORT_K}: {at_whole}, {at_short} and {after} (exponential there: {cut})."
    )
    if all(whole) and not any(beyond):
        figure += f" {SHORT} is among them, so the law is the filter's, up to its length, and nothing learned."
    return verdict_of([*whole, *within, *beyond], few), figure


@dataclass(frozen=True)
class Left:
    """Whether one condition's seeds leave a smaller size of d in their residuals than another's: by ``side``, with the probability, of ``n`` seeds."""

    dataset: str
    n: int
    probability: float
    side: str


def cell(one: Left) -> str:
    return f"{one.probability:.2f} {one.side}"


def residual_memory(e: Evidence) -> tuple[str, str]:
    """Judged by the 95 % interval of P(a seed leaves the smaller size of d in its residuals), uncorrected; no p."""

    def probabilities(models: Sequence[str], other: str) -> list[Left]:
        rows = []
        for dataset in SERIES:
            for a, b in [e.conditions([(model, dataset), (other, dataset)]) for model in models]:
                if lacking := [f"the residuals of {one.label}" for one in (a, b) if one.label not in e.memory.residuals]:
                    raise Lacking(lacking)
                x, y = (np.abs(e.memory.residuals[one.label]) for one in (a, b))
                found = wins.beats(x, y, p=np.nan)
                side = "▲" if found.low > 0.5 else "▼" if found.high < 0.5 else "·"
                rows.append(Left(dataset, min(len(x), len(y)), found.estimate, side))
        return rows

    rnn, lstm, gated = (probabilities(*some) for some in ((RECURRENT, "rnn"), (RECURRENT, "lstm"), (GATED, "lstm")))
    count = {name: [row.side for row in some] for name, some in (("rnn", rnn), ("lstm", lstm), ("gated", gated))}
    shown = [side == "▲" for side in count["rnn"] + count["lstm"]]
    figure = (
        f"MRNN(F) leave less than the RNN in {count['rnn'].count('▲')} of {len(rnn)} and than the LSTM in {count['lstm'].count('▲')} of {len(lstm)}; MLSTM(F) less than the"
        f" LSTM in {count['gated'].count('▲')} and more in {count['gated'].count('▼')} of {len(gated)}. P(smaller |d|) against the RNN: {by_series(rnn, cell)};"
        f" against the LSTM: {by_series(lstm, cell)} (by uncorrected 95 % intervals over seeds, which share one test part)."
    )
    return verdict_of(shown, all(row.n < 4 for row in rnn + lstm)), figure
