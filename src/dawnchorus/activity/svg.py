"""A few shapes of SVG as text; colours come from the style sheet of the page, light or dark."""

from __future__ import annotations

from datetime import date, timedelta
from html import escape
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Final

from dawnchorus.filename_text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
LETTER: Final = 6.2  # pixels that a letter of a tick takes


def plain(text: object) -> str:
    """Any text, such as a file's name, as HTML shows it."""
    return escape(printable(str(text)))


def text(x: float, y: float, words: object, *, at: str = "start", kind: str = "") -> str:
    """A line of text."""
    name = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{at}"{name}>{plain(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line of a class."""
    return f'<path class="{kind}" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'


def rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    """A rectangle of a class."""
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" '
        f'height="{max(height, 0):.1f}"/>'
    )


def dot(x: float, y: float, radius: float, kind: str, title: str = "") -> str:
    """A dot of a class; ``title`` shows where a mouse rests."""
    inside = f"<title>{plain(title)}</title>" if title else ""
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}">{inside}</circle>'


def path(points: Sequence[tuple[float, float]], kind: str) -> str:
    """A line through points."""
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path class="{kind}" d="M{steps}"/>'


def nice_top(value: float) -> float:
    """The end of an axis from 0: a number of one or two digits that is not below the value."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** floor(log10(value))
    steps = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
    # a rounding of the last digit is no reason for a longer axis
    return unit * next(step for step in steps if step >= value / unit * (1 - 1e-9))


def short(value: float) -> str:
    """A number with three digits, without an exponent where that is not needed."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def date_ticks(dates: Sequence[date], width: float) -> list[tuple[int, str]]:
    """Where an axis of dates has ticks, and what they say: months, weeks or days.

    Args:
        dates: in order, each the width of a column; there may be gaps between them.
        width: of the axis in pixels.
    """
    most = max(2, int(width // (LETTER * 9)))
    if len(dates) > 7 * most:
        first = [at for at, day in enumerate(dates) if day.day == 1]
        months = [(at, _month(dates[at], at == first[0])) for at in first]
        return months[:: ceil(len(months) / most)]
    step = next(n for n in (1, 2, 7, 14, 28, 56) if len(dates) <= n * most)
    return [(at, f"{day.day} {MONTHS[day.month - 1]}") for at, day in enumerate(dates)
            if at % step == 0]  # fmt: skip


def _month(day: date, is_first: bool) -> str:  # noqa: FBT001
    name = MONTHS[day.month - 1]
    return f"{name} {day.year}" if is_first or day.month == 1 else name


def gaps_between(dates: Sequence[date]) -> list[int]:
    """Columns before which days were left out, because nothing was recorded for long."""
    one = timedelta(days=1)
    return [at for at in range(1, len(dates)) if dates[at] - dates[at - 1] > one]
