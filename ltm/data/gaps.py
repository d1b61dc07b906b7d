"""Missing values of own data: refused, or filled by a rule that is named and told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ltm.data import files
from ltm.errors import UserError, unknown

RULES = ("refuse", "previous", "interpolate")
"""Values of ``dataset.fill``: an error; the value before is repeated; the straight line from the value before to the one after."""


def check(rule: object) -> None:
    """The value of ``dataset.fill``.

    Raises:
        UserError: no such rule.
    """
    if rule not in RULES:
        raise unknown("rule for missing values: dataset.fill", str(rule), RULES)


def filled(
    path: Path, frame: pd.DataFrame, column: str, rule: str, remedy: str, order: np.ndarray | None = None, code: np.ndarray | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """A column of numbers without gaps, and a line on what was filled, if anything was.

    Args:
        remedy: what to do where the rule is ``refuse``.
        order: where each row of the result stands in the table, ``(n,)``; as the table has them, where not given.
        code: which sequence each belongs to, ``(n,)``; nothing is filled across sequences.

    Returns:
        The values ``(n,)``, float64, in ``order``.

    Raises:
        UserError: no such column, text in it, a gap where the rule is ``refuse``, or one without a neighbour that the rule needs.
    """
    order = np.arange(len(frame)) if order is None else order
    if rule == "refuse":
        return files.numbers(path, frame, column, remedy)[order], ()
    values = files.numbers(path, frame, column)[order]
    gaps = np.isnan(values)
    if not gaps.any():
        return values, ()
    by_sequence = pd.Series(values).groupby(np.zeros(len(values)) if code is None else code)
    whole = (
        by_sequence.ffill() if rule == "previous" else by_sequence.transform(lambda one: one.interpolate(limit_area="inside"))
    ).to_numpy()
    rows = np.sort(order[gaps])
    if (left := np.isnan(whole)).any():
        first = files.place(path, column, int(order[left].min()))
        lacks = "before it to repeat" if rule == "previous" else "on both sides to draw a line between"
        raise UserError(f"{first}: no value, and dataset.fill={rule} finds none {lacks}; cut the series there, or fill it in.")
    count = f"{len(rows):,} missing values were" if len(rows) > 1 else "a missing value was"
    return whole, (
        f"{files.place(path, column, int(rows[0]))}{' is the first' if len(rows) > 1 else ''}: {count} filled by dataset.fill={rule}",
    )
