"""Published figures, read and checked: the tables of ``analysis/published``, or an own CSV of the same columns. No test is made here."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.columns import METRICS
from ltm.errors import UserError, reason, shown, unknown

PUBLISHED = Path(__file__).parent / "published"

COLUMNS = ("dataset", "model", "K", "metric", "mean", "sd", "n")

SUCCESS = "success.csv"
"""The file of a paper that tells after how many sequences networks succeeded, and how many of them (:func:`successes`)."""

STATISTICS = ("mean", "best")
"""What a figure is of ``n`` seeds: their mean, or that of the best of them, the smallest error or the highest score. A file says so in a column ``statistic``; without one, its figures are means."""


def tables() -> dict[str, list[Path]]:
    """The files of ``analysis/published`` by name: a paper with all its tables (``zhao2020``), or one of them (``zhao2020_table2``)."""
    found: dict[str, list[Path]] = {}
    for path in sorted(PUBLISHED.glob("*/*.csv")):
        if path.name != SUCCESS:
            found.setdefault(path.parent.name, []).append(path)
            found[f"{path.parent.name}_{path.stem}"] = [path]
    return found


def check(source: str | Path) -> None:
    """Check what a study names as ``published``: figures of success, or what :func:`read` reads.

    Raises:
        UserError: as :func:`read`.
    """
    if not (PUBLISHED / str(source) / SUCCESS).is_file():
        read(source)


def successes(paper: str) -> pd.DataFrame:
    """Published figures of success, a row a task and model.

    Returns:
        ``experiment, task`` for people; ``kind, variant, length`` of the dataset (variant empty for any) and ``model``; mean ``sequences`` until success
        and ``sequences_high``, the largest where several networks were tried; ``share`` and ``share_high`` of trials that succeeded, NaN where not told.
    """
    return pd.read_csv(PUBLISHED / paper / SUCCESS, dtype={"experiment": str, "variant": str}).fillna({"variant": ""})


def read(source: str | Path, statistic: str = "mean") -> pd.DataFrame:
    """Published figures of one statistic, a row a figure.

    Args:
        source: a paper (``zhao2020``: all its tables), one of its tables (``zhao2020_table2``), or the path of a CSV.
        statistic: one of ``STATISTICS``.

    Returns:
        ``dataset, model, K`` (NaN for any), ``metric, mean`` (the figure, also where it is a minimum), ``sd`` (NaN where a minimum has
        none), ``n, statistic`` and ``table``, the name of its file.

    Raises:
        UserError: no such source, no CSV, a column that is missing, a row that no test can use (an empty cell, sd not above 0,
            n below 2), or no figure of this statistic.
    """
    if statistic not in STATISTICS:
        raise unknown("statistic", statistic, STATISTICS)
    known = tables()
    paths = known.get(str(source), [Path(source)])
    if not str(source) or not str(source).isprintable() or not all(path.is_file() for path in paths):
        raise unknown("published table", source, known)
    table = pd.concat([read_file(path) for path in paths], ignore_index=True)
    table = table[table["statistic"] == statistic]
    if table.empty:
        raise UserError(f"{source} has no figure whose statistic is {statistic}.")
    return table.reset_index(drop=True)


def read_file(path: Path) -> pd.DataFrame:
    """One file of :func:`read`, with figures of any statistic."""
    try:
        table = pd.read_csv(path)
    except Exception as error:  # what pandas, a decompressor of its choice or the storage makes of the user's file
        raise UserError(f"{path} cannot be read as CSV ({reason(error)}); expected a header and a row a figure.") from None
    if missing := [name for name in COLUMNS if name not in table]:
        raise UserError(f"{path} lacks the column {', '.join(missing)}; expected {', '.join(COLUMNS)} (K may be empty).")
    if table.empty:
        raise UserError(f"{path} has a header but no rows.")
    if "statistic" not in table:
        table["statistic"] = "mean"
    for i, row in enumerate(table.to_dict("records")):
        if why := fault(row):
            raise UserError(f"{path}, line {i + 2} ({shown(row['model'])} on {shown(row['dataset'])}): {why}.")
    table = table[[*COLUMNS, "statistic"]].assign(table=path.stem)
    return table.astype({"mean": float, "sd": float, "n": int, "K": float})


def fault(row: Mapping[Hashable, Any]) -> str:
    """Why no test can use a row; empty where one can."""
    of_best = row["statistic"] == "best"
    for name in ("dataset", "model", "metric", "statistic", "mean", "sd", "n"):
        if pd.isna(row[name]) and not (of_best and name == "sd"):
            return f"{name} is empty; only K may be"
    if row["metric"] not in METRICS:
        return f"metric is '{shown(row['metric'])}'; expected one of {', '.join(METRICS)}"
    if row["statistic"] not in STATISTICS:
        return f"statistic is '{shown(row['statistic'])}'; expected one of {', '.join(STATISTICS)}"
    K, mean, sd, n = (pd.to_numeric(row[name], errors="coerce") for name in ("K", "mean", "sd", "n"))
    if not pd.isna(row["K"]) and not (1 <= K < 2**53 and int(K) == K):
        return f"K is '{shown(row['K'])}'; expected a whole number, or nothing"
    if not abs(mean) < float("inf"):
        return f"mean is {shown(row['mean'])}; expected a finite number"
    if of_best and pd.isna(row["sd"]):
        sd = 1.0
    if not 0 < sd < float("inf"):
        return f"sd is {shown(row['sd'])}; Welch's test needs one above 0"
    if not 2 <= n < 2**53 or n != int(n):
        return f"n is {shown(row['n'])}; Welch's test needs at least 2"
    return ""
