"""Components of variance: how much of a result is luck of the data, and how much of the seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats


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
