"""The keys that a grid or a search varies: a bare name (``lr``), or one with its section (``dataset.seed``) where two sections have it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from ltm.errors import UserError, shown, unknown

if TYPE_CHECKING:
    from sweeps.config.schema import StudyConfig

SECTIONS = ("model", "dataset", "training")

FIXED = {"name", "cell", "kind"}
"""What a model or dataset is, which no grid changes."""

Has = Mapping[str, set[str]]
"""The keys of every section, over all models and datasets of a study."""


def flat(grid: Any) -> dict[str, Any]:
    """``{model: {K: [25]}}`` as ``{"model.K": [25]}``; keys that are written so already stay."""
    if not isinstance(grid, Mapping):
        raise UserError(f"grid is {shown(grid)}; expected keys with a list each, such as grid.K=[25,50].")
    nested = {str(key): value for key, value in grid.items() if key in SECTIONS and isinstance(value, Mapping)}
    inner = {f"{section}.{key}": value for section, keys in nested.items() for key, value in keys.items()}
    return {str(key): value for key, value in grid.items() if key not in nested} | inner


def named(config: StudyConfig) -> list[str]:
    """The keys that labels name: those of the grid and of blocks that have a list of values."""
    given = chain(config.grid.items(), *(flat(block).items() for block in config.blocks.values()))
    return list(dict.fromkeys(key for key, value in given if isinstance(value, list) and key not in ("model", "dataset")))


def of_blocks(config: StudyConfig) -> list[str]:
    """The keys that blocks set, each to values of its own."""
    return list(dict.fromkeys(chain.from_iterable(map(flat, config.blocks.values()))))


def keys_of(models: Iterable[Mapping[str, Any]], datasets: Iterable[Mapping[str, Any]], training: Iterable[str]) -> dict[str, set[str]]:
    """What may vary in each section."""
    return {
        "model": set(chain.from_iterable(models)) - FIXED, "dataset": set(chain.from_iterable(datasets)) - FIXED, "training": set(training),
    }  # fmt: skip


def split(key: str) -> tuple[str | None, str]:
    """``dataset.seed`` as section and name, a bare name with no section."""
    section, _, name = key.partition(".")
    return (section, name) if name and section in SECTIONS else (None, key)


def place(key: str, sections: Mapping[str, Iterable[str]]) -> tuple[str, str] | None:
    """The section and the name of a key, or None where nothing has it."""
    section, name = split(key)
    return next(((s, name) for s in sections if section in (None, s) and name in sections[s]), None)


def check(keys: Iterable[str], has: Has, what: str, kind: str) -> None:
    """Every key is had by one section, and none is there twice.

    Args:
        what, kind: how a message calls them: ``grid`` and ``grid key``.

    Raises:
        UserError: a key that nothing has, a bare one that two sections have, one that is given with and without its section.
    """
    seen: dict[tuple[str, str], str] = {}
    for key in keys:
        section, name = split(key)
        where = [s for s in has if section in (None, s) and name in has[s]]
        if not where:
            raise unknown(kind, key, chain.from_iterable(has.values()))
        if len(where) > 1:
            full = " or ".join(f"{what}.{s}.{name}" for s in where)
            raise UserError(f"{what}.{key} may be that of {' or '.join(where)}; write {full}.")
        if other := seen.get((where[0], name)):
            raise UserError(f"{what}.{other} and {what}.{key} are one key; keep one of them.")
        seen[where[0], name] = key
