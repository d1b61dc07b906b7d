"""Verdicts in words: one sentence a claim, with its effect, interval, corrected p and seeds. The numbers come from the tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis import baselines
from analysis.tables import p_value, shown

SYMBOLS = {"better": "▲", "worse": "▼", "equivalent": "=", "no worse": "≥", "undecided": "·"}


def claim(row: pd.Series, margin: float, correction: str, family: int) -> str:
    """One comparison as a sentence; ``row`` of :func:`analysis.compare`'s table, corrected over ``family`` tests."""
    a, b = (str(label).rsplit(" / ", 1)[0] for label in (row["a"], row["b"]))
    seeds = f"{row['n_a'] - row['diverged_a']} of {row['n_a']} against {row['n_b'] - row['diverged_b']} of {row['n_b']} seeds"
    if np.isnan(row["p"]):
        why = "one seed carries no interval" if min(row["n_a"], row["n_b"]) < 2 else "the seeds do not differ"
        return f"{a} and {b}: difference {shown(row['difference'])}, no test ({why}; {seeds})."
    low, high = sorted(float(np.sign(row["difference"]) or 1) * np.array([row["low"], row["high"]]))
    effect = f"{shown(abs(row['difference']))} ({abs(row['percent']):.2g} %; 95 % interval {shown(low)} to {shown(high)})"
    lower = "lower" if row["difference"] < 0 else "higher"
    corrected = {"holm": "Holm", "bh": "Benjamini-Hochberg", "none": "uncorrected"}[correction]
    tested = f"{p_value(row['p_adjusted'])} ({'paired' if row['test'] == 'paired' else 'Welch'}, {corrected} over {family})"
    if row["verdict"] in ("better", "worse"):
        side = "beats" if row["verdict"] == "better" else "is beaten by"
        text = f"{a} {side} {b} by {effect}; {tested}; a seed of {a} beats one of {b} with probability {row['improvement']:.2f}"
    elif row["verdict"] == "equivalent":
        text = f"{a} and {b} are equivalent within {margin:g} %: {a} is {lower} by {effect}; TOST {p_value(row['p_equivalent'])}"
    elif row["verdict"] == "no worse":
        text = f"{a} is no worse than {b} by more than {margin:g} %: it is {lower} by {effect}; {p_value(row['p_no_worse'])}"
    else:
        could = f"{shown(row['smallest_difference'])} would have been seen with probability 0.8"
        text = f"{a} and {b} are not told apart: {a} is {lower} by {effect}; {tested}; a difference of {could}"
    rules = ""
    if row["diverged_a"] + row["diverged_b"]:
        rules = f"; diverged seeds count as the worst (left out: {p_value(row['p_drop'])}, as the best: {p_value(row['p_best'])}, each uncorrected)"
    return f"{text}; {seeds}{rules}."


def best(rows: pd.DataFrame) -> str:
    """Which conditions may be the best of a series; ``rows`` of :func:`analysis.best_set` for it."""
    inside = rows[rows["p"] > 0.05].sort_values("mean", kind="stable")
    names = [str(label).rsplit(" / ", 1)[0] for label in inside["condition"]]
    omnibus = float(rows["p_omnibus"].iloc[0])
    if len(inside) == len(rows):
        return f"All {len(rows)} conditions may be the best: none can be left out at 95 % (Kruskal-Wallis {p_value(omnibus)})."
    verb = "is the best" if len(names) == 1 else "may be the best"
    listed = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return f"{listed} {verb} of {len(rows)} conditions (95 % model confidence set; Kruskal-Wallis {p_value(omnibus)})."


def matrix(tests: pd.DataFrame, shares: pd.DataFrame | None = None) -> pd.DataFrame:
    """All claims at a glance: a row a condition, a column a series and what it is held against (RNN, LSTM, the best baseline).

    A cell is a symbol with the difference of means in per cent, or with the share of seeds that beats the baseline.
    """
    cells = tests.assign(
        row=[str(a).rsplit(" / ", 1)[0] for a in tests["a"]],
        column=[f"{dataset}: {str(b).rsplit(' / ', 1)[0]}" for dataset, b in zip(tests["dataset"], tests["b"], strict=True)],
        cell=[f"{SYMBOLS[v]} {percent:+.1f} %" for v, percent in zip(tests["verdict"], tests["percent"], strict=True)],
    )
    if shares is not None and len(shares):
        further = pd.DataFrame(
            {
                "row": [baselines.short(row) for _, row in shares.iterrows()],
                "column": shares["dataset"] + ": " + shares["baseline"],
                "cell": [
                    f"{baselines.SYMBOLS[v]} {100 * x:.0f} % of seeds" for v, x in zip(shares["verdict"], shares["share"], strict=True)
                ],
            }
        )
        cells = pd.concat([cells[["row", "column", "cell"]], further], ignore_index=True) if len(cells) else further
    table = cells.pivot_table(index="row", columns="column", values="cell", aggfunc="first", sort=False)
    return table.reset_index().rename(columns={"row": "against"}).rename_axis(columns=None)
