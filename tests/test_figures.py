"""What users call things is drawn as it stands, and the same figure is the same file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from dawnchorus.errors import UsageError
from dawnchorus.figures import FORMATS, new_figure, picture_bytes, picture_format

ODD = ["cost $5 and $x_", "$\\frac$", "鳥 🐦", "$a$"]


def drawing(names: list[str]) -> Any:
    figure = new_figure(4, 3, extra="plot", what="a test")
    axes = figure.subplots()
    axes.set_yticks(range(len(names)), names)
    axes.plot([1, 10_000], [0, 1], label=names[0])
    axes.set_xscale("log")
    axes.set_title(names[1])
    figure.suptitle(names[2])
    axes.legend()
    return figure


@pytest.mark.parametrize("form", FORMATS)
def test_no_name_is_a_formula_or_a_warning(form: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = picture_bytes(drawing(ODD), form, dpi=60)
    assert len(first) > 2000


def test_dollars_are_drawn_and_powers_of_ten_are_still_formulas() -> None:
    figure = drawing(ODD)
    picture_bytes(figure, dpi=60)
    axes = figure.axes[0]
    assert not any(label.get_parse_math() for label in axes.get_yticklabels() if "$" in
                   label.get_text())  # fmt: skip
    assert any(label.get_parse_math() for label in axes.get_xticklabels())
    assert not axes.title.get_parse_math()


def test_the_same_figure_is_the_same_file() -> None:
    assert picture_bytes(drawing(ODD), dpi=60) == picture_bytes(drawing(ODD), dpi=60)


@pytest.mark.parametrize(("name", "form"), [("a.PNG", "png"), ("a.svg", "svg"), ("a", "png")])
def test_the_suffix_says_the_format(name: str, form: str) -> None:
    assert picture_format(Path(name)) == form


@pytest.mark.parametrize("name", ["a.bmp", "a.xyz", "a.html"])
def test_another_format_is_refused_before_anything_is_drawn(name: str) -> None:
    with pytest.raises(UsageError, match="a picture is one of png, svg, pdf"):
        picture_format(Path(name))
