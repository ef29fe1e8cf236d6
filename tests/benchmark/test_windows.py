"""Windows and their labels, against values measured on the original code (PROTOCOLS 11.7, 11.8)."""

from __future__ import annotations

import pytest

from dawnchorus.benchmark.tasks.windows import (
    Annotation,
    inside_chunk,
    is_heard,
    n_chunks,
    n_windows,
    windows,
)


@pytest.mark.parametrize(
    ("length", "width", "hop", "n"),
    [
        (60, 2, 1, 59),
        (60, 4, 2, 29),
        (60, 10, 5, 11),
        (61, 2, 1, 60),
        (59.9, 10, 5, 10),
        (1.5, 2, 1, 1),
        (1, 2, 1, 0),
        (0.1, 10, 1, 0),
    ],
)
def test_as_many_windows_are_cut_as_the_original_cuts(
    length: float, width: float, hop: float, n: int
) -> None:
    assert n_windows(length, width, hop) == n == len(list(windows(length, width, hop)))


@pytest.mark.parametrize(
    ("window", "annotation", "heard"),
    [
        ((0, 2), (1.9, 2.5), False),
        ((1, 3), (1.9, 2.5), True),
        ((2, 4), (0, 10), True),
        ((2, 4), (3.7, 13.7), False),
        ((2, 4), (3.6, 13.6), False),  # exactly a fifth
        ((2, 4), (3.5, 13.5), True),
        ((0, 2), (1, 1), False),
        ((0, 2), (2, 5), False),
        ((0, 2), (1.8, 2.8), False),
        ((0, 2), (0, 2), True),
        ((4, 6), (0, 2), False),
    ],
)
def test_a_window_hears_what_the_original_says(
    window: tuple[float, float], annotation: tuple[float, float], *, heard: bool
) -> None:
    assert is_heard(*window, Annotation(*annotation, "x")) is heard


def test_an_annotation_over_a_border_is_cut_into_both_chunks() -> None:
    one = Annotation(58.5, 121.0, "x")
    parts = [inside_chunk([one], chunk, 60.0) for chunk in range(4)]
    assert parts[0] == (Annotation(58.5, 60.0, "x"),)
    assert parts[1] == (Annotation(0.0, 60.0, "x"),)
    assert parts[2] == (Annotation(0.0, 1.0, "x"),)
    assert parts[3] == ()


def test_the_last_chunk_may_be_short() -> None:
    assert [n_chunks(length, 60.0) for length in (59.0, 60.0, 60.1)] == [1, 1, 2]
