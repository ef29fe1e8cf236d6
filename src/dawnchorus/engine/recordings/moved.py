"""Recordings of a store that are reached by another path: known by their content.

A store names recordings by their path from its audio root. By a link, from a disk that is mounted
elsewhere, or moved together with their store, the same files have other paths. Their bytes say what
they are. A copy is something else: where the recording that the store names is still there, as
another file, both are recordings.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from dawnchorus.engine.recordings.jobs import content_hash_of
from dawnchorus.paths import (
    absolute,
    as_path,
    from_stored_name,
    is_remote,
    relative_name,
    stored_name,
)
from dawnchorus.store.schema import recording_id

if TYPE_CHECKING:
    from pathlib import Path

    from dawnchorus.engine.recordings.find import Scan
    from dawnchorus.engine.recordings.jobs import RecordingJob
    from dawnchorus.store.schema import RecordingRow
    from dawnchorus.store.write import StoreWriter

LOOKED_AT: Final = 64  # recordings of a run, to find out where those of the store lie now
HASHED: Final = 3  # of them: they may be long


@dataclass(frozen=True, slots=True)
class AudioRoot:
    """What names are relative to; ``note`` tells the user when it is not where the store says."""

    path: Path
    note: str | None = None


def audio_root_of(writer: StoreWriter, scan: Scan, given: str | Path | None) -> AudioRoot:
    """Where the recordings of a store lie now: as given, as the store says, or as they are found.

    Args:
        writer: the open store.
        scan: the recordings of this run.
        given: by the user; None: nothing.
    """
    if given is not None:
        return AudioRoot(absolute(as_path(given)))
    root = from_stored_name(writer.header.audio_root)
    moved = _moved(writer, scan, root)
    if moved is None:
        return AudioRoot(root)
    return AudioRoot(
        moved,
        f"the store's recordings are known again by their content: they lie in "
        f"{stored_name(moved)} "
        f"now, not in {stored_name(root)}, and are named as before (--audio-root says it at once)",
    )


def _moved(writer: StoreWriter, scan: Scan, root: Path) -> Path | None:
    if not len(writer.catalog):
        return None
    n_hashed = 0
    looked_at = list(islice(scan.paths(), LOOKED_AT))
    for path in looked_at:
        if writer.catalog.get(recording_id(relative_name(path, root))):
            return None  # the names of the store lead here
        # same size first: hashing a day of sound takes a minute
        if n_hashed < HASHED and not is_remote(path) and _has_size(writer, path):
            n_hashed += 1
            new_root = _root_by_content(writer, path, root)
            if new_root and all(_agrees(writer, other, new_root) for other in looked_at):
                return new_root
    return None


def _has_size(writer: StoreWriter, path: Path) -> bool:
    try:
        return writer.catalog.has_size(path.stat().st_size)
    except (OSError, ValueError):
        return False  # it will be a failed recording


def _root_by_content(writer: StoreWriter, path: Path, root: Path) -> Path | None:
    try:
        content_hash = content_hash_of(path)
    except (OSError, ValueError):
        return None
    row = same_recording(writer, content_hash, path, root)
    return None if row is None else _root_of(path, row)


def _agrees(writer: StoreWriter, path: Path, root: Path) -> bool:
    """No recording of the store with another size has the name of this one under the new root."""
    known = writer.catalog.get(recording_id(relative_name(path, root)))
    if known is None or is_remote(path):
        return True
    try:
        return known.file_size == path.stat().st_size
    except (OSError, ValueError):
        return True


def _root_of(path: Path, row: RecordingRow) -> Path | None:
    """The folder from which a path has the name of a row; None: it has another name."""
    whole, tail = stored_name(absolute(path)), f"/{row.path}"
    return from_stored_name(whole.removesuffix(tail) or "/") if whole.endswith(tail) else None


def same_recording(
    writer: StoreWriter, content_hash: str, path: Path, root: Path
) -> RecordingRow | None:
    """The row of a recording that is this file, under another path; not of one it is a copy of."""
    for identity in writer.catalog.ids_with_content(content_hash):
        row = writer.catalog.row(identity)
        if row is None:
            continue
        stored = from_stored_name(row.path, root)
        try:
            # where the stored one still exists as another file, this one is a copy
            if not stored.exists() or stored.samefile(path):
                return row
        except (OSError, ValueError):
            return row  # it cannot be reached there
    return None


@dataclass(frozen=True, slots=True)
class KnownContent:
    """Tells the reading thread which new paths lead to recordings that are done.

    Attributes:
        writer: the open store.
        root: what names are relative to.
    """

    writer: StoreWriter
    root: Path

    def why_skip(self, job: RecordingJob, content_hash: str) -> str | None:
        """Why a recording need not be embedded, None if it must be."""
        if self.writer.catalog.get(job.recording_id) is not None:
            return None
        row = same_recording(self.writer, content_hash, job.path, self.root)
        if row is None:
            return None
        root = _root_of(job.path, row)
        if root is None:
            return "in the store already, under another name, and not embedded twice"
        return (
            "in the store already, under another path, and not embedded twice; name them as the "
            f"store does with --audio-root {stored_name(root)}"
        )
