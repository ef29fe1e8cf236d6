"""Manifests of annotations that were drawn by hand: Raven selection tables, Audacity labels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.clips.recordings import Recordings
from dawnchorus.clips.spans import BEGIN, LabelWords, Spans, read_spans
from dawnchorus.clips.tables import manifest_of_spans
from dawnchorus.errors import TaskError
from dawnchorus.text_tables.text import open_table, read_text
from dawnchorus.text_tables.values import has_decimal_comma, parse_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from dawnchorus.clips.folders import Made

RAVEN_SUFFIX: Final = ".txt"
POINT: Final = "point"
_SCORED: Final = re.compile(r"(.+) [01]\.\d{3}")  # as our own Audacity labels end


def manifest_of_raven(
    tables: Sequence[Path],
    *,
    audio: Path,
    label: str | None = None,
    columns: Mapping[str, str] | None = None,
    kind: str = "species",
    progress: Callable[[int], None] = lambda _n: None,
) -> Made:
    """Make a manifest of Raven selection tables, a clip for each selection.

    The recording is the one that ``Begin Path`` or ``Begin File`` names, wherever it lies below
    ``audio``, else the one whose name the table's begins with. Selections without a label are clips
    without labels; those without a length, and tables without selections, are named.

    Args:
        tables: selection tables, or folders of them (``.txt``).
        audio: folder of the recordings.
        label: the column that holds it; None: the one with a usual name.
        columns: our column to theirs, for others than the label.
        kind: of the labels.
        progress: called with 1 after each recording.

    Raises:
        TaskError: A table cannot be read, or no recording is found.
        UsageError: It is not clear which column is the label.
    """
    recordings, given = Recordings(audio), dict(columns or {})
    if label is not None:
        given["labels"] = label
    spans = Spans()
    for table in _tables(tables):
        spans.extend(_raven_spans(table, recordings, given))
    return _manifest(spans, recordings, kind, progress)


def _raven_spans(table: Path, recordings: Recordings, columns: Mapping[str, str]) -> Spans:
    text = open_table(table)
    if BEGIN not in text.names and "start_s" not in columns:
        raise TaskError(
            f"{table}: not a Raven selection table: no column {BEGIN!r}; columns: "
            f"{list(text.names)}"
        )
    if next(text.rows(), None) is None:
        return Spans(remarks=[f"{table}: has no selections"])
    spans = read_spans(table, recordings, columns=columns)
    names = {"path", "start_s", "stop_s", "labels", "where"}
    spans.rows = [{name: row[name] for name in names} for row in spans.rows]
    return spans


def manifest_of_audacity(
    tables: Sequence[Path],
    *,
    audio: Path,
    kind: str = "species",
    progress: Callable[[int], None] = lambda _n: None,
) -> Made:
    """Make a manifest of Audacity label files, a clip for each label with a length.

    The recording is the one whose name the label file's begins with. Labels at a point of time are
    among what is bad. A score behind a label is not part of it: in a column of its own, as BirdNET
    writes it, or as the last word with three decimals, as dawnchorus does.

    Args:
        tables: label files, or folders of them (``.txt``).
        audio: folder of the recordings.
        kind: of the labels.
        progress: called with 1 after each recording.

    Raises:
        TaskError: A label file cannot be read, or no recording is found.
    """
    recordings, spans = Recordings(audio), Spans()
    for table in _tables(tables):
        spans.extend(_audacity_spans(table, recordings))
    return _manifest(spans, recordings, kind, progress)


def _audacity_spans(table: Path, recordings: Recordings) -> Spans:
    text, remarks = read_text(table)
    spans, words = Spans(remarks=list(remarks)), LabelWords(table)
    located, n_scored = recordings.beside(table), 0
    if located.problem is not None:
        verdict, message = located.problem
        spans.bad.append((located.path, verdict, f"{table}: {message}"))
        return spans
    for where, start_s, stop_s, label in _audacity_labels(table, text):
        scored = _SCORED.fullmatch(label)
        n_scored += scored is not None
        labels = words.labels(label if scored is None else scored[1])
        spans.add(
            {
                "path": located.path,
                "start_s": start_s,
                "stop_s": stop_s,
                "labels": list(labels),
                "where": where,
            }
        )
    spans.bad = [(name, POINT, message) for name, _, message in spans.bad]
    if n_scored:
        spans.remarks.append(
            f"{table}: {n_scored} labels end in a score, which is not part of them"
        )
    spans.remarks += words.notes()
    return spans


def _audacity_labels(table: Path, text: str) -> Iterator[tuple[str, float, float, str]]:
    """Where it stands, start, stop and label of each."""
    lines = [line.split("\t") for line in re.split(r"\r\n|\r|\n", text)]
    decimal_comma = has_decimal_comma(cell for cells in lines for cell in cells[:2])
    for number, cells in enumerate(lines, start=1):
        where = f"{table}, line {number}"
        if cells[0].startswith("\\") or not any(map(str.strip, cells)):
            continue  # the line after a label may give its frequencies
        try:
            if len(cells) < 2:
                raise ValueError("there is no tab")
            start_s, stop_s = (
                parse_number(cell.strip(), decimal_comma=decimal_comma) for cell in cells[:2]
            )
            if len(cells) > 3:
                parse_number(cells[3].strip())  # BirdNET's score; anything else is a label cut
        except ValueError as error:
            found = "\t".join(cells)
            raise TaskError(
                f"{where}: need start, stop and label between tabs, found {found!r} ({error})"
            ) from error
        yield where, start_s, stop_s, cells[2].strip() if len(cells) > 2 else ""


def _tables(named: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for item in named:
        files = sorted(item.rglob(f"*{RAVEN_SUFFIX}")) if item.is_dir() else [item]
        if not files:
            raise TaskError(f"{item}: no {RAVEN_SUFFIX} file in it")
        found += files
    return found


def _manifest(
    spans: Spans, recordings: Recordings, kind: str, progress: Callable[[int], None]
) -> Made:
    extra: dict[str, Any] = {"kind": kind, "level": "segment"}
    spans.rows = [{**row, **extra, "group": row["path"]} for row in spans.rows]
    if not spans.rows and not spans.bad:
        raise TaskError("no annotation with a length in the files given")
    spans.remarks += recordings.notes()
    return manifest_of_spans(spans, recordings.folder, progress, named=str(recordings.folder))
