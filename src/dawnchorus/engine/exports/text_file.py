"""What all text formats share: a new UTF-8 file that takes lines, or rows of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dawnchorus.paths import is_remote
from dawnchorus.text_tables.write import CsvWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from dawnchorus.engine.exports.detection_table import RecordingDetections

    LinesOf = Callable[[RecordingDetections], Iterable[str]]
    RowsOf = Callable[[RecordingDetections], Iterable[Iterable[object]]]


class LinesFile:
    """A file of lines, made from each recording by a function."""

    def __init__(self, path: Path, lines_of: LinesOf) -> None:
        """Start the file; ``lines_of`` gives lines without their ends."""
        # newline="": Python would write \r\n on Windows, and a golden file must be the same there
        self._file = path.open("x", encoding="utf-8", newline="")
        self._lines_of = lines_of

    def write(self, detections: RecordingDetections) -> None:
        """Add a recording."""
        self._file.writelines(f"{line}\n" for line in self._lines_of(detections))

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class RowsFile:
    """A table with a header, its rows made from each recording by a function."""

    def __init__(
        self,
        path: Path,
        header: Sequence[str],
        rows_of: RowsOf,
        *,
        delimiter: str = ",",
        spreadsheet_safe: bool = False,
    ) -> None:
        """Start the file with its header; ``spreadsheet_safe`` as in `CsvWriter`."""
        self._file = path.open("x", encoding="utf-8", newline="")
        self._writer = CsvWriter(self._file, delimiter=delimiter, spreadsheet_safe=spreadsheet_safe)
        self._rows_of = rows_of
        self._writer.row(header)

    def write(self, detections: RecordingDetections) -> None:
        """Add a recording."""
        self._writer.rows(self._rows_of(detections))

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def whole_path(path: Path) -> Path:
    """The path that other programs need, which do not know the audio root; URLs stay."""
    return path if is_remote(path) else path.absolute()


def number(value: float) -> str:
    """Seconds to the microsecond, and as exact a score; never in the form 1e-05."""
    return f"{value:.6f}"
