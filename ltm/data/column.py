"""A series from one column of a CSV."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ltm.data import files
from ltm.data.series import SeriesDataset


@dataclass(frozen=True, kw_only=True)
class CSV(SeriesDataset):
    """One column of a CSV: a published file by name, or any file by path."""

    kind = "csv"
    file: str
    column: str = "x"

    def values(self) -> np.ndarray:
        return files.read_column(self.file, self.column)
