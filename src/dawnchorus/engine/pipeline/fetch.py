"""Recordings from behind a URL, fetched while the ones before them are read."""

from __future__ import annotations

import shutil
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING, Final

from dawnchorus.paths import fetch, is_remote

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterable, Iterator

    from dawnchorus.engine.recordings.jobs import RecordingJob

AHEAD: Final = 3  # copies on disk beside those that are read
FETCHERS: Final = 3


@contextmanager
def fetching_ahead(
    jobs: Iterable[RecordingJob], stop: threading.Event
) -> Generator[Iterator[RecordingJob]]:
    """The same jobs; those behind a URL with a copy on the way, to be given to `discard`."""
    with (
        TemporaryDirectory(prefix="dawnchorus-") as folder,
        ThreadPoolExecutor(FETCHERS, thread_name_prefix="dawnchorus-fetch") as pool,
    ):
        try:
            yield _with_copies(jobs, pool, Path(folder), stop)
        finally:
            pool.shutdown(cancel_futures=True)


def _with_copies(
    jobs: Iterable[RecordingJob], pool: ThreadPoolExecutor, folder: Path, stop: threading.Event
) -> Iterator[RecordingJob]:
    # only submits; the copy is waited for when its turn comes
    def begin(job: RecordingJob) -> RecordingJob:
        if job.skip is not None or not is_remote(job.path):
            return job
        return replace(job, fetched=pool.submit(_fetched, job.path, folder, stop))

    waiting: deque[RecordingJob] = deque()
    for job in jobs:
        waiting.append(begin(job))
        # what lies on this machine is planned no earlier than it is read
        while len(waiting) > (AHEAD if is_remote(job.path) else 0):
            yield waiting.popleft()
    yield from waiting


def discard(job: RecordingJob) -> None:
    """Remove the copy of a recording that was read, if there is one."""
    copy = job.fetched
    if copy is not None and copy.done() and not copy.cancelled() and copy.exception() is None:
        shutil.rmtree(copy.result().parent, ignore_errors=True)


def _fetched(remote: Path, folder: Path, stop: threading.Event) -> Path:
    # a folder each: two recordings may have one name
    copy = Path(mkdtemp(dir=folder)) / remote.name
    if not stop.is_set():
        fetch(remote, copy)
    return copy
