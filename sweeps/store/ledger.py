"""The ledger: the durable record of finished seed runs. One new Parquet file a pack, whole or not at all, never rewritten.

``runs/*.parquet`` has a row a seed run:

=================  =====================================================================================
run_id             hash of the condition and the seed: the same work, the same id
condition_id       hash of settings, data and protocol version, then of what the cell computes (``step``)
condition          the condition's label, such as ``mrnn K=100 / arfima``
model, dataset, K  of the condition; K is missing where the model has none
hidden_size, lr    of the condition
seed               the seed
status             ``completed`` (max_epochs), ``stopped`` (early, or by success) or ``diverged``
epochs             epochs measured; ``best_epoch``: the one with the best validation loss, or that of success
train_loss         the training's loss at the best epoch, of a series on its scaled values; ``validation_loss`` likewise
test_rmse          error of the best epoch's parameters on the test part, original scale; ``test_mae``, ``test_mape`` (%)
test_accuracy      of classes; ``test_precision``, ``test_recall``, ``test_f1`` (plain means over classes), ``test_loss``; since schema 4
test_ranked        of yes or no: share of steps at which what is to be yes has the largest outputs; since schema 4
test_worst         largest absolute error of any step; since schema 4
test_success       1 if ``training.until`` was met, else 0, missing without it; ``test_sequences`` read until then, missing if never; since schema 4
validation_rmse    metrics on validation sequences, none of a series; ``validation_mae``, ``validation_mape``, ``validation_worst``, ``validation_accuracy``, ``validation_precision``, ``validation_recall``, ``validation_f1``, ``validation_ranked``; since schema 4
d                  learned memory parameter, averaged over the test part; missing where the cell has none
config             the resolved condition, JSON
fingerprint        sha256 of the task
step, draws        digests of what the cell computes, and of its initial values alone (:mod:`ltm.cells.record`); since schema 3
code               version of ltm, and the commit in a checkout
provenance         the file ``provenance/NAME.json``: code and its changes, packages, processor, threads; since schema 3
engine, seconds    what trained the pack, and its training time divided by its seed runs
engine_version     rows of another version are the same work with other rounding; since schema 3
pack               the file that holds the row
=================  =====================================================================================

A metric that the task does not measure is missing.

``curves/*.parquet`` has what is large and seldom read, under the same file names: ``run_id``, the lists ``train_loss`` and
``validation_loss`` by epoch, and ``parameters``, those of the best epoch, flat, in the order of the network's ``parameters()``
(since schema 2; missing in older files).

``failures/*.parquet`` names the seed runs that could not be trained: ``run_id``, ``condition``, ``seed``, ``error``. They are not
finished: the same command tries them again.

``baselines/*.parquet`` has a row a task and prediction that needs no network (:func:`ltm.baselines.rows`); missing in older studies.

``checkpoints/`` has packs under way (:mod:`sweeps.store.checkpoints`), and is gone once all is trained.

``former.json`` names the conditions that are kept and no longer used, as their cell computes something else now.

Files are called ``PACK.CHECKSUM.parquet``. The folder may be local or on any storage that ``pyarrow.fs`` knows (``s3://``, ``gs://``). A local file is written under a temporary name
and renamed, and on the disk before anyone may count on it; an object appears with its last byte. So a file is whole or not there, on either.
One that is damaged all the same (by a disk, or by hand) is passed over and named in :attr:`Ledger.damaged`; :mod:`sweeps.store.damage` moves it away.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from ltm.errors import UserError
from sweeps.store.storage import Folder, StorageError, pack_of, reason
from sweeps.store.tables import BASELINES, COLUMNS, CURVES, FAILURES, MEASURED, SCHEMA, TESTS, UNREADABLE, checksum, parsed

FORMER = "former.json"

READERS = 8
"""Files read at once."""

LISTINGS = 5
"""Times that a folder is listed anew when a file of it vanishes while it is read."""


class DamagedError(UserError):
    """A file of a ledger is not what ltm wrote: cut off, overwritten, or of someone else."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} is damaged: {why}")
        self.why = why


class GoneError(UserError):
    """A file is no longer there: merged or moved by another command since it was listed."""


class Ledger(Folder):
    """The results of one study. ``folder`` is a path or any URI that ``pyarrow.fs`` knows."""

    def __init__(self, folder: str | Path) -> None:
        super().__init__(folder)
        self.damaged: dict[str, str] = {}
        """Damaged files that reading came across and passed over: what is wrong with them, by path."""

    def write(self, runs: pd.DataFrame, curves: Sequence[tuple[np.ndarray, np.ndarray]], parameters: np.ndarray) -> str:
        """Add one pack: its rows (all of ``COLUMNS`` but ``pack`` and the metrics that it lacks), and the curves and best parameters ``(S, N)`` of its lanes.

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
        whole = runs.assign(pack=name, **{name: np.nan for name in (*MEASURED, *TESTS) if name not in runs})[COLUMNS]
        self.put_table(f"runs/{name}", pa.Table.from_pandas(whole, schema=SCHEMA, preserve_index=False))
        return name

    def put_table(self, name: str, table: pa.Table) -> None:
        """Write one Parquet file as ``NAME.CHECKSUM.parquet``; the checksum is that of its bytes (:func:`checksum`)."""
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer, compression="zstd")
        content = buffer.getvalue()
        self.put(f"{name}.{checksum(content)}.parquet", content)

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
        """What is predicted without a network, a row a task and baseline (:func:`ltm.baselines.rows`); of several versions, the newest."""
        frame = self._read("baselines", BASELINES, None).sort_values("version", kind="stable")
        newest = frame["version"] == frame.groupby("fingerprint")["version"].transform("max")
        return frame[newest].drop_duplicates(["fingerprint", "baseline"], ignore_index=True)

    def put_baselines(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Add the baselines of one task, whole or not at all.

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
        for _ in range(LISTINGS):
            paths = [path for path in self.files(kind) if packs is None or pack_of(path) in packs]
            try:
                with ThreadPoolExecutor(READERS) as readers:
                    tables = list(readers.map(lambda path: self._sound(path, columns), paths))
                break
            except GoneError:  # merged since the listing: the new file is there
                continue
        else:
            raise StorageError(f"{self.path}/{kind} changes while it is read; wait until what writes there is done.")
        whole = [table for table in tables if table is not None]
        if not whole:
            return schema.empty_table().to_pandas()[list(columns) if columns else schema.names]
        frame = pa.concat_tables(whole, promote_options="default").to_pandas()
        return frame.astype({"K": "Int64"}) if "K" in frame else frame

    def _sound(self, path: str, columns: Sequence[str] | None) -> pa.Table | None:
        """One file of the ledger, or None where it is damaged."""
        try:
            return self.table(path, columns)
        except DamagedError as error:
            self.damaged[path] = error.why
            return None

    def table(self, path: str, columns: Sequence[str] | None = None, checked: bool = False) -> pa.Table:
        """One file of the ledger; ``checked`` compares its bytes with the checksum in its name, where there is one.

        Raises:
            DamagedError: it is not what was written.
            GoneError: it is no longer there.
            StorageError: the storage does not give it.
            UserError: it is of a newer version of ltm.
        """
        try:
            with self.fs.open_input_file(path) as source:
                return parsed(path, source, columns, checked)
        except UNREADABLE:
            pass
        try:  # damage, or storage that failed? The bytes tell.
            with self.fs.open_input_file(path) as source:
                content = source.read_buffer()
        except FileNotFoundError:
            raise GoneError(f"{path} is no longer there; another command merged or moved it. Try again.") from None
        except OSError as error:
            raise StorageError(f"{path} cannot be read ({reason(error)}).") from None
        try:
            return parsed(path, pa.BufferReader(content), columns, checked)
        except UNREADABLE as error:
            raise DamagedError(path, "it is empty" if not content.size else reason(error)) from None

    def left_out(self) -> str:
        """One line on the damaged files that reading passed over, and what to do; empty where there were none."""
        if not self.damaged:
            return ""
        path, why = next(iter(self.damaged.items()))
        more = f" and {len(self.damaged) - 1} more" if len(self.damaged) > 1 else ""
        return (
            f"left out: {path}, which is damaged ({why}){more}; python -m sweeps verify --repair {self.uri} moves it away, and the study's sweep command"
            " trains its seed runs again"
        )

    def record(self) -> dict[str, Any]:
        """The study's ``config.yaml``; empty where there is none.

        Raises:
            UserError: it is not what a sweep wrote.
        """
        try:
            said = yaml.load(self.text("config.yaml") or "{}", Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
        except yaml.YAMLError as error:
            said = reason(error)
        if not isinstance(said, dict) or (said and not {"config", "conditions"} <= said.keys()):
            why = said if isinstance(said, str) else "it lacks the study's config or conditions"
            raise UserError(
                f"{self.path}/config.yaml is damaged ({why}); delete it and give the study's sweep command again, which writes it anew."
            )
        return said

    def done(self) -> set[str]:
        """The ``run_id`` of every finished seed run, those of former steps too."""
        return set(self.runs(["run_id"], former=True)["run_id"])


def condition_config(row: pd.Series) -> dict[str, object]:
    """The resolved condition of a row."""
    return dict(json.loads(row["config"]))
