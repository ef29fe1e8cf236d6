"""Windows over annotated recordings, and which labels they carry. Pure: no files, no sets.

Source: BEANS repository, beans/datasets.py and beans/utils.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OVERLAP = 0.2  # a window carries a label that overlaps it by more than this


@dataclass(frozen=True, slots=True)
class Annotation:
    """A labelled stretch, in seconds."""

    start_s: float
    stop_s: float
    label: str


def n_windows(length_s: float, width_s: float, hop_s: float) -> int:
    """How many windows are cut; a tail that fills none is lost.

    A piece shorter than a window by less than the hop gives one short window, since the quotient
    is cut towards zero.
    """
    return max(0, int((length_s - width_s) / hop_s) + 1)


def windows(length_s: float, width_s: float, hop_s: float) -> Iterator[tuple[float, float]]:
    """Start and stop of each; the stop may lie behind the end of a short piece."""
    for at in range(n_windows(length_s, width_s, hop_s)):
        yield at * hop_s, at * hop_s + width_s


def is_heard(start_s: float, stop_s: float, annotation: Annotation) -> bool:
    """Whether a window carries an annotation's label.

    It does when it lies inside the annotation, or when an edge of the annotation lies in it and
    they share more than `OVERLAP` of the shorter of the two. What has no length is never heard.
    """
    a, b = annotation.start_s, annotation.stop_s
    if a <= start_s and stop_s <= b:
        return True
    if not (start_s <= a <= stop_s or start_s <= b <= stop_s):
        return False
    shorter = min(stop_s - start_s, b - a)
    if shorter <= 0:
        return False
    return (min(stop_s, b) - max(start_s, a)) / shorter > OVERLAP


def n_chunks(length_s: float, chunk_s: float) -> int:
    """How many chunks hold a recording, the last one shorter."""
    return math.ceil(length_s / chunk_s)


def inside_chunk(
    annotations: Iterable[Annotation], chunk: int, chunk_s: float
) -> tuple[Annotation, ...]:
    """The parts of annotations that lie in a chunk, in its own time."""
    found = []
    for one in annotations:
        first, last = int(one.start_s // chunk_s), int(one.stop_s // chunk_s)
        if first <= chunk <= last:
            start_s = one.start_s - chunk * chunk_s if chunk == first else 0.0
            stop_s = one.stop_s - chunk * chunk_s if chunk == last else chunk_s
            found.append(Annotation(start_s, stop_s, one.label))
    return tuple(found)
