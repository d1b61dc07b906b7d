"""Per condition: how many seed runs finished, and where the errors of these lie; and where data were drawn several times, how much is luck of the draw."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from analysis.statistics.components import one_way
from analysis.statistics.intervals import best_of, iqm, mean_interval, median_interval
from analysis.study import Condition, Study

QUANTILES = (0.05, 0.25, 0.75, 0.95)


def summarise(study: Study) -> pd.DataFrame:
    """One row a condition.

    Returns:
        ``dataset, model, K, condition, name``; ``runs`` and how many ``diverged`` or ``finished``; over finished seeds ``mean`` with its 95 % interval
        (``low``, ``high``), ``sd``, ``iqm``, ``min``, ``max``, the quantiles ``q05`` to ``q95``; over all seeds, diverged ones last, the
        ``median`` (its interval is of finished seeds) and ``best_of_10``.
    """
    rows = [
        {"dataset": one.dataset, "model": one.model, "K": one.K, "condition": one.label, "name": one.name, **counts(one), **figures(one)}
        for one in study
    ]
    columns = ["dataset", "model", "K", "condition", "name", "runs", "diverged", "finished"]
    return pd.DataFrame(rows, columns=list(rows[0]) if rows else columns).astype({"K": "Int64"})


def counts(condition: Condition) -> dict[str, int]:
    """How the seed runs of a condition ended."""
    return {"runs": len(condition.errors), "diverged": condition.diverged, "finished": len(condition.finished)}


def figures(condition: Condition) -> dict[str, float]:
    """Every summary figure of one condition; NaN where it has too few values."""
    a = condition.finished
    some = len(a) > 0
    intervals = {"": mean_interval(a), "median_": median_interval(a)}
    ends = {name: dict(zip((f"{name}low", f"{name}high"), pair, strict=True)) for name, pair in intervals.items()}
    quantiles = np.quantile(a, QUANTILES) if some else np.full(len(QUANTILES), np.nan)
    return {
        "mean": condition.mean, **ends[""],
        "sd": float(a.std(ddof=1)) if len(a) > 1 else np.nan,
        "median": condition.median, **ends["median_"],
        "iqm": iqm(a) if some else np.nan,
        "min": float(a.min()) if some else np.nan,
        "max": float(a.max()) if some else np.nan,
        **{f"q{round(100 * q):02d}": float(value) for q, value in zip(QUANTILES, quantiles, strict=True)},
        "best_of_10": condition.sign * float(best_of(condition.errors, np.array([10]))[0]) if len(condition.errors) >= 10 else np.nan,
    }  # fmt: skip


def components(study: Study) -> pd.DataFrame:
    """Components of variance of every condition that was trained on several draws of one law, such as splits of one set of texts. No test is made: splits of
    one set overlap, so no p of theirs would hold.

    Returns:
        ``task, condition, draws, seeds`` (in all), ``mean`` (over draws), ``sd_draws``, ``sd_seeds``, ``share`` of the draws' variance in both, ``low, high`` of it
        (:func:`one_way`).
    """
    found = []
    for task, named in by_draws(study, 1).items():
        for name, of_draw in named.items():
            scores = [one.finished for one in of_draw.values()]
            if len(scores) > 1:
                found.append({"task": task, "condition": name, "draws": len(scores), "seeds": sum(map(len, scores)), **one_way(scores)})
    return pd.DataFrame(found)


def differences(study: Study) -> pd.DataFrame:
    """Differences of two conditions on the same draws, between the means of their finished seeds.

    Returns:
        ``task, a, b, draws``, ``mean`` of a less b over draws, ``sd`` of it between draws, ``sd_expected`` were it the seeds' alone, and ``better``: on how many draws a
        has the better mean, ``equal``: on how many neither.
    """
    found = []
    for task, named in by_draws(study, 2).items():
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


def by_draws(study: Study, least: int) -> dict[str, dict[str, dict[str, Condition]]]:
    """Conditions of at least so many finished seeds: by what their draws have in common, by name, and by draw."""
    found: dict[str, dict[str, dict[str, Condition]]] = {}
    for task, datasets in study.draws.items():
        for one in (one for dataset in datasets for one in study.series[dataset] if len(one.finished) >= least):
            found.setdefault(task, {}).setdefault(one.name, {})[one.dataset] = one
    return found
