"""What tables are made of: cells with a mark for what is not a number, and the notes under them.

A value that is undefined is shown as ``n/a`` with a mark, and the mark is explained under the
table; a value that was never computed is an empty cell.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from dawnchorus.benchmark.report.reported_scores import ReportedScore

UNDEFINED: Final = "n/a"
RowKind = Literal["own", "published", "difference"]


@dataclass(frozen=True, slots=True)
class TableCell:
    """What stands in a cell; ``detail`` is small beside it, ``mark`` points to a note."""

    text: str = ""
    detail: str = ""
    mark: str = ""
    best: bool = False


@dataclass(frozen=True, slots=True)
class TableRow:
    """A line of a table, under a name."""

    name: str
    cells: tuple[TableCell, ...]
    kind: RowKind = "own"


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A table with the notes under it."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Notes:
    """Marks for the reasons of one table: a reason that occurs twice has one mark."""

    reasons: list[str] = field(default_factory=list)

    def mark(self, reason: str) -> str:
        """The mark of a reason: a, b, ... z, aa, ..."""
        if reason not in self.reasons:
            self.reasons.append(reason)
        return _letters(self.reasons.index(reason))

    @property
    def rows(self) -> tuple[str, ...]:
        """What stands under the table."""
        return tuple(f"{_letters(place)}: {reason}" for place, reason in enumerate(self.reasons))


def score_cell(score: ReportedScore | None, notes: Notes, *, best: bool = False) -> TableCell:
    """A score with its interval; where there is no value, a mark for the reason."""
    if score is None:
        return TableCell()
    if not score.defined:
        return TableCell(
            UNDEFINED, mark=notes.mark(score.reason or "undefined, no reason was given")
        )
    detail = f"{score.low:.3f} to {score.high:.3f}" if score.has_interval else ""
    return TableCell(f"{score.value:.3f}", detail, best=best)


def number_cell(value: float) -> TableCell:
    """A plain number, empty for NaN."""
    return TableCell("" if value != value else f"{value:.3f}")


def _letters(place: int) -> str:
    first, last = divmod(place, 26)
    return (_letters(first - 1) if first else "") + chr(ord("a") + last)
