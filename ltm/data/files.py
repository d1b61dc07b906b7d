"""Data files: where they lie, what their sums are, how they are fetched, and how tables and columns are read."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ltm.errors import UserError, reason, shown, unknown
from ltm.machine import user_cache

BASE = "https://raw.githubusercontent.com/huawei-noah/noah-research/master/mRNN-mLSTM/data"


@dataclass(frozen=True)
class Published:
    """A file published with the paper (BSD 3-Clause), and its sum."""

    path: str
    sha256: str
    about: str

    @property
    def url(self) -> str:
        return f"{BASE}/{self.path}"


PUBLISHED = {
    "arfima.csv": Published(
        "time_series_prediction/arfima.csv",
        "8646e614ab4defedf5c9d239a20013c5dfd7bba512d786bbe6f7e9d208e08735",
        "one simulated ARFIMA(2, 0.4, 1) path, 4001 values",
    ),
    "DJI.csv": Published(
        "time_series_prediction/DJI.csv",
        "011fea06b5daf1ad322d0997b1a51d32dc3bd720450dd965c659b05969b66881",
        "Dow Jones daily absolute log return 2000-2019, centred, 5029 values",
    ),
    "traffic.csv": Published(
        "time_series_prediction/traffic.csv",
        "3b145a40bf2152028557079f8270ed538dce79b86b827a959090a65428cdcdac",
        "Metro interstate traffic volume, daily, deseasonalised, 1860 values",
    ),
    "tree7.csv": Published(
        "time_series_prediction/tree7.csv",
        "44d55af6320aa692e9e97b9c49f235eaabf377012e4ff72b61cd05a38c252df7",
        "tree-ring widths of a pine, Indian Garden, Nevada, 4351 values",
    ),
    "reviews.json": Published(
        "review_classification/reviews.json",
        "5ea7a36d2655b89db2b73c999f086a3df607089ebd11ebeeb122105d7f0de888",
        "405 paper reviews in Spanish and English (UCI)",
    ),
}


SHIPPED = Path(__file__).parent / "shipped"
"""Series that come with ltm, found by their name where no file of one's own has it. ``nile_minima.csv``: yearly minima of the Nile at the Roda gauge, 622 to
1284, as Toussoun measured and collected them (Mémoire sur l'histoire du Nil, 1925), 663 values."""


def folders() -> list[Path]:
    """Where files are looked for: ``LTM_DATA_DIR`` alone if set, else ``data/`` here, then the user's cache."""
    named = os.environ.get("LTM_DATA_DIR")
    if named:
        return [Path(named)]
    return [Path("data"), user_cache()]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def locate(name: str) -> Path:
    """The path of a published data file by name, or of any file by path. A published file's sum is checked.

    Raises:
        UserError: no such file, or a published file with another sum (it is left as it is).
    """
    published = PUBLISHED.get(name)
    if published is None:
        path = Path(os.path.expanduser(name))
        candidates = [path] if path.is_absolute() else [path, *(folder / path for folder in (*folders(), SHIPPED))]
    else:
        candidates = [folder / name for folder in folders()]
    try:
        found = next((path for path in candidates if path.is_file()), None)
    except (OSError, ValueError) as error:
        raise UserError(f"data file '{shown(name)}' is no path ({reason(error)}); expected that of a file.") from None
    if found is None:
        where = ", ".join(str(path) for path in candidates)
        how = f"; fetch it with: python -m ltm.data fetch {name}" if published else ""
        folder = next((path for path in candidates if path.is_dir()), None)
        if folder and name:
            raise UserError(f"data file '{name}' is a folder ({folder}); expected the path of a file.")
        raise UserError(f"data file '{name}' is not there (looked at {where}){how}")
    if published and sha256(found) != published.sha256:
        raise UserError(
            f"data file {found} is not the published one (sha256 {sha256(found)[:12]}..., expected {published.sha256[:12]}...);"
            f" move it away and run: python -m ltm.data fetch {name}"
        )
    return found


def read_table(name: str) -> tuple[Path, pd.DataFrame]:
    """A CSV, or a Parquet file (``.parquet``, ``.pq``), and where it lies.

    Raises:
        UserError: file missing, unreadable or empty.
    """
    path = locate(name)
    parquet = path.suffix.lower() in (".parquet", ".pq")
    try:
        frame = pd.read_parquet(path) if parquet else pd.read_csv(path, skip_blank_lines=False, low_memory=False)
    except Exception as error:  # what pandas, a decompressor of its choice or the storage makes of the user's file
        expected = "a table" if parquet else "a header line and one row a time step"
        raise UserError(f"{path} cannot be read as {'Parquet' if parquet else 'CSV'} ({reason(error)}); expected {expected}.") from None
    if frame.empty:
        raise UserError(f"{path} has a header but no rows.")
    return path, frame


def column_of(path: Path, frame: pd.DataFrame, column: str) -> pd.Series:
    """One column of a table.

    Raises:
        UserError: it is not there.
    """
    if column not in frame:
        raise unknown(f"column of {path}:", column, frame.columns)
    return frame[column]


def numbers(path: Path, frame: pd.DataFrame, column: str, remedy: str = "") -> np.ndarray:
    """One numeric column of a table, float64.

    Args:
        remedy: what to do where a value is missing; where not given, such a value is NaN.

    Raises:
        UserError: column missing, text or an empty cell in it.
    """
    held = column_of(path, frame, column)
    values = pd.to_numeric(held, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    empty = held.isna().to_numpy() & (not remedy)
    bad = np.flatnonzero(~np.isfinite(values) & ~empty)
    if len(bad):
        said, where = held.iloc[int(bad[0])], place(path, column, int(bad[0]))
        if pd.isna(said):
            raise missing(where, int(held.isna().sum()), remedy)
        raise UserError(f"{where}: '{said}' is not a number.")
    return values


def place(path: Path, column: str, row: int) -> str:
    """Where a cell lies, as a message says it."""
    return f"{path}, column '{column}', {f'line {row + 2}' if path.suffix.lower() not in ('.parquet', '.pq') else f'row {row}'}"


def missing(where: str, count: int, remedy: str) -> UserError:
    """The error for a cell without a value, the first of ``count``."""
    return UserError(f"{where}: no value{f', nor in {count - 1} further lines' if count > 1 else ''}; {remedy}.")


def read_column(name: str, column: str) -> np.ndarray:
    """One numeric column of a CSV or Parquet file, float64.

    Raises:
        UserError: file missing or empty, column missing, text or an empty cell in it.
    """
    path, frame = read_table(name)
    return numbers(path, frame, column, f"fill it in (in pandas: frame['{column}'].interpolate()), or cut the series before or after it")


def fetch(name: str, progress: Callable[[int, int], None] = lambda done, total: None) -> tuple[Path, bool]:
    """Download a published file into ``LTM_DATA_DIR`` or else the user's cache, whole or not at all.

    Args:
        progress: called with bytes done and bytes in all (0 if the server does not say).

    Returns:
        Its path, and whether it was downloaded now (False: it was there already).

    Raises:
        UserError: unknown name, a file of another sum in the way, no connection, or a download with another sum.
    """
    if name not in PUBLISHED:
        raise unknown("data file", name, PUBLISHED)
    published = PUBLISHED[name]
    target = folders()[-1] / name
    if target.exists():
        if sha256(target) != published.sha256:
            raise UserError(f"{target} has another sum than the published file and was left as it is; move it away to fetch again.")
        return target, False
    temporary = target.with_name(f".{name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(published.url, timeout=30) as response, temporary.open("wb") as part:
            total, done = int(response.headers.get("Content-Length") or 0), 0
            while block := response.read(1 << 16):
                part.write(block)
                done += len(block)
                progress(done, total)
        if sha256(temporary) != published.sha256:
            raise UserError(f"what {published.url} gives has another sum than the published file; nothing was kept.")
        temporary.replace(target)
    except (urllib.error.URLError, OSError) as error:
        raise UserError(
            f"cannot fetch {name} ({getattr(error, 'reason', error)}); download {published.url} by hand,"
            " put it into a folder and set LTM_DATA_DIR to that folder."
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
    return target, True
