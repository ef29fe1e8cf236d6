"""Recordings from behind a URL, fetched while the ones before them are read."""

from __future__ import annotations

import shutil
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING, Final

from dawnchorus.paths import fetch, is_remote

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterable

    from dawnchorus.engine.recordings.jobs import RecordingJob

AHEAD: Final = 3  # copies on disk beside the one that is read
FETCHERS: Final = 3


def fetch_ahead(jobs: Iterable[RecordingJob], stop: threading.Event) -> Generator[RecordingJob]:
    """The same jobs; those behind a URL with a copy on the way, which is removed after its turn."""
    with (
        TemporaryDirectory(prefix="dawnchorus-") as folder,
        ThreadPoolExecutor(FETCHERS, thread_name_prefix="dawnchorus-fetch") as pool,
    ):
        # only submits; the copy is waited for when its turn comes
        def begin(job: RecordingJob) -> RecordingJob:
            if job.skip is not None or not is_remote(job.path):
                return job
            return replace(job, fetched=pool.submit(_fetched, job.path, Path(folder), stop))

        def in_turn(n_left: int) -> Generator[RecordingJob]:
            while len(waiting) > n_left:
                job = waiting.popleft()
                yield job
                if job.fetched is not None and job.fetched.exception() is None:
                    shutil.rmtree(job.fetched.result().parent, ignore_errors=True)

        waiting: deque[RecordingJob] = deque()
        try:
            for job in jobs:
                waiting.append(begin(job))
                # what lies on this machine is planned no earlier than it is read
                yield from in_turn(AHEAD if is_remote(job.path) else 0)
            yield from in_turn(0)
        finally:
            pool.shutdown(cancel_futures=True)


def _fetched(remote: Path, folder: Path, stop: threading.Event) -> Path:
    # a folder each: two recordings may have one name
    copy = Path(mkdtemp(dir=folder)) / remote.name
    if not stop.is_set():
        fetch(remote, copy)
    return copy
