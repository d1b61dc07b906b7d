"""The files of a report in its folder: those of a new one take the place of the earlier one's, files of others are left alone, and a report that nothing
has changed since is known as such. Imports nothing that draws."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweeps.store.ledger import FORMER, Ledger
from sweeps.store.provenance import code_version
from sweeps.store.tables import checksum

if TYPE_CHECKING:
    from analysis.reporting.section import Section

WRITTEN = "written.json"
"""Names the ``files`` that a report consists of, so that the next one knows which of them to delete; what it is made ``of``, and what it ``said``."""


RESPONSES = ("tables/responses.csv", "figures/responses.svg")
"""What ``python -m analysis memory`` writes beside a report."""


def stamp(ledger: Ledger) -> str:
    """A digest of all that a report is made of: the study's record, the names of the ledger's files (each has its checksum), and the code; empty where that is
    not known, as of a checkout with uncommitted changes.
    """
    if (code := code_version()).endswith("-dirty"):
        return ""
    record = {key: value for key, value in ledger.record().items() if key not in ("command", "code", "earlier")}
    names = {kind: ledger.files(kind) for kind in ("runs", "curves", "baselines", "failures")}
    return checksum(json.dumps([record, names, ledger.text(FORMER), code], sort_keys=True, default=str).encode())


def unchanged(ledger: Ledger) -> str | None:
    """What the report that is there said in the terminal, if a new one would be the same; else None."""
    held = _held(ledger, "report")
    return str(held["said"]) if held.get("of") and held["of"] == stamp(ledger) and ledger.text("report/index.html") else None


def replace(
    ledger: Ledger, files: Mapping[str, bytes], keep: Iterable[str] = (), folder: str = "report", of: str = "", said: str = ""
) -> None:
    """Write the files of a report, by name, the last one last; those that an earlier report wrote are deleted, unless they are to be kept.

    Args:
        of, said: its :func:`stamp`, and what it said in the terminal, for :func:`unchanged`.
    """
    earlier = written(ledger, folder)
    kept = earlier & set(keep)
    _note(ledger, earlier | set(files), folder)  # a report that is cut off here is swept away by the next one
    for name, content in files.items():
        ledger.put(_at(folder, name), content)
    ledger.delete(f"{ledger.path}/{_at(folder, name)}" for name in sorted(earlier - kept - set(files)))
    _note(ledger, kept | set(files), folder, of, said)


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
    names = _held(ledger, folder).get("files", [])
    return {name for name in names if isinstance(name, str) and ".." not in name.split("/")} if isinstance(names, list) else set()


def _held(ledger: Ledger, folder: str) -> dict[str, Any]:
    try:
        held = json.loads(ledger.text(_at(folder, WRITTEN)) or "{}")
    except ValueError:
        return {}
    return held if isinstance(held, dict) else {"files": held}  # a list of files was all that an earlier ltm noted


def _note(ledger: Ledger, names: Iterable[str], folder: str, of: str = "", said: str = "") -> None:
    ledger.put(_at(folder, WRITTEN), json.dumps({"files": sorted(names), "of": of, "said": said}, indent=0).encode())


def _at(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
