"""How much of the results is luck of the data, where a study has several draws of one law: splits of one set, paths of one process."""

from __future__ import annotations

import html

import pandas as pd

from analysis.reporting import tables
from analysis.reporting.section import Section, Table
from analysis.reporting.tables import called
from analysis.studies.summary import components, differences
from analysis.study import Study


def section(study: Study) -> Section:
    part = Section("Luck of the data")
    found, apart = components(study), differences(study)
    if found.empty:
        return part
    what = html.escape(study.rule.what.name)
    part.text = (
        f"<p>The same data, drawn anew: {html.escape(', '.join(f'{task} ({len(some)} draws)' for task, some in study.draws.items()))}. How much of a {what} is the draw's, and how much"
        " the seed's. No test is made: draws may share data.</p>"
    )
    part.tables.append(
        Table(
            "components",
            f"{what.capitalize()}: its mean over draws, and standard deviations between draws and between seeds of one draw (random effects, by the analysis of variance; finished"
            " seeds). Share: the draws' variance in both, with its 95 % interval, exact where all is normal.",
            of_components(found, len(study.draws) > 1),
        )
    )
    part.kept["components"] = found
    if len(apart):
        part.tables.append(
            Table(
                "differences_of_draws",
                f"Differences of {what} between two conditions on the same draw, a less b: mean over draws, standard deviation between draws, and what that would be were it of the"
                " seeds alone.",
                of_differences(apart, len(study.draws) > 1),
            )
        )
        part.kept["differences_of_draws"] = apart
    return part


def of_components(found: pd.DataFrame, several: bool) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "condition": found["condition"].map(called), **({"data": found["task"]} if several else {}),
            "draws": found["draws"].map(str), "seeds": found["seeds"].map(str),
            **{head: found[name].map(tables.shown) for head, name in (("mean", "mean"), ("sd of draws", "sd_draws"), ("sd of seeds", "sd_seeds"))},
            "share of draws": [
                "–" if pd.isna(row["share"]) else f"{row['share']:.2f}" + ("" if pd.isna(row["low"]) else f" ({row['low']:.2f} to {row['high']:.2f})")
                for row in found.to_dict("records")
            ],
        }
    )  # fmt: skip


def of_differences(apart: pd.DataFrame, several: bool) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "a": apart["a"].map(called), "b": apart["b"].map(called), **({"data": apart["task"]} if several else {}),
            "mean": [f"{x:+.4g}" for x in apart["mean"]], "sd of draws": apart["sd"].map(tables.shown),
            "sd expected of seeds": apart["sd_expected"].map(tables.shown),
            "draws on which a is better": [
                f"{row['better']} of {row['draws']}" + (f" (equal on {row['equal']})" if row["equal"] else "") for row in apart.to_dict("records")
            ],
        }
    )  # fmt: skip
