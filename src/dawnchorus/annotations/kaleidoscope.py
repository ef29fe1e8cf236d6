"""Kaleidoscope's tables of clusters and identifications: the rules that no other program has.

Their columns are in the layouts of `dawnchorus.text_tables.column_names`: a recording is ``INDIR``,
``FOLDER`` and ``IN FILE`` together, a span ``OFFSET`` and ``DURATION``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dawnchorus.text_tables.column_names import column_key
from dawnchorus.text_tables.values import is_missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
