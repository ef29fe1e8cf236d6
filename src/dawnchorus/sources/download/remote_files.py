"""The files behind the URLs of a manifest, and the one download at a time that a folder takes."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.clips.licences import LicenceRule
from dawnchorus.errors import TaskError
from dawnchorus.sources.download.ledger import Ledger
from dawnchorus.sources.download.requests import host_of
from dawnchorus.store.locks import StoreLocks

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from pathlib import Path

    from dawnchorus.configs.data import DownloadConfig

NEEDED: Final = ("id", "url", "licence", "sha256", "duration_s")
TEXTS: Final = ("id", "url", "licence", "sha256")
ROWS_AT_ONCE: Final = 4_000
THE_FOLDER: Final = "0"  # name of the lock that stands for the whole folder


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """The file of a row of a manifest."""

    id: str
    url: str
    sha256: str
    duration_s: float | None

    @property
    def host(self) -> str:
        """Host and port of the URL."""
        return host_of(self.url)


@contextmanager
def locked_ledger(folder: Path) -> Iterator[Ledger]:
    """The ledger of a folder, for one download at a time.

    Raises:
        TaskError: Another download works there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        locks = stack.enter_context(closing(StoreLocks(folder / ".downloads.lock")))
        locks.open_to_others()
        if not locks.claim(THE_FOLDER):
            raise TaskError(f"{folder}: another download works in this folder; wait for it")
        yield stack.enter_context(closing(Ledger(folder)))


def batches_of(manifest: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """A manifest's rows, some thousand at once.

    Args:
        manifest: Parquet.
        columns: those that are needed, as far as they are there; None: all.

    Raises:
        TaskError: It is not a manifest.
    """
    try:
        with pq.ParquetFile(manifest) as parquet:
            missing = {"id", "url"} - set(parquet.schema_arrow.names)
            if missing:
                raise TaskError(f"{manifest}: columns {sorted(missing)} are missing")
            wrong = [f for f in parquet.schema_arrow if f.name in TEXTS and not _is_text(f.type)]
            if wrong:
                name, kind = wrong[0].name, wrong[0].type
                raise TaskError(f"{manifest}: column {name} is of type {kind}, need text")
            present = [name for name in columns or () if name in parquet.schema_arrow.names]
            yield from parquet.iter_batches(ROWS_AT_ONCE, columns=present or None)
    except (OSError, pa.ArrowException) as error:
        raise TaskError(f"{manifest}: not a readable Parquet manifest: {error}") from error


def _is_text(kind: pa.DataType) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain) or plain == pa.null())


def _is_web_url(url: str) -> bool:
    try:
        return urlsplit(url).scheme in {"http", "https"} and bool(host_of(url))
    except ValueError:
        return False


def files_to_fetch(
    manifest: Path, config: DownloadConfig, refused: Counter[str]
) -> Iterator[RemoteFile]:
    """The files that may be fetched.

    Args:
        manifest: Parquet.
        config: which licences.
        refused: counts the others, by reason.
    """
    rule = LicenceRule.of(config.licences) if config.licences else None
    for batch in batches_of(manifest, list(NEEDED)):
        for row in batch.to_pylist():
            # before the URL is looked at: what may not be used is not fetched
            reason = None if rule is None else rule.refusal(row.get("licence"))
            if not row["id"]:
                reason = "no id"
            elif not row["url"]:
                reason = "no URL"
            elif not _is_web_url(row["url"]):
                reason = "not a URL of the web"
            if reason:
                refused[reason] += 1
                continue
            yield RemoteFile(row["id"], row["url"], row.get("sha256") or "", row.get("duration_s"))
