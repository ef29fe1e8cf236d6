"""Rows of one table to annotations: paths, times, labels and other columns, each as its role says.

What is special to a program stands in a module of its own; see ``raven`` and ``kaleidoscope``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.annotations.annotation import HIGH_HZ, LOW_HZ, Annotation, AnnotationList
from dawnchorus.annotations.foreign_cells import ForeignCells, own_roles, read_names
from dawnchorus.annotations.kaleidoscope import UNREVIEWED, is_reviewed
from dawnchorus.annotations.label_cells import LabelCells
from dawnchorus.annotations.own_columns import (
    ROW_COLUMN,
    STATE_COLUMN,
    is_judged_present,
    state_column,
)
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.failures import Failure
from dawnchorus.text_tables import column_names as known
from dawnchorus.text_tables.columns import LABELS, PATH, assign_columns, first_length, our_column
from dawnchorus.text_tables.values import (
    day_first,
    has_decimal_comma,
    is_missing,
    parse_moment,
    parse_number,
    parse_seconds,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dawnchorus.annotations.recordings import Location, Recordings
    from dawnchorus.text_tables.columns import TimeColumn
    from dawnchorus.text_tables.read import TextTable

    Row = dict[str, str]

RAVEN_BEGIN: Final = "Begin Time (s)"  # the column by which a Raven selection table is known


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What a user, or whoever wants the annotations, says of a table.

    Attributes:
        columns: our column to theirs, such as ``{"labels": "Species"}``; see `our_column`.
        separator: text between several labels in a cell; None: a cell is one label.
        values: our column to a value that stands for every row: those of ``path`` and ``labels``
            are used here, columns of the others are not looked for.
        known: our further columns, each found by its own name and read as this type.
        keep: whether annotations are wanted as rows of an annotation table: with their foreign
            columns, and all states of our own tables. Otherwise what one of our own tables does not
            call present is left out.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    separator: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    known: Mapping[str, type] = field(default_factory=dict)
    keep: bool = False

    def __post_init__(self) -> None:
        """Call our columns by their names.

        Raises:
            UsageError: The separator is empty.
        """
        if self.separator == "":
            raise UsageError("separator '': need the text between two labels, such as ';'")
        columns = {our_column(ours): theirs for ours, theirs in self.columns.items()}
        object.__setattr__(self, "columns", columns)


class RowReader:
    """Reads the rows of one table.

    Attributes:
        text: the table.
        rows: number of its first line and the cells of each row.
        roles: what each column is read as.
    """

    def __init__(self, text: TextTable, recordings: Recordings, options: ReadOptions) -> None:
        """Find out what each column is.

        Raises:
            TaskError: The table cannot be read; the line is named.
            UsageError: A column is not there, or it is not clear what it is.
        """
        self.text = text
        self.table = text.file.container
        self.rows = list(text.rows())
        self._recordings = recordings
        self._options = options
        self._label_cells = LabelCells(self.table, options.separator)
        is_raven = RAVEN_BEGIN in text.names
        self.roles = assign_columns(
            self.table,
            read_names(text.names),
            lambda name: [row[name] for _, row in self.rows],
            given={**own_roles(text.names), **options.columns},
            fixed=options.values,
            # an ID of Raven's is a label or a number, not the name of a clip
            others=[name for name in options.known if name != "id" or not is_raven],
            # a Raven table without paths always belongs to a recording, be it there or not
            pathless=lambda: is_raven or recordings.beside(self.table).failure is None,
        )
        if options.keep and not (is_raven or self.roles.labels or LABELS in options.values):
            # without one every span would say that nothing is heard there
            raise UsageError(
                f"{self.table}: no column holds the labels; name it: --column labels=COLUMN; "
                f"columns: {list(text.names)}"
            )
        self._state = state_column(text.names, self.rows)
        ignored = tuple(name for name in self.roles.ignored if name != self._state)
        self.roles = replace(self.roles, ignored=ignored)
        # a length without a start should be that of the recording
        self._length = None if self.roles.start else first_length(self.roles.ignored)
        # one number with a decimal comma decides for all columns of numbers
        numbers = [column.column for column in self.roles.timed]
        numbers += [name for name, ours in self.roles.plain.items() if self._type(ours) is not str]
        self._decimal_comma = has_decimal_comma(
            row[name] for _, row in self.rows for name in numbers
        )
        dates = [name for name, ours in self.roles.plain.items() if ours == "recorded_at"]
        try:
            self._day_first = day_first(row[name] for _, row in self.rows for name in dates)
        except ValueError as error:
            raise TaskError(f"{self.table}: column {dates[0]!r}: {error}") from error

    def read(self) -> AnnotationList:
        """The annotation of each row.

        Raises:
            TaskError: A cell cannot be read; the line is named.
        """
        result = AnnotationList(
            layouts={str(self.roles): [self.table]}, remarks=list(self.text.remarks)
        )
        # a rule of Kaleidoscope's
        reviewed = is_reviewed(self.roles.labels, (row for _, row in self.rows))
        foreign = ForeignCells(self.text.names, self.roles)
        for line, row in self.rows:
            where = f"{self.table}, line {line}"
            if self._options.keep and row.get(ROW_COLUMN):
                result.add(foreign.stored(self._annotation(row, where, ""), row))
                continue
            if not (self._options.keep or is_judged_present(row, self._state)):
                message = f"{where}: {self._state} is {row[self._state or '']!r}, not 'present'"
                result.failures.append(Failure(self._locate(row, where).path, UNREVIEWED, message))
                continue
            if self._options.keep and foreign.is_other_view(row):
                continue
            location = self._locate(row, where)
            if location.failure is not None:
                reason, message = location.failure
                result.failures.append(Failure(location.path, reason, f"{where}: {message}"))
            elif reviewed and is_missing(row[self.roles.labels[0]]):
                message = f"{where}: {self.roles.labels[0]} is empty; not reviewed"
                result.failures.append(Failure(location.path, UNREVIEWED, message))
            else:
                annotation = self._annotation(row, where, location.path)
                keep, state = self._options.keep, row.get(self._state or "")
                result.add(foreign.kept(annotation, row, state) if keep else annotation)
        if self._state not in (None, STATE_COLUMN):
            result.remarks.append(f"{self.table}: {self._state!r} says which labels are heard")
        result.remarks += foreign.remarks(self.table)
        # after all rows: the remarks count them
        result.remarks += [*self._half_timed(result.annotations), *self._label_cells.notes()]
        return result

    def _annotation(self, row: Row, where: str, path: str) -> Annotation:
        start_s, end_s = self._times(row, where, path)
        return Annotation(
            path=path,
            start_s=start_s,
            end_s=end_s,
            labels=self._labels(row),
            low_hz=_hertz(row, LOW_HZ, "low_hz"),
            high_hz=_hertz(row, HIGH_HZ, "high_hz"),
            where=where,
            recording_s=self._recording_s(row),
            columns=self._others(row, where),
        )

    def _half_timed(self, annotations: Sequence[Annotation]) -> list[str]:
        """Remarks on rows that lack times in a table that has them."""
        if self.roles.start is None:
            return []
        remarks = []
        n_none = sum(a.start_s is None and a.end_s is None for a in annotations)
        if n_none:
            remarks.append(
                f"{self.table}: {n_none} rows have no times; their labels are of whole recordings"
            )
        n_half = sum((a.start_s is None) != (a.end_s is None) for a in annotations)
        if n_half and self.roles.both_ends:
            remarks.append(
                f"{self.table}: {n_half} rows have a start or a stop only; they begin or end with "
                "their recordings"
            )
        return remarks

    def _locate(self, row: Row, where: str) -> Location:
        if PATH in self._options.values:
            return self._recordings.find(self._options.values[PATH])
        if not self.roles.path:
            return self._recordings.beside(self.table)
        text = "/".join(cell for name in self.roles.path if (cell := row[name]))
        # Kaleidoscope's folders may begin with a slash each
        text = re.sub(r"^/+", "/", text) if len(self.roles.path) > 1 else text
        if not row[self.roles.path[-1]]:
            raise TaskError(f"{where}: the path is empty")
        return self._recordings.find(text)

    def _labels(self, row: Row) -> tuple[str, ...]:
        if LABELS in self._options.values:
            text = self._options.values[LABELS]
            return self._label_cells.labels(text) if text else ()
        if self.roles.one_hot:
            return tuple(name for name in self.roles.labels if known.as_flag(row[name]))
        return self._label_cells.labels(row[self.roles.labels[0]]) if self.roles.labels else ()

    def _times(self, row: Row, where: str, path: str) -> tuple[float | None, float | None]:
        def seconds(column: TimeColumn | None) -> float | None:
            return None if column is None else self._seconds(row, column, where, path)

        start_s, end_s = seconds(self.roles.start), seconds(self.roles.stop)
        length_s, offset_s = seconds(self.roles.length), seconds(self.roles.file_offset)
        if length_s is not None:
            end_s = (start_s or 0.0) + length_s
        if offset_s is not None and start_s is not None and end_s is not None:
            # with several recordings open, Begin Time counts from the first one's beginning
            start_s, end_s = offset_s, offset_s + end_s - start_s
        return start_s, end_s

    def _seconds(self, row: Row, column: TimeColumn, where: str, path: str) -> float | None:
        text = row[column.column]
        if is_missing(text):
            return None
        value = self._parsed(parse_seconds, text, f"{where}: {column.column}")
        if column.scale is not None:
            return value * column.scale
        rate_hz: float | None = None
        if self.roles.rate is not None and not is_missing(row[self.roles.rate]):
            rate_text = row[self.roles.rate]
            rate_hz = self._parsed(parse_number, rate_text, f"{where}: {self.roles.rate}")
        # samples without a rate count at that of the recording itself
        rate_hz = rate_hz or self._recordings.rate_hz(path)
        return None if rate_hz is None else value / rate_hz

    def _recording_s(self, row: Row) -> float | None:
        """What a column says of the length of the recording, where it can be read."""
        if self._length is None or self._length.scale is None:
            return None
        try:
            text = row[self._length.column]
            return parse_seconds(text, decimal_comma=self._decimal_comma) * self._length.scale
        except ValueError:
            return None

    def _parsed(self, parse: Callable[..., float], text: str, where: str) -> float:
        try:
            return float(parse(text, decimal_comma=self._decimal_comma))
        except ValueError as error:
            raise TaskError(f"{where} is {text!r}, {error}") from error

    def _others(self, row: Row, where: str) -> dict[str, Any]:
        """Columns that are neither path, times nor labels; those not known stay texts."""
        columns: dict[str, Any] = {
            ours: self._typed(theirs, ours, row[theirs], where)
            for theirs, ours in self.roles.plain.items()
        }
        return columns | {
            name: row[name] or None for name in self.roles.ignored if name not in columns
        }

    def _type(self, ours: str) -> type:
        return self._options.known.get(ours, str)

    def _typed(self, theirs: str, ours: str, text: str, where: str) -> Any:
        if is_missing(text):
            return None
        if self._type(ours) is not str:
            return self._type(ours)(self._parsed(parse_number, text, f"{where}: {theirs}"))
        # 2024-05-01 is what it should be; 1.5.2024 and 5/1/2024 are dates to be read
        if ours == "recorded_at" and re.match(r"\d+[./]\d", text):
            try:
                return parse_moment(text, first_is_day=self._day_first)
            except ValueError as error:
                raise TaskError(f"{where}: {theirs} is {text!r}, {error}") from error
        return text


def _hertz(row: Mapping[str, str], theirs: str, ours: str) -> float | None:
    try:
        return parse_number(row.get(theirs) or row.get(ours, ""))
    except ValueError:
        return None
