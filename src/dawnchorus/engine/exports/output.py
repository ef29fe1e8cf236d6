"""Where detections go: a file that is there whole or not at all, a folder of them, or memory."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from dawnchorus.engine.exports.detection_table import DETECTION_SCHEMA
from dawnchorus.engine.exports.formats import format_of
from dawnchorus.engine.exports.table_names import TableNames
from dawnchorus.errors import DawnChorusError, UsageError
from dawnchorus.store.files import (
    lock_unfinished,
    remove_if_possible,
    remove_leftovers,
    unfinished_path,
)

if TYPE_CHECKING:
    from dawnchorus.engine.exports.detection_table import RecordingDetections
    from dawnchorus.engine.exports.formats import ExportFormat


class Output:
    """Takes one recording after the other. A context manager: left by an error, it removes itself.

    What each kind of output does not need is done here: nothing.
    """

    def write(self, detections: RecordingDetections) -> None:
        """Add a recording, with or without detections.

        Raises:
            DawnChorusError: The disk refuses.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Finish, and put the file in its place.

        Raises:
            DawnChorusError: The disk refuses.
        """

    def keep_partial(self) -> Path | None:
        """Finish a stopped run's output under a name that says so; None: nothing is kept."""
        return None

    def table(self) -> pa.Table | None:
        """All rows, where they are in memory."""
        return None

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Remove what was not finished."""


class OutputFile(Output):
    """A file under a hidden name that becomes ``path`` when it is complete."""

    def __init__(
        self,
        path: Path,
        file_format: ExportFormat,
        schema: pa.Schema,
        *,
        overwrite: bool = False,
        spreadsheet_safe: bool = False,
    ) -> None:
        """Start the file.

        Raises:
            UsageError: The file exists, or it cannot be made.
        """
        _refuse_existing(path, overwrite=overwrite)
        self.path = path
        self._unfinished = unfinished_path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = file_format.open(
                self._unfinished, schema, spreadsheet_safe=spreadsheet_safe
            )
            # locked, so that the next run can distinguish a file being written from a dead one
            self._lock = lock_unfinished(self._unfinished)
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from error

    def write(self, detections: RecordingDetections) -> None:
        """Add a recording."""
        try:
            self._file.write(detections)
        except OSError as error:
            raise self._refused(error) from error

    def close(self) -> None:
        """Finish, and put the file in its place."""
        self._finish(self.path)

    def keep_partial(self) -> Path:
        """Finish as ``NAME.partial.SUFFIX``."""
        return self._finish(self.path.with_name(f"{self.path.stem}.partial{self.path.suffix}"))

    def _finish(self, path: Path) -> Path:
        try:
            self._file.close()
            return self._unfinished.replace(path)
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> DawnChorusError:
        return DawnChorusError(f"{self.path}: cannot be written: {error.strerror or error}")

    def __exit__(self, *_error: object) -> None:
        """Remove what was not finished."""
        with suppress(OSError):  # the run's own error is the one to report
            self._file.close()
        if self._lock:  # before the removal: Windows removes no file that is open
            self._lock.close()
        remove_if_possible(self._unfinished)


class OutputFolder(Output):
    """A file for each recording, in a folder that mirrors the recordings'."""

    def __init__(
        self,
        path: Path,
        file_format: ExportFormat,
        schema: pa.Schema,
        *,
        root: Path,
        overwrite: bool = False,
        spreadsheet_safe: bool = False,
    ) -> None:
        """``root``: the folder of the recordings.

        Raises:
            UsageError: The folder exists.
        """
        _refuse_existing(path, overwrite=overwrite)
        self.path = path
        self._format = file_format
        self._schema = schema
        self._names = TableNames(path, root, file_format.ending)
        self._cleared: Path | None = None  # recordings come folder by folder: clear each once
        self._options = {"overwrite": overwrite, "spreadsheet_safe": spreadsheet_safe}

    def write(self, detections: RecordingDetections) -> None:
        """The file of one recording, complete when this returns."""
        path = self._names.path(detections.path)
        if path.parent != self._cleared:
            remove_leftovers(path.parent)
            self._cleared = path.parent
        with OutputFile(path, self._format, self._schema, **self._options) as file:
            file.write(detections)
            file.close()

    def keep_partial(self) -> Path:
        """The folder as it is: every file in it is complete."""
        return self.path


class OutputInMemory(Output):
    """Keeps all rows, for notebooks and small jobs."""

    def __init__(self, schema: pa.Schema) -> None:
        """Start empty."""
        self._tables = [schema.empty_table()]

    def write(self, detections: RecordingDetections) -> None:
        """Add the rows."""
        self._tables.append(detections.table)

    def table(self) -> pa.Table:
        """All rows."""
        return pa.concat_tables(self._tables)


def open_output(
    path: str | Path | None,
    *,
    format_name: str | None,
    root: Path,
    overwrite: bool = False,
    schema: pa.Schema = DETECTION_SCHEMA,
    spreadsheet_safe: bool = False,
) -> Output:
    """A file or folder in the format asked for or in that of its suffix, or memory.

    Args:
        path: where to; None: memory. Without a suffix: a folder with a file for each recording.
        format_name: one of `FORMATS`; None: as the suffix says.
        root: the folder of the recordings.
        overwrite: replace what is there.
        schema: `DETECTION_SCHEMA`, and behind it the columns of the user's list.
        spreadsheet_safe: as in `CsvWriter`, for the formats that a spreadsheet opens.

    Raises:
        UsageError: There is no such format, or something is there already.
    """
    if path is None:
        return OutputInMemory(schema)
    path = Path(path)
    chosen = format_of(path, format_name)
    if chosen.has_a_file_each(path):
        return OutputFolder(
            path,
            chosen,
            schema,
            root=root,
            overwrite=overwrite,
            spreadsheet_safe=spreadsheet_safe,
        )
    # of runs that were killed while they wrote this very file
    remove_leftovers(path.parent, path.name)
    return OutputFile(path, chosen, schema, overwrite=overwrite, spreadsheet_safe=spreadsheet_safe)


def _refuse_existing(path: Path, *, overwrite: bool) -> None:
    # a rename over /dev/null would replace the device, for the whole system
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise UsageError(
            f"{path}: is a device or a pipe, and must stay one; name a file, or leave "
            "the output out for CSV on standard output"
        )
    if path.exists() and not overwrite:
        raise UsageError(f"{path}: exists already; choose another name, or say --overwrite")
