"""Several stores of one model and one way of cutting become one, in few and large parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.errors import StoreError, UsageError
from dawnchorus.paths import as_path, common_folder, from_stored_name, relative_name, stored_name
from dawnchorus.store.buffer import WindowRows
from dawnchorus.store.read import Store
from dawnchorus.store.schema import FLAGS, HEADER_NAME, recording_id
from dawnchorus.store.write import StoreWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from dawnchorus.store.read import StoredRecording
    from dawnchorus.store.schema import RecordingRow, StoreHeader

PART_SECONDS: Final = 3600.0  # parts are cut by size: nothing is lost that the sources do not have


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeReport:
    """``n_duplicates`` recordings were in the target already, or in an earlier source."""

    n_merged: int
    n_duplicates: int
    n_windows: int


def merge_stores(sources: Iterable[str | Path], target: str | Path) -> MergeReport:
    """Copy the finished recordings of stores into one, which may be there already.

    Paths become relative to the folder that holds all of the stores' recordings.

    Raises:
        UsageError: No source was given.
        StoreError: Settings differ, a source is damaged, or the disk refuses.
    """
    stores = [Store(source) for source in sources]
    if not stores:
        raise UsageError("merge: need one store or more to merge into another")
    target = as_path(target)
    header = _joint_header(stores, target)
    n_merged = n_duplicates = n_windows = 0
    seen: set[str] = set()
    with StoreWriter(target, header, part_seconds=PART_SECONDS) as writer:
        root = from_stored_name(writer.header.audio_root)
        for store in stores:
            for recording in store.each_recording(scores=header.labels is not None):
                row = _moved(recording.row, from_stored_name(store.header.audio_root), root)
                known = writer.catalog.get(row.recording_id)
                # the writer knows only what is committed, which may be minutes behind
                if row.recording_id in seen or (known and known.status == "done"):
                    n_duplicates += 1
                    continue
                seen.add(row.recording_id)
                writer.add(replace(row, status="partial"), _rows(recording))
                writer.finish(row)
                n_merged, n_windows = n_merged + 1, n_windows + row.n_windows
    return MergeReport(n_merged=n_merged, n_duplicates=n_duplicates, n_windows=n_windows)


def _joint_header(stores: Sequence[Store], target: Path) -> StoreHeader:
    """The first store's, with the root of all; every other one must agree with it."""
    first = stores[0].header
    for store in stores[1:]:
        differences = first.differences(store.header)
        if differences:
            raise StoreError(
                f"{store.path}: other settings than {stores[0].path}: {'; '.join(differences)}"
            )
    if (target / HEADER_NAME).exists():
        return first  # the writer compares it with the target's
    root = common_folder([from_stored_name(store.header.audio_root) for store in stores])
    return first.model_copy(update={"audio_root": stored_name(root)})


def _moved(row: RecordingRow, old: Path, new: Path) -> RecordingRow:
    """A row with its path from another root, without its parts: the writer makes new ones."""
    apart = old != new and "://" not in row.path  # a URL is whole wherever the root is
    path = relative_name(from_stored_name(row.path, old), new) if apart else row.path
    return replace(row, recording_id=recording_id(path), path=path, parts=(), revision=0)


def _rows(recording: StoredRecording) -> WindowRows:
    columns = recording.windows
    bits = [columns[name].to_numpy().astype(np.int64) << bit for bit, name in enumerate(FLAGS)]
    return WindowRows(
        window=columns["window"].to_numpy().astype(np.int64),
        start_sample=columns["start_sample"].to_numpy(),
        valid_samples=columns["valid_samples"].to_numpy().astype(np.int64),
        flags=sum(bits, np.zeros(len(columns), np.int64)),
        vectors=recording.vectors,
        scores=recording.scores if recording.scores.shape[1] else None,
    )
