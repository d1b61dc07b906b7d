"""Looking after a ledger: how far its study is, whether its files are sound, fewer files, one file."""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa
from rich.table import Table

from ltm.errors import UserError
from sweeps.condition import digest
from sweeps.config import parse_seeds
from sweeps.console import duration
from sweeps.store import claims, damage
from sweeps.store.ledger import DamagedError, GoneError, Ledger
from sweeps.store.storage import pack_of
from sweeps.store.tables import CURVES, SCHEMA

ROWS = 50_000
"""Seed runs in a compacted file, about."""


@dataclass(frozen=True)
class Status:
    """How far a study is, in seed runs; ``planned`` is None for a search, which decides as it goes."""

    planned: int | None
    finished: int
    diverged: int
    failed: int
    running: int
    drivers: list[claims.Driver]
    rate: float

    @property
    def missing(self) -> int:
        return max(self.planned - self.finished, 0) if self.planned is not None else self.running

    @property
    def left(self) -> str:
        """Time left, in words."""
        if self.rate and self.drivers:
            return duration(self.missing / self.rate)
        return "unknown: no driver is at work" if self.missing else "0:00"

    def table(self) -> Table:
        """For the terminal."""
        table = Table.grid(padding=(0, 2))
        rows = {
            "planned": f"{self.planned:,}" if self.planned is not None else "a search, or claims, decide as it goes", "finished": f"{self.finished:,}", "of them diverged": f"{self.diverged:,}", "missing": f"{self.missing:,}",
            "being trained": f"{self.running:,}", "failed last time": f"{self.failed:,}",
            "drivers": ", ".join(map(str, self.drivers)) or "none",
            "rate": f"{self.rate:.2f} seed runs/s over the last hour with results" if self.rate else "unknown", "time left": self.left,
        }  # fmt: skip
        for name, value in rows.items():
            table.add_row(name, value)
        return table


def status(ledger: Ledger) -> Status:
    """Read how far a study is: its record, its ledger and its drivers; nothing is written or deleted."""
    record = ledger.record()
    if not record:
        raise UserError(f"{ledger.path}/config.yaml is empty; the study's sweep command writes it anew.")
    planned = (
        None
        if record.get("search") or record.get("claims")
        else len(record.get("conditions", {})) * len(parse_seeds(record["config"]["seeds"]))
    )
    runs = ledger.runs(["run_id", "status", "pack"])
    living = claims.living(ledger, sweep=False)
    taken = frozenset().union(*(driver.taken for driver in living))
    running = len(taken - set(runs["run_id"])) if taken else 0
    return Status(
        planned, len(runs), int((runs["status"] == "diverged").sum()), len(ledger.failures()), running, living, rate(ledger, runs)
    )


def rate(ledger: Ledger, runs: pd.DataFrame) -> float:
    """Seed runs a second over the hour before the newest file, by the storage's own times; 0 where one file says nothing."""
    times = ledger.times("runs")
    if len(times) < 2:
        return 0.0
    newest = max(times.values())
    recent = {name: at for name, at in times.items() if at > newest - 3600}
    spent = newest - min(recent.values())
    first = min(recent, key=lambda name: recent[name])
    count = runs["pack"].isin(set(recent) - {first}).sum()
    return float(count) / spent if spent > 0 else 0.0


@dataclass
class Found:
    """What :func:`verify` saw: files and seed runs read, seed runs held twice, and what is wrong, a line each; the damaged files among that, by path,
    which can be moved away, and how many lines that leaves.
    """

    files: int = 0
    runs: int = 0
    twice: int = 0
    wrong: list[str] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)
    beyond_repair: int = 0

    def damage(self, path: str, why: str, line: str) -> None:
        self.damaged.setdefault(path, why)
        self.wrong.append(line)

    def other(self, line: str) -> None:
        self.beyond_repair += 1
        self.wrong.append(line)

    def read(self, ledger: Ledger, kind: str) -> dict[str, pa.Table]:
        """The sound files of a kind, all of their bytes checked."""
        tables = {}
        for path in ledger.files(kind):
            try:
                tables[path] = ledger.table(path, checked=True)
            except GoneError:
                continue
            except DamagedError as error:
                self.damage(path, error.why, str(error))
            except UserError as error:
                self.other(str(error))
            self.files += 1
        return tables


def verify(ledger: Ledger) -> Found:
    """Read every file of a ledger: checksums, schema, ids that fit their condition and seed, a curve for every seed run.

    A seed run held twice (a worker outlived its driver) is no fault as long as both copies say the same.
    """
    found = Found()
    try:
        ledger.record()
    except UserError as error:
        found.other(str(error))
    tables = found.read(ledger, "runs")  # before the curves: a sweep at work writes those of a pack first
    curved = {run_id for table in found.read(ledger, "curves").values() for run_id in table.column("run_id").to_pylist()}
    found.read(ledger, "failures")
    if not tables:
        return found
    runs = pd.concat([table.to_pandas().assign(path=path) for path, table in tables.items()], ignore_index=True)
    found.runs = runs["run_id"].nunique()
    found.twice = len(runs) - found.runs
    told = runs.drop(columns=["pack", "path", "seconds", "code", "engine", "provenance"]).astype(object)
    copies = told.where(told.notna(), None).drop_duplicates()
    for run_id in copies.loc[copies[["run_id", "engine_version"]].duplicated(), "run_id"].unique():
        found.other(f"seed run {run_id} is held twice, with different results")
    for row in runs.drop_duplicates("run_id")[["run_id", "condition_id", "seed", "pack", "path"]].itertuples():
        if digest([row.condition_id, row.seed]) != row.run_id:
            found.damage(row.path, "its ids are wrong", f"seed run {row.run_id} in {row.pack} does not belong to its condition and seed")
        if row.run_id not in curved:
            found.damage(row.path, damage.NO_CURVES, f"seed run {row.run_id} in {row.pack} has no curve")
    return found


def repair(ledger: Ledger, found: Found) -> str:
    """Move away the damaged files that :func:`verify` found; one line on what that was."""
    moved, runs = damage.set_aside(ledger, found.damaged)
    return f"{damage.in_words(ledger, found.damaged, moved, runs)} by the study's sweep command"


def compact(ledger: Ledger) -> tuple[int, int]:
    """Merge files of up to ``ROWS`` seed runs together. Returns how many files of seed runs there were, and are.

    New files are written whole before the old ones go, curves before runs, so that at every moment each seed run is read, and once.
    """
    groups: list[list[str]] = [[]]
    held = 0
    before = ledger.files("runs")
    for path in before:
        rows = ledger.table(path, ["run_id"]).num_rows
        if rows >= ROWS // 2:
            continue
        if held + rows > ROWS:
            groups.append([])
            held = 0
        groups[-1].append(path)
        held += rows
    for group in groups:
        if len(group) > 1:
            merge(ledger, group)
    return len(before), len(ledger.files("runs"))


def merge(ledger: Ledger, paths: list[str]) -> None:
    """One file of seed runs, and one of curves, in the place of these."""
    name = f"compact-{hashlib.sha256(''.join(paths).encode()).hexdigest()[:8]}-{uuid.uuid4().hex[:8]}"
    packs = {pack_of(path) for path in paths}
    curves = [path for path in ledger.files("curves") if pack_of(path) in packs]
    ledger.put_table(f"curves/{name}", pa.concat_tables([ledger.table(path) for path in curves], promote_options="default").cast(CURVES))
    runs = pa.concat_tables([ledger.table(path).select(SCHEMA.names).cast(SCHEMA) for path in paths])  # those of an older schema too
    runs = runs.set_column(SCHEMA.names.index("pack"), SCHEMA.field("pack"), pa.array([name] * len(runs)))
    ledger.put_table(f"runs/{name}", runs.cast(SCHEMA))
    ledger.delete(paths)
    ledger.delete(curves)


def export(ledger: Ledger, to: Path) -> int:
    """All seed runs as one file, by its ending: ``.parquet`` or ``.csv``. Returns how many."""
    runs = ledger.runs()
    if to.suffix not in (".parquet", ".csv"):
        raise UserError(f"--to is '{to}'; expected a name that ends in .parquet or .csv.")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        partial = to.with_name(f".{to.name}.{time.time_ns()}")
        runs.to_parquet(partial, index=False) if to.suffix == ".parquet" else runs.to_csv(partial, index=False)
        partial.replace(to)
    except OSError as error:
        raise UserError(f"'{to}' cannot be written: {error}") from None
    return len(runs)
