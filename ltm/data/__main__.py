"""``python -m ltm.data list`` and ``python -m ltm.data fetch [NAME...]``."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.progress import DownloadColumn, Progress
from rich.table import Table

from ltm.data import files
from ltm.errors import UserError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ltm.data", description="The published data files of the first study.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="what there is, where it lies, whether its sum is right")
    fetch = commands.add_parser("fetch", help="download files into LTM_DATA_DIR, or the user's cache if that is unset")
    fetch.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(files.PUBLISHED)}")
    given = parser.parse_args(arguments)
    console = Console()
    try:
        if given.command == "list":
            show(console)
        else:
            download(console, given.names or list(files.PUBLISHED))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def show(console: Console) -> None:
    table = Table("file", "what", "state", "where")
    for name, published in files.PUBLISHED.items():
        found = next((folder / name for folder in files.folders() if (folder / name).is_file()), None)
        state = "not fetched" if found is None else "ok" if files.sha256(found) == published.sha256 else "wrong sum"
        table.add_row(name, published.about, state, str(found or "-"))
    console.print(table)


def download(console: Console, names: list[str]) -> None:
    with Progress(*Progress.get_default_columns(), DownloadColumn(), console=console) as progress:
        for name in names:
            bar = progress.add_task(name, total=None)
            path, new = files.fetch(name, lambda done, total, bar=bar: progress.update(bar, completed=done, total=total or None))  # type: ignore[misc]
            size = path.stat().st_size
            progress.update(bar, completed=size, total=size, description=f"{name} {'fetched' if new else 'was there'}")


if __name__ == "__main__":
    sys.exit(main())
