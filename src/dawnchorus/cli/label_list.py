"""``dawnchorus label list``: what an annotation table holds, and where people contradict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dawnchorus.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.annotations.annotation_row import AnnotationRow

HEADINGS = ("label", "present", "absent", "unsure", "suggested", "to estimate", "recordings")
CONFLICT_HEADINGS = ("recording", "seconds", "label", "present", "absent")


def list_(
    annotations: options.AnnotationFolder,
    conflicts: Annotated[
        bool,
        typer.Option(
            "--conflicts", help="List what one author calls present and another one absent."
        ),
    ] = False,
    author: options.Author = None,
    as_json: options.AsJson = False,
) -> int:
    """Count the annotations of each label by state, and say where people contradict each other.

    Example: dawnchorus label list archive.annotations --conflicts
    """
    from dawnchorus.cli.label_tables import open_annotations
    from dawnchorus.cli.output import print_json, print_table, say

    table = open_annotations(annotations)
    rows, pairs = table.rows(author=author), table.conflicts()
    pairs = [pair for pair in pairs if author in {None, *(row.author for row in pair)}]
    counts = _counts(rows)
    if as_json:
        facts = [dict(zip(HEADINGS, count, strict=True)) for count in counts]
        print_json({"labels": facts, "conflicts": [_as_json(pair) for pair in pairs]})
    elif conflicts:
        print_table(CONFLICT_HEADINGS, [_cells(*pair) for pair in pairs])
    else:
        print_table(HEADINGS, counts)
    if not as_json:
        authors = sorted({row.author for row in rows})
        say(f"{len(rows)} annotations by {', '.join(authors) or 'nobody'}; {_conflicts(pairs)}")
    return 0


def _counts(rows: Sequence[AnnotationRow]) -> list[tuple[object, ...]]:
    from dawnchorus.annotations.annotation_row import STATES

    counts: list[tuple[object, ...]] = []
    for label in sorted({row.label for row in rows}):
        of_label = [row for row in rows if row.label == label]
        states = [sum(row.state == state for row in of_label) for state in (*STATES, None)]
        n_estimate = sum(row.purpose == "estimate" for row in of_label)
        n_recordings = len({row.recording_id for row in of_label})
        counts.append((label or "(none of the labels)", *states, n_estimate, n_recordings))
    return counts


def _conflicts(pairs: Sequence[object]) -> str:
    if not pairs:
        return "no contradictions"
    return f"{len(pairs)} contradictions (--conflicts lists them; their windows are not labelled)"


def _cells(present: AnnotationRow, absent: AnnotationRow) -> tuple[str, ...]:
    end = "end" if present.end_s is None else f"{present.end_s:g}"
    said = (f"{row.author} {row.at:%Y-%m-%d %H:%M}" for row in (present, absent))
    return present.path, f"{present.start_s:g}-{end}", present.label, *said


def _as_json(pair: Sequence[AnnotationRow]) -> dict[str, Any]:
    present, absent = (row.to_dict() for row in pair)
    return {
        "present": {**present, "at": pair[0].at.isoformat()},
        "absent": {**absent, "at": pair[1].at.isoformat()},
    }
