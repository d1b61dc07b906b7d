"""The plan: a study's grid times its seeds, as seed runs with their ids, cut into packs. Pure: no file is touched here."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from ltm import data
from ltm.cells import Cell, Network
from ltm.data.base import Task
from ltm.engine.compiler.decays import RECURRENCES
from ltm.errors import UserError, shown
from ltm.filters import PATTERNS
from sweeps.condition import Condition, digest, label, resolve
from sweeps.config import Composed, grid, parse_seeds
from sweeps.console import counted

MOST_RUNS = 10_000_000
"""Seed runs of one study."""

LONGEST_PAST = 100
"""Past values from which on a longer window costs no more, about."""


@dataclass(frozen=True)
class Place:
    """Where a condition trains: the name of its engine, and ``cpu`` or ``cuda``."""

    engine: str
    device: str

    def __str__(self) -> str:
        return f"{self.engine} on {self.device}"


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

    @cached_property
    def seed_epochs(self) -> int:
        """Epochs of all its seed runs, where none stops early."""
        condition = self.runs[0].condition
        return condition.protocol.fitted(data.build(condition.dataset)).max_epochs * len(self.runs)

    @cached_property
    def effort(self) -> float:
        """Floating-point operations of its training, about, where no seed run stops early; within a factor of two of what the kernels count."""
        network, task = self.runs[0].condition.built()
        return operations_a_step(network) * steps_an_epoch(task) * self.seed_epochs

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON, for Ray."""
        conditions = {run.condition.id: asdict(run.condition) for run in self.runs}
        return {"conditions": conditions, "runs": [[run.condition.id, run.seed] for run in self.runs]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Pack:
        conditions = {key: Condition(**value) for key, value in content["conditions"].items()}
        return cls(tuple(SeedRun(conditions[condition], seed) for condition, seed in content["runs"]))


def operations_a_step(network: Network) -> float:
    """Floating-point operations of one step of one sequence, forward and back, about.

    A parameter takes six, a unit of a state 55, the past what :func:`of_past` says. Symbols are looked up, which is nothing.
    """
    units = sum(state.size for part in network.parts for state in part.cell.state().values())
    past = sum(of_past(part.cell) for part in network.parts)
    return float(6 * (network.size - network.symbols * network.embedding) + past + 55 * units)


def of_past(cell: Cell) -> float:
    """Operations of a step on past values: five each (a long filter runs as a sum of exponentials), and of a filter of another decay, O(K), those of its weights.

    Such a filter on the input has no more of the step than its parameters where it is smooth enough for :attr:`ltm.filters.Pattern.terms`.
    """
    decay, lagged = getattr(cell, "decay", "fractional"), [state for state in cell.state().values() if state.lags > 1]
    if decay not in RECURRENCES:
        return float(5 * sum(state.size * min(state.lags, LONGEST_PAST) for state in lagged))
    pattern, weight = PATTERNS[decay], RECURRENCES[decay].cost
    forward = weight + 2 + 2 * len(pattern.parameters)
    if lagged:
        return float(sum(state.size * state.lags * (forward + weight // 2 + 2) for state in lagged))
    return 0.0 if pattern.terms else float(cell.input_size * getattr(cell, "K", 0) * forward)


def steps_an_epoch(task: Task) -> float:
    """Steps of an epoch, about: of a series those of both parts, whose kernel is one; of sequences a third of those that are only run forward."""
    if task.split:
        return float(sum(task.split))
    return float(task.train.lengths.sum() + task.validation.lengths.sum() / 3)


@dataclass(frozen=True)
class Plan:
    """Seed runs to train, condition by condition in the order of the grid.

    Attributes:
        labels: of the conditions, by id.
        title, notes: what is said of it before it is trained.
        places: of the conditions, by id, once they are decided (:mod:`sweeps.execution.placing`).
        seeds_of: of a condition, by id, where it does not train all ``seeds``.
        ahead: seed runs that later plans may ask for, at most; so that workers are started for these, too.
    """

    conditions: tuple[Condition, ...]
    seeds: tuple[int, ...]
    labels: dict[str, str] = field(default_factory=dict)
    title: str = ""
    notes: tuple[str, ...] = ()
    places: dict[str, Place] = field(default_factory=dict)
    seeds_of: dict[str, tuple[int, ...]] = field(default_factory=dict)
    ahead: int = 0

    @property
    def size(self) -> str:
        """``2 conditions x 100 seeds = 200 seed runs``."""
        conditions = counted(len(self.conditions), "condition")
        each = {len(self.seeds_of.get(one.id, self.seeds)) for one in self.conditions}
        times = f" x {counted(each.pop(), 'seed')}" if len(each) == 1 else ""
        return f"{conditions}{times} = {counted(len(self.runs), 'seed run')}"

    @property
    def of_data(self) -> tuple[str, ...]:
        """What is to be told of its data, such as that missing values were filled."""
        datasets = {condition.fingerprint: condition.dataset for condition in self.conditions}
        return tuple(dict.fromkeys(note for dataset in datasets.values() for note in data.build(dataset).notes))

    @property
    def runs(self) -> list[SeedRun]:
        return [SeedRun(condition, seed) for condition in self.conditions for seed in self.seeds_of.get(condition.id, self.seeds)]


def make(study: Composed) -> Plan:
    """Expand a study's grid. A key that a model or dataset does not have multiplies nothing for it.

    Raises:
        UserError: a grid key that nothing has, an empty list, or anything a cell, a series or the protocol rejects.
    """
    seeds = parse_seeds(study.config.seeds)
    most = sum(map(grid.points_of, study.blocks or (study,)))
    if most > grid.MOST_CONDITIONS or most * len(seeds) > MOST_RUNS:
        raise UserError(
            f"{most:,} conditions x {len(seeds):,} seeds are too many for one study; expected at most {grid.MOST_CONDITIONS:,} conditions and"
            f" {MOST_RUNS:,} seed runs. Make several studies of them (study=NAME)."
        )
    conditions = {condition.id: condition for block in study.blocks or (study,) for condition in conditions_of(block)}
    labels = {key: label(c, grid.named(study.config)) for key, c in conditions.items()}
    if twice := next((name for name, count in Counter(labels.values()).items() if count > 1), None):
        raise UserError(
            f"several conditions of the blocks are called '{twice}'; write a key that tells them apart as a list: variant: [a]."
        )
    return Plan(tuple(conditions.values()), tuple(seeds), labels, notes=whole_batches(conditions.values()))


def conditions_of(study: Composed) -> list[Condition]:
    """The conditions of a grid, in its order, each once."""
    config, axes = study.config, grid.axes_of(study)
    grid.check(axes, grid.keys_of(study.models, study.datasets, asdict(config.training)), "grid", "grid key", data.instead(study.datasets))
    for key, values in axes.items():
        if not values:
            raise UserError(f"grid.{key} is empty; expected a list of values.")
        if grid.split(key)[1] == "cells" and any(isinstance(value, str) for value in values):
            raise UserError(
                f"grid.{key} is {shown(values)}; expected a list of networks, each the list of its cells: grid.{key}=[[{','.join(map(str, values))}]]."
            )
    conditions: dict[str, Condition] = {}
    for dataset, model in itertools.product(study.datasets, study.models):
        sections = {"model": model, "dataset": dataset, "training": asdict(config.training)}
        mine = {key: values for key, values in axes.items() if grid.place(key, sections)}
        for point in itertools.product(*mine.values()):
            at = dict(zip(mine, point, strict=True))
            condition = resolve(model, dataset, sections["training"], at)
            conditions.setdefault(condition.id, condition)
    return list(conditions.values())


def whole_batches(conditions: Iterable[Condition]) -> tuple[str, ...]:
    """What is said of batches that are larger than the data, a line a task."""
    found: dict[str, str] = {}
    for condition in conditions:
        batch = condition.training.get("batch")
        if batch and batch > (held := len(data.build(condition.dataset).train)):
            found.setdefault(
                condition.dataset["name"],
                f"training.batch is {batch}, and {condition.dataset['name']} has {counted(held, 'training sequence')}: each update reads all of it",
            )
    return tuple(found.values())


def cut(
    runs: Sequence[SeedRun], workers: int, size: int | None = None, largest: int = 128, most: Callable[[Condition], int] | None = None
) -> list[Pack]:
    """Cut seed runs into packs of one shape each, at most ``size`` lanes, and at most as many as ``most`` says of a condition.

    Without a size, packs are as large as keeps every worker busy: a study with fewer shapes than workers is spread
    over them, in multiples of 16 lanes, one vector of the processor.
    """
    by_shape: dict[str, list[SeedRun]] = {}
    for run in runs:
        by_shape.setdefault(run.condition.shape, []).append(run)
    if size is None:
        share = -(-len(runs) // max(workers, 1))
        size = min(largest, max(16, -(-share // 16) * 16))
    packs = []
    for group in by_shape.values():
        lanes = min(size, most(group[0].condition)) if most else size
        packs += [Pack(tuple(group[i : i + lanes])) for i in range(0, len(group), lanes)]
    return packs
