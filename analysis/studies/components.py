"""How much of a result is luck of the data: components of variance over draws of one law, such as splits of one set of texts, and over seeds within them.

No test is made. Splits of one set overlap, so no p of theirs would hold.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from analysis.study import Condition, Study


def components(study: Study) -> pd.DataFrame:
    """Components of variance of every condition that was trained on several draws of one law.

    Returns:
        ``task, condition, draws, seeds`` (in all), ``mean`` (over draws), ``sd_draws``, ``sd_seeds``, ``share`` of the draws' variance in both, ``low, high`` of it
        (:func:`one_way`).
    """
    found = []
    for task, name, scores in by_draws(study):
        found.append({"task": task, "condition": name, "draws": len(scores), "seeds": sum(map(len, scores)), **one_way(scores)})
    return pd.DataFrame(found)


def differences(study: Study) -> pd.DataFrame:
    """Differences of two conditions on the same draws, between the means of their finished seeds.

    Returns:
        ``task, a, b, draws``, ``mean`` of a less b over draws, ``sd`` of it between draws, ``sd_expected`` were it the seeds' alone, and ``better``: on how many draws a
        has the better mean, ``equal``: on how many neither.
    """
    found = []
    of_task: dict[str, dict[str, dict[str, Condition]]] = {}
    for task, datasets in study.draws.items():
        for one in (one for dataset in datasets for one in study.series[dataset] if len(one.finished) > 1):
            of_task.setdefault(task, {}).setdefault(one.name, {})[one.dataset] = one
    for task, named in of_task.items():
        for a, b in itertools.combinations(named, 2):
            shared = [(one, named[b][dataset]) for dataset, one in named[a].items() if dataset in named[b]]
            if len(shared) < 2:
                continue
            gap = np.array([one.mean - other.mean for one, other in shared])
            own = [sum(float(side.finished.var(ddof=1)) / len(side.finished) for side in both) for both in shared]
            found.append(
                {
                    "task": task, "a": a, "b": b, "draws": len(gap), "mean": gap.mean(), "sd": gap.std(ddof=1), "sd_expected": float(np.sqrt(np.mean(own))),
                    "better": int((study.rule.sign * gap < 0).sum()), "equal": int((gap == 0).sum()),
                }
            )  # fmt: skip
    return pd.DataFrame(found)


def by_draws(study: Study) -> list[tuple[str, str, list[np.ndarray]]]:
    """Finished scores of every condition on each draw of a law where some finished: the law's task, the condition, and an array a draw. At least two draws."""
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    for task, datasets in study.draws.items():
        for one in (one for dataset in datasets for one in study.series[dataset] if len(one.finished)):
            found.setdefault((task, one.name), []).append(one.finished)
    return [(task, name, scores) for (task, name), scores in found.items() if len(scores) > 1]


def one_way(scores: Sequence[np.ndarray]) -> dict[str, float]:
    """Random effects of draws and of seeds within them, by the analysis of variance (Searle, Casella and McCulloch 1992, chapter 3).

    Args:
        scores: of every draw an array, of any length.

    Returns:
        ``mean``: of the draws' means. ``sd_draws, sd_seeds``: roots of the components, that of draws 0 where its estimate is below it. ``share``: the draws'
        variance in the sum of both. ``low, high``: its 95 % interval by the F distribution, exact where draws have as many seeds each and all is normal. NaN
        where no draw has two seeds, or nothing varies.
    """
    sizes, means = np.array([len(one) for one in scores]), np.array([one.mean() for one in scores])
    k, n = len(scores), int(sizes.sum())
    out = {"mean": float(means.mean()), "sd_draws": np.nan, "sd_seeds": np.nan, "share": np.nan, "low": np.nan, "high": np.nan}
    if n == k:
        return out
    within = sum(float(((one - one.mean()) ** 2).sum()) for one in scores) / (n - k)
    between = float((sizes * (means - float(sizes @ means) / n) ** 2).sum()) / (k - 1)
    each = (n - (sizes**2).sum() / n) / (k - 1)
    draws = max(0.0, (between - within) / each)
    out |= {"sd_draws": float(np.sqrt(draws)), "sd_seeds": float(np.sqrt(within))}
    if draws + within > 0:
        out["share"] = draws / (draws + within)
    if within > 0:
        for name, at in (("low", 0.975), ("high", 0.025)):
            ratio = between / within / float(stats.f.ppf(at, k - 1, n - k))
            out[name] = max(0.0, (ratio - 1) / (ratio - 1 + each))
    return out
