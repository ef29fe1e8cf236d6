"""How pictures look: one colour and mark for a model in all of them, for colour-blind eyes too.

Eight colours differ enough for everybody (Okabe and Ito's, yellow left out for white paper and a
wine red added); a ninth model has the first colour with another mark and dash.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.figures import new_figure, picture_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

COLOURS: Final = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#333333",
)  # fmt: skip
MARKS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: Final = ("-", "--", ":", "-.")
GREY: Final = "#8a8a8a"
DPI: Final = 110
SMALL: Final = 8.0  # points
NARROWEST_IN: Final = 5.0  # with a legend
LEGEND_LINE_IN: Final = 0.19
DRAWN: Final = "drawing a report"


@dataclass(frozen=True, slots=True)
class ModelStyle:
    """How a model is drawn."""

    colour: str
    mark: str
    dash: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture.

    Attributes:
        name: of its file, without suffix.
        caption: what is seen, and how to read it.
    """

    name: str
    title: str
    caption: str
    png: bytes


def model_style(place: int) -> ModelStyle:
    """The look of a model by its place in the report's list."""
    turn = place // len(COLOURS)
    return ModelStyle(
        COLOURS[place % len(COLOURS)],
        MARKS[place % len(MARKS)] if turn == 0 else MARKS[(place + turn) % len(MARKS)],
        DASHES[turn % len(DASHES)],
    )


def panels(
    n: int, *, most_columns: int, size_in: tuple[float, float], legend: Sequence[str] = ()
) -> tuple[Any, list[Any]]:
    """A figure with ``n`` panels of one size, in rows, and the panels.

    Args:
        n: at least 1.
        most_columns: panels beside each other.
        size_in: of a panel, inches.
        legend: what `legend_below` will name; room is made for it.
    """
    n_rows = -(-n // most_columns)
    n_columns = -(-n // n_rows)  # five in two rows are three and two
    width = max(size_in[0] * n_columns, NARROWEST_IN if legend else 0.0)
    rows = -(-len(legend) // _legend_columns(width, legend)) if legend else 0
    height = size_in[1] * n_rows + LEGEND_LINE_IN * rows
    figure = new_figure(width, height, extra="benchmark", what=DRAWN)
    grid = figure.subplots(n_rows, n_columns, squeeze=False).ravel().tolist()
    for axes in grid[n:]:
        axes.remove()
    return figure, grid[:n]


def legend_below(figure: Any, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """One legend for all panels, under them."""
    n_columns = _legend_columns(figure.get_figwidth(), labels)
    figure.legend(
        handles, labels, loc="outside lower center", ncols=n_columns, fontsize=SMALL, frameon=False
    )


def _legend_columns(width_in: float, labels: Sequence[str]) -> int:
    letters = width_in * 72 / (SMALL * 0.6)  # in a line
    return max(1, min(len(labels), int(letters // (max(map(len, labels)) + 8))))


def tidy(axes: Any) -> None:
    """Only the two axes that are read, and small ticks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)


def as_png(figure: Any) -> bytes:
    """The figure as a PNG file."""
    return picture_bytes(figure, dpi=DPI)


def file_name(*parts: str) -> str:
    """A name of letters, digits and lines that any system takes."""
    text = "_".join(parts).lower()
    return "".join(sign if sign.isalnum() and sign.isascii() else "_" for sign in text)
