"""The claims that decided how many seeds there are: which are decided, after how many seeds, and how many more the open ones would take."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.claims import Claims, Decided
from analysis.reporting.drawing import PALETTE, QUIET, Drawing
from analysis.reporting.section import Plot, Section, Table
from analysis.reporting.sentences import listed
from analysis.statistics.sequential import PACK
from analysis.studies.verdicts import Verdicts
from analysis.table import frame, of_series
from sweeps.console import counted


def section(verdicts: Verdicts, claims: Claims | None) -> Section:
    part = Section("Claims")
    found = verdicts.claims
    if not claims or not found:
        return part
    part.text = f"<p>{html.escape(rule_in_words(claims))}</p>"
    part.tables.append(
        Table(
            "claims",
            f"Every claim, as it was asked. P: probability that a seed of the one that is ahead has the {verdicts.study.rule.better} than one of the other (of the best: than one of the"
            " nearest other), no margin granted, with its 95 % confidence sequence, which holds after every pack of ten seeds. Evidence: what bets on the claim as asked have won, and what they have to. More seeds: of"
            " each, about, were the probability to stay; – where it points nowhere. Open says nothing of equality.",
            shown(found),
        )
    )
    part.plots.append(
        Plot(
            "evidence",
            f"Evidence for every claim after each pack of {PACK} seeds. Above the dashed line it is decided; the line falls as others are.",
            drawn(found),
            {dataset: f"{dataset}. {in_words(some)}" for dataset, some in of_series(found).items()},
        )
    )
    part.kept["claims"] = frame(found)
    return part


def rule_in_words(claims: Claims) -> str:
    return (
        f"Seeds were added in packs of {PACK} where claims were open ({counted(len(claims.claims), 'claim')}, {claims.hypotheses} hypotheses, at most {claims.mean} seeds of"
        f" each condition in the mean; fixed beforehand). The probability of any false claim is at most {claims.rate:g}, at whatever time the study stops and"
        " whatever was trained: one over the largest evidence so far is a p-value for endless seeds, and Holm's rule corrects over all hypotheses."
        " Other tests and intervals of this page may be read at any time, too; what would need a fixed number of seeds is left out."
    )


def in_table(one: Decided) -> str:
    """What is known of a claim, and who is ahead where it is open."""
    ahead = f"open, {one.ahead[0]} ahead" if one.theta > 0.5 else "open"
    return "; ".join(filter(None, (one.told, ahead if one.is_open else "")))


def shown(found: Sequence[Decided]) -> pd.DataFrame:
    rows = []
    for one in found:
        at = one.standing
        rows.append(
            {
                "claim": one.words, "series": one.dataset, "verdict": in_table(one),
                "seeds each": str(PACK * at.packs), "P": f"{one.theta:.2f}" + (f" ({one.low:.2f} to {one.high:.2f})" if np.isfinite(one.low) else ""),
                "evidence": f"{np.exp(at.evidence):.3g} of {np.exp(at.threshold):.3g}",
                "more seeds": "" if not one.is_open else f"{one.more:,.0f}" if np.isfinite(one.more) else "–",
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def drawn(found: Sequence[Decided]) -> Drawing:
    """Evidence over seeds, a panel a series."""
    by_series = of_series(found)

    def draw(axis: Axes, dataset: str, position: int) -> None:
        some = by_series[dataset]
        for one in sorted(some, key=lambda one: not one.is_open):
            x, y = PACK * np.arange(len(one.evidence) + 1), np.array([0.0, *one.evidence]) / np.log(10)
            axis.plot(x, np.maximum(y, 0.0), color=QUIET if one.is_open else PALETTE[0], linewidth=1.0, alpha=0.6 if one.is_open else 0.9)
            axis.plot(x[-1], max(y[-1], 0.0), "o", color=QUIET if one.is_open else PALETTE[0], markersize=3)
        axis.axhline(max(one.standing.threshold for one in some) / np.log(10), color="black", linewidth=0.8, linestyle="--")
        axis.set_xlabel("seeds of each condition", loc="right")
        axis.set_ylabel("evidence, powers of ten")
        if position == 0:
            lines = [axis.plot([], [], color=colour, label=word)[0] for colour, word in ((PALETTE[0], "decided"), (QUIET, "open"))]
            axis.legend(handles=lines, fontsize=8.5)

    return Drawing(draw, tuple(by_series), (3.6, 2.6), columns=2, legend=False)


def in_words(some: Sequence[Decided]) -> str:
    """What a panel shows."""
    told = [f"{one.told}, after {PACK * one.standing.packs} seeds each" for one in some if one.told]
    return f"{listed(told, 6) or 'None is decided'}. {sum(one.is_open for one in some)} of {counted(len(some), 'claim')} open."
