"""What a foreign table has beside path, times, labels and band: kept with its names and order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from dawnchorus.annotations.annotation import HIGH_HZ, LOW_HZ
from dawnchorus.annotations.own_columns import (
    OWN_COLUMNS,
    ROW_COLUMN,
    SELECTION,
    STATE_COLUMN,
    stored_row,
)
from dawnchorus.text_tables.columns import LABELS, PATH, START, STOP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dawnchorus.annotations.annotation import Annotation
    from dawnchorus.text_tables.columns import ColumnRoles

# The columns of the forms that we write; see the writers of each.
RAVEN_COLUMNS: Final = (
    SELECTION, "View", "Channel", "Begin Time (s)", "End Time (s)", LOW_HZ, HIGH_HZ,
    "Begin File", "Begin Path", "File Offset (s)", "Label",
)  # fmt: skip
KALEIDOSCOPE_COLUMNS: Final = (
    "INDIR", "FOLDER", "IN FILE", "CHANNEL", "OFFSET", "DURATION", "TOP1MATCH", "PROBABILITY",
    "MANUAL ID",
)  # fmt: skip
CSV_COLUMNS: Final = ("path", "start_s", "end_s", "low_hz", "high_hz", "label")
# a table of ours may have any foreign columns beside, so the names do not say what is what
_ROLES: Final = (
    (RAVEN_COLUMNS, {PATH: "Begin Path", LABELS: "Label"}),
    (KALEIDOSCOPE_COLUMNS, {LABELS: "MANUAL ID"}),
    (CSV_COLUMNS, {PATH: "path", LABELS: "label", START: "start_s", STOP: "end_s"}),
)
_CHANNELS: Final = {"Channel": 1, "CHANNEL": 0}  # Raven counts from 1, Kaleidoscope from 0


def own_roles(names: Sequence[str]) -> dict[str, str]:
    """Our column to that of a table of ours; empty for any other table."""
    if ROW_COLUMN not in names:
        return {}
    return next((roles for form, roles in _ROLES if set(form) <= set(names)), {})


def read_names(names: Sequence[str]) -> Sequence[str]:
    """The columns that may have a role: in a table of ours only those of its form.

    A foreign column beside them may be called END, and is no end of anything there.
    """
    if ROW_COLUMN not in names:
        return names
    return next((form for form, _ in _ROLES if set(form) <= set(names)), names)


@dataclass(slots=True)
class ForeignCells:
    """Cells of one table that are not read as anything, row by row.

    Attributes:
        names: of all columns.
        roles: what they are read as.
    """

    names: Sequence[str]
    roles: ColumnRoles
    _read: set[str] = field(init=False)
    _channel: str | None = field(init=False)
    _views: dict[tuple[str, ...], str] = field(init=False, default_factory=dict)
    _n_views: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Find out which columns are left."""
        is_raven = "Begin Time (s)" in self.names
        is_kaleidoscope = {"IN FILE", "CHANNEL"} <= set(self.names)
        self._channel = next(
            (n for n in _CHANNELS if n in self.names and (is_raven or is_kaleidoscope)), None
        )
        read = {*self.roles.path, *self.roles.labels, *(t.column for t in self.roles.timed)}
        read |= {LOW_HZ, HIGH_HZ, "low_hz", "high_hz", *OWN_COLUMNS}
        read |= {self._channel or "", self.roles.rate or ""}
        if is_raven:
            read |= {"View", "Begin File", "Begin Path"}
        if ROW_COLUMN in self.names:
            form = next((form for form, _ in _ROLES if set(form) <= set(self.names)), ())
            read |= set(form) - {SELECTION}
        self._read = read

    def kept(self, annotation: Annotation, row: Mapping[str, str], state: str | None) -> Annotation:
        """The annotation with its state and channel, and with the cells that are not read."""
        channel, extra = self._channel_of(row), self._extra(row)
        return replace(annotation, state=state, channel=channel, extra=extra)

    def stored(self, annotation: Annotation, row: Mapping[str, str]) -> Annotation:
        """The annotation of a row of ours, which has its exact values with it."""
        before = stored_row(row[ROW_COLUMN], self._extra(row), annotation.where)
        state, labels = row.get(STATE_COLUMN), annotation.labels
        if "MANUAL ID" in row and labels and not state:
            state = "present"  # a person named what the program suggested
        return replace(annotation, path=before.path, stored=before, state=state)

    def is_other_view(self, row: Mapping[str, str]) -> bool:
        """Whether a line is one more view of a selection of Raven's that was read already."""
        if not {SELECTION, "View"} <= row.keys():
            return False
        names = (*self.roles.path, SELECTION, *(t.column for t in self.roles.timed))
        view = self._views.setdefault(tuple(row[name] for name in names), row["View"])
        self._n_views += view != row["View"]
        return view != row["View"]

    def remarks(self, table: Path) -> list[str]:
        """What was left out."""
        if not self._n_views:
            return []
        return [f"{table}: {self._n_views} lines are further views of a selection, left out"]

    def _extra(self, row: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        return tuple((name, row[name]) for name in self.names if name not in self._read)

    def _channel_of(self, row: Mapping[str, str]) -> int | None:
        text = row[self._channel] if self._channel else ""
        if not text.isdecimal():
            return None
        return max(0, int(text) - _CHANNELS[self._channel or ""])
