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
WHOLE: Final = 0.99  # a clip of this share of its recording is the recording, not an annotation


def background_labels(names: Sequence[str], manifest: Manifest) -> tuple[str, ...]:
    """The labels of the clips that the user's names mean, whatever their case.

    Raises:
        UsageError: No clip has such a label.
    """
    known = sorted({label for clip in manifest for label in clip.labels})
    labels: list[str] = []
    for name in names:
        same = [label for label in known if label.casefold() == name.casefold()]
        if not same:
            # a misspelled name would make background a class of its own, without a word
            raise UsageError(
                f"--background {name}: no clip has that label; {_suggestion(name, known)}"
            )
        labels += same
    return tuple(dict.fromkeys(labels))


def _suggestion(name: str, known: Sequence[str]) -> str:
    by_case = {label.casefold(): label for label in known}
    close = difflib.get_close_matches(name.casefold(), by_case, 1)
    if close:
        return f"did you mean {by_case[close[0]]!r}?"
    more = f" and {len(known) - 10} more" if len(known) > 10 else ""
    return f"labels are {', '.join(known[:10]) or '(none)'}{more}"


def is_background(label: str, background: Iterable[str]) -> bool:
    """Whether a label is one of the background, whatever its case."""
    return label.casefold() in {name.casefold() for name in background}


def with_unannotated(table: ImportedClips, *, seed: int = 0) -> ImportedClips:
    """Add pieces of annotated recordings that no annotation covers, as clips without a label.

    A recording gives at most as many as it has annotations, drawn at random. A piece is as long as
    nine in ten annotations, and touches none. It has the split, group and other columns of the
    recording's first clip. Recordings that are one clip from end to end have no such parts.

    Args:
        table: the clips.
        seed: of the draw.

    Raises:
        TaskError: No recording has a part that is free and long enough.
    """
    manifest, rng = table.manifest, np.random.default_rng(seed)
    rows_of: dict[str, list[int]] = {}
    for row, clip in enumerate(manifest):
        rows_of.setdefault(clip.path, []).append(row)
    start_s, stop_s = manifest.seconds("start_s"), manifest.seconds("stop_s")
    duration_s = {path: _duration_s(manifest, path, stop_s[rows]) for path, rows in rows_of.items()}
    stop_s = np.where(np.isnan(stop_s), np.inf, stop_s)  # no end: to the end of the recording
    annotations = [
        row
        for path, rows in rows_of.items()
        for row in rows
        if stop_s[row] - start_s[row] < WHOLE * duration_s[path]
    ]
    length_s = usual_length_s(stop_s[annotations] - start_s[annotations], LONGEST_S)
    pieces: list[tuple[int, float]] = []  # row of the recording's first clip, start in seconds
    for path, rows in rows_of.items():
        spans = [(float(start_s[row]), float(stop_s[row])) for row in rows]
        starts = _free_starts(spans, duration_s[path], length_s)
        drawn = rng.permutation(len(starts))[: len(rows)]
        pieces += [(rows[0], starts[k]) for k in np.sort(drawn).tolist()]
    if not pieces:
        raise TaskError(
            f"{manifest.named}: no recording has a part that no annotation covers and that is "
            f"{length_s:g} s long; add clips of background under a label of their own"
        )
    note = (
        f"background: {len(pieces)} pieces of {length_s:g} s from parts of "
        f"{len({row for row, _ in pieces})} recordings that no annotation covers"
    )
    joined = _with_pieces(manifest, pieces, length_s)
    return replace(table, manifest=joined, notes=(*table.notes, note))


def _duration_s(manifest: Manifest, path: str, stops_s: NDArray[np.float64]) -> float:
    """Length of a recording; as far as it is annotated where it cannot be read."""
    measured = measure(manifest.folder, path, deep=False)
    return measured.duration_s or float(np.nanmax(stops_s, initial=0.0))


def usual_length_s(lengths_s: NDArray[np.float64], most_s: float) -> float:
    """Long enough for nine in ten, in tenths of a second, but at most ``most_s``.

    Args:
        lengths_s: ``(n,)``, finite; without any it is ``most_s``.
        most_s: the upper limit.
    """
    if not len(lengths_s):
        return most_s
    # the small number keeps 1.0000000001 s, a length of 1 s after arithmetic, from becoming 1.1 s
    usual_s = np.ceil(10 * float(np.quantile(lengths_s, 0.9)) - 1e-6) / 10
    return float(min(max(usual_s, 0.1), most_s))


def _free_starts(spans: Spans, duration_s: float, length_s: float) -> list[float]:
    """Starts of pieces that follow each other where no span is."""
    starts, free_from_s = [], 0.0
    for start_s, stop_s in [*sorted(spans), (duration_s, duration_s)]:
        # the small number: 3 pieces of 0.1 s fit into 0.3 s, whatever floats make of it
        n_pieces = int((min(start_s, duration_s) - free_from_s + 1e-9) // length_s)
        starts += [free_from_s + k * length_s for k in range(n_pieces)]
        free_from_s = max(free_from_s, stop_s)
    return starts


def _with_pieces(manifest: Manifest, pieces: list[tuple[int, float]], length_s: float) -> Manifest:
    """The manifest with one more row for each piece: its recording's first, but for the span."""
    table = manifest.table
    added = table.take(pa.array([row for row, _ in pieces]))
    starts = [start for _, start in pieces]
    paths = pc.cast(added["path"], pa.string()).to_pylist()
    columns = {
        "id": [f"{path}:{start:.3f}:background" for path, start in zip(paths, starts, strict=True)],
        "start_s": starts,
        "stop_s": [start + length_s for start in starts],
        "labels": [[] for _ in starts],
        "level": [SEGMENT] * len(starts),
    }
    # all other columns (group, split, site ...) stay as those of the recording's first clip
    for name, values in columns.items():
        added = with_column(added, name, pa.array(values).cast(table.schema.field(name).type))
    return manifest.with_table(pa.concat_tables([table, added.select(table.column_names)]))
