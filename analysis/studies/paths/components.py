"""Where data were drawn several times, how much is luck of the draw, how much of the seed, and how much is a model's own on a draw."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.statistics.paths import between, one_way, two_way
from analysis.studies import baselines
from analysis.study import Condition, Study

Draws = Mapping[str, Sequence[str]]
"""Series by what they, draws of one law, have in common; :attr:`analysis.study.Study.draws` where none are given."""


def components(study: Study, draws: Draws | None = None) -> pd.DataFrame:
    """Components of variance of every condition that was trained on several draws of one law, such as splits of one set of texts. No test is made: splits of
    one set overlap, so no p of theirs would hold.

    Returns:
        ``task, condition, draws, seeds`` (in all), ``mean`` (over draws), ``sd_draws``, ``sd_seeds`` (within a draw), ``share`` of the draws' variance in all,
        ``low, high`` of it (:func:`one_way`). Where a seed starts from the same parameters on all draws, by those that finished on all of them (:func:`two_way`):
        ``sd_of_seed``, of its mean over draws, and ``sd_product``, of what is neither the draw's nor the seed's; the share has no interval then. NaN elsewhere.
    """
    found = []
    for task, named in by_draws(study, 1, draws).items():
        for name, of_draw in named.items():
            scores = [one.finished for one in of_draw.values()]
            if len(scores) > 1:
                row = {"task": task, "condition": name, "draws": len(scores), "seeds": sum(map(len, scores)), **one_way(scores)}
                parts = crossed([*of_draw.values()])
                row |= {"sd_of_seed": parts["columns"], "sd_product": parts["product"]}
                if not np.isnan(parts["rows"]):
                    whole = sum(part**2 for part in parts.values())
                    row |= {
                        "sd_draws": parts["rows"],
                        "share": parts["rows"] ** 2 / whole if whole else np.nan,
                        "low": np.nan,
                        "high": np.nan,
                    }
                found.append(row)
    return pd.DataFrame(found)


def crossed(of_draw: Sequence[Condition]) -> dict[str, float]:
    """:func:`two_way` of draws and seeds, where a seed starts from the same parameters on all draws; NaN elsewhere."""
    alike = of_draw[0].draws is not None and len({one.draws for one in of_draw}) == 1
    return two_way(of_seeds(of_draw) if alike else np.empty((0, 0)))


def of_paths(study: Study, draws: Draws) -> pd.DataFrame:
    """:func:`components` over independent paths, on each of which seeds start elsewhere.

    Returns:
        Instead of what is the same seed's: ``sd_low, sd_high``, the 95 % interval of the sd between paths, if path effects are about normal (:func:`between`).
    """
    found = components(study, draws)
    named = by_draws(study, 1, draws)
    if found.empty:
        return found
    rows = []
    for task, name in zip(found["task"], found["condition"], strict=True):
        some = list(named[task][name].values())
        spread = between(np.array([one.mean for one in some]), np.array([variance_of_mean(one) for one in some]))
        rows.append((spread.low, spread.high))
    return found.drop(columns=["sd_of_seed", "sd_product"]).join(pd.DataFrame(rows, columns=["sd_low", "sd_high"]))


def beating(study: Study, draws: Draws) -> dict[tuple[str, str], tuple[int, int]]:
    """On how many paths more than half of the seeds beat the best baseline of their path, and of how many, by task and condition; no test is made."""
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    of_path = {dataset: task for task, datasets in draws.items() for dataset in datasets}
    for one in baselines.against(study.only(one.label for one in study if one.dataset in of_path)):
        key = (of_path[one.dataset], one.condition.name)
        ahead, of = counts.get(key, (0, 0))
        counts[key] = (ahead + (one.share > 0.5), of + 1)
    return counts


def noise_of(of_draw: Mapping[str, Condition]) -> list[float]:
    """Sampling variance of the mean on each draw, as it varies over draws: a seed that starts alike on all of them adds only its product with the draw."""
    product = crossed([*of_draw.values()])["product"]
    return [variance_of_mean(one) if np.isnan(product) else product**2 / len(one.finished) for one in of_draw.values()]


def variance_of_mean(one: Condition) -> float:
    """Sampling variance of the mean of finished seeds; NaN for fewer than two."""
    return float(one.finished.var(ddof=1)) / len(one.finished) if len(one.finished) > 1 else np.nan


def of_seeds(conditions: Sequence[Condition]) -> np.ndarray:
    """Scores of the seeds that finished on every draw, ``(draws, seeds)``."""
    known = [
        {int(seed): score for seed, score in zip(one.seeds, one.sign * one.errors, strict=True) if np.isfinite(score)} for one in conditions
    ]
    shared = sorted(set.intersection(*map(set, known)))
    return np.array([[of_path[seed] for seed in shared] for of_path in known]).reshape(len(known), len(shared))


def models_by_paths(study: Study, draws: Draws) -> pd.DataFrame:
    """How paths and models share the variance of means, from the paths on which all conditions finished two seeds or more.

    Returns:
        ``task, conditions, paths``; ``sd_paths``: what a path adds to the mean of every condition alike, which a comparison on shared paths does not see;
        ``sd_product``: what it adds to each condition apart, by which theta varies; ``sd_means``: of the seeds, in a mean of one path.
    """
    found = []
    for task, named in by_draws(study, 2, draws).items():
        shared = [dataset for dataset in draws[task] if all(dataset in of_draw for of_draw in named.values())]
        if len(named) < 2 or len(shared) < 2:
            continue
        cells = [[of_draw[dataset] for of_draw in named.values()] for dataset in shared]
        noise = float(np.mean([[variance_of_mean(one) for one in row] for row in cells]))
        parts = two_way(np.array([[one.mean for one in row] for row in cells]), noise)
        found.append(
            {
                "task": task, "conditions": len(named), "paths": len(shared), "sd_paths": parts["rows"], "sd_product": parts["product"],
                "sd_means": float(np.sqrt(noise)),
            }
        )  # fmt: skip
    return pd.DataFrame(found)


def differences(study: Study, draws: Draws | None = None) -> pd.DataFrame:
    """Differences of two conditions on the same draws, between the means of their finished seeds.

    Returns:
        ``task, a, b, draws``, ``mean`` of a less b over draws, ``sd`` of it between draws, ``sd_expected`` were it the seeds' alone, and ``better``: on how many draws a
        has the better mean, ``equal``: on how many neither.
    """
    found = []
    for task, named in by_draws(study, 2, draws).items():
        noise = {
            one.label: variance for of_draw in named.values() for one, variance in zip(of_draw.values(), noise_of(of_draw), strict=True)
        }
        for a, b in itertools.combinations(named, 2):
            shared = [(one, named[b][dataset]) for dataset, one in named[a].items() if dataset in named[b]]
            if len(shared) < 2:
                continue
            gap = np.array([one.mean - other.mean for one, other in shared])
            level = np.abs(gap) < 1e-9 * max(abs(one.mean) for one, _ in shared)  # means of equal sums differ in their last bits
            own = [noise[one.label] + noise[other.label] for one, other in shared]
            found.append(
                {
                    "task": task, "a": a, "b": b, "draws": len(gap), "mean": gap.mean(), "sd": gap.std(ddof=1), "sd_expected": float(np.sqrt(np.mean(own))),
                    "better": int((~level & (study.rule.sign * gap < 0)).sum()), "equal": int(level.sum()),
                }
            )  # fmt: skip
    return pd.DataFrame(found)


def by_draws(study: Study, least: int, draws: Draws | None = None) -> dict[str, dict[str, dict[str, Condition]]]:
    """Conditions of at least so many finished seeds: by what their draws have in common, by name, and by draw."""
    found: dict[str, dict[str, dict[str, Condition]]] = {}
    for task, datasets in (study.draws if draws is None else draws).items():
        for one in (one for dataset in datasets for one in study.series[dataset] if len(one.finished) >= least):
            found.setdefault(task, {}).setdefault(one.name, {})[one.dataset] = one
    return found
