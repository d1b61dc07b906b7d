"""The ledger: the durable record of finished seed runs. One new Parquet file a pack, whole or not at all, never rewritten.

``runs/*.parquet`` has a row a seed run:

=================  =====================================================================================
run_id             hash of the condition and the seed: the same work, the same id
condition_id       hash of settings, data and protocol version, then of what the cell computes (``step``)
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
step, draws        digests of what the cell computes, and of its initial values alone (:mod:`ltm.cells.record`); since schema 3
code               version of ltm, and the commit in a checkout
provenance         the file ``provenance/NAME.json``: code and its changes, packages, processor, threads; since schema 3
engine, seconds    what trained the pack, and its training time divided by its seed runs
engine_version     rows of another version are the same work with other rounding; since schema 3
pack               the file that holds the row
=================  =====================================================================================

``curves/*.parquet`` has what is large and seldom read, under the same file names: ``run_id``, the lists ``train_loss`` and
``validation_loss`` by epoch, and ``parameters``, those of the best epoch, flat, in the order of the cell's ``parameters()``
(since schema 2; missing in older files).

``failures/*.parquet`` names the seed runs that could not be trained: ``run_id``, ``condition``, ``seed``, ``error``. They are not
finished: the same command tries them again.

``baselines/*.parquet`` has a row a series and forecast that needs no network (:func:`ltm.baselines.rows`); missing in older studies.

``former.json`` names the conditions that are kept and no longer used, as their cell computes something else now.

Files are called ``PACK.CHECKSUM.parquet``. The folder may be local or on any storage that ``pyarrow.fs`` knows (``s3://``, ``gs://``). A local file is written under a temporary name
and renamed; an object appears with its last byte. So a file is whole or not there, on either.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs as pafs

from ltm.errors import UserError

SCHEMA_VERSION = b"3"

COLUMNS = [
    "run_id", "condition_id", "condition", "model", "dataset", "K", "hidden_size", "lr", "seed", "status", "epochs", "best_epoch",
    "train_loss", "validation_loss", "test_rmse", "test_mae", "test_mape", "d", "config", "fingerprint", "step", "draws", "code",
    "provenance", "engine", "engine_version", "seconds", "pack",
]  # fmt: skip

SCHEMA = pa.schema(
    [
        (name, pa.float64() if name in ("lr", "train_loss", "validation_loss", "test_rmse", "test_mae", "test_mape", "d", "seconds")
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
        for name in ("fingerprint", "version", "dataset", "baseline", "label", "parameters", "test_rmse", "test_mae", "test_mape", "validation_loss")
    ],
    metadata={"ltm.schema": SCHEMA_VERSION},
)  # fmt: skip
FORMER = "former.json"

READERS = 8
"""Files read at once."""

PROBE_BYTES = 4 << 20
"""More than a pack's results and its checkpoint."""


class StorageError(UserError):
    """The storage of a study does not take or give what it should."""


class Ledger:
    """The results of one study. ``folder`` is a path or any URI that ``pyarrow.fs`` knows."""

    def __init__(self, folder: str | Path) -> None:
        self.uri = str(folder) if "://" in str(folder) else str(Path(folder).expanduser().absolute())
        try:
            self.fs, self.path = pafs.FileSystem.from_uri(self.uri)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"results folder '{self.uri}' cannot be used: {reason(error)}") from None

    def files(self, kind: str, end: str = "parquet") -> list[str]:
        """Paths of the finished files of ``runs``, ``curves`` or another folder of the study, by name."""
        try:
            found = self.fs.get_file_info(pafs.FileSelector(f"{self.path}/{kind}", allow_not_found=True))
        except OSError as error:
            raise StorageError(f"results folder '{self.uri}' cannot be read: {reason(error)}") from None
        return sorted(info.path for info in found if info.extension == end and not info.base_name.startswith("."))

    def times(self, kind: str) -> dict[str, float]:
        """When each file was written, by the storage's clock (seconds), by name without ending."""
        found = self.fs.get_file_info(pafs.FileSelector(f"{self.path}/{kind}", allow_not_found=True))
        return {pack_of(info.path): info.mtime.timestamp() for info in found if info.extension == "parquet" and info.mtime}

    def write(self, runs: pd.DataFrame, curves: Sequence[tuple[np.ndarray, np.ndarray]], parameters: np.ndarray) -> str:
        """Add one pack: its rows (all of ``COLUMNS`` but ``pack``), and the curves and best parameters ``(S, N)`` of the same lanes.

        The curves are written first, so that a row in ``runs`` always has its curve.

        Returns:
            The name of the new files.

        Raises:
            StorageError: the folder cannot be written; nothing of the pack is in the ledger then.
        """
        name = f"{runs['run_id'].iloc[0]}-{uuid.uuid4().hex[:8]}"
        train, validation = zip(*curves, strict=True)
        lists = {"train_loss": list(train), "validation_loss": list(validation), "parameters": list(parameters)}
        self.put_table(f"curves/{name}", pa.table({"run_id": list(runs["run_id"]), **lists}, schema=CURVES))
        self.put_table(f"runs/{name}", pa.Table.from_pandas(runs.assign(pack=name)[COLUMNS], schema=SCHEMA, preserve_index=False))
        return name

    def put_table(self, name: str, table: pa.Table) -> None:
        """Write one Parquet file as ``NAME.CHECKSUM.parquet``; the checksum is that of its bytes (:func:`checksum`)."""
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer, compression="zstd")
        content = buffer.getvalue()
        self.put(f"{name}.{checksum(content)}.parquet", content)

    def put(self, name: str, content: bytes | pa.Buffer) -> None:
        """Write one file of the study, whole or not at all.

        Raises:
            StorageError: the folder cannot be written.
        """
        folder, _, base = f"{self.path}/{name}".rpartition("/")
        try:
            if not self.is_local:
                with self.fs.open_output_stream(f"{folder}/{base}") as stream:
                    stream.write(content)
                return
            Path(folder).mkdir(parents=True, exist_ok=True)
            temporary = Path(folder) / f".{base}.{uuid.uuid4().hex[:8]}.tmp"
            try:
                temporary.write_bytes(content)
                temporary.replace(f"{folder}/{base}")
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise StorageError(f"results folder '{self.uri}' cannot be written ({reason(error)}); choose another with root=DIR.") from None

    def probe(self) -> None:
        """Look for the study's ``config.yaml``, write a file of some megabytes, and delete it.

        Raises:
            StorageError: the study is gone, or its folder does not take the file.
        """
        if self.text("config.yaml") is None:
            raise StorageError(f"results folder '{self.path}' is gone, or what was in it.")
        name = f".probe-{uuid.uuid4().hex[:8]}"
        self.put(name, bytes(PROBE_BYTES))
        self.delete([f"{self.path}/{name}"])

    def delete(self, paths: Iterable[str]) -> None:
        """Delete files by the paths of :meth:`files`; those that are gone already are passed over.

        Raises:
            StorageError: the storage refuses.
        """
        for path in paths:
            try:
                self.fs.delete_file(path)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise StorageError(f"{path} cannot be deleted ({reason(error)}).") from None

    def drop(self, folder: str) -> None:
        """Delete a folder of the study with all that it holds; passed over where that cannot be."""
        with contextlib.suppress(OSError):
            self.fs.delete_dir(f"{self.path}/{folder}")

    def runs(self, columns: Sequence[str] | None = None, packs: set[str] | None = None, former: bool = False) -> pd.DataFrame:
        """Every finished seed run, or those of some packs, a row each; no ``run_id`` twice. Columns: see the module's docstring.

        ``former``: those too whose cell computes something else now.
        """
        aside = set() if former else self.former()
        frame = self._read(
            "runs", SCHEMA, [*columns, "condition_id"] if columns and aside and "condition_id" not in columns else columns, packs
        )
        if aside:
            frame = frame[~frame["condition_id"].isin(aside)]
        frame = frame[list(columns) if columns else SCHEMA.names]
        return frame.drop_duplicates("run_id", ignore_index=True)

    def former(self) -> set[str]:
        """Ids of the conditions that are kept and not used."""
        return set(json.loads(self.text(FORMER) or "[]"))

    def set_former(self, condition_ids: Iterable[str]) -> None:
        """These conditions, and no others, are kept and not used."""
        self.put(FORMER, json.dumps(sorted(condition_ids), indent=1).encode())

    def failures(self) -> pd.DataFrame:
        """The seed runs that failed and did not finish since, with the last error of each."""
        frame = self._read("failures", FAILURES, None).drop_duplicates("run_id", keep="last")
        return frame[~frame["run_id"].isin(self.done())].reset_index(drop=True) if len(frame) else frame

    def fail(self, failures: pd.DataFrame) -> None:
        """Record seed runs that could not be trained: ``run_id``, ``condition``, ``seed``, ``error``."""
        table = pa.Table.from_pandas(failures, schema=FAILURES, preserve_index=False)
        self.put_table(f"failures/{time.time_ns():020d}-{uuid.uuid4().hex[:8]}", table)

    def baselines(self) -> pd.DataFrame:
        """The forecasts that need no network, a row a series and baseline (:func:`ltm.baselines.rows`); of several versions, the newest."""
        frame = self._read("baselines", BASELINES, None).sort_values("version", kind="stable")
        newest = frame["version"] == frame.groupby("fingerprint")["version"].transform("max")
        return frame[newest].drop_duplicates(["fingerprint", "baseline"], ignore_index=True)

    def put_baselines(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Add the baselines of one series, whole or not at all.

        Raises:
            StorageError: the folder cannot be written.
        """
        table = pa.Table.from_pylist([dict(row) for row in rows], schema=BASELINES)
        self.put_table(f"baselines/{rows[0]['fingerprint']}-{rows[0]['version']}", table)

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
        paths = [path for path in self.files(kind) if packs is None or pack_of(path) in packs]
        with ThreadPoolExecutor(READERS) as readers:
            tables = list(readers.map(lambda path: self.table(path, columns), paths))
        if not tables:
            return schema.empty_table().to_pandas()[list(columns) if columns else schema.names]
        frame = pa.concat_tables(tables, promote_options="default").to_pandas()
        return frame.astype({"K": "Int64"}) if "K" in frame else frame

    def table(self, path: str, columns: Sequence[str] | None = None, checked: bool = False) -> pa.Table:
        """One file of the ledger; ``checked`` compares its bytes with the checksum in its name, where there is one.

        Raises:
            UserError: a damaged file, or one of a newer version of ltm.
        """
        try:
            with self.fs.open_input_file(path) as source:
                if checked and (told := Path(path).name.split(".")[1:-1]) and told != [checksum(source.read_buffer())]:
                    raise pa.ArrowInvalid("its bytes are not those that were written")
                file = pq.ParquetFile(source)
                version = (file.schema_arrow.metadata or {}).get(b"ltm.schema")
                if version is None or int(version) > int(SCHEMA_VERSION):
                    raise UserError(f"{path} was written by a newer version of ltm (schema {version!r}); upgrade ltm to read it.")
                return file.read(columns=list(columns) if columns else None, use_threads=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(
                f"{path} is damaged ({reason(error)}); move it away, and the same sweep command trains its seed runs again."
            ) from None

    def done(self) -> set[str]:
        """The ``run_id`` of every finished seed run, those of former steps too."""
        return set(self.runs(["run_id"], former=True)["run_id"])

    def text(self, name: str) -> str | None:
        """The content of a text file of the study, or None where there is none.

        Raises:
            StorageError: the storage does not answer, or refuses.
        """
        path = f"{self.path}/{name}"
        try:
            if self.fs.get_file_info(path).type == pafs.FileType.NotFound:
                return None
            with self.fs.open_input_stream(path) as stream:
                return str(stream.read().decode())
        except OSError as error:
            raise StorageError(f"results folder '{self.uri}' cannot be read: {reason(error)}") from None

    @property
    def is_local(self) -> bool:
        """Whether the study lies in a folder of this machine (or one mounted on it)."""
        return isinstance(self.fs, pafs.LocalFileSystem)

    def local(self) -> Path:
        """A local folder for what only works there (W&B files, Tune's scratch): the study's own, or ``results/STUDY``."""
        return Path(self.path) if self.is_local else Path("results") / Path(self.path).name


def pack_of(path: str) -> str:
    """The pack that a file belongs to: its name up to the first dot."""
    return Path(path).name.split(".")[0]


def checksum(content: bytes | pa.Buffer) -> str:
    """The first 16 digits of the content's sha256."""
    return hashlib.sha256(content).hexdigest()[:16]


def reason(error: Exception) -> str:
    """The first line of a storage's error, short enough to read."""
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return line if len(line) < 200 else line[:200] + "..."


def condition_config(row: pd.Series) -> dict[str, object]:
    """The resolved condition of a row."""
    return dict(json.loads(row["config"]))
