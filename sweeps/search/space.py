"""The space of a search: keys with ranges or choices, from which configurations are drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ltm.errors import UserError, unknown

LARGEST_END = 2**53
"""Of a range: every whole number up to here is a float."""


@dataclass(frozen=True)
class Axis:
    """One searched key: a range (whole numbers where both ends are), or choices."""

    key: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[Any, ...]:
        """Its choices, or both ends of its range."""
        return self.choices or (self.low, self.high)

    def draw(self, rng: np.random.Generator) -> Any:
        if self.choices:
            return self.choices[int(rng.integers(len(self.choices)))]
        if self.whole and not self.log:
            return int(rng.integers(int(self.low), int(self.high) + 1))
        value = math.exp(rng.uniform(math.log(self.low), math.log(self.high))) if self.log else float(rng.uniform(self.low, self.high))
        return round(value) if self.whole else float(f"{value:.6g}")

    def suggest(self, trial: Any) -> Any:
        """The value that an Optuna trial suggests."""
        if self.choices:
            return trial.suggest_categorical(self.key, list(self.choices))
        if self.whole:
            return trial.suggest_int(self.key, int(self.low), int(self.high), log=self.log)
        return float(f"{trial.suggest_float(self.key, self.low, self.high, log=self.log):.6g}")


def axes_of(space: Mapping[str, Any], known: set[str]) -> list[Axis]:
    """The search space, checked.

    Raises:
        UserError: an empty space, a key that nothing has, an empty or reversed range, a logarithm of 0, unknown words.
    """
    if not space:
        raise UserError("search.space is empty; name a key, such as search.space.lr={low:0.001,high:0.1,log:true}.")
    found = []
    for key, given in space.items():
        if key not in known:
            raise unknown("key in search.space:", key, known)
        said = {"choices": given} if isinstance(given, list) else given
        expected = f"search.space.{key} is {given}; expected {{low: A, high: B}} with A below B, log: true where A is above 0, or {{choices: [...]}}."
        if not isinstance(said, Mapping) or not set(said) <= {"low", "high", "log", "choices"}:
            raise UserError(expected)
        if "choices" in said:
            if not isinstance(said["choices"], list) or not said["choices"] or len(said) > 1:
                raise UserError(expected)
            found.append(Axis(key, choices=tuple(said["choices"])))
            continue
        low, high, log = cast(float, said.get("low")), cast(float, said.get("high")), bool(said.get("log", False))
        ends = all(isinstance(end, int | float) and not isinstance(end, bool) and abs(end) <= LARGEST_END for end in (low, high))
        if not ends or not low < high or (log and low <= 0):
            raise UserError(expected)
        found.append(Axis(key, low, high, log))
    return found
