"""Two trained networks as forecasters: is one's forecast error smaller, and is anything left in the residuals?"""

from __future__ import annotations

import numpy as np
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.diagnostic import acorr_ljungbox

from analysis.sample import finite
from analysis.two_samples import Outcome
from ltm.errors import UserError


def diebold_mariano(a: np.ndarray, b: np.ndarray, power: int = 2, lags: int | None = None, horizon: int = 1) -> Outcome:
    """Diebold and Mariano's test (1995) of two forecasts of one series, with Harvey, Leybourne and Newbold's correction (1997).

    Null hypothesis: equal expected loss |e|^power. The variance of the mean loss differential is Newey and West's (1987, statsmodels)
    with ``lags`` (default: the horizon less one, but at least n^(1/3)). It speaks of two trained networks, not of two models.

    Args:
        a, b: forecast errors of the same steps, ``(n,)``.

    Returns:
        The mean loss differential a - b (below 0: a is better) and its interval, the t statistic, p.
    """
    a, b = finite(a, 8, "first errors"), finite(b, 8, "second errors")
    if len(a) != len(b):
        raise UserError(f"{len(a)} and {len(b)} forecast errors; expected those of the same steps.")
    d = np.abs(a) ** power - np.abs(b) ** power
    n = len(d)
    if np.ptp(d) == 0:
        return Outcome(float(d.mean()))
    lags = max(horizon - 1, int(n ** (1 / 3))) if lags is None else lags
    found = sm.OLS(d, np.ones(n)).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
    factor = np.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    error = float(found.bse[0]) / factor
    t, half = float(d.mean()) / error, stats.t.ppf(0.975, n - 1) * error
    return Outcome(float(d.mean()), float(d.mean() - half), float(d.mean() + half), t, n - 1, float(2 * stats.t.sf(abs(t), n - 1)))


def ljung_box(residuals: np.ndarray, lags: int = 20) -> Outcome:
    """Ljung and Box's test (1978), by statsmodels. Null hypothesis: the residuals are uncorrelated up to this lag."""
    residuals = finite(residuals, lags + 2, "residuals")
    found = acorr_ljungbox(residuals, lags=[lags])
    return Outcome(np.nan, statistic=float(found["lb_stat"].iloc[0]), dof=lags, p=float(found["lb_pvalue"].iloc[0]))
