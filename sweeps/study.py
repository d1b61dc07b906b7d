"""A study from its config to its report: a proposer is asked for plans, and what the ledger lacks of each is cut into packs and trained."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial

import pandas as pd
from rich.console import Console

from sweeps import baselines, budget
from sweeps.budget import Budget
from sweeps.config import Composed, StudyConfig
from sweeps.console import say
from sweeps.execution import cluster, estimate, failures, placing
from sweeps.execution.executor import SCRATCH, SPENT, Executor, Watch
from sweeps.execution.local import Local
from sweeps.execution.progress import Progress
from sweeps.execution.worker import Kind
from sweeps.plan import Plan, SeedRun
from sweeps.record import folder_of, lacking, set_aside
from sweeps.search.proposer import Proposer, proposer_of
from sweeps.store import checkpoints, claims, damage
from sweeps.store.ledger import Ledger
from sweeps.store.storage import StorageError
from sweeps.tracking.tracker import Tracker


class Outcome(Enum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    """Seed runs failed; all else is done."""
    STOPPED = 2
    """Nodes or storage refused."""
    INTERRUPTED = 130
    """Ctrl-C."""
    SPENT = "spent"
    """The budget is used, as was asked."""

    @property
    def status(self) -> int:
        """The exit status."""
        return 0 if self is Outcome.SPENT else self.value

    @property
    def goes_on(self) -> bool:
        return self in (Outcome.DONE, Outcome.FAILED)


@dataclass
class Job:
    """One command at work: the study's config and name, where its results go, who trains, and who follows it."""

    config: StudyConfig
    ledger: Ledger
    name: str
    command: str
    console: Console
    tracker: Tracker
    budget: Budget | None = None
    ray: Executor | None = None

    def say(self, text: str) -> None:
        say(self.console, text)


def run(study: Composed, command: str, console: Console, reported: bool = True) -> Outcome:
    """Train what a study lacks and report on it.

    Args:
        command: the command line, for the study's record and for the words on how to go on.
        reported: whether a report is written.
    """
    config, proposer = study.config, prepare(study)
    name, ledger = folder_of(study)
    job = Job(config, ledger, name, command, console, Tracker(config.tracking, name, ledger, partial(say, console)), Budget.of(config))
    try:
        ledger.done()  # so that what cannot be read of it is known
        if healed := damage.heal(ledger):
            job.say(healed)
        plan, outcome, claimed = proposer.next(ledger), Outcome.DONE, False
        told: set[str] = set()
        while plan and outcome.goes_on:
            missing = lacking(plan.runs, ledger)
            executor = executor_for(plan, missing, job)
            if not claimed:
                plan = proposer.claim(plan, ledger, name, command, partial(ready, plan, missing, executor, job) if missing else None)
                claimed = True
            for line in (*plan.notes, *plan.of_data):
                if line not in told:
                    job.say(line)
                    told.add(line)
            job.say(
                f"{plan.title or f'study {name}'}: {plan.size}; {len(plan.runs) - len(missing)} finished before, {len(missing)} to train"
                + (" in this process" if missing and isinstance(executor, Local) else "")
            )
            this = complete(plan, executor, job)
            outcome = outcome if this is Outcome.DONE else this
            plan = proposer.next(ledger) if outcome.goes_on else None
        if reported and outcome is not Outcome.STOPPED:
            report(job)
        return outcome
    finally:
        job.tracker.close()
        if job.ray:
            job.ray.close()


def prepare(study: Composed) -> Proposer:
    """What proposes the plans of a study. Whatever is wrong with what the user gave is found here, before a file is written or Ray is started.

    Raises:
        UserError: what was given, what was expected, what to do.
    """
    config = study.config
    cluster.check(config.compute)
    if config.published is not None:
        from analysis import literature

        literature.check(config.published)
    return proposer_of(study)


def executor_for(plan: Plan, missing: list[SeedRun], job: Job) -> Executor:
    """Who trains these: Ray, where training would take longer than its start; else this process. Ray that has started is kept for what is longer again."""
    if not missing or estimate.is_here(missing, job.config, 0 if job.ray else plan.ahead):
        return Local(job.config, job.ledger)
    if job.ray is None:
        cluster.quiet(job.config.verbose)
        from sweeps.execution.ray import Ray

        job.ray = Ray(job.config, job.ledger)
    return job.ray


def ready(plan: Plan, missing: list[SeedRun], executor: Executor, job: Job) -> None:
    """Make sure that the engine which was named can train these conditions, start what trains, and say how far the budget goes.

    Raises:
        UserError: no cluster, no GPU, no node that can hold a pack, a cell that the engine does not cover, or a budget that no pack fits into.
    """
    config, ledger = job.config, job.ledger
    if config.engine == "cpu" or (config.engine == "cuda" and config.compute.where == "local"):
        for condition in {condition.shape: condition for condition in plan.conditions}.values():
            estimate.engine_of(condition, config.engine)
    slots = executor.open()
    places = placing.decided(plan, config, slots, ledger)
    if job.budget:
        job.budget.price(config.compute, slots, places.values())
        packs = budget.packs_of(job.budget, plan, missing, places, slots, config)
        found = estimate.estimated(packs, plan, places, slots, config, ledger)
        job.say(budget.announced(job.budget, plan, missing, found, packs))


def complete(plan: Plan, executor: Executor, job: Job) -> Outcome:
    """Train what the ledger lacks of a plan; what another driver has taken is left to it, and waited for."""
    runs, ledger = plan.runs, job.ledger
    missing = lacking(runs, ledger)
    for line in set_aside(plan, missing, ledger):
        job.say(line)
    if missing:
        slots = executor.open()
        plan = replace(plan, places=placing.decided(plan, job.config, slots, ledger))
        placing.keep(ledger, plan.places)
        if job.budget:
            job.budget.price(job.config.compute, slots, plan.places.values())
    outcome, seen = Outcome.DONE, set()
    while missing and outcome is Outcome.DONE:
        others = claims.living(ledger)
        free = [run for run in missing if not any(run.run_id in driver.taken for driver in others)]
        for driver in others:
            if driver.id not in seen:
                seen.add(driver.id)
                left = sum(run.run_id in driver.taken for run in missing)
                job.say(f"another driver is at work on this study: {driver}; {left} seed runs are left to it, {len(free)} are trained here")
        if free:
            with claims.Claim(ledger, [run.run_id for run in free]) as mine:
                free = [run for run in free if run.run_id in mine.taken]
                outcome = train(plan, free, executor, job) if free else Outcome.DONE
            with suppress(StorageError):  # that it is gone was said
                if not claims.living(ledger):
                    ledger.drop(SCRATCH)
                    if outcome is Outcome.DONE:
                        ledger.drop(checkpoints.FOLDER)
            if outcome is Outcome.STOPPED:
                job.say(f"what is finished is kept; go on with the same command:\n  {job.command}")
                return outcome
        elif job.budget and job.budget.over:
            outcome = Outcome.SPENT
        else:
            time.sleep(claims.BEAT_SECONDS)
        missing = lacking(runs, ledger)
        if missing and outcome is Outcome.DONE and ledger.damaged:
            job.say(f"stopped: files that were just written cannot be read; {ledger.left_out()}")
            return Outcome.STOPPED
    if missing and job.budget and outcome is Outcome.SPENT:
        job.say(budget.spent(job.budget, plan, missing, job.command))
    elif missing:
        job.say(
            f"{len(runs) - len(missing)} of {len(runs)} seed runs are kept in {ledger.uri}; go on with the same command:\n  {job.command}"
        )
    return outcome


def train(plan: Plan, missing: list[SeedRun], executor: Executor, job: Job) -> Outcome:
    """Train seed runs in packs; packs that fail are split until the culprits are alone."""
    config, ledger = job.config, job.ledger
    job.tracker.expect(missing)
    begun = checkpoints.kept(ledger, missing)
    there = {run.run_id for pack in begun for run in pack.runs}
    rest = [run for run in missing if run.run_id not in there]
    if job.budget:
        packs = (
            budget.packs_of(job.budget, plan, rest, plan.places, executor.open(), config)[::-1] + begun
        )  # of these, workers take the last
    else:
        packs = begun + placing.packs_of(rest, plan.places, executor.open(), config.compute)
        packs.sort(key=lambda pack: pack.effort)  # the longest is taken first, or the end waits for it
    progress = Progress(job.console, {pack.id: pack for pack in packs})
    outcome, culprits = Outcome.DONE, 0
    with progress:
        for attempt in range(1_000):
            by_id = {pack.id: pack for pack in packs}
            watch = Watch(progress, job.tracker, by_id, ledger, config.compute.checkpoint_epochs, job.budget)
            try:
                executor.train(plan, packs, watch)
            except KeyboardInterrupt:
                outcome = Outcome.INTERRUPTED
                break
            refusal = next((found.error for found in watch.failures.values() if found.kind is not Kind.PACK), "")
            if watch.stopped == SPENT and not refusal:
                outcome = Outcome.SPENT
                break
            if refusal := watch.stopped or refusal:
                job.say(f"stopped: {refusal}")
                outcome = Outcome.STOPPED
                break
            if len(progress.finished) + len(progress.failed) < len(progress.packs):
                outcome = Outcome.INTERRUPTED
                break
            checkpoints.drop(ledger, list(watch.failures))
            packs, alone = failures.parts_of(by_id, watch.failures, progress)
            if alone:
                culprits += len(alone)
                rows = [(run.run_id, plan.labels[run.condition.id], run.seed, error) for run, error in alone]
                ledger.fail(pd.DataFrame(rows, columns=["run_id", "condition", "seed", "error"]))
            if not packs:
                break
            time.sleep(min(0.5 * 2**attempt, 30.0))
    if culprits:
        job.say(failures.in_words(ledger.failures()))
    return Outcome.FAILED if culprits and outcome is Outcome.DONE else outcome


def report(job: Job) -> None:
    """Print what the report says first, and its path last; it is written unless it is there and nothing has changed since. Nothing where no seed run has finished."""
    from analysis.reporting import folder

    job.tracker.trained()
    if job.ray:
        job.ray.close()
    if job.config.baselines == "all":
        baselines.complete(job.ledger, job.say)
    path = f"{job.ledger.path if job.ledger.is_local else job.ledger.uri}/report/index.html"
    said = folder.unchanged(job.ledger)
    if said is not None:
        job.console.print(said, end="", markup=False, highlight=False, soft_wrap=True)
    elif not job.ledger.runs(["run_id"]).empty:
        from analysis.reporting.build import write  # which takes a second to import

        write(job.ledger.uri, job.console)
    else:
        path = ""
    job.tracker.close()
    if path:
        job.say(f"report: {path}")
