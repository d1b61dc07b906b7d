"""Where every condition trains, engine and device: decided once, by cell and task, and kept in the study's record; and how large its packs are."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby

from ltm.data.base import Task
from ltm.engine import planned
from ltm.errors import UserError
from ltm.training.state import Protocol
from sweeps.condition import Condition
from sweeps.config import ComputeConfig, StudyConfig
from sweeps.execution.cluster import Slots, no_gpu
from sweeps.plan import Pack, Place, Plan, SeedRun, cut
from sweeps.record import write
from sweeps.store.ledger import Ledger

PLACES = "places"
"""In a study's record: the ids of its conditions by place, such as ``torch on cuda``."""

WIDE = 300_000
"""Parameters times sequences of an update from which on a GPU is taken: about what 128 lanes need to keep it as busy as sixteen cores are (not measured)."""

GIB = 2.0**30

MOST = 2**20
"""Seed runs of a pack, whatever its size."""

HELD: dict[tuple[object, ...], int] = {}
"""What :func:`lanes_within` has found, by all that it depends on: an engine is a twentieth of a second, and a study of a process has a thousand conditions."""

LARGEST = {"cpu": 128, "cuda": 1024}
"""Seed runs of a pack at most, unless ``compute.pack_size`` says otherwise."""


def decided(plan: Plan, config: StudyConfig, slots: Slots, ledger: Ledger) -> dict[str, Place]:
    """The place of every condition of a plan, by id: as the study's record has it, unless engine or device are named; else by the rule.

    Raises:
        UserError: a GPU that is named, or that the study has trained on before, and that is not here.
    """
    named = config.engine != "auto" or config.compute.device != "auto"
    held = {} if named else kept(ledger)
    found = {condition.id: held.get(condition.id) or place_of(condition, config, slots.cuda > 0) for condition in plan.conditions}
    if lost := next((key for key, place in found.items() if place.device == "cuda" and not slots.cuda), None):
        if lost in held:
            raise UserError(
                f"'{plan.labels[lost]}' was begun on a GPU, and there is none here (or none that compute.gpus_per_pack leaves to a pack); go on"
                " where there is one, or name another place: compute.device=cpu."
            )
        raise no_gpu("engine=cuda" if config.engine == "cuda" else "compute.device=cuda", config.compute)
    return found


def place_of(condition: Condition, config: StudyConfig, gpus: bool) -> Place:
    """The rule: what is named; else wide networks on a GPU where there is one, by torch, and all others on CPUs."""
    engine, device = config.engine, config.compute.device
    if engine in ("cpu", "cuda"):
        return Place(engine, engine)
    if device == "auto":
        device = "cuda" if gpus and is_wide(condition) else "cpu"
    return Place("torch" if device == "cuda" else engine, device)


def is_wide(condition: Condition) -> bool:
    network, task = condition.built()
    return network.size * of_an_update(task, condition.protocol) >= WIDE


def of_an_update(task: Task, protocol: Protocol) -> int:
    """Sequences that an update reads."""
    return min(protocol.batch or len(task.train), len(task.train))


def kept(ledger: Ledger) -> dict[str, Place]:
    """The places in a study's record, by condition."""
    said = ledger.record().get(PLACES) or {}
    return {key: Place(*name.split(" on ")) for name, keys in said.items() for key in keys}


def keep(ledger: Ledger, places: Mapping[str, Place]) -> None:
    """Write these places into the study's record, beside those of its other conditions."""
    record, before = ledger.record(), kept(ledger)
    whole = {**before, **places}
    if record and whole != before:
        by_name = sorted((str(place), key) for key, place in whole.items())
        write(ledger, record | {PLACES: {name: [key for _, key in keys] for name, keys in groupby(by_name, lambda pair: pair[0])}})


def packs_of(missing: Sequence[SeedRun], places: Mapping[str, Place], slots: Slots, compute: ComputeConfig) -> list[Pack]:
    """Seed runs cut into packs for the slots of each place, and no larger than the memory there."""
    packs = []
    for place in sorted({places[run.condition.id] for run in missing}, key=str):
        mine = [run for run in missing if places[run.condition.id] == place]
        workers, free = slots.on(place.device)
        most = partial(lanes_within, compute.memory * GIB if compute.memory else free, place, compute.cpus_per_pack)
        packs += cut(mine, workers, compute.pack_size, LARGEST[place.device], most)
    return packs


def lanes_within(free: float, place: Place, threads: int, condition: Condition) -> int:
    """How many lanes of a condition a pack of so many bytes holds on a place, 1 at least, by the estimate of its engine (:meth:`ltm.engine.Engine.memory`)."""
    if math.isinf(free):
        return MOST
    network, task = condition.built()
    key = (repr(network), tuple(type(part.cell) for part in network.parts), form(task), repr(condition.protocol), place, threads, free)
    if key not in HELD:
        engine = planned(place.engine, network, task, condition.protocol, threads, place.device, free)
        HELD[key] = max(bisect_right(range(1, MOST + 1), free, key=engine.memory), 1)
    return HELD[key]


def form(task: Task) -> tuple[object, ...]:
    """What of a task decides how much memory it takes: paths of one process have one form."""
    parts = [task.train] if task.split else [task.train, task.validation, task.test]
    arrays = tuple((name, array.shape, array.dtype.str) for part in parts for name, array in part.arrays.items())
    return task.split, task.draws, arrays, int((task.test.weight > 0).sum())
