"""Detections to files, complete or not there.

A new format is one class with ``write`` and ``close``, and one line in `FORMATS`.
"""

from __future__ import annotations

import json
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.engine.exports.table_names import TableNames
from dawnchorus.errors import DawnChorusError, UsageError
from dawnchorus.filename_text import escaped_name
from dawnchorus.paths import is_remote, stored_name
from dawnchorus.store.columns import distinct
from dawnchorus.store.files import beside, remove_if_possible
from dawnchorus.store.leftovers import hold, remove_leftovers
from dawnchorus.text_tables.write import CsvWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

DETECTION_SCHEMA: Final = pa.schema(
    [
        ("path", pa.string()),
        ("window", pa.int32()),
        ("start_s", pa.float64()),
        ("stop_s", pa.float64()),
        ("start_sample", pa.int64()),
        ("stop_sample", pa.int64()),
        ("sample_rate", pa.int32()),
        ("label", pa.string()),
        ("level", pa.string()),
        ("probability", pa.float32()),
        ("rank", pa.int32()),
        ("n_windows", pa.int32()),
        ("recorded_at", pa.string()),
        ("local_time", pa.string()),
    ]
)
RAVEN_COLUMNS: Final = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Begin File",
    "Begin Path",
    "File Offset (s)",
    "Label",
    "Probability",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingDetections:
    """What was heard in one recording.

    Attributes:
        path: as the user's arguments lead to it.
        duration_s: of the recording.
        highest_hz: what the model can have heard of it.
        table: columns of `DETECTION_SCHEMA`, then those of the user's list; samples count at the
            recording's own rate.
    """

    path: Path
    duration_s: float
    highest_hz: float
    table: pa.Table


class Export(Protocol):
    """A file that takes one recording after the other.

    Made from its path, its columns, and whether a spreadsheet must run nothing of it.
    """

    def write(self, detections: RecordingDetections) -> None:
        """Add a recording, with or without detections."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


class CsvExport:
    """Comma separated, UTF-8, decimal points; times to the microsecond."""

    def __init__(self, path: Path, schema: pa.Schema, *, safe: bool = False) -> None:
        """Start the file with its header."""
        self._file = path.open("x", encoding="utf-8", newline="")
        self._safe = safe
        write_csv(schema.empty_table(), self._file, safe=safe)

    def write(self, detections: RecordingDetections) -> None:
        """One line a detection."""
        write_csv(detections.table, self._file, header=False, safe=self._safe)

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def write_csv(table: pa.Table, file: TextIO, *, header: bool = True, safe: bool = False) -> None:
    """Write detections as CSV, for files and for the terminal; ``safe`` for spreadsheets."""
    writer = CsvWriter(file, spreadsheet_safe=safe)
    if header:
        writer.row(table.column_names)
    writer.rows([_text(value) for value in row.values()] for row in table.to_pylist())


def _text(value: Any) -> Any:
    return f"{value:.6f}" if isinstance(value, float) else value


class ParquetExport:
    """One row group a batch of recordings; opens in pandas, polars, DuckDB and R."""

    ROWS: Final = 100_000

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Start the file."""
        self._writer = pq.ParquetWriter(path, schema, write_page_checksum=True)
        self._waiting: list[pa.Table] = []

    def write(self, detections: RecordingDetections) -> None:
        """Add the rows, in row groups of a size that reads well."""
        self._waiting.append(detections.table)
        if sum(map(len, self._waiting)) >= self.ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
            self._waiting = []

    def close(self) -> None:
        """Finish the file."""
        self._flush()
        self._writer.close()


class RavenExport:
    """A Raven selection table over all recordings in their order.

    Begin and end times run on from recording to recording, as in Raven when it opens the files
    together; ``File Offset (s)`` is the time in the file itself.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, safe: bool = False) -> None:
        """Start the file with its header."""
        self._file = path.open("x", encoding="utf-8", newline="")
        self._writer = CsvWriter(self._file, delimiter="\t", spreadsheet_safe=safe)
        # what is known of the recording comes behind: Raven shows columns of any name
        self._more = schema.names[schema.get_field_index("recorded_at") :]
        self._writer.row([*RAVEN_COLUMNS, *distinct(self._more, RAVEN_COLUMNS)])
        self._n_selections = 0
        self._offset_s = 0.0

    def write(self, detections: RecordingDetections) -> None:
        """One line a detection."""
        path = _absolute(detections.path)
        for row in detections.table.to_pylist():
            self._n_selections += 1
            self._writer.row(
                [
                    self._n_selections,
                    "Spectrogram 1",
                    1,
                    f"{self._offset_s + row['start_s']:.6f}",
                    f"{self._offset_s + row['stop_s']:.6f}",
                    "0.0",
                    f"{detections.highest_hz:.1f}",
                    escaped_name(path.name),
                    stored_name(path),
                    f"{row['start_s']:.6f}",
                    row["label"],
                    f"{row['probability']:.6f}",
                    *(row[name] for name in self._more),
                ]
            )
        self._offset_s += detections.duration_s

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class JsonLinesExport:
    """One JSON object a detection and line."""

    def __init__(self, path: Path, _schema: pa.Schema) -> None:
        """Start the file."""
        self._file = path.open("x", encoding="utf-8", newline="")

    def write(self, detections: RecordingDetections) -> None:
        """One line a detection."""
        for row in detections.table.to_pylist():
            row["probability"] = round(row["probability"], 6)
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class AudacityExport:
    """A label track of Audacity for one recording: start, stop, label and probability."""

    def __init__(self, path: Path, _schema: pa.Schema) -> None:
        """Start the file."""
        self._file = path.open("x", encoding="utf-8", newline="")

    def write(self, detections: RecordingDetections) -> None:
        """One line a detection."""
        for row in detections.table.to_pylist():
            # a tab or line end in a label would be taken for the end of a field
            label = " ".join(f"{row['label']} {row['probability']:.3f}".split())
            self._file.write(f"{row['start_s']:.6f}\t{row['stop_s']:.6f}\t{label}\n")

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class KaleidoscopeExport:
    """A CSV that Kaleidoscope opens for review: folder, file, offset, duration, match."""

    COLUMNS: Final = (
        "INDIR",
        "FOLDER",
        "IN FILE",
        "CHANNEL",
        "OFFSET",
        "DURATION",
        "TOP1MATCH",
        "PROBABILITY",
        "MANUAL ID",
    )

    def __init__(self, path: Path, _schema: pa.Schema, *, safe: bool = False) -> None:
        """Start the file with its header."""
        self._file = path.open("x", encoding="utf-8", newline="")
        self._writer = CsvWriter(self._file, spreadsheet_safe=safe)
        self._writer.row(self.COLUMNS)

    def write(self, detections: RecordingDetections) -> None:
        """One line a detection."""
        path = _absolute(detections.path)
        names = escaped_name(path.parent.name), escaped_name(path.name)
        place = [stored_name(path.parent.parent), *names, 0]
        for row in detections.table.to_pylist():
            times = [f"{row['start_s']:.6f}", f"{row['stop_s'] - row['start_s']:.6f}"]
            self._writer.row([*place, *times, row["label"], f"{row['probability']:.6f}", ""])

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class Collect:
    """Keeps everything in memory, for notebooks and small jobs."""

    def __init__(self, schema: pa.Schema = DETECTION_SCHEMA) -> None:
        """Start empty."""
        self._tables = [schema.empty_table()]

    def write(self, detections: RecordingDetections) -> None:
        """Add the rows."""
        self._tables.append(detections.table)

    def close(self) -> None:
        """Nothing to do."""

    def table(self) -> pa.Table:
        """All rows."""
        return pa.concat_tables(self._tables)


FORMATS: Final[Mapping[str, Callable[[Path, pa.Schema], Export]]] = {
    "csv": CsvExport,
    "parquet": ParquetExport,
    "jsonl": JsonLinesExport,
    "raven": RavenExport,
    "audacity": AudacityExport,
    "kaleidoscope": KaleidoscopeExport,
}
FOR_SPREADSHEETS: Final = {"csv", "raven", "kaleidoscope"}
BY_SUFFIX: Final = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".txt": "raven"}
# formats whose files are one a recording, in a folder, with what stands behind its name
IN_FOLDER: Final = {"raven": ".Table.1.selections.txt", "audacity": ".labels.txt"}


class ExportFile:
    """An export under a hidden name that becomes ``path`` when it is complete.

    A context manager: left without ``close`` or ``keep_partial``, nothing stays behind.
    """

    def __init__(
        self,
        path: Path,
        kind: str,
        schema: pa.Schema = DETECTION_SCHEMA,
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
        self._unfinished = beside(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            how = {"safe": spreadsheet_safe} if kind in FOR_SPREADSHEETS else {}
            self._export = FORMATS[kind](self._unfinished, schema, **how)
            self._held = hold(self._unfinished)
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from error

    def write(self, detections: RecordingDetections) -> None:
        """Add a recording.

        Raises:
            DawnChorusError: The disk refuses.
        """
        try:
            self._export.write(detections)
        except OSError as error:
            raise self._refused(error) from error

    def close(self) -> None:
        """Finish, and put the file in its place.

        Raises:
            DawnChorusError: The disk refuses.
        """
        self._finish(self.path)

    def keep_partial(self) -> Path:
        """Finish a stopped run's file under a name that says so."""
        return self._finish(self.path.with_name(f"{self.path.stem}.partial{self.path.suffix}"))

    def _finish(self, path: Path) -> Path:
        try:
            self._export.close()
            return self._unfinished.replace(path)
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> DawnChorusError:
        return DawnChorusError(f"{self.path}: cannot be written: {error.strerror or error}")

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Remove what was not finished."""
        with suppress(OSError):  # the run's own error is the one to report
            self._export.close()
        if self._held:
            self._held.close()
        remove_if_possible(self._unfinished)


class ExportFolder:
    """A file for each recording, in a folder that mirrors the recordings'."""

    def __init__(
        self,
        path: Path,
        kind: str,
        root: Path,
        schema: pa.Schema = DETECTION_SCHEMA,
        *,
        overwrite: bool = False,
        spreadsheet_safe: bool = False,
    ) -> None:
        """``root``: the folder of the recordings.

        Raises:
            UsageError: The folder exists.
        """
        _refuse_existing(path, overwrite=overwrite)
        self.path = path
        self._kind = kind
        self._names = TableNames(path, root, IN_FOLDER[kind])
        self._cleared: Path | None = None  # the folder that holds no leftovers any more
        self._schema = schema
        self._how = {"overwrite": overwrite, "spreadsheet_safe": spreadsheet_safe}

    def write(self, detections: RecordingDetections) -> None:
        """The file of one recording, complete when this returns.

        Raises:
            DawnChorusError: The disk refuses.
        """
        path = self._names.path(detections.path)
        if path.parent != self._cleared:
            remove_leftovers(path.parent)
            self._cleared = path.parent
        with ExportFile(path, self._kind, self._schema, **self._how) as file:
            file.write(detections)
            file.close()

    def close(self) -> None:
        """Nothing to do."""

    def keep_partial(self) -> Path:
        """Every file in it is complete."""
        return self.path

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing to do."""


def _absolute(path: Path) -> Path:
    return path if is_remote(path) else path.absolute()


def _refuse_existing(path: Path, *, overwrite: bool) -> None:
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise UsageError(
            f"{path}: is a device or a pipe, and must stay one; name a file, or leave "
            "the output out for CSV on standard output"
        )
    if path.exists() and not overwrite:
        raise UsageError(f"{path}: exists already; choose another name, or say --overwrite")


def open_export(
    output: str | Path | None,
    *,
    kind: str | None,
    root: Path,
    overwrite: bool,
    schema: pa.Schema = DETECTION_SCHEMA,
    spreadsheet_safe: bool = False,
) -> ExportFile | ExportFolder | AbstractContextManager[Collect]:
    """A file or folder in the format asked for or in that of its suffix, or memory.

    Args:
        output: where to; None: memory. Without a suffix: a folder with a file for each recording.
        kind: one of `FORMATS`; None: as the suffix says.
        root: the folder of the recordings.
        overwrite: replace what is there.
        schema: `DETECTION_SCHEMA`, and behind it the columns of the user's list.
        spreadsheet_safe: as in `CsvWriter`, for the formats that a spreadsheet opens.

    Raises:
        UsageError: There is no such format, or something is there already.
    """
    if output is None:
        return nullcontext(Collect(schema))
    path = Path(output)
    kind = kind or BY_SUFFIX.get(path.suffix.lower()) or ""
    if kind not in FORMATS:
        found = f"no format is called {kind!r}" if kind else f"no format ends in {path.suffix!r}"
        raise UsageError(
            f"{path}: {found}; use .csv, .parquet, .jsonl, or .txt for a Raven selection table, or "
            f"--format {', '.join(FORMATS)}"
        )
    how = {"overwrite": overwrite, "spreadsheet_safe": spreadsheet_safe}
    if kind == "audacity" or (kind == "raven" and not path.suffix):
        return ExportFolder(path, kind, root, schema, **how)
    remove_leftovers(path.parent, path.name)
    return ExportFile(path, kind, schema, **how)


def detection_table(columns: Mapping[str, Iterable[Any]]) -> pa.Table:
    """A table of `DETECTION_SCHEMA` from columns of any kind; one that is not given is empty."""
    n_rows = len(list(columns["path"]))
    arrays = [
        pa.array(columns.get(field.name, [None] * n_rows), field.type) for field in DETECTION_SCHEMA
    ]
    return pa.Table.from_arrays(arrays, schema=DETECTION_SCHEMA)


def window_rows(
    path: str, *, rate: int, n_samples: int, model_rate: int, columns: Mapping[str, Any]
) -> pa.Table:
    """A table of `DETECTION_SCHEMA` from windows of one recording.

    Args:
        path: as it is to be written.
        rate: of the recording, in Hz.
        n_samples: of the recording.
        model_rate: at which the windows count.
        columns: ``window``, ``start_sample``, ``valid_samples`` at the model's rate, ``label``,
            ``level``, ``probability`` and ``rank``, each ``(rows,)``.
    """
    first = columns["start_sample"]
    after = first + columns["valid_samples"]
    return detection_table(
        {
            "path": [path] * len(first),
            "window": columns["window"],
            "start_s": first / model_rate,
            # a resampled recording may be longer than itself by part of a sample
            "stop_s": np.minimum(after / model_rate, n_samples / rate),
            "start_sample": _at_rate(first, model_rate, rate),
            "stop_sample": np.minimum(_at_rate(after, model_rate, rate), n_samples),
            "sample_rate": np.full(len(first), rate),
            "label": columns["label"],
            "level": columns["level"],
            "probability": columns["probability"],
            "rank": columns["rank"],
            "n_windows": np.ones(len(first), np.int32),
        }
    )


def _at_rate(samples: NDArray[np.int64], from_hz: int, to_hz: int) -> NDArray[np.int64]:
    """Sample positions at another rate, the nearest ones, in integers."""
    return (2 * samples * to_hz + from_hz) // (2 * from_hz)
