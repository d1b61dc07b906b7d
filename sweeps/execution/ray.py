"""Packs trained by Ray: one Tune trial a pack, whose actor is reused for the next."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler

from ltm import data
from ltm.data import Task
from sweeps.budget import turns_of
from sweeps.config import StudyConfig
from sweeps.execution import cluster
from sweeps.execution.executor import SCRATCH, Watch
from sweeps.execution.worker import Failure, Kind, Report, Worker, orders
from sweeps.plan import Pack, Plan
from sweeps.store.ledger import Ledger


class Ray:
    """An :class:`sweeps.execution.executor.Executor` of a Ray of this machine, or a running cluster."""

    def __init__(self, config: StudyConfig, ledger: Ledger) -> None:
        self.config, self.ledger = config, ledger

    def open(self) -> cluster.Slots:
        return cluster.connect(self.config.compute, self.config.verbose)

    def train(self, plan: Plan, packs: Sequence[Pack], watch: Watch) -> None:
        compute = self.config.compute
        trials, slots = orders(self.config, self.ledger, plan, packs), self.open()
        ahead = 2 * (slots.cpu + slots.cuda)
        if watch.budget:  # Tune makes trials one by one, and sometimes starts any that it has made: so few are made ahead of their turn
            os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", str(ahead))
            turns = turns_of(plan)
            trials = [order | {"turn": turns[pack.runs[0].seed]} for order, pack in zip(trials, packs, strict=True)]
            trials.sort(key=lambda order: int(order["turn"]))
        else:  # it starts the first ones as it makes them, before there are others to choose from
            trials = trials[-ahead:][::-1] + trials[:-ahead]
        datasets = {run.condition.fingerprint: run.condition.dataset for pack in packs for run in pack.runs[:1]}
        tasks = {key: data.build(dataset) for key, dataset in datasets.items()}
        # Tune copies its whole grid for each trial that it makes, and of orders that would be a million copies for a thousand packs: so its grid is of places
        known = tune.with_parameters(PackTrainable, orders=trials, tasks=tasks)
        # a pack on a GPU mostly waits for it: were it to have a core, too, a pack on CPUs that has the last core of a node would keep its GPU idle
        needs = {"cpu": {"CPU": float(compute.cpus_per_pack)}, "cuda": {"GPU": compute.gpus_per_pack}}

        def resources(config: dict[str, Any]) -> tune.PlacementGroupFactory:
            return tune.PlacementGroupFactory([needs[trials[config["work"]]["device"]]])

        watcher = Watcher(watch, trials)
        tuner = tune.Tuner(
            tune.with_resources(known, resources),
            param_space={"work": tune.grid_search([*range(len(trials))])},
            tune_config=tune.TuneConfig(reuse_actors=True, scheduler=LastFirst(slots, trials)),
            run_config=tune.RunConfig(
                name=f"packs-{time.time_ns()}",
                callbacks=[watcher],
                stop=watcher,
                verbose=1 if self.config.verbose else 0,
                failure_config=tune.FailureConfig(max_failures=compute.max_failures),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # the worker keeps its own
                **storage(self.ledger),
            ),
        )
        try:
            with cluster.keys_kept():
                tuner.fit()
        except Exception:
            watch.probe()
            if not watch.stopped:
                raise

    def close(self) -> None:
        cluster.leave()


def storage(ledger: Ledger) -> dict[str, Any]:
    """Tune's storage: beside the ledger, where every node reaches it."""
    if ledger.is_local:
        return {"storage_path": str(ledger.local().absolute() / SCRATCH)}
    return {"storage_path": f"{ledger.path}/{SCRATCH}", "storage_filesystem": ledger.fs}


class PackTrainable(tune.Trainable):
    """Trains one pack a trial. Config: under the one key ``work`` the place of its order (:class:`sweeps.execution.worker.Worker`) among all.

    That a pack failed is a result like any other (``error`` and ``kind``), so that Tune starts again only what was killed; that goes on from the
    worker's own checkpoint, which a later command finds too.
    """

    def setup(self, config: dict[str, Any], orders: Sequence[dict[str, Any]] = (), tasks: Mapping[str, Task] | None = None) -> None:
        self.worker = Worker(orders[config["work"]], tasks)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        said = self.worker.step()
        failure = said.failure or Failure(Kind.PACK, "")
        return asdict(said) | {"failure": None, "error": failure.error, "kind": failure.kind.value}


class LastFirst(FIFOScheduler):
    """Gives a free worker the last trial that waits for one of its kind, with a GPU or without, of those whose turn is first.

    Tune's own order gives it the first, for which a new worker may just be starting; Tune then ends that one. Where packs are shorter than the seconds that a
    worker takes to start, that happens again and again, and a node that joins a sweep never trains.
    """

    def __init__(self, slots: cluster.Slots, orders: Sequence[dict[str, Any]]) -> None:
        super().__init__()
        self.slots, self.orders = slots, orders

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        trials = tune_controller.get_trials()
        waiting = [trial for trial in reversed(trials) if trial.status == "PENDING"]
        busy = Counter(self.order(trial)["device"] for trial in trials if trial.status == "RUNNING")
        free = [trial for trial in waiting if busy[device := self.order(trial)["device"]] < self.slots.on(device)[0]]
        return min(free or waiting, key=lambda trial: self.order(trial).get("turn", 0), default=None)

    def order(self, trial: Any) -> dict[str, Any]:
        return self.orders[trial.config["work"]]


class Watcher(tune.Callback, tune.Stopper):
    """Passes on to a watch what Tune says of its trials."""

    def __init__(self, watch: Watch, orders: Sequence[dict[str, Any]]) -> None:
        self.watch = watch
        self.ids = [order["pack_id"] for order in orders]

    def __reduce__(self) -> Any:
        # Tune pickles its callbacks into its experiment state, which is never read here: the ledger knows what is done.
        return tune.Callback, ()

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        failure = Failure(Kind(result["kind"]), result["error"]) if result["error"] else None
        said = {key: result[key] for key in ("done", "epoch", "seed_epochs", "resumed", "why_slow", "name")}
        self.watch.report(self.ids[trial.config["work"]], Report(**said, failure=failure))

    def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.watch.probe()

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.watch.failed(self.ids[trial.config["work"]], Failure(Kind.PACK, "its worker died again and again (killed, or out of memory)"))
        self.watch.probe()

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return bool(self.watch.stopped)
