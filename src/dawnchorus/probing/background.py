"""Clips in which none of the classes is heard: by a label, or out of annotated recordings."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.clips.manifest import with_column
from dawnchorus.clips.measure import measure
from dawnchorus.errors import TaskError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from dawnchorus.clips.build import ImportedClips
    from dawnchorus.clips.manifest import Manifest

    Spans = list[tuple[float, float]]

SEGMENT: Final = "segment"
LONGEST_S: Final = 10.0  # of a piece; what a usual encoder hears at once


def background_labels(wanted: Sequence[str], manifest: Manifest) -> tuple[str, ...]:
    """The labels of the clips that the user's names mean, whatever their case.

    Raises:
        UsageError: No clip has such a label.
    """
    known = sorted({label for clip in manifest for label in clip.labels})
    found: list[str] = []
    for name in wanted:
        same = [label for label in known if label.casefold() == name.casefold()]
        if not same:
            raise UsageError(
                f"--background {name}: no clip has that label; {_nearest(name, known)}"
            )
        found += same
    return tuple(dict.fromkeys(found))


def _nearest(name: str, known: Sequence[str]) -> str:
    by_case = {label.casefold(): label for label in known}
    close = difflib.get_close_matches(name.casefold(), by_case, 1)
    if close:
        return f"did you mean {by_case[close[0]]!r}?"
    more = f" and {len(known) - 10} more" if len(known) > 10 else ""
    return f"labels are {', '.join(known[:10]) or '(none)'}{more}"


def is_background(label: str, background: Iterable[str]) -> bool:
    """Whether a label is one of the background, whatever its case."""
    return label.casefold() in {name.casefold() for name in background}


def with_unannotated(made: ImportedClips, *, seed: int = 0) -> ImportedClips:
    """Add pieces of annotated recordings that no annotation covers, as clips without a label.

    A recording gives at most as many as it has annotations, drawn at random. A piece is as long as
    nine in ten annotations, and touches none. It has the split, group and other columns of the
    recording's first clip. Recordings that are one clip from end to end have no such parts.

    Args:
        made: the clips.
        seed: of the draw.

    Raises:
        TaskError: No recording has a part that is free and long enough.
    """
    manifest, rng = made.manifest, np.random.default_rng(seed)
    rows_of: dict[str, list[int]] = {}
    for row, clip in enumerate(manifest):
        rows_of.setdefault(clip.path, []).append(row)
    start_s, stop_s = manifest.seconds("start_s"), manifest.seconds("stop_s")
    duration_s = {path: _duration_s(manifest, path, stop_s[rows]) for path, rows in rows_of.items()}
    stop_s = np.where(np.isnan(stop_s), np.inf, stop_s)
    partial = [
        row
        for path, rows in rows_of.items()
        for row in rows
        if stop_s[row] - start_s[row] < 0.99 * duration_s[path]
    ]
    length_s = _usual_s(stop_s[partial] - start_s[partial])
    drawn: list[tuple[int, float]] = []
    for path, rows in rows_of.items():
        spans = [(float(start_s[row]), float(stop_s[row])) for row in rows]
        free = _free(spans, duration_s[path], length_s)
        picked = rng.permutation(len(free))[: len(rows)]
        drawn += [(rows[0], free[k]) for k in np.sort(picked).tolist()]
    if not drawn:
        raise TaskError(
            f"{manifest.named}: no recording has a part that no annotation covers and that is "
            f"{length_s:g} s long; add clips of background under a label of their own"
        )
    note = (
        f"background: {len(drawn)} pieces of {length_s:g} s from parts of "
        f"{len({row for row, _ in drawn})} recordings that no annotation covers"
    )
    return replace(made, manifest=_joined(manifest, drawn, length_s), notes=(*made.notes, note))


def _duration_s(manifest: Manifest, path: str, stops_s: NDArray[np.float64]) -> float:
    """Length of a recording; as far as it is annotated where it cannot be read."""
    found = measure(manifest.folder, path, deep=False)
    return found.duration_s or float(np.nanmax(stops_s, initial=0.0))


def _usual_s(lengths_s: NDArray[np.float64]) -> float:
    """As long as nine in ten, in tenths of a second."""
    if not len(lengths_s):
        return LONGEST_S
    usual_s = np.ceil(10 * float(np.quantile(lengths_s, 0.9)) - 1e-6) / 10
    return float(np.clip(usual_s, 0.1, LONGEST_S))


def _free(spans: Spans, duration_s: float, length_s: float) -> list[float]:
    """Starts of pieces that follow each other where no span is."""
    starts, free_from_s = [], 0.0
    for start_s, stop_s in [*sorted(spans), (duration_s, duration_s)]:
        n_pieces = int((min(start_s, duration_s) - free_from_s + 1e-9) // length_s)
        starts += [free_from_s + k * length_s for k in range(n_pieces)]
        free_from_s = max(free_from_s, stop_s)
    return starts


def _joined(manifest: Manifest, drawn: list[tuple[int, float]], length_s: float) -> Manifest:
    """The manifest with a row more for each piece, alike in all but what a piece is."""
    table = manifest.table
    added = table.take(pa.array([row for row, _ in drawn]))
    starts = [start for _, start in drawn]
    paths = pc.cast(added["path"], pa.string()).to_pylist()
    columns = {
        "id": [f"{path}:{start:.3f}:background" for path, start in zip(paths, starts, strict=True)],
        "start_s": starts,
        "stop_s": [start + length_s for start in starts],
        "labels": [[] for _ in starts],
        "level": [SEGMENT] * len(starts),
    }
    for name, values in columns.items():
        added = with_column(added, name, pa.array(values).cast(table.schema.field(name).type))
    return manifest.with_table(pa.concat_tables([table, added.select(table.column_names)]))
