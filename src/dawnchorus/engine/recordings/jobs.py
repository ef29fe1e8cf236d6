"""From a recording and what a list says of it to a job: its lasting name, site, time zone, size."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from dawnchorus.engine.recordings.listing import TIME_ZONE
from dawnchorus.paths import is_remote, relative_name, remote_errors
from dawnchorus.store.schema import RECORDING_SCHEMA, recording_id

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from dawnchorus.configs import EmbedConfig
    from dawnchorus.engine.recordings.find import Scan
    from dawnchorus.engine.recordings.listing import Carried
    from dawnchorus.store.read import Store
    from dawnchorus.store.schema import RecordingRow

SITE: Final = "site"
HASH_BLOCK: Final = 1 << 18  # bytes; they stay in a cache; between two a stopped run leaves


class ReadingStopped(BaseException):  # not an error: the way out of nested generators
    """The run ended while the reading thread was at work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingJob:
    """One recording to be read.

    Attributes:
        recording_id: hash of ``name``, by which stores know it.
        path: where the file is.
        name: its lasting name, a path relative to the store's audio root.
        size, modified_ns: of the file when the job was given out; None when it was not there any
            more.
        first_window: windows before it are in the store already, or another worker's.
        stop_window: windows from it on are another worker's; None: to the end.
        known_hash: a file with this content needs no reading.
        carried: what the user's list says of it.
        time_zone: of its site, by name or offset; None: only the recording itself says it.
        corrected: its row with what a list says of it now, where a done recording's differs.
        skip: do not read it, and why, in a few words; empty: its results are there already.
        fetched: a copy on this machine of what lies behind a URL, when it has arrived.
    """

    recording_id: str
    path: Path
    name: str
    size: int | None
    modified_ns: int | None
    first_window: int = 0
    stop_window: int | None = None
    known_hash: str | None = None
    carried: Carried = ()
    time_zone: str | None = None
    corrected: RecordingRow | None = None
    skip: str | None = None
    fetched: Future[Path] | None = None


def jobs_of(scan: Scan, root: Path, config: EmbedConfig) -> Iterator[RecordingJob]:
    """A job for each recording of this shard, in the scan's order; files are not looked at yet."""
    for path, carried in scan.entries():
        job = job_for(path, carried, root, config)
        if in_shard(job.recording_id, config.shard):
            yield job


def job_for(path: Path, carried: Carried, root: Path, config: EmbedConfig) -> RecordingJob:
    """A recording by its lasting name; the file is not looked at yet.

    Args:
        path: of the file.
        carried: what the user's list says of it.
        root: what its name is relative to.
        config: its ``time_zone`` and ``site_from`` hold where the list says nothing.
    """
    # with / on every system, so that a store can move between them
    name = relative_name(path, root)
    values = dict(carried)
    listed_zone = values.pop(TIME_ZONE, "")
    return RecordingJob(
        recording_id=recording_id(name),
        path=path,
        name=name,
        size=None,
        modified_ns=None,
        carried=with_site(tuple(values.items()), name, root, config),
        time_zone=listed_zone or config.time_zone,
    )


def in_shard(identity: str, shard: tuple[int, int] | None) -> bool:
    """Whether this shard, ``(i, n)``, is the one of n that a recording belongs to."""
    # by the id, so that shards stay the same however many recordings are found
    return shard is None or int(identity, 16) % shard[1] == shard[0]


def with_file_facts(job: RecordingJob) -> RecordingJob:
    """The job with the file's size and date of this moment; None for a file that is not there."""
    try:
        with remote_errors(job.path):
            status = job.path.stat()
    except (OSError, ValueError):
        return replace(job, size=None, modified_ns=None)
    if is_remote(job.path):
        # object stores give seconds alone, and a web server may give no date at all (0)
        modified_ns = round(status.st_mtime * 1e9) or None
    else:
        modified_ns = status.st_mtime_ns
    return replace(job, size=status.st_size, modified_ns=modified_ns)


def content_hash_of(path: Path, stop: threading.Event | None = None) -> str:
    """What a store knows a file's bytes by.

    Raises:
        OSError: The file cannot be read.
    """
    digest = hashlib.sha256()
    # one buffer for all blocks, and none of Python's own before it
    block = memoryview(bytearray(HASH_BLOCK))
    with path.open("rb", buffering=0) as file:
        while n_bytes := file.readinto(block):
            if stop is not None and stop.is_set():
                raise ReadingStopped
            digest.update(block[:n_bytes])
    return f"sha256:{digest.hexdigest()}"


def with_site(carried: Carried, name: str, root: Path, config: EmbedConfig) -> Carried:
    """A recording's columns, with the site from its path where that was asked for."""
    values = dict(carried)
    if not config.site_from or values.get(SITE):
        return carried
    return tuple({**values, SITE: site_of(name, root, config.site_from)}.items())


def site_of(name: str, root: Path, kind: str) -> str:
    """The folder that names a recording's site.

    Args:
        name: path of the recording from ``root``, or a whole path or URL.
        root: its own name is the site of the recordings that lie directly in it.
        kind: ``folder``: the first folder of the path; ``parent``: the one the recording lies in.
    """
    # neither "..", nor a drive or the scheme of a URL, is the name of a site
    folders = [
        part
        for part in PurePosixPath(name).parts[:-1]
        if part not in {"..", "/"} and ":" not in part
    ]
    if not folders:
        return root.name
    return folders[0] if kind == "folder" else folders[-1]


def columns_of(scan: Scan, config: EmbedConfig) -> tuple[str, ...]:
    """Names of the user's columns that the recordings of a scan come with."""
    return _and_site([name for name in scan.columns if name != TIME_ZONE], config)


def stored_columns(store: Store, config: EmbedConfig) -> tuple[str, ...]:
    """Names of the user's columns that the recordings of a store have."""
    # a store's table of recordings has our columns first and the user's behind
    ours = set(RECORDING_SCHEMA.names)
    names = [name for name in store.recordings().column_names if name not in ours]
    return _and_site(names, config)


def _and_site(names: Sequence[str], config: EmbedConfig) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*names, SITE] if config.site_from else names))
