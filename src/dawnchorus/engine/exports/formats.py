"""The formats that detections are written in, in one table.

A new format is a module with a function that opens a file, and one line in `FORMATS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, Protocol

from dawnchorus.engine.exports.audacity import open_audacity
from dawnchorus.engine.exports.csv_table import open_csv
from dawnchorus.engine.exports.json_lines import open_json_lines
from dawnchorus.engine.exports.kaleidoscope import open_kaleidoscope
from dawnchorus.engine.exports.parquet import ParquetFile
from dawnchorus.engine.exports.raven import open_raven
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa

    from dawnchorus.engine.exports.detection_table import RecordingDetections


class Export(Protocol):
    """A file that takes one recording after the other."""

    def write(self, detections: RecordingDetections) -> None:
        """Add a recording, with or without detections."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFormat:
    """One way to write detections.

    Attributes:
        name: as users say it.
        start: from a path that does not exist, and the columns, to an open file.
        suffix: of a file that is in this format unless another one is named; None: it has none.
        a_file_each: whether each recording has a file of its own, in a folder: never, always, or
            where the folder's name has no suffix.
        ending: behind the recording's name, where each has a file of its own.
        for_spreadsheets: whether people open it in a spreadsheet, which may run formulas in it.
            Then ``start`` takes ``spreadsheet_safe``.
    """

    name: str
    start: Callable[..., Export]
    suffix: str | None = None
    a_file_each: Literal["never", "always", "without suffix"] = "never"
    ending: str = ""
    for_spreadsheets: bool = False

    def open(self, path: Path, schema: pa.Schema, *, spreadsheet_safe: bool = False) -> Export:
        """Start a file.

        Args:
            path: of a file that does not exist yet.
            schema: `DETECTION_SCHEMA`, and behind it the columns of the user's list.
            spreadsheet_safe: text that a spreadsheet would run gets an apostrophe.

        Raises:
            OSError: It cannot be made.
        """
        start = self.start
        if self.for_spreadsheets:
            start = partial(start, spreadsheet_safe=spreadsheet_safe)
        return start(path, schema)

    def has_a_file_each(self, path: Path) -> bool:
        """Whether what is written to this path is a folder with a file for each recording."""
        return self.a_file_each == "always" or (
            self.a_file_each == "without suffix" and not path.suffix
        )


FORMATS: Final = {
    each.name: each
    for each in (
        ExportFormat(name="csv", start=open_csv, suffix=".csv", for_spreadsheets=True),
        ExportFormat(name="parquet", start=ParquetFile, suffix=".parquet"),
        ExportFormat(name="jsonl", start=open_json_lines, suffix=".jsonl"),
        ExportFormat(
            name="raven",
            start=open_raven,
            suffix=".txt",
            a_file_each="without suffix",
            ending=".Table.1.selections.txt",  # as Raven itself names them
            for_spreadsheets=True,
        ),
        ExportFormat(
            name="audacity", start=open_audacity, a_file_each="always", ending=".labels.txt"
        ),
        ExportFormat(name="kaleidoscope", start=open_kaleidoscope, for_spreadsheets=True),
    )
}


def format_of(path: Path, name: str | None) -> ExportFormat:
    """The format that is named, or that of the file's suffix.

    Raises:
        UsageError: There is no such format.
    """
    suffix = path.suffix.lower()
    if name is None:
        chosen = next((each for each in FORMATS.values() if each.suffix == suffix), None)
        problem = f"no format ends in {path.suffix!r}"
    else:
        chosen, problem = FORMATS.get(name), f"no format is called {name!r}"
    if chosen is None:
        raise UsageError(
            f"{path}: {problem}; use .csv, .parquet, .jsonl, or .txt for a Raven selection table, "
            f"or --format {', '.join(FORMATS)}"
        )
    return chosen
