"""How long packs train: in no time from their effort, or measured on a few epochs of each shape."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ltm.engine import Engine, choose
from ltm.errors import UserError
from sweeps.condition import Condition, digest
from sweeps.config import StudyConfig
from sweeps.execution import cluster
from sweeps.execution.worker import training_of
from sweeps.plan import Pack, Place, Plan, SeedRun, cut
from sweeps.store.ledger import Ledger

OPERATIONS_A_SECOND = 8e10
"""Of one core in training, measured over all cells (45 to 270 billion, AMD EPYC with 512-bit vectors)."""

LONG_ENOUGH = 0.05
"""Seconds of training from which on a pace is believed."""

TYPICAL, ENOUGH = 0.85, 10
"""Share of their epochs that seed runs train before they stop early: 0.78 in Table 2, 0.89 in the study of K; and seed runs that tell a study's own."""

IN_PROCESS_SECONDS = 10.0
"""A plan that is about so long in training is trained in this process: Ray takes about as long to start."""

AROUND = 20
"""Seconds that a sweep of some dozens of conditions takes beside its training, on two cores."""

CPU = Place("auto", "cpu")


def quick(packs: Iterable[Pack]) -> float:
    """Seconds that these packs train on one core of this kind, about, where no seed run stops early; without the compilation of kernels (seconds a
    cell, once a machine), and not for a network that only the torch engine covers, which takes far longer.
    """
    return sum(pack.effort for pack in packs) / OPERATIONS_A_SECOND


def is_here(missing: Sequence[SeedRun], config: StudyConfig, ahead: int = 0) -> bool:
    """Whether these train in the driver's own process: as ``compute.ray`` says, or where training takes no longer than Ray does to start.

    Args:
        ahead: seed runs like these that may follow.
    """
    return config.compute.ray == "never" or (config.compute.ray == "auto" and is_short(missing, config, ahead))


def is_short(missing: Sequence[SeedRun], config: StudyConfig, ahead: int = 0) -> bool:
    """Whether all of it is trained here within about ``IN_PROCESS_SECONDS``, by a kernel and without what only Ray hands out."""
    compute = config.compute
    if compute.where == "cluster":
        return False
    slots = cluster.local_slots(compute)
    seconds = quick(cut(missing, slots, compute.pack_size)) / slots * (1 + ahead / max(len(missing), 1))
    kinds = {
        digest(
            [run.condition.dataset["kind"], {key: value for key, value in run.condition.model.items() if key not in ("name", "K", "init")}]
        ): (run.condition)
        for run in missing
    }
    return seconds < IN_PROCESS_SECONDS and all(engine_of(condition, config.engine).name != "torch" for condition in kinds.values())


def engine_of(condition: Condition, name: str) -> Engine:
    """The engine that trains a condition.

    Raises:
        UserError: the one that is named cannot.
    """
    network, task = condition.built()
    return choose(name, network, task, condition.protocol, (0,))


@dataclass(frozen=True)
class Measured:
    """What packs take on one core: seconds of training where no seed run stops early, by pack, and of compiling the kernels that were not yet there."""

    by_pack: tuple[float, ...]
    compiling: float


def in_turn(seconds: Iterable[float], workers: int) -> float:
    """Seconds until so many workers are done with packs of these seconds: the longest first, each to the worker that is free."""
    busy = [0.0] * workers
    for one in sorted(seconds, reverse=True):
        heapq.heapreplace(busy, busy[0] + one)
    return max(busy)


@dataclass(frozen=True)
class Estimate:
    """What packs take, measured here.

    Attributes:
        seconds: of every pack where no seed run stops early, by id; ``compiling`` those of the kernels that were not yet there.
        share: of their epochs that seed runs train, and ``why`` that is thought.
        workers: packs at once on the place of every pack, by id.
    """

    seconds: dict[str, float]
    compiling: float
    share: float
    why: str
    workers: dict[str, tuple[str, int]]

    def elapsed(self, packs: Iterable[str]) -> float:
        """Seconds from the start to the end of these packs (ids) where no seed run stops early; CPUs and GPUs train side by side."""
        by_place: dict[tuple[str, int], list[float]] = {}
        for pack in packs:
            by_place.setdefault(self.workers[pack], []).append(self.seconds[pack])
        return max((in_turn(seconds, workers) for (_, workers), seconds in by_place.items()), default=0.0)


def measure(packs: Sequence[Pack], place: Place = CPU, threads: int = 1) -> Measured:
    """Train the first pack of every shape for some epochs, in this process; what is learned is thrown away, compiled kernels are kept."""
    by_shape: dict[str, float] = {}
    compiling = 0.0
    for pack in packs:
        shape = pack.runs[0].condition.shape
        if shape not in by_shape:
            seconds, once = an_epoch(pack, place, threads)
            by_shape[shape] = seconds / pack.effort
            compiling += once
    return Measured(tuple(by_shape[pack.runs[0].condition.shape] * pack.effort for pack in packs), compiling)


def an_epoch(pack: Pack, place: Place, threads: int) -> tuple[float, float]:
    """Seconds that a pack trains at its pace of a few updates, and those that came before: tracing and compiling its kernel."""
    started = time.perf_counter()
    training = training_of(pack, place, threads)
    training.advance(1)
    if training.updates > 1 and training.engine.name != "torch":  # what ends an epoch is compiled when it is first called
        training.engine.validate(training.state.params[:1], np.arange(1))
    once = time.perf_counter() - started
    updates, seconds = 1, training.seconds if training.engine.name == "torch" else 0.0  # which compiles nothing
    while not training.done and seconds < LONG_ENOUGH:
        updates = min(4 * updates, 1_000)
        before = training.seconds
        training.advance(updates)
        seconds = training.seconds - before
    pace = (seconds or training.seconds) / updates
    return pace * training.engine.feed.updates * pack.seed_epochs / len(pack.runs), max(once - pace, 0.0)


def share_of_epochs(plan: Plan, ledger: Ledger) -> tuple[float, str]:
    """The share of their epochs that seed runs train before they stop early, and where it is from: this study as far as it is done, else the paper's."""
    most = {c.id: int(c.training["max_epochs"]) for c in plan.conditions}
    if all(most[c.id] <= int(c.training["patience"]) for c in plan.conditions):
        return 1.0, "none can stop early"
    runs = ledger.runs(["run_id", "condition_id", "epochs"])
    runs = runs[runs["condition_id"].isin(most)]
    if len(runs) >= ENOUGH:
        share = float((runs["epochs"] / runs["condition_id"].map(most)).mean())
        return share, f"as the {len(runs):,} seed runs that are finished, they stop after {share:.0%} of their epochs"
    return TYPICAL, f"if they stop early as those of the paper's studies do, after {TYPICAL:.0%} of their epochs"


def estimated(
    packs: Sequence[Pack], plan: Plan, places: Mapping[str, Place], slots: cluster.Slots, config: StudyConfig, ledger: Ledger
) -> Estimate:
    """Measure packs of a plan, each on its place.

    Raises:
        UserError: a place on a GPU, where this machine has none.
    """
    if any(place.device == "cuda" for place in places.values()) and not torch.cuda.device_count():
        raise UserError(
            "what packs take on a GPU cannot be measured on this machine, which has none; give the command where there is one, or leave out budget and --dry-run."
        )
    seconds: dict[str, float] = {}
    workers: dict[str, tuple[str, int]] = {}
    compiling = 0.0
    for place in dict.fromkeys(places.values()):
        mine = [pack for pack in packs if places[pack.runs[0].condition.id] == place]
        found = measure(mine, place, config.compute.cpus_per_pack)
        seconds |= {pack.id: one for pack, one in zip(mine, found.by_pack, strict=True)}
        workers |= {pack.id: (place.device, slots.on(place.device)[0]) for pack in mine}
        compiling += found.compiling
    return Estimate(seconds, compiling, *share_of_epochs(plan, ledger), workers)
