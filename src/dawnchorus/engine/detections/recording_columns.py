"""Columns of a detection about its recording: when it began, and those of the user's list."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from dawnchorus.engine.exports.detection_table import DETECTION_SCHEMA
from dawnchorus.local_time import iso_text, later, local_start, zone_kind, zone_warnings
from dawnchorus.paths import from_stored_name, stored_name
from dawnchorus.store.columns import distinct

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo
    from pathlib import Path

    from dawnchorus.engine.recordings.listing import Carried


@dataclass(slots=True)
class RecordingColumns:
    """Fills ``recorded_at``, ``local_time`` and the user's columns of one recording's detections.

    Attributes:
        names: the user's columns.
        root: of the recordings, where whole paths are wanted; None: paths stay relative to it.
        schema: `DETECTION_SCHEMA`, then the user's columns under names that are not taken.
    """

    names: tuple[str, ...] = ()
    root: Path | None = None
    schema: pa.Schema = field(init=False)
    _kinds: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Name the columns."""
        written = distinct(self.names, DETECTION_SCHEMA.names)
        self.schema = pa.schema([*DETECTION_SCHEMA, *((name, pa.string()) for name in written)])

    def path(self, name: str) -> str:
        """A recording's path as it is written."""
        if self.root is None or "://" in name:
            return name
        return stored_name(from_stored_name(name, self.root))

    def fill(
        self,
        table: pa.Table,
        recorded_at: str | None,
        carried: Carried,
        zone: tzinfo | None = None,
    ) -> pa.Table:
        """One recording's detections with what is known of the recording.

        Args:
            table: columns of `DETECTION_SCHEMA`.
            recorded_at: when the recording began, as it says it; None: nothing says it.
            carried: the user's columns.
            zone: of the place, for a recording that says UTC or no zone.
        """
        values = dict(carried)
        arrays = [*self._times(table, recorded_at, zone)]
        arrays += [_same(values.get(name), len(table)) for name in self.names]
        # the last two columns of the schema are the times
        fixed = [table[name] for name in DETECTION_SCHEMA.names[:-2]]
        return pa.Table.from_arrays([*fixed, *arrays], schema=self.schema)

    def _times(
        self, table: pa.Table, recorded_at: str | None, zone: tzinfo | None
    ) -> Iterable[pa.Array]:
        if recorded_at is None:
            return [_same(None, len(table))] * 2
        # counted here and reported once: ten thousand recordings would repeat it
        self._kinds[zone_kind(recorded_at, zone)] += 1
        start = local_start(recorded_at, zone)
        heard = [iso_text(later(start, start_s)) for start_s in table["start_s"].to_pylist()]
        return [_same(start.isoformat(), len(table)), pa.array(heard, pa.string())]

    def warnings(self) -> list[str]:
        """That time zones of recordings are mixed, or missing."""
        return zone_warnings(self._kinds)


def _same(value: str | None, n_rows: int) -> pa.Array:
    return pa.array([value] * n_rows, pa.string())
