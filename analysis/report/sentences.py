"""Verdicts in words: one sentence a claim, with its effect, interval, corrected p and seeds. The numbers come from :mod:`analysis.studies`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.report.tables import p_value, shown
from analysis.statistics.families import CORRECTIONS
from analysis.studies.compare import smallest_theta
from analysis.studies.verdicts import DISAGREE, Verdicts
from analysis.study import name_of

SYMBOLS = {
    "better": "▲", "worse": "▼", "equivalent": "=", "no worse": "≥", "undecided": "·", "too few seeds": "?", **dict.fromkeys(DISAGREE.values(), "◆"),
    "beats": "▲", "is beaten": "▼",
}  # fmt: skip
TESTS = {"wins": "relabelling", "signs": "sign test of seeds with one start"}
KINDS = {
    "mean": "the mean of the training part", "last value": "the last value", "AR": "a linear forecast", "ARFIMA": "a linear forecast"
}  # fmt: skip


def over(verdicts: Verdicts, tests: int) -> str:
    """``Holm over 60``."""
    name = CORRECTIONS[verdicts.correction]
    return name if verdicts.correction == "none" else f"{name} over {tests}"


def claim(row: pd.Series, verdicts: Verdicts) -> str:
    """One comparison as a sentence; a row of :attr:`Verdicts.comparisons`."""
    a, b = name_of(row["a"], row["dataset"]), name_of(row["b"], row["dataset"])
    if row["diverged_a"] == row["n_a"] and row["diverged_b"] == row["n_b"]:
        return f"{a} and {b}: no seed of either finished; {seeds(row)}."
    margin, p = f"{verdicts.margin:g} %", p_value(row["p_adjusted"])
    by = f"P = 1/2, {TESTS[row['test']]}, {over(verdicts, verdicts.tests)}"
    head, tested = {
        "better": (f"{a} beats {b}", f"{p} ({by})"),
        "worse": (f"{a} is beaten by {b}", f"{p} ({by})"),
        "equivalent": (f"{a} and {b} are equivalent within {margin}",
                       f"{p_value(row['p_equivalent_adjusted'])} (either worse by {margin} or more, one-sided, {over(verdicts, verdicts.tests)})"),
        "no worse": (f"{a} is no worse than {b} by more than {margin}",
                     f"{p_value(row['p_no_worse_adjusted'])} (worse by {margin} or more, one-sided, {over(verdicts, verdicts.tests)})"),
        "undecided": (f"{a} and {b} are not told apart", f"{p} ({by}){could_have(row, verdicts)}"),
        "too few seeds": (f"{a} and {b}: too few seeds for a verdict at this many comparisons ({verdicts.tests}; {verdicts.needed} each are needed)",
                          f"{p_value(row['p'])} (P = 1/2, {TESTS[row['test']]}, uncorrected)"),
    }.get(row["verdict"], (f"{a} against {b} is {row['verdict']}", f"{p} ({by})"))  # fmt: skip
    return f"{head}: {effect(row, a)}; {tested}{of_means(row, a)}; {seeds(row)}."


def effect(row: pd.Series, a: str) -> str:
    """How often and by how much."""
    what = "a seed of" if row["test"] == "wins" else "of the starts that tell them apart, one trained as"
    text = f"{what} {a} has the smaller error with probability {row['theta']:.2f}"
    if row["theta_low"] > 0 or row["theta_high"] < 1:
        text += f" (95 % {row['theta_low']:.2f} to {row['theta_high']:.2f})"
    gap = float(row["difference"])
    if np.isnan(gap):
        return text
    if np.isinf(gap):
        return f"{text}; in half or more of the pairs of which at least one finishes, only {'the other' if gap < 0 else 'it'} diverges"
    if gap == 0:
        return f"{text}, typically by nothing"
    ends = sorted(np.sign(gap) * np.array([row["low"], row["high"]]))
    side = "" if gap < 0 else "larger "
    interval = f" (95 % {shown(float(ends[0]))} to {shown(float(ends[1]))})" if np.isfinite(ends).all() else ""
    share = f", {abs(row['percent']):.2g} %" if np.isfinite(row["percent"]) else ""
    return f"{text}, typically {side}by {shown(abs(gap))}{interval}{share}"


def of_means(row: pd.Series, a: str) -> str:
    """The second statement: the means of finished seeds, and their difference where it may be stated."""
    if np.isnan(row["mean_a"]) or np.isnan(row["mean_b"]):
        return ""
    means = f"{shown(row['mean_a'])} and {shown(row['mean_b'])}"
    if np.isfinite(row["mean_low"]):
        gap = float(row["mean_difference"])
        low, high = sorted(np.sign(gap or 1) * np.array([row["mean_low"], row["mean_high"]]))
        if gap == 0:
            return f"; the means are the same (difference 95 % {shown(float(low))} to {shown(float(high))}, uncorrected)"
        side = "lower" if gap < 0 else "higher"
        return f"; the mean of {a} is {side} by {shown(abs(gap))} (95 % {shown(float(low))} to {shown(float(high))}, uncorrected)"
    against = {"better": row["mean_a"] > row["mean_b"], "worse": row["mean_a"] < row["mean_b"]}.get(row["verdict"], False)
    return f"; {'yet the' if against else 'the'} means of finished seeds are {means}"


def could_have(row: pd.Series, verdicts: Verdicts) -> str:
    least = smallest_theta(row["n_a"], row["n_b"], verdicts.tests if verdicts.correction != "none" else 1)
    if row["test"] != "wins" or np.isnan(least):
        return ""
    return "" if least >= 1 else f"; a probability of {least:.2f} or more would have been seen four times in five"


def seeds(row: pd.Series) -> str:
    """``20 against 20 seeds, 1 and 0 diverged, counted last``."""
    text = f"{row['n_a']} against {row['n_b']} seeds"
    return text + (f", {row['diverged_a']} and {row['diverged_b']} diverged, counted last" if row["diverged_a"] + row["diverged_b"] else "")


def best(rows: pd.DataFrame, verdicts: Verdicts) -> str:
    """Which conditions may be the best of a series; rows of :attr:`Verdicts.best` for it."""
    inside = rows[rows["may_be_best"]].sort_values("median", kind="stable")
    names = [name_of(label, rows["dataset"].iloc[0]) for label in inside["condition"]]
    by = over(verdicts, verdicts.best_tests)
    if len(inside) == len(rows):
        most = int(rows["n"].nlargest(2).iloc[-1])  # of the smaller sample of any pair
        if most < verdicts.needed_best:
            return f"{most} seed{'s' * (most != 1)} cannot leave any of {len(rows)} out at {verdicts.best_tests} comparisons; {verdicts.needed_best} each are needed."
        return f"Any of the {len(rows)} conditions may be the best: none is beaten by another ({by})."
    hsu = [name_of(label, rows["dataset"].iloc[0]) for label in rows.loc[rows["among"], "condition"]]
    weaker = f" With 95 % the best of this series is among {listed(hsu)} (Hsu)." if len(hsu) < len(names) else ""
    beaten_ones = f"{len(rows) - len(names)} {'is' if len(rows) - len(names) == 1 else 'are'}"
    if len(names) == 1:
        return f"{names[0]} alone may be the best of {len(rows)} conditions: each other one is beaten by another ({by}).{weaker}"
    return f"{listed(names)} may be the best of {len(rows)} conditions: no other beats them; {beaten_ones} beaten ({by}).{weaker}"


def listed(names: list[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def length(row: pd.Series, verdicts: Verdicts) -> str:
    """What is known of K for one model and series; a row of :attr:`Verdicts.trends`."""
    margin, by = f"{verdicts.margin:g} %", over(verdicts, verdicts.tests)
    seeds = f"{row['seeds']} seeds each" + (f", {row['diverged']} diverged in all, counted last" if row["diverged"] else "")
    if pd.isna(row["recommended"]):
        K = f"no K of {row['lengths']} is shown to be within {margin} of all the others ({p_value(row['p_recommended'])} at best, one-sided, {by})"
    else:
        K = f"K = {row['recommended']} is the shortest shown to be at most {margin} worse than every other K ({p_value(row['p_recommended'])}, one-sided, {by})"
    test = f"{p_value(row['p_adjusted'])}, no trend, relabelling{' within starts' if row['paired'] else ''}, {by}"
    if np.isnan(row["J"]):
        course = "no trend can be asked about"
    elif row["p_adjusted"] < 0.05:
        way = "smaller" if row["J"] > 0 else "larger"
        course = f"a longer filter has the {way} error with probability {0.5 + abs(row['J']):.2f} on average over pairs of K ({test})"
    else:
        course = f"no trend over K is shown ({test}), from which a valley could hide"
    return f"{row['model']}: {K}; {course}; {seeds}."


def share(row: pd.Series, verdicts: Verdicts) -> str:
    """One condition against the best baseline of its series; a row of :attr:`Verdicts.shares`."""
    side = {
        "beats": "beats", "is beaten": "is beaten by", "undecided": "is not told apart from",
        "too few seeds": f"has too few seeds for a verdict at this many comparisons ({verdicts.tests}; {verdicts.needed} are needed) against",
    }[row["verdict"]]  # fmt: skip
    tested = f"{p_value(row['p_adjusted'])} (half of the seeds, exact binomial test, {over(verdicts, verdicts.tests)})"
    few = f"; {row['diverged']} diverged, counted as not smaller" if row["diverged"] else ""
    if np.isnan(row["mean"]):
        mean = "no seed finished"
    else:
        mean = f"its mean{' over finished seeds,' if row['diverged'] else ''} {shown(row['mean'])}{',' if row['diverged'] else ''} is {'below' if row['mean_beats'] else 'not below'} {shown(float(row['error']))}"
    return f"{row['name']} {side} {row['baseline']}: {beaten(row)} have the smaller error; {tested}; {mean}{few}."


def beaten(row: pd.Series) -> str:
    """``22 of 100 seeds (15 to 31 %)``: those that beat the best baseline, and Wilson's interval of their share."""
    return f"{row['beating']} of {row['n']} seeds ({100 * row['low']:.0f} to {100 * row['high']:.0f} %)"


def first_words(shares: pd.DataFrame, held: pd.DataFrame, metric: str) -> pd.DataFrame:
    """What the report says first, a sentence a series (``dataset, sentence``): does any network beat the best baseline, or learn anything?"""
    lines = []
    for (dataset, fingerprint), rows in shares.groupby(["dataset", "fingerprint"], sort=False):
        errors = held[held["fingerprint"] == fingerprint].set_index("baseline")[metric].astype(float)
        lines.append((dataset, worth(str(dataset), rows, metric, errors)))
    return pd.DataFrame(lines, columns=["dataset", "sentence"])


def worth(dataset: str, rows: pd.DataFrame, metric: str, errors: pd.Series) -> str:
    """One series' sentence; rows of :attr:`Verdicts.shares`, errors of the baselines by kind."""
    first, tests = rows.iloc[0], "tests at" if metric.startswith("test") else "has"
    line = f"{first['baseline']} {tests} {shown(float(first['error']))}"
    if rows["mean"].isna().all():
        return f"{dataset}: no network finished; {line}."
    best = rows.iloc[int(np.nanargmin(rows["mean"].to_numpy(float)))]
    few = f" over the {best['n'] - best['diverged']} seeds that finish" if best["diverged"] else ""
    network = (
        f"the best network's mean{few} ({best['name']}) is {shown(best['mean'])}; {best['beating']} of {best['n']} of its seeds beat it"
    )
    network += f" (95 % interval of the share {100 * best['low']:.0f} to {100 * best['high']:.0f} %)"
    if not rows["learned"].any():
        level, constant = float(errors["mean"]), float(errors.get("constant", np.nan))
        nothing = f"the networks learned nothing: no condition's mean beats the mean of the training part ({shown(level)})"
        if (rows["mean"] < level).any():
            nothing = f"the networks learned nothing: no condition's mean beats a constant (the best in hindsight, {shown(constant)})"
        return f"{dataset}: {nothing}. {line}, {network}."
    winners = int(rows["mean_beats"].sum())
    if winners:
        count = f"{winners} of {len(rows)} networks beat" if len(rows) > 1 else "the network beats"
    else:
        count = "no network beats" if len(rows) > 1 else "the network does not beat"
    idle = list(rows.loc[~rows["learned"], "name"])
    more = f" and {len(idle) - 5} more" if len(idle) > 5 else ""
    rest = f" No better on average than a constant: {', '.join(idle[:5])}{more}." if idle else ""
    return f"{dataset}: {count} {KINDS[first['kind']]} on average: {line}, {network}.{rest}"


def matrix(verdicts: Verdicts) -> pd.DataFrame:
    """All claims at a glance: a row a condition, a column a series and what it is held against (RNN, LSTM, the best baseline).

    A cell is a symbol with the probability of the smaller error against the other's seed, or with the share of seeds that beats the baseline.
    """
    tests, shares = verdicts.comparisons, verdicts.shares
    cells = pd.concat(
        [
            pd.DataFrame(
                {
                    "dataset": tests["dataset"],
                    "row": [name_of(a, dataset) for a, dataset in zip(tests["a"], tests["dataset"], strict=True)],
                    "column": [f"{dataset}: {name_of(b, dataset)}" for b, dataset in zip(tests["b"], tests["dataset"], strict=True)],
                    "cell": [f"{SYMBOLS[v]} {theta:.2f}" for v, theta in zip(tests["verdict"], tests["theta"], strict=True)],
                }
            ),
            pd.DataFrame(
                {
                    "dataset": shares["dataset"], "row": shares["name"], "column": shares["dataset"] + ": " + shares["baseline"],
                    "cell": [f"{SYMBOLS[v]} {x:.2f}" for v, x in zip(shares["verdict"], shares["share"], strict=True)],
                }
            ),
        ],
        ignore_index=True,
    )  # fmt: skip
    if cells.empty:
        return pd.DataFrame()
    table = cells.pivot_table(index="row", columns="column", values="cell", aggfunc="first", sort=False)
    order = list(dict.fromkeys([*tests["dataset"], *shares["dataset"]]))
    series = dict(zip(cells["column"], cells["dataset"], strict=True))
    table = table[sorted(table.columns, key=lambda column: order.index(series[str(column)]))]
    return table.reset_index().rename(columns={"row": "against"}).rename_axis(columns=None)
