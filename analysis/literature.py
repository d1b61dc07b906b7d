"""Published figures, read and checked: the tables of ``analysis/published``, or an own CSV of the same columns. No test is made here."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.sample import METRICS
from ltm.errors import UserError, reason, shown, unknown

COLUMNS = ("dataset", "model", "K", "metric", "mean", "sd", "n")


def read(source: str | Path) -> pd.DataFrame:
    """A published table, a row a figure: ``dataset, model, K`` (NaN for any), ``metric, mean, sd, n``.

    Args:
        source: a file of ``analysis/published`` by name (``zhao2020_table2``) or the path of a CSV.

    Raises:
        UserError: no such source, no CSV, a column that is missing, or a row that no test can use (an empty cell, sd not above 0, n below 2).
    """
    known = {path.stem: path for path in (Path(__file__).parent / "published").glob("*.csv")}
    path = known.get(str(source), Path(source))
    if not str(source) or not str(source).isprintable() or not path.is_file():
        raise unknown("published table", source, known)
    try:
        table = pd.read_csv(path)
    except Exception as error:  # what pandas, a decompressor of its choice or the storage makes of the user's file
        raise UserError(f"{path} cannot be read as CSV ({reason(error)}); expected a header and a row a figure.") from None
    if missing := [name for name in COLUMNS if name not in table]:
        raise UserError(f"{path} lacks the column {', '.join(missing)}; expected {', '.join(COLUMNS)} (K may be empty).")
    if table.empty:
        raise UserError(f"{path} has a header but no rows.")
    for i, row in enumerate(table.to_dict("records")):
        if why := fault(row):
            raise UserError(f"{path}, line {i + 2} ({shown(row['model'])} on {shown(row['dataset'])}): {why}.")
    return table.astype({"mean": float, "sd": float, "n": int, "K": float})


def fault(row: Mapping[Hashable, Any]) -> str:
    """Why no test can use a row; empty where one can."""
    for name in ("dataset", "model", "metric", "mean", "sd", "n"):
        if pd.isna(row[name]):
            return f"{name} is empty; only K may be"
    if row["metric"] not in METRICS:
        return f"metric is '{shown(row['metric'])}'; expected one of {', '.join(METRICS)}"
    K, mean, sd, n = (pd.to_numeric(row[name], errors="coerce") for name in ("K", "mean", "sd", "n"))
    if pd.isna(K) and not pd.isna(row["K"]):
        return f"K is '{shown(row['K'])}'; expected a whole number, or nothing"
    if not abs(mean) < float("inf"):
        return f"mean is {shown(row['mean'])}; expected a finite number"
    if not 0 < sd < float("inf"):
        return f"sd is {shown(row['sd'])}; Welch's test needs one above 0"
    if not 2 <= n < 2**53 or n != int(n):
        return f"n is {shown(row['n'])}; Welch's test needs at least 2"
    return ""
