"""The plan: a study's grid times its seeds, as seed runs with their ids, cut into packs. Pure: no file is touched here."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, cast

from ltm import cells, checks, data
from ltm.cells import ADDED, Cell, Network
from ltm.cells.record import Record, record
from ltm.data.base import Task
from ltm.engine.check import check
from ltm.engine.compiler.decays import RECURRENCES
from ltm.errors import UserError, shown
from ltm.filters import PATTERNS
from ltm.training import metrics
from ltm.training.losses import fitting, smooth_filters
from ltm.training.state import SETTINGS, Lane, Protocol
from ltm.training.stopping import Until
from sweeps.config import Composed, TrainingConfig, grid, parse_seeds
from sweeps.config.schema import LATER
from sweeps.console import counted

PROTOCOL_VERSION = 1
"""Raised whenever the same condition and seed would give other numbers by intention: no old result is then reused."""

MOST_CONDITIONS, MOST_RUNS = 100_000, 10_000_000
"""Conditions and seed runs of one study."""

NAMES = ("name", "cell")
"""Model keys that decide no numbers beyond what the record of the cell says."""

RECORDED = ("default", "released")
"""Values of model key ``init`` that only the record of the cell says; ids hold the others, so that a study can have several."""

LONGEST_PAST = 100
"""Past values from which on a longer window costs no more, about."""

FLOATS = {one.name for one in fields(TrainingConfig) if one.type in (float, "float")}
"""Training keys whose values are floats."""

CHECKED_STEPS = 8
RECORDS: dict[tuple[tuple[type[Cell], ...], str], Record] = {}

SETTINGS_DIGITS = 12
"""Digits of a condition's id that are of its settings and data; those after them are of what its cell computes."""


def digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def off_default(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without those at a default: keys that are added to ltm change no id of what was trained before."""
    return {key: value for key, value in settings.items() if key not in defaults or value != defaults[key]}


@dataclass(frozen=True)
class Condition:
    """One point of the grid: everything but the seed.

    ``fingerprint`` is that of the task (of a series: values, split, scaling), ``step`` the digest of what the network computes and ``draws`` that of
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
        names = NAMES if self.model.get("init", "default") not in RECORDED else (*NAMES, "init")
        model = off_default({key: value for key, value in self.model.items() if key not in names}, ADDED)
        training = off_default(self.training, LATER)
        if "smoothness" in training:  # the record of a cell does not say which of its parameters are smooth
            training["smoothness"] = [training["smoothness"], smooth_filters(self.built()[0].parameters())]
        return digest([model, training, self.fingerprint, PROTOCOL_VERSION])[:SETTINGS_DIGITS] + self.step

    @property
    def shape(self) -> str:
        """Conditions of one shape may share a pack."""
        training = {key: value for key, value in off_default(self.training, LATER).items() if key not in SETTINGS}
        return digest([off_default(self.model, ADDED), training, self.fingerprint, self.step])

    def built(self, task: Task | None = None) -> tuple[Network, Task]:
        """Its network and its task, which is built where it is not given."""
        task = task or data.build(self.dataset)
        return cells.build(self.model, task), task

    def lane(self, seed: int) -> Lane:
        return Lane(seed, **{key: float(self.training[key]) for key in SETTINGS if key in self.training})

    @property
    def protocol(self) -> Protocol:
        """The training that its lanes share; what is null stands for the protocol's own default."""
        said = {f.name: value for f in fields(Protocol) if (value := self.training.get(f.name)) is not None}
        return Protocol(**said | ({"until": Until.of(said["until"])} if "until" in said else {}))


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
    """

    conditions: tuple[Condition, ...]
    seeds: tuple[int, ...]
    labels: dict[str, str] = field(default_factory=dict)
    title: str = ""
    notes: tuple[str, ...] = ()
    places: dict[str, Place] = field(default_factory=dict)

    @property
    def size(self) -> str:
        """``2 conditions x 100 seeds = 200 seed runs``."""
        conditions, seeds = len(self.conditions), len(self.seeds)
        return f"{counted(conditions, 'condition')} x {counted(seeds, 'seed')} = {counted(conditions * seeds, 'seed run')}"

    @property
    def of_data(self) -> tuple[str, ...]:
        """What is to be told of its data, such as that missing values were filled."""
        datasets = {condition.fingerprint: condition.dataset for condition in self.conditions}
        return tuple(dict.fromkeys(note for dataset in datasets.values() for note in data.build(dataset).notes))

    @property
    def runs(self) -> list[SeedRun]:
        return [SeedRun(condition, seed) for condition in self.conditions for seed in self.seeds]


def make(study: Composed) -> Plan:
    """Expand a study's grid. A key that a model or dataset does not have multiplies nothing for it.

    Raises:
        UserError: a grid key that nothing has, an empty list, or anything a cell, a series or the protocol rejects.
    """
    seeds = parse_seeds(study.config.seeds)
    most = sum(map(points_of, study.blocks or (study,)))
    if most > MOST_CONDITIONS or most * len(seeds) > MOST_RUNS:
        raise UserError(
            f"{most:,} conditions x {len(seeds):,} seeds are too many for one study; expected at most {MOST_CONDITIONS:,} conditions and"
            f" {MOST_RUNS:,} seed runs. Make several studies of them (study=NAME)."
        )
    conditions = {condition.id: condition for block in study.blocks or (study,) for condition in conditions_of(block)}
    labels = {key: label(c, grid.named(study.config)) for key, c in conditions.items()}
    if twice := next((name for name, count in Counter(labels.values()).items() if count > 1), None):
        raise UserError(
            f"several conditions of the blocks are called '{twice}'; write a key that tells them apart as a list: variant: [a]."
        )
    return Plan(tuple(conditions.values()), tuple(seeds), labels, notes=whole_batches(conditions.values()))


def axes_of(study: Composed) -> dict[str, list[Any]]:
    """What a grid varies besides models and datasets: every key with its values."""
    given = study.config.grid.items()
    return {key: values if isinstance(values, list) else [values] for key, values in given if key not in ("model", "dataset")}


def points_of(study: Composed) -> int:
    """Points of a grid, those that coincide counted too."""
    return len(study.models) * len(study.datasets) * math.prod(map(len, axes_of(study).values()))


def conditions_of(study: Composed) -> list[Condition]:
    """The conditions of a grid, in its order, each once."""
    config, axes = study.config, axes_of(study)
    grid.check(axes, grid.keys_of(study.models, study.datasets, asdict(config.training)), "grid", "grid key")
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


def resolve(model: Mapping[str, Any], dataset: Mapping[str, Any], training: Mapping[str, Any], at: Mapping[str, Any]) -> Condition:
    """One condition: the values of one grid point put where their keys belong (:mod:`sweeps.config.grid`), and all of it checked."""
    sections = {"model": dict(model), "dataset": dict(dataset), "training": dict(training)}
    for key, value in at.items():
        section, name = cast(tuple[str, str], grid.place(key, sections))
        sections[section][name] = value
    if any(grid.place(key, sections) == ("model", "cells") for key in at):
        sections["model"] = of_cells(sections["model"])
    sections["model"], sections["training"] = with_floats(sections["model"]), as_floats(sections["training"], FLOATS)
    for section in ("model", "dataset"):
        checks.text(f"{section}.name", sections[section].get("name"))
    TrainingConfig(**sections["training"]).check()
    if (until := sections["training"].get("until")) is not None:
        sections["training"]["until"] = Until.of(until).settings
    task = data.build(sections["dataset"])
    metrics.check(task.metrics, fitting(sections["training"].get("loss") or "", task).targets)
    network = cells.build(sections["model"], task)
    if sections["model"].get("K") == "full":
        sections["model"]["K"] = task.steps
    known = recorded(network, task)
    condition = Condition(sections["model"], sections["dataset"], sections["training"], task.fingerprint, known.digest, known.draws)
    condition.protocol.fitted(task)
    return condition


def of_cells(model: Mapping[str, Any]) -> dict[str, Any]:
    """A model whose cells a grid names, without the fields of its own cell that none of them has: K multiplies nothing for ``[lstm, lstm]``."""
    named = model["cells"] if isinstance(model["cells"], list) else []  # what it is else, cells.build refuses
    if not named:
        return dict(model)
    vain = cells.options(cells.find(str(model["cell"]))) - cells.options(*(cells.find(str(one)) for one in named))
    return {key: value for key, value in model.items() if key not in vain}


def with_floats(model: Mapping[str, Any]) -> dict[str, Any]:
    """A model with floats where these are expected, so that 1 and 1.0 are one condition: fields of its cells, and biases of gates."""
    named = model.get("cells") if isinstance(model.get("cells"), list) else None
    kinds = [cells.find(str(one)) for one in named or [model["cell"]]]
    floats = {one.name for kind in kinds for one in fields(kind) if one.type in (float, "float")}
    found = as_floats(model, {*floats, "forget_bias"})
    gates = found.get("gate_biases")
    return found | {"gate_biases": as_floats(gates, gates)} if isinstance(gates, Mapping) else found


def as_floats(settings: Mapping[str, Any], keys: Container[str]) -> dict[str, Any]:
    """Settings with whole numbers of these keys, and of lists of theirs, as floats."""

    def one(value: Any) -> Any:
        return [one(x) for x in value] if isinstance(value, list) else float(value) if type(value) is int else value

    return {key: one(value) if key in keys else value for key, value in settings.items()}


def recorded(network: Network, task: Task) -> Record:
    """The record of a network, which is checked on a few steps when it is met first."""
    key = tuple(type(part.cell) for part in network.parts), repr(network)
    if key not in RECORDS:
        check(network, task.train.inputs[0][:CHECKED_STEPS])
        RECORDS[key] = record(network)
    return RECORDS[key]


def settings_of(condition_id: str) -> str | None:
    """The part of a condition's id that is of its settings and data; None for an id as ltm made them before 0.2."""
    return condition_id[:SETTINGS_DIGITS] if len(condition_id) == 2 * SETTINGS_DIGITS else None


def label(condition: Condition, shown: Iterable[str]) -> str:
    """How a condition is called in tables: ``mrnn K=100 / arfima``, with the further keys that its grid varies: ``mrnn K=100 lr=0.1 / arfima d=0.3``; and
    with its decay, where that is not the fractional one."""
    sections = {"model": condition.model, "dataset": condition.dataset, "training": condition.training}
    if condition.model.get("decay", ADDED["decay"]) != ADDED["decay"] and not {"decay", "model.decay"} & set(shown := list(shown)):
        shown = ["model.decay", *shown]
    placed = [place for key in shown if (place := grid.place(key, sections)) and place != ("model", "K")]
    twice = Counter(name for section, name in placed if section != "dataset")

    def words(of: Iterable[str]) -> list[str]:
        return [f"{f'{s}.{name}' if twice[name] > 1 else name}={in_label(sections[s][name])}" for s, name in placed if s in of]

    model = str(condition.model["name"]) + (f" K={condition.model['K']}" if "K" in condition.model else "")
    return " ".join([model, *words(("model", "training")), "/", str(condition.dataset["name"]), *words(("dataset",))])


def in_label(value: Any) -> str:
    """A value in a label: ``mrnnf+lstm`` for a list of names."""
    return (
        "+".join(value)
        if isinstance(value, list) and value and all(isinstance(one, str) for one in value)
        else "null"
        if value is None
        else str(value)
    )


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
