"""From a composed study to a full ledger: what is missing is cut into packs, Ray Tune trains them, one trial a pack."""

from __future__ import annotations

import logging
import os
import shutil
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import yaml
from rich.console import Console

from ltm.errors import UserError
from sweeps.config import Composed, StudyConfig
from sweeps.ledger import Ledger
from sweeps.plan import Pack, Plan, cut, make
from sweeps.progress import Progress, say
from sweeps.tracking import Tracker, silence
from sweeps.work import code_version, labels_of

CONFIG = "config.yaml"


def run(study: Composed, command: str, console: Console) -> int:
    """Train what a study lacks and report on it.

    Args:
        command: the command line, for the study's record and for the words on how to go on.

    Returns:
        Exit status: 0, or 1 where packs failed, or 130 after Ctrl-C.
    """
    config = study.config
    plan = make(study)
    name = config.study or f"{study.models[0]['name']}_{study.datasets[0]['name']}"
    ledger = Ledger(str(Path(config.root) / name) if "://" not in config.root else f"{config.root}/{name}")
    claim(ledger, plan, config, name, command)
    done = ledger.done()
    runs = plan.runs
    missing = [run for run in runs if run.run_id not in done]
    say(
        console,
        f"study {name}: {len(plan.conditions)} conditions x {len(plan.seeds)} seeds = {len(runs)} seed runs;"
        f" {len(runs) - len(missing)} finished before, {len(missing)} to train",
    )
    status = train(plan, cut(missing, workers(config), config.compute.pack_size), config, ledger, name, console) if missing else 0
    left = len({run.run_id for run in runs} - ledger.done())
    if left:
        say(console, f"{len(runs) - left} of {len(runs)} seed runs are kept in {ledger.path}; go on with the same command:\n  {command}")
    if left < len(runs):
        report(ledger, console)
    return status


def claim(ledger: Ledger, plan: Plan, config: StudyConfig, name: str, command: str) -> None:
    """Write the study's ``config.yaml``, unless the folder holds another study.

    A study may grow (more seeds, a longer grid) or be run in part; its conditions must then contain each other.
    """
    mine = {condition.id: plan.labels[condition.id] for condition in plan.conditions}
    text = ledger.text(CONFIG)
    held = (yaml.safe_load(text) or {}).get("conditions", {}) if text else {}
    if held and not (held.keys() <= mine.keys() or mine.keys() <= held.keys()):
        other = next(label for key, label in held.items() if key not in mine)
        raise UserError(
            f"{ledger.path} holds another study (with the condition '{other}', which this one lacks or sets otherwise);"
            f" choose another folder with study=NAME, such as study={name}_2."
        )
    record = {
        "study": name,
        "command": command,
        "code": code_version(),
        "config": {key: value for key, value in asdict(config).items() if key != "tracking"},
        "conditions": {**held, **mine},
    }
    ledger.put_text(CONFIG, yaml.safe_dump(record, sort_keys=False, allow_unicode=True))


def workers(config: StudyConfig) -> int:
    """How many packs train at once."""
    return max((config.compute.cpus or len(os.sched_getaffinity(0))) // config.compute.cpus_per_pack, 1)


def train(plan: Plan, packs: list[Pack], config: StudyConfig, ledger: Ledger, name: str, console: Console) -> int:
    """Train packs with Ray Tune. Returns the exit status."""
    tracker = Tracker(config.tracking, name, ledger, [run for pack in packs for run in pack.runs])
    silence()
    quiet(config.verbose)
    import ray
    from ray import tune

    from sweeps.trainable import STEP_SECONDS, PackTrainable, Watcher

    ray.init(
        address="local",
        num_cpus=workers(config) * config.compute.cpus_per_pack,
        include_dashboard=False,
        log_to_driver=config.verbose,
        logging_level=logging.INFO if config.verbose else logging.ERROR,
    )
    scratch = ledger.local().absolute() / ".tune"
    by_id = {pack.id: pack for pack in packs}
    max_epochs = max(condition.training["max_epochs"] for condition in plan.conditions)
    progress = Progress(console, {pack.id: len(pack.runs) for pack in packs}, max_epochs)
    trials = [
        {"pack": pack.to_dict(), "pack_id": pack.id, "labels": labels_of(plan, pack), "folder": ledger.uri,
         "engine": config.engine, "threads": config.compute.cpus_per_pack}
        for pack in packs
    ]  # fmt: skip
    tuner = tune.Tuner(
        tune.with_resources(PackTrainable, {"cpu": config.compute.cpus_per_pack}),
        param_space={"work": tune.grid_search(trials)},
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(
            name="packs",
            storage_path=str(scratch),
            callbacks=[Watcher(progress, tracker, by_id)],
            verbose=1 if config.verbose else 0,
            failure_config=tune.FailureConfig(max_failures=config.compute.max_failures),
            checkpoint_config=tune.CheckpointConfig(
                num_to_keep=1, checkpoint_frequency=max(round(config.compute.checkpoint_every / STEP_SECONDS), 1)
            ),
        ),
    )
    try:
        with progress:
            results = tuner.fit()
    finally:
        sync = tracker.close()
        ray.shutdown()
    if sync and config.verbose:
        say(console, f"W&B files are offline; send them with: {sync}")
    failures = Counter(str(error).strip().splitlines()[-1] for error in results.errors)
    for message, count in failures.items():
        say(console, f"{count} packs failed: {message}")
    interrupted = len(progress.finished) + len(results.errors) < len(packs)
    if not failures and not interrupted:
        shutil.rmtree(scratch, ignore_errors=True)
    return 1 if failures else 130 if interrupted else 0


def quiet(verbose: bool) -> None:
    """Settings that Ray reads from the environment, before it is imported."""
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not verbose:
        os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
        logging.getLogger("ray").setLevel(logging.ERROR)


def report(ledger: Ledger, console: Console) -> None:
    """Print the table, write the report; its path is the last line."""
    from analysis.report import write

    index = write(ledger.uri, console)
    say(console, f"report: {index}")
