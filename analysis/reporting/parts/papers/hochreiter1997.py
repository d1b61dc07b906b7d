"""The report's part for Hochreiter and Schmidhuber (1997): who succeeds and after how many sequences, beside the published figures."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from analysis import literature
from analysis.reporting import tables
from analysis.reporting.parts.success import whole
from analysis.reporting.section import Section, Table
from analysis.reporting.tables import called
from analysis.statistics.success.shares import wilson
from analysis.statistics.success.survival import kaplan_meier
from analysis.studies.compare import Pair
from analysis.studies.memory.forgetting import Memory
from analysis.studies.verdicts import Verdicts
from analysis.study import Study
from sweeps.store.ledger import Ledger

__all__ = ["pairs", "sections"]

PAPER = "hochreiter1997"

CAPTION = (
    "Success by experiment, ours beside the published figures. <i>Succeed</i>: seeds, and Wilson's 95 % interval of their share. <i>Mean</i>: training sequences until"
    " success, over the seeds that succeeded, as the paper has it; it says little where many did not. <i>Median</i>: sequences by which half of all seeds succeeded (Kaplan"
    " and Meier), ∞ where half never did. A dash: not told by the paper, or not in this study. No test is made: the paper prints no spread."
)


def pairs(study: Study) -> list[Pair]:
    """The truncated gradient against the full one, and both against the plain RNN, task by task."""
    found: list[Pair] = []
    for conditions in study.series.values():
        cells = [one for one in conditions if one.model == "lstm1997"]
        found += [(a, b) for i, a in enumerate(cells) for b in cells[i + 1 :]]
        found += [(a, b) for a in cells for b in conditions if b.model == "rnn"]
    return found


def sections(ledger: Ledger, runs: pd.DataFrame, verdicts: Verdicts, memory: Memory) -> list[Section]:
    """One table, in the order of the paper."""
    part, found = Section("Beside the figures of 1997"), beside(runs)
    if len(found):
        part.tables.append(Table("published", CAPTION, shown(found)))
        part.kept["published"] = found
    return [part]


def beside(runs: pd.DataFrame) -> pd.DataFrame:
    """Every published figure with this study's conditions of its task, and the conditions of tasks that the paper does not have.

    Returns:
        ``experiment, task, length, condition`` (empty where the study has none), ``seeds, succeeded, share, low, high, mean, median``, and the published
        ``sequences, sequences_high, published_share, published_share_high`` (NaN where there are none).
    """
    if "test_sequences" not in runs:
        return pd.DataFrame()
    ours = [own(rows) for _, rows in runs.groupby("condition", sort=False)]
    papers = literature.successes(PAPER).rename(columns={"share": "published_share", "share_high": "published_share_high"})
    names = papers.drop_duplicates(["kind", "variant"])[["kind", "variant", "experiment", "task"]]
    on = ["kind", "variant", "model"]
    mine = pd.DataFrame(ours).merge(names, on=["kind", "variant"])
    timed = papers["kind"] != "reber"  # whose length is a bound of ours
    found = pd.concat(
        [
            mine[mine["kind"] == "reber"].merge(papers[~timed].drop(columns=["experiment", "task", "length"]), on=on, how="outer"),
            mine[mine["kind"] != "reber"].merge(papers[timed], on=[*on, "length", "experiment", "task"], how="outer"),
        ],
        ignore_index=True,
    )
    found["condition"] = found["condition"].fillna("")
    return (
        found.sort_values(["experiment", "length", "place"], kind="stable")
        .drop(columns=["kind", "variant", "place"])
        .reset_index(drop=True)
    )


def own(rows: pd.DataFrame) -> dict[str, object]:
    """One condition's figures."""
    config = json.loads(str(rows["config"].iloc[0]))
    times = rows["test_sequences"].to_numpy(float)
    solved = np.isfinite(times)
    share = wilson(int(solved.sum()), len(times))
    truncated = config["model"].get("truncated")
    gradient = "" if truncated is None else ", truncated gradient" if truncated else ", full gradient"
    return {
        "kind": config["dataset"]["kind"], "variant": config["dataset"].get("variant") or "", "length": config["dataset"]["length"],
        "model": str(rows["model"].iloc[0]), "place": int(rows.index[0]), "condition": called(str(rows["model"].iloc[0])) + gradient, "seeds": len(times),
        "succeeded": int(solved.sum()), "share": share.estimate, "low": share.low, "high": share.high,
        "mean": times[solved].mean() if solved.any() else np.nan, "median": kaplan_meier(np.where(solved, times, np.inf)).median.estimate,
    }  # fmt: skip


def shown(found: pd.DataFrame) -> pd.DataFrame:
    """The table for people."""
    known = found["condition"] != ""
    low, high = found["published_share"], found["published_share_high"]
    few, many = found["sequences"], found["sequences_high"]
    return pd.DataFrame(
        {
            "experiment": found["experiment"] + " " + found["task"], "lag": ["" if length == 50 and "Reber" in task else f"{length:.0f}" for length, task in zip(found["length"], found["task"], strict=True)],
            "condition": [name or f"{called(model)} (not in this study)" for name, model in zip(found["condition"], found["model"], strict=True)],
            "succeed": [f"{k:.0f} of {n:.0f}" if there else "–" for k, n, there in zip(found["succeeded"], found["seeds"], known, strict=True)],
            "% (95 %)": tables.column_with_intervals(100 * found[["share", "low", "high"]], ("share", "low", "high"), digits=3),
            "mean sequences": [whole(x) for x in found["mean"]], "median": [whole(x) for x in found["median"]],
            "published %": [between(100 * a, 100 * b) for a, b in zip(low, high, strict=True)],
            "published sequences": [between(a, b) for a, b in zip(few, many, strict=True)],
        }
    )  # fmt: skip


def between(low: float, high: float) -> str:
    """One number, or two; a dash where none is known."""
    return whole(low) if low == high or np.isnan(low) else f"{whole(low)} to {whole(high)}"
