"""Where a text table lies: in a file of its own, in a gzip, or in a zip or folder of several."""

from __future__ import annotations

import gzip
import lzma
import zipfile
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Final, cast

from dawnchorus.errors import TaskError
from dawnchorus.paths import is_remote, remote_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ZIP_MAGIC: Final = b"PK\x03\x04"
GZIP_MAGIC: Final = b"\x1f\x8b"
# What unpacking raises at damaged bytes. `gzip.BadGzipFile` is an OSError, so these come first.
DAMAGED: Final = (gzip.BadGzipFile, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file as it lies in a folder, or as a member of a zip."""

    container: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.member).name if self.member else self.container.name

    def __str__(self) -> str:
        """With where it lies, for messages."""
        return f"{self.container}:{self.member}" if self.member else str(self.container)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Its bytes, unpacked.

        Raises:
            TaskError: It cannot be read to its end: gone, a pipe, damaged or truncated.
        """
        try:
            with remote_errors(self.container), self._unpacked() as content:
                yield content
        except FileNotFoundError as error:
            raise TaskError(f"{self}: cannot be read: no such file") from error
        except DAMAGED as error:
            raise TaskError(
                f"{self}: cannot be read to its end ({error}); get the file again"
            ) from error
        except OSError as error:
            raise TaskError(f"{self}: cannot be read as a table: {error}") from error

    @contextmanager
    def _unpacked(self) -> Iterator[IO[bytes]]:
        if self.member is not None:
            with zipfile.ZipFile(self.container) as archive, _member(archive, self.member) as raw:
                yield raw
            return
        _check_not_a_pipe(self.container)
        with self.container.open("rb") as raw:
            packed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            raw.seek(0)
            if packed:
                with gzip.open(raw) as unpacked:
                    yield cast("IO[bytes]", unpacked)
            else:
                yield raw


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    try:
        return archive.open(name)
    except (RuntimeError, NotImplementedError, KeyError) as error:  # a password, another packing
        raise zipfile.BadZipFile(str(error)) from error


def _check_not_a_pipe(path: Path) -> None:
    """A table is read more than once, and a pipe gives its bytes to the first reader only."""
    if is_remote(path):
        return
    with suppress(OSError):  # what cannot be looked at is refused when it is opened
        if not path.is_file() and not path.is_dir() and path.exists():
            raise TaskError(f"{path}: is a pipe or a device; write the table into a file first")


def find_file(path: Path, names: Iterable[str]) -> TextFile | None:
    """The first of some names, in any case, in a folder or a zip and one folder further down.

    A ``path`` that is a file and not a zip is the file itself.

    Raises:
        TaskError: There is no such file or folder, or the zip is damaged.
    """
    if not path.exists():
        raise TaskError(f"{path}: no such file or folder")
    if path.is_file() and not _is_zip(path):
        return TextFile(path) if path.name.lower() in {name.lower() for name in names} else None
    # reversed, so that of two files of one name the upper one is kept
    files = {file.name.lower(): file for file in reversed(list_files(path))}
    return next((files[name.lower()] for name in names if name.lower() in files), None)


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC


def list_files(path: Path) -> list[TextFile]:
    """The files of a folder or zip and one folder further down, in order, the upper ones first.

    Raises:
        TaskError: The zip is damaged.
    """
    if path.is_dir():
        paths = [*path.glob("*"), *path.glob("*/*")]
        files = [TextFile(file) for file in paths if file.is_file()]
        return sorted(files, key=lambda file: (len(file.container.parts), str(file.container)))
    try:
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if not name.endswith("/")]
    except (*DAMAGED, OSError) as error:
        raise TaskError(f"{path}: not a whole zip ({error}); get the file again") from error
    # macOS puts a second file of each name, its attributes, into __MACOSX
    shallow = [name for name in members if name.count("/") <= 1 and "__MACOSX" not in name]
    return [TextFile(path, name) for name in sorted(shallow, key=lambda n: (n.count("/"), n))]
