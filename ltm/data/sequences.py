"""Own sequences from a table in long form: a row a step, a column for every input and target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ltm import checks
from ltm.data import files, gaps
from ltm.data.own import PARTS, Own, Read, classes_of
from ltm.errors import UserError, shown, unknown

REMEDY = "fill it in, or leave its sequence out"
FILL = "name a rule for missing inputs (dataset.fill=previous or interpolate), or leave its sequence out"


@dataclass(frozen=True, kw_only=True)
class LongForm(Own):
    """A CSV or Parquet file with a row a step. Sequences may have unequal lengths.

    Attributes:
        sequence: column that says which sequence a row belongs to.
        step: column by whose numbers the rows of a sequence are put in order; null: they stand in order.
        inputs: columns.
        target: a column of labels, text or numbers, which become classes in sorted order; or a list of columns of numbers.
        every: a target at every step; else one a sequence, which all its rows repeat.
        fill: the rule for missing values of inputs (:data:`ltm.data.gaps.RULES`), within each sequence; a missing target is always refused.
        split: column that says ``train``, ``validation`` or ``test``, the same in all rows of a sequence; null: split by shares.
    """

    kind = "sequences"
    file: str
    sequence: str = "sequence"
    step: str | None = "step"
    inputs: Sequence[str]
    target: str | Sequence[str]
    every: bool = False
    fill: str = "refuse"
    split: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        gaps.check(self.fill)
        for key in ("step", "split"):
            if (value := getattr(self, key)) is not None:
                checks.text(f"dataset.{key}", value)
        for key in ("inputs", "target"):
            names = getattr(self, key)
            if isinstance(names, str):
                continue
            if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
                what = "a column of labels, or a list of columns of numbers" if key == "target" else "a list of columns"
                raise UserError(f"dataset.{key} is {shown(names)}; expected {what}.")
        if self.symbols and len(self.columns) != 1:
            self.fail(f"symbols: true reads one column and inputs names {len(self.columns)}; expected one, such as inputs: [word].")

    @property
    def columns(self) -> list[str]:
        """The columns of inputs."""
        return [self.inputs] if isinstance(self.inputs, str) else list(self.inputs)

    def read(self) -> Read:
        rows = Rows.of(*files.read_table(self.file), self.sequence, self.step)
        if (again := rows.twice()) is not None:
            self.fail(
                f"sequence {shown(rows.name(again))} has step {shown(rows.steps[again])} twice in {rows.path}; expected each step once."
            )
        inputs, notes = rows.filled(self.columns, self.fill)
        labels: tuple[str, ...] = ()
        if self.symbols:
            self.check_symbols(inputs)
            inputs = inputs[:, 0].astype(np.int64)
        if isinstance(self.target, str):
            targets, labels = classes_of(rows.texts(self.target))
        else:
            targets = rows.numbers(*self.target)
        if not self.every and (at := rows.other(targets)) is not None:
            first, other = ((labels[row] if labels else row.tolist()) for row in (targets[rows.start[rows.code[at]]], targets[at]))
            self.fail(
                f"sequence {shown(rows.name(at))} has the targets {shown(first)} and {shown(other)}; expected one in all its rows,"
                " or every: true for a target at every step."
            )
        self.check_size(len(rows.names), int(rows.lengths.max()), len(self.columns))
        weight = np.ones(len(rows.code)) if self.every else (rows.place == rows.lengths[rows.code] - 1).astype(float)
        part = self.part(rows) if self.split else None
        return Read(
            rows.padded(inputs),
            rows.padded(targets),
            rows.padded(weight),
            rows.lengths,
            rows.names,
            labels,
            not self.every,
            part,
            notes=notes,
        )

    def part(self, rows: Rows) -> np.ndarray:
        """Part of every sequence by the column that says it."""
        said = rows.texts(str(self.split)).astype(str)
        for one in np.unique(said).tolist():
            if one not in PARTS:
                raise unknown(f"part in column '{self.split}' of {rows.path}:", one, PARTS)
        if (at := rows.other(said)) is not None:
            self.fail(
                f"sequence {shown(rows.name(at))} is in two parts, {said[rows.start[rows.code[at]]]} and {said[at]};"
                f" expected one in all its rows of column '{self.split}'."
            )
        return np.array([PARTS.index(one) for one in said[rows.start].tolist()])


@dataclass(frozen=True)
class Rows:
    """The n rows of a table, sequence by sequence, each in the order of its steps.

    Attributes:
        order: where each row stands in the table, ``(n,)``.
        code: which sequence it belongs to, ``(n,)``.
        steps: its step, ``(n,)``.
        names: of the sequences, in sorted order, so that the order of the table's rows changes nothing.
    """

    path: Path
    frame: pd.DataFrame
    order: np.ndarray
    code: np.ndarray
    steps: np.ndarray
    names: list[Any]

    @classmethod
    def of(cls, path: Path, frame: pd.DataFrame, sequence: str, step: str | None) -> Rows:
        code, names = pd.factorize(filled(path, frame, sequence), sort=True)
        steps = files.numbers(path, frame, step, REMEDY) if step else np.arange(len(frame), dtype=float)
        order = np.lexsort((steps, code))
        return cls(path, frame, order, code[order], steps[order], names.tolist())

    @cached_property
    def lengths(self) -> np.ndarray:
        """Steps of every sequence."""
        return np.bincount(self.code)

    @cached_property
    def start(self) -> np.ndarray:
        """The first row of every sequence."""
        return np.cumsum(self.lengths) - self.lengths

    @cached_property
    def place(self) -> np.ndarray:
        """The place of every row in its sequence, from 0 on."""
        return np.arange(len(self.code)) - self.start[self.code]

    def name(self, row: int) -> Any:
        """What the sequence of a row is called."""
        return self.names[self.code[row]]

    def numbers(self, *columns: str) -> np.ndarray:
        """Columns of numbers, ``(n, columns)``."""
        return np.stack([files.numbers(self.path, self.frame, column, REMEDY)[self.order] for column in columns], 1)

    def filled(self, columns: Sequence[str], rule: str) -> tuple[np.ndarray, tuple[str, ...]]:
        """Columns of numbers whose gaps are filled within each sequence, ``(n, columns)``, and what was filled."""
        found = [gaps.filled(self.path, self.frame, column, rule, FILL, self.order, self.code) for column in columns]
        return np.stack([values for values, _ in found], 1), tuple(note for _, notes in found for note in notes)

    def texts(self, column: str) -> np.ndarray:
        """A column of labels, ``(n,)``: numbers where all are, else text."""
        held = filled(self.path, self.frame, column)
        return (held.to_numpy() if pd.api.types.is_numeric_dtype(held) else held.astype(str).to_numpy(dtype=str))[self.order]

    def twice(self) -> int | None:
        """The first row with the step of the row before."""
        again = np.flatnonzero((np.diff(self.steps) == 0) & (np.diff(self.code) == 0))
        return int(again[0]) + 1 if len(again) else None

    def other(self, values: np.ndarray) -> int | None:
        """The first row with another value than the first of its sequence."""
        differs = np.flatnonzero((values != values[self.start][self.code]).reshape(len(values), -1).any(1))
        return int(differs[0]) if len(differs) else None

    def padded(self, values: np.ndarray) -> np.ndarray:
        """Values of every row as ``(B, T, ...)``, 0 after the end of a sequence."""
        whole = np.zeros((len(self.names), int(self.lengths.max()), *values.shape[1:]), values.dtype)
        whole[self.code, self.place] = values
        return whole


def filled(path: Path, frame: pd.DataFrame, column: str) -> pd.Series:
    """A column without an empty cell.

    Raises:
        UserError: it is not there, or a cell is empty.
    """
    held = files.column_of(path, frame, column)
    if len(bad := np.flatnonzero(held.isna())):
        raise files.missing(files.place(path, column, int(bad[0])), len(bad), REMEDY)
    return held
