"""Checks of single values that a user may give: each passes, or raises one line that names the key, the value and what is expected."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

from ltm.errors import UserError, shown

LARGEST = 2**31 - 1
"""Of a whole number without a limit of its own: counters are 32 bits wide."""


def said(value: Any) -> str:
    """A value as a message quotes it, text in quotes."""
    return repr(shown(value)) if isinstance(value, str) else shown(value)


def whole(name: str, value: Any, low: int = 1, high: int = LARGEST) -> None:
    """A whole number from ``low`` to ``high``; not a bool, not 3.0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise UserError(f"{name} is {said(value)}; expected a whole number of at least {low}.")
    if value > high:
        raise UserError(f"{name} is {said(value)}; expected a whole number of at most {high:,}.")


def is_size(value: Any) -> bool:
    """Whether a value can be an array's size: a whole number of at least 1, numpy's too."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def number(name: str, value: Any, low: float = -math.inf, above: float | None = None, high: float = math.inf) -> None:
    """A finite number of at least ``low`` (or above ``above``) and at most ``high``."""
    least = f" above {above:g}" if above is not None else f" of at least {low:g}" if low > -math.inf else ""
    most = f" and at most {high:g}" if high < math.inf else ""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise UserError(f"{name} is {said(value)}; expected a finite number{least}{most}.")
    if value < low or value > high or (above is not None and value <= above):
        raise UserError(f"{name} is {said(value)}; expected a number{least}{most}.")


def text(name: str, value: Any) -> None:
    """Words that can be shown: not empty, without control characters. A bare 2020 in YAML is text as well."""
    plain = isinstance(value, str | int) and not isinstance(value, bool)
    if not plain or not str(value).strip() or not str(value).isprintable():
        raise UserError(f"{name} is {said(value)}; expected text, not empty and without control characters.")


def flag(name: str, value: Any) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise UserError(f"{name} is {said(value)}; expected true or false.")


def numbers(name: str, value: Any, most: int = 1000) -> None:
    """A list of finite numbers, possibly empty."""
    if not isinstance(value, list | tuple):
        raise UserError(f"{name} is {said(value)}; expected a list of numbers, such as [0.7, -0.4].")
    if len(value) > most:
        raise UserError(f"{name} has {len(value):,} values; expected at most {most:,}.")
    for i, each in enumerate(value):
        number(f"{name}[{i}]", each)


BY_TYPE: dict[str, Callable[[str, Any], None]] = {"float": number, "str": text, "bool": flag, "Sequence[float]": numbers}


def fields(instance: Any, name: Callable[[str], str], ranges: Mapping[str, tuple[int, int]] | None = None) -> None:
    """Every field of a dataclass by its annotated type.

    Args:
        name: how a message calls a field.
        ranges: of whole numbers that have another one than 1 to ``LARGEST``.
    """
    for field in dataclasses.fields(instance):
        kind = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", "")
        value = getattr(instance, field.name)
        if kind == "int":
            whole(name(field.name), value, *(ranges or {}).get(field.name, (1, LARGEST)))
        elif kind in BY_TYPE:
            BY_TYPE[kind](name(field.name), value)
