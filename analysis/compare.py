"""Comparisons of conditions in a study: does one recurrent cell really beat another? Tables of tests from rows of a ledger."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import baselines, families, literature, power, two_samples
from analysis.sample import RULES, judged, samples, values
from analysis.two_samples import Outcome
from ltm.errors import UserError, unknown

BASELINES = ("rnn", "lstm")
MARGIN = 2.0
"""Per cent of the baseline's mean error within which a condition counts as no worse, or as equivalent."""

COLUMNS = [
    "dataset", "a", "b", "n_a", "n_b", "diverged_a", "diverged_b", "mean_a", "mean_b", "difference", "low", "high", "percent", "test",
    "correlation", "p", "p_adjusted", "improvement", "improvement_low", "improvement_high", "p_rank", "p_rank_adjusted", "hedges_g",
    "p_equivalent", "p_no_worse", "smallest_difference", "anytime_low", "anytime_high", "p_anytime", "p_drop", "p_best", "verdict",
]  # fmt: skip
"""Of every table of comparisons; :func:`pair` says what each holds."""


def compare(
    runs: pd.DataFrame, a: str, b: str, metric: str = "test_rmse", rule: str = "worst", correction: str = "holm", margin: float = MARGIN
) -> pd.DataFrame:
    """Compare two models (``mrnn``) or two conditions (``mrnn K=100 / tree``) on every series both were trained on.

    Returns:
        A row a pair of conditions (:data:`COLUMNS`); p-values corrected over the rows of the table.

    Raises:
        UserError: an unknown name (the known are listed), or no series in common.
    """
    for name in (a, b):
        if name not in {*runs["model"], *runs["condition"]}:
            raise unknown("model or condition", name, {*runs["model"], *runs["condition"]})
    pairs = []
    for dataset, group in runs.groupby("dataset", sort=False):
        labels = [group.loc[(group["model"] == name) | (group["condition"] == name), "condition"].unique() for name in (a, b)]
        pairs += [(str(dataset), x, y) for x, y in itertools.product(*labels) if x != y]
    if not pairs:
        raise UserError(f"'{a}' and '{b}' share no series in this study; nothing can be compared.")
    return table(runs, pairs, metric, rule, correction, margin)


def against_baselines(
    runs: pd.DataFrame, metric: str = "test_rmse", rule: str = "worst", correction: str = "holm", margin: float = MARGIN,
    baselines: tuple[str, ...] = BASELINES,
) -> pd.DataFrame:  # fmt: skip
    """Every condition against those of the baselines (RNN and LSTM) on the same series, each pair once; corrected over the table."""
    pairs: dict[frozenset[str], tuple[str, str, str]] = {}
    for dataset, group in runs.groupby("dataset", sort=False):
        others = group.loc[group["model"].isin(baselines), "condition"].unique()
        for x, y in itertools.product(group["condition"].unique(), others):
            if x != y:
                pairs.setdefault(frozenset((x, y)), (str(dataset), x, y))
    return table(runs, pairs.values(), metric, rule, correction, margin)


def table(
    runs: pd.DataFrame, pairs: Iterable[tuple[str, str, str]], metric: str, rule: str, correction: str, margin: float
) -> pd.DataFrame:
    """A row a pair ``(dataset, a, b)`` of conditions, p-values corrected over all rows."""
    if not margin > 0:
        raise UserError(f"margin is {margin:g} per cent; expected a number above 0.")
    by_rule = {name: by_condition(judged(runs, metric, name)) for name in RULES}
    rows = [{"dataset": dataset, **pair(by_rule, rule, a, b, margin)} for dataset, a, b in pairs]
    out = pd.DataFrame(rows, columns=COLUMNS)
    for column in ("p", "p_rank"):
        out[f"{column}_adjusted"] = families.adjust(out[column].to_numpy(float), correction)
    for column in ("p_equivalent", "p_no_worse"):
        out[column] = families.adjust(out[column].to_numpy(float), correction)
    return with_verdicts(out)


def together(tests: pd.DataFrame, shares: pd.DataFrame, correction: str = "holm") -> tuple[pd.DataFrame, pd.DataFrame]:
    """One family of tests: ``p_adjusted`` and ``verdict`` of two tables of one report, corrected over the tests of both.

    Args:
        tests: comparisons of conditions (:func:`table`, corrected over itself so far).
        shares: conditions against the best baseline of their series (:func:`analysis.baselines.against`).
    """
    p = np.concatenate([tests["p"].to_numpy(float), shares["p"].to_numpy(float)])
    adjusted = families.adjust(p, correction)
    shares = shares.assign(p_adjusted=adjusted[len(tests) :])
    said = [baselines.verdict(share, p) for share, p in zip(shares["share"], shares["p_adjusted"], strict=True)]
    return with_verdicts(tests.assign(p_adjusted=adjusted[: len(tests)])), shares.assign(verdict=said)


def with_verdicts(tests: pd.DataFrame) -> pd.DataFrame:
    """A table with the ``verdict`` of every row, from its corrected p-values."""
    keys = ("difference", "p_adjusted", "p_equivalent", "p_no_worse")
    return tests.assign(verdict=[verdict(*(row[key] for key in keys)) for row in tests.to_dict("records")])


def by_condition(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows by the label of their condition."""
    return {str(label): group for label, group in rows.groupby("condition", sort=False)}


def verdict(difference: float, p: float, p_equivalent: float, p_no_worse: float, alpha: float = 0.05) -> str:
    """``better``, ``worse``, ``equivalent`` (within the margin), ``no worse``, or ``undecided``: corrected p-values against alpha."""
    if np.isnan(p):
        return "undecided"
    if p < alpha:
        return "better" if difference < 0 else "worse"
    return "equivalent" if p_equivalent < alpha else "no worse" if p_no_worse < alpha else "undecided"


def pair(by_rule: dict[str, dict[str, pd.DataFrame]], rule: str, a: str, b: str, margin: float) -> dict[str, object]:
    """One row of a table: two conditions by label, a against b; every p is two-sided and not yet corrected.

    ``difference`` of means a - b with its 95 % interval (``low``, ``high``), in the metric's unit, and in ``percent`` of b's mean;
    ``test`` is ``paired`` where the seeds share their initial parameters (``correlation`` over seeds is given), else ``welch``;
    ``improvement``: probability that a seed of a beats one of b, ``p_rank`` by Brunner and Munzel; ``p_equivalent`` (TOST) and
    ``p_no_worse`` (non-inferiority) at the margin; ``smallest_difference`` that these seeds would have shown with power 0.8;
    ``anytime_low, anytime_high, p_anytime``: the confidence sequence, which may be read after every pack;
    ``p_drop`` and ``p_best``: the first test under the other rules for diverged seeds, where any diverged.
    """
    x, y = by_rule[rule][a], by_rule[rule][b]
    first, second = values(x), values(y)
    correlation, seeds = shared_seeds(x, y)
    outcome = difference_of(first, second, seeds is not None)
    enough = min(len(first), len(second)) > 1
    rank = two_samples.brunner_munzel(first, second) if enough else Outcome(np.nan)
    width = margin / 100 * abs(second.mean()) if len(second) else 0.0
    anytime = power.confidence_sequence(first, second)
    diverged = [int((~rows["finished"]).sum()) for rows in (x, y)]
    others = {}
    for other in ("drop", "best"):
        others[f"p_{other}"] = difference_of(values(by_rule[other][a]), values(by_rule[other][b]), False).p if any(diverged) else np.nan
    return {
        "a": a, "b": b, "n_a": len(x), "n_b": len(y), "diverged_a": diverged[0], "diverged_b": diverged[1],
        "mean_a": first.mean() if len(first) else np.nan, "mean_b": second.mean() if len(second) else np.nan,
        "difference": outcome.estimate, "low": outcome.low, "high": outcome.high,
        "percent": 100 * outcome.estimate / abs(second.mean()) if len(second) and second.mean() else np.nan,
        "test": "paired" if seeds is not None else "welch", "correlation": correlation, "p": outcome.p,
        "improvement": rank.estimate, "improvement_low": rank.low, "improvement_high": rank.high, "p_rank": rank.p,
        "hedges_g": two_samples.hedges_g(first, second).estimate if enough else np.nan,
        "p_equivalent": two_samples.equivalent(first, second, width).p if enough and width else np.nan,
        "p_no_worse": two_samples.no_worse(first, second, width).p if enough and width else np.nan,
        "smallest_difference": power.smallest_difference(np.std(first, ddof=1), len(first), np.std(second, ddof=1), len(second))
        if enough else np.nan,
        "anytime_low": anytime.low, "anytime_high": anytime.high, "p_anytime": anytime.p, **others,
    }  # fmt: skip


def difference_of(a: np.ndarray, b: np.ndarray, pairs: bool) -> Outcome:
    """The default test of a difference of means: paired where seeds belong together, else Welch's."""
    return two_samples.paired(a, b) if pairs and min(len(a), len(b)) > 1 else two_samples.welch(a, b)


def shared_seeds(a: pd.DataFrame, b: pd.DataFrame) -> tuple[float, np.ndarray | None]:
    """Correlation over the seeds that two conditions have in common, and these seeds if they may be paired.

    They may where both train the same seeds from equal initial parameters, as the record of their cells says (such as an MRNN with
    K = 25 against K = 100); any other seeds are independent draws.
    """
    one, other = (rows[rows["value"].notna()] for rows in (a, b))
    seeds, i, j = np.intersect1d(one["seed"], other["seed"], return_indices=True)
    x, y = one["value"].to_numpy(float)[i], other["value"].to_numpy(float)[j]
    if len(seeds) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan, None
    start = initial_parameters(a)
    same = start is not None and len(seeds) == len(one) == len(other) and start == initial_parameters(b)
    return float(np.corrcoef(x, y)[0, 1]), seeds if same else None


def initial_parameters(rows: pd.DataFrame) -> str | None:
    """Digest of the initial parameters that a condition gives its seeds; None where an older ltm did not record them."""
    return None if "draws" not in rows or rows["draws"].isna().any() else str(rows["draws"].iloc[0])


def published(runs: pd.DataFrame, source: str | Path, rule: str = "worst", correction: str = "holm") -> pd.DataFrame:
    """Welch's test of every condition against its published mean, sd and n. Null hypothesis: equal means; corrected over the table.

    Args:
        source: a published table by name (``zhao2020_table2``) or the path of a CSV (:func:`analysis.literature.read`).

    Returns:
        ``dataset, condition, n, mean, sd``, the published ``published_n, published_mean, published_sd``, ``difference, low, high, percent,
        p, p_adjusted``.

    Raises:
        UserError: no such source, a row of it that is no figure, or none of its rows is of this study.
    """
    table = literature.read(source)
    rows = []
    for row in table.to_dict("records"):
        of_model = runs[(runs["dataset"] == row["dataset"]) & (runs["model"] == row["model"])]
        if not pd.isna(row["K"]):
            of_model = of_model[of_model["K"].isna() | (of_model["K"] == row["K"])]
        for label, group in judged(of_model, row["metric"], rule).groupby("condition", sort=False):
            a = values(group)
            if len(a) < 2:
                continue
            theirs = (float(row["mean"]), float(row["sd"]), int(row["n"]))
            found = two_samples.welch_from_summary(a.mean(), a.std(ddof=1), len(a), *theirs)
            rows.append(
                {
                    "dataset": row["dataset"], "condition": label, "n": len(a), "mean": a.mean(), "sd": a.std(ddof=1), "published_n": theirs[2],
                    "published_mean": theirs[0], "published_sd": theirs[1], "difference": found.estimate, "low": found.low,
                    "high": found.high, "percent": 100 * found.estimate / theirs[0], "p": found.p,
                }
            )  # fmt: skip
    if not rows:
        raise UserError(
            f"{Path(source).name} has no model and series of this study; it has {', '.join(map(str, table['model'].unique()))}."
        )
    out = pd.DataFrame(rows)
    return out.assign(p_adjusted=families.adjust(out["p"].to_numpy(float), correction))


def every_test(
    runs: pd.DataFrame, a: str, b: str, rng: np.random.Generator, metric: str = "test_rmse", rule: str = "worst"
) -> pd.DataFrame:
    """Every test and effect size of two conditions by label, uncorrected: ``test, estimate, low, high, p``."""
    by_label = by_condition(judged(runs, metric, rule))
    x, y = values(by_label[a]), values(by_label[b])
    found = {
        "Welch t: difference of means": two_samples.welch(x, y),
        "pooled t (the paper's): difference of means": two_samples.pooled(x, y),
        "permutation of Welch's t: difference of means": two_samples.permutation(x, y, rng),
        "BCa bootstrap: difference of means": two_samples.bootstrap_difference(x, y, rng),
        "BCa bootstrap: difference of interquartile means": two_samples.bootstrap_difference(x, y, rng, trim=0.25),
        "Brunner-Munzel: probability of improvement": two_samples.brunner_munzel(x, y),
        "Mann-Whitney: probability of improvement": two_samples.mann_whitney(x, y),
        "Hedges' g": two_samples.hedges_g(x, y),
        "Cliff's delta": two_samples.cliffs_delta(x, y),
        "almost stochastic order: eps_min (below 0.5: a is better)": Outcome(two_samples.almost_stochastic_order(x, y, rng)),
        "confidence sequence (any time): difference of means": power.confidence_sequence(x, y),
    }
    return pd.DataFrame([{"test": name, "estimate": o.estimate, "low": o.low, "high": o.high, "p": o.p} for name, o in found.items()])


def improvement_matrix(runs: pd.DataFrame, metric: str = "test_rmse", rule: str = "worst") -> pd.DataFrame:
    """Probability that a seed of the row's condition beats one of the column's (one series): ``(k, k)``, 0.5 on the diagonal."""
    groups = {label: a for label, a in samples(judged(runs, metric, rule)).items() if len(a)}
    cells = [[two_samples.improvement(a, b) for b in groups.values()] for a in groups.values()]
    return pd.DataFrame(cells, index=list(groups), columns=list(groups))


def best_set(runs: pd.DataFrame, metric: str = "test_rmse", rule: str = "worst", rng: np.random.Generator | None = None) -> pd.DataFrame:
    """Which conditions may be the best of each series, corrected for the selection (model confidence set), and the omnibus test.

    Returns:
        ``dataset, condition, mean, p`` (``p`` above 0.05: in the 95 % set), and ``p_omnibus`` by Kruskal and Wallis.
    """
    rng, rows = rng or np.random.default_rng(0), []
    for dataset, group in judged(runs, metric, rule).groupby("dataset", sort=False):
        groups = {label: a for label, a in samples(group).items() if len(a) > 1}
        if len(groups) < 2:
            continue
        omnibus = families.kruskal_wallis(list(groups.values())).p
        p = families.model_confidence_set(groups, rng)
        rows += [
            {"dataset": dataset, "condition": label, "mean": a.mean(), "p": p[label], "p_omnibus": omnibus} for label, a in groups.items()
        ]
    return pd.DataFrame(rows, columns=["dataset", "condition", "mean", "p", "p_omnibus"])


def ranks(runs: pd.DataFrame, metric: str = "test_rmse", rule: str = "worst") -> tuple[pd.Series, Outcome, float]:
    """Mean ranks of conditions over the series that have all of them, Friedman's test, Nemenyi's critical difference.

    Returns:
        ``(ranks by label without the series, test, critical difference)``; empty ranks for fewer than 2 series or 3 conditions.
    """
    rows = judged(runs, metric, rule)
    rows = rows.assign(name=[str(label).rsplit(" / ", 1)[0] for label in rows["condition"]])
    means = rows.groupby(["dataset", "name"], sort=False)["value"].mean().unstack().reindex(columns=rows["name"].unique()).dropna(axis=1)
    if means.shape[0] < 2 or means.shape[1] < 3:
        return pd.Series(dtype=float), Outcome(np.nan), np.nan
    mean_ranks = pd.Series(families.ranks_across(means.to_numpy(float)), index=means.columns)
    return mean_ranks, families.friedman(means.to_numpy(float)), families.critical_difference(means.shape[1], means.shape[0])
