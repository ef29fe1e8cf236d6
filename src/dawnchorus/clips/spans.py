"""Rows of any table of labels as labelled spans of recordings, and what was not read, in words.

Everything that reads a user's table of clips goes through `read_spans`, whatever program wrote it.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.clips.folders import SPLIT_FOLDERS
from dawnchorus.clips.manifest import MANIFEST_SCHEMA
from dawnchorus.errors import TaskError
from dawnchorus.text_tables import names as known
from dawnchorus.text_tables.columns import LABELS, PATH, START, first_length, plan_columns
from dawnchorus.text_tables.text import open_table
from dawnchorus.text_tables.values import (
    day_first,
    has_decimal_comma,
    is_missing,
    parse_moment,
    parse_number,
    parse_seconds,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dawnchorus.clips.recordings import Recordings
    from dawnchorus.text_tables.columns import Plan, Timed

SHOWN: Final = 5  # different words, in a message
BEGIN: Final = "Begin Time (s)"  # of a Raven selection table
NO_LENGTH, UNREVIEWED, BEFORE_START = "no-length", "unreviewed", "before-start"
# Found by their own names alone; the others have roles in `text_tables.columns`.
_PLAIN: Final = tuple(
    name
    for name in MANIFEST_SCHEMA.names
    if name not in {"path", "labels", "start_s", "stop_s", "duration_s"}
)


@dataclass(slots=True)
class Spans:
    """Labelled spans, in the order of their tables.

    Attributes:
        rows: ``path``, ``start_s`` and ``stop_s`` (None: from the beginning, to the end),
            ``labels``, ``where`` (table and line), and the other columns.
        bad: what was left out: id, verdict and message of each.
        read: what was read as what, and the tables in which it was so.
        remarks: what to mind.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    bad: list[tuple[str, str, str]] = field(default_factory=list)
    read: dict[str, list[Path]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def extend(self, more: Spans) -> None:
        """Take all of another table."""
        self.rows += more.rows
        self.bad += more.bad
        self.remarks += more.remarks
        for plan, tables in more.read.items():
            self.read.setdefault(plan, []).extend(tables)

    def notes(self) -> list[str]:
        """What was read as what, once for all tables that are alike, and what to mind."""
        more = {
            plan: f" and {len(n) - 1} more tables" * (len(n) > 1) for plan, n in self.read.items()
        }
        said = [f"{tables[0]}{more[plan]}: {plan}" for plan, tables in self.read.items()]
        return [*said, *self.remarks]

    def add(self, row: dict[str, Any]) -> None:
        """Take a row, or leave it out with a reason if it has no length or starts before 0."""
        start_s, stop_s = row["start_s"], row["stop_s"]
        from_s = start_s or 0.0
        name = clip_id(row["path"], start_s, stop_s)
        said = f"{row['where']}: {', '.join(row['labels']) or 'a clip'!r} "
        if from_s < 0:
            said += f"starts at {from_s:g} s, before the recording"
            self.bad.append((name, BEFORE_START, said))
        elif stop_s is not None and stop_s <= from_s:
            said += f"from {from_s:g} to {stop_s:g} s has no length"
            self.bad.append((name, NO_LENGTH, said))
        else:
            self.rows.append(row)


def clip_id(path: str, start_s: float | None, stop_s: float | None) -> str:
    """An id for a piece of a file, of its path alone where it is the whole."""
    if start_s is None and stop_s is None:
        return path
    end = "" if stop_s is None else f"{stop_s:.3f}"
    return f"{path}:{start_s or 0.0:.3f}-{end}"


class LabelWords:
    """Cells to labels; counts those that say that there is none."""

    def __init__(self, table: Path, separator: str | None = None) -> None:
        """``separator``: between several labels in a cell; None: a cell is one."""
        self.table = table
        self.separator = separator
        self._missing: Counter[str] = Counter()
        self._seen: set[str] = set()

    def labels(self, cell: str) -> tuple[str, ...]:
        """The labels of a cell, each once; a list as Python writes it is several."""
        parts = _listed(cell)
        if parts is None:
            parts = [cell] if self.separator is None else cell.split(self.separator)
        parts = [part.strip() for part in parts]
        if not any(parts):
            self._missing[""] += 1
        self._missing.update(part for part in parts if part and is_missing(part))
        labels = tuple(dict.fromkeys(part for part in parts if not is_missing(part)))
        self._seen.update(labels)
        return labels

    def notes(self) -> list[str]:
        """Warnings: of cells without a label, and of those that look like several."""
        notes = []
        if self._missing:
            words = [f"{word!r} {n}" if word else f"empty {n}" for word, n in self._missing.items()]
            notes.append(
                f"{self.table}: rows without a label ({', '.join(words[:SHOWN])}) are clips in "
                "which no label holds; if one of these words is a name, spell it differently"
            )
        for sign in ";,|":
            several = [label for label in self._seen if self._is_several(label, sign)]
            if several:
                notes.append(
                    f"{self.table}: {min(several)!r} is read as one label, and its parts are "
                    f"labels too; if it is several, say --separator {sign!r}"
                )
        return notes

    def _is_several(self, label: str, sign: str) -> bool:
        parts = label.split(sign)
        return len(parts) > 1 and all(part.strip() in self._seen for part in parts)


def _listed(cell: str) -> list[str] | None:
    """The texts of ``['wren', 'robin']``, as pandas writes a list into a cell."""
    if not re.fullmatch(r"\[\s*((['\"]).*\2)?\s*\]", cell):
        return None
    try:
        parts = ast.literal_eval(cell)
    except (ValueError, SyntaxError):
        return None
    return parts if all(isinstance(part, str) for part in parts) else None


def read_spans(
    table: Path,
    recordings: Recordings,
    *,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    values: Mapping[str, str] | None = None,
) -> Spans:
    """Read a table with a row for each labelled span.

    Args:
        table: the file: CSV, TSV, a Raven selection table ...
        recordings: finds what it names.
        columns: our column to theirs, such as ``{"labels": "Species"}``.
        separator: text between several labels in a cell.
        values: our column to a value for every row.

    Raises:
        TaskError: It cannot be read; the line is named.
        UsageError: A column is not there, or it is not clear what it is.
    """
    columns, values = dict(columns or {}), dict(values or {})
    text = open_table(table)
    rows = list(text.rows())
    plan = plan_columns(
        table,
        text.names,
        lambda name: [row[name] for _, row in rows],
        given=columns,
        fixed=values,
        # an ID of Raven's is a label or a number, not the name of a clip
        others=[name for name in _PLAIN if name != "id" or BEGIN not in text.names],
        # a Raven table without them always belongs to a recording, be it there or not
        pathless=lambda: BEGIN in text.names or recordings.beside(table).problem is None,
    )
    reader = _RowReader(
        table,
        plan,
        rows,
        recordings=recordings,
        words=LabelWords(table, separator),
        values=values,
        sure_of_start=START in columns,
    )
    return reader.spans(Spans(read={str(plan): [table]}, remarks=list(text.remarks)))


class _RowReader:
    """Rows of one table to spans."""

    def __init__(
        self,
        table: Path,
        plan: Plan,
        rows: Sequence[tuple[int, dict[str, str]]],
        *,
        recordings: Recordings,
        words: LabelWords,
        values: Mapping[str, str],
        sure_of_start: bool,
    ) -> None:
        self.table = table
        self.plan = plan
        self.rows = rows
        self.recordings = recordings
        self.words = words
        self.values = values
        self.sure_of_start = sure_of_start
        # a length without a start should be that of the recording
        self.length = None if plan.start else first_length(plan.ignored)
        self.types = {
            theirs: str(MANIFEST_SCHEMA.field(ours).type)
            for theirs, ours in plan.plain.items()
            if ours in MANIFEST_SCHEMA.names
        }
        numeric = [timed.column for timed in plan.timed]
        numeric += [name for name, kind in self.types.items() if kind in {"double", "int64"}]
        self.decimal_comma = has_decimal_comma(row[name] for _, row in rows for name in numeric)
        dates = [name for name, ours in plan.plain.items() if ours == "recorded_at"]
        try:
            self.day_first = day_first(row[name] for _, row in rows for name in dates)
        except ValueError as error:
            raise TaskError(f"{table}: column {dates[0]!r}: {error}") from error

    def spans(self, result: Spans) -> Spans:
        reviewed = known.plain("".join(self.plan.labels[:1])) == "manualid" and any(
            not is_missing(row[self.plan.labels[0]]) for _, row in self.rows
        )
        n_without_times = n_half = 0
        for line, row in self.rows:
            where = f"{self.table}, line {line}"
            found = self._located(row, where)
            if found[1] is not None:
                result.bad.append((found[0], found[1][0], f"{where}: {found[1][1]}"))
                continue
            if reviewed and is_missing(row[self.plan.labels[0]]):
                said = f"{where}: {self.plan.labels[0]} is empty; not reviewed"
                result.bad.append((found[0], UNREVIEWED, said))
                continue
            start_s, stop_s = self._times(row, where, found[0])
            if self.plan.start is not None:
                n_without_times += start_s is None and stop_s is None
                n_half += (start_s is None) != (stop_s is None) and self.plan.both_ends
            others = {**self._others(row, where), **self.values}
            labels = self._labels(row, others)
            times = {"path": found[0], "start_s": start_s, "stop_s": stop_s}
            if self.length is not None:
                times["length_s"] = self._length(row)
            result.add({**others, **times, "labels": list(labels), "where": where})
        if n_without_times:
            result.remarks.append(
                f"{self.table}: {n_without_times} rows have no times; their labels are of whole "
                "recordings"
            )
        if n_half:
            result.remarks.append(
                f"{self.table}: {n_half} rows have a start or a stop only; they begin or end with "
                "their recordings"
            )
        if not self.sure_of_start:
            self._check_running_on(result.rows)
        result.remarks += self.words.notes()
        return result

    def _located(self, row: dict[str, str], where: str) -> tuple[str, tuple[str, str] | None]:
        if PATH in self.values:
            text = self.values[PATH]
        elif not self.plan.path:
            located = self.recordings.beside(self.table)
            return located.path, located.problem
        else:
            text = "/".join(cell for name in self.plan.path if (cell := row[name]))
            text = re.sub(r"^/+", "/", text) if len(self.plan.path) > 1 else text
            if not row[self.plan.path[-1]]:
                raise TaskError(f"{where}: the path is empty")
        located = self.recordings.find(text)
        return located.path, located.problem

    def _labels(self, row: dict[str, str], others: dict[str, Any]) -> tuple[str, ...]:
        if LABELS in self.values:
            text = str(others.pop(LABELS))
            return self.words.labels(text) if text else ()
        if self.plan.one_hot:
            return tuple(name for name in self.plan.labels if known.as_flag(row[name]))
        return self.words.labels(row[self.plan.labels[0]]) if self.plan.labels else ()

    def _times(
        self, row: dict[str, str], where: str, path: str
    ) -> tuple[float | None, float | None]:
        plan = self.plan

        def seconds(timed: Timed | None) -> float | None:
            return None if timed is None else self._seconds(row, timed, where, path)

        start_s, stop_s = seconds(plan.start), seconds(plan.stop)
        length_s, offset_s = seconds(plan.length), seconds(plan.file_offset)
        if length_s is not None:
            stop_s = (start_s or 0.0) + length_s
        if offset_s is not None and start_s is not None and stop_s is not None:
            # with several recordings open, Begin Time counts from the first one's beginning
            start_s, stop_s = offset_s, offset_s + stop_s - start_s
        return start_s, stop_s

    def _seconds(self, row: dict[str, str], timed: Timed, where: str, path: str) -> float | None:
        text = row[timed.column]
        if is_missing(text):
            return None
        value = self._parsed(parse_seconds, text, f"{where}: {timed.column}")
        if timed.scale is not None:
            return value * timed.scale
        rate: float | None = None
        if self.plan.rate is not None and not is_missing(row[self.plan.rate]):
            rate = self._parsed(parse_number, row[self.plan.rate], f"{where}: {self.plan.rate}")
        rate = rate or self.recordings.rate(path)
        return None if rate is None else value / rate

    def _length(self, row: dict[str, str]) -> float | None:
        """What a column says of the length of the recording, where it can be read."""
        if self.length is None or self.length.scale is None:
            return None
        try:
            text = row[self.length.column]
            return parse_seconds(text, decimal_comma=self.decimal_comma) * self.length.scale
        except ValueError:
            return None

    def _parsed(self, parse: Any, text: str, where: str) -> float:
        try:
            return float(parse(text, decimal_comma=self.decimal_comma))
        except ValueError as error:
            raise TaskError(f"{where} is {text!r}, {error}") from error

    def _others(self, row: dict[str, str], where: str) -> dict[str, Any]:
        """Columns that are neither path, times nor labels; those not known stay texts."""
        kept: dict[str, Any] = {
            ours: self._typed(theirs, row[theirs], where)
            for theirs, ours in self.plan.plain.items()
        }
        kept |= {name: row[name] or None for name in self.plan.ignored if name not in kept}
        split = kept.get("split")
        if split:
            kept["split"] = SPLIT_FOLDERS.get(split.lower(), split)
        return kept

    def _typed(self, theirs: str, text: str, where: str) -> Any:
        if is_missing(text):
            return None
        kind = self.types.get(theirs, "string")
        if kind in {"double", "int64"}:
            value = self._parsed(parse_number, text, f"{where}: {theirs}")
            return int(value) if kind == "int64" else value
        if self.plan.plain[theirs] == "recorded_at" and re.match(r"\d+[./]\d", text):
            try:
                return parse_moment(text, first_is_day=self.day_first)
            except ValueError as error:
                raise TaskError(f"{where}: {theirs} is {text!r}, {error}") from error
        return text

    def _check_running_on(self, rows: Sequence[dict[str, Any]]) -> None:
        """Raven's times of several recordings may run on from one to the next; or not.

        They do in a table of recordings that were open together, which has an offset in the file
        if it was asked for, and do not where tables were pasted together: there their numbers
        start again, or a later recording's times are earlier.
        """
        start = self.plan.start
        if (
            start is None
            or known.key_and_unit(start.column)[0] != "begintime"
            or self.plan.file_offset is not None
            or not self.plan.path
            or known.plain(self.plan.path[-1]) not in {"beginfile", "beginpath"}
        ):
            return
        spans: dict[str, list[float]] = {}
        for row in rows:
            spans.setdefault(row["path"], []).append(row["start_s"] or 0.0)
        starts = list(spans.values())
        pairs = pairwise(starts)
        if len(starts) < 2 or any(max(one) > min(two) for one, two in pairs) or self._restarts():
            return
        raise TaskError(
            f"{self.table}: has {len(starts)} recordings and no column 'File Offset (s)'; their "
            f"times may count from the beginning of each or of the first. If each, say --column "
            f"{START}={start.column!r}; else add the column in Raven (Choose Measurements) and "
            "save again"
        )

    def _restarts(self) -> bool:
        """Whether two recordings have selections of one number."""
        name = next((n for n in self.rows[0][1] if known.plain(n) == "selection"), None)
        if name is None:
            return False
        path = self.plan.path[-1]
        pairs = {(row[path], row[name]) for _, row in self.rows}
        return len({number for _, number in pairs}) < len(pairs)
