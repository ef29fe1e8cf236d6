"""What the page looks into: stores as one archive, their recordings, where their sound lies.

Everything about a window is an array over all windows of the archive, so that filters and orders
of ten million windows are a few operations of NumPy and no loop.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.errors import UsageError
from dawnchorus.labelling.verdicts import WindowIndex
from dawnchorus.local_time import iso_text, later, local_start
from dawnchorus.paths import from_stored_name, is_remote
from dawnchorus.search.archive import Archive
from dawnchorus.store.local import zone_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

DAY_S: Final = 86_400
NO_TIME: Final = np.iinfo(np.int64).min


class NotThereError(UsageError):
    """The page asked for something that these stores do not have."""


@dataclass(frozen=True, slots=True)
class RecordingFacts:
    """What is known of one recording.

    Attributes:
        recording_id, path, status: as in the store.
        store: number of the store.
        site: None where the store does not say it.
        began: local time, with its zone if one is known; None where the clock is not known.
        duration_s, rate, channels: 0 where it could not be read.
        reason: why it was not read, in words.
        stamp: of the file as it was embedded; a picture of another file is another picture.
    """

    recording_id: str
    path: str
    status: str
    store: int
    site: str | None
    began: datetime | None
    duration_s: float
    rate: int
    channels: int
    reason: str | None
    stamp: str


@dataclass
class Library:
    """Stores that are open, and all that is asked of them more than once.

    Attributes:
        archive: of all windows.
        roots: for each store the folder of its recordings.
        time_zone: of recordings that give UTC or no zone; None: as the stores say.
    """

    archive: Archive
    roots: Sequence[Path]
    time_zone: str | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @classmethod
    def open(
        cls,
        stores: Sequence[str | Path],
        audio_root: str | Path | None = None,
        time_zone: str | None = None,
    ) -> Library:
        """Open stores.

        Args:
            stores: of one model and settings.
            audio_root: where the recordings lie now. None: where each store has them from.
            time_zone: of recordings that give UTC or no zone.

        Raises:
            UsageError: A store is named twice.
            StoreError: A store is damaged, or has other settings than the first.
        """
        archive = Archive(stores)
        roots = [
            from_stored_name(str(audio_root or store.header.audio_root)) for store in archive.stores
        ]
        return cls(archive, roots, time_zone)

    @cached_property
    def recordings(self) -> dict[str, RecordingFacts]:
        """Every recording of the stores, by id; of one in two stores, the first."""
        found: dict[str, RecordingFacts] = {}
        for number, store in enumerate(self.archive.stores):
            for row in store.recordings().to_pylist():
                found.setdefault(row["recording_id"], self._facts(row, number))
        return found

    def _facts(self, row: Mapping[str, Any], store: int) -> RecordingFacts:
        zone = zone_of(self.time_zone, row["time_zone"])
        began = row["recorded_at"]
        site = row.get("site")
        return RecordingFacts(
            recording_id=row["recording_id"],
            path=row["path"],
            status=row["status"],
            store=store,
            site=None if site is None else str(site),
            began=local_start(began, zone) if began else None,
            duration_s=row["duration_s"] or 0.0,
            rate=row["rate"] or 0,
            channels=row["channels"] or 0,
            reason=row["message"] or row["reason"],
            stamp=f"{row['file_size']}-{row['modified_ns']}",
        )

    def recording(self, recording_id: str) -> RecordingFacts:
        """One recording.

        Raises:
            NotThereError: The stores have none of this id.
        """
        found = self.recordings.get(recording_id)
        if found is None:
            raise NotThereError("no recording of this id is in these stores")
        return found

    @cached_property
    def windows(self) -> pa.Table:
        """``recording_id``, ``window``, ``start_s``, ``stop_s`` of every window; no copies."""
        names = ("recording_id", "window", "start_s", "stop_s")
        return pa.table({name: self.archive.column(name) for name in names})

    @cached_property
    def start_s(self) -> NDArray[np.float64]:
        """Where each window begins in its recording."""
        return np.asarray(self.windows["start_s"].to_numpy(), np.float64)

    @cached_property
    def stop_s(self) -> NDArray[np.float64]:
        """Where each window ends."""
        return np.asarray(self.windows["stop_s"].to_numpy(), np.float64)

    @cached_property
    def facts(self) -> list[RecordingFacts]:
        """The recordings that have windows; `owner` gives places in this list."""
        rows = self._first_rows
        ids = self.windows["recording_id"].take(pa.array(rows)).to_pylist()
        return [self.recordings[one] for one in ids]

    @cached_property
    def owner(self) -> NDArray[np.int32]:
        """The recording of each window, as a place in `facts`."""
        return self.archive.recording_numbers()

    @cached_property
    def _first_rows(self) -> NDArray[np.int64]:
        if not self.archive.n_windows:
            return np.zeros(0, np.int64)
        return np.unique(self.owner, return_index=True)[1].astype(np.int64)

    @cached_property
    def sites(self) -> tuple[list[str], NDArray[np.int32]]:
        """Names of the sites, and for each of `facts` a place among them; -1: not known."""
        names = sorted({one.site for one in self.facts if one.site is not None})
        place = {name: at for at, name in enumerate(names)}
        codes = [place.get(one.site, -1) if one.site is not None else -1 for one in self.facts]
        return names, np.array(codes, np.int32)

    @cached_property
    def local_seconds(self) -> NDArray[np.int64]:
        """For each of `facts` when it began, as seconds of the clock on the wall since 1970."""
        epoch = np.datetime64("1970-01-01T00:00:00")
        seconds = [
            NO_TIME
            if one.began is None
            else int((np.datetime64(one.began.replace(tzinfo=None), "s") - epoch).astype(int))
            for one in self.facts
        ]
        return np.array(seconds, np.int64)

    def clock(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """The clock on the wall when each window begins, in seconds; nan: not known.

        Over the night of a clock change it runs on; what is shown of a window is exact.
        """
        began = self.local_seconds[self.owner[rows]]
        return np.where(began == NO_TIME, np.nan, began + self.start_s[rows])

    def local_time(self, recording: RecordingFacts, start_s: float) -> str | None:
        """When something in a recording begins, as ISO 8601."""
        return None if recording.began is None else iso_text(later(recording.began, start_s))

    @cached_property
    def index(self) -> WindowIndex:
        """Finds windows by recording."""
        return WindowIndex(self.windows)

    def file(self, recording: RecordingFacts) -> Path:
        """The file of a recording: it lies under the folder that its store names, or nowhere.

        Raises:
            NotThereError: The path leads out of the folder, or to something that is no file.
        """
        root = self.roots[recording.store]
        path = from_stored_name(recording.path, root)
        if is_remote(path):
            return path
        resolved = path.resolve()
        if not resolved.is_relative_to(root.resolve()):
            raise NotThereError(
                f"{recording.path}: lies outside the folder of the recordings, {root}; name the "
                "folder above both with --audio-root"
            )
        if not resolved.is_file():
            raise NotThereError(
                f"{recording.path}: not found in {root}; if the recordings have moved, start with "
                "--audio-root FOLDER"
            )
        return resolved

    def has_sound(self, recording: RecordingFacts) -> bool:
        """Whether the recording's file is there."""
        try:
            self.file(recording)
        except (NotThereError, OSError):
            return False
        return True

    def text_matches(self, text: str) -> NDArray[np.bool_]:
        """For each of `facts` whether the text is in its path or site, in any case of letters."""
        wanted = text.casefold()
        return np.array(
            [wanted in f"{one.path}\n{one.site or ''}".casefold() for one in self.facts], bool
        )


def column_texts(table: pa.Table, name: str) -> list[str]:
    """Distinct texts of a column, sorted; none where the table does not have it."""
    if name not in table.column_names:
        return []
    values = pc.unique(table[name].cast(pa.string())).to_pylist()
    return sorted(value for value in values if value is not None)
