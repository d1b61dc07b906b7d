"""What one command may use of time, training or money: what its plan will cost, packs in an order that leaves a balanced study, and when it is used."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ltm.errors import UserError
from sweeps.config import ComputeConfig, StudyConfig
from sweeps.config.schema import SECONDS, USD, parse_budget
from sweeps.console import counted, duration
from sweeps.execution import estimate, placing
from sweeps.execution.cluster import Slots
from sweeps.plan import Pack, Place, Plan, SeedRun

LANES = 16
"""Seed runs of a pack under a budget: where a kernel's vectors are seeds, fewer take as long."""

PARTS = 4
"""Packs of a condition, at least, where fewer seed runs take less time (a kernel whose vectors are entries of a batch, or units)."""

TURNS = 8
"""Times that packs go round all conditions within a budget, at least; where it holds more, packs are larger."""


@dataclass
class Budget:
    """An amount, of one command; ``used`` goes up while it trains.

    Attributes:
        amount: seconds, seed-epochs or US dollars, as ``unit`` says.
        larger: how many times the smallest packs there are room for.
        hourly: US dollars of an hour of all slots.
        started: monotonic seconds; None before training begins.
        seed_epochs: trained by this command, by pack.
    """

    given: str
    amount: float
    unit: str
    hourly: float = 0.0
    larger: int = 1
    started: float | None = None

    def __post_init__(self) -> None:
        self.seed_epochs: dict[str, int] = {}

    @classmethod
    def of(cls, config: StudyConfig) -> Budget | None:
        """That of a study's config; None where it has none."""
        return None if config.budget is None else cls(str(config.budget), *parse_budget(config.budget))

    def price(self, compute: ComputeConfig, slots: Slots, places: Iterable[Place]) -> None:
        """Find what an hour of all slots costs, busy or not: of cores and, where one is trained on, of GPUs.

        Raises:
            UserError: a budget in USD, and a GPU without a rate.
        """
        on_gpus = any(place.device == "cuda" for place in places)
        if self.unit == USD and on_gpus and compute.usd_per_gpu_hour is None:
            raise UserError(
                "a budget in USD needs compute.usd_per_gpu_hour too, as conditions train on a GPU; expected what an hour of one costs, such as 1.2."
            )
        gpus = slots.cuda * compute.gpus_per_pack * (compute.usd_per_gpu_hour or 0.0) if on_gpus else 0.0
        self.hourly = slots.cpu * compute.cpus_per_pack * (compute.usd_per_core_hour or 0.0) + gpus

    def begin(self) -> None:
        """A first pack trains; the start of workers before it is not counted."""
        self.started = self.started or time.monotonic()

    def count(self, pack: str, seed_epochs: int) -> None:
        """A pack has trained so many seed-epochs since it was begun by this command."""
        self.seed_epochs[pack] = max(seed_epochs, self.seed_epochs.get(pack, 0))

    def cost(self, seconds: float, seed_epochs: float) -> float:
        """What so many seconds of all slots, in which so many seed-epochs are trained, take of it."""
        return seed_epochs if self.unit not in (SECONDS, USD) else seconds if self.unit == SECONDS else seconds / 3600 * self.hourly

    @property
    def used(self) -> float:
        return self.cost(time.monotonic() - self.started if self.started else 0.0, sum(self.seed_epochs.values()))

    @property
    def over(self) -> bool:
        return self.used >= self.amount

    def in_words(self, amount: float) -> str:
        """``1:30:00``, ``0.25 s``, ``1,200,000 seed-epochs``, ``0.31 USD``."""
        if self.unit == SECONDS:
            return duration(amount) if amount >= 60 else f"{amount:.2g} s"
        return f"{amount:,.0f} {self.unit}" if self.unit != USD else f"{amount:,.2f} USD" if amount >= 0.1 else f"{amount:.2g} USD"


def packs_of(
    budget: Budget, plan: Plan, missing: Sequence[SeedRun], places: dict[str, Place], slots: Slots, config: StudyConfig
) -> list[Pack]:
    """Small packs in the order in which they are to be trained: the first seeds of every condition, then the next ones."""
    rank = turns_of(plan)
    most = max(Counter(run.condition.id for run in missing).values(), default=1)
    by_lanes: dict[int, list[SeedRun]] = {}
    lanes: dict[str, int] = {}
    for run in sorted(missing, key=lambda run: rank[run.seed]):
        shape = run.condition.shape
        if shape not in lanes:
            place = places[run.condition.id]
            lanes[shape] = config.compute.pack_size or min(budget.larger * lanes_of(place, run, most), placing.LARGEST[place.device])
        by_lanes.setdefault(lanes[shape], []).append(run)
    packs = [
        pack for size, runs in by_lanes.items() for pack in placing.packs_of(runs, places, slots, replace(config.compute, pack_size=size))
    ]
    return sorted(packs, key=lambda pack: (rank[pack.runs[0].seed], -pack.effort))


def turns_of(plan: Plan) -> dict[int, int]:
    """When seeds are to be trained under a budget: the first of every condition before the next."""
    return {seed: i for i, seed in enumerate(plan.seeds)}


def lanes_of(place: Place, run: SeedRun, seeds: int) -> int:
    """Seed runs of a pack, where a condition has so many seeds to train."""
    cheap = place.device == "cpu" and estimate.engine_of(run.condition, place.engine).vectors in ("entries", "units")
    return min(LANES, -(-seeds // PARTS)) if cheap else LANES


def announced(budget: Budget, plan: Plan, missing: Sequence[SeedRun], found: estimate.Estimate, packs: Sequence[Pack]) -> str:
    """What a plan will cost, and how far the budget goes; from now on packs are as large as it allows.

    Args:
        found: of these packs.

    Raises:
        UserError: a budget that no pack fits into.
    """
    begun: set[str] = set()
    first = []  # packs until every condition has one
    for pack in packs:
        if new := {run.condition.id for run in pack.runs} - begun:
            begun |= new
            first.append(pack)
    each = {pack.id: budget.cost(found.share * found.seconds[pack.id], found.share * pack.seed_epochs) for pack in packs}
    least = min(packs, key=lambda pack: each[pack.id])
    if budget.amount < each[least.id]:
        raise UserError(
            f"budget is '{budget.given}', and the smallest pack ({counted(len(least.runs), 'seed run')} of {plan.labels[least.runs[0].condition.id]})"
            f" takes about {budget.in_words(each[least.id])}; expected a larger one."
        )
    turn = budget.cost(found.share * found.elapsed(pack.id for pack in first), found.share * sum(pack.seed_epochs for pack in first))
    budget.larger = max(int(budget.amount / (TURNS * turn)), 1)
    whole = budget.cost(found.share * found.elapsed(found.seconds), found.share * sum(pack.seed_epochs for pack in packs))
    seeds = len(missing) / len(begun)
    part = "this round" if plan.ahead else "all of it"
    ahead = f", {counted(plan.ahead, 'seed run')} more may be asked for" if plan.ahead else ""
    words = f"budget {budget.given}: {part} takes about {budget.in_words(whole)} ({found.why}{ahead})"
    if budget.amount >= whole:
        return words
    if budget.amount < turn:
        return f"{words}; a pack of every condition takes about {budget.in_words(turn)}, so some conditions will have no seed"
    return f"{words}, so about {max(int(seeds * budget.amount / whole), 1)} of {seeds:.0f} seeds of every condition are trained"


def spent(budget: Budget, plan: Plan, missing: Sequence[SeedRun], command: str) -> str:
    """What is said when the budget is used: what is there, what is left, how to go on."""
    whole, finished = len(plan.runs), "of this round are finished"
    if not plan.seeds_of:
        left = Counter(run.condition.id for run in missing)
        done = [len(plan.seeds) - left[condition.id] for condition in plan.conditions]
        low, high = min(done), max(done)
        finished = f"are finished, {low if low == high else f'{low} to {high}'} of {counted(len(plan.seeds), 'seed')} of every condition"
    return (
        f"the budget of {budget.given} is used ({budget.in_words(budget.used)}): {whole - len(missing):,} of {whole:,} seed runs"
        f" {finished}; {len(missing):,} are left. The same command goes on with a fresh budget:\n  {command}"
    )
