"""Rules for the claims of Zhao et al. (2020) about forecast errors: the verdict of each, and the figures that say so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.studies.filter_length import Trend
from analysis.studies.verdicts import ALPHA
from analysis.studies.zhao2020.evidence import (
    FEW,
    PART,
    UPHELD,
    Evidence,
    Judge,
    Lacking,
    by_series,
    lost,
    not_worse,
    probability,
    theta,
    too_few,
    verdict_of,
    won,
)
from analysis.studies.zhao2020.pairs import (
    CONSTANT,
    CONSTANT_GATED,
    FREE,
    FREE_SHORT,
    LSTM_AND_GATED,
    LSTM_AND_SHORT,
    MODELS,
    NO_MEMORY,
    SERIES,
    SHORT,
    SHORT_K,
    Ask,
    K,
    best_asks,
    bold,
)
from analysis.table import of_series


def better(wanted: Sequence[Ask]) -> Judge:
    """Upheld where a beats b in all tests."""

    def judged(e: Evidence) -> tuple[str, str]:
        rows = e.tests(wanted)
        shown = [won(row) for row in rows]
        worse = f", worse in {sum(map(lost, rows))}" if any(map(lost, rows)) else ""
        figure = f"Better in {sum(shown)} of {len(rows)}{worse}: P(smaller error) {by_series(rows, theta)}."
        return verdict_of(shown, too_few(rows)), figure

    return judged


def best_of_nine(e: Evidence) -> tuple[str, str]:
    rows = e.tests(best_asks())
    lines = []
    for dataset in SERIES:
        mine = [row for row in rows if row.dataset == dataset]
        left = [f"{row.b.name} ({row.theta.estimate:.2f})" for row in mine if not won(row)]
        lowest = min(e.conditions([(model, dataset) for model in MODELS]), key=lambda one: one.mean if np.isfinite(one.mean) else np.inf)
        lines.append(
            f"{dataset} {bold()[dataset]} beats {len(mine) - len(left)} of {len(mine)}{', not ' + ', '.join(left) if left else ''}, lowest mean {lowest.model}"
        )
    shown = [won(row) for row in rows]
    figure = f"The bold model of Table 2 beats {sum(shown)} of {len(rows)} rivals: {'; '.join(lines)}."
    return verdict_of(shown, too_few(rows)), figure


def no_advantage(e: Evidence) -> tuple[str, str]:
    """Upheld where MLSTM(F) beats the LSTM in no test, which is no proof that it is not better: "no worse" of the LSTM stands beside it."""
    rows, short = e.tests(LSTM_AND_GATED), e.tests(LSTM_AND_SHORT)
    both = rows + short
    if too_few(both):
        return FEW, ""
    figure = (
        f"MLSTM(F) is better in {sum(map(lost, rows))} of {len(rows)} at K = {K} and in {sum(map(lost, short))} of {len(short)} at K = {SHORT_K}; the LSTM is better in"
        f" {sum(map(won, rows))} and {sum(map(won, short))}, and shown to be no worse by more than {e.study.rule.margin:g} % in {sum(map(not_worse, rows))} and"
        f" {sum(map(not_worse, short))}. P(LSTM smaller) at K = {K}: {by_series(rows, theta)}."
    )
    return verdict_of([not lost(row) for row in both], False), figure


def filter_or_free(e: Evidence) -> tuple[str, str]:
    verdict, figure = better(FREE)(e)
    try:
        short = e.tests(FREE_SHORT)
    except Lacking:
        return verdict, figure
    if verdict == UPHELD and any(map(lost, short)):
        verdict = PART
    figure += f" Against K = {SHORT_K} free weights better in {sum(map(won, short))}, worse in {sum(map(lost, short))}: {by_series(short, theta)}."
    return verdict, figure


def constant_d(e: Evidence) -> tuple[str, str]:
    rows = e.tests(CONSTANT)

    shown = [not_worse(row) for row in rows]
    figure = f"MRNN is no worse than MRNNF by more than {e.study.rule.margin:g} % on {sum(shown)} of {len(rows)}: {by_series(rows, lambda row: probability(row.p_no_worse_adjusted))}."
    try:
        gated = e.tests(CONSTANT_GATED)
        figure += f" MLSTM and MLSTMF: {sum(map(not_worse, gated))} of {len(gated)}."
    except Lacking:
        pass
    return verdict_of(shown, too_few(rows)), figure


def no_worse_without_memory(e: Evidence) -> tuple[str, str]:
    rows = e.tests(NO_MEMORY)
    shown = [not_worse(row) for row in rows]
    verdict = verdict_of(shown, too_few(rows))
    excess = {row.a.name: 100 * (row.a.mean / row.b.mean - 1) for row in rows if np.isfinite(row.a.mean) and np.isfinite(row.b.mean)}
    largest = max(excess, key=lambda name: excess[name], default="")
    figure = f"No worse by more than {e.study.rule.margin:g} % in {sum(shown)} of {len(rows)}"
    figure += f"; the largest mean excess is {excess[largest]:+.2f} % ({largest})." if largest else "."
    shares = [one for one in e.verdicts.shares if one.dataset == SHORT]
    if shares and not any(one.learned for one in shares):
        figure += " There is nothing to learn: no network's mean beats the best constant."
        verdict = f"{verdict}, but there is nothing to learn: no network's mean beats the best constant" if verdict == UPHELD else verdict
    return verdict, figure


def trend_over(models: Sequence[str], sign: int) -> Judge:
    """Upheld where the error falls (sign 1) or rises (-1) with K in every trend."""

    def judged(e: Evidence) -> tuple[str, str]:
        table = {(one.dataset, one.model): one for one in e.verdicts.trends if {SHORT_K, K} <= set(one.by_length)}
        keys = [(dataset, model) for dataset in SERIES for model in models]
        if lacking := [f"{m} with K = {SHORT_K} to {K} / {d}" for d, m in keys if (d, m) not in table]:
            raise Lacking(lacking)
        rows = [table[key] for key in keys]
        shown = [sign * row.J > 0 and row.p_adjusted < ALPHA for row in rows]
        against = sum(sign * row.J < 0 and row.p_adjusted < ALPHA for row in rows)
        shortest = sum(row.recommended == SHORT_K for row in rows)
        direction = sum(sign * row.J > 0 for row in rows)
        figure = (
            f"Shown in {sum(shown)} of {len(rows)}{f', the opposite in {against}' if against else ''} ({direction} point that way): P(longer wins)"
            f" {by_series(rows, longer)}."
            f" K = {SHORT_K} is shown to be no worse by more than {e.study.rule.margin:g} % than every longer filter in {shortest} of {len(rows)}."
        )
        return verdict_of(shown, all(row.seeds < e.verdicts.needed for row in rows)), figure

    return judged


def longer(one: Trend) -> str:
    return f"{0.5 + one.J:.3f} ({probability(one.p_adjusted)})"


def reproduced(e: Evidence) -> tuple[str, str]:
    e.conditions([(model, dataset) for dataset in SERIES for model in MODELS])
    rows = e.published
    if len(rows) < len(SERIES) * len(MODELS):
        raise Lacking([f"{len(SERIES) * len(MODELS) - len(rows)} of {len(SERIES) * len(MODELS)} checks against Table 2"])
    same = list(rows["p_adjusted"] >= ALPHA)
    close = np.maximum(rows["low"].abs(), rows["high"].abs()) < 0.02 * rows["published_mean"].abs()
    apart = [f"{row['condition']} {row['percent']:+.1f} %" for row in rows.to_dict("records") if row["p_adjusted"] < ALPHA]
    figure = f"{sum(same)} of {len(same)} means do not differ (Welch, Holm over this check)"
    figure += f"; those that do: {', '.join(apart)}." if apart else "."
    figure += f" Not different is not equal: in {int(close.sum())} the 95 % interval of the difference lies within 2 %."
    return verdict_of(same, False), figure


def worth_it(e: Evidence) -> tuple[str, str]:
    """Upheld where on every series more than half of the seeds of some network beat the best forecast without a network."""
    shares = of_series(e.verdicts.shares)
    if lacking := [f"the baselines of {name}" for name in SERIES if name not in shares]:
        raise Lacking(lacking)
    shown, lines, few = [], [], True
    for dataset in SERIES:
        mine = shares[dataset]
        top = max(mine, key=lambda one: one.share)
        few = few and all(one.verdict == "too few seeds" for one in mine)
        shown.append(any(one.verdict == "beats" for one in mine))
        means = sum(one.mean_beats for one in mine)
        lines.append(
            f"{dataset} {top.condition.name} {top.beating} of {top.n}, {means} mean{'' if means == 1 else 's'} of {len(mine)} below it"
        )
    figure = f"Some network beats the best baseline in more than half of its seeds on {sum(shown)} of {len(shown)} series; the largest share: {'; '.join(lines)}."
    return verdict_of(shown, few), figure
