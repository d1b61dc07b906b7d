"""``seeds=auto``: packs of ten seeds, in rounds, for the conditions whose claims are open and nearest to a verdict (:mod:`analysis.claims`).

A round follows from the packs of the rounds before it alone, which are read from the ledger. So a study that was killed, however often, trains the same seeds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.claims import Claims, parse
from analysis.columns import METRICS
from analysis.statistics.families import ALPHA
from analysis.statistics.sequential import PACK, Standing
from analysis.studies.paths.claims import beside, processes
from analysis.study import Rule, Study
from ltm.errors import UserError, shown
from sweeps.condition import Condition
from sweeps.config import Composed
from sweeps.config.schema import mean_seeds
from sweeps.console import counted
from sweeps.plan import Plan, make
from sweeps.record import claim, lacking
from sweeps.search.whole import Whole
from sweeps.store.ledger import Ledger
from sweeps.store.tables import TESTS

COLUMNS = [
    "run_id", "condition_id", "condition", "model", "dataset", "K", "seed", "status", *TESTS, "validation_loss", "draws", "fingerprint", "config"
]  # fmt: skip
"""Of the ledger, as far as claims read it."""


def proposer(study: Composed) -> Adaptive | Whole:
    """Who proposes the plans of a study with ``seeds=auto``: one pack a path where it is about a process, else rounds by its claims.

    Raises:
        UserError: a budget below a pack of each condition, a process beside single series, claims about single paths of it, or what :func:`analysis.claims.parse` says of claims.
    """
    config, mean = study.config, mean_seeds(study.config.seeds) or 0
    if mean < PACK:
        raise UserError(f"seeds={config.seeds} is a budget below one pack of each condition; expected at least 'auto {PACK}'.")
    plan = make(study)
    frame = framed(plan)
    if not processes(frame):
        return Adaptive(study, plan, frame, mean)
    if one := next(iter(beside(frame)), None):
        raise UserError(
            f"seeds=auto adds paths to a process and seeds to a series, and this study has both: {one.dataset} is a series; make two studies of them (study=NAME)."
        )
    if config.claims != "all":
        raise UserError(
            f"claims={shown(config.claims)} are about one path each, and this study has several; expected claims=all, which are then about the process."
        )
    if config.error_rate != ALPHA:
        raise UserError(
            f"error_rate is {config.error_rate:g}; claims about a process are tested at {ALPHA:g}, so expected that, or no error_rate."
        )
    note = f"seeds=auto: one pack of {PACK} seeds a path, as further paths tell more of a process than further seeds of one"
    more = f"; the budget holds {mean // PACK} times as many paths" if mean >= 2 * PACK else ""
    return Whole(replace(study, config=replace(config, seeds=PACK)), note + more)


class Adaptive:
    """Proposes the next packs of a study's conditions, until its claims are decided, nothing more can be, or the budget is used."""

    def __init__(self, study: Composed, plan: Plan, frame: Study, mean: int) -> None:
        self.config, self.plan = study.config, plan
        metrics = {frame.by_label[self.plan.labels[one.id]].dataset: judged_by(one) for one in self.plan.conditions}
        self.claims = Claims(tuple(parse(study.config.claims, frame, metrics)), study.config.error_rate, mean)
        self.ids = {label: key for key, label in self.plan.labels.items()}
        self.packs = np.zeros(len(self.claims.labels), int)
        self.round = 0
        self.asked: Plan | None = None
        self.given = False

    def next(self, ledger: Ledger) -> Plan | None:
        while True:
            if self.asked and not self.given and (self.round == 1 or lacking(self.asked.runs, ledger)):
                self.given = True  # the first one always: by it the folder is claimed, and what a changed cell left there set aside
                return self.asked
            standings, chosen = self.choose(ledger)
            if not chosen:
                return None
            self.packs[[self.claims.labels.index(label) for label in chosen]] += 1
            self.round += 1
            self.asked, self.given = self.proposed(chosen, standings), False

    def choose(self, ledger: Ledger) -> tuple[list[Standing], list[str]]:
        """How the claims stand by what was asked so far, and who trains next."""
        rows = ledger.runs(COLUMNS) if self.round else pd.DataFrame(columns=COLUMNS)
        rows = rows[rows["condition_id"].isin(self.plan.labels)]
        evidence, packs = self.claims.evidence(rows, dict(zip(self.claims.labels, self.packs.tolist(), strict=True)))
        standings = self.claims.stand(evidence, packs)
        stuck = np.flatnonzero(packs < self.packs)  # seed runs failed: what they have is read, and no more is asked
        return standings, self.claims.ask(standings, evidence, packs, frozenset(stuck.tolist()))

    def proposed(self, chosen: list[str], standings: list[Standing]) -> Plan:
        """The next round: of each chosen condition the pack that follows those which it has."""
        packs = dict(zip(self.claims.labels, self.packs.tolist(), strict=True))
        seeds = {self.ids[label]: tuple(range((packs[label] - 1) * PACK, packs[label] * PACK)) for label in chosen}
        decided, left = sum(one.winner is not None for one in standings), self.claims.budget.packs - int(self.packs.sum())
        title = f"round {self.round}, {decided} of {counted(len(standings), 'claim')} decided"
        return replace(
            self.plan,
            conditions=tuple(one for one in self.plan.conditions if one.id in seeds),
            seeds=tuple(sorted({seed for some in seeds.values() for seed in some})),
            seeds_of=seeds,
            title=title,
            ahead=left * PACK,
        )

    def claim(self, plan: Plan, ledger: Ledger, name: str, command: str, before: Callable[[], None] | None = None) -> Plan:
        claim(ledger, self.plan, self.config, name, command, before, self.claims.record())
        return plan


def framed(plan: Plan) -> Study:
    """A plan's conditions as the analysis sees them, without a seed."""
    rows = [
        {
            "dataset": one.dataset["name"], "model": one.model["name"], "condition": plan.labels[one.id], "seed": 0, "status": "diverged",
            "test_rmse": np.nan, "K": one.model.get("K"), "draws": one.draws, "fingerprint": one.fingerprint,
            "config": json.dumps({"model": one.model, "dataset": one.dataset, "training": one.training}, sort_keys=True),
        }
        for one in plan.conditions
    ]  # fmt: skip
    return Study.of(pd.DataFrame(rows), Rule(metric="test_rmse"))


def judged_by(condition: Condition) -> str:
    """The metric that a report would judge a condition by: the first that its task measures."""
    has = {f"test_{name}" for name in condition.built()[1].metrics}
    return next((name for name in METRICS if name in has), "validation_loss")
