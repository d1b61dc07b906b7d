"""``ltm watch STUDY``: one page that follows a study's ledger, or with ``--once`` the same in the terminal. It reads, and writes nothing."""

from __future__ import annotations

import argparse
import html
import secrets
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from analysis.columns import metric_of
from analysis.statistics.intervals import mean_interval
from ltm.errors import UserError
from sweeps.config import parse_seeds
from sweeps.console import counted, say, terminal
from sweeps.store import maintenance
from sweeps.store.ledger import Ledger
from sweeps.store.tables import headline

PORT = 8080

EVERY = 3.0
"""Seconds between two readings of the ledger, at least; ten times as long as one takes, where that is longer."""

LOOPBACK = "127.0.0.1"
LOCAL = ("localhost", LOOPBACK)

STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:64em;padding:0 1em;color:#222}
h1{font-size:1.4em}table{border-collapse:collapse;width:100%;margin:1em 0}td,th{padding:.25em .8em .25em 0;text-align:left;border-bottom:1px solid #ddd}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}progress{width:100%;height:1.1em}td progress{width:7em}svg{display:block}.bad{color:#a40000}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}td,th{border-color:#444}.bad{color:#f88}}"""


@dataclass(frozen=True)
class Row:
    """One condition: its seeds, and the mean of its metric over those that finished, with a 95 % interval; NaN where there is none yet."""

    label: str
    dataset: str
    metric: str
    done: int
    planned: int | None
    diverged: int
    mean: float
    low: float
    high: float

    @property
    def seeds(self) -> str:
        return f"{self.done:,}" + (f" of {self.planned:,}" if self.planned is not None else "")

    @property
    def value(self) -> str:
        if np.isnan(self.mean):
            return "–"
        return f"{self.mean:.4g}" + ("" if np.isnan(self.low) else f" ({self.low:.4g} to {self.high:.4g})")


@dataclass(frozen=True)
class Snapshot:
    """A study at a time: how far it is, a row a condition in the order of its grid, and its failures (:meth:`Ledger.failures`)."""

    study: str
    at: str
    status: maintenance.Status
    rows: tuple[Row, ...]
    failures: pd.DataFrame

    @property
    def progress(self) -> str:
        """In a sentence."""
        status = self.status
        of = "" if status.planned is None else f" of {status.planned:,}"
        words = [f"{status.finished:,}{of} seed runs finished"]
        words += [f"{status.diverged:,} of them diverged"] if status.diverged else []
        words += [f"{status.running:,} in training by {', '.join(map(str, status.drivers))}"] if status.drivers else ["no driver at work"]
        words += [f"{status.rate:.2f} seed runs/s"] if status.rate else []
        return f"{', '.join(words)}; time left {status.left}"

    @property
    def failed(self) -> list[str]:
        """A line an error: how often, and where first."""
        lines = []
        for error, rows in self.failures.groupby("error", sort=False):
            first = rows.iloc[0]
            lines.append(f"{counted(len(rows), 'seed run')} failed: {error} (first: {first['condition']}, seed {first['seed']})")
        return lines


def snapshot(ledger: Ledger) -> Snapshot:
    """Read a study.

    Raises:
        UserError: no study there, or a storage that does not answer.
    """
    record = ledger.record()
    status = maintenance.status(ledger)
    runs = ledger.runs()
    labels: dict[str, str] = dict(record["conditions"])
    labels |= {key: label for key, label in zip(runs["condition_id"], runs["condition"], strict=True) if key not in labels}
    planned = None if record.get("search") or record.get("claims") else len(parse_seeds(record["config"]["seeds"]))
    by_condition = dict(list(runs.groupby("condition_id")))
    rows = tuple(row_of(label, by_condition.get(key, runs.iloc[:0]), planned) for key, label in labels.items())
    return Snapshot(Path(ledger.path).name, time.strftime("%Y-%m-%d %H:%M:%S"), status, rows, ledger.failures())


def row_of(label: str, runs: pd.DataFrame, planned: int | None) -> Row:
    """One condition from its seed runs."""
    metric = headline(runs)
    values = runs.loc[runs["status"] != "diverged", metric].to_numpy(float)
    values = values[np.isfinite(values)]
    low, high = mean_interval(values)
    name = metric_of(metric).name if len(values) else ""
    mean = float(values.mean()) if len(values) else np.nan
    return Row(label, label.partition(" / ")[2], name, len(runs), planned, int((runs["status"] == "diverged").sum()), mean, low, high)


def printed(found: Snapshot, console: Console) -> None:
    """For the terminal."""
    say(console, f"{found.study}, {found.at}: {found.progress}")
    table = Table("condition", "metric", "mean (95 %)", "seeds", "diverged")
    for row in found.rows:
        table.add_row(row.label, row.metric, row.value, row.seeds, str(row.diverged))
    console.print(table, markup=False)
    for line in found.failed:
        say(console, line)


def page(found: Snapshot, trouble: str = "") -> str:
    """The page, which needs nothing beside it and asks for itself anew every few seconds.

    Args:
        trouble: why what is shown is not of now.
    """
    text = html.escape
    ends: dict[tuple[str, str], list[float]] = {}
    for row in found.rows:
        ends.setdefault((row.dataset, row.metric), []).extend(x for x in (row.mean, row.low, row.high) if np.isfinite(x))
    lines = [
        f"<tr><td>{text(row.label)}</td><td>{text(row.metric)}</td><td class=n>{text(row.value)}</td><td>{whisker(row, ends[row.dataset, row.metric])}</td>"
        f"<td class=n>{row.seeds}</td><td>{bar(row.done, row.planned)}</td><td class=n>{row.diverged or ''}</td></tr>"
        for row in found.rows
    ]
    failed = "".join(f"<p class=bad>{text(line)}</p>" for line in ([f"not of now: {trouble}"] if trouble else []) + found.failed)
    head = "<tr><th>condition</th><th>metric</th><th class=n>mean (95 %)</th><th></th><th class=n>seeds</th><th></th><th class=n>diverged</th></tr>"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=5><title>{text(found.study)}</title><style>{STYLE}</style>"
        f"<h1>{text(found.study)}</h1>{bar(found.status.finished, found.status.planned)}<p>{text(found.progress)}.</p>{failed}"
        f"<table>{head}{''.join(lines)}</table><p>Read at {found.at}.</p></html>"
    )


def bar(done: int, planned: int | None) -> str:
    return "" if planned is None else f"<progress max={max(planned, 1)} value={min(done, planned)}></progress>"


def whisker(row: Row, ends: list[float]) -> str:
    """The mean and its interval beside those of the other conditions on the same data."""
    if np.isnan(row.mean) or not np.isfinite(row.low):
        return ""
    low, span = min(ends), (max(ends) - min(ends)) or 1.0
    left, at, right = (5 + 110 * (x - low) / span for x in (row.low, row.mean, row.high))
    return (
        f"<svg width=120 height=14 aria-hidden=true><line x1={left:.1f} x2={right:.1f} y1=7 y2=7 stroke=currentColor />"
        f"<circle cx={at:.1f} cy=7 r=3 fill=currentColor /></svg>"
    )


class Follower:
    """The latest page of a study, read anew when one is asked for and the last is old enough."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.lock = ledger, threading.Lock()
        self.read()

    def read(self) -> None:
        started = time.monotonic()
        self.found = snapshot(self.ledger)
        self.next = time.monotonic() + max(EVERY, 10 * (time.monotonic() - started))

    def page(self) -> str:
        with self.lock:
            trouble = ""
            if time.monotonic() >= self.next:
                try:
                    self.read()
                except UserError as error:  # a storage that is back a moment later
                    trouble = str(error)
            return page(self.found, trouble)


class Handler(BaseHTTPRequestHandler):
    """Answers with the page at ``/``, or at ``/TOKEN/`` where there is a token; there is nothing else to ask for."""

    def __init__(self, body: Callable[[], str], token: str, *args: object) -> None:
        self.body, self.token = body, token
        super().__init__(*args)  # type: ignore[arg-type]

    @property
    def allowed(self) -> bool:
        """The token, in constant time; without one only what names this machine, so that no other site's name leads here."""
        if self.token:
            return secrets.compare_digest(self.path.encode(), f"/{self.token}/".encode())
        return self.path == "/" and self.headers.get("Host", "").rpartition(":")[0] in LOCAL

    def do_GET(self) -> None:  # the name that http.server asks for
        if not self.allowed:
            self.send_error(404)
            return
        content = self.body().encode()
        self.send_response(200)
        for name, value in {
            "Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(content)), "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        }.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        return


def server(ledger: Ledger, host: str | None, port: int) -> tuple[ThreadingHTTPServer, str]:
    """What serves a study, and the address to open; with a token in it where a host is named.

    Raises:
        UserError: no study, or an address that cannot be had.
    """
    follower = Follower(ledger)
    token = secrets.token_urlsafe(24) if host else ""
    try:
        served = ThreadingHTTPServer((host or LOOPBACK, port), partial(Handler, follower.page, token))
    except (OSError, OverflowError) as error:
        raise UserError(f"{host or LOOPBACK}:{port} cannot be listened at ({error}); choose another with --port.") from None
    return served, f"http://{host or LOOPBACK}:{served.server_address[1]}/" + (f"{token}/" if token else "")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status is 0 or 2 (bad input)."""
    parser = argparse.ArgumentParser(
        prog="ltm watch", description="Follow a study on a page of this machine: progress, conditions, failures, time left."
    )
    parser.add_argument("study", help="the study's folder or URI, such as results/k_sweep or s3://bucket/k_sweep")
    parser.add_argument("--once", action="store_true", help="print it here, once")
    parser.add_argument(
        "--host", help="listen at this address too, such as 0.0.0.0: whoever has the printed URL, with its random token, may read"
    )
    parser.add_argument("--port", type=int, default=PORT, help=f"{PORT} where not given; 0: any that is free")
    given = parser.parse_args(arguments)
    console = terminal()
    try:
        ledger = Ledger(given.study)
        if ledger.text("config.yaml") is None:
            raise UserError(f"{ledger.uri} holds no study (no config.yaml); expected a study's folder, such as results/k_sweep.")
        if given.once:
            printed(snapshot(ledger), console)
            return 0
        served, address = server(ledger, given.host, given.port)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    say(console, f"{ledger.uri} is followed at {address} (Ctrl-C ends it)")
    with served:
        try:
            served.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
