"""Damaged files of a study: found, and moved to ``damaged/`` with what belongs to them, so that their seed runs are trained again.

A pack's two files belong together: a row without its curve is no result. What :mod:`sweeps.store.maintenance` verifies is more, and slower.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ltm.errors import UserError
from sweeps.store.ledger import READERS, DamagedError, GoneError, Ledger
from sweeps.store.storage import pack_of

FOLDER = "damaged"

NO_CURVES = "its file of curves is lacking"


def find(ledger: Ledger) -> dict[str, str]:
    """What is wrong with the damaged files of a study, by path: those that reading it came across, and those that are empty, cut off or alone.

    Costs a few bytes a file, so it is no proof that the others are sound.
    """
    found = dict(ledger.damaged)
    runs = ledger.files("runs")  # before the curves: a pack's are written first and go last
    curves = ledger.files("curves")
    rest = [*curves, *ledger.files("failures")]
    with ThreadPoolExecutor(READERS) as readers:
        whole = list(readers.map(ledger.is_whole, rest))
    for path in (path for path, sound in zip(rest, whole, strict=True) if not sound):
        try:
            ledger.table(path, ["run_id"])
        except DamagedError as error:
            found[path] = error.why
        except GoneError:
            continue
    curved = set(map(pack_of, curves))
    return {path: NO_CURVES for path in runs if pack_of(path) not in curved} | found


def set_aside(ledger: Ledger, damaged: Iterable[str]) -> tuple[int, int | None]:
    """Move these files, and the others of their packs, to ``damaged/``. Returns how many files went and how many seed runs they held, where that
    can still be read.
    """
    damaged = set(damaged)
    packs = {pack_of(path) for path in damaged if Path(path).parent.name in ("runs", "curves")}
    pairs = [path for kind in ("runs", "curves") for path in ledger.files(kind) if pack_of(path) in packs]
    held: dict[str, int] = {}
    for path in pairs:
        try:
            held[pack_of(path)] = ledger.table(path, ["run_id"]).num_rows
        except UserError:
            continue
    moved = 0
    for path in [*pairs, *(damaged - set(pairs))]:
        file = Path(path)
        moved += ledger.move(path, f"{FOLDER}/{file.parent.name}/{file.name}")
        ledger.damaged.pop(path, None)
    return moved, sum(held.values()) if packs <= held.keys() else None


def heal(ledger: Ledger) -> str:
    """Move away what is damaged; one line on what that was, or nothing where all seems sound."""
    found = find(ledger)
    if not found:
        return ""
    moved, runs = set_aside(ledger, found)
    return in_words(ledger, found, moved, runs) if moved else ""


def in_words(ledger: Ledger, found: Mapping[str, str], moved: int, runs: int | None) -> str:
    """One line on what was moved away."""
    path, why = next(iter(found.items()))
    first = f"{Path(path).parent.name}/{Path(path).name}: {why}"
    again = "its seed runs are" if runs is None else f"{runs:,} seed run is" if runs == 1 else f"{runs:,} seed runs are"
    also = f", with {moved - len(found)} that belonged to them," if moved > len(found) else ""
    what = f"1 damaged file ({first})" if len(found) == 1 else f"{len(found)} damaged files (first: {first})"
    return f"{what}{also} moved to {ledger.uri}/{FOLDER}; {again} trained again"
