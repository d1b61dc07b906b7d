"""From a composed study to a full ledger: what is missing is cut into packs, Ray Tune trains them, one trial a pack."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml
from rich.console import Console

import ltm
from ltm import cells, data
from ltm.engine import Protocol, choose
from ltm.errors import UserError
from sweeps import baselines, cluster, damage, drivers, provenance
from sweeps.config import Composed, StudyConfig
from sweeps.ledger import Ledger, StorageError
from sweeps.plan import Condition, Pack, Plan, SeedRun, cut, make, settings_of
from sweeps.progress import Progress, say
from sweeps.schema import folder_name
from sweeps.tracking import Tracker
from sweeps.work import code_version, labels_of

if TYPE_CHECKING:
    from sweeps.search import Search

CONFIG = "config.yaml"
SCRATCH = ".tune"
"""The study's folder of Tune's state and checkpoints. No later command reads them: what is finished is in the ledger."""

FAILED, STOPPED, INTERRUPTED = 1, 2, 130


def run(study: Composed, command: str, console: Console) -> int:
    """Train what a study lacks and report on it.

    Args:
        command: the command line, for the study's record and for the words on how to go on.

    Returns:
        Exit status: 0; 1 where seed runs failed; 2 where nodes or storage refused; 130 after Ctrl-C.
    """
    config, planned = study.config, prepare(study)
    name = folder_name(config.study or f"{study.models[0]['name']}_{study.datasets[0]['name']}")
    ledger = Ledger(str(Path(config.root) / name) if "://" not in config.root else f"{config.root}/{name}")
    job = Job(config, ledger, name, command, console, Tracker(config.tracking, name, ledger, partial(say, console)))
    try:
        if not isinstance(planned, Plan):
            from sweeps import search

            return search.run(planned, job)
        plan = planned
        missing = len(lacking(plan.runs, ledger))
        if healed := damage.heal(ledger):
            say(console, healed)
            missing = len(lacking(plan.runs, ledger))
        claim(ledger, plan, config, name, command, partial(ready, plan.conditions, config) if missing else None)
        say(
            console,
            f"study {name}: {len(plan.conditions)} conditions x {len(plan.seeds)} seeds = {len(plan.runs)} seed runs;"
            f" {len(plan.runs) - missing} finished before, {missing} to train",
        )
        status = complete(plan, job)
        if status != STOPPED:
            report(job)
        return status
    finally:
        job.tracker.close()
        cluster.leave()


def prepare(study: Composed) -> Plan | Search:
    """The plan or the search of a study. Whatever is wrong with what the user gave is found here, before a file is written or Ray is started.

    Raises:
        UserError: what was given, what was expected, what to do.
    """
    config = study.config
    cluster.check(config.compute)
    if config.published is not None:
        from analysis import literature

        literature.read(config.published)
    if config.search.method == "none":
        return make(study)
    from sweeps.search import Search

    return Search(study)


def ready(conditions: Iterable[Condition], config: StudyConfig) -> None:
    """Start or join Ray, and make sure that the engine which was named can train these conditions.

    Raises:
        UserError: no cluster, no GPU, no node that can hold a pack, or a cell that the engine does not cover.
    """
    if config.engine == "cpu" or (config.engine == "cuda" and config.compute.where == "local"):
        for condition in {condition.shape: condition for condition in conditions}.values():
            series = data.build(condition.dataset)
            network = cells.build(condition.model, len(series.values) - 1)
            choose(config.engine, network, series.problem(), Protocol())
    cluster.connect(config.compute, config.verbose)


@dataclass(frozen=True)
class Job:
    """One command at work: the study's config and name, where its results go, and who follows it."""

    config: StudyConfig
    ledger: Ledger
    name: str
    command: str
    console: Console
    tracker: Tracker


def complete(plan: Plan, job: Job) -> int:
    """Train what the ledger lacks of a plan; what another driver has taken is left to it, and waited for. Returns the exit status."""
    runs, ledger, console = plan.runs, job.ledger, job.console
    missing = lacking(runs, ledger)
    for line in set_aside(plan, missing, ledger):
        say(console, line)
    status, seen = 0, set()
    while missing and not status:
        others = drivers.living(ledger)
        free = [run for run in missing if not any(run.run_id in driver.taken for driver in others)]
        for driver in others:
            if driver.id not in seen:
                seen.add(driver.id)
                left = sum(run.run_id in driver.taken for run in missing)
                say(
                    console,
                    f"another driver is at work on this study: {driver}; {left} seed runs are left to it, {len(free)} are trained here",
                )
        if free:
            with drivers.Claim(ledger, [run.run_id for run in free]) as mine:
                free = [run for run in free if run.run_id in mine.taken]
                status = train(plan, free, job) if free else 0
            with suppress(StorageError):  # that it is gone was said
                if not drivers.living(ledger):
                    ledger.drop(SCRATCH)
            if status == STOPPED:
                say(console, f"what is finished is kept; go on with the same command:\n  {job.command}")
                return status
        else:
            time.sleep(drivers.BEAT_SECONDS)
        missing = lacking(runs, ledger)
        if missing and not status and ledger.damaged:
            say(console, f"stopped: files that were just written cannot be read; {ledger.left_out()}")
            return STOPPED
    if missing:
        say(
            console,
            f"{len(runs) - len(missing)} of {len(runs)} seed runs are kept in {ledger.uri}; go on with the same command:\n  {job.command}",
        )
    return status


def lacking(runs: list[SeedRun], ledger: Ledger) -> list[SeedRun]:
    """The seed runs that the ledger does not hold yet."""
    done = ledger.done()
    return [run for run in runs if run.run_id not in done]


def set_aside(plan: Plan, missing: Sequence[SeedRun], ledger: Ledger) -> list[str]:
    """Mark the conditions of the ledger whose cell computes something else now, and those with the ids of an older ltm.

    Their rows are kept and no longer used; a condition that is planned again is used again. Returns what to tell the user, a line each.
    """
    rows = ledger.runs(["run_id", "condition_id", "draws"], former=True)
    counts, drawn = rows["condition_id"].value_counts(), dict(zip(rows["condition_id"], rows["draws"], strict=True))
    mine = {condition.id: condition for condition in plan.conditions}
    by_settings = {settings_of(key): condition for key, condition in mine.items()}
    old = {key for key in counts.index if settings_of(key) is None}
    changed = {key: by_settings[settings_of(key)] for key in counts.index if key not in mine and settings_of(key) in by_settings}
    before = ledger.former()
    after = (before - mine.keys()) | old | changed.keys()
    if after != before:
        ledger.set_former(after)
    lines = [f"{counts[list(old)].sum()} seed runs of an earlier version of ltm are kept and not used"] if old else []
    by_cell: dict[tuple[str, str], list[str]] = {}
    for key, condition in changed.items():
        what = "step" if drawn[key] == condition.draws else "initial values"
        by_cell.setdefault((str(condition.model["cell"]).rpartition(":")[2], what), []).append(key)
    for (cell, what), keys in by_cell.items():
        now = {changed[key].id for key in keys}
        train = sum(run.condition.id in now for run in missing)
        has = "has" if what == "step" else "have"
        lines.append(
            f"the {what} of {cell} {has} changed: {train} seed runs to train; {counts[keys].sum()} of its former {what} are kept and not used"
        )
    return lines


def claim(ledger: Ledger, plan: Plan, config: StudyConfig, name: str, command: str, before: Callable[[], None] | None = None) -> None:
    """Write the study's ``config.yaml``, unless the folder holds another study.

    A study may grow (more seeds, a longer grid) or be run in part; its conditions must then contain each other.

    Args:
        before: called before anything is written; what it raises leaves no trace.
    """
    mine = {condition.id: plan.labels[condition.id] for condition in plan.conditions}
    held = ledger.record().get("conditions", {})
    # A cell that computes something else now does not make another study; an earlier ltm's conditions are told by their labels.
    here, there = ({settings_of(key) or label: label for key, label in conditions.items()} for conditions in (mine, held))
    if any(settings_of(key) is None for key in held):
        here = {label: label for label in mine.values()}
    if held and not (here.keys() <= there.keys() or there.keys() <= here.keys()):
        other = next(label for work, label in there.items() if work not in here)
        raise UserError(
            f"{ledger.path} holds another study (with the condition '{other}', which this one lacks or sets otherwise);"
            f" choose another folder with study=NAME, such as study={name}_2."
        )
    if before:
        before()
    grown = {key: label for key, label in held.items() if (settings_of(key) or label) not in here}
    record = record_of(config, name, command) | {"conditions": {**grown, **mine}}
    ledger.put(CONFIG, yaml.safe_dump(record, sort_keys=False, allow_unicode=True).encode())


def record_of(config: StudyConfig, name: str, command: str) -> dict[str, Any]:
    """What a study's ``config.yaml`` says of how it came about."""
    settings = {key: value for key, value in asdict(config).items() if key != "tracking"}
    return {"study": name, "command": command, "code": code_version(), "config": settings}


def train(plan: Plan, missing: list[SeedRun], job: Job) -> int:
    """Train seed runs with Ray Tune: packs that fail are split until the culprits are alone. Returns the exit status."""
    config, ledger, console = job.config, job.ledger, job.console
    job.tracker.expect(missing)
    slots = cluster.connect(config.compute, config.verbose)
    packs = cut(missing, slots, config.compute.pack_size)
    packs.sort(key=lambda pack: pack.effort)  # of these, workers take the last: the longest first, or the end waits for one
    progress = Progress(console, {pack.id: pack for pack in packs})
    status, culprits = 0, 0
    with progress:
        for attempt in range(1_000):
            try:
                failures = fit(plan, packs, job, progress)
            except StorageError as error:
                say(console, f"stopped: {error}")
                status = STOPPED
                break
            if len(progress.finished) + len(progress.failed) < len(progress.packs):
                status = INTERRUPTED
                break
            if stop := next((error for kind, error in failures.values() if kind != "pack"), None):
                say(console, f"stopped: {stop}")
                status = STOPPED
                break
            packs, alone = parts_of({pack.id: pack for pack in packs}, failures, progress)
            if alone:
                culprits += len(alone)
                rows = [(run.run_id, plan.labels[run.condition.id], run.seed, error) for run, error in alone]
                ledger.fail(pd.DataFrame(rows, columns=["run_id", "condition", "seed", "error"]))
            if not packs:
                break
            time.sleep(min(0.5 * 2**attempt, 30.0))
    if culprits:
        say(console, in_words(ledger.failures()))
    return status or (FAILED if culprits else 0)


def fit(plan: Plan, packs: list[Pack], job: Job, progress: Progress) -> dict[str, tuple[str, str]]:
    """One run of Tune over these packs. Returns kind and error of those that failed, by pack id.

    Raises:
        StorageError: the study's folder takes no more.
    """
    from ray import tune

    from sweeps.trainable import LastFirst, PackTrainable, Watcher

    config, ledger = job.config, job.ledger
    compute = config.compute
    common = {
        "folder": ledger.uri, "engine": config.engine, "threads": compute.cpus_per_pack, "version": ltm.__version__, "code": code_version(),
        "sources": provenance.of_code(ledger, {str(condition.model["cell"]) for condition in plan.conditions}),
        "checkpoint_epochs": compute.checkpoint_epochs, "checkpoint_seconds": compute.checkpoint_seconds,
    }  # fmt: skip
    trials = [{"pack": pack.to_dict(), "pack_id": pack.id, "labels": labels_of(plan, pack), **common} for pack in packs]
    series = {run.condition.fingerprint: run.condition.dataset for pack in packs for run in pack.runs[:1]}
    watcher = Watcher(progress, job.tracker, {pack.id: pack for pack in packs}, ledger)
    resources = {"cpu": compute.cpus_per_pack, **({"gpu": compute.gpus_per_pack} if compute.gpus_per_pack else {})}
    known = tune.with_parameters(PackTrainable, series={key: data.build(dataset) for key, dataset in series.items()})
    tuner = tune.Tuner(
        tune.with_resources(known, resources),
        param_space={"work": tune.grid_search(trials)},
        tune_config=tune.TuneConfig(reuse_actors=True, scheduler=LastFirst()),
        run_config=tune.RunConfig(
            name=f"packs-{time.time_ns()}",
            callbacks=[watcher],
            stop=watcher,
            verbose=1 if config.verbose else 0,
            failure_config=tune.FailureConfig(max_failures=compute.max_failures),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
            **storage(ledger),
        ),
    )
    try:
        with cluster.keys_kept():
            tuner.fit()
    except Exception:
        watcher.probe()
        if not watcher.stopped:
            raise
    if watcher.stopped:
        raise StorageError(watcher.stopped)
    return watcher.failures


def storage(ledger: Ledger) -> dict[str, Any]:
    """Tune's storage: beside the ledger, where every node reaches it."""
    if ledger.is_local:
        return {"storage_path": str(ledger.local().absolute() / SCRATCH)}
    return {"storage_path": f"{ledger.path}/{SCRATCH}", "storage_filesystem": ledger.fs}


def parts_of(
    packs: dict[str, Pack], failures: dict[str, tuple[str, str]], progress: Progress
) -> tuple[list[Pack], list[tuple[SeedRun, str]]]:
    """Failed packs in parts, to be tried again, and the seed runs that failed alone, with their errors.

    A pack that ran out of memory is halved; one that raised is cut in four, to find the seed run to blame in fewer turns.
    """
    again: list[Pack] = []
    alone: list[tuple[SeedRun, str]] = []
    for key, (_, error) in failures.items():
        runs = packs[key].runs
        if len(runs) == 1:
            alone.append((runs[0], error))
            continue
        size = -(-len(runs) // (2 if "memory" in error.lower() else 4))
        parts = [Pack(runs[i : i + size]) for i in range(0, len(runs), size)]
        progress.split(key, {part.id: part for part in parts})
        again += parts
    return again, alone


def in_words(failures: pd.DataFrame) -> str:
    """What failed and why: a line an error, with how often and where first."""
    lines = [f"{len(failures)} seed runs failed; the same command tries them again:"]
    for error, count in Counter(failures["error"]).most_common(10):
        first = failures[failures["error"] == error].iloc[0]
        lines.append(f"  {count} x {error} (first: {first['condition']}, seed {first['seed']})")
    return "\n".join(lines)


def report(job: Job) -> None:
    """Print the table, write the report; its path is the last line. Nothing where no seed run has finished."""
    from analysis.report.build import write

    job.tracker.trained()
    with ThreadPoolExecutor(1) as aside:
        aside.submit(cluster.leave)  # Ray's processes take a second to end
        if job.config.baselines == "all":
            baselines.complete(job.ledger, partial(say, job.console))
        path = None if job.ledger.runs(["run_id"]).empty else write(job.ledger.uri, job.console)
    job.tracker.close()
    if path:
        say(job.console, f"report: {path}")
