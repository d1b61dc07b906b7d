"""Waiting for what another process does: long, as machines are busy, and never in silence."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

LONG = 400.0
"""Seconds that anything may take before a test says that it will not come."""


def until(
    happened: Callable[[], object], process: subprocess.Popen[str] | None = None, told: Callable[[], str] = str, pause: float = 0.05
) -> None:
    """Return once something has happened. Fails where it has not in :data:`LONG` seconds, or the process that was to do it has ended.

    Args:
        told: more words for the failure than the process printed.
    """
    end = time.monotonic() + LONG
    while not happened():
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > end:
            printed = killed(process) if process is not None else ""
            raise AssertionError(f"{'its process ended' if ended else f'{LONG:g} s went by'} before it happened:\n{printed}{told()}")
        time.sleep(pause)


def killed(process: subprocess.Popen[str]) -> str:
    """Kill a process. Returns what it had printed into pipes."""
    process.kill()
    return "".join(part or "" for part in process.communicate())
