"""A study against published figures: a check of the reproduction, not a verdict."""

from __future__ import annotations

import html

import pandas as pd

from analysis.columns import METRICS
from analysis.reporting import tables
from analysis.reporting.page import as_paragraph
from analysis.reporting.section import Section, Table
from analysis.reporting.tables import called
from analysis.statistics.families import CORRECTIONS
from analysis.studies.published import of_best, published
from analysis.study import Rule, Study
from ltm.errors import UserError


def section(runs: pd.DataFrame, study: Study, source: object, rule: Rule) -> Section:
    part = Section("Against the published figures")
    if not source:
        return part
    try:
        found = published(runs, str(source), rule.correction)
    except UserError as error:
        part.text = as_paragraph(f"Not shown: {error}", quiet=True)
        return part
    apart = int((found["p_adjusted"] < 0.05).sum())
    part.text = f"<p>{apart} of {len(found)} means differ from the published ones at 0.05. A check of the reproduction, not a verdict.</p>"
    caption = (
        f"Means and population sds (ddof = 0) of finished seeds beside those of <i>{html.escape(str(source))}</i>. <i>p</i>: Welch's test, two-sided, null hypothesis"
        f" equal means, {CORRECTIONS[rule.correction]} over this table; none where all seeds have one score."
    )
    part.tables.append(Table("published", caption, shown(found, study)))
    part.kept["published"] = found
    best = of_best(runs, str(source))
    if len(best):
        caption = "The best seed of each condition beside the published best. No test is made: it is chosen by its test figure, and rises with the number of seeds."
        part.tables.append(Table("published_best", caption, best_shown(best, study)))
        part.kept["published_best"] = best
    return part


def best_shown(best: pd.DataFrame, study: Study) -> pd.DataFrame:
    labels = [study.by_label.get(label) for label in best["condition"]]
    return pd.DataFrame(
        {
            "condition": [called(one.name) if one else label for one, label in zip(labels, best["condition"], strict=True)],
            "measure": [METRICS[metric].name for metric in best["metric"]],
            "series": [one.dataset if one else dataset for one, dataset in zip(labels, best["dataset"], strict=True)],
            **{head: best[name].map(str if name.endswith("n") else tables.shown)
               for head, name in (("seeds", "n"), ("best", "best"), ("published seeds", "published_n"), ("published best", "published_best"))},
        }
    )  # fmt: skip


def shown(found: pd.DataFrame, study: Study) -> pd.DataFrame:
    """A row a condition and measure, figures of one series and measure with one power of ten."""
    parts, several = [], found["metric"].nunique() > 1
    for (dataset, metric), rows in found.groupby(["dataset", "metric"], sort=False):
        power = tables.power_of_ten(rows["published_mean"])
        series = [study.by_label[label].dataset if label in study.by_label else str(dataset) for label in rows["condition"]]
        names = [called(study.by_label[label].name) if label in study.by_label else label for label in rows["condition"]]
        parts.append(
            pd.DataFrame(
                {
                    "condition": names, **({"measure": METRICS[str(metric)].name} if several else {}), "series": [f"{one}{tables.times(power)}" for one in series], "seeds": [str(n) for n in rows["n"]],
                    **{head: tables.column(rows[name], power, digits)
                       for head, name, digits in (("mean", "mean", 4), ("published mean", "published_mean", 4), ("sd", "sd", 3), ("published sd", "published_sd", 3))},
                    "difference, %": [f"{x:+.2f}" for x in rows["percent"]], "p of equal means": [tables.p_cell(p) for p in rows["p_adjusted"]],
                }
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)
