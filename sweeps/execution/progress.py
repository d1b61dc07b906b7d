"""What a sweep shows while it runs: one live line on a terminal, a plain line now and then in a log file."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from sweeps.console import duration, say
from sweeps.plan import Pack

LOG_SECONDS = 15.0

SETTLED_SECONDS = 5.0
"""So long after the first report speeds are counted from it, without the start of workers and kernels; before, no time left is told."""

KNOWN_SHARE, KNOWN_SECONDS = 0.01, 60.0
"""Time left is told after a finished pack, this share of all effort, or so long a time: an earlier guess would be off many times over."""


@dataclass(frozen=True)
class Mark:
    """How far a sweep was at a time (monotonic seconds): share of all effort, finished seed runs, seed-epochs and finished packs."""

    time: float
    fraction: float = 0.0
    runs: int = 0
    seed_epochs: int = 0
    packs: int = 0


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
    first: Mark | None = None

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
        now = time.monotonic()
        self.seed_epochs[pack] = max(seed_epochs, self.seed_epochs.get(pack, 0))
        if done:
            self.finished.add(pack)
        if failed:
            self.failed.add(pack)
        if self.first is None and seed_epochs:
            self.first = self.mark()
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

    def note(self, cell: str, text: str) -> None:
        """Say why a cell is slow, once, however many packs report it: each has measured how slow."""
        if text and cell not in self.notes:
            self.notes.add(cell)
            say(self.console, f"Using the slower torch engine: {text}")

    @property
    def fraction(self) -> float:
        over = self.finished | self.failed
        begun = {key: epochs for key, epochs in self.seed_epochs.items() if key in self.packs and key not in over}
        running = sum(self.packs[key].effort * epochs / self.packs[key].seed_epochs for key, epochs in begun.items())
        done = sum(self.packs[key].effort for key in over)
        return min((done + running) / max(sum(pack.effort for pack in self.packs.values()), 1e-9), 1.0)

    def mark(self) -> Mark:
        """How far all is now."""
        runs = sum(len(self.packs[pack].runs) for pack in self.finished)
        return Mark(time.monotonic(), self.fraction, runs, sum(self.seed_epochs.values()), len(self.finished))

    def left(self, now: Mark) -> float | None:
        """Seconds left at the speed since the first report; None where that is not known yet."""
        if now.fraction >= 1:
            return 0.0
        if self.first is None or now.fraction <= self.first.fraction:
            return None
        seconds, share = now.time - self.first.time, now.fraction - self.first.fraction
        known = now.packs > self.first.packs or share >= KNOWN_SHARE or seconds >= KNOWN_SECONDS
        return seconds * (1 - now.fraction) / share if known and seconds >= SETTLED_SECONDS else None

    def line(self) -> str:
        """Packs, seed runs, rates and time left, in words."""
        now = self.mark()
        elapsed = max(now.time - self.started, 1e-9)
        every = sum(len(pack.runs) for pack in self.packs.values())
        since = self.first if self.first and now.time - self.first.time >= SETTLED_SECONDS else Mark(self.started)
        seconds = max(now.time - since.time, 1e-9)
        seconds_left = self.left(now)
        left = "unknown" if seconds_left is None else duration(seconds_left)
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return (
            f"packs {len(self.finished)}/{len(self.packs)}{failed} | seed runs {now.runs}/{every}"
            f" | {(now.runs - since.runs) / seconds:.1f} seed runs/s, {(now.seed_epochs - since.seed_epochs) / seconds:,.0f} seed-epochs/s"
            f" | {duration(elapsed)} elapsed, {left} left"
        )

    def render(self) -> Table:
        grid = Table.grid(padding=(0, 1))
        grid.add_row(ProgressBar(total=1.0, completed=self.fraction, width=24), self.line())
        return grid
