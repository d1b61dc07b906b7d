"""What every command prints with: the console, a line, a duration in words."""

from __future__ import annotations

import sys

from rich.console import Console


def terminal() -> Console:
    """The console of every command; in a log file, wide enough for its tables."""
    return Console() if sys.stdout.isatty() else Console(width=120)


def say(console: Console, text: str) -> None:
    """One line, as it is: neither wrapped nor coloured."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def counted(n: int, what: str) -> str:
    """``1 seed``, ``1,000 seeds``."""
    return f"{n:,} {what}{'s' * (n != 1)}"


def duration(seconds: float) -> str:
    """``75`` as ``1:15``, ``3700`` as ``1:01:40``."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
