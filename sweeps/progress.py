"""What a sweep shows while it runs: one live line on a terminal, a plain line now and then in a log file."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from sweeps.plan import Pack

LOG_SECONDS = 15.0


def terminal() -> Console:
    """The console of every command; in a log file, wide enough for its tables."""
    return Console() if sys.stdout.isatty() else Console(width=120)


def say(console: Console, text: str) -> None:
    """One line, as it is: neither wrapped nor coloured."""
    console.print(text, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """``75`` as ``1:15``, ``3700`` as ``1:01:40``."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


@dataclass
class Progress:
    """Packs, seed runs and seed-epochs of one sweep.

    ``packs`` is by id. Time left goes by their effort, a pack in training with the share of its epochs that it has done: a rough estimate, and too long
    where lanes stop early.
    """

    console: Console
    packs: dict[str, Pack]
    finished: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    seed_epochs: dict[str, int] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    logged: float = field(default_factory=time.monotonic)
    live: Live | None = None
    notes: set[str] = field(default_factory=set)
    resumed: set[tuple[str, int]] = field(default_factory=set)

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self.live = Live(get_renderable=self.render, console=self.console, refresh_per_second=4, transient=True)
            self.live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self.live:
            self.live.__exit__(None, None, None)

    def update(self, pack: str, seed_epochs: int, done: bool = False, failed: bool = False) -> None:
        """A pack reported. Logs a plain line at most every ``LOG_SECONDS`` where there is no terminal."""
        self.seed_epochs[pack] = max(seed_epochs, self.seed_epochs.get(pack, 0))
        if done:
            self.finished.add(pack)
        if failed:
            self.failed.add(pack)
        now = time.monotonic()
        if self.live is None and (now - self.logged > LOG_SECONDS or len(self.finished) == len(self.packs)):
            self.logged = now
            say(self.console, self.line())

    def log(self, text: str) -> None:
        """A line above the live one."""
        say(self.console, text)

    def split(self, pack: str, parts: dict[str, Pack]) -> None:
        """A failed pack is tried again as these, or given up where there are none."""
        if parts:
            self.failed.discard(pack)
            del self.packs[pack]
            self.packs.update(parts)

    def note(self, text: str) -> None:
        """Show a line once, however many packs report it."""
        if text and text not in self.notes:
            self.notes.add(text)
            say(self.console, f"reference engine, which is slow. {text}")

    @property
    def fraction(self) -> float:
        over = self.finished | self.failed
        begun = {key: epochs for key, epochs in self.seed_epochs.items() if key in self.packs and key not in over}
        running = sum(self.packs[key].effort * epochs / self.packs[key].seed_epochs for key, epochs in begun.items())
        done = sum(self.packs[key].effort for key in over)
        return min((done + running) / max(sum(pack.effort for pack in self.packs.values()), 1e-9), 1.0)

    def line(self) -> str:
        """Packs, seed runs, rates and time left, in words."""
        elapsed = max(time.monotonic() - self.started, 1e-9)
        runs, every = sum(len(self.packs[pack].runs) for pack in self.finished), sum(len(pack.runs) for pack in self.packs.values())
        fraction = self.fraction
        left = duration(elapsed * (1 - fraction) / fraction) if fraction > 0 else "unknown"
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return (
            f"packs {len(self.finished)}/{len(self.packs)}{failed} | seed runs {runs}/{every}"
            f" | {runs / elapsed:.1f} seed runs/s, {sum(self.seed_epochs.values()) / elapsed:,.0f} seed-epochs/s"
            f" | {duration(elapsed)} elapsed, {left} left"
        )

    def render(self) -> Table:
        grid = Table.grid(padding=(0, 1))
        grid.add_row(ProgressBar(total=1.0, completed=self.fraction, width=24), self.line())
        return grid
