"""Kaleidoscope's tables of clusters and identifications: the rules that no other program has.

Their columns are in the layouts of `dawnchorus.text_tables.column_names`: a recording is ``INDIR``,
``FOLDER`` and ``IN FILE`` together, a span ``OFFSET`` and ``DURATION``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dawnchorus.annotations.foreign_cells import KALEIDOSCOPE_COLUMNS
from dawnchorus.annotations.own_columns import (
    OWN_COLUMNS,
    check_readable,
    number,
    own_cells,
    shown_columns,
)
from dawnchorus.text_tables.column_names import column_key
from dawnchorus.text_tables.values import is_missing
from dawnchorus.text_tables.write import csv_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dawnchorus.annotations.annotation_row import AnnotationRow
    from dawnchorus.annotations.places import Places

UNREVIEWED: Final = "unreviewed"


def is_reviewed(labels: Sequence[str], rows: Iterable[Mapping[str, str]]) -> bool:
    """Whether a person filled in some of the labels of a table.

    Then a row whose ``MANUAL ID`` is empty is one that nobody looked at: neither its automatic
    label nor "nothing" is what a person said.
    """
    return (
        len(labels) == 1
        and column_key(labels[0]) == "manualid"
        and any(not is_missing(row[labels[0]]) for row in rows)
    )


def kaleidoscope_text(rows: Sequence[AnnotationRow], places: Places) -> str:
    """A table that Kaleidoscope opens for review; ``MANUAL ID`` is what a person said.

    A suggestion stands in ``TOP1MATCH`` and waits. Kaleidoscope has no word for absent and unsure:
    such a line has an empty ``MANUAL ID``, and only ``dc_state`` says what it is.

    Raises:
        UsageError: A label cannot be written, or the length of a recording is needed.
    """
    shown = shown_columns(rows, KALEIDOSCOPE_COLUMNS)
    lines: list[tuple[str, ...]] = []
    for row in rows:
        check_readable(row.label, row.where, "Kaleidoscope")
        extra, end_s = dict(row.extra), places.end_s(row)
        folder, _, name = places.whole(row.path).rpartition("/")
        above, _, folder = folder.rpartition("/")
        lines.append(
            (
                above,
                folder,
                name,
                str(row.channel or 0),
                number(row.start_s),
                number(round(end_s - row.start_s, 6)),
                extra.get("TOP1MATCH", "" if row.state else row.label),
                extra.get("PROBABILITY", number(row.score)),
                row.label if row.state == "present" else "",
                *(extra.get(name, "") for name in shown),
                *own_cells(row, shown).values(),
            )
        )
    return csv_text((*KALEIDOSCOPE_COLUMNS, *shown, *OWN_COLUMNS), lines)
