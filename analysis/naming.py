"""What tells conditions apart: their settings in words, and the number in which data of one name differ."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.statistics.paths import least_paths

LEAST = 3
"""Values of a number from which on it is an axis; two make no line."""


FIRST = {"path": 0, "origin": 0}
"""Keys of data that came later than some results, and what these have."""


@dataclass(frozen=True)
class Spot:
    """Where data lie among those that differ in one number, such as the length of their sequences.

    Attributes:
        task: what these have in common: ``latching``.
        key: of the number, in words: ``length``.
        at: the number.
    """

    task: str
    key: str
    at: float

    @property
    def drawn(self) -> bool:
        """Whether the number is the name of a draw (``seed``, ``split_seed``, ``path``, ``origin``): data of one law, on no axis."""
        return self.key.split()[-1] in ("seed", "path", "origin")

    @property
    def independent(self) -> bool:
        """Whether data of other numbers share nothing with these: a process drawn anew (``seed``, ``path``), not another cut of one set (``split_seed``, ``origin``)."""
        return self.key == "seed" or self.key.split()[-1] == "path"


def settings_of(config: object) -> dict[str, dict[str, Any]]:
    """The sections of a condition's config (JSON, or as they are), such as ``model``, ``dataset`` and ``training``; empty where it is not known."""
    return json.loads(config) if isinstance(config, str) else config if isinstance(config, dict) else {}


def with_first(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """These settings of data with the keys that only some of them have as they came later."""
    later = {key: value for key, value in FIRST.items() if any(key in one for one in settings)}
    return [dict(one) | {key: value for key, value in later.items() if key not in one} for one in settings]


def told_apart(settings: Sequence[Mapping[str, Any]], beside: Sequence[object] = ()) -> list[str]:
    """What tells these settings from one another, in words: those that vary (``lr=0.1 hidden_size=2``); numbers (``(2)``) where none do.

    Args:
        beside: what is said of each already, such as its K.
    """
    settings = with_first(settings)
    varied = [key for key in dict.fromkeys(key for one in settings for key in one) if len({str(one.get(key)) for one in settings}) > 1]
    words = [" ".join(f"{key}={in_words(one[key])}" for key in varied if key in one) for one in settings]
    found = list(zip(words, beside or [None] * len(words), strict=True))
    return words if len(set(found)) == len(found) else [f"({i + 1})" for i in range(len(words))]


def in_words(value: object) -> str:
    """A setting as labels have it: ``mrnnf+lstm`` for a list of names, ``null`` for none."""
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return "+".join(value)
    return "null" if value is None else str(value)


def flat(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Settings of all sections under their own names, with the section where two have one of that name; without K, which has a place of its own."""
    count = Counter(key for keys in settings.values() for key in keys)
    named = {(key if count[key] == 1 else f"{section}.{key}"): value for section, keys in settings.items() for key, value in keys.items()}
    return {key: value for key, value in named.items() if key not in ("K", "model.K")}


def spots(name: str, settings: Sequence[Mapping[str, Any]]) -> list[Spot]:
    """Where each of these data lies on the axis of the number that they vary, that of most values; empty where none does.

    Where they differ in other settings, too, each combination of these is a task of its own, which has to have :data:`LEAST` values of the number.
    The names of draws are an axis only where no number is, or where they are paths enough for a claim about the process.
    """
    settings = with_first(settings)
    values: dict[str, list[Any]] = {
        key: [one.get(key) for one in settings] for key in dict.fromkeys(key for one in settings for key in one)
    }
    varied = {key: some for key, some in values.items() if len({str(value) for value in some}) > 1}
    numbers = [key for key, some in varied.items() if all(type(value) in (int, float) for value in some)]

    def last(key: str) -> bool:
        spot = Spot(name, key.replace("_", " "), 0.0)
        return spot.drawn and not (spot.independent and len(set(varied[key])) >= least_paths(1))

    for key in sorted(numbers, key=lambda key: (last(key), not Spot(name, key, 0.0).independent, -len(set(varied[key])))):
        rest = [" ".join(f"{other}={in_words(varied[other][i])}" for other in varied if other != key) for i in range(len(settings))]
        found = [Spot(f"{name} {words}".strip(), key.replace("_", " "), float(at)) for words, at in zip(rest, varied[key], strict=True)]
        if len(set(found)) == len(found) and min(Counter(rest).values()) >= LEAST:
            return found
    return []
