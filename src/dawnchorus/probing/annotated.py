"""Rows of an annotation table as labelled clips: what a probe is fitted on and scored on.

A clip is a span. Its labels are those that people call present there. An absent row makes a clip
without that label, as a line without labels of a CSV does. A span is left out where it is not known
what holds: where somebody is unsure, where people contradict each other, and where a label that is
absent is present in a span that touches it. So is what nobody has judged.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from dawnchorus.clips.build import ImportedClips
from dawnchorus.clips.folders import SPLIT_FOLDERS
from dawnchorus.clips.manifest import SPLITS, Manifest
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from dawnchorus.annotations.annotation_row import AnnotationRow, Purpose
    from dawnchorus.annotations.annotation_table import AnnotationTable

    Span = tuple[str, float, float | None]

# foreign columns that say what must stay on one side, or on which side
CARRIED: Final = ("split", "group", "recordist", "individual")


def annotated_clips(
    table: AnnotationTable,
    folder: Path,
    *,
    purpose: Purpose | None = "train",
    label: str | None = None,
    rows: Iterable[AnnotationRow] | None = None,
) -> ImportedClips:
    """The judged spans of a table as clips.

    Args:
        table: of annotations.
        folder: that the paths of its rows start at.
        purpose: only rows of this purpose: ``train`` to fit, ``estimate`` to score; None: all.
        label: only rows of this label, and those in which none is heard; None: all labels.
        rows: of the table, of which these are to be taken; None: all that count.

    Raises:
        UsageError: There is no such annotation.
    """
    rows = table.rows() if rows is None else rows
    rows = [row for row in rows if row.state and label in {None, row.label or label}]
    chosen = [row for row in rows if purpose in {None, row.purpose}]
    if not chosen:
        other = f" of purpose {purpose}" if purpose else ""
        raise UsageError(
            f"{table.folder}: none of {len(rows)} judged annotations is{other}; label import and "
            "judging give a purpose with --purpose, and --any-purpose uses all"
        )
    spans: dict[Span, list[AnnotationRow]] = defaultdict(list)
    for row in chosen:
        spans[row.path, row.start_s, row.end_s].append(row)
    present = _present(rows)  # whatever their purpose: what is heard is heard
    usable = {span: own for span, own in spans.items() if _is_known(own, present)}
    if not usable:
        raise UsageError(
            f"{table.folder}: of none of {len(spans)} spans is it known what is heard in it: "
            "unsure, or contradicted; see 'dawnchorus label list --conflicts'"
        )
    manifest = Manifest(_clip_table(usable), folder, named=str(table.folder))
    return ImportedClips(
        manifest, notes=tuple(_notes(table, spans, usable, len(rows) - len(chosen)))
    )


def _present(rows: Iterable[AnnotationRow]) -> dict[tuple[str, str], list[AnnotationRow]]:
    """Rows that call a label present, by recording and label."""
    present: dict[tuple[str, str], list[AnnotationRow]] = defaultdict(list)
    for row in rows:
        if row.state == "present":
            present[row.path, row.label].append(row)
    return present


def _is_known(
    own: Sequence[AnnotationRow], present: dict[tuple[str, str], list[AnnotationRow]]
) -> bool:
    """Whether it is known of a span which labels hold for it."""
    if any(row.state == "unsure" for row in own):
        return False
    return not any(
        _touch(row, other)
        for row in own
        if row.state == "absent"
        for other in present.get((row.path, row.label), ())
    )


def _touch(one: AnnotationRow, other: AnnotationRow) -> bool:
    ends = [row.end_s if row.end_s is not None else float("inf") for row in (one, other)]
    return min(ends) > max(one.start_s, other.start_s)


def _clip_table(spans: dict[Span, list[AnnotationRow]]) -> pa.Table:
    rows = []
    for (path, start_s, end_s), own in spans.items():
        labels = dict.fromkeys(row.label for row in own if row.state == "present" and row.label)
        extra = {name: cell for row in own for name, cell in row.extra if cell and name in CARRIED}
        split = extra.pop("split", "")
        split = SPLIT_FOLDERS.get(split.lower(), split)
        end = "" if end_s is None else f"{end_s:.6f}"
        rows.append(
            {
                "id": f"{path}:{start_s:.6f}-{end}",
                "path": path,
                "start_s": start_s,
                "stop_s": end_s,
                "labels": list(labels),
                "split": split if split in SPLITS else None,
                **extra,
            }
        )
    names = [name for name in CARRIED if name == "split" or any(name in row for row in rows)]
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("path", pa.string()),
            ("start_s", pa.float64()),
            ("stop_s", pa.float64()),
            ("labels", pa.list_(pa.string())),
            *((name, pa.string()) for name in names),
        ]
    )
    return pa.Table.from_pylist(rows, schema)


def _notes(
    table: AnnotationTable,
    spans: dict[Span, list[AnnotationRow]],
    usable: dict[Span, list[AnnotationRow]],
    n_other: int,
) -> list[str]:
    notes = [f"{table.folder}: {len(usable)} judged spans"]
    if n_other:
        notes.append(f"{table.folder}: {n_other} annotations are of another purpose, not used")
    if len(usable) < len(spans):
        notes.append(
            f"{table.folder}: {len(spans) - len(usable)} spans are left out: somebody is unsure, "
            "or what is absent in them is present in a span that touches them"
        )
    labels = {row.label for own in usable.values() for row in own if row.label}
    partly = sum(
        any(row.state == "absent" for row in own)
        and len({row.label for row in own if row.label}) < len(labels)
        for own in usable.values()
    )
    if len(labels) > 1 and partly:
        notes.append(
            f"{table.folder}: {partly} spans were judged for some of {len(labels)} labels only; "
            "the others count as not heard there (--label fits one label alone)"
        )
    return notes
