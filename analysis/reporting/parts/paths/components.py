"""How much of the results is luck of the data, where a study has several draws of one law: splits of one set, origins of a series, a few paths of one
process."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.reporting import tables
from analysis.reporting.section import Section, Table
from analysis.reporting.tables import called
from analysis.studies.paths import claims
from analysis.studies.paths.components import components, differences
from analysis.study import Study

CROSSED = " Of a seed: that part of the seeds' which is the same on every draw, as its initial parameters are; of neither: the product of seed and draw."


def section(study: Study) -> Section:
    part, paths = Section("Luck of the data"), claims.processes(study)
    draws = {task: datasets for task, datasets in study.draws.items() if task not in paths}
    found, apart = components(study, draws), differences(study, draws)
    if found.empty:
        return part
    what = html.escape(study.rule.what.name)
    part.text = (
        f"<p>The same data, drawn anew: {html.escape(', '.join(f'{task} ({len(some)} draws)' for task, some in draws.items()))}. How much of a {what} is the draw's, and how much"
        f" the seed's. No test is made: {too_few(study, draws)}.</p>"
    )
    part.tables.append(
        Table(
            "components",
            f"{what.capitalize()}: its mean over draws, and standard deviations between draws and between seeds of one draw (random effects, by the analysis of variance; finished"
            f" seeds). Share: the draws' variance in all, with its 95 % interval by the F distribution where seeds start elsewhere on each draw.{CROSSED if found['sd_of_seed'].notna().any() else ''}",
            of_components(found, len(draws) > 1),
        )
    )
    part.kept["components"] = found
    if len(apart):
        part.tables.append(
            Table(
                "differences_of_draws",
                f"Differences of {what} between two conditions on the same draw, a less b: mean over draws, standard deviation between draws, and what that would be were it of the"
                " seeds alone.",
                of_differences(apart, len(draws) > 1),
            )
        )
        part.kept["differences_of_draws"] = apart
    return part


def too_few(study: Study, draws: Mapping[str, Sequence[str]]) -> str:
    """Why no claim is made of more than these draws."""
    independent = all(one.spot is None or one.spot.independent for some in draws.values() for name in some for one in study.series[name])
    if independent and any(claims.same_starts(study, some) for some in draws.values()):
        return "seeds start from the same initial values on every draw, and so few say nothing of others"
    return f"a claim about the process takes {claims.LEAST} draws at least" if independent else "draws may share data"


def of_components(found: pd.DataFrame, several: bool) -> pd.DataFrame:
    heads = [("mean", "mean"), ("sd of draws", "sd_draws"), ("sd of seeds", "sd_seeds")]
    heads += [("of a seed", "sd_of_seed"), ("of neither", "sd_product")] if found["sd_of_seed"].notna().any() else []
    return pd.DataFrame(
        {
            "condition": found["condition"].map(called), **({"data": found["task"]} if several else {}),
            "draws": found["draws"].map(str), "seeds": found["seeds"].map(str),
            **{head: ["–" if pd.isna(x) else tables.shown(x) for x in found[name]] for head, name in heads},
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
