"""The report's parts for Zhao et al. (2020): the paper's claims, tables and figures, each from the tables of a study (:mod:`analysis.studies.zhao2020`)."""

from __future__ import annotations

import html
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from analysis import literature
from analysis.report import plots, sentences, tables
from analysis.report.section import Section
from analysis.statistics import memory, two_samples
from analysis.studies import forgetting, zhao2020
from analysis.studies.compare import smallest_theta
from analysis.studies.filter_length import by_filter_length
from analysis.studies.published import published
from analysis.studies.verdicts import Verdicts
from analysis.studies.zhao2020.evidence import SEEDS_FOR_LAWS
from analysis.studies.zhao2020.pairs import (
    BETTER_THAN_LSTM,
    BETTER_THAN_RNN,
    MODELS,
    SERIES,
    SHORT,
    SHORT_K,
    TABLE2,
    K,
    find,
    of_paper,
    pairs,
)  # fmt: skip
from analysis.study import Condition, Study
from ltm.errors import UserError
from sweeps.ledger import Ledger

__all__ = ["Material", "pairs", "sections"]

CLAIMS = "Claims of the paper"
"""Title of the first part; the terminal prints its table."""


@dataclass(frozen=True, eq=False)
class Material:
    """What the parts are made of: a study as read from its ledger and judged."""

    ledger: Ledger
    runs: pd.DataFrame
    study: Study
    held: pd.DataFrame
    verdicts: Verdicts
    memory: forgetting.Memory

    @cached_property
    def paper(self) -> Study:
        """The nine models, with K = 100 where they have one."""
        return of_paper(self.study, K)

    @cached_property
    def published(self) -> tuple[pd.DataFrame, str]:
        """The check against Table 2; empty with the reason where there is none."""
        if self.study.metric != "test_rmse":
            return pd.DataFrame(), "the published figures are test RMSEs."
        try:
            return published(self.runs[self.runs["condition"].isin(self.paper.by_label)], TABLE2), ""
        except UserError as error:
            return pd.DataFrame(), str(error)

    @cached_property
    def responses(self) -> tuple[pd.DataFrame, dict[str, np.ndarray], str]:
        """Laws of decay by condition, responses by condition; empty with the reason where none could be measured."""
        rows = self.runs[self.runs["condition"].isin(of_paper(self.study, K, SHORT_K).by_label)]
        try:
            laws, found = forgetting.responses(self.ledger, rows, self.study.metric, SEEDS_FOR_LAWS)
        except UserError as error:
            return pd.DataFrame(), {}, str(error)
        return (forgetting.law_table(laws) if len(laws) else laws), found, ""

    def baselines(self, dataset: str) -> dict[str, tuple[str, float]]:
        """Label and error of every forecast without a network on a series, by kind."""
        marks = {one.fingerprint for one in self.study.series.get(dataset, ())}
        rows = self.held[self.held["fingerprint"].isin(marks)].to_dict("records")
        return {row["baseline"]: (row["label"], float(row[self.study.metric])) for row in rows}


def sections(material: Material) -> list[Section]:
    """All parts, the claims first."""
    made: Sequence[Callable[[Material], Section]] = (
        claims, table2, minima, box_plots, autocorrelation, t_tests, short_memory, filter_lengths, definition3,
    )  # fmt: skip
    return [make(material) for make in made]


def quiet(words: str) -> str:
    return f'<p class="quiet">{html.escape(words)}</p>'


def claims(m: Material) -> Section:
    evidence = zhao2020.Evidence(m.study, m.verdicts, m.memory, m.responses[0], m.published[0])
    found = zhao2020.claims(evidence)
    kept = pd.DataFrame([astuple(one) for one in found], columns=[one.name for one in fields(zhao2020.Claim)])
    n = min((len(one.errors) for one in m.paper), default=0)
    least = smallest_theta(n, n, m.verdicts.tests if m.verdicts.correction != "none" else 1) if n > 1 else np.nan
    seen = f" With {n} seeds each a probability of {least:.2f} or more is seen four times in five." if least < 1 else ""
    text = (
        "<p>What the paper says of forecasting, and whether these seeds show it: upheld where all tests of a claim show it, in part where some do. Not upheld is not"
        " refuted: ▲ better, ▼ worse, · not told apart. Every p is of family one of this report, whose pairs are those that these claims need"
        f" ({sentences.over(m.verdicts, m.verdicts.tests)}).{seen} Outside of it: the intervals of d (claims 12, 14), the counts of laws of decay (13, Wilson's interval of a"
        " share against one half), and the check against the published means (15).</p>"
    )
    shown = kept.rename(columns={"number": "no.", "text": "claim", "figure": "what says so"})
    return Section(CLAIMS, text, {"claims": shown}, kept={"claims": kept})


def at_a_glance(claims: pd.DataFrame) -> pd.DataFrame:
    """The claims for the terminal: each figure up to its first colon or semicolon."""
    return claims[["no.", "claim", "verdict"]].assign(
        figure=claims["what says so"].str.split(r"[:;]", n=1, regex=True).str[0].str.rstrip(".")
    )


def by_model(m: Material, cell: Callable[[Condition], str], error: Callable[[str, float], str]) -> pd.DataFrame:
    """A row a model or baseline, a column a series of Table 2."""
    rows: dict[str, dict[str, str]] = {}
    for dataset in SERIES:
        for model in MODELS:
            one = find(m.paper, model, dataset)
            rows.setdefault(model.upper(), {})[dataset] = cell(one) if one is not None and len(one.finished) else "–"
    for dataset in SERIES:
        for kind, (label, value) in m.baselines(dataset).items():
            name = {"mean": "mean of the training part", "constant": "best constant in hindsight"}.get(kind, kind)
            rows.setdefault(name, {})[dataset] = error(label if kind in ("AR", "ARFIMA") else "", value)
    table = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=list(SERIES)).fillna("–")
    return table.rename_axis("model").reset_index()


def without_network(label: str, value: float) -> str:
    return f"{value:.5g}" + (f" {label}" if label else "")


def table2(m: Material) -> Section:
    rows, why = m.published
    theirs = {row["condition"]: row for row in rows.to_dict("records")}

    def cell(one: Condition) -> str:
        own = f"{one.mean:.5g} ({one.finished.std():.4g})"
        row = theirs.get(one.label)
        return (
            own
            if row is None
            else f"{own} / {row['published_mean']:.5g} ({row['published_sd']:.4g}){' *' if row['p_adjusted'] < 0.05 else ''}"
        )

    text = (
        f"<p>Mean (population sd) over finished seeds, ours / published, K = {K}. * differs from the published mean at 0.05 (Welch's test, Holm over the"
        f" {len(rows)} of this check, which is no verdict). Rows below the models are forecasts without a network, fitted on the training part; only the best constant"
        " knows the test part.</p>"
    )
    return Section(
        "Table 2", text + (quiet(f"Nothing to compare with: {why}") if why else ""), {"table2": by_model(m, cell, without_network)}
    )


def minima(m: Material) -> Section:
    """The smallest error over seeds, a figure that falls with their number."""
    theirs: Mapping[tuple[str, str], float] = {}
    why = ""
    try:
        table = literature.read("zhao2020", "min")
        theirs = {(row["dataset"], row["model"]): float(row["mean"]) for row in table[table["metric"] == m.study.metric].to_dict("records")}
    except UserError:
        why = "No published minimum is at hand: the paper's Table 3 was not found in a copy that could be checked."

    def cell(one: Condition) -> str:
        figure = theirs.get((one.dataset, one.model))
        return f"{one.finished.min():.5g} ({len(one.finished)})" + ("" if figure is None else f" / {figure:.5g}")

    text = (
        f"<p>Smallest error of the seeds (how many finished), K = {K}{'' if why else ', ours / published'}. It is of the luckiest seed, chosen by its test error, and"
        " falls with the number of seeds; no test is made of it.</p>"
    )
    return Section("Table 3, minima", text + (quiet(why) if why else ""), {"table3": by_model(m, cell, without_network)})


def box_plots(m: Material) -> Section:
    if not len(m.paper):
        return Section("Box plots")
    lines = {row["dataset"]: (row["baseline"], float(row["error"])) for row in m.verdicts.shares.to_dict("records")}
    text = f"<p>Test errors of all finished seeds, K = {K}; dashed: the best forecast without a network.</p>"
    return Section("Box plots", text, figures={"box_plots": plots.spread(m.paper, lines)})


def autocorrelation(m: Material) -> Section:
    part = Section("Autocorrelation", quiet(f"Not shown: {m.memory.why}") if m.memory.why else "")
    series = {name: m.memory.series[name] for name in (*SERIES, SHORT) if name in m.memory.series}
    if not series:
        return part
    rows = []
    for name, x in series.items():
        d, rho = memory.local_whittle(x), memory.acf(x, 100)[1:]
        outside = int((np.abs(rho) > memory.white_band(len(x))).sum())
        rows.append(
            {
                "series": name,
                "length": len(x),
                "d": d.estimate,
                "low": d.low,
                "high": d.high,
                "outside": outside,
                "of": len(rho),
                "lag 1": rho[0],
            }
        )
    kept = pd.DataFrame(rows)
    part.text = (
        "<p>Autocorrelation of each whole series with the 95 % band of white noise, and its memory parameter d by local Whittle (n<sup>0.65</sup> frequencies). <i>outside</i>:"
        " autocorrelations outside the band, of which 5 % are by chance in white noise.</p>"
    )
    part.shown["autocorrelation"] = pd.DataFrame(
        {
            "series": kept["series"], "length": kept["length"], "d": kept["d"].round(3), "95 % interval": tables.intervals(kept.round(3), "low", "high"),
            "outside": [f"{row['outside']} of {row['of']}" for row in rows], "at lag 1": kept["lag 1"].round(3),
        }
    )  # fmt: skip
    part.kept["autocorrelation"] = kept
    part.figures["autocorrelation"] = plots.autocorrelation(series, 100)
    return part


def t_tests(m: Material) -> Section:
    """The paper's tests beside the verdicts of this report."""
    judged = {(row["a"], row["b"]): row for row in m.verdicts.comparisons.to_dict("records")}
    rows = []
    for a, b, dataset in (*BETTER_THAN_RNN, *BETTER_THAN_LSTM):
        x, y = find(m.study, a, dataset), find(m.study, b, dataset)
        row = judged.get((x.label, y.label)) if x and y else None
        if x is None or y is None or row is None or min(len(x.finished), len(y.finished)) < 2:
            continue
        t = two_samples.pooled(x.finished, y.finished)
        rows.append({"series": dataset, "a": a, "b": b, "t": t.statistic, "p as published": t.p, **beside(row, t.p)})
    if not rows:
        return Section("Two-sample t-tests")
    table = pd.DataFrame(rows)
    differ = [f"{row['a']} against {row['b']} on {row['series']}" for row in rows if row["differ"]]
    text = (
        "<p>The paper's own tests: pooled two-sample t of finished seeds, two-sided, not corrected (<i>p as published</i>: made as the paper made them, never a verdict; its"
        " printed p-values were not found). Beside each the verdict of this report: theta = P(a seed of a has the smaller error), its corrected p. They differ"
        f" in {len(differ)} of {len(rows)}{': ' + html.escape('; '.join(differ)) if differ else ''}.</p>"
    )
    return Section("Two-sample t-tests", text, {"t_tests": table})


def beside(row: Mapping[Hashable, Any], p: float) -> dict[str, object]:
    """This report's verdict beside a t-test's p; they differ where one of them alone shows a difference."""
    return {
        "theta": row["theta"], "p": row["p_adjusted"], "verdict": row["verdict"],
        "mean difference %": round(100 * (row["mean_a"] / row["mean_b"] - 1), 2) if row["mean_b"] else np.nan,
        "differ": bool((p < 0.05) != (row["p_adjusted"] < 0.05)),
    }  # fmt: skip


def short_memory(m: Material) -> Section:
    judged = {row["a"]: row for row in m.verdicts.comparisons.to_dict("records") if row["dataset"] == SHORT}
    rnn, rows = find(m.paper, "rnn", SHORT), []
    for model in MODELS:
        one = find(m.paper, model, SHORT)
        if one is None or not len(one.finished):
            continue
        row = judged.get(one.label, {})
        excess = 100 * (one.mean / rnn.mean - 1) if rnn is not None and rnn.mean else np.nan
        rows.append(
            {
                "model": one.name, "seeds": len(one.finished), "mean": f"{one.mean:.5g}", "sd": float(one.finished.std()), "above the RNN's, %": round(excess, 3),
                "theta": row.get("theta", np.nan), "p no worse": row.get("p_no_worse_adjusted", np.nan),
            }
        )  # fmt: skip
    if not rows:
        return Section("Short memory")
    rows += [
        {"model": label if label != "constant" else "best constant in hindsight", "mean": f"{value:.5g}"}
        for label, value in m.baselines(SHORT).values()
    ]
    text = (
        f"<p>The series {SHORT}, made by a random RNN. Asked: is every other model no worse than the RNN by more than {m.verdicts.margin:g} %, the margin of this report?"
        " <i>p no worse</i>: one-sided, corrected. If no network's mean beats the best constant there is nothing to learn on this path,"
        " and equality is no feat.</p>"
    )
    return Section("Short memory", text, {"short_memory": pd.DataFrame(rows)})


def filter_lengths(m: Material) -> Section:
    study = m.study.only(one.label for one in m.study if one.dataset in SERIES and one.K is not None)
    lengths = by_filter_length(study)
    if lengths.empty:
        return Section("Filter length")
    trends = m.verdicts.trends[m.verdicts.trends["dataset"].isin(SERIES)]
    text = (
        "<p>Means over finished seeds ± half their simultaneous 95 % interval (seeds), by K; <i>P(longer wins)</i> and its trend; <i>recommended</i>: the shortest K shown to"
        f" be no worse by more than {m.verdicts.margin:g} % than every other. The p are those of family one.</p>"
    )
    shown = {"paper_filter_length": tables.by_length(lengths), "paper_filter_trend": tables.trends(trends)}
    return Section("Filter length", text, shown)


def definition3(m: Material) -> Section:
    laws, found, why = m.responses
    if why or laws.empty:
        return Section("Definition 3", quiet(f"Not shown: {why}") if why else "")
    text = (
        f"<p>Does the response of y<sub>t</sub> to x<sub>t-k</sub> decay polynomially? Measured here: the first {SEEDS_FOR_LAWS} seeds of the conditions without K and with K ="
        f" {SHORT_K} and {K}, lags 1 to 100; python -m analysis memory measures all seeds. {forgetting.ABOUT_LAWS} Two controls stand in the table:"
        f" {SHORT} has no long memory to learn, and RNN2 has free weights. The figure has K = {K}.</p>"
    )
    whole = {label: response for label, response in found.items() if label in m.paper.by_label}
    figures = {"definition3": plots.responses(whole)} if whole else {}
    return Section("Definition 3", text, {"definition3": forgetting.laws_for_page(laws)}, figures, {"definition3": laws})
