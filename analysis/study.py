"""A study as the analysis sees it: the errors of every condition over its seeds, judged once, by one rule.

The rule for diverged seeds: in ranks a diverged seed comes last (its error is +inf); means and all else that needs numbers are of finished
seeds, with their count beside them. No number is made up for a seed that has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ltm.errors import UserError, unknown

METRICS = ("test_rmse", "test_mae", "test_mape", "validation_loss", "train_loss")


@dataclass(frozen=True, eq=False)
class Condition:
    """One point of the grid with the errors of its seeds.

    Attributes:
        label: as in the ledger, with its series; ``name`` is without.
        dataset: its series; with what tells it from the others (``arfima seed=1``) where a study has several of one name.
        K: filter length; None where the model has none.
        seeds: numbers of the seeds, ascending ``(n,)``.
        errors: their errors ``(n,)``; +inf where a seed diverged, or its metric is no finite number.
        draws: digest of the initial parameters that its seeds start from; None where an older ltm did not record them.
        fingerprint: of the data; empty where unknown.
    """

    label: str
    dataset: str
    model: str
    K: int | None
    seeds: np.ndarray
    errors: np.ndarray
    draws: str | None = None
    fingerprint: str = ""

    @property
    def name(self) -> str:
        """The label without its series."""
        return name_of(self.label, self.dataset)

    @cached_property
    def finished(self) -> np.ndarray:
        """The errors of the seeds that finished."""
        return self.errors[np.isfinite(self.errors)]

    @property
    def diverged(self) -> int:
        return len(self.errors) - len(self.finished)

    @property
    def mean(self) -> float:
        """Over finished seeds; NaN where none did."""
        return float(self.finished.mean()) if len(self.finished) else np.nan

    @property
    def median(self) -> float:
        """Over all seeds, diverged ones last: infinite where more than half diverged, NaN without seeds."""
        with np.errstate(invalid="ignore"):
            middle = float(np.median(self.errors)) if len(self.errors) else np.nan
        return np.inf if np.isnan(middle) and len(self.errors) else middle

    def pairs_with(self, other: Condition) -> bool:
        """Whether seeds belong together: both trained the same seeds from equal initial parameters, as an MRNN with K = 25 and K = 100 do."""
        return self.draws is not None and self.draws == other.draws and self is not other and np.array_equal(self.seeds, other.seeds)


def name_of(label: str, dataset: str) -> str:
    """A label without its series."""
    return label.removesuffix(f" / {dataset}") if label.endswith(f" / {dataset}") else label.rpartition(" / ")[0] or label


def series_of(datasets: list[Any], fingerprints: list[Any], labels: list[Any]) -> list[str]:
    """The series of every row. Data of one name that are not the same data (``grid.dataset.seed=[0,1]``) are several: errors on one path say
    nothing against errors on another. They are called by the words that only their own labels share, else numbered.
    """
    data_of = ["" if pd.isna(one) else str(one) for one in fingerprints]
    words: dict[str, dict[str, set[str]]] = {}
    for dataset, data, label in dict.fromkeys(zip(datasets, data_of, labels, strict=True)):
        if data:
            own, held = set(name_of(label, dataset).split(" ")), words.setdefault(dataset, {})
            held[data] = held.get(data, own) & own
    names: dict[tuple[str, str], str] = {}
    for dataset, by_data in words.items():
        common = set.intersection(*by_data.values())
        said = [" ".join(sorted(mine - common)) for mine in by_data.values()]
        told = all(said) and len(set(said)) == len(said)
        if len(by_data) > 1:
            names |= {(dataset, data): f"{dataset} {said[i] if told else f'({i + 1})'}" for i, data in enumerate(by_data)}
    return [names.get((dataset, data), dataset) for dataset, data in zip(datasets, data_of, strict=True)]


@dataclass(frozen=True, eq=False)
class Study:
    """The conditions of a study, in the order of its grid, by one metric. Lower values are better throughout.

    Attributes:
        without: labels of the conditions that finished seeds, but none with a finite value of this metric: they are not judged.
    """

    metric: str
    conditions: tuple[Condition, ...]
    without: tuple[str, ...] = ()

    @classmethod
    def of(cls, runs: pd.DataFrame, metric: str = "test_rmse") -> Study:
        """From rows of a ledger: ``dataset, model, condition, seed, status`` and the metric at least.

        Raises:
            UserError: an unknown metric, or one that no condition has.
        """
        if metric not in METRICS:
            raise unknown("metric", metric, METRICS)
        error = runs[metric].to_numpy(float)
        ended = (runs["status"] != "diverged").to_numpy()
        error = np.where(ended & np.isfinite(error), error, np.inf)
        columns = {
            name: runs[name].tolist() if name in runs else [None] * len(runs) for name in ("dataset", "model", "K", "draws", "fingerprint")
        }
        columns["dataset"] = series_of(columns["dataset"], columns["fingerprint"], runs["condition"].tolist())
        labels, seeds = runs["condition"].to_numpy(), runs["seed"].to_numpy()
        order = np.lexsort((seeds, pd.factorize(labels)[0]))
        starts = np.flatnonzero(np.r_[True, labels[order][1:] != labels[order][:-1]]) if len(order) else order
        conditions, without = [], []
        for at in np.split(order, starts[1:]) if len(order) else []:
            first = at.min()
            if ended[at].any() and not np.isfinite(error[at]).any():
                without.append(str(labels[first]))
                continue
            K, draws = columns["K"][first], [columns["draws"][i] for i in at]
            conditions.append(
                Condition(
                    str(labels[first]), str(columns["dataset"][first]), str(columns["model"][first]), None if pd.isna(K) else int(K), seeds[at],
                    error[at], None if any(map(pd.isna, draws)) else str(draws[0]), str(columns["fingerprint"][first] or ""),
                )
            )  # fmt: skip
        if without and not conditions:
            raise UserError(f"no condition has a finite {metric}; choose another metric of {', '.join(METRICS)}.")
        return cls(metric, tuple(conditions), tuple(without))

    def __iter__(self) -> Iterator[Condition]:
        return iter(self.conditions)

    def __len__(self) -> int:
        return len(self.conditions)

    @cached_property
    def by_label(self) -> dict[str, Condition]:
        return {condition.label: condition for condition in self.conditions}

    @cached_property
    def series(self) -> dict[str, list[Condition]]:
        """Conditions by series."""
        found: dict[str, list[Condition]] = {}
        for condition in self.conditions:
            found.setdefault(condition.dataset, []).append(condition)
        return found

    def only(self, labels: Iterable[str]) -> Study:
        """The study of these conditions alone."""
        wanted = set(labels)
        return Study(self.metric, tuple(condition for condition in self.conditions if condition.label in wanted))

    def lengths(self) -> dict[tuple[str, str], dict[int, Condition]]:
        """Conditions by K, ascending, of every series and model (with what else was varied) that was trained with several K."""
        found: dict[tuple[str, str], dict[int, Condition]] = {}
        for one in self.conditions:
            if one.K is not None:
                rest = " ".join(word for word in one.name.split(" ") if not word.startswith("K="))
                found.setdefault((one.dataset, rest), {})[one.K] = one
        return {key: dict(sorted(by_length.items())) for key, by_length in found.items() if len(by_length) > 1}
