"""The keys that a grid or a search varies: a bare name (``lr``), or one with its section (``dataset.seed``) where two sections have it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING, Any

from ltm.errors import UserError, shown, unknown

if TYPE_CHECKING:
    from sweeps.config.composed import Composed
    from sweeps.config.schema import StudyConfig

SECTIONS = ("model", "dataset", "training")

FIXED = {"name", "cell", "kind"}
"""What a model or dataset is, which no grid changes."""

RANGE = re.compile(r"(\d{1,18})-(\d{1,18})", re.ASCII)
"""A list item that stands for whole numbers, from the first to the last: ``0-19``."""

MOST_CONDITIONS = 100_000
"""Conditions of one study."""

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
    """The keys that labels name: those of the grid and of blocks that have a list of values, or a range such as ``0-19``."""
    given = chain(config.grid.items(), *(flat(block).items() for block in config.blocks.values()))
    return list(
        dict.fromkeys(key for key, value in given if (isinstance(value, list) or is_range(value)) and key not in ("model", "dataset"))
    )


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


def axes_of(study: Composed) -> dict[str, list[Any]]:
    """What a grid varies besides models and datasets: every key with its values, those that ``0-19`` stands for one by one."""
    training = asdict(study.config.training)
    sections = [
        {section: one, "training": training} for section, some in (("model", study.models), ("dataset", study.datasets)) for one in some
    ]
    lists = {
        key: value if isinstance(value, list) else [value] for key, value in study.config.grid.items() if key not in ("model", "dataset")
    }
    return {key: spread(key, values) if is_whole(key, sections) else values for key, values in lists.items()}


def points_of(study: Composed) -> int:
    """Points of a grid, those that coincide counted too."""
    return len(study.models) * len(study.datasets) * math.prod(map(len, axes_of(study).values()))


def is_range(value: object) -> bool:
    """Whether a list item may stand for several whole numbers."""
    return isinstance(value, str) and RANGE.fullmatch(value) is not None


def spread(key: str, values: Iterable[Any]) -> list[Any]:
    """The values of a key with whole numbers: where ``0-19`` stands among them, these twenty.

    Raises:
        UserError: a range that runs backwards, or one of more numbers than a study has conditions.
    """
    found: list[Any] = []
    for value in values:
        if not is_range(value):
            found.append(value)
            continue
        first, last = map(int, value.split("-"))
        if last < first:
            raise UserError(f"grid.{key}=[{value}] runs backwards; did you mean [{last}-{first}]?")
        if last - first >= MOST_CONDITIONS:
            raise UserError(f"grid.{key}=[{value}] are {last - first + 1:,} values; a study takes at most {MOST_CONDITIONS:,} conditions.")
        found += range(first, last + 1)
    return found


def is_whole(key: str, sections: Iterable[Mapping[str, Mapping[str, Any]]]) -> bool:
    """Whether a key has whole numbers: in each of these that has it, its value is one."""
    held = [one[at[0]][at[1]] for one in sections if (at := place(key, one))]
    return bool(held) and all(type(value) is int for value in held)


def check(keys: Iterable[str], has: Has, what: str, kind: str, instead: Mapping[str, str] | None = None) -> None:
    """Every key is had by one section, and none is there twice.

    Args:
        what, kind: how a message calls them: ``grid`` and ``grid key``.
        instead: messages of their own for names that no section has.

    Raises:
        UserError: a key that nothing has, a bare one that two sections have, one that is given with and without its section.
    """
    seen: dict[tuple[str, str], str] = {}
    for key in keys:
        section, name = split(key)
        where = [s for s in has if section in (None, s) and name in has[s]]
        if not where and section in (None, "dataset") and name in (instead or {}):
            raise UserError((instead or {})[name])
        if not where:
            raise unknown(kind, key, chain.from_iterable(has.values()))
        if len(where) > 1:
            full = " or ".join(f"{what}.{s}.{name}" for s in where)
            raise UserError(f"{what}.{key} may be that of {' or '.join(where)}; write {full}.")
        if other := seen.get((where[0], name)):
            raise UserError(f"{what}.{other} and {what}.{key} are one key; keep one of them.")
        seen[where[0], name] = key
