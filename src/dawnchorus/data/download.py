"""The sound of a manifest, fetched politely into a folder.

Many files at once, few from one host; what is there already is not fetched again. Each file's fate
is a line of ``downloads.jsonl``; at the end ``downloaded.parquet`` in the folder lists what is
there, with paths: it is the manifest to go on with.
"""

from __future__ import annotations

import errno
import shutil
import threading
import time
from collections import Counter, deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.configs.data import DownloadConfig
from dawnchorus.data.fetch_file import Fetched, fetch_file, safe_name
from dawnchorus.data.ledger import DONE, Entry, Ledger
from dawnchorus.data.licences import LicenceRule
from dawnchorus.data.polite import FailedRequestError, PoliteClient, Turnstile
from dawnchorus.errors import RunInterruptedError, TaskError, UsageError
from dawnchorus.store.files import beside, remove_if_possible
from dawnchorus.store.locks import StoreLocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MANIFEST_NAME: Final = "downloaded.parquet"
NEEDED: Final = ("id", "url", "licence", "sha256", "duration_s")
N_AHEAD: Final = 500  # rows looked at for one whose host is free
N_SAMPLED: Final = 24  # files whose size is asked for beforehand
GUESSED_BYTES_S: Final = 16_000.0  # of sound, where no size is known: MP3 of 128 kbit/s
SPARE_BYTES: Final = 200e6  # left free on the disk
ROWS_AT_ONCE: Final = 4_000
NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT}
THE_FOLDER: Final = "0"  # the lock that stands for all of it
GIVEN_UP: Final = "host given up"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A row's file."""

    id: str
    url: str
    sha256: str
    duration_s: float | None

    @property
    def host(self) -> str:
        """Of the URL."""
        return urlsplit(self.url).netloc


@dataclass(slots=True)
class Plan:
    """What a download would do.

    Attributes:
        n_wanted: files to fetch.
        n_there: files that are there already.
        refused: rows that are not fetched, by reason.
        hosts: files to fetch by host.
        n_bytes: of all files to fetch; None where nothing is known.
        exact: whether ``n_bytes`` is the sum of told sizes, else it is extrapolated.
        free_bytes: on the disk.
    """

    n_wanted: int = 0
    n_there: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)
    n_bytes: float | None = None
    exact: bool = False
    free_bytes: float = 0.0

    def check_room(self) -> None:
        """Refuse to begin what the disk cannot hold.

        Raises:
            TaskError: It cannot.
        """
        if self.n_bytes is not None and self.n_bytes + SPARE_BYTES > self.free_bytes:
            raise TaskError(
                f"{self.n_bytes / 1e9:.1f} GB are to be downloaded and {self.free_bytes / 1e9:.1f} "
                "GB are free on that disk; choose another, or a smaller manifest"
            )


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


def plan_download(manifest: Path, folder: Path, config: DownloadConfig | None = None) -> Plan:
    """Say what `download` would fetch, how much that is, and from where; fetches nothing.

    A few files, chosen at random, are asked for their size.

    Raises:
        TaskError: The manifest is not one, or another download works in the folder.
    """
    config = config or DownloadConfig()
    plan = Plan()
    generator = np.random.default_rng(0)
    sample: list[Wanted] = []
    total_s, n_timed = 0.0, 0
    with _at_work(folder) as ledger:
        for wanted in _wanted(manifest, config, plan.refused):
            if ledger.done(wanted.id, wanted.url):
                plan.n_there += 1
                continue
            plan.n_wanted += 1
            plan.hosts[wanted.host] += 1
            if wanted.duration_s:
                total_s, n_timed = total_s + wanted.duration_s, n_timed + 1
            if len(sample) < N_SAMPLED:
                sample.append(wanted)
            elif (place := int(generator.integers(plan.n_wanted))) < N_SAMPLED:
                sample[place] = wanted
    sizes = _sizes(sample, config)
    all_timed = n_timed == plan.n_wanted and plan.n_wanted > 0
    plan.exact = len(sizes) == plan.n_wanted
    if plan.exact:
        plan.n_bytes = float(sum(n_bytes for _, n_bytes in sizes))
    elif sizes and all_timed:
        sampled_s = sum(wanted.duration_s or 0.0 for wanted, _ in sizes)
        plan.n_bytes = sum(n_bytes for _, n_bytes in sizes) / sampled_s * total_s
    elif sizes:
        plan.n_bytes = sum(n_bytes for _, n_bytes in sizes) / len(sizes) * plan.n_wanted
    elif all_timed:
        plan.n_bytes = GUESSED_BYTES_S * total_s
    plan.free_bytes = float(shutil.disk_usage(folder).free)
    return plan


def _sizes(sample: list[Wanted], config: DownloadConfig) -> list[tuple[Wanted, int]]:
    """Sizes that servers tell; one that does not like to be asked is left in peace."""
    sizes, mute = [], set()
    with PoliteClient(config) as client:
        for wanted in sample:
            if wanted.host in mute:
                continue
            try:
                with client.ask(wanted.url, method="HEAD") as answer:
                    told = answer.headers.get("Content-Length", "")
            except FailedRequestError as failure:
                if failure.passing or failure.reason in {"HTTP 405", "HTTP 501", "HTTP 403"}:
                    mute.add(wanted.host)
                continue
            if told.isdigit() and int(told):
                sizes.append((wanted, int(told)))
    return sizes


def download(
    manifest: Path,
    folder: Path,
    config: DownloadConfig | None = None,
    *,
    stop: threading.Event | None = None,
    progress: Callable[[int], None] = lambda _n: None,
) -> DownloadReport:
    """Fetch every file of a manifest's ``url`` column that is not there yet.

    Args:
        manifest: Parquet.
        folder: made if missing; a stopped download goes on in it.
        config: how many at once, how gently, which licences.
        stop: when set, running files stop and keep what came.
        progress: told after each file.

    Raises:
        UsageError: The manifest is the list of what is there, which would be written over.
        TaskError: The manifest is not one, another download works in the folder, or the disk is
            full.
        RunInterruptedError: Told to stop.
    """
    config = config or DownloadConfig()
    if manifest.resolve() == (folder / MANIFEST_NAME).resolve():
        raise UsageError(f"{manifest}: lists what is there already; give the manifest it came from")
    started = time.monotonic()
    report = DownloadReport()
    with _at_work(folder) as ledger:
        crew = _Crew(folder, config, ledger, report, stop or threading.Event())
        try:
            with closing(crew):
                crew.work(_left(manifest, config, ledger, report, progress), progress)
        finally:
            report.manifest = str(_write_manifest(manifest, folder, ledger))
    report.wall_s = time.monotonic() - started
    return report


@contextmanager
def _at_work(folder: Path) -> Iterator[Ledger]:
    """The folder's ledger, for one download at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        locks = stack.enter_context(closing(StoreLocks(folder / ".downloads.lock")))
        locks.open_to_others()
        if not locks.claim(THE_FOLDER):
            raise TaskError(f"{folder}: another download works in this folder; wait for it")
        yield stack.enter_context(closing(Ledger(folder)))


def _batches(manifest: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(manifest) as parquet:
            missing = {"id", "url"} - set(parquet.schema_arrow.names)
            if missing:
                raise TaskError(f"{manifest}: columns {sorted(missing)} are missing")
            there = [name for name in columns or () if name in parquet.schema_arrow.names]
            yield from parquet.iter_batches(ROWS_AT_ONCE, columns=there or None)
    except (OSError, pa.ArrowInvalid) as error:
        raise TaskError(f"{manifest}: not a readable Parquet manifest: {error}") from error


def _wanted(manifest: Path, config: DownloadConfig, refused: Counter[str]) -> Iterator[Wanted]:
    rule = LicenceRule.of(config.licences) if config.licences else None
    for batch in _batches(manifest, list(NEEDED)):
        for row in batch.to_pylist():
            reason = None if rule is None else rule.refusal(row.get("licence"))
            if not row["url"]:
                reason = "no URL"
            elif urlsplit(row["url"]).scheme not in {"http", "https"}:
                reason = "not a URL of the web"
            if reason:
                refused[reason] += 1
                continue
            yield Wanted(row["id"], row["url"], row.get("sha256") or "", row.get("duration_s"))


def _left(
    manifest: Path,
    config: DownloadConfig,
    ledger: Ledger,
    report: DownloadReport,
    progress: Callable[[int], None],
) -> Iterator[Wanted]:
    for wanted in _wanted(manifest, config, report.refused):
        report.n_found += 1
        if ledger.done(wanted.id, wanted.url):
            report.n_there += 1
            progress(1)
        else:
            yield wanted


class _Crew:
    """Threads that fetch, and the one that hands out the files."""

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
        self._client = PoliteClient(config, Turnstile(config.per_second, stop=stop))
        self._pool = ThreadPoolExecutor(config.n_at_once, thread_name_prefix="dawnchorus-fetch")
        self._running: dict[Future[Entry], Wanted] = {}
        self._n_running: Counter[str] = Counter()
        self._n_failed_in_a_row: Counter[str] = Counter()

    def close(self) -> None:
        """Wait for what runs; it ends soon if told to stop."""
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def work(self, rows: Iterator[Wanted], progress: Callable[[int], None]) -> None:
        """Fetch all rows, looking some way ahead for one whose host is free."""
        ahead: deque[Wanted] = deque()
        exhausted = False
        while True:
            while not exhausted and len(ahead) < N_AHEAD:
                row = next(rows, None)
                exhausted = row is None
                if row is not None:
                    ahead.append(row)
            if not self._stop.is_set():
                self._start(ahead, progress)
            if not self._running:
                break
            finished, _ = wait(self._running, return_when=FIRST_COMPLETED)
            for future in finished:
                self._finish(future)
                progress(1)
        if self._stop.is_set():
            raise RunInterruptedError("stopped; what was fetched is kept, go on with the same call")

    def _start(self, ahead: deque[Wanted], progress: Callable[[int], None]) -> None:
        for _ in range(len(ahead)):
            if len(self._running) >= self._config.n_at_once:
                return
            row = ahead.popleft()
            if self._n_failed_in_a_row[row.host] >= self._config.give_up_after:
                self._report.failed[f"{GIVEN_UP}: {row.host}"] += 1
                progress(1)
            elif self._n_running[row.host] >= self._config.n_per_host:
                ahead.append(row)
            else:
                self._running[self._pool.submit(self._fetch, row)] = row
                self._n_running[row.host] += 1

    def _fetch(self, row: Wanted) -> Entry:
        started = time.monotonic()
        try:
            fetched: Fetched = fetch_file(
                self._client,
                row.url,
                self._folder / safe_name(row.id),
                sha256=row.sha256,
                least_bytes_s=self._config.least_bytes_s,
                stop=self._stop,
            )
        except FailedRequestError as failure:
            fate: dict[str, Any] = {"status": failure.reason}
        else:
            path = fetched.path.relative_to(self._folder).as_posix()
            fate = {"status": DONE, "path": path, "n_bytes": fetched.n_bytes}
            fate["sha256"] = fetched.sha256
        now = datetime.now(UTC).isoformat(timespec="seconds")
        wall_s = round(time.monotonic() - started, 3)
        return Entry(id=row.id, url=row.url, when=now, wall_s=wall_s, **fate)

    def _finish(self, future: Future[Entry]) -> None:
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
    """The manifest's rows whose file is there, with its path and hash; or none if none is."""
    target = folder / MANIFEST_NAME
    unfinished = beside(target)
    writer: pq.ParquetWriter | None = None
    try:
        for batch in _batches(manifest):
            table = _present(pa.Table.from_batches([batch]), ledger)
            writer = writer or pq.ParquetWriter(unfinished, table.schema, compression="zstd")
            if table.num_rows:
                writer.write_table(table)
        if writer is not None:
            writer.close()
            unfinished.replace(target)
    finally:
        remove_if_possible(unfinished)
    return target


def _present(table: pa.Table, ledger: Ledger) -> pa.Table:
    rows = []
    for row in table.to_pylist():
        entry = ledger.done(row["id"], row["url"]) if row["url"] else None
        if entry is not None:
            rows.append(row | {"path": entry.path, "sha256": entry.sha256})
    schema = table.schema
    for name in ("path", "sha256"):
        if name not in schema.names:
            schema = schema.append(pa.field(name, pa.string()))
    return pa.Table.from_pylist(rows, schema=schema)
