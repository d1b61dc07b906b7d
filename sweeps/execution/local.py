"""Packs trained in this process: for a study that is done before Ray has started. Kernels let go of Python's lock, so threads train side by side."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any

from sweeps.config import StudyConfig
from sweeps.execution import cluster
from sweeps.execution.executor import Watch
from sweeps.execution.worker import Worker, orders
from sweeps.plan import Pack, Plan
from sweeps.store.ledger import Ledger


class Local:
    """An :class:`sweeps.execution.executor.Executor` of threads of this process, some for packs on CPUs and some for those on a GPU."""

    def __init__(self, config: StudyConfig, ledger: Ledger) -> None:
        self.config, self.ledger = config, ledger

    def open(self) -> cluster.Slots:
        return cluster.here(self.config.compute)

    def train(self, plan: Plan, packs: Sequence[Pack], watch: Watch) -> None:
        over, telling = threading.Event(), threading.Lock()

        def one(order: dict[str, Any]) -> None:
            if over.is_set() or watch.stopped:
                return
            worker = Worker(order)
            said = None
            while not (over.is_set() or watch.stopped or (said and said.done)):
                said = worker.step()
                with telling:
                    watch.report(order["pack_id"], said)

        slots = self.open()
        with ThreadPoolExecutor(slots.cpu) as cpus, ThreadPoolExecutor(max(slots.cuda, 1)) as gpus:
            try:
                work = reversed(orders(self.config, self.ledger, plan, packs))
                training = [(gpus if order["device"] == "cuda" else cpus).submit(one, order) for order in work]
                for done in wait(training, return_when=FIRST_EXCEPTION).done:
                    done.result()
            finally:  # Ctrl-C too: threads end after the step that they are in
                over.set()

    def close(self) -> None:
        return
