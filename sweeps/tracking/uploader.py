"""W&B's files on their way: what tracking writes offline is sent by ``wandb sync``, in processes of its own that may hang, fail or be killed.

The files stay whatever happens. ``python -m sweeps.tracking.uploader PID ARGUMENTS`` is ``python -m wandb ARGUMENTS``, ended when the sweep that started it is gone.
"""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sweeps.tracking.marks import LOGGED, OVERVIEW, is_sent

ANSWER_SECONDS = 5
"""How long a W&B server may take to answer whether the key is good."""

BATCH_SECONDS = 180.0
"""Finished runs are collected for so long and sent together: a process that sends takes a second or two of a core to start."""

HURRY_SECONDS = 2.0
"""The same once all is trained."""

STALL_SECONDS = 20.0
"""A process that has finished no run for so long is ended (W&B's own client tries again for hours); its runs are sent later."""

RETRY_SECONDS, MOST_SECONDS = 30.0, 600.0
"""Pause after a server that did not answer; doubled each time, up to so long."""

QUIET = {"WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
"""W&B's client neither talks nor reports on itself: that waits for a server, too."""

BATCH, AT_ONCE = 500, 8
"""Runs given to a process that sends, and how many of them it sends at a time."""


class Sender:
    """Sends the runs in a study's W&B folder from a thread of its own, which starts and ends the processes that do.

    What :mod:`sweeps.tracking.logger` has marked as complete is sent in batches; the study's own run while it is being written.
    """

    def __init__(self, log: Path, say: Callable[[str], None]) -> None:
        self.log, self.say, self.folder = log, say, log.parent / "wandb"
        self.study: Path | None = None
        self.live: subprocess.Popen[bytes] | None = None
        self.trouble: str | None = None
        self.told: set[str] = set()
        self.wake, self.closing, self.pause, self.started = threading.Event(), threading.Event(), BATCH_SECONDS, time.time()
        self.thread = threading.Thread(target=self._work, name="wandb-sender", daemon=True)
        self.thread.start()

    def hurry(self) -> None:
        """Send what is complete now, and what comes as it comes."""
        self.pause = HURRY_SECONDS
        self.wake.set()

    def close(self) -> None:
        """Send what is left, where the server has answered so far; end every process. All runs are complete now, the study's too."""
        self.closing.set()
        self.wake.set()
        self.thread.join()
        if self.live is not None:
            self.live.kill()
            self.live.wait()

    def queue(self) -> list[Path]:
        """Complete runs that are not sent, but for the study's while a process is at it."""
        runs = (mark.parent for mark in sorted(self.folder.glob(f"offline-run-*/{LOGGED}")))
        return [run for run in runs if not is_sent(run) and not (run == self.study and self.is_live)]

    @property
    def is_live(self) -> bool:
        """Whether the study's run is being sent."""
        return self.live is not None and self.live.poll() is None

    def _work(self) -> None:
        failures = 0
        while True:
            self.trouble, final = refusal()
            if self.trouble is None:
                self._follow_study()
                self._send()
            self._tell()
            if final:
                return
            failures = failures + 1 if self.trouble else 0
            if failures:
                self.closing.wait(min(RETRY_SECONDS * 2 ** (failures - 1), MOST_SECONDS))
            else:
                self.wake.wait(self.pause)
                self.wake.clear()
            if self.closing.is_set():
                break
        end = time.monotonic() + STALL_SECONDS
        while self.trouble is None and self.is_live and self.study and not is_sent(self.study) and time.monotonic() < end:
            self._send()
            time.sleep(0.1)
        while self.trouble is None and self.queue():
            self._send()
        self._tell()

    def _tell(self) -> None:
        """Where the study is to be seen, or what is wrong; once each."""
        links = re.findall(r"View run study .* at (\S+)", self.log.read_text(errors="replace") if self.log.exists() else "")
        news = f"{self.trouble}; the sweep goes on, and its W&B files are kept here." if self.trouble else links and links[-1]
        if news and news not in self.told:
            self.told.add(news)
            self.say(f"W&B: {news}")

    def _follow_study(self) -> None:
        """Start the process that sends the study's run while it is being written."""
        for mark in self.folder.glob(f"offline-run-*/{OVERVIEW}"):
            if not self.is_live and mark.stat().st_mtime >= self.started and not (mark.parent / LOGGED).exists():
                self.study = mark.parent
                self.live = self._start("beta", "sync", "--live", str(self.study))

    def _send(self) -> None:
        """Send finished runs; sets ``trouble`` where some could not be sent."""
        runs = self.queue()[:BATCH]
        if not runs:
            return
        before = self.log.stat().st_size if self.log.exists() else 0
        process = self._start("sync", "-n", str(AT_ONCE), *map(str, runs))
        left, moved = len(runs), time.monotonic()
        while process.poll() is None and time.monotonic() - moved < STALL_SECONDS:
            time.sleep(0.1)
            if (now := sum(not is_sent(run) for run in runs)) < left:
                left, moved = now, time.monotonic()
        stalled = process.poll() is None
        process.kill()
        process.wait()
        if not all(map(is_sent, runs)):
            self.trouble = f"{server()} took in nothing for {STALL_SECONDS:.0f} s" if stalled else errors_of(self.log, before)

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "sweeps.tracking.uploader", str(os.getpid()), *arguments],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=os.environ | {"WANDB_SILENT": "false"},
            )  # fmt: skip


def server() -> str:
    import wandb

    return str(wandb.setup().settings.base_url)


def refusal() -> tuple[str | None, bool]:
    """Why W&B takes nothing now, if so, and whether trying again is no use: asks the server who we are."""
    import wandb

    started = time.monotonic()
    try:
        wandb.Api(timeout=ANSWER_SECONDS)
    except Exception as error:  # the boundary to a foreign service
        if time.monotonic() - started >= ANSWER_SECONDS:
            return f"{server()} does not answer (no network, rate limit, or a proxy that hangs)", False
        return str(error).strip().splitlines()[0].rstrip("."), True
    return None, False


def errors_of(log: Path, start: int) -> str:
    """The last error in a log from this byte on, in one line."""
    lines = log.read_bytes()[start:].decode(errors="replace").splitlines()
    wrong = [line.partition("ERROR")[2].strip() for line in lines if "ERROR" in line]
    return next((line for line in reversed(wrong) if line), f"some runs could not be sent, see {log}").rstrip(".")


def main() -> None:
    """``python -m wandb``, ended when the parent, whose process id is the first argument, is gone."""
    parent = int(sys.argv.pop(1))

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    sys.argv[0] = "wandb"
    runpy.run_module("wandb", run_name="__main__")


if __name__ == "__main__":
    main()
