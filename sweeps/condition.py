"""A condition: one point of a study's grid, its settings put where they belong and checked; its id, and what it is called."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, cast

from ltm import cells, checks, data
from ltm.cells import ADDED, Cell, Network
from ltm.cells.record import Record, record
from ltm.data.base import Task
from ltm.engine.check import check
from ltm.training import metrics
from ltm.training.losses import fitting, smooth_filters
from ltm.training.state import SETTINGS, Lane, Protocol
from ltm.training.stopping import Until
from sweeps.config import TrainingConfig, grid
from sweeps.config.schema import LATER

PROTOCOL_VERSION = 1
"""Raised whenever the same condition and seed would give other numbers by intention: no old result is then reused."""

NAMES = ("name", "cell")
"""Model keys that decide no numbers beyond what the record of the cell says."""

RECORDED = ("default", "released")
"""Values of model key ``init`` that only the record of the cell says; ids hold the others, so that a study can have several."""

FLOATS = {one.name for one in fields(TrainingConfig) if one.type in (float, "float")}
"""Training keys whose values are floats."""

CHECKED_STEPS = 8
RECORDS: dict[tuple[tuple[type[Cell], ...], str], Record] = {}

SETTINGS_DIGITS = 12
"""Digits of a condition's id that are of its settings and data; those after them are of what its cell computes."""


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
        """The lane of a seed, which draws by its number on these data (:func:`ltm.data.number_of`)."""
        return Lane(data.number_of(seed, self.dataset), **{key: float(self.training[key]) for key in SETTINGS if key in self.training})

    @property
    def protocol(self) -> Protocol:
        """The training that its lanes share; what is null stands for the protocol's own default."""
        said = {f.name: value for f in fields(Protocol) if (value := self.training.get(f.name)) is not None}
        return Protocol(**said | ({"until": Until.of(said["until"])} if "until" in said else {}))


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
    known = recorded(network, task, sections["dataset"])
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


def recorded(network: Network, task: Task, dataset: Mapping[str, Any]) -> Record:
    """The record of a network on a draw of data; it is checked on a few steps when it is met first."""
    key = tuple(type(part.cell) for part in network.parts), repr(network)
    if key not in RECORDS:
        check(network, task.train.inputs[0][:CHECKED_STEPS])
        RECORDS[key] = record(network)
    return RECORDS[key].elsewhere(data.draw_of(dataset))


def settings_of(condition_id: str) -> str | None:
    """The part of a condition's id that is of its settings and data; None for an id as ltm made them before 0.2."""
    return condition_id[:SETTINGS_DIGITS] if len(condition_id) == 2 * SETTINGS_DIGITS else None


def digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def off_default(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without those at a default: keys that are added to ltm change no id of what was trained before."""
    return {key: value for key, value in settings.items() if key not in defaults or value != defaults[key]}


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
