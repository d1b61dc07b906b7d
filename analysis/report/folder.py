"""The files of a report in its folder: those of a new one take the place of the earlier one's, and files of others are left alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from analysis.report.section import Section
from sweeps.ledger import Ledger

WRITTEN = "written.json"
"""Names the files that a report consists of, so that the next one knows which of them to delete."""


RESPONSES = (*(f"tables/responses.{end}" for end in ("csv", "md", "tex")), *(f"figures/responses.{end}" for end in ("svg", "pdf")))
"""What ``python -m analysis memory`` writes beside a report."""


def replace(ledger: Ledger, files: Mapping[str, bytes], keep: Iterable[str] = (), folder: str = "report") -> None:
    """Write the files of a report, by name, the last one last; those that an earlier report wrote are deleted, unless they are to be kept."""
    earlier = written(ledger, folder)
    kept = earlier & set(keep)
    _note(ledger, earlier | set(files), folder)  # a report that is cut off here is swept away by the next one
    for name, content in files.items():
        ledger.put(_at(folder, name), content)
    ledger.delete(f"{ledger.path}/{_at(folder, name)}" for name in sorted(earlier - kept - set(files)))
    _note(ledger, kept | set(files), folder)


def add(ledger: Ledger, files: Mapping[str, bytes], folder: str = "report") -> None:
    """Write further files beside those of a report; the next report keeps or deletes them."""
    _note(ledger, written(ledger, folder) | set(files), folder)
    for name, content in files.items():
        ledger.put(_at(folder, name), content)


def kept(parts: Sequence[Section]) -> list[str]:
    """The files beside a report that its parts have read, and that hold as long as it does."""
    return [name for part in parts for name in part.beside]


def written(ledger: Ledger, folder: str = "report") -> set[str]:
    """The files of the report that is there; none where it is from before they were noted."""
    try:
        names = json.loads(ledger.text(_at(folder, WRITTEN)) or "[]")
    except ValueError:
        return set()
    return {name for name in names if isinstance(name, str) and ".." not in name.split("/")} if isinstance(names, list) else set()


def _note(ledger: Ledger, names: Iterable[str], folder: str) -> None:
    ledger.put(_at(folder, WRITTEN), json.dumps(sorted(names), indent=0).encode())


def _at(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
