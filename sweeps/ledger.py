"""The ledger: the durable record of finished seed runs. One new Parquet file a pack, whole or not at all, never rewritten.

``runs/*.parquet`` has a row a seed run:

=================  =====================================================================================
run_id             hash of condition, seed, data and protocol version: the same work, the same id
condition_id       the same without the seed
condition          the condition's label, such as ``mrnn K=100 / arfima``
model, dataset, K  of the condition; K is missing where the model has none
hidden_size, lr    of the condition
seed               the seed
status             ``completed`` (max_epochs), ``stopped`` (early) or ``diverged``
epochs             epochs measured; ``best_epoch``: the one with the best validation loss
train_loss         MSE on the scaled series at the best epoch; ``validation_loss`` likewise
test_rmse          error of the best epoch's parameters on the test part, original scale; ``test_mae``, ``test_mape`` (%)
d                  learned memory parameter, averaged over the test part; missing where the cell has none
config             the resolved condition, JSON
fingerprint        sha256 of the series
code               version of ltm, and the commit in a checkout
engine, seconds    what trained the pack, and its training time divided by its seed runs
pack               the file that holds the row
=================  =====================================================================================

``curves/*.parquet`` has what is large and seldom read, under the same file names: ``run_id``, the lists ``train_loss`` and
``validation_loss`` by epoch, and ``parameters``, those of the best epoch, flat, in the order of the cell's ``parameters()``
(since schema 2; missing in older files).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs as pafs

from ltm.errors import UserError

SCHEMA_VERSION = b"2"

COLUMNS = [
    "run_id", "condition_id", "condition", "model", "dataset", "K", "hidden_size", "lr", "seed", "status", "epochs", "best_epoch",
    "train_loss", "validation_loss", "test_rmse", "test_mae", "test_mape", "d", "config", "fingerprint", "code", "engine", "seconds",
    "pack",
]  # fmt: skip

SCHEMA = pa.schema(
    [
        (name, pa.float64() if name in ("lr", "train_loss", "validation_loss", "test_rmse", "test_mae", "test_mape", "d", "seconds")
         else pa.int64() if name in ("K", "hidden_size", "seed", "epochs", "best_epoch") else pa.string())
        for name in COLUMNS
    ],
    metadata={"ltm.schema": SCHEMA_VERSION},
)  # fmt: skip

CURVES = pa.schema(
    [("run_id", pa.string()), *((name, pa.list_(pa.float32())) for name in ("train_loss", "validation_loss", "parameters"))],
    metadata={"ltm.schema": SCHEMA_VERSION},
)


class Ledger:
    """The results of one study. ``folder`` is a path or any URI that ``pyarrow.fs`` knows."""

    def __init__(self, folder: str | Path) -> None:
        self.uri = str(folder) if "://" in str(folder) else str(Path(folder).expanduser().absolute())
        try:
            self.fs, self.path = pafs.FileSystem.from_uri(self.uri)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"results folder '{self.uri}' cannot be used: {error}") from None

    def files(self, kind: str) -> list[str]:
        """Paths of the finished files of ``runs`` or ``curves``."""
        found = self.fs.get_file_info(pafs.FileSelector(f"{self.path}/{kind}", allow_not_found=True))
        return sorted(info.path for info in found if info.extension == "parquet" and not info.base_name.startswith("."))

    def write(self, runs: pd.DataFrame, curves: Sequence[tuple[np.ndarray, np.ndarray]], parameters: np.ndarray) -> str:
        """Add one pack: its rows (all of ``COLUMNS`` but ``pack``), and the curves and best parameters ``(S, N)`` of the same lanes.

        The curves are written first, so that a row in ``runs`` always has its curve.

        Returns:
            The name of the new files.
        """
        name = f"{runs['run_id'].iloc[0]}-{uuid.uuid4().hex[:8]}"
        train, validation = zip(*curves, strict=True)
        lists = {"train_loss": list(train), "validation_loss": list(validation), "parameters": list(parameters)}
        table = pa.table({"run_id": list(runs["run_id"]), **lists}, schema=CURVES)
        self._put(f"curves/{name}", table)
        self._put(f"runs/{name}", pa.Table.from_pandas(runs.assign(pack=name)[COLUMNS], schema=SCHEMA, preserve_index=False))
        return name

    def _put(self, name: str, table: pa.Table) -> None:
        folder, _, base = f"{self.path}/{name}".rpartition("/")
        self.fs.create_dir(folder, recursive=True)
        temporary = f"{folder}/.{base}.tmp"
        pq.write_table(table, temporary, filesystem=self.fs, compression="zstd")
        self.fs.move(temporary, f"{folder}/{base}.parquet")

    def runs(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Every finished seed run, a row each; no ``run_id`` twice. Columns: see the module's docstring."""
        frame = self._read("runs", SCHEMA, columns)
        return frame.drop_duplicates("run_id", ignore_index=True)

    def curves(self, runs: pd.DataFrame | None = None) -> pd.DataFrame:
        """Loss by epoch, a row a seed run: ``run_id``, ``train_loss``, ``validation_loss`` (arrays); of these rows, or of all."""
        return self._lists(["run_id", "train_loss", "validation_loss"], runs)

    def parameters(self, runs: pd.DataFrame | None = None) -> pd.DataFrame:
        """The best epoch's parameters, a row a seed run: ``run_id``, ``parameters`` (arrays; None where an older ltm kept none)."""
        return self._lists(["run_id", "parameters"], runs)

    def _lists(self, columns: list[str], runs: pd.DataFrame | None) -> pd.DataFrame:
        frame = self._read("curves", CURVES, columns, None if runs is None else set(runs["pack"]))
        if runs is not None:
            frame = frame[frame["run_id"].isin(set(runs["run_id"]))]
        return frame.drop_duplicates("run_id", ignore_index=True)

    def _read(self, kind: str, schema: pa.Schema, columns: Sequence[str] | None, packs: set[str] | None = None) -> pd.DataFrame:
        tables = []
        for path in self.files(kind):
            if packs is not None and Path(path).stem not in packs:
                continue
            try:
                file = pq.ParquetFile(path, filesystem=self.fs)
                version = (file.schema_arrow.metadata or {}).get(b"ltm.schema")
                if version is None or int(version) > int(SCHEMA_VERSION):
                    raise UserError(f"{path} was written by a newer version of ltm (schema {version!r}); upgrade ltm to read it.")
                tables.append(file.read(columns=list(columns) if columns else None))
            except (pa.ArrowInvalid, OSError) as error:
                raise UserError(
                    f"{path} is damaged ({error}); move it away, and the same sweep command trains its seed runs again."
                ) from None
        if not tables:
            return schema.empty_table().to_pandas()[list(columns) if columns else schema.names]
        frame = pa.concat_tables(tables, promote_options="default").to_pandas()
        return frame.astype({"K": "Int64"}) if "K" in frame else frame

    def done(self) -> set[str]:
        """The ``run_id`` of every finished seed run."""
        return set(self.runs(["run_id"])["run_id"])

    def text(self, name: str) -> str | None:
        """The content of a text file of the study, or None where there is none."""
        path = f"{self.path}/{name}"
        if self.fs.get_file_info(path).type == pafs.FileType.NotFound:
            return None
        with self.fs.open_input_stream(path) as stream:
            return stream.read().decode()

    def put_text(self, name: str, content: str) -> None:
        """Write a text file of the study, whole or not at all.

        Raises:
            UserError: the folder cannot be written.
        """
        try:
            self.fs.create_dir(self.path, recursive=True)
            temporary = f"{self.path}/.{name}.{uuid.uuid4().hex[:8]}"
            with self.fs.open_output_stream(temporary) as stream:
                stream.write(content.encode())
            self.fs.move(temporary, f"{self.path}/{name}")
        except OSError as error:
            raise UserError(f"results folder '{self.uri}' cannot be written ({error}); choose another with root=DIR.") from None

    def local(self) -> Path:
        """The study as a local folder, for what only works there (report, W&B files)."""
        return Path(self.path) if isinstance(self.fs, pafs.LocalFileSystem) else Path("results") / Path(self.path).name


def condition_config(row: pd.Series) -> dict[str, object]:
    """The resolved condition of a row."""
    return dict(json.loads(row["config"]))
