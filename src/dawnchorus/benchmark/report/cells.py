"""What tables are made of: cells with a mark for what is not a number, and the notes under them.

A value that is undefined is shown as ``n/a`` with a mark, and the mark is explained under the
table; a value that was never computed is an empty cell.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from dawnchorus.benchmark.report.scores import Score

UNDEFINED: Final = "n/a"
LineKind = Literal["own", "published", "difference"]


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a cell; ``detail`` is small beside it, ``mark`` points to a note."""

    text: str = ""
    detail: str = ""
    mark: str = ""
    best: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a table, under a name."""

    name: str
    cells: tuple[Cell, ...]
    kind: LineKind = "own"


@dataclass(frozen=True, slots=True)
class Table:
    """A table with the notes under it."""

    title: str
    headings: tuple[str, ...]
    lines: tuple[Line, ...]
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
    def lines(self) -> tuple[str, ...]:
        """What stands under the table."""
        return tuple(f"{_letters(place)}: {reason}" for place, reason in enumerate(self.reasons))


def score_cell(score: Score | None, notes: Notes, *, best: bool = False) -> Cell:
    """A score with its interval; where there is no value, a mark for the reason."""
    if score is None:
        return Cell()
    if not score.defined:
        return Cell(UNDEFINED, mark=notes.mark(score.reason or "undefined, no reason was given"))
    detail = f"{score.low:.3f} to {score.high:.3f}" if score.has_interval else ""
    return Cell(f"{score.value:.3f}", detail, best=best)


def number_cell(value: float) -> Cell:
    """A plain number, empty for NaN."""
    return Cell("" if value != value else f"{value:.3f}")


def _letters(place: int) -> str:
    first, last = divmod(place, 26)
    return (_letters(first - 1) if first else "") + chr(ord("a") + last)
