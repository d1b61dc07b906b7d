"""The plan: a study's grid times its seeds, as seed runs with their ids, cut into packs. Pure: no file is touched here."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, cast

from ltm import cells, checks, data
from ltm.cells import Cell, Network
from ltm.cells.record import Record, record
from ltm.engine.check import check
from ltm.errors import UserError
from ltm.training import Lane
from sweeps.config import Composed, TrainingConfig, grid, parse_seeds
from sweeps.console import counted

PROTOCOL_VERSION = 1
"""Raised whenever the same condition and seed would give other numbers by intention: no old result is then reused."""

MOST_CONDITIONS, MOST_RUNS = 100_000, 10_000_000
"""Conditions and seed runs of one study."""

LANE_KEYS = tuple(field.name for field in fields(Lane) if field.name != "seed")
"""Training keys that may differ from lane to lane within one pack."""


NAMES = ("name", "cell", "init")
"""Model keys that decide no numbers beyond what the record of the cell says."""

LONGEST_PAST = 100
"""Past values from which on a longer window costs no more, about."""

CHECKED_STEPS = 8
RECORDS: dict[tuple[type[Cell], str], Record] = {}

SETTINGS_DIGITS = 12
"""Digits of a condition's id that are of its settings and data; those after them are of what its cell computes."""


def digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Condition:
    """One point of the grid: everything but the seed.

    ``fingerprint`` is that of the series (values, split, scaling), ``step`` the digest of what the cell computes and ``draws`` that of
    its initial values (:mod:`ltm.cells.record`).
    """

    model: dict[str, Any]
    dataset: dict[str, Any]
    training: dict[str, Any]
    fingerprint: str
    step: str
    draws: str

    @cached_property
    def id(self) -> str:
        """What decides the numbers: a hash of settings and data, then that of the cell's record. No name does."""
        model = {key: value for key, value in self.model.items() if key not in NAMES}
        return digest([model, self.training, self.fingerprint, PROTOCOL_VERSION])[:SETTINGS_DIGITS] + self.step

    @property
    def shape(self) -> str:
        """Conditions of one shape may share a pack."""
        training = {key: value for key, value in self.training.items() if key not in LANE_KEYS}
        return digest([self.model, training, self.fingerprint, self.step])

    def built(self, series: data.Series | None = None) -> tuple[Network, data.Series]:
        """Its network and its series, which is built where it is not given."""
        series = series or data.build(self.dataset)
        return cells.build(self.model, len(series.values) - 1), series

    def lane(self, seed: int) -> Lane:
        return Lane(seed, **{key: float(self.training[key]) for key in LANE_KEYS})


@dataclass(frozen=True)
class SeedRun:
    """One condition with one seed: the unit of result."""

    condition: Condition
    seed: int

    @cached_property
    def run_id(self) -> str:
        return digest([self.condition.id, self.seed])


@dataclass(frozen=True)
class Pack:
    """Seed runs of one shape, trained together as one program."""

    runs: tuple[SeedRun, ...]

    @cached_property
    def id(self) -> str:
        return digest([run.run_id for run in self.runs])

    @property
    def seed_epochs(self) -> int:
        """Epochs of all its seed runs, where none stops early."""
        return int(self.runs[0].condition.training["max_epochs"]) * len(self.runs)

    @cached_property
    def effort(self) -> float:
        """Floating-point operations of its training, about, where no seed run stops early; within a factor of two of what the kernels count.

        A parameter takes six forward and back, a past value five (a long filter runs as a sum of exponentials), a unit of a state 55.
        """
        network, series = self.runs[0].condition.built()
        states = network.state().values()
        past = sum(state.size * min(state.lags, LONGEST_PAST) for state in states if state.lags > 1)
        step = 6 * network.size + 5 * past + 55 * sum(state.size for state in states)
        return float(step * (series.train + series.validation) * self.seed_epochs)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON, for Ray."""
        conditions = {run.condition.id: asdict(run.condition) for run in self.runs}
        return {"conditions": conditions, "runs": [[run.condition.id, run.seed] for run in self.runs]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Pack:
        conditions = {key: Condition(**value) for key, value in content["conditions"].items()}
        return cls(tuple(SeedRun(conditions[condition], seed) for condition, seed in content["runs"]))


@dataclass(frozen=True)
class Plan:
    """Seed runs to train, condition by condition in the order of the grid.

    Attributes:
        labels: of the conditions, by id.
        title, notes: what is said of it before it is trained; a study's own plan has none.
    """

    conditions: tuple[Condition, ...]
    seeds: tuple[int, ...]
    labels: dict[str, str] = field(default_factory=dict)
    title: str = ""
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> str:
        """``2 conditions x 100 seeds = 200 seed runs``."""
        conditions, seeds = len(self.conditions), len(self.seeds)
        return f"{counted(conditions, 'condition')} x {counted(seeds, 'seed')} = {counted(conditions * seeds, 'seed run')}"

    @property
    def runs(self) -> list[SeedRun]:
        return [SeedRun(condition, seed) for condition in self.conditions for seed in self.seeds]


def make(study: Composed) -> Plan:
    """Expand a study's grid. A key that a model or dataset does not have multiplies nothing for it.

    Raises:
        UserError: a grid key that nothing has, an empty list, or anything a cell, a series or the protocol rejects.
    """
    config = study.config
    axes = {key: values if isinstance(values, list) else [values] for key, values in config.grid.items() if key not in ("model", "dataset")}
    grid.check(axes, grid.keys_of(study.models, study.datasets, asdict(config.training)), "grid", "grid key")
    for key, values in axes.items():
        if not values:
            raise UserError(f"grid.{key} is empty; expected a list of values.")
    seeds = parse_seeds(config.seeds)
    most = len(study.models) * len(study.datasets) * math.prod(map(len, axes.values()))
    if most > MOST_CONDITIONS or most * len(seeds) > MOST_RUNS:
        raise UserError(
            f"{most:,} conditions x {len(seeds):,} seeds are too many for one study; expected at most {MOST_CONDITIONS:,} conditions and"
            f" {MOST_RUNS:,} seed runs. Make several studies of them (study=NAME)."
        )
    conditions: dict[str, Condition] = {}
    for dataset, model in itertools.product(study.datasets, study.models):
        sections = {"model": model, "dataset": dataset, "training": asdict(config.training)}
        mine = {key: values for key, values in axes.items() if grid.place(key, sections)}
        for point in itertools.product(*mine.values()):
            at = dict(zip(mine, point, strict=True))
            condition = resolve(model, dataset, sections["training"], at)
            conditions.setdefault(condition.id, condition)
    return Plan(tuple(conditions.values()), tuple(seeds), {key: label(c, axes) for key, c in conditions.items()})


def resolve(model: Mapping[str, Any], dataset: Mapping[str, Any], training: Mapping[str, Any], at: Mapping[str, Any]) -> Condition:
    """One condition: the values of one grid point put where their keys belong (:mod:`sweeps.config.grid`), and all of it checked."""
    sections = {"model": dict(model), "dataset": dict(dataset), "training": dict(training)}
    for key, value in at.items():
        section, name = cast(tuple[str, str], grid.place(key, sections))
        sections[section][name] = value
    for section in ("model", "dataset"):
        checks.text(f"{section}.name", sections[section].get("name"))
    TrainingConfig(**sections["training"]).check()
    series = data.build(sections["dataset"])
    length = len(series.values) - 1
    network = cells.build(sections["model"], length)
    if sections["model"].get("K") == "full":
        sections["model"]["K"] = length
    known = recorded(network, series)
    return Condition(sections["model"], sections["dataset"], sections["training"], series.fingerprint, known.digest, known.draws)


def recorded(network: Network, series: data.Series) -> Record:
    """The record of a network, which is checked on a few steps when it is met first."""
    key = type(network.cell), repr(network)
    if key not in RECORDS:
        check(network, series.problem().inputs[:CHECKED_STEPS])
        RECORDS[key] = record(network)
    return RECORDS[key]


def settings_of(condition_id: str) -> str | None:
    """The part of a condition's id that is of its settings and data; None for an id as ltm made them before 0.2."""
    return condition_id[:SETTINGS_DIGITS] if len(condition_id) == 2 * SETTINGS_DIGITS else None


def label(condition: Condition, shown: Iterable[str]) -> str:
    """How a condition is called in tables: ``mrnn K=100 / arfima``, with the further keys that its grid varies: ``mrnn K=100 lr=0.1 / arfima d=0.3``."""
    sections = {"model": condition.model, "dataset": condition.dataset, "training": condition.training}
    placed = [place for key in shown if (place := grid.place(key, sections)) and place != ("model", "K")]
    twice = Counter(name for section, name in placed if section != "dataset")

    def words(of: Iterable[str]) -> list[str]:
        return [f"{f'{s}.{name}' if twice[name] > 1 else name}={sections[s][name]}" for s, name in placed if s in of]

    model = str(condition.model["name"]) + (f" K={condition.model['K']}" if "K" in condition.model else "")
    return " ".join([model, *words(("model", "training")), "/", str(condition.dataset["name"]), *words(("dataset",))])


def cut(runs: Sequence[SeedRun], workers: int, size: int | None = None, largest: int = 128) -> list[Pack]:
    """Cut seed runs into packs of one shape each, at most ``size`` lanes.

    Without a size, packs are as large as keeps every worker busy: a study with fewer shapes than workers is spread
    over them, in multiples of 16 lanes, one vector of the processor.
    """
    by_shape: dict[str, list[SeedRun]] = {}
    for run in runs:
        by_shape.setdefault(run.condition.shape, []).append(run)
    if size is None:
        share = -(-len(runs) // max(workers, 1))
        size = min(largest, max(16, -(-share // 16) * 16))
    return [Pack(tuple(group[i : i + size])) for group in by_shape.values() for i in range(0, len(group), size)]
