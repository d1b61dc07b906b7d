"""Does one cell beat another on a process, and not only on one path of it? Comparisons over all paths that both were trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics import Outcome, families, paths, wins
from analysis.studies.compare import Pair, tested
from analysis.study import Condition, Study

LEAST = paths.least_paths(1)
"""Paths of a process from which it is asked about at all; fewer are series of their own."""

COUNTED = 100
"""Drawn sign flips a claim, at least, so that Holm over all of them leaves a verdict possible."""


@dataclass(frozen=True, eq=False)
class PathClaim:
    """Condition a against condition b on a process: one claim over all paths that both have.

    Attributes:
        pairs: a and b on every path, in the order of the paths' numbers.
        thetas: probability that a seed of a has the smaller error than one of b, diverged seeds last, on every path ``(P,)``.
        alone: what the default test says of each path alone, corrected over the pairs of that path only: better, worse, undecided or too few seeds. No family
            of the report has these; each is about its path.
        theta: the mean over paths with its 95 % interval, t, and p (:func:`analysis.statistics.paths.p_values`). Null hypothesis: a mean of 1/2.
        proven: p by bets over paths (:func:`analysis.statistics.paths.proven`), of the same hypothesis.
        spread: sd of theta_p between paths, with its 95 % interval.
        means: mean over paths of the difference of the means of finished seeds; with a t interval from 100 paths.
        p_adjusted, proven_adjusted: corrected over their family, NaN until :func:`analysis.studies.verdicts.judge` has.
        verdict: better, worse, undecided or too few paths: all of them about the process.
    """

    pairs: tuple[Pair, ...]
    thetas: np.ndarray
    alone: tuple[str, ...]
    theta: Outcome
    proven: float
    spread: Outcome
    means: Outcome
    p_adjusted: float = np.nan
    proven_adjusted: float = np.nan
    verdict: str = ""

    @property
    def process(self) -> str:
        return task_of(self.pairs[0][0])

    @property
    def dataset(self) -> str:
        """The process, for what goes through findings by their series."""
        return self.process

    @property
    def a(self) -> Condition:
        """On the first path."""
        return self.pairs[0][0]

    @property
    def b(self) -> Condition:
        return self.pairs[0][1]

    @property
    def seeds(self) -> tuple[int, int]:
        """Of a condition on a path, the fewest and the most."""
        return span(one for pair in self.pairs for one in pair)

    @property
    def ahead(self) -> int:
        """Paths on which a seed of a more often than not beats one of b."""
        return int((self.thetas > 0.5).sum())

    @property
    def equal(self) -> int:
        return int((self.thetas == 0.5).sum())

    @property
    def decided(self) -> bool:
        return self.verdict in ("better", "worse")

    def row(self) -> dict[str, Any]:
        return {
            "process": self.process, "a": self.a.name, "b": self.b.name, "paths": len(self.pairs), "seeds_least": self.seeds[0], "seeds_most": self.seeds[1],
            "diverged_a": sum(a.diverged for a, _ in self.pairs), "diverged_b": sum(b.diverged for _, b in self.pairs), "theta": self.theta.estimate,
            "theta_low": self.theta.low, "theta_high": self.theta.high, "t": self.theta.statistic, "p": self.theta.p, "p_adjusted": self.p_adjusted,
            "p_proven": self.proven, "p_proven_adjusted": self.proven_adjusted, "sd_of_theta": self.spread.estimate, "sd_low": self.spread.low,
            "sd_high": self.spread.high, "ahead": self.ahead, "equal": self.equal, "first_path": self.a.dataset, "first_path_alone": self.alone[0],
            "paths_alone_better": self.alone.count("better"), "paths_alone_worse": self.alone.count("worse"), "mean_difference": self.means.estimate,
            "mean_low": self.means.low, "mean_high": self.means.high, "verdict": self.verdict,
        }  # fmt: skip


def task_of(one: Condition) -> str:
    """What the draws of a condition's data have in common; empty where nothing is known of any."""
    return one.spot.task if one.spot else ""


def span(conditions: Iterable[Condition]) -> tuple[int, int]:
    """The fewest and the most seeds of any condition."""
    counts = [len(one.errors) for one in conditions]
    return min(counts), max(counts)


def processes(study: Study) -> dict[str, list[str]]:
    """The series that are independent paths of one process, by the process, in the order of their numbers; of :data:`LEAST` paths or more.

    On each the seeds start elsewhere. Were they the same on all, a few starts would decide on every path alike, and pass for the process.
    """
    at = {one.dataset: one.spot.at for one in study if one.spot and one.spot.independent}
    found = {task: sorted((name for name in datasets if name in at), key=at.__getitem__) for task, datasets in study.draws.items()}
    return {task: datasets for task, datasets in found.items() if len(datasets) >= LEAST and not same_starts(study, datasets)}


def same_starts(study: Study, datasets: Iterable[str]) -> bool:
    """Whether the seeds of a condition start from equal initial parameters on two of these series; an older ltm, which did not record them, started all alike."""
    known = [(one.name, one.draws) for dataset in datasets for one in study.series[dataset]]
    return len(set(known)) < len(known)


def beside(study: Study) -> Study:
    """The conditions that are on no path of a process: their series are judged one by one."""
    on_paths = {dataset for datasets in processes(study).values() for dataset in datasets}
    return study.only(one.label for one in study if one.dataset not in on_paths) if on_paths else study


def example(study: Study) -> Study:
    """Of every process the first path alone, for what can be shown of a series only; and all that is on no path."""
    later = {dataset for datasets in processes(study).values() for dataset in datasets[1:]}
    return study.only(one.label for one in study if one.dataset not in later) if later else study


def split(study: Study, pairs: Iterable[Pair]) -> tuple[list[PathClaim], list[Pair]]:
    """Pairs on the paths of a process as one claim each, by the names of both, no p corrected yet; and the pairs of other series as they are."""
    of = processes(study)
    place = {dataset: i for datasets in of.values() for i, dataset in enumerate(datasets)}
    together: dict[tuple[str, str, str], list[Pair]] = {}
    rest: list[Pair] = []
    for a, b in pairs:
        if a.dataset not in place:
            rest.append((a, b))
        elif len(a.errors) and len(b.errors):
            turned = (task_of(a), b.name, a.name) in together
            key = (task_of(a), b.name, a.name) if turned else (task_of(a), a.name, b.name)
            together.setdefault(key, []).append((b, a) if turned else (a, b))
    groups = [tuple(sorted(some, key=lambda pair: place[pair[0].dataset])) for some in together.values()]
    return claims(groups), rest


def claims(groups: Sequence[tuple[Pair, ...]]) -> list[PathClaim]:
    """A claim for each of these pairs on all paths of a process."""
    every = [pair for group in groups for pair in group]
    if not every:
        return []
    theta, v = paths.thetas([a.errors for a, _ in every], [b.errors for _, b in every])
    alone, found, at, flips = by_path_alone(every), [], 0, max(paths.FLIPS, COUNTED * len(groups))
    for group in groups:
        here = slice(at, at + len(group))
        at += len(group)
        most = span(one for pair in group for one in pair)[1]
        found.append(
            PathClaim(
                group, theta[here], tuple(alone[here]), paths.mean_over_paths(theta[here], most, flips), float(paths.proven(theta[None, here])[0]),
                paths.between(theta[here], v[here]), of_means(group),
            )
        )  # fmt: skip
    return found


def by_path_alone(pairs: Sequence[Pair]) -> list[str]:
    """What the default test says of every pair, were its path all there is: corrected over the pairs of that path."""
    theta, p = tested(pairs, finest=0)
    of_path: dict[str, list[int]] = {}
    for i, (a, _) in enumerate(pairs):
        of_path.setdefault(a.dataset, []).append(i)
    said = [""] * len(pairs)
    for rows in of_path.values():
        for i, adjusted in zip(rows, families.adjust(p[rows]).tolist(), strict=True):
            few = wins.floor(len(pairs[i][0].errors), len(pairs[i][1].errors)) * len(rows) >= families.ALPHA
            said[i] = "too few seeds" if few else "undecided"
            if adjusted < families.ALPHA:
                said[i] = "better" if theta[i] > 0.5 else "worse"
    return said


def of_means(group: Sequence[Pair]) -> Outcome:
    """The mean over paths of the difference of means; NaN where some path has no finished seed of either, and for times until success, which have no mean."""
    gaps = np.array([a.mean - b.mean for a, b in group])
    return Outcome(np.nan) if np.isnan(gaps).any() or group[0][0].kind == "time" else paths.mean_difference(gaps)


def verdict(one: PathClaim, tests: int) -> str:
    """The verdict on a claim whose p is corrected over so many tests."""
    if one.p_adjusted < families.ALPHA:
        return "better" if one.theta.estimate > 0.5 else "worse"
    return "too few paths" if paths.floor(len(one.pairs)) * tests >= families.ALPHA else "undecided"


def path_by_path(found: Sequence[PathClaim]) -> pd.DataFrame:
    """theta of every claim on every path: ``process, a, b, path, theta, alone``."""
    return pd.DataFrame(
        [
            {"process": one.process, "a": one.a.name, "b": one.b.name, "path": pair[0].dataset, "theta": float(theta), "alone": alone}
            for one in found
            for pair, theta, alone in zip(one.pairs, one.thetas, one.alone, strict=True)
        ]
    )
