"""Audacity label tracks: start, end and label between tabs, and perhaps a line of frequencies.

A label may end in a score, which is not part of it: BirdNET writes it into a fourth column,
dawnchorus as the last word with three decimals. A line that begins with a backslash holds the
lowest and highest frequency of the label before it. Source: Audacity Manual, "Importing and
Exporting Labels".
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dawnchorus.annotations.annotation import Annotation, AnnotationList
from dawnchorus.annotations.label_cells import LabelCells
from dawnchorus.annotations.own_columns import check_readable, number
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.failures import Failure
from dawnchorus.text_tables.read import read_text
from dawnchorus.text_tables.values import has_decimal_comma, parse_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dawnchorus.annotations.annotation_row import AnnotationRow
    from dawnchorus.annotations.places import Places
    from dawnchorus.annotations.recordings import Recordings

POINT: Final = "point"
BAND_LINE: Final = "\\"
_SCORED: Final = re.compile(r"(.+) [01]\.\d{3}")  # as our own Audacity labels end


def read_audacity(table: Path, recordings: Recordings) -> AnnotationList:
    """Read a label track, an annotation for each label that has a length.

    The recording is the one whose name the file's begins with. Labels at a point of time are
    failures.

    Raises:
        TaskError: A line is not start, end and label.
    """
    text, remarks = read_text(table)
    result, cells = AnnotationList(remarks=list(remarks)), LabelCells(table)
    location, n_scored = recordings.beside(table), 0
    if location.failure is not None:
        reason, message = location.failure
        result.failures.append(Failure(location.path, reason, f"{table}: {message}"))
        return result
    for label in _labels(table, text, location.path):
        # three decimals, as dawnchorus writes them: "type 2.5" is a label
        scored = _SCORED.fullmatch(label.labels[0])
        n_scored += scored is not None
        word = label.labels[0] if scored is None else scored[1]
        result.add(replace(label, labels=cells.labels(word)))
    result.failures = [replace(failure, reason=POINT) for failure in result.failures]
    if n_scored:
        result.remarks.append(
            f"{table}: {n_scored} labels end in a score, which is not part of them"
        )
    result.remarks += cells.notes()
    return result


def _labels(table: Path, text: str, path: str) -> Iterator[Annotation]:
    """Each label as it is written, with the band of the line after it."""
    # of any system; Audacity writes those of the one that it runs on
    lines = [line.split("\t") for line in re.split(r"\r\n|\r|\n", text)]
    decimal_comma = has_decimal_comma(cell for cells in lines for cell in cells[:2])
    label: Annotation | None = None
    for n, cells in enumerate(lines, start=1):
        if cells[0].startswith(BAND_LINE):
            if label is not None:
                label = _with_band(label, cells[1:], decimal_comma=decimal_comma)
            continue
        if not any(map(str.strip, cells)):
            continue
        if label is not None:
            yield label
        label = _label(cells, f"{table}, line {n}", path, decimal_comma=decimal_comma)
    if label is not None:
        yield label


def _label(cells: list[str], where: str, path: str, *, decimal_comma: bool) -> Annotation:
    try:
        if len(cells) < 2:
            raise ValueError("there is no tab")
        start_s, end_s = (
            parse_number(cell.strip(), decimal_comma=decimal_comma) for cell in cells[:2]
        )
        if len(cells) > 3:
            parse_number(cells[3].strip())  # BirdNET's score; anything else is a label cut in two
    except ValueError as error:
        found = "\t".join(cells)
        raise TaskError(
            f"{where}: need start, stop and label between tabs, found {found!r} ({error})"
        ) from error
    label = cells[2].strip() if len(cells) > 2 else ""
    return Annotation(path=path, start_s=start_s, end_s=end_s, labels=(label,), where=where)


def _with_band(label: Annotation, cells: list[str], *, decimal_comma: bool) -> Annotation:
    """The label with its frequencies; Audacity writes -1 where there is none."""
    try:
        low, high = (parse_number(cell.strip(), decimal_comma=decimal_comma) for cell in cells[:2])
    except ValueError:
        return label
    return replace(label, low_hz=low if low >= 0 else None, high_hz=high if high >= 0 else None)


def audacity_text(rows: Sequence[AnnotationRow], places: Places) -> str:
    """A label track of one recording, with a line of frequencies where a row has a band.

    Raises:
        UsageError: The rows are not of one recording, say more than that a label is heard, or have
            a label that would be read as another one.
    """
    if len({row.path for row in rows}) > 1:
        raise UsageError("an Audacity track is of one recording; name a folder for several")
    states = {row.state for row in rows}
    if states - {"present", None} or len(states) > 1:
        n_others = sum(row.state != "present" for row in rows)
        raise UsageError(
            f"Audacity has no state, and {n_others} of {len(rows)} annotations of {rows[0].path} "
            "are not 'present'; write one state alone, with --state present or --state suggested, "
            "or another format"
        )
    lines = []
    for row in rows:
        check_readable(row.label, row.where, "Audacity")
        if _SCORED.fullmatch(row.label) or row.label.startswith(BAND_LINE):
            raise UsageError(
                f"{row.where}: the label {row.label!r} ends like one with a score; use another "
                "format"
            )
        lines.append(f"{number(row.start_s)}\t{number(places.end_s(row))}\t{row.label}")
        if row.low_hz is not None or row.high_hz is not None:
            band = (number(-1.0 if hz is None else hz) for hz in (row.low_hz, row.high_hz))
            lines.append("\t".join((BAND_LINE, *band)))
    return "".join(f"{line}\n" for line in lines)
