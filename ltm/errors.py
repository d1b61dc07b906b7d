"""The one exception that is meant for the user: its message says what was given, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

LISTED = 60
"""Names that a message lists at most."""


class UserError(Exception):
    """A mistake in what the user gave. Entry points print it as one line and exit with status 2.

    The message is one line whatever it quotes: line ends become spaces, other control characters are escaped.
    """

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line))


class UnfinishedError(Exception):
    """:func:`ltm.run` came to its end without all seed runs: some failed, or the storage took no more. What is finished is in ``ledger``."""

    def __init__(self, message: str, ledger: Any) -> None:
        super().__init__(message)
        self.ledger = ledger


def shown(value: object, most: int = 80) -> str:
    """A value as a message quotes it: what was typed, cut where it is long."""
    text = "null" if value is None else str(value)
    return text if len(text) <= most else f"{text[:most]}..."


def unknown(kind: str, given: object, known: Iterable[object]) -> UserError:
    """The error for a name that does not exist; it lists the names that do."""
    name, names = shown(given), sorted({shown(k) for k in known})
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return UserError(f"unknown {kind} '{name}'.{hint} There are: {', '.join(names[:LISTED])}{more}.")


def reason(error: BaseException) -> str:
    """What a foreign exception says, on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {shown(text, 200)}" if text else type(error).__name__
