"""What every search shares: the unit of judgement is a configuration over many seeds, which are lanes of one pack.

A rung of a search is a plan like any other, so what the ledger holds is never trained again, and a search that was killed goes on
by the same command. Only validation errors choose; the winner is trained on seeds that no choice has seen.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from analysis.columns import metric_of
from analysis.statistics.intervals import aggregate
from ltm import data
from ltm.cells import ADDED
from ltm.errors import UserError, unknown
from ltm.training.metrics import of_validation
from sweeps.condition import Condition, digest, label, off_default, resolve
from sweeps.config import Composed, grid, parse_seeds
from sweeps.config.schema import LATER
from sweeps.plan import Plan
from sweeps.record import record_of, write
from sweeps.search.space import axes_of
from sweeps.store.ledger import Ledger
from sweeps.store.tables import TESTS, VALIDATIONS

FIRST_SEED = 1_000_000
"""Seeds from here on judge configurations; those of the study, below, are fresh."""


@dataclass
class Candidate:
    """One configuration of one model on one task; ``score`` is that of its last rung, the smaller the better."""

    pair: int
    values: dict[str, Any]
    score: float = math.inf


class Search(ABC):
    """The configurations of a study's search, and how they are scored. Holds no result: these are in the ledger."""

    def __init__(self, study: Composed) -> None:
        config = study.config
        self.study, self.config, self.search = study, config, config.search
        self.pairs = list(itertools.product(study.datasets, study.models))
        self.training = asdict(config.training)
        if self.search.metric in TESTS:
            raise UserError(
                f"search.metric is '{self.search.metric}'; a test metric must not choose. Expected one of {', '.join(VALIDATIONS)}."
            )
        if self.search.metric not in VALIDATIONS:
            raise unknown("metric: search.metric", self.search.metric, VALIDATIONS)
        for dataset in study.datasets:
            measured(self.search.metric, dataset)
        self.reduce, self.sign = aggregate(self.search.aggregate), -1 if metric_of(self.search.metric).higher else 1
        has = grid.keys_of(study.models, study.datasets, set(self.training) - {"max_epochs"})
        if config.blocks:
            raise UserError(
                f"a search takes grid.model and grid.dataset only, and the study has blocks: {', '.join(config.blocks)}; leave one of both out."
            )
        if set(config.grid) - {"model", "dataset"}:
            raise UserError(
                f"a search takes grid.model and grid.dataset only; move {', '.join(set(config.grid) - {'model', 'dataset'})} to search.space."
            )
        space = grid.flat(self.search.space)
        grid.check(space, has, "search.space", "key in search.space:")
        self.axes = axes_of(space, set(space))
        self.seeds = tuple(FIRST_SEED + i for i in range(self.search.seeds))
        self.fresh = tuple(parse_seeds(config.seeds))
        if max(self.fresh) >= FIRST_SEED:
            raise UserError(f"seeds={config.seeds} reach into those of the search, from {FIRST_SEED:,}; choose smaller ones.")
        self.winners: list[Candidate] = []
        self.over = False
        self.check()

    def check(self) -> None:
        """Resolve every configuration that may be tried, or of a range its ends, and the untuned ones.

        Raises:
            UserError: values that a cell, a series or the protocol rejects.
        """
        for pair, point in itertools.product(range(len(self.pairs)), [{}, *self.samples()]):
            self.condition(self.candidate(pair, point), self.epochs[-1])

    @abstractmethod
    def samples(self) -> list[dict[str, Any]]:
        """The configurations that may be tried, or of a range its ends."""

    @abstractmethod
    def rung(self, ledger: Ledger) -> Plan | None:
        """The next configurations to judge; None once all are, and ``winners`` are known."""

    def next(self, ledger: Ledger) -> Plan | None:
        if self.over:
            return None
        if plan := self.rung(ledger):
            return plan
        self.over = True
        return self.last()

    def last(self) -> Plan:
        """The winners and the untuned configurations, on fresh seeds."""
        untuned = [self.candidate(pair, {}) for pair in range(len(self.pairs))]
        epochs = self.epochs[-1]
        conditions = {c.id: c for c in (self.condition(candidate, epochs) for candidate in [*self.winners, *untuned])}
        labels = {key: self.name(c) for key, c in conditions.items()}
        notes = tuple(
            f"winner: {labels[self.condition(winner, epochs).id]}, {self.search.aggregate} {self.search.metric} {self.sign * winner.score:.4g}"
            for winner in self.winners
        )
        return Plan(tuple(conditions.values()), self.fresh, labels, "fresh seeds, winners and untuned", notes)

    def claim(self, plan: Plan, ledger: Ledger, name: str, command: str, before: Callable[[], None] | None = None) -> Plan:
        """Write the study's record, unless its folder holds another study. More fresh seeds or trials are the same search."""
        pairs = [[off_default(dataset, data.ADDED), off_default(model, ADDED)] for dataset, model in self.pairs]
        mine = digest([asdict(replace(self.search, trials=0)), off_default(self.training, LATER), pairs])
        held = ledger.record()
        if held and (held.get("search") or {}).get("id") != mine:
            raise UserError(f"{ledger.path} holds another study or search; choose another folder with study=NAME, such as study={name}_2.")
        if before:
            before()
        said = record_of(self.config, name, command) | {
            "conditions": {}, "search": {"id": mine, "axes": [axis.key for axis in self.axes], "first_seed": FIRST_SEED},
        }  # fmt: skip
        write(ledger, said | {key: held[key] for key in ("places",) if key in held})
        return plan

    @property
    def epochs(self) -> list[int]:
        """Epochs of every rung, the last one the study's own."""
        most = int(self.training["max_epochs"])
        return sorted({max(1, round(most / self.search.keep**i)) for i in range(self.search.rungs)})

    def candidate(self, pair: int, point: Mapping[str, Any]) -> Candidate:
        """A configuration with the keys that this pair's model, series or training has."""
        dataset, model = self.pairs[pair]
        sections = {"model": model, "dataset": dataset, "training": self.training}
        return Candidate(pair, {key: value for key, value in point.items() if grid.place(key, sections)})

    def condition(self, candidate: Candidate, epochs: int) -> Condition:
        dataset, model = self.pairs[candidate.pair]
        return resolve(model, dataset, self.training | {"max_epochs": epochs}, candidate.values)

    def name(self, condition: Condition) -> str:
        return label(condition, [axis.key for axis in self.axes])

    def plan(self, candidates: Sequence[Candidate], epochs: int, title: str) -> Plan:
        """One rung: these configurations with the search's seeds."""
        conditions = {c.id: c for c in (self.condition(candidate, epochs) for candidate in candidates)}
        labels = {key: f"search, {epochs} epochs: {self.name(c)}" for key, c in conditions.items()}
        return Plan(tuple(conditions.values()), self.seeds, labels, title)

    def judge(self, candidates: Sequence[Candidate], epochs: int, ledger: Ledger) -> None:
        """Score configurations from the ledger; a metric of which larger is better has its sign turned. A seed that diverged or failed is infinitely bad."""
        runs = ledger.runs(["run_id", "condition_id", "seed", "status", self.search.metric])
        runs = runs[runs["seed"].isin(self.seeds)]
        values = (self.sign * runs[self.search.metric]).where(runs["status"] != "diverged").fillna(np.inf)
        by_condition = {key: group.to_numpy(float) for key, group in values.groupby(runs["condition_id"])}
        for candidate in candidates:
            have = by_condition.get(self.condition(candidate, epochs).id, np.zeros(0))
            whole = np.concatenate([have, np.full(len(self.seeds) - len(have), np.inf)])
            candidate.score = self.reduce(whole)


def measured(metric: str, dataset: Mapping[str, Any]) -> None:
    """Check that a dataset's task measures what is to choose.

    Raises:
        UserError: it does not; the message lists what it measures.
    """
    has = ["validation_loss", "train_loss", *(f"validation_{name}" for name in of_validation(data.build(dataset)))]
    if metric not in has:
        raise UserError(f"search.metric is '{metric}', which {dataset['name']} does not measure; expected one of {', '.join(has)}.")
