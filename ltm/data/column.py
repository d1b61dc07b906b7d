"""A series from one column of a CSV."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ltm.data import files, gaps
from ltm.data.series import SeriesDataset

REMEDY = "name a rule for missing values (dataset.fill=previous or interpolate), or cut the series before or after it"


@dataclass(frozen=True, kw_only=True)
class CSV(SeriesDataset):
    """One column of a CSV: a published file by name, or any file by path; ``fill`` is the rule for missing values (:data:`ltm.data.gaps.RULES`)."""

    kind = "csv"
    file: str
    column: str = "x"
    fill: str = "refuse"

    def __post_init__(self) -> None:
        super().__post_init__()
        gaps.check(self.fill)

    def read(self) -> tuple[np.ndarray, tuple[str, ...]]:
        return gaps.filled(*files.read_table(self.file), self.column, self.fill, REMEDY)
