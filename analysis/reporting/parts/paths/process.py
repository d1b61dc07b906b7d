"""What is claimed of a process from many paths of it, beside what each path alone would have said; and what makes its errors vary."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.reporting import plots, sentences, tables
from analysis.reporting.drawing import FAINT, PALETTE, Drawing
from analysis.reporting.section import Plot, Section, Table
from analysis.reporting.tables import called
from analysis.statistics.paths import LEAST_FOR_MEANS
from analysis.studies.compare import AGAINST
from analysis.studies.paths import components
from analysis.studies.paths.claims import PathClaim, path_by_path, processes
from analysis.studies.summary import summarise
from analysis.studies.verdicts import Verdicts
from analysis.study import Study
from analysis.table import frame

MOST_ROWS = 40
"""Claims in the table that is seen at once."""

MOST_PANELS = 4
"""Panels of the figure on the page; its files have all."""


def section(verdicts: Verdicts) -> Section:
    """Empty where no process has paths enough."""
    study, of = verdicts.study, processes(verdicts.study)
    part = Section("The process" if len(of) == 1 else "The processes")
    if not of:
        return part
    part.text = about(verdicts)
    ordered = in_order(verdicts.paths)
    if ordered:
        panels = by_reference(ordered)
        shown = tuple(panels)[:MOST_PANELS]
        few = f" {MOST_PANELS} of {len(panels)} panels." if len(panels) > MOST_PANELS else ""
        part.plots.append(
            Plot(
                "paths",
                about_points(verdicts) + few,
                points(panels),
                {name: panel_in_words(name, some) for name, some in panels.items()},
                shown,
            )
        )
        first = ordered if len(ordered) <= MOST_ROWS else [one for one in ordered if one.decided][:MOST_ROWS]
        if first:
            part.tables.append(Table("paths", about_claims(verdicts), of_claims(first), "paths"))
        if len(first) < len(ordered):
            part.more[f"Every claim in figures ({len(ordered)})"] = [
                Table("every_path_claim", about_claims(verdicts), of_claims(ordered), "paths")
            ]
        decided = [one for one in ordered if one.decided]
        part.sentences = [sentences.process(one, verdicts) for one in decided[:MOST_ROWS]]
        if rest := len(ordered) - len(part.sentences):
            part.sentences.append(
                f"{rest} further claims stand in the table{'' if len(decided) > MOST_ROWS else ', none of them decided'}."
            )
        part.kept |= {"paths": frame(verdicts.paths), "theta_of_paths": path_by_path(verdicts.paths)}
    of_conditions = components.of_paths(study, of)
    if len(of_conditions):
        beating = components.beating(study, of)
        part.tables.append(
            Table("components_of_paths", about_components(study), shown_components(of_conditions, beating, study), "components_of_paths")
        )
        part.kept["components_of_paths"] = of_conditions
    on_paths = {dataset for datasets in of.values() for dataset in datasets}
    part.kept["summary_of_paths"] = summarise(study.only(one.label for one in study if one.dataset in on_paths))
    return part


def about(verdicts: Verdicts) -> str:
    """What the part is about, and how paths and models share what varies."""
    study, of = verdicts.study, processes(verdicts.study)
    word = sentences.drawn(study)
    words = [
        f"Claims about {'the process' if len(of) == 1 else 'processes'} {html.escape(', '.join(f'{task} ({len(some)} {word})' for task, some in of.items()))}: of other {word} and other seeds, on"
        f" average. The unit is the {word[:-1]}, on which both of a pair were trained; its level and scale cancel. What a {word[:-1]} alone would have said is about"
        f" that {word[:-1]} only: it enters no claim, and no family."
    ]
    for row in components.models_by_paths(study, of).to_dict("records"):
        words.append(
            f"{html.escape(row['task'])}: a {word[:-1]} moves the means of all {row['conditions']} conditions alike by {tables.shown(row['sd_paths'])} (sd), which no comparison sees,"
            f" and each of them apart by {tables.shown(row['sd_product'])}, by which P varies; seeds move a mean on one {word[:-1]} by {tables.shown(row['sd_means'])}."
        )
    return "".join(f"<p>{line}</p>" for line in words)


def in_order(found: Sequence[PathClaim]) -> list[PathClaim]:
    """By process and by what is held against, the surest winners first."""
    processes_of, place = list(dict.fromkeys(one.process for one in found)), {model: i for i, model in enumerate(AGAINST)}
    return sorted(
        found, key=lambda one: (processes_of.index(one.process), place.get(one.b.model, len(place)), one.b.name, -one.theta.estimate)
    )


def by_reference(found: Sequence[PathClaim]) -> dict[str, list[PathClaim]]:
    """Claims by the panel that they are drawn in: a process, and what is held against."""
    panels: dict[str, list[PathClaim]] = {}
    for one in found:
        panels.setdefault(f"{one.process}, against {called(one.b.name)}", []).append(one)
    return panels


def points(panels: dict[str, list[PathClaim]]) -> Drawing:
    """theta on every path, a row of points a pair, and its mean with the 95 % interval; in each row a path has the same height."""
    references = list(dict.fromkeys(some[0].b.name for some in panels.values()))
    most = min(plots.SHOWN, max(map(len, panels.values())))

    def draw(axis: Axes, name: str, position: int) -> None:
        some = panels[name][: plots.SHOWN]
        place = {dataset: i for i, dataset in enumerate(dict.fromkeys(a.dataset for one in some for a, _ in one.pairs))}
        axis.axvline(0.5, color="black", linewidth=0.8)
        for row, one in enumerate(some):
            colour = PALETTE[references.index(one.b.name) % len(PALETTE)]
            heights = np.array([place[a.dataset] for a, _ in one.pairs]) / max(len(place) - 1, 1) - 0.5
            axis.plot(one.thetas, row + 0.6 * heights, ".", color=colour, alpha=0.45, markersize=4, markeredgewidth=0)
            axis.plot([one.theta.low, one.theta.high], [row, row], color="black", linewidth=1.4, solid_capstyle="butt")
            axis.plot(one.theta.estimate, row, "D", color="black", markersize=4.5, markerfacecolor="black" if one.decided else "white")
        plots.rows_of(axis, [one.a.name for one in some])
        axis.grid(axis="x", color=FAINT, linewidth=0.5)
        axis.set(xlabel="P on each path; mean (95 %)", xlim=(-0.02, 1.02))

    return Drawing(draw, tuple(panels), (4.6, 0.9 + 0.27 * most), legend=False)


def panel_in_words(name: str, some: Sequence[PathClaim]) -> str:
    ends = [some[0], some[-1]] if len(some) > 1 else [some[0]]
    told = [
        f"{called(one.a.name)} {one.theta.estimate:.2f} ({one.theta.low:.2f} to {one.theta.high:.2f}), ahead on {one.ahead} of {len(one.pairs)}, {one.verdict}"
        for one in ends
    ]
    return f"{name}, probability of a win on average over paths: {'; least: '.join(told)}."


def about_points(verdicts: Verdicts) -> str:
    word = sentences.drawn(verdicts.study)
    return (
        f"Probability P that a seed of the row has the {verdicts.study.rule.better}: a point a {word[:-1]}, at the same height in every row; the diamond is the mean over {word} with its"
        " 95 % interval, filled where the process is told apart after correction for all claims."
    )


def about_claims(verdicts: Verdicts) -> str:
    study, word, by = verdicts.study, sentences.drawn(verdicts.study), sentences.over(verdicts, verdicts.tests)
    means = f" <i>Difference of means</i>: over {word}, with Student's interval, uncorrected."
    has = any(np.isfinite(one.means.low) for one in verdicts.paths)
    return (
        f"Claims about the process. <i>P</i>: probability that a seed of the first has the {study.rule.better}, mean over {word}. <i>p</i>: two-sided, null hypothesis a mean of 1/2, the largest"
        f" of Student's t, sign flips and the floor 2^(1 - {word}), {by}; measured. <i>p, proven</i>: bets over {word}, {sentences.over(verdicts, len(verdicts.paths))}. <i>sd</i>: of P between {word}.{means * has}"
        f" Each {word[:-1]} alone, about that {word[:-1]} only: where P is above 1/2, what the default test says of the first, and on how many it says better, and worse (corrected over the pairs"
        f" of that {word[:-1]})."
    )


def of_claims(some: Sequence[PathClaim]) -> pd.DataFrame:
    several = len({one.process for one in some}) > 1
    the, alone = "the process", "each path alone"
    columns: dict[tuple[str, str], list[str]] = {
        ("pair", ""): [f"{called(one.a.name)} against {called(one.b.name)}" + (f", {one.process}" if several else "") for one in some],
        (the, "paths"): [str(len(one.pairs)) for one in some],
        (the, "verdict on the first"): [one.verdict for one in some],
        (the, "P (95 %)"): [tables.with_interval(one.theta.estimate, one.theta.low, one.theta.high, 2) for one in some],
        (the, "p of P = 1/2"): [tables.p_cell(one.p_adjusted) for one in some],
        (the, "p, proven"): [tables.p_cell(one.proven_adjusted) for one in some],
        (the, "sd of P (95 %)"): ["–" if np.isnan(one.spread.estimate) else tables.with_interval(one.spread.estimate, one.spread.low, one.spread.high, 2) for one in some],
    }  # fmt: skip
    if any(len(one.pairs) >= LEAST_FOR_MEANS for one in some):
        columns[(the, "difference of means (95 %)")] = tables.column_with_intervals(
            frame(some), ("mean_difference", "mean_low", "mean_high"), digits=3
        )
    columns |= {
        (alone, "P above 1/2"): [f"{one.ahead} of {len(one.pairs)}" for one in some],
        (alone, "the first"): [one.alone[0] for one in some],
        (alone, "better, worse"): [f"{one.alone.count('better')}, {one.alone.count('worse')}" for one in some],
    }
    table = pd.DataFrame(dict(enumerate(columns.values())))
    return table.set_axis(pd.MultiIndex.from_tuples(list(columns)), axis=1)


def about_components(study: Study) -> str:
    word, what = sentences.drawn(study), study.rule.what.name
    return (
        f"{html.escape(what[0].upper() + what[1:])} of finished seeds: its mean over {word}, and what makes it vary. <i>sd of {word}</i>: between their means, freed of the seeds' noise; its interval"
        f" holds if their effects are about normal. <i>sd of seeds</i>: within a {word[:-1]}; on each they start from other initial"
        f" parameters. <i>Share of {word}</i>: in the variance of one seed on one {word[:-1]}."
    )


def shown_components(found: pd.DataFrame, beating: dict[tuple[str, str], tuple[int, int]], study: Study) -> pd.DataFrame:
    word, rows, (power, by) = sentences.drawn(study), found.to_dict("records"), tables.scale(found["mean"], study.points)
    table = {"condition": found["condition"].map(called).tolist()}
    if found["task"].nunique() > 1:
        table["process"] = found["task"].tolist()
    table |= {word: found["draws"].map(str).tolist(), f"mean{by}": tables.column(found["mean"], power)}
    table[f"sd of {word}{by} (95 %)"] = tables.column_with_intervals(found, ("sd_draws", "sd_low", "sd_high"), power, 3)
    seeds = zip(found["sd_seeds"], tables.column(found["sd_seeds"], power, 3), strict=True)
    table[f"sd of seeds{by}"] = ["–" if np.isnan(x) else cell for x, cell in seeds]
    table[f"share of {word}"] = [
        "–"
        if pd.isna(row["share"])
        else f"{row['share']:.2f}" + ("" if pd.isna(row["low"]) else f" ({row['low']:.2f} to {row['high']:.2f})")
        for row in rows
    ]
    if beating:
        held = [beating.get((row["task"], row["condition"])) for row in rows]
        table[f"most seeds beat the best {study.plain} without a network"] = [f"on {one[0]} of {one[1]}" if one else "–" for one in held]
    return pd.DataFrame(table)
