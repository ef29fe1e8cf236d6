"""Raven: a selection table of Raven Pro and Raven Lite, tab separated.

A table over several recordings opens together with them: begin and end times run on from recording
to recording in their order, and ``File Offset (s)`` is the time in the file itself. A table for one
recording has both alike. Raven shows columns of any name, so what is known of the recording comes
behind its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.annotations.foreign_cells import RAVEN_COLUMNS
from dawnchorus.engine.exports.text_file import RowsFile, number, whole_path
from dawnchorus.filename_text import escaped_name
from dawnchorus.paths import stored_name
from dawnchorus.store.columns import distinct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from dawnchorus.engine.exports.detection_table import RecordingDetections

COLUMNS: Final = (*RAVEN_COLUMNS, "Probability")


def open_raven(path: Path, schema: pa.Schema, *, spreadsheet_safe: bool = False) -> RowsFile:
    """A selection table."""
    more = schema.names[schema.get_field_index("recorded_at") :]
    return RowsFile(
        path,
        [*COLUMNS, *distinct(more, COLUMNS)],
        _Selections(more).rows,
        delimiter="\t",
        spreadsheet_safe=spreadsheet_safe,
    )


@dataclass(slots=True)
class _Selections:
    """Numbers selections and adds up the recordings before them.

    Attributes:
        more: columns of a detection that come behind Raven's own.
    """

    more: Sequence[str]
    n_selections: int = 0
    offset_s: float = 0.0

    def rows(self, detections: RecordingDetections) -> Iterator[list[Any]]:
        """One row a detection."""
        path = whole_path(detections.path)
        for row in detections.table.to_pylist():
            self.n_selections += 1
            yield [
                self.n_selections,
                "Spectrogram 1",
                1,  # Raven counts channels from 1
                number(self.offset_s + row["start_s"]),
                number(self.offset_s + row["stop_s"]),
                "0.0",
                f"{detections.highest_hz:.1f}",
                escaped_name(path.name),
                stored_name(path),
                number(row["start_s"]),
                row["label"],
                number(row["probability"]),
                *(row[name] for name in self.more),
            ]
        self.offset_s += detections.duration_s
