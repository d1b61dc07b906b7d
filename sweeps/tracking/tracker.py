"""Tracking, as the sweep sees it: :mod:`sweeps.tracking.logger` follows a study for W&B in a process of its own, and nothing here waits for it but ``close``."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sweeps.store.ledger import Ledger
from sweeps.tracking.marks import TRIAL, unlogged, unsent
from sweeps.tracking.uploader import QUIET

if TYPE_CHECKING:
    from sweeps.config import TrackingConfig
    from sweeps.plan import SeedRun

START_SECONDS = 120.0
"""The follower is started so long after the sweep, or when all is trained: it and what sends take some four seconds whatever the study, which short sweeps have no core for."""

NICE = 19
"""How far the follower yields to the training."""


class Tracker:
    """Tells the follower of a study what is going to be trained and what is finished, and the user what it says."""

    def __init__(self, config: TrackingConfig, study: str, ledger: Ledger, say: Callable[[str], None]) -> None:
        self.config, self.study, self.ledger, self.say = config, study, ledger, say
        self.log = ledger.local() / "wandb.log"
        # os.environ as it is now: while Tune runs, cloud keys are kept out of it
        self.environment = {**QUIET, "WANDB_DIR": str(self.log.parent), **os.environ}
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.now, self.started = threading.Event(), time.time()
        self.thread: threading.Thread | None = None

    def expect(self, missing: Sequence[SeedRun]) -> None:
        """These seed runs are going to be trained."""
        self._tell("expect", missing=Counter(run.condition.id for run in missing))

    def finished(self, runs: Sequence[SeedRun], pack: str) -> None:
        """The ledger has these seed runs now, in this pack."""
        self._tell("finished", runs=Counter(run.condition.id for run in runs), pack=pack)

    def trained(self) -> None:
        """All is trained. Nothing more is done where nothing was to train, and all is logged and sent that should be."""
        if self.config.mode == "off" or (self.thread is None and self._is_over()):
            return
        self._tell("trained")
        self.now.set()

    def close(self) -> None:
        """The report is written: have the rest logged and sent; say how the runs are sent that are only here."""
        if self.thread is None:
            return
        self._tell("close")
        self.lines.put(None)
        self.now.set()
        self.thread.join()
        self.thread = None
        if left := unsent(self.log.parent):
            self.say(f"W&B files of {len(left)} runs are offline; send them with: wandb sync {self.log.parent}/wandb/offline-run-*")

    def _is_over(self) -> bool:
        folder, runs = self.log.parent, self.ledger.runs(["run_id", "condition_id"])
        waits = self.config.mode == "online" and unsent(folder)
        return not (waits or unlogged(folder, self.study, runs, self.config.per_seed) or set(TRIAL) & set(self.environment))

    def _tell(self, what: str, **message: Any) -> None:
        if self.config.mode == "off":
            return
        self.lines.put(json.dumps({"what": what, **message}))
        if self.thread is None:
            self.thread = threading.Thread(target=self._follow, name="tracker", daemon=True)
            self.thread.start()

    def _follow(self) -> None:
        """Start the follower, pass on to it what is told, and end with it."""
        self.now.wait(START_SECONDS)
        follower = self._start()
        relay = threading.Thread(target=self._relay, args=(follower.stdout,), daemon=True)
        relay.start()
        with contextlib.suppress(OSError), follower.stdin as pipe:  # type: ignore[union-attr]
            for line in iter(self.lines.get, None):
                print(line, file=pipe, flush=True)
        relay.join()
        if follower.wait() != 0:
            self.say(f"W&B: the process that follows the study has failed, see {self.log}; the same command logs what is missing.")

    def _start(self) -> subprocess.Popen[str]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        command = [
            sys.executable,
            "-m",
            "sweeps.tracking.logger",
            self.ledger.uri,
            self.study,
            json.dumps(asdict(self.config)),
            str(self.started),
        ]
        with self.log.open("ab") as log:
            follower = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=self.environment,
                process_group=0,  # Ctrl-C is not for it; in a session of its own, Linux would give it as much of the processor as the whole sweep
            )  # fmt: skip
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, follower.pid, NICE)
        return follower

    def _relay(self, lines: Any) -> None:
        for line in lines:
            self.say(line.rstrip())
