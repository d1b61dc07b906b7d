"""What this machine has to give."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
from functools import lru_cache
from pathlib import Path

MALLOPT = {-8: 1, -4: 0, -1: 2**31 - 1, -2: 2**26}
"""One arena for all threads, no mapped blocks, nothing given back until 2 GiB lie free at the end, 64 MiB more than asked for: by glibc's numbers."""


def user_cache() -> Path:
    """Where ltm keeps what can be made or fetched again, in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ltm"


def memory_available() -> float:
    """Bytes that a process may still take; no limit where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return math.inf


@lru_cache(maxsize=1)
def reuse_memory() -> None:
    """Have this process keep the memory that it frees, for what it takes next.

    glibc maps a large block anew every time, and the system fills it with zeros. An engine that takes the same blocks in every update spends up to half
    of its time so. Does nothing where the C library is another.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        for what, value in MALLOPT.items():
            libc.mallopt(what, value)
