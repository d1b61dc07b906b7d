"""``python -m sweeps status|verify|compact|export STUDY``: look after a study's ledger."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ltm.errors import UserError
from sweeps.console import say, terminal
from sweeps.execution.slurm import jobs
from sweeps.store import maintenance
from sweeps.store.ledger import DamagedError, Ledger


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m sweeps", description="Look after a study's ledger, local or on object storage.")
    commands = top.add_subparsers(dest="command", required=True, metavar="status|verify|compact|export")
    words = {
        "status": "how far a study is: finished, diverged, failed, missing, being trained by whom; rate and time left; its jobs in SLURM",
        "verify": "read every file: checksums, schema, ids, curves; exit status 1 where something is wrong; --repair moves damaged files away",
        "compact": "merge many small files into few; safe to interrupt, and while a sweep runs",
        "export": "all seed runs as one Parquet or CSV file",
    }
    for name, text in words.items():
        one = commands.add_parser(name, help=text, description=text)
        one.add_argument("study", help="the study's folder or URI, such as results/k_sweep or s3://bucket/k_sweep")
        if name == "verify":
            one.add_argument(
                "--repair",
                action="store_true",
                help="move damaged files to STUDY/damaged; the same sweep command trains their seed runs again",
            )
        if name == "export":
            one.add_argument("--to", required=True, help="FILE.parquet or FILE.csv")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status is 0, 1 (verify found something) or 2 (bad input)."""
    given = parser().parse_args(arguments)
    console = terminal()
    try:
        ledger = Ledger(given.study)
        if ledger.text("config.yaml") is None:
            raise UserError(f"{ledger.uri} holds no study (no config.yaml); expected a study's folder, such as results/k_sweep.")
        if given.command == "status":
            console.print(maintenance.status(ledger).table())
            for line in jobs.states(ledger):
                say(console, line)
        elif given.command == "verify":
            found = maintenance.verify(ledger)
            for line in found.wrong:
                say(console, line)
            say(
                console,
                f"{found.files:,} files, {found.runs:,} seed runs: {len(found.wrong)} things wrong, {found.twice:,} seed runs held twice (read once)",
            )
            if given.repair and found.damaged:
                say(console, maintenance.repair(ledger, found))
                return 1 if found.beyond_repair else 0
            return 1 if found.wrong else 0
        elif given.command == "compact":
            before, after = maintenance.compact(ledger)
            say(console, f"{before:,} files of seed runs are {after:,} now")
        else:
            count = maintenance.export(ledger, Path(given.to))
            say(console, f"{count:,} seed runs in {given.to}")
        if line := ledger.left_out():
            say(console, line)
    except DamagedError as error:
        print(f"error: {error}; python -m sweeps verify --repair {given.study} moves it away", file=sys.stderr)
        return 2
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
