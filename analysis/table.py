"""Findings as a table, for CSV and pandas; and by their series."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

import pandas as pd


class Finding(Protocol):
    """What a verdict is about: a comparison, a share, a trend, a place among the best."""

    def row(self) -> dict[str, Any]:
        """Its figures by column, conditions by their labels."""


def frame(findings: Iterable[Finding]) -> pd.DataFrame:
    """A row a finding; empty, without columns, for none."""
    return pd.DataFrame([one.row() for one in findings])


class OfSeries(Protocol):
    """A finding about one series."""

    @property
    def dataset(self) -> str: ...


Found = TypeVar("Found", bound=OfSeries)


def of_series(findings: Iterable[Found]) -> dict[str, list[Found]]:
    """Findings by their series, in their order."""
    found: dict[str, list[Found]] = {}
    for one in findings:
        found.setdefault(one.dataset, []).append(one)
    return found
