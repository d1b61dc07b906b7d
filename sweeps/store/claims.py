"""Drivers of one study: each says which seed runs it has taken, so that a second one leaves them to it.

A driver writes ``drivers/ID.json`` once (who it is, what it took) and ``drivers/ID.beat`` every few seconds, and deletes both when it
ends. Whether another one lives is told by its process on the same machine, else by its beat going on; no clock is compared.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from sweeps.store.ledger import Ledger
from sweeps.store.storage import StorageError

BEAT_SECONDS = 5.0


@dataclass(frozen=True)
class Driver:
    """Another driver of the study, and the seed runs that it has taken."""

    id: str
    host: str
    pid: int
    born: int | None
    since: str
    taken: frozenset[str]

    def __str__(self) -> str:
        return f"{self.host} (pid {self.pid}, since {self.since})"


def born(pid: int) -> int | None:
    """When a process of this machine started, in ticks since it booted; None where that cannot be known, or it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def living(ledger: Ledger, but: str = "", sweep: bool = True) -> list[Driver]:
    """The other drivers at work on this study, oldest first. Takes a few seconds where one is on another machine.

    What a dead driver of this machine left behind is deleted, and what cannot be read, unless ``sweep`` is false.
    """
    found, silent = [], {}
    for path in ledger.files("drivers", "json"):
        text = ledger.text(f"drivers/{Path(path).name}")
        if text is None or Path(path).stem == but:
            continue
        try:
            said = json.loads(text)
            driver = Driver(said["id"], said["host"], said["pid"], said["born"], said["since"], frozenset(said["taken"]))
        except (ValueError, KeyError, TypeError):  # a file is written whole: what cannot be read is left from a crash of its machine
            if sweep:
                remove(ledger, Path(path).stem)
            continue
        if driver.host != socket.gethostname():
            silent[driver] = ledger.text(f"drivers/{driver.id}.beat")
        elif alive(driver):
            found.append(driver)
        elif sweep:
            remove(ledger, driver.id)
    if silent:
        time.sleep(1.6 * BEAT_SECONDS)
        found += [driver for driver, beat in silent.items() if ledger.text(f"drivers/{driver.id}.beat") not in (beat, None)]
    return sorted(found, key=lambda driver: driver.id)


def alive(driver: Driver) -> bool:
    """Whether a driver of this machine still runs."""
    try:
        os.kill(driver.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return driver.born is None or born(driver.pid) == driver.born


def remove(ledger: Ledger, driver: str) -> None:
    ledger.delete(f"{ledger.path}/drivers/{driver}.{end}" for end in ("json", "beat"))


class Claim:
    """Holds seed runs for this driver while it trains them (a context manager).

    ``taken`` is what was free: where two drivers claim at once, the one whose id comes first keeps what both wanted.
    """

    def __init__(self, ledger: Ledger, run_ids: Iterable[str]) -> None:
        self.ledger, self.taken = ledger, frozenset(run_ids)
        self.id = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._beat, name="beat", daemon=True)

    def __enter__(self) -> Claim:
        said = {
            "id": self.id, "host": socket.gethostname(), "pid": os.getpid(), "born": born(os.getpid()),
            "since": time.strftime("%Y-%m-%d %H:%M:%S"), "taken": sorted(self.taken),
        }  # fmt: skip
        self.ledger.put(f"drivers/{self.id}.beat", b"0")
        self.ledger.put(f"drivers/{self.id}.json", json.dumps(said).encode())
        self.thread.start()
        for driver in living(self.ledger, but=self.id):
            if driver.id < self.id:
                self.taken -= driver.taken
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.over.set()
        self.thread.join()
        with contextlib.suppress(StorageError):  # what is left is that of a dead driver, and swept away as such
            remove(self.ledger, self.id)

    def _beat(self) -> None:
        count = 0
        while not self.over.wait(BEAT_SECONDS):
            count += 1
            try:
                self.ledger.put(f"drivers/{self.id}.beat", str(count).encode())
            except StorageError:  # a beat missed; what is written next shows whether the storage is back
                continue
