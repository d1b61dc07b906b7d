"""Anybody's table of seeds, a row a seed run, as rows that a study is made of: which column is what, which rows belong together, what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ltm.errors import UserError, reason, shown

MODELS = ("model", "algorithm", "method", "cell", "agent", "condition")
DATASETS = ("dataset", "series", "task", "env", "environment")
SEEDS = ("seed", "seed_id", "random_seed")


@dataclass(frozen=True)
class Metric:
    """What a number that seeds are judged by is.

    Attributes:
        name: in words, under an axis or over a column.
        kind: ``error`` (0 is the best, no upper end), ``score`` (a share, from 0 to 1), ``success`` (0 or 1), ``time`` (until success; missing where a
            seed never had it, so that it is known only to be longer than its budget), ``gain`` (larger is better, of any size).
        noun: what one is called in a sentence, after ``smaller`` or ``higher``.
        unit: shown after the name.
    """

    name: str
    kind: str = "error"
    noun: str = "error"
    unit: str = ""

    @property
    def higher(self) -> bool:
        """Whether larger is better."""
        return self.kind in ("score", "success", "gain")

    @property
    def in_points(self) -> bool:
        """Whether differences and margins are in percentage points: of shares, where those of an error are in per cent of it."""
        return self.kind in ("score", "success")


METRICS = {
    "test_rmse": Metric("test RMSE", unit="units of the series"), "test_accuracy": Metric("test accuracy", "score", "accuracy"),
    "test_mae": Metric("test MAE", unit="units of the series"), "test_mape": Metric("test MAPE", unit="%"),
    "test_f1": Metric("test F1, mean over classes", "score", "F1"),
    "test_ranked": Metric("test share of steps ranked right", "score", "share of steps ranked right"),
    "test_precision": Metric("test precision, mean over classes", "score", "precision"),
    "test_recall": Metric("test recall, mean over classes", "score", "recall"), "test_loss": Metric("test loss", noun="loss"),
    "test_worst": Metric("largest test error"),
    "test_success": Metric("success", "success", "rate of success"),
    "test_sequences": Metric("sequences until success", "time", "number of sequences"),
    "validation_loss": Metric("validation loss", unit="MSE, scaled"), "train_loss": Metric("train loss", unit="MSE, scaled"),
}  # fmt: skip
METRICS |= {
    name.replace("test", "validation", 1): replace(metric, name=metric.name.replace("test", "validation", 1))
    for name, metric in METRICS.items()
    if name not in ("test_loss", "test_success", "test_sequences", "validation_loss", "train_loss")
}
"""Every metric of a ledger by its column; a study is judged by the first that its seed runs have, unless it is told another."""

GAINS = ("auc", "auroc", "r2", "reward", "return", "bleu")
SHARES = ("accuracy", "acc", "f1", "precision", "recall", "ranked")
SCORES = (
    "score", "test_rmse", "rmse", "test_mae", "mae", "mse", "error", "test_error", "loss", "test_loss", "test_accuracy", *SHARES, *GAINS, "success",
    "solved", "sequences",
)  # fmt: skip


def metric_of(column: str, higher: bool | None = None) -> Metric:
    """What a column of anybody's table holds, by its name: an error, unless the name says another.

    Args:
        higher: whether larger is better, where the name may mislead.
    """
    words = set(column.lower().replace("-", "_").split("_"))
    if column in METRICS:
        found = METRICS[column]
    elif words & {"success", "solved"}:
        found = Metric(column, "success", "rate of success")
    elif words & {*SHARES, *GAINS}:
        found = Metric(column, "score" if words & {*SHARES} else "gain", column)
    else:
        found = Metric(column, "time" if "sequences" in words else "error", column)
    if higher is None or higher == found.higher:
        return found
    return replace(found, kind="gain" if higher else "error", noun=column if found.noun == "error" else found.noun)


YES_OR_NO = {"True": "1", "true": "1", "yes": "1", "False": "0", "false": "0", "no": "0"}

LENGTH = "K"
DRAWS = ("path", "origin")
"""Columns that name the draw of the data: rows of another path, or from another origin of one series, are of other data."""

STATUS = "status"


@dataclass(frozen=True)
class Columns:
    """Which column is what; each is found by its name where it is not given.

    Attributes:
        model: what is compared (``model``, ``algorithm``, ``method`` ...).
        dataset: what it was trained on (``dataset``, ``series``, ``task`` ...); none where all rows are of one.
        seed: whole numbers.
        score: numbers; inf, or NaN beside ``status`` ``diverged``, is a seed that diverged.
        K: an ordered setting such as a filter length, whole numbers; ``K`` if there is one.
        by: further columns whose values make conditions. By default those that vary, and of which each value has several seeds: a column with another value
            for every seed is a measurement.
    """

    model: str | None = None
    dataset: str | None = None
    seed: str | None = None
    score: str | None = None
    K: str | None = None
    by: Sequence[str] | None = None

    def found(self, frame: pd.DataFrame, source: str) -> Found:
        """These columns, each looked up in a table.

        Raises:
            UserError: a column that is not there, or several that could be meant.
        """
        if frame.columns.has_duplicates:
            raise UserError(f"{source} has two columns of the name '{shown(frame.columns[frame.columns.duplicated()][0])}'; rename one.")
        given = {"model": self.model, "dataset": self.dataset, "seed": self.seed, "score": self.score, "K": self.K}
        for column in (*given.values(), *(self.by or ())):
            if column is not None and column not in frame:
                raise UserError(f"{source} has no column '{shown(column)}'; it has {listed(frame)}.")
        model, seed, score = (
            given[name] or only(frame, names, name, source) for name, names in (("model", MODELS), ("seed", SEEDS), ("score", SCORES))
        )
        dataset = self.dataset or (only(frame, DATASETS, "dataset", source) if among(frame, DATASETS) else None)
        K = self.K or (LENGTH if LENGTH in frame else None)
        if self.by is not None:
            return Found(model, seed, score, dataset, K, tuple(self.by))
        rest = [name for name in frame if name not in (model, seed, score, dataset, K, STATUS)]
        return Found(model, seed, score, dataset, K, tuple(str(name) for name in rest if makes_conditions(frame[name], frame[seed])))


@dataclass(frozen=True)
class Found:
    """:class:`Columns` as a table has them."""

    model: str
    seed: str
    score: str
    dataset: str | None
    K: str | None
    by: tuple[str, ...]


def listed(frame: pd.DataFrame) -> str:
    return ", ".join(map(shown, frame.columns)) or "none"


def among(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    return [str(column) for column in frame if str(column).lower() in names]


def only(frame: pd.DataFrame, names: Sequence[str], what: str, source: str) -> str:
    """The one column whose name says what it is; that with the first of the names where there are several."""
    found = among(frame, names)
    if len(found) == 1:
        return found[0]
    if names[0] in found:
        return names[0]
    wrong = (
        f"several columns that could be the {what}: {', '.join(found)}" if found else f"no column for the {what}; it has {listed(frame)}"
    )
    raise UserError(f"{source} has {wrong}; name one with --{what} COL ({what}='COL').")


def makes_conditions(column: pd.Series, seeds: pd.Series) -> bool:
    """Whether a column varies, and each of its values has several seeds."""
    per_value = seeds.groupby(column, dropna=False).nunique()
    return len(per_value) > 1 and bool(per_value.min() > 1)


def finite(column: pd.Series) -> np.ndarray:
    """Which values of a column are numbers and not infinite, as booleans ``(rows,)``."""
    return np.isfinite(column.to_numpy(float))


def is_ledgers(columns: Iterable[object]) -> bool:
    """Whether columns are those of a ledger."""
    return {"condition", "status", "dataset", "model", "seed"} <= set(columns)


def read(path: str | Path) -> pd.DataFrame:
    """A CSV (all cells as text, as they stand) or Parquet file; its index is named ``line`` where rows are lines of the file.

    Raises:
        UserError: a file that cannot be read.
    """
    try:
        if str(path).endswith(".parquet"):
            return pd.read_parquet(path)
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False, index_col=False, skipinitialspace=True)
        table = table.rename(columns=str.strip)
    except Exception as error:  # what pandas, pyarrow or the storage makes of the user's file
        raise UserError(
            f"{path} cannot be read ({reason(error)}); expected a CSV or Parquet file with a header and a row a seed."
        ) from None
    if "run_id" in table and is_ledgers(table.columns):  # an export: numbers are numbers, and what is empty is missing
        return pd.read_csv(path, dtype={"run_id": str})
    table.index = pd.RangeIndex(2, len(table) + 2, name="line")
    return table[(table != "").any(axis=1)]  # blank lines are no rows


def rows(frame: pd.DataFrame, columns: Columns | None = None, source: str = "the table") -> tuple[pd.DataFrame, str]:
    """Anybody's table as rows of a ledger: ``dataset, model, K, condition, seed, status, config`` and the score, under its own name.

    An empty cell of a time until success is a seed that never had it.

    Args:
        source: what messages call the table; rows are called by the table's index.

    Returns:
        The rows, and the name of the score's column.

    Raises:
        UserError: as :meth:`Columns.found`; no row; an empty cell, a value that is no number, or a seed that a condition has twice, with its line.
    """
    at = (columns or Columns()).found(frame, source)
    if frame.empty:
        raise UserError(f"{source} has a header but no rows.")
    text = pd.DataFrame({name: frame[name].map(lambda cell: "" if pd.isna(cell) else str(cell).strip()) for name in frame})
    lines = [f"{source}, {frame.index.name or 'row'} {label}" for label in frame.index]
    for name in filter(None, (at.model, at.dataset, at.seed, *at.by)):
        if (bad := np.flatnonzero(text[name] == "")).size:
            raise UserError(f"{lines[bad[0]]}: column '{name}' is empty; fill it in, or take the row out.")
    diverged = text[STATUS].eq("diverged").to_numpy() if STATUS in text else np.zeros(len(text), bool)
    score = pd.to_numeric(text[at.score].replace(YES_OR_NO), errors="coerce").to_numpy(float)
    never = metric_of(at.score).kind == "time"
    for i in np.flatnonzero(np.isnan(score) & ~diverged):
        said = text[at.score].iloc[i]
        missing = said.lower() in ("", "nan", "na", "none", "null")
        if missing and never:
            continue
        if not missing:
            raise UserError(f"{lines[i]}: column '{at.score}' is '{shown(said)}'; expected a number.")
        raise UserError(
            f"{lines[i]}: column '{at.score}' is {'NaN' if said else 'empty'}; fill it in, or take the row out; a seed that diverged is written as"
            f" inf, or with '{STATUS}' diverged in a column of that name."
        )
    out = pd.DataFrame(
        {
            "dataset": text[at.dataset] if at.dataset else Path(source).stem if Path(source).suffix else "all",
            "model": text[at.model], "K": whole(text[at.K], lines, empty=True) if at.K else pd.array([pd.NA] * len(text), dtype="Int64"),
            "seed": whole(text[at.seed], lines).astype(int), STATUS: np.where(diverged | ~(np.isfinite(score) | never), "diverged", "completed"),
        }
    )  # fmt: skip
    out[at.score] = score
    settings, drawn = text[list(at.by)].to_dict("records"), [name for name in at.by if name in DRAWS]
    draws = pd.DataFrame({name: whole(text[name], lines).astype(int) for name in drawn}, index=out.index).to_dict("records")
    out["config"] = pd.Series(
        [
            {"columns": {key: value for key, value in one.items() if key not in drawn}}
            | ({"dataset": {"train": None, **draw}} if drawn else {})
            for one, draw in zip(settings, draws, strict=True)
        ],
        index=out.index,
    )
    if drawn:
        out["fingerprint"] = [" ".join([dataset, *map(str, draw.values())]) for dataset, draw in zip(out["dataset"], draws, strict=True)]
    out["condition"] = [
        " ".join(
            [
                model,
                *([] if pd.isna(K) else [f"K={K}"]),
                *(f"{key}={value}" for key, value in one.items()),
                *(["/", dataset] if at.dataset else []),
            ]
        )
        for model, K, dataset, one in zip(out["model"], out["K"], out["dataset"], settings, strict=True)
    ]
    if drawn:
        out["draws"] = out["condition"]  # a table does not say what seeds share: those of other paths are taken as others
    out = out.reset_index(drop=True)
    if (twice := np.flatnonzero(out.duplicated(["condition", "seed"]))).size:
        condition, seed = out.loc[twice[0], ["condition", "seed"]]
        first = int(np.flatnonzero((out["condition"] == condition) & (out["seed"] == seed))[0])
        raise UserError(
            f"{lines[twice[0]]}: seed {seed} of '{shown(condition)}' stands in {lines[first].removeprefix(source + ', ')} already; take one out, or name the column"
            " that tells them apart with --by COL (by=['COL'])."
        )
    return out, at.score


def whole(column: pd.Series, lines: Sequence[str], empty: bool = False) -> pd.Series:
    """A column of whole numbers, some of them missing where they may be."""
    numbers = pd.to_numeric(column, errors="coerce")
    right = (numbers.abs().lt(2**53) & numbers.mod(1).eq(0)) | (column.eq("") & empty)
    if (wrong := np.flatnonzero(~right)).size:
        said = shown(column.iloc[wrong[0]])
        raise UserError(f"{lines[wrong[0]]}: column '{column.name}' is '{said}'; expected a whole number{', or nothing' if empty else ''}.")
    return numbers.astype("Int64")
