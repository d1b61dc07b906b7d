"""W&B's files on their way: what tracking writes offline is sent by ``wandb sync``, in processes of its own that may hang, fail or be killed.

The files stay whatever happens. ``python -m sweeps.sending PID ARGUMENTS`` is ``python -m wandb ARGUMENTS``, ended when the sweep that started it is gone.
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

ANSWER_SECONDS = 5
"""How long a W&B server may take to answer whether the key is good."""

BATCH_SECONDS = 15.0
"""Finished runs are collected for so long and sent together: a process that sends takes a second to start."""

STALL_SECONDS = 10.0
"""A process that has finished no run for so long is ended (W&B's own client tries again for hours); its runs are sent later."""

RETRY_SECONDS, MOST_SECONDS = 30.0, 600.0
"""Pause after a server that did not answer; doubled each time, up to so long."""

BATCH, AT_ONCE = 500, 8
"""Runs given to a process that sends, and how many of them it sends at a time."""


class Sender:
    """Sends runs from a thread of its own, which starts and ends the processes that do.

    ``study``, the run that is still being written, is sent as it grows; ``add`` queues runs that are finished.
    """

    def __init__(self, log: Path, say: Callable[[str], None]) -> None:
        self.log, self.say = log, say
        self.queue: list[Path] = []
        self.study: Path | None = None
        self.live: subprocess.Popen[bytes] | None = None
        self.trouble: str | None = "nothing was sent yet"
        self.told: set[str] = set()
        self.wake, self.closing = threading.Event(), False
        self.thread = threading.Thread(target=self._work, name="wandb-sender", daemon=True)
        self.thread.start()

    def add(self, run: Path) -> None:
        """This run is finished."""
        self.queue.append(run)

    def hurry(self) -> None:
        """Send what is finished now."""
        self.wake.set()

    def close(self) -> None:
        """Send what is left, where the server has answered so far; end every process. All runs are finished now, the study's too."""
        self.closing = True
        self.wake.set()
        self.thread.join()
        if self.live is not None:
            self.live.kill()
            self.live.wait()

    def _work(self) -> None:
        pause = 0.0
        while not self.closing:
            self.trouble, final = refusal()
            if self.trouble is None:
                pause = BATCH_SECONDS
                self._follow_study()
                self._send()
            self._tell()
            if self.trouble is not None:
                pause = min(max(2 * pause, RETRY_SECONDS), MOST_SECONDS)
            if final:
                return
            self.wake.wait(pause)
            self.wake.clear()
        if self.trouble is None:
            if self.study is not None and self.live is None:
                self.queue.append(self.study)
            while self.queue and self.trouble is None:
                self._send()
            end = time.monotonic() + STALL_SECONDS
            while self.live is not None and self.live.poll() is None and time.monotonic() < end:
                time.sleep(0.1)
            self._tell()

    def _tell(self) -> None:
        """Where the study is to be seen, or what is wrong; once each."""
        link = re.search(rb"View run study .* at (\S+)", self.log.read_bytes()) if self.live else None
        news = f"{self.trouble}; the sweep goes on, and its W&B files are kept here." if self.trouble else link and link[1].decode()
        if news and news not in self.told:
            self.told.add(news)
            self.say(f"W&B: {news}")

    def _follow_study(self) -> None:
        """Start the process that sends the study's run while it is being written."""
        if self.study is not None and (self.live is None or (self.live.poll() is not None and not is_sent(self.study))):
            self.live = self._start("beta", "sync", "--live", str(self.study))

    def _send(self) -> None:
        """Send finished runs; sets ``trouble`` where some could not be sent."""
        runs = self.queue[:BATCH]
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
        for run in filter(is_sent, runs):
            self.queue.remove(run)
        if not all(map(is_sent, runs)):
            self.trouble = f"{server()} took in nothing for {STALL_SECONDS:.0f} s" if stalled else errors_of(self.log, before)

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "sweeps.sending", str(os.getpid()), *arguments],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, env={**os.environ, "WANDB_SILENT": "false"},
            )  # fmt: skip


def is_sent(run: Path) -> bool:
    """Whether ``wandb sync`` has marked a run's folder as sent."""
    return any(run.glob("*.wandb.synced"))


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
