"""The Parquet files of a ledger: their columns, metrics among them, and what tells a file of ltm's from damage and from a newer version's. Where files lie is the ledger's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ltm.errors import UserError

SCHEMA_VERSION = b"4"

METRICS = {
    "rmse": "RMSE", "mae": "MAE", "mape": "MAPE", "accuracy": "accuracy", "precision": "macro precision", "recall": "macro recall", "f1": "macro F1",
    "ranked": "ranked steps", "loss": "loss", "worst": "largest error", "success": "success", "sequences": "sequences until success",
}  # fmt: skip
"""The metrics of all tasks (:data:`ltm.training.metrics.METRICS`) and how they are called in words; where one must do, the first that a task has."""

TESTS = {f"test_{name}": title for name, title in METRICS.items()}
"""Columns of metrics on the test part; missing where the task does not measure them."""

MEASURED = tuple(f"validation_{name}" for name in METRICS if name not in ("loss", "success", "sequences"))
"""Columns of metrics on validation sequences; missing where the task does not measure them, and of a series."""

VALIDATIONS = ("validation_loss", "train_loss", *MEASURED)
"""Columns that a search may choose by."""

COLUMNS = [
    "run_id", "condition_id", "condition", "model", "dataset", "K", "hidden_size", "lr", "seed", "status", "epochs", "best_epoch",
    "train_loss", "validation_loss", *MEASURED, *TESTS, "d", "config", "fingerprint", "step", "draws", "code",
    "provenance", "engine", "engine_version", "seconds", "pack",
]  # fmt: skip

SCHEMA = pa.schema(
    [
        (name, pa.float64() if name in ("lr", *VALIDATIONS, *TESTS, "d", "seconds")
         else pa.int64() if name in ("K", "hidden_size", "seed", "epochs", "best_epoch", "engine_version") else pa.string())
        for name in COLUMNS
    ],
    metadata={"ltm.schema": SCHEMA_VERSION},
)  # fmt: skip

CURVES = pa.schema(
    [("run_id", pa.string()), *((name, pa.list_(pa.float32())) for name in ("train_loss", "validation_loss", "parameters"))],
    metadata={"ltm.schema": SCHEMA_VERSION},
)


FAILURES = pa.schema(
    [("run_id", pa.string()), ("condition", pa.string()), ("seed", pa.int64()), ("error", pa.string())],
    metadata={"ltm.schema": SCHEMA_VERSION},
)

BASELINES = pa.schema(
    [
        (name, pa.string() if name in ("fingerprint", "dataset", "baseline", "label", "parameters") else pa.int64() if name == "version" else pa.float64())
        for name in ("fingerprint", "version", "dataset", "baseline", "label", "parameters", *TESTS, "validation_loss")
    ],
    metadata={"ltm.schema": SCHEMA_VERSION},
)  # fmt: skip

SCHEMAS = {"runs": SCHEMA, "curves": CURVES, "failures": FAILURES, "baselines": BASELINES}

SINCE_LATER = {"parameters", "step", "draws", "provenance", "engine_version", *MEASURED, *TESTS} - {"test_rmse", "test_mae", "test_mape"}
"""Columns that files of an older schema lack; they are missing values there."""

UNREADABLE = (pa.ArrowException, OSError, ValueError)
"""What pyarrow raises over bytes that are no Parquet file, or over storage that fails."""


def parsed(path: str, source: Any, columns: Sequence[str] | None, checked: bool) -> pa.Table:
    """The table in a Parquet file of the ledger.

    Raises:
        UserError: it is of a newer version of ltm.
        pa.ArrowInvalid: it is not what ltm wrote; or another of ``UNREADABLE``.
    """
    file = pq.ParquetFile(source)
    version = (file.schema_arrow.metadata or {}).get(b"ltm.schema", b"")
    if not version.isdigit():
        raise pa.ArrowInvalid("it is not a file of ltm's")
    if int(version) > int(SCHEMA_VERSION):
        raise UserError(f"{path} was written by a newer version of ltm (schema {version.decode()}); upgrade ltm to read it.")
    if checked and (told := Path(path).name.split(".")[1:-1]):
        source.seek(0)
        if told != [checksum(source.read_buffer())]:
            raise pa.ArrowInvalid("its bytes are not those that were written")
    expected = SCHEMAS.get(Path(path).parent.name, pa.schema([]))
    lacking = set(expected.names) - set(file.schema_arrow.names) - SINCE_LATER
    if lacking:
        raise pa.ArrowInvalid(f"it lacks the columns {', '.join(sorted(lacking))}")
    table = file.read(columns=list(columns) if columns else None, use_threads=False)
    for name in columns or expected.names:
        if name in expected.names and name not in table.column_names:
            table = table.append_column(expected.field(name), pa.nulls(len(table), expected.field(name).type))
    return table


def headline(rows: pd.DataFrame) -> str:
    """The first test metric that these rows have, or that of a series where they have none: the one that is told where there is room for one."""
    return next((name for name in TESTS if name in rows and rows[name].notna().any()), next(iter(TESTS)))


def checksum(content: bytes | pa.Buffer) -> str:
    """The first 16 digits of the content's sha256."""
    return hashlib.sha256(content).hexdigest()[:16]
