"""The filter-length study: K as the ordered factor that it is. Trend, slope, plateau, and which K may be the best."""

from __future__ import annotations

import numpy as np
import pandas as pd
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.anova import anova_lm

from analysis.compare import initial_parameters
from analysis.families import model_confidence_set
from analysis.sample import finite, judged, values
from analysis.summary import counts, iqm, mean_interval
from analysis.two_samples import Outcome

TOLERANCE = 1.0
"""Per cent of the lowest mean error within which a filter length lies on the plateau."""

TREND_COLUMNS = [
    "dataset", "model", "lengths", "seeds", "trend", "p_trend", "slope", "slope_low", "slope_high", "plateau", "plateau_low",
    "plateau_high", "best", "confidence_set", "recommended", "evidence",
]  # fmt: skip


def by_filter_length(runs: pd.DataFrame, metric: str = "test_rmse", rule: str = "worst") -> pd.DataFrame:
    """Mean error by series, model and K, for the models trained with more than one K.

    Returns:
        ``dataset, model, K, runs, diverged, finished, mean, iqm``; ``low, high``: intervals of the mean that hold for all K of a model at
        once with 95 % (Sidak: conditions are independent); ``seconds``: training time of a seed run. Sorted by K; empty if K does not vary.
    """
    table = judged(runs[runs["K"].notna()], metric, rule)
    table["K"] = table["K"].astype(int)
    table = table[table.groupby(["dataset", "model"])["K"].transform("nunique") > 1]
    rows = []
    for (dataset, model), of_model in table.groupby(["dataset", "model"], sort=False):
        level = 0.95 ** (1 / of_model["K"].nunique())
        for K, group in of_model.groupby("K"):
            a = values(group)
            low, high = mean_interval(a, level)
            rows.append(
                {
                    "dataset": dataset, "model": model, "K": K, **counts(group), "mean": a.mean() if len(a) else np.nan, "low": low,
                    "high": high, "iqm": iqm(a) if len(a) else np.nan,
                    "seconds": group["seconds"].median() if "seconds" in group else np.nan,
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=["dataset", "model", "K", "runs", "diverged", "finished", "mean", "low", "high", "iqm", "seconds"])


def jonckheere_terpstra(groups: dict[int, np.ndarray]) -> Outcome:
    """Jonckheere and Terpstra's trend test (1954) of errors against ordered K; two-sided, ties corrected.

    Null hypothesis: the errors have one distribution for every K. It is Kendall's tau-b between K and error (by scipy), the
    estimate: below 0 where longer filters have smaller errors.
    """
    lengths = np.repeat(list(groups), [len(a) for a in groups.values()])
    errors = finite(np.concatenate(list(groups.values())), 2)
    if len(groups) < 2 or np.ptp(errors) == 0:
        return Outcome(np.nan)
    found = stats.kendalltau(lengths, errors, method="asymptotic")
    return Outcome(float(found.statistic), statistic=float(found.statistic), p=float(found.pvalue))


def slope(groups: dict[int, np.ndarray]) -> Outcome:
    """Change of the mean error for a doubling of K: least squares on log2 K with HC3 errors (MacKinnon and White 1985), statsmodels.

    Null hypothesis: slope 0.
    """
    lengths = np.log2(np.repeat(list(groups), [len(a) for a in groups.values()]).astype(float))
    errors = np.concatenate(list(groups.values()))
    if len(groups) < 2 or min(map(len, groups.values())) < 2 or np.ptp(errors) == 0:
        return Outcome(np.nan)
    found = sm.OLS(errors, sm.add_constant(lengths)).fit(cov_type="HC3", use_t=True)
    low, high = found.conf_int()[1]
    return Outcome(float(found.params[1]), float(low), float(high), float(found.tvalues[1]), float(found.df_resid), float(found.pvalues[1]))


def plateau(groups: dict[int, np.ndarray], rng: np.random.Generator, tolerance: float = TOLERANCE, resamples: int = 2000) -> Outcome:
    """The smallest K whose mean error lies within ``tolerance`` per cent of the lowest, with its percentile bootstrap interval (95 %)."""
    lengths = np.array(sorted(groups))
    means = np.array([groups[K].mean() for K in lengths])
    drawn = np.stack([rng.choice(groups[K], (resamples, len(groups[K]))).mean(1) for K in lengths], axis=1)

    def first(m: np.ndarray) -> np.ndarray:
        best = m.min(-1, keepdims=True)
        return lengths[np.argmax(m <= best + tolerance / 100 * np.abs(best), axis=-1)]

    low, high = np.quantile(first(drawn), [0.025, 0.975], method="inverted_cdf")
    return Outcome(float(first(means)), float(low), float(high))


def recommend(runs: pd.DataFrame, metric: str = "test_rmse", rule: str = "worst", rng: np.random.Generator | None = None) -> pd.DataFrame:
    """A filter length for every model and series, with its evidence.

    The 95 % model confidence set holds the best K with probability 0.95, corrected for having looked at all of them (seeds are
    resampled together where every K starts a seed from the same parameters). Recommended is the shortest of the set: no
    longer filter is known to be better.

    Returns:
        Columns :data:`TREND_COLUMNS`: ``trend`` is Kendall's tau with its ``p_trend`` (Jonckheere-Terpstra); ``slope`` the change of the mean error
        per doubling of K; ``evidence`` one sentence.
    """
    rng, rows = rng or np.random.default_rng(0), []
    table = judged(runs[runs["K"].notna()], metric, rule)
    for (dataset, model), of_model in table.groupby(["dataset", "model"], sort=False):
        parts = {int(str(K)): part for K, part in of_model.groupby("K")}
        groups = {K: values(part) for K, part in parts.items()}
        groups = {K: a for K, a in groups.items() if len(a) > 1}
        if len(groups) < 2:
            continue
        starts = {initial_parameters(parts[K]) for K in groups}
        together = len(starts) == 1 and None not in starts and len({tuple(sorted(parts[K]["seed"])) for K in groups}) == 1
        together = together and len({len(a) for a in groups.values()}) == 1
        p = model_confidence_set({str(K): a for K, a in groups.items()}, rng, paired=together)
        inside = [K for K in groups if p[str(K)] > 0.05]
        trend, line, flat = jonckheere_terpstra(groups), slope(groups), plateau(groups, rng)
        best = min(groups, key=lambda K: groups[K].mean())
        rows.append(
            {
                "dataset": dataset, "model": model, "lengths": ", ".join(map(str, groups)), "seeds": min(map(len, groups.values())),
                "trend": trend.estimate, "p_trend": trend.p, "slope": line.estimate, "slope_low": line.low, "slope_high": line.high,
                "plateau": int(flat.estimate), "plateau_low": int(flat.low), "plateau_high": int(flat.high), "best": best,
                "confidence_set": ", ".join(map(str, inside)), "recommended": min(inside),
                "evidence": evidence(str(model), str(dataset), groups, inside, best, trend),
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=TREND_COLUMNS)


def evidence(model: str, dataset: str, groups: dict[int, np.ndarray], inside: list[int], best: int, trend: Outcome) -> str:
    """The sentence behind a recommendation."""
    K = min(inside)
    direction = "falls" if trend.estimate < 0 else "rises"
    course = (
        f"the error {direction} with K (Jonckheere-Terpstra p = {trend.p:.2g})"
        if trend.p < 0.05
        else f"no trend with K (p = {trend.p:.2g})"
    )
    if len(inside) == len(groups):
        why = f"none of K = {', '.join(map(str, groups))} is told apart from the best, so the shortest will do"
    elif best == K:
        why = f"its mean error, {groups[K].mean():.4g}, is the lowest" + (
            "" if min(groups) == K else ", and no shorter filter may be the best (95 %)"
        )
    else:
        gap = 100 * (groups[K].mean() / groups[best].mean() - 1)
        why = f"the shortest that may be the best (95 %), {gap:.2g} % above K = {best}; out: {', '.join(str(k) for k in groups if k not in inside)}"
    return f"{model} on {dataset}: K = {K}; {why}; {course}; {min(map(len, groups.values()))} seeds each."


def interaction(runs: pd.DataFrame, metric: str = "test_rmse", rule: str = "worst") -> pd.DataFrame:
    """Does K act alike on every model? F tests of model, K and their interaction, a series at a time.

    Null hypothesis of ``model x K``: the curves over K are parallel. Two-way analysis of variance, type II, HC3 errors, by statsmodels.

    Returns:
        ``dataset, term, dof, F, p``; empty where fewer than two models share two or more K.
    """
    rows = []
    table = judged(runs[runs["K"].notna()], metric, rule).dropna(subset=["value"])
    for dataset, group in table.groupby("dataset", sort=False):
        counted = group.groupby(["model", "K"]).size().unstack()
        counted = counted.dropna(axis=0)
        if counted.shape[0] < 2 or counted.shape[1] < 2 or counted.min().min() < 2:
            continue
        frame = group[group["model"].isin(counted.index)].astype({"K": int})[["value", "model", "K"]]
        if frame.groupby(["model", "K"])["value"].std().max() == 0:
            continue
        found = anova_lm(smf.ols("value ~ C(model) * C(K)", frame).fit(), typ=2, robust="hc3")
        for term, name in (("C(model)", "model"), ("C(K)", "K"), ("C(model):C(K)", "model x K")):
            at = found.loc[term]
            rows.append({"dataset": dataset, "term": name, "dof": int(at["df"]), "F": float(at["F"]), "p": float(at["PR(>F)"])})
    return pd.DataFrame(rows, columns=["dataset", "term", "dof", "F", "p"])
