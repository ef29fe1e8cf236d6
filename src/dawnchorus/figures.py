"""Figures of matplotlib as files: what is written on them is a user's, and is drawn as it stands.

A label may hold dollars, which matplotlib takes for a formula, or letters that its font lacks.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.errors import DependencyError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

# Without date and program in the file, the same figure is the same bytes.
FORMATS: Final[dict[str, dict[str, None]]] = {
    "png": {"Software": None},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}
OWN_FORMULA: Final = "\\mathdefault"  # in the powers of ten that matplotlib writes along an axis


def new_figure(width_in: float, height_in: float, *, extra: str, what: str) -> Any:
    """An empty figure that keeps its parts from overlapping.

    Args:
        width_in: inches.
        height_in: inches.
        extra: of ours, that brings matplotlib.
        what: is drawn, for the message.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    try:
        # not pyplot, which keeps every figure and picks a window system
        from matplotlib.figure import Figure  # noqa: PLC0415  an extra, slow to import
    except ImportError as error:
        raise DependencyError("matplotlib", extra, what) from error
    return Figure(figsize=(width_in, height_in), layout="constrained")


def picture_format(path: Path) -> str:
    """The format of a picture's file, by its suffix; without one, PNG. Ask before long work.

    Raises:
        UsageError: It is none of `FORMATS`.
    """
    name = path.suffix.lower().removeprefix(".") or "png"
    if name not in FORMATS:
        raise UsageError(f"{path}: a picture is one of {', '.join(FORMATS)}, not {name!r}")
    return name


def picture_bytes(figure: Any, form: str = "png", *, dpi: int) -> bytes:
    """A figure as a file of one of `FORMATS`."""
    _take_no_formulas(figure)
    drawn = io.BytesIO()
    with warnings.catch_warnings():
        # a box stands for such a letter, and the path of a file of ours says nothing to a user
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(drawn, format=form, dpi=dpi, metadata=FORMATS[form])
    return drawn.getvalue()


def _take_no_formulas(figure: Any) -> None:
    from matplotlib.text import Text  # noqa: PLC0415  an extra

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_ticklabels(which="both")  # they are made when they are first asked for
    for text in figure.findobj(Text):
        words = text.get_text()
        if "$" in words and OWN_FORMULA not in words:
            text.set_parse_math(False)
