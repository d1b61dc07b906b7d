"""A folder of files, here or on any storage that ``pyarrow.fs`` knows (``s3://``, ``gs://``): each is written whole or not at all. What files hold is the ledger's."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
from pyarrow import fs as pafs

from ltm.errors import UserError

PROBE_BYTES = 4 << 20
"""More than a pack's results and its checkpoint."""


class StorageError(UserError):
    """The storage of a study does not take or give what it should."""


class Folder:
    """A folder, by its path or any URI that ``pyarrow.fs`` knows."""

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
        return sorted(info.path for info in found if info.is_file and info.extension == end and not info.base_name.startswith("."))

    def times(self, kind: str) -> dict[str, float]:
        """When each file was written, by the storage's clock (seconds), by name without ending."""
        found = self.fs.get_file_info(pafs.FileSelector(f"{self.path}/{kind}", allow_not_found=True))
        return {pack_of(info.path): info.mtime.timestamp() for info in found if info.extension == "parquet" and info.mtime}

    def put(self, name: str, content: bytes | pa.Buffer) -> None:
        """Write one file of the study, whole or not at all, also if the power fails: a local file is on the disk before it has its name.

        Raises:
            StorageError: the folder cannot be written.
        """
        folder, _, base = f"{self.path}/{name}".rpartition("/")
        try:
            if not self.is_local:
                with self.fs.open_output_stream(f"{folder}/{base}") as stream:
                    stream.write(content)
                return
            new = [place for place in (Path(folder), *Path(folder).parents) if not place.exists()]
            Path(folder).mkdir(parents=True, exist_ok=True)
            temporary = Path(folder) / f".{base}.{uuid.uuid4().hex[:8]}.tmp"
            try:
                with temporary.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(f"{folder}/{base}")
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
            for place in (Path(folder), *(made.parent for made in new)):
                keep_names(place)
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

    def move(self, path: str, name: str) -> bool:
        """Move a file to another name of the study. Returns whether it was still there.

        Raises:
            StorageError: the storage refuses.
        """
        to = f"{self.path}/{name}"
        try:
            if self.fs.get_file_info(path).type == pafs.FileType.NotFound:
                return False
            if self.is_local:
                Path(to).parent.mkdir(parents=True, exist_ok=True)
            self.fs.move(path, to)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StorageError(f"{path} cannot be moved to {to} ({reason(error)}).") from None
        return True

    def drop(self, folder: str) -> None:
        """Delete a folder of the study with all that it holds; passed over where that cannot be."""
        with contextlib.suppress(OSError):
            self.fs.delete_dir(f"{self.path}/{folder}")

    def is_whole(self, path: str) -> bool:
        """Whether a file ends as a Parquet file does: finds one that is empty or cut off, without reading it."""
        try:
            with self.fs.open_input_file(path) as source:
                return bool(source.size() >= 12 and source.read_at(4, source.size() - 4) == b"PAR1")
        except OSError:
            return False

    def content(self, name: str) -> bytes | None:
        """The content of a file of the study, or None where there is none.

        Raises:
            StorageError: the storage does not answer, or refuses.
        """
        path = f"{self.path}/{name}"
        try:
            if self.fs.get_file_info(path).type == pafs.FileType.NotFound:
                return None
            with self.fs.open_input_stream(path) as stream:
                return bytes(stream.read())
        except OSError as error:
            raise StorageError(f"results folder '{self.uri}' cannot be read: {reason(error)}") from None

    def text(self, name: str) -> str | None:
        """The content of a text file, as :meth:`content`."""
        content = self.content(name)
        return None if content is None else content.decode(errors="replace")

    @property
    def is_local(self) -> bool:
        """Whether the study lies in a folder of this machine (or one mounted on it)."""
        return isinstance(self.fs, pafs.LocalFileSystem)

    def local(self) -> Path:
        """A local folder for what only works there (W&B files, Tune's scratch): the study's own, or ``results/STUDY``."""
        return Path(self.path) if self.is_local else Path("results") / Path(self.path).name


def keep_names(folder: Path) -> None:
    """Have the names in a local folder on the disk; passed over where its file system cannot."""
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def reason(error: Exception) -> str:
    """The first line of a storage's error, short enough to read."""
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return line if len(line) < 200 else line[:200] + "..."


def pack_of(path: str) -> str:
    """The pack that a file belongs to: its name up to the first dot."""
    return Path(path).name.split(".")[0]
