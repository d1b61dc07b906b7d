"""A series from one column of a CSV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ltm import checks
from ltm.data import files, gaps
from ltm.data.series import SeriesDataset

REMEDY = "name a rule for missing values (dataset.fill=previous or interpolate), or cut the series before or after it"


@dataclass(frozen=True, kw_only=True)
class CSV(SeriesDataset):
    """One column of a CSV: a published file by name, or any file by path.

    Attributes:
        fill: the rule for missing values (:data:`ltm.data.gaps.RULES`).
        origin: the first value that is used. All three parts move along the series with it and keep their lengths (a rolling origin).
        test: pairs of the test part; None for all that are left, which only origin 0 may say, as every other origin leaves fewer.
    """

    kind = "csv"
    file: str
    column: str = "x"
    fill: str = "refuse"
    origin: int = 0
    test: int | None = None
    instead: ClassVar = {
        "path": "has one path, the one that was observed; move the split along it (grid.origin=[0,200] dataset.test=200), or take a simulated series"
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        gaps.check(self.fill)
        if self.test is not None:
            checks.whole("dataset.test", self.test)
        elif self.origin:
            self.fail(
                f"origin is {self.origin} and test is null; expected the pairs of the test part, as many at every origin: dataset.test=200."
            )

    def read(self) -> tuple[np.ndarray, tuple[str, ...]]:
        values, notes = gaps.filled(*files.read_table(self.file), self.column, self.fill, REMEDY)
        return values if self.test is None else self.window(values, self.train + self.validation + self.test), notes

    def window(self, values: np.ndarray, pairs: int) -> np.ndarray:
        """The values of so many pairs from the origin on.

        Raises:
            UserError: there are not so many.
        """
        most = len(values) - 1 - pairs
        if self.origin > most:
            expected = f"expected an origin of at most {most}" if most >= 0 else "lower one of them"
            self.fail(
                f"train, validation and test take {self.train} + {self.validation} + {self.test} pairs from value {self.origin} on,"
                f" the series has {max(len(values) - 1, 0)} in all; {expected}."
            )
        return values[self.origin : self.origin + pairs + 1]
