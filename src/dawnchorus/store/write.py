"""Writing a store, and its one commit rule.

Vectors are written first, as a part that nothing names yet; then a part of ``recordings/`` names
it. The second rename is the commit: whatever a kill leaves before it is an orphan, which the next
writer that is alone removes. Many may write at once: no file is ever changed, and a recording is
claimed before it is read.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Self

from dawnchorus.errors import StoreError
from dawnchorus.paths import is_remote, remote_errors
from dawnchorus.store.buffer import WindowBuffer
from dawnchorus.store.catalog import Catalog
from dawnchorus.store.files import is_unfinished, remove_if_possible, write_first
from dawnchorus.store.locks import StoreLocks
from dawnchorus.store.parts import part_names, write_part
from dawnchorus.store.schema import (
    EMBEDDINGS,
    HEADER_NAME,
    LOCK_NAME,
    RECORDINGS,
    Part,
    RecordingRow,
    StoreHeader,
    read_header,
    recording_table,
)
from dawnchorus.store.storage import age_s, is_link, make_folder, names_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from dawnchorus.store.buffer import WindowRows

PART_SECONDS: Final = 30.0  # a kill costs this much work, and that of the part being written
PART_BYTES: Final = 16 * 2**20  # of vectors in memory at most, before a part is written
ORPHAN_S: Final = 86_400.0  # age of leftovers that may be removed where there are no locks
PART_RECORDINGS: Final = 1000  # rows in memory at most; many short recordings fill it first


@dataclass(slots=True)
class _OpenRecording:
    """A recording whose last window has not come yet, or whose row is not committed."""

    row: RecordingRow
    parts: list[Part] = field(default_factory=list)
    n_windows: int = 0
    complete: bool = False
    revision: int | None = None  # of its last commit by this writer


class StoreWriter:
    """An open store; a context manager that commits on the way out, whatever ended the run.

    Recordings run through ``add`` any number of times, then ``finish`` or ``fail``.

    Attributes:
        header: of the store, which may be older than the one that was given.
        catalog: what was committed, by this or any other run; claim a recording before asking.
    """

    def __init__(
        self,
        path: Path,
        header: StoreHeader,
        *,
        clock: Callable[[], float] = time.monotonic,
        part_seconds: float = PART_SECONDS,
        part_bytes: int = PART_BYTES,
    ) -> None:
        """Open or create the store at ``path``, and clear what a killed run left.

        Raises:
            StoreError: The folder is something else, holds other settings, is damaged, or cannot
                be written.
        """
        self._path = path
        self._clock = clock
        self._part_seconds = part_seconds
        self._part_bytes = part_bytes
        make_store_folder(path)
        self._locks = StoreLocks(path / LOCK_NAME)
        try:
            with self._locks.header():
                self.header = self._agree(header)
            for folder in (EMBEDDINGS, RECORDINGS):
                make_folder(path / folder)
            self.catalog = Catalog(path)
            if self._locks.alone:
                self._sweep()
            elif is_remote(path):
                self._sweep_old()
            self._locks.open_to_others()
        except BaseException:
            self._locks.close()
            raise
        self._open: dict[str, _OpenRecording] = {}
        self._guard = threading.Lock()  # `resume` is called by the thread that plans
        self._buffer = WindowBuffer(self.header)
        self._last_flush = clock()

    def _agree(self, header: StoreHeader) -> StoreHeader:
        if not (self._path / HEADER_NAME).exists():
            write_first(self._path / HEADER_NAME, header.to_bytes())
        stored = read_header(self._path)
        differences = stored.differences(header)
        if differences:
            raise StoreError(
                f"{self._path}: this store has other settings: {'; '.join(differences)}. "
                f"Use the same settings, or another store"
            )
        return stored

    def _sweep(self) -> None:
        # a linked folder may belong to another store, and its parts are not orphans
        if not is_link(self._path / EMBEDDINGS):
            for name in part_names(self._path / EMBEDDINGS) - self.catalog.named_parts:
                remove_if_possible(self._path / EMBEDDINGS / name)
        for folder in (self._path, self._path / EMBEDDINGS, self._path / RECORDINGS):
            for name in () if is_link(folder) else filter(is_unfinished, names_in(folder)):
                remove_if_possible(folder / name)

    def _sweep_old(self) -> None:
        # without locks, another writer may be about to name a part; but none takes a day
        for name in part_names(self._path / EMBEDDINGS) - self.catalog.named_parts:
            part = self._path / EMBEDDINGS / name
            try:
                if age_s(part) > ORPHAN_S:
                    remove_if_possible(part)
            except OSError:
                continue

    @property
    def has_locks(self) -> bool:
        """Whether this disk has locks, so that no two runs do the same recording."""
        return self._locks.supported

    def claim(self, recording_id: str) -> bool:
        """Take a recording for this run; False: another run is doing it.

        It is given up when its last row is committed, by `give_up`, or when this process ends.
        """
        if not self._locks.claim(recording_id):
            return False
        self.catalog.refresh()
        return True

    def give_up(self, recording_id: str) -> None:
        """A recording that was claimed is not this run's to do, or there is nothing to do."""
        with self._guard:
            self._open.pop(recording_id, None)
        self._locks.release(recording_id)

    def update_row(self, recording: RecordingRow) -> None:
        """Commit a new row of a recording that is done; its windows stay."""
        parts, n_windows = list(recording.parts), recording.n_windows
        with self._guard:
            self._open[recording.recording_id] = _OpenRecording(
                recording, parts, n_windows, complete=True
            )
        self.flush_if_due()

    def resume(self, recording_id: str) -> int:
        """Continue a ``partial`` recording; returns how many windows are already there."""
        row = self.catalog.row(recording_id)
        if row is None:
            return 0
        with self._guard:
            self._open[recording_id] = _OpenRecording(row, list(row.parts), row.n_windows)
        return row.n_windows

    def add(self, recording: RecordingRow, rows: WindowRows) -> None:
        """Take the next windows of a recording; they may be on disk at once or half a minute later.

        Raises:
            StoreError: The windows do not fit the store, see `WindowBuffer`, or the disk refuses.
        """
        state = self._open.setdefault(recording.recording_id, _OpenRecording(recording))
        state.row = recording
        self._buffer.add(recording, rows, state.n_windows)
        state.n_windows += len(rows.window)
        self.flush_if_due()

    def add_parts(self, recording: RecordingRow, parts: Sequence[Part], n_windows: int) -> None:
        """Take windows that another process wrote as parts of this store; commit them at once.

        ``recording`` is ``partial`` until its last windows are there, then ``done``.

        Raises:
            StoreError: The row promises another number of windows, or the disk refuses.
        """
        state = self._open.setdefault(recording.recording_id, _OpenRecording(recording))
        state.row = recording
        state.parts += parts
        state.n_windows += n_windows
        if recording.status == "done":
            self.finish(recording)
        self.flush()

    def finish(self, recording: RecordingRow) -> None:
        """All windows of the recording have been added; commit it with the next flush."""
        state = self._open.setdefault(recording.recording_id, _OpenRecording(recording))
        if recording.n_windows != state.n_windows:
            raise StoreError(
                f"{recording.path}: {state.n_windows} windows came, its row promises "
                f"{recording.n_windows}; nothing of it is kept"
            )
        state.row, state.complete = recording, True
        self.flush_if_due()

    def fail(self, recording: RecordingRow) -> None:
        """The recording could not be read to its end: its row says why, its windows are dropped."""
        identity = recording.recording_id
        self._buffer.drop(identity)
        before = self._open.get(identity)
        revision = None if before is None else before.revision
        self._open[identity] = _OpenRecording(recording, complete=True, revision=revision)
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Commit when the buffer is large or old."""
        old = self._clock() - self._last_flush >= self._part_seconds
        many = len(self._open) >= PART_RECORDINGS
        if old or many or self._buffer.n_bytes >= self._part_bytes:
            self.flush()

    def flush(self) -> None:
        """Commit everything that was added.

        Raises:
            StoreError: The disk refuses; the store stays as it was at the last commit.
        """
        if len(self._buffer):
            part = write_part(self._path / EMBEDDINGS, self._buffer.table())
            for identity in self._buffer.recordings():
                self._open[identity].parts.append(part)
            self._buffer.clear()
        with self._guard:  # the planning thread adds recordings while this runs
            states = dict(self._open)
        rows = [self._next_row(state) for state in states.values()]
        if rows:
            # the commit: from here on the windows above belong to the store
            part = write_part(self._path / RECORDINGS, recording_table(rows))
            self.catalog.add_own_part(part.name)
        for identity, state in states.items():
            state.revision = self._revision(state)
            if state.complete:
                with self._guard:
                    del self._open[identity]
                self._locks.release(identity)
        self._last_flush = self._clock()

    def _next_row(self, state: _OpenRecording) -> RecordingRow:
        row = replace(
            state.row,
            n_windows=state.n_windows,
            parts=tuple(state.parts),
            revision=self._revision(state),
        )
        return row if state.complete else replace(row, status="partial")

    def _revision(self, state: _OpenRecording) -> int:
        """Of the next commit of a recording."""
        if state.revision is not None:
            return state.revision + 1
        before = self.catalog.get(state.row.recording_id)
        return 0 if before is None else before.revision + 1

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Commit what was added, unless the disk refused it, and let the next writer in."""
        try:
            # after a refusal of the disk a second try would only hide the first error
            if not isinstance(error, StoreError):
                self.flush()
        finally:
            self._locks.close()


def make_store_folder(path: Path) -> None:
    """Make the folder of a store, unless there is one.

    Raises:
        StoreError: The path is a file, a folder with other things in it, or cannot be made.
    """
    try:
        with remote_errors(path):
            make_folder(path)
            if (path / HEADER_NAME).exists():
                return
            others = [name for name in names_in(path) if not _ours(name)]
    except OSError as error:
        raise StoreError(f"{path}: cannot make a store here: {error}") from error
    if others:
        raise StoreError(
            f"{path}: a folder with other things in it ({', '.join(sorted(others)[:3])}) and no "
            f"{HEADER_NAME}; choose a new name for the store"
        )


def _ours(name: str) -> bool:
    # what a run leaves that was killed before its header was there
    return name == LOCK_NAME or is_unfinished(name)
