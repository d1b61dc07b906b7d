"""Tracking, as the sweep sees it: W&B follows a study in processes of its own, and nothing here waits for them but ``close``.

:mod:`sweeps.follower` writes W&B's offline files; ``tracking=online`` has them sent as they come (:mod:`sweeps.sending`).
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sweeps.ledger import Ledger
from sweeps.sending import QUIET, Sender, is_sent

if TYPE_CHECKING:
    from sweeps.config import TrackingConfig
    from sweeps.plan import SeedRun


class Tracker:
    """Tells the follower of a study what is going to be trained and what is finished, and the user what it says."""

    def __init__(self, config: TrackingConfig, study: str, ledger: Ledger, say: Callable[[str], None]) -> None:
        self.config, self.study, self.ledger, self.say = config, study, ledger, say
        self.log = ledger.local() / "wandb.log"
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="tracker") if config.mode != "off" else None
        self.follower: subprocess.Popen[str] | None = None
        self.relay: threading.Thread | None = None
        self.sender: Sender | None = None

    def expect(self, missing: Sequence[SeedRun]) -> None:
        """These seed runs are going to be trained."""
        self._tell("expect", missing=Counter(run.condition.id for run in missing))

    def finished(self, runs: Sequence[SeedRun], pack: str) -> None:
        """The ledger has these seed runs now, in this pack."""
        self._tell("finished", runs=Counter(run.condition.id for run in runs), pack=pack)

    def trained(self) -> None:
        """All is trained."""
        self._tell("trained")
        if self.sender:
            self.sender.hurry()

    def close(self) -> None:
        """The report is written: have the rest logged and sent; say how the runs are sent that are only here."""
        if self.pool is None or self.follower is None or self.relay is None:
            return
        self._tell("close")
        self.pool.shutdown()
        self.pool = None
        self.relay.join()
        if self.follower.wait() != 0:
            self.say(f"W&B: the process that follows the study has failed, see {self.log}; the same command logs what is missing.")
        if self.sender:
            self.sender.close()
        if unsent := [run for run in self.log.parent.glob("wandb/offline-run-*") if not is_sent(run)]:
            self.say(f"W&B files of {len(unsent)} runs are offline; send them with: wandb sync {self.log.parent}/wandb/offline-run-*")

    def _tell(self, what: str, **message: Any) -> None:
        if self.pool:
            self.pool.submit(self._write, self.follower or self._start(), json.dumps({"what": what, **message}))

    def _write(self, follower: subprocess.Popen[str], line: str) -> None:
        assert follower.stdin
        with contextlib.suppress(OSError):  # it died: its log says why, and the same command logs what is missing
            follower.stdin.write(line + "\n")
            follower.stdin.flush()

    def _start(self) -> subprocess.Popen[str]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        command = [sys.executable, "-m", "sweeps.follower", self.ledger.uri, self.study, json.dumps(asdict(self.config))]
        with self.log.open("ab") as log:
            self.follower = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True, env={**QUIET, **os.environ}
            )  # fmt: skip
        self.relay = threading.Thread(target=self._relay, args=(self.follower.stdout,), daemon=True)
        self.relay.start()
        if self.config.mode == "online":
            self.sender = Sender(self.log, self.say)
        return self.follower

    def _relay(self, lines: Any) -> None:
        for line in lines:
            self.say(line.rstrip())
