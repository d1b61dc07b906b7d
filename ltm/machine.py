"""What this machine has to give."""

from __future__ import annotations

import math
from pathlib import Path


def memory_available() -> float:
    """Bytes that a process may still take; no limit where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return math.inf
