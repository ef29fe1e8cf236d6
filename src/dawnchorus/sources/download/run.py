"""The sound of a manifest, fetched into a folder within request limits.

Many files at once, few from one host. Files that are there already are not fetched again. What
became of each file is a line of ``downloads.jsonl``. At the end ``downloaded.parquet`` in the
folder lists the files that are there, with paths: it is the manifest to continue with.
"""

from __future__ import annotations

import errno
import threading
import time
from collections import Counter, deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.configs.data import DownloadConfig
from dawnchorus.errors import RunInterruptedError, TaskError, UsageError
from dawnchorus.progress import NO_PROGRESS, Progress
from dawnchorus.sources.download.fetch import FetchedFile, fetch_file, safe_name
from dawnchorus.sources.download.ledger import DONE, Ledger, LedgerEntry
from dawnchorus.sources.download.remote_files import (
    RemoteFile,
    batches_of,
    files_to_fetch,
    locked_ledger,
)
from dawnchorus.sources.download.requests import FailedRequestError, LimitedClient, RateLimiter
from dawnchorus.store.files import whole_file
from dawnchorus.url_secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dawnchorus.progress import Advance

MANIFEST_NAME: Final = "downloaded.parquet"
N_AHEAD: Final = 500  # rows among which one is looked for whose host is free
# full, or over the user's quota: no other file would fit either
NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT}
GIVEN_UP: Final = "host given up"


@dataclass(slots=True)
class DownloadReport:
    """What a download did.

    Attributes:
        n_found: rows of the manifest with a file to fetch.
        n_done: fetched now.
        n_there: there already.
        failed: reason to number.
        refused: rows that were not to be fetched, by reason.
        n_bytes: fetched now.
        wall_s: seconds.
        manifest: of what is there.
    """

    n_found: int = 0
    n_done: int = 0
    n_there: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    n_bytes: int = 0
    wall_s: float = 0.0
    manifest: str = ""

    @property
    def n_failed(self) -> int:
        """Over all reasons."""
        return sum(self.failed.values())


def download(
    manifest: Path,
    folder: Path,
    config: DownloadConfig | None = None,
    *,
    stop: threading.Event | None = None,
    progress: Progress = NO_PROGRESS,
) -> DownloadReport:
    """Fetch every file of a manifest's ``url`` column that is not there yet.

    Args:
        manifest: Parquet.
        folder: made if missing; a stopped download resumes in it.
        config: how many at once, within which limits, which licences.
        stop: when set, downloads in progress stop and keep what they have.
        progress: counts each file.

    Raises:
        UsageError: The manifest is the list of what is there, which would be written over.
        TaskError: The manifest is not one, another download works in the folder, or the disk is
            full.
        RunInterruptedError: The run was stopped.
    """
    config = config or DownloadConfig()
    if manifest.resolve() == (folder / MANIFEST_NAME).resolve():
        raise UsageError(f"{manifest}: lists what is there already; give the manifest it came from")
    started = time.monotonic()
    report = DownloadReport()
    with locked_ledger(folder) as ledger:
        advance = progress.start("downloading", _n_rows(manifest), "files")
        downloader = _Downloader(folder, config, ledger, report, stop or threading.Event())
        try:
            with closing(downloader):
                downloader.work(_left(manifest, config, ledger, report, advance), advance)
        finally:
            report.manifest = str(_write_manifest(manifest, folder, ledger))
    report.wall_s = time.monotonic() - started
    return report


def _left(
    manifest: Path,
    config: DownloadConfig,
    ledger: Ledger,
    report: DownloadReport,
    advance: Advance,
) -> Iterator[RemoteFile]:
    """Files that are not there yet; the others are counted."""
    for file in files_to_fetch(manifest, config, report.refused):
        report.n_found += 1
        if ledger.done(file.id, file.url):
            report.n_there += 1
            advance(1)
        else:
            yield file
    if report.refused:  # rows that are counted in the total as well
        advance(sum(report.refused.values()))


def _n_rows(manifest: Path) -> int | None:
    try:
        return int(pq.read_metadata(manifest).num_rows)
    except (OSError, pa.ArrowException):
        return None  # reading its rows says what is wrong with it


class _Downloader:
    """Threads that fetch files, and the one that hands the files out."""

    def __init__(
        self,
        folder: Path,
        config: DownloadConfig,
        ledger: Ledger,
        report: DownloadReport,
        stop: threading.Event,
    ) -> None:
        self._folder, self._config, self._stop = folder, config, stop
        self._ledger, self._report = ledger, report
        self._client = LimitedClient(config, RateLimiter(config.per_second, stop=stop))
        self._pool = ThreadPoolExecutor(config.n_downloads, thread_name_prefix="dawnchorus-fetch")
        self._running: dict[Future[LedgerEntry], RemoteFile] = {}
        self._n_running: Counter[str] = Counter()
        self._n_failed_in_a_row: Counter[str] = Counter()

    def close(self) -> None:
        """Wait for the files in progress; after a stop they end soon."""
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def work(self, rows: Iterator[RemoteFile], advance: Advance) -> None:
        """Fetch all rows, looking some way ahead for one whose host is free."""
        # rows of one host often follow each other; others are looked for behind them
        ahead: deque[RemoteFile] = deque()
        exhausted = False
        while True:
            while not exhausted and len(ahead) < N_AHEAD:
                row = next(rows, None)
                exhausted = row is None
                if row is not None:
                    ahead.append(row)
            if not self._stop.is_set():
                self._start(ahead, advance)
            if not self._running:
                break
            # only this thread hands out files and writes the ledger, so neither needs a lock
            finished, _ = wait(self._running, return_when=FIRST_COMPLETED)
            for future in finished:
                self._finish(future)
                advance(1)
        if self._stop.is_set():
            raise RunInterruptedError("stopped; what was fetched is kept, the same call resumes")

    def _start(self, ahead: deque[RemoteFile], advance: Advance) -> None:
        for _ in range(len(ahead)):
            if len(self._running) >= self._config.n_downloads:
                return
            row = ahead.popleft()
            # a host that only fails would cost a timeout for each of its files
            if self._n_failed_in_a_row[row.host] >= self._config.give_up_after:
                self._report.failed[f"{GIVEN_UP}: {row.host}"] += 1
                advance(1)
            # its turn comes when one of its downloads is finished
            elif self._n_running[row.host] >= self._config.n_per_host:
                ahead.append(row)
            else:
                self._running[self._pool.submit(self._fetch, row)] = row
                self._n_running[row.host] += 1

    def _fetch(self, row: RemoteFile) -> LedgerEntry:
        started = time.monotonic()
        try:
            fetched: FetchedFile = fetch_file(
                self._client,
                row.url,
                self._folder / safe_name(row.id),
                sha256=row.sha256,
                least_bytes_s=self._config.least_bytes_s,
                most_bytes=self._config.most_mb * 1e6,
                stop=self._stop,
            )
        except FailedRequestError as failure:
            outcome: dict[str, Any] = {"status": failure.reason}
        else:
            path = fetched.path.relative_to(self._folder).as_posix()
            outcome = {"status": DONE, "path": path, "n_bytes": fetched.n_bytes}
            outcome["sha256"] = fetched.sha256
        now = datetime.now(UTC).isoformat(timespec="seconds")
        wall_s = round(time.monotonic() - started, 3)
        return LedgerEntry(
            id=row.id, url=without_secrets(row.url), when=now, wall_s=wall_s, **outcome
        )

    def _finish(self, future: Future[LedgerEntry]) -> None:
        row = self._running.pop(future)
        self._n_running[row.host] -= 1
        try:
            entry = future.result()
        except RunInterruptedError:
            return
        except OSError as error:
            self._stop.set()
            room = "the disk is full" if error.errno in NO_ROOM else str(error)
            raise TaskError(
                f"{self._folder}: cannot be written: {room}; what was fetched is kept"
            ) from error
        self._ledger.add(entry)
        if entry.status == DONE:
            self._n_failed_in_a_row[row.host] = 0
            self._report.n_done += 1
            self._report.n_bytes += entry.n_bytes
        else:
            self._n_failed_in_a_row[row.host] += 1
            self._report.failed[entry.status] += 1


def _write_manifest(manifest: Path, folder: Path, ledger: Ledger) -> Path:
    """Write the rows of the manifest whose file is there, with its path and hash."""
    target = folder / MANIFEST_NAME
    tables = (_present(pa.Table.from_batches([batch]), ledger) for batch in batches_of(manifest))
    first = next(tables, None)
    # not one batch: the manifest has no rows
    if first is None:
        return target
    with (
        whole_file(target) as unfinished,
        pq.ParquetWriter(unfinished, first.schema, compression="zstd") as writer,
    ):
        for table in chain([first], tables):
            if table.num_rows:
                writer.write_table(table)
    return target


def _present(table: pa.Table, ledger: Ledger) -> pa.Table:
    rows = []
    for row in table.to_pylist():
        entry = ledger.done(row["id"], row["url"]) if row["url"] else None
        if entry is not None:
            found = {"path": entry.path, "sha256": entry.sha256}
            rows.append(row | found | {"url": without_secrets(row["url"])})
    schema = table.schema
    for name in ("path", "sha256"):
        if name not in schema.names:
            schema = schema.append(pa.field(name, pa.string()))
    return pa.Table.from_pylist(rows, schema=schema)
