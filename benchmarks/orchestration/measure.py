"""Run a peer, kill it when half of its seed runs have ended, give its command again, and count what was trained twice and what is missing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.orchestration.study import Peer, Study, command_of
from benchmarks.peers import FAST_MALLOC

ROOT = Path(__file__).parents[2]
PAUSE = 0.3
"""Seconds from the moment when half has ended to the kill, or it would always come while that seed run is recorded."""


@dataclass(frozen=True)
class Measured:
    """What became of a peer's study.

    Attributes:
        before, after: seconds of the first command until its kill, and of the second until its end.
        ended: seed runs that had ended at the kill.
        interrupted: those that had begun, and had not.
        twice: those that were trained to their end more than once.
        begun: trainings begun in all, one for each seed run if nothing were done again.
        lost: seed runs that the peer's own results lack at the end.
        outlived: processes that the kill of the driver's group left, and that did not end by themselves.
        error: median test error over all seed runs, by which one sees that all train the same.
        said: what the second command printed.
    """

    before: float
    after: float
    ended: int
    interrupted: int
    twice: int
    begun: int
    lost: int
    outlived: int
    error: float
    said: str

    @property
    def seconds(self) -> float:
        return self.before + self.after

    def write(self, folder: Path) -> None:
        (folder / "measured.json").write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Measured | None:
        """None where this peer has not been measured in this folder."""
        file = folder / "measured.json"
        return cls(**json.loads(file.read_text())) if file.exists() else None


class Driver:
    """A command in a process group of its own, which is killed with all that it started."""

    def __init__(self, command: str, folder: Path, output: Path) -> None:
        self.folder, self.started = folder, time.monotonic()
        with output.open("w") as out:
            self.process = subprocess.Popen(
                ["bash", "-c", command], cwd=folder, env=environment(folder), stdout=out, stderr=subprocess.STDOUT, process_group=0
            )

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def left(self) -> list[int]:
        """The processes that this command started, by the folder in their environment, and that still run."""
        mark, found = f"STUDY={self.folder}\0".encode(), []
        for place in Path("/proc").iterdir():
            if place.name.isdigit():
                with contextlib.suppress(OSError):
                    if mark in (place / "environ").read_bytes():
                        found.append(int(place.name))
        return found

    def cleared(self, patience: float = 20.0) -> int:
        """Wait for what is left to end; end what does not, and say how many that were."""
        until = time.monotonic() + patience
        while (left := self.left()) and time.monotonic() < until:
            time.sleep(0.2)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(left)


def environment(folder: Path) -> dict[str, str]:
    """One thread a worker, the faster malloc, no kernels from before, no Ray cluster of others, and a Ray that may start slowly and leaves no token behind."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "RAY_ADDRESS", "XLA_FLAGS")}
    own = {
        "STUDY": str(folder),
        "SEED_RUNS": str(folder / "seed_runs.log"),
        "LTM_CACHE_DIR": str(folder / "cache"),
        "PYTHONPATH": str(ROOT),
    }
    rays = {"RAY_AUTH_MODE": "disabled", "RAY_raylet_start_wait_time_s": "120"}
    return kept | FAST_MALLOC | own | rays | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}


def events(folder: Path) -> tuple[Counter[str], Counter[str]]:
    """How often each seed run has begun, and ended."""
    log = folder / "seed_runs.log"
    words = [line.split(" ", 2) for line in log.read_text().splitlines()] if log.exists() else []
    return tuple(Counter(run for _, event, run in words if event == wanted) for wanted in ("began", "ended"))  # type: ignore[return-value]


def measure(peer: Peer, study: Study, python: str, folder: Path) -> Measured:
    """The study in an empty ``folder``, its driver killed once.

    Raises:
        SystemExit: the peer failed, or ended before it could be killed.
    """
    study.write(folder)
    command = command_of(peer, python)
    first = Driver(command, folder, folder / "first.log")
    while len(events(folder)[1]) < study.seed_runs / 2:
        if first.process.poll() is not None:
            raise SystemExit(f"{peer.label} ended before half of its seed runs had; see {folder / 'first.log'}.")
        time.sleep(0.02)
    time.sleep(PAUSE)
    before = first.seconds
    first.kill()
    outlived = first.cleared()
    began, ended = events(folder)
    second = Driver(command, folder, folder / "second.log")
    if second.process.wait():
        raise SystemExit(f"{peer.label}: its second command failed; see {folder / 'second.log'}.")
    after = second.seconds
    second.cleared()
    begun, done = events(folder)
    rows = peer.table(folder).drop_duplicates(["model", "series", "seed"])
    found = Measured(
        before, after, len(ended), len(began.keys() - ended.keys()), sum(count > 1 for count in done.values()), begun.total(),
        study.seed_runs - len(rows), outlived, float(rows["test_rmse"].median()), (folder / "second.log").read_text(),
    )  # fmt: skip
    found.write(folder)
    return found
