"""A study on three real Ray nodes that are killed under it, again and again, against the same study left alone.

    python -m benchmarks.faults [--rounds 20] [--experiment paper_table2] [--seeds 64] [--epochs 600]

In every round a worker node is killed (SIGKILL) at three random moments and replaced, then the driver, then everything at once; the same
command goes on each time. The ledger must equal, bit for bit per run_id, that of an undisturbed run on one node. Exits with 1 if not.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from sweeps.execution.cluster import quiet
from sweeps.store.ledger import Ledger

quiet(verbose=False)

FREE = ["pack", "seconds", "code", "engine", "provenance"]
"""Columns that say how a row was made, not what it is."""


class Nodes:
    """A head that trains nothing and two workers of one core, as processes on loopback."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        health = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 3}
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": health}  # a dead node is noticed within 2 s, not 20
        self.cluster = Cluster(initialize_head=True, head_node_args=head)
        self.workers = [self.cluster.add_node(num_cpus=1) for _ in range(2)]

    def kill_worker(self, i: int) -> None:
        """SIGKILL to every process of one worker node, those that train first; another node takes its place."""
        for (raylet,) in [self.workers[i].all_processes["raylet"]]:
            children = subprocess.run(["pgrep", "-P", str(raylet.process.pid)], capture_output=True, text=True, check=False).stdout.split()
            for child in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGKILL)
        self.cluster.remove_node(self.workers[i], allow_graceful=False)
        self.workers[i] = self.cluster.add_node(num_cpus=1, wait=False)

    def kill(self) -> None:
        for node in [*self.workers, self.cluster.head_node]:
            node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)


def sweep(arguments: list[str], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen([sys.executable, "-m", "ltm.sweep", *arguments], cwd=folder, stdout=out, stderr=out)


def until(condition: Callable[[], bool], driver: subprocess.Popen[bytes], seconds: float = 300) -> bool:
    """Wait for a condition while the driver runs; whether it came true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and driver.poll() is None:
        if condition():
            return True
        time.sleep(0.02)
    return False


def disturbed(arguments: list[str], folder: Path, study: str, packs: int, dice: random.Random) -> list[str]:
    """Run the study with its kills. Returns what was done to it, and what its log says of interrupted packs."""
    events, log = [], folder / "log"
    book = Ledger(folder / "results" / study)
    nodes = Nodes()

    def start() -> subprocess.Popen[bytes]:
        return sweep([*arguments, "compute=cluster", f"compute.address={nodes.cluster.address}"], folder, log)

    def finished(count: int) -> Callable[[], bool]:
        return lambda: len(book.files("runs")) >= count

    moments = sorted(dice.sample(range(1, packs - 2), 5))
    driver = start()
    try:
        for moment, what in zip(moments, ("node", "node", "node", "driver", "everything"), strict=True):
            if not until(finished(moment), driver):
                break
            time.sleep(dice.uniform(0, 1.5))
            events.append(f"{what} killed at {len(book.files('runs'))} of {packs} packs")
            if what == "node":
                nodes.kill_worker(dice.randrange(2))
                continue
            driver.kill()
            driver.wait()
            if what == "everything":
                nodes.kill()
                nodes = Nodes()
            driver = start()
        driver.wait(timeout=600)
    finally:
        driver.kill()
        nodes.kill()
    return events + [line for line in log.read_text().splitlines() if "interrupted after" in line]


def content(book: Ledger) -> pd.DataFrame:
    return book.runs().drop(columns=FREE).sort_values("run_id", ignore_index=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--experiment", default="paper_table2")
    parser.add_argument("--seeds", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=600)
    parser.add_argument("--every", type=int, default=50, help="epochs between checkpoints")
    given = parser.parse_args()
    arguments = [f"+experiment={given.experiment}", f"seeds={given.seeds}", f"training.max_epochs={given.epochs}", "tracking=off",
                 f"compute.checkpoint_epochs={given.every}"]  # fmt: skip
    os.environ.pop("RAY_ADDRESS", None)
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / "alone"
        alone.mkdir()
        if sweep([*arguments, "compute.cpus=1"], alone, alone / "log").wait() != 0:
            print((alone / "log").read_text())
            return 1
        expected = content(Ledger(alone / "results" / given.experiment))
        packs = len(Ledger(alone / "results" / given.experiment).files("runs"))
        same, lost = 0, []
        for i in range(given.rounds):
            place = Path(folder) / f"round{i}"
            place.mkdir()
            started = time.monotonic()
            events = disturbed(arguments, place, given.experiment, packs, random.Random(i))
            equal = content(Ledger(place / "results" / given.experiment)).equals(expected)
            lost += [int(event.split("at most ")[1].split()[0]) for event in events if "epochs lost" in event]
            same += equal and max(lost, default=0) <= given.every
            print(
                f"round {i + 1}: {'the same bits' if equal else 'DIFFERENT'} in {time.monotonic() - started:.0f} s; " + "; ".join(events),
                flush=True,
            )
            if not equal:
                print((place / "log").read_text()[-4000:])
    print(f"{same} of {given.rounds} rounds ended with the ledger of the undisturbed run ({len(expected)} seed runs, {packs} packs);"
          f" {len(lost)} packs were interrupted and went on, of at most {max(lost, default=0)} epochs lost, with a checkpoint every {given.every}")  # fmt: skip
    return 0 if same == given.rounds else 1


if __name__ == "__main__":
    sys.exit(main())
