"""The report's parts for Zhao et al. (2020): the paper's claims, tables and figures, each from the tables of a study (:mod:`analysis.studies.zhao2020`)."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cached_property

import numpy as np
import pandas as pd

from analysis import literature
from analysis.reporting import plots, sentences, tables
from analysis.reporting.page import as_paragraph
from analysis.reporting.parts.memory import forgetting
from analysis.reporting.section import Plot, Section, Table
from analysis.reporting.tables import called
from analysis.statistics import memory, two_samples
from analysis.studies import zhao2020
from analysis.studies.compare import Comparison
from analysis.studies.memory.forgetting import Memory, law_table, responses
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
from sweeps.store.ledger import Ledger

__all__ = ["pairs", "sections"]

CLAIMS = "Claims of the paper"
"""Title of the first part; the terminal prints its table."""


@dataclass(frozen=True, eq=False)
class Material:
    """What the parts are made of: a study as read from its ledger and judged."""

    ledger: Ledger
    runs: pd.DataFrame
    verdicts: Verdicts
    memory: Memory

    @property
    def study(self) -> Study:
        return self.verdicts.study

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
            laws, found = responses(self.ledger, rows, self.study.metric, SEEDS_FOR_LAWS)
        except UserError as error:
            return pd.DataFrame(), {}, str(error)
        return (law_table(laws) if len(laws) else laws), found, ""

    def baselines(self, dataset: str) -> dict[str, tuple[str, float]]:
        """Label and error of every forecast without a network on a series, by kind."""
        marks = {one.fingerprint for one in self.study.series.get(dataset, ())}
        rows = self.study.baselines.to_dict("records")
        return {row["baseline"]: (row["label"], float(row[self.study.metric])) for row in rows if row["fingerprint"] in marks}


def sections(ledger: Ledger, runs: pd.DataFrame, verdicts: Verdicts, memory: Memory) -> list[Section]:
    """All parts, the claims first."""
    return of(Material(ledger, runs, verdicts, memory))


def of(material: Material) -> list[Section]:
    """All parts of what there is."""
    made: Sequence[Callable[[Material], Section]] = (
        claims, table2, minima, box_plots, autocorrelation, t_tests, short_memory, definition3,
    )  # fmt: skip
    return [make(material) for make in made]


def claims(m: Material) -> Section:
    evidence = zhao2020.Evidence(m.verdicts, m.memory, m.responses[0], m.published[0])
    found = zhao2020.claims(evidence)
    kept = pd.DataFrame([astuple(one) for one in found], columns=[one.name for one in fields(zhao2020.Claim)])
    n = min((len(one.errors) for one in m.paper), default=0)
    least = m.verdicts.could_see(n, n) if n > 1 else np.nan
    seen = f" With {n} seeds each a probability of {least:.2f} or more is seen four times in five." if least < 1 else ""
    text = (
        f"<p>{tally(kept['verdict'])} Upheld: all tests of a claim show it; in part: some do. Not upheld is not refuted.{seen} Every p is of family one of this report, whose pairs"
        f" are those that these claims need ({sentences.over(m.verdicts, m.verdicts.tests)}). Outside of it: the intervals of d (claims 12, 14), the counts of laws of decay"
        " (13, Wilson's interval of a share against one half), and the check against the published means (15).</p>"
    )
    shown = kept.rename(columns={"number": "no.", "text": "claim", "figure": "what says so"})
    caption = "What the paper says of forecasting, and whether these seeds show it. ▲ better, ▼ worse, · not told apart."
    return Section(CLAIMS, text, tables=[Table("claims", caption, shown)], kept={"claims": kept})


def tally(verdicts: pd.Series) -> str:
    """``Of 17 claims 5 are upheld, 9 upheld in part, 1 not upheld.``"""
    counts = verdicts.str.split(r"[:,]", n=1, regex=True).str[0].value_counts()
    return f"Of {len(verdicts)} claims {', '.join(f'{count} {word}' for word, count in counts.items())}."


def at_a_glance(claims: pd.DataFrame) -> pd.DataFrame:
    """The claims for the terminal: each figure up to its first colon or semicolon."""
    return claims[["no.", "claim", "verdict"]].assign(
        figure=claims["what says so"].str.split(r"[:;]", n=1, regex=True).str[0].str.rstrip(".")
    )


Write = Callable[[float], str]
"""Writes an error of one series, with its power of ten and its decimals."""


def by_model(m: Material, cell: Callable[[Condition, Write], str]) -> pd.DataFrame:
    """A row a model or baseline, a column a series of Table 2, with one power of ten each."""
    columns: dict[str, dict[str, str]] = {}
    for dataset in SERIES:
        found = {model: find(m.paper, model, dataset) for model in MODELS}
        conditions = {called(model): one for model, one in found.items() if one is not None and len(one.finished)}
        baselines = m.baselines(dataset)
        means = [one.mean for one in conditions.values()] or [value for _, value in baselines.values()]
        power = tables.power_of_ten(means)
        places = tables.decimals(np.array(means) * 10.0**power, 4)

        def write(x: float, power: int = power, places: int = places) -> str:
            return tables.fixed(x * 10.0**power, places)

        column = {called(model): "–" for model in MODELS} | {name: cell(one, write) for name, one in conditions.items()}
        for kind, (label, value) in baselines.items():
            name = {"mean": "mean of the training part", "constant": "best constant in hindsight"}.get(kind, kind)
            column[name] = write(value) + (f" {label}" if kind in ("AR", "ARFIMA") else "")
        columns[f"{dataset}{tables.times(power)}"] = column
    return pd.DataFrame(columns).fillna("–").rename_axis("model").reset_index()


def table2(m: Material) -> Section:
    rows, why = m.published
    theirs = {row["condition"]: row for row in rows.to_dict("records")}

    def cell(one: Condition, write: Write) -> str:
        own, row = f"{write(one.mean)} ({write(float(one.finished.std()))})", theirs.get(one.label)
        if row is None:
            return own
        return f"{own} / {write(row['published_mean'])} ({write(row['published_sd'])}){' *' if row['p_adjusted'] < 0.05 else ''}"

    caption = (
        f"Mean (population sd) over finished seeds, ours / published, K = {K}. * differs at 0.05 (Welch's test, two-sided, null hypothesis equal means, Holm over the"
        f" {len(rows)} of this check, which is no verdict). Rows below the models are forecasts without a network; only the best constant knows the test part."
    )
    text = as_paragraph(f"Nothing to compare with: {why}", quiet=True) if why else ""
    return Section("Table 2", text, tables=[Table("table2", caption, by_model(m, cell))])


def minima(m: Material) -> Section:
    """The smallest error over seeds, a figure that falls with their number."""
    theirs: Mapping[tuple[str, str], float] = {}
    why = ""
    try:
        table = literature.read("zhao2020_table2", "best")
        theirs = {(row["dataset"], row["model"]): float(row["mean"]) for row in table[table["metric"] == m.study.metric].to_dict("records")}
    except UserError:
        why = "No published minimum is at hand: the paper's Table 3 was not found in a copy that could be checked."

    def cell(one: Condition, write: Write) -> str:
        figure = theirs.get((one.dataset, one.model))
        return f"{write(float(one.finished.min()))} ({len(one.finished)})" + ("" if figure is None else f" / {write(figure)}")

    caption = (
        f"Smallest error of the seeds (how many finished), K = {K}{'' if why else ', ours / published'}. It is of the luckiest seed, chosen by its test error, and"
        " falls with the number of seeds; no test is made of it."
    )
    return Section("Table 3, minima", as_paragraph(why, quiet=True) if why else "", tables=[Table("table3", caption, by_model(m, cell))])


def box_plots(m: Material) -> Section:
    if not len(m.paper):
        return Section("Box plots")
    lines = {one.dataset: (one.baseline, one.error) for one in m.verdicts.shares}
    finds = {dataset: boxes_in_words(dataset, conditions) for dataset, conditions in m.paper.series.items()}
    caption = f"Test errors of all finished seeds, K = {K}; dashed: the best forecast without a network."
    return Section("Box plots", plots=[Plot("box_plots", caption, plots.spread(m.paper, lines), finds)])


def boxes_in_words(dataset: str, conditions: Sequence[Condition]) -> str:
    ordered = sorted(conditions, key=lambda one: one.median)
    first, last = ordered[0], ordered[-1]
    ends = f"{called(first.name)}, {tables.shown(first.median)}, and largest for {called(last.name)}, {tables.shown(last.median)}"
    return f"{dataset}: of {len(ordered)} models with K = {K} the median error is smallest for {ends}."


def autocorrelation(m: Material) -> Section:
    part = Section("Autocorrelation", as_paragraph(f"Not shown: {m.memory.why}", quiet=True) if m.memory.why else "")
    series = {name: m.memory.series[name] for name in (*SERIES, SHORT) if name in m.memory.series}
    if not series:
        return part
    rows = []
    for name, x in series.items():
        d, rho = memory.local_whittle(x), memory.acf(x, 100)[1:]
        outside = int((np.abs(rho) > memory.white_band(len(x))).sum())
        figures = {"d": d.estimate, "low": d.low, "high": d.high, "outside": outside, "of": len(rho), "lag 1": rho[0]}
        rows.append({"series": name, "length": len(x), **figures})
    kept = pd.DataFrame(rows)
    caption = (
        "Autocorrelation of each whole series, and its memory parameter d by local Whittle (n<sup>0.65</sup> frequencies). <i>Outside</i>: autocorrelations outside the"
        " 95 % band of white noise, of which 5 % are by chance in white noise."
    )
    shown = pd.DataFrame(
        {
            "series": kept["series"], "length": kept["length"].astype(str), "d (95 %)": tables.column_with_intervals(kept, ("d", "low", "high"), digits=3),
            "outside": [f"{row['outside']} of {row['of']}" for row in rows], "at lag 1": [tables.fixed(float(x), 3) for x in kept["lag 1"]],
        }
    )  # fmt: skip
    part.tables, part.kept = [Table("autocorrelation", caption, shown)], {"autocorrelation": kept}
    finds = {name: forgetting.series_in_words(name, x) for name, x in series.items()}
    caption = "Autocorrelation with the 95 % band of white noise and that of ARFIMA(0, d, 0) over the interval of d."
    part.plots = [Plot("autocorrelation", caption, forgetting.autocorrelation(series, 100), finds)]
    return part


def t_tests(m: Material) -> Section:
    """The paper's tests beside the verdicts of this report."""
    judged = {(one.a.label, one.b.label): one for one in m.verdicts.comparisons}
    rows = []
    for a, b, dataset in (*BETTER_THAN_RNN, *BETTER_THAN_LSTM):
        x, y = find(m.study, a, dataset), find(m.study, b, dataset)
        found = judged.get((x.label, y.label)) if x and y else None
        if x is None or y is None or found is None or min(len(x.finished), len(y.finished)) < 2:
            continue
        t = two_samples.pooled(x.finished, y.finished)
        rows.append({"series": dataset, "a": called(a), "b": called(b), "t": t.statistic, "p_t": t.p, **beside(found, t.p)})
    if not rows:
        return Section("Two-sample t-tests")
    table = pd.DataFrame(rows)
    differ = [f"{row['a']} against {row['b']} on {row['series']}" for row in rows if row["differ"]]
    text = f"<p>The paper's t-tests and this report's verdicts differ in {len(differ)} of {len(rows)}{': ' + html.escape('; '.join(differ)) if differ else ''}.</p>"
    caption = (
        "The paper's own tests: pooled two-sample t of finished seeds, two-sided, null hypothesis equal means, not corrected; made as the paper made them, never a verdict (its"
        " printed p-values were not found). Beside each the verdict of this report: P that a seed of the first has the smaller error, and p of P = 1/2, two-sided, "
        f"{sentences.over(m.verdicts, m.verdicts.tests)}."
    )
    shown = pd.DataFrame(
        {
            "first": table["a"], "second": table["b"], "series": table["series"], "t": [tables.fixed(x, 2) for x in table["t"]], "p of the t-test": table["p_t"].map(tables.p_cell),
            "P": [tables.fixed(x, 2) for x in table["theta"]], "p of P = 1/2": table["p"].map(tables.p_cell), "verdict": table["verdict"],
            "difference of means, %": [tables.fixed(x, 2) for x in table["mean_difference_percent"]],
        }
    )  # fmt: skip
    return Section("Two-sample t-tests", text, tables=[Table("t_tests", caption, shown)], kept={"t_tests": table})


def beside(one: Comparison, p: float) -> dict[str, object]:
    """This report's verdict beside a t-test's p; they differ where one of them alone shows a difference."""
    return {
        "theta": one.theta.estimate, "p": one.p_adjusted, "verdict": one.verdict,
        "mean_difference_percent": 100 * (one.a.mean / one.b.mean - 1) if one.b.mean else np.nan,
        "differ": bool((p < 0.05) != (one.p_adjusted < 0.05)),
    }  # fmt: skip


def short_memory(m: Material) -> Section:
    judged = {test.a.label: test for test in m.verdicts.comparisons if test.dataset == SHORT}
    rnn, rows = find(m.paper, "rnn", SHORT), []
    for model in MODELS:
        one = find(m.paper, model, SHORT)
        if one is None or not len(one.finished):
            continue
        test = judged.get(one.label)
        excess = 100 * (one.mean / rnn.mean - 1) if rnn is not None and rnn.mean else np.nan
        rows.append(
            {
                "model": called(one.name), "seeds": f"{len(one.finished)}", "mean": one.mean, "sd": float(one.finished.std()), "excess": excess,
                "theta": test.theta.estimate if test else np.nan, "p": test.p_no_worse_adjusted if test else np.nan,
            }
        )  # fmt: skip
    if not rows:
        return Section("Short memory")
    rows += [
        {"model": label if label != "constant" else "best constant in hindsight", "seeds": "–", "mean": value}
        for label, value in m.baselines(SHORT).values()
    ]
    kept = pd.DataFrame(rows)
    margin, over = f"{m.study.rule.margin:g} %", sentences.over(m.verdicts, m.verdicts.tests)
    caption = (
        f"The series {SHORT}, made by a random RNN: is every other model no worse than the RNN by more than {margin}? <i>p of worse by {margin}</i>: one-sided, {over}."
        " If no network's mean beats the best constant there is nothing to learn on this path, and equality is no feat."
    )
    shown = pd.DataFrame(
        {
            "model": kept["model"], "seeds": kept["seeds"], "mean": tables.column(kept["mean"]), "sd": tables.column(kept["sd"], digits=3),
            "above the RNN's, %": [tables.fixed(x, 2) for x in kept["excess"]], "P": [tables.fixed(x, 2) for x in kept["theta"]],
            f"p of worse by {margin}": kept["p"].map(tables.p_cell),
        }
    )  # fmt: skip
    return Section("Short memory", tables=[Table("short_memory", caption, shown)], kept={"short_memory": kept})


def definition3(m: Material) -> Section:
    laws, found, why = m.responses
    part = Section("Definition 3")
    if why or laws.empty:
        part.text = as_paragraph(f"Not shown: {why}", quiet=True) if why else ""
        return part
    part.text = (
        f"<p>Does the response of y<sub>t</sub> to x<sub>t-k</sub> decay polynomially? Measured here: the first {SEEDS_FOR_LAWS} seeds of the conditions without K and with K ="
        f" {SHORT_K} and {K}, lags 1 to 100; python -m analysis memory measures all seeds. Two controls stand in the table: {SHORT} has no long memory to learn, and RNN2 has"
        " free weights.</p>"
    )
    whole: dict[str, dict[str, np.ndarray]] = {}
    for one in m.paper:
        if one.label in found:
            whole.setdefault(one.dataset, {})[one.name] = found[one.label]
    if whole:
        caption = f"|A_k| against the lag k, K = {K}, medians and quartiles over seeds: a power law is a straight line here."
        finds = {
            dataset: f"{dataset}: size of the response over lags 1 to 100 of {len(some)} models; the table below has their laws."
            for dataset, some in whole.items()
        }
        part.plots = [Plot("definition3", caption, forgetting.responses(whole), finds)]
    part.tables = [Table("definition3", forgetting.ABOUT_LAWS, forgetting.laws_for_page(laws, m.study))]
    part.kept = {"definition3": laws}
    return part
