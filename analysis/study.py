"""A study as the analysis sees it: the errors of every condition over its seeds, judged once, by one rule.

The rule for diverged seeds: in ranks a diverged seed comes last (its error is +inf); means and all else that needs numbers are of finished
seeds, with their count beside them. No number is made up for a seed that has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from analysis.columns import METRICS, Columns, Metric, finite, is_ledgers, metric_of, rows
from analysis.naming import Spot, flat, settings_of, spots, told_apart
from analysis.statistics import families, wins
from ltm.errors import UserError, unknown

MOST_DRAWS = 4
"""Draws of one law that a figure has a panel for, each; of more the first stands for all."""

MARGIN = 2.0
"""Within which a condition counts as no worse, or as equivalent: per cent of an error, percentage points of an accuracy or another share."""


@dataclass(frozen=True)
class Rule:
    """How a study is judged.

    Attributes:
        metric: a key of :data:`analysis.columns.METRICS`, or the score of anybody's table; empty: that which a study's seed runs have (:meth:`of`).
        correction: a key of :data:`analysis.statistics.families.CORRECTIONS`.
        margin: of "no worse": per cent of an error, percentage points of an accuracy and of whatever else is a share.
        higher_is_better: where the score of anybody's table is another way than its name says (:func:`analysis.columns.metric_of`).
        anytime: results decided how many seeds there are (``seeds=auto``): only what may be read at any time is told.

    Raises:
        UserError: an unknown correction, or a margin that is no number above 0.
    """

    metric: str = ""
    correction: str = "holm"
    margin: float = MARGIN
    higher_is_better: bool | None = None
    anytime: bool = False

    def of(self, runs: pd.DataFrame) -> Rule:
        """This rule by a metric of a ledger's seed runs: its own, or that of the test part which most of their conditions have, the first of
        :data:`analysis.columns.METRICS` among equals.

        Raises:
            UserError: an unknown metric, or one that these seed runs do not have.
        """
        if self.metric and self.metric not in METRICS:
            raise unknown("metric", self.metric, METRICS)
        has = [name for name in METRICS if name in runs and finite(runs[name]).any()]
        if self.metric and self.metric not in runs:
            raise UserError(f"these seed runs have no {self.metric}; choose another metric of {', '.join(has) or 'none'}.")
        if self.metric or not has:
            return self if self.metric else replace(self, metric=next(iter(METRICS)))
        tested = [name for name in has if name.startswith("test_")] or has
        judged = [runs.loc[finite(runs[name]), "condition"].nunique() for name in tested]
        return replace(self, metric=tested[judged.index(max(judged))])

    @property
    def what(self) -> Metric:
        """What the metric is."""
        return metric_of(self.metric or next(iter(METRICS)), self.higher_is_better)

    @property
    def sign(self) -> int:
        """-1 where higher is better: scores are then ranked with their signs turned."""
        return -1 if self.what.higher else 1

    @property
    def better(self) -> str:
        """``smaller error``, ``higher accuracy``."""
        return f"{'smaller' if self.sign > 0 else 'higher'} {self.what.noun}"

    @property
    def worse(self) -> str:
        """``larger error``, ``lower accuracy``."""
        return f"{'larger' if self.sign > 0 else 'lower'} {self.what.noun}"

    @property
    def within(self) -> str:
        """The margin in words: ``2 %``, ``2 points``."""
        return f"{self.margin:g} {'points' if self.what.in_points else '%'}"

    def __post_init__(self) -> None:
        if self.correction not in families.CORRECTIONS:
            raise unknown("correction", self.correction, families.CORRECTIONS)
        wins.check_margin(self.margin)


@dataclass(frozen=True, eq=False)
class Condition:
    """One point of the grid with the errors of its seeds.

    Attributes:
        label: its key in the ledger, for people; never read by a program.
        dataset: its series; with what tells it from the others (``arfima seed=1``) where a study has several of one name.
        K: filter length; None where the model has none.
        words: what tells it from the other conditions of its model and series besides K: ``lr=0.01``; empty where nothing does.
        seeds: numbers of the seeds, ascending ``(n,)``.
        errors: their errors ``(n,)``, by which they are ranked, smaller is better; +inf where a seed diverged, or its metric is no finite number.
        sign: -1 where errors are scores, higher is better, with their signs turned; all figures below are in the scores' own units.
        points: percentage points in 1 of a score: 100 of an accuracy from 0 to 1, 1 of one in per cent; 0 where differences are in per cent of a score.
        kind: of its metric (:class:`analysis.columns.Metric`); a seed that never had success has a time of +inf.
        spot: where its data lie among those of its study that differ in one number; None where they do not.
        anytime: as of :class:`Rule`.
        draws: digest of the initial parameters that its seeds start from; None where an older ltm did not record them.
        fingerprint: of the data; empty where unknown.
    """

    label: str
    dataset: str
    model: str
    K: int | None
    seeds: np.ndarray
    errors: np.ndarray
    words: str = ""
    draws: str | None = None
    fingerprint: str = ""
    sign: int = 1
    points: float = 0.0
    kind: str = "error"
    spot: Spot | None = None
    anytime: bool = False

    @property
    def family(self) -> str:
        """The model with what was varied besides K: ``mrnn lr=0.01``; its conditions differ in K alone."""
        return " ".join(filter(None, (self.model, self.words)))

    @property
    def name(self) -> str:
        """What it is called beside others of its series: ``mrnn K=100 lr=0.01``."""
        return " ".join(filter(None, (self.model, "" if self.K is None else f"K={self.K}", self.words)))

    @property
    def names(self) -> tuple[str, str, str]:
        """What a user may call it by: ``mrnn``, ``mrnn K=100`` or ``mrnn K=100 / tree``."""
        return self.model, self.name, self.label

    @cached_property
    def finished(self) -> np.ndarray:
        """The scores of the seeds that finished."""
        return self.sign * self.errors[np.isfinite(self.errors)]

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
        return self.sign * self.level

    @property
    def level(self) -> float:
        """The median of ``errors``, by which conditions are sorted: smaller is better."""
        with np.errstate(invalid="ignore"):
            middle = float(np.median(self.errors)) if len(self.errors) else np.nan
        return np.inf if np.isnan(middle) and len(self.errors) else middle

    @property
    def below_0(self) -> bool:
        """Whether some score is below 0: per cent of such have no meaning, so that "no worse" is not asked of it."""
        return not self.points and bool((self.finished < 0).any())

    def relative(self, gap: float, level: float) -> float:
        """A difference of scores in percentage points, or in per cent of a level; NaN where that is 0 or infinite."""
        return gap * self.points if self.points else 100 * gap / abs(level) if level and np.isfinite(level) else np.nan

    def pairs_with(self, other: Condition) -> bool:
        """Whether seeds belong together: both trained the same seeds from equal initial parameters, as an MRNN with K = 25 and K = 100 do."""
        same = self.anytime or np.array_equal(self.seeds, other.seeds)
        return self.draws is not None and self.draws == other.draws and self is not other and same


def is_series(settings: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a condition's data are one series, whose split counts steps; so is what nothing is known of."""
    return "train" in (settings.get("dataset") or {"train": None})


def with_words(conditions: Sequence[Condition], settings: Sequence[Mapping[str, Mapping[str, Any]]]) -> list[Condition]:
    """These conditions with their series and words told from their data and settings.

    Data of one name that are not the same data (``grid.dataset.seed=[0,1]``) are several series: errors on one path say nothing against errors on another.
    """
    of_data: dict[str, dict[str, Mapping[str, Any]]] = {}
    for one, of_one in zip(conditions, settings, strict=True):
        if one.fingerprint:
            of_data.setdefault(one.dataset, {}).setdefault(one.fingerprint, of_one.get("dataset", {}))
    called: dict[tuple[str, str], str] = {}
    at: dict[tuple[str, str], Spot] = {}
    for name, several in of_data.items():
        if len(several) > 1:
            keys, its = [(name, fingerprint) for fingerprint in several], list(several.values())
            called |= {key: f"{name} {words}" for key, words in zip(keys, told_apart(its), strict=True)}
            at |= dict(zip(keys, spots(name, its), strict=False))
    found = [
        replace(one, dataset=called.get((one.dataset, one.fingerprint), one.dataset), spot=at.get((one.dataset, one.fingerprint)))
        for one in conditions
    ]
    groups: dict[tuple[str, str], list[int]] = {}
    for i, one in enumerate(found):
        groups.setdefault((one.dataset, one.model), []).append(i)
    for places in groups.values():
        words = told_apart([flat(settings[i]) for i in places], [found[i].K for i in places])
        for i, said in zip(places, words, strict=True):
            found[i] = replace(found[i], words=said)
    return found


def checked(runs: pd.DataFrame, metric: str, ended: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Errors of a success, -1 or 0: a diverged seed had none.

    Raises:
        UserError: a success that is neither 0 nor 1.
    """
    wrong = np.flatnonzero(ended & np.isfinite(error) & ~np.isin(error, (-1.0, 0.0)))
    if wrong.size:
        row = runs.iloc[wrong[0]]
        raise UserError(f"{metric} of '{row['condition']}' seed {row['seed']} is {row[metric]:g}; expected 0 or 1.")
    return np.where(ended, error, 0.0)


@dataclass(frozen=True, eq=False)
class Study:
    """The conditions of a study, in the order of its grid, and how they are judged.

    Attributes:
        baselines: what needs no network, rows of :meth:`sweeps.store.ledger.Ledger.baselines`; empty where there are none.
        without: labels of the conditions that finished seeds, but none with a finite value of this metric: they are not judged.
        forecasts: whether all data are series to forecast, as far as is known; of other tasks no sentence speaks of series.
        simulated: whether all data are known to be drawn from a seed, so that others of their law could have been.
    """

    conditions: tuple[Condition, ...]
    rule: Rule = field(default_factory=Rule)
    baselines: pd.DataFrame = field(default_factory=pd.DataFrame)
    without: tuple[str, ...] = ()
    forecasts: bool = True
    simulated: bool = False

    @classmethod
    def of(
        cls, runs: pd.DataFrame, rule: Rule | None = None, baselines: pd.DataFrame | None = None, columns: Columns | None = None,
        source: str = "the table",
    ) -> Study:  # fmt: skip
        """From rows of a ledger (``dataset, model, condition, seed, status`` and the metric at least), or from anybody's table of seeds.

        Args:
            columns: which column of anybody's table is what; by their names where None. The score's name is the metric then.
            source: what messages call the table.

        Raises:
            UserError: an unknown metric, or one that no condition has; what :func:`analysis.columns.rows` says of a table.
        """
        rule = rule or Rule()
        if not (is_ledgers(runs) and pd.api.types.is_numeric_dtype(runs["seed"])) or columns not in (None, Columns()):
            runs, metric = rows(runs, columns, source)
            rule = replace(rule, metric=metric)
        else:
            rule = rule.of(runs)
        kind, error = rule.what.kind, rule.sign * runs[rule.metric].to_numpy(float)
        ended = (runs["status"] != "diverged").to_numpy()
        error = np.where(ended & np.isfinite(error), error, np.inf)
        measured = np.isfinite(error)
        if kind == "success":
            error = checked(runs, rule.metric, ended, error)
        has = (
            measured if kind != "time" else runs["test_success"].notna().to_numpy() if "test_success" in runs else np.ones(len(runs), bool)
        )
        points = (1.0 if (np.abs(error[np.isfinite(error)]) > 1).any() else 100.0) if rule.what.in_points else 0.0
        known = {name: runs[name].tolist() if name in runs else [None] * len(runs) for name in ("K", "draws", "fingerprint", "config")}
        datasets, models, labels, seeds = (runs[name].to_numpy() for name in ("dataset", "model", "condition", "seed"))
        order = np.lexsort((seeds, pd.factorize(labels)[0]))
        starts = np.flatnonzero(np.r_[True, labels[order][1:] != labels[order][:-1]]) if len(order) else order
        conditions, settings, without = [], [], []
        for at in np.split(order, starts[1:]) if len(order) else []:
            first = at.min()
            if ended[at].any() and not has[at].any():
                without.append(str(labels[first]))
                continue
            K, draws, data = known["K"][first], [known["draws"][i] for i in at], known["fingerprint"][first]
            conditions.append(
                Condition(
                    str(labels[first]), str(datasets[first]), str(models[first]), None if pd.isna(K) else int(K), seeds[at], error[at],
                    draws=None if any(map(pd.isna, draws)) else str(draws[0]), fingerprint="" if pd.isna(data) else str(data),
                    sign=rule.sign, points=points, kind=kind, anytime=rule.anytime,
                )
            )  # fmt: skip
            settings.append(settings_of(known["config"][first]))
        if (without and not conditions) or (kind == "time" and not np.isfinite(error).any()):
            raise UserError(f"no condition has a finite {rule.metric}; choose another metric of {', '.join(METRICS)}.")
        forecasts = kind == "error" and all(map(is_series, settings))
        simulated = bool(settings) and all({"seed", "path"} & set(one.get("dataset") or {}) for one in settings)
        held = pd.DataFrame() if baselines is None else baselines
        return cls(tuple(with_words(conditions, settings)), rule, held, tuple(without), forecasts, simulated)

    @property
    def noun(self) -> str:
        """What one of its data is called."""
        return "series" if self.forecasts else "task"

    @property
    def nouns(self) -> str:
        """What several of its data are called."""
        return "series" if self.forecasts else "tasks"

    @property
    def plain(self) -> str:
        """What needs no network is called: a forecast of a series, a classifier, or a model of other numbers."""
        return "classifier" if self.rule.what.in_points else "forecast" if self.forecasts else "model"

    @property
    def metric(self) -> str:
        return self.rule.metric

    @property
    def points(self) -> float:
        """As of :class:`Condition`."""
        return self.conditions[0].points if self.conditions else 0.0

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

    @cached_property
    def spots(self) -> dict[str, Spot]:
        """Where the data of a series lie among those that differ in one number, by series, ascending; without those that do not."""
        found = {one.dataset: one.spot for one in self.conditions if one.spot and not one.spot.drawn}
        tasks = list(dict.fromkeys(spot.task for spot in found.values()))
        return dict(sorted(found.items(), key=lambda item: (tasks.index(item[1].task), item[1].at)))

    @cached_property
    def draws(self) -> dict[str, list[str]]:
        """The series that are draws of one law, such as splits of one set of texts, by what they have in common."""
        found: dict[str, dict[str, None]] = {}
        for one in self.conditions:
            if one.spot and one.spot.drawn:
                found.setdefault(one.spot.task, {})[one.dataset] = None
        return {task: list(datasets) for task, datasets in found.items()}

    @cached_property
    def axis(self) -> str:
        """The one number in which all series differ; empty where there is none."""
        keys = {(spot.task, spot.key) for spot in self.spots.values()}
        return next(iter(keys))[1] if len(keys) == 1 and len(self.spots) == len(self.series) else ""

    @cached_property
    def samples(self) -> tuple[str, ...]:
        """The series of figures with a panel each: of those that differ in one number the least, the largest and two between; of many draws of one law the
        first; all others."""
        tasks: dict[tuple[str, str], list[str]] = {}
        for dataset, spot in self.spots.items():
            tasks.setdefault((spot.task, spot.key), []).append(dataset)
        few = {some[round(i * (len(some) - 1) / 3)] for some in tasks.values() for i in range(4)}
        out = {dataset for some in self.draws.values() if len(some) > MOST_DRAWS for dataset in some[1:]}
        out |= {dataset for dataset in self.spots if dataset not in few}
        return tuple(dataset for dataset in dict.fromkeys([*self.spots, *self.series]) if dataset not in out)

    def only(self, labels: Iterable[str]) -> Study:
        """The study of these conditions alone."""
        wanted = set(labels)
        return replace(self, conditions=tuple(one for one in self.conditions if one.label in wanted), without=())

    def lengths(self) -> dict[tuple[str, str], dict[int, Condition]]:
        """Conditions by K, ascending, of every series and model (with what else was varied) that was trained with several K."""
        found: dict[tuple[str, str], dict[int, Condition]] = {}
        for one in self.conditions:
            if one.K is not None:
                found.setdefault((one.dataset, one.family), {})[one.K] = one
        return {key: dict(sorted(by_length.items())) for key, by_length in found.items() if len(by_length) > 1}
