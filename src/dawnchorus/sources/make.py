"""A manifest out of a source: names resolved, licences chosen, duplicates left out, all counted."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.clips.licences import LicenceRule
from dawnchorus.clips.manifest import MANIFEST_SCHEMA
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.progress import NO_PROGRESS, Progress
from dawnchorus.sources.names.scientific import RANKS, Taxon
from dawnchorus.sources.names.taxonomy import Taxonomy
from dawnchorus.sources.report import SourceReport
from dawnchorus.sources.scratch import scratch_database
from dawnchorus.store.files import sync_folder, whole_file

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from dawnchorus.sources.source_row import SourceRow

SOURCES: Final = {
    "xeno-canto": "dawnchorus.sources.xeno_canto",
    "inaturalist": "dawnchorus.sources.inaturalist",
    "animal-sound-archive": "dawnchorus.sources.animal_sound_archive",
    "watkins": "dawnchorus.sources.watkins",
    "audioset": "dawnchorus.sources.audioset",
}
SOURCE_SCHEMA: Final = MANIFEST_SCHEMA.append(pa.field("background", pa.list_(pa.string())))
ROWS_AT_ONCE: Final = 4_000
SEEN: Final = "CREATE TABLE seen (value TEXT PRIMARY KEY) WITHOUT ROWID"  # ids and files so far


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeOptions:
    """What a manifest is to contain.

    Attributes:
        licences: which are taken; see `LicenceRule`.
        taxonomy: resolves names; without a resolver the publisher's are used.
        reading: further arguments of the source's reader, by name.
    """

    licences: LicenceRule = field(default_factory=LicenceRule)
    taxonomy: Taxonomy = field(default_factory=Taxonomy)
    reading: dict[str, Any] = field(default_factory=dict)


def make_manifest(
    source: str,
    path: Path,
    output: Path,
    options: MakeOptions | None = None,
    *,
    progress: Progress = NO_PROGRESS,
) -> SourceReport:
    """Read a source and write its manifest; beside it, ``NAME.labels.csv`` lists every name.

    Args:
        source: one of ``SOURCES``.
        path: the published files.
        output: the manifest; written whole or not at all.
        options: licences, names, and what the reader needs.
        progress: counts the recordings that were read.

    Raises:
        UsageError: There is no such source.
        TaskError: The files are not what the source publishes, or nothing is kept.
    """
    if source not in SOURCES:
        raise UsageError(f"no source {source!r}; known: {', '.join(SOURCES)}")
    options = options or MakeOptions()
    report = SourceReport(source)
    rows = import_module(SOURCES[source]).read(path, report, **options.reading)
    advance = progress.start(f"reading {source}", unit="recordings")
    with ExitStack() as stack:
        write = stack.enter_context(_writer(output))
        seen = stack.enter_context(scratch_database(SEEN))
        # row by row: neither the collection nor its manifest is ever in memory
        for number, row in enumerate(rows, start=1):
            if number % ROWS_AT_ONCE == 0:
                advance(ROWS_AT_ONCE)
            _keep_or_drop(row, options, report, seen=seen, write=write)
        report.n_labels = write.n_labels
        if not report.n_kept:
            reasons = ", ".join(f"{n} {reason}" for reason, n in report.dropped.most_common(5))
            raise TaskError(
                f"{path}: no recording is left of {report.n_found} "
                f"({reasons or 'none found'}); nothing was written"
            )
    report.names = options.taxonomy.counts()
    if report.names:
        options.taxonomy.write_report(output.with_suffix(".labels.csv"))
    return report


def _keep_or_drop(
    row: SourceRow,
    options: MakeOptions,
    report: SourceReport,
    *,
    seen: sqlite3.Connection,
    write: _Writer,
) -> None:
    """Keep a row, or drop it for the first reason that holds."""
    # first the licence: names of what may not be used need not be resolved
    reason = options.licences.refusal(row.licence)
    if reason:
        report.drop(reason, row.id)
        return
    labels, taxon = row.labels, Taxon("")
    if row.published is not None:
        outcome = options.taxonomy.resolve(row.published)
        if outcome.label is None or outcome.match.taxon is None:
            report.drop(f"name: {outcome.match.problem}", row.id)
            return
        labels, taxon = (outcome.label,), outcome.match.taxon
    # a sound that is listed twice would be on two sides of a split
    for what, value in (("id", row.id), ("file", row.path or row.url)):
        if not seen.execute("INSERT OR IGNORE INTO seen VALUES (?)", [value]).rowcount:
            report.drop(f"same {what} as another", row.id)
            return
    report.keep(duration_s=row.duration_s, licence=row.licence, form=row.form)
    write.add(_values(row, labels, taxon))


def _values(row: SourceRow, labels: tuple[str, ...], taxon: Taxon) -> dict[str, Any]:
    ranks = dict(zip(RANKS, taxon.ranks, strict=True))
    values = {
        "id": row.id,
        "path": row.path or row.url,
        "start_s": 0.0,
        "labels": list(labels),
        "kind": row.kind,
        "split": row.split,
        "level": "file",
        "dataset": row.dataset,
        "source": row.source,
        "licence": row.licence,
        "attribution": row.attribution,
        "recordist": row.recordist,
        "group": row.group,
        "scientific_name": row.published.name if row.published else "",
        "species_key": taxon.key,
        "latitude": row.latitude,
        "longitude": row.longitude,
        "place": row.place,
        "recorded_at": row.recorded_at,
        "duration_s": row.duration_s,
        "url": row.url,
        "note": row.note,
        "background": list(row.background),
    }
    # columns of text have no empty texts: they are null
    return {key: None if value == "" else value for key, value in (values | ranks).items()}


class _Writer:
    """Collects rows and writes them by the thousand, so that memory does not grow with them."""

    def __init__(self, parquet: pq.ParquetWriter, path: Path) -> None:
        self._parquet, self._path = parquet, path
        self._rows: list[dict[str, Any]] = []
        self._labels: set[str] = set()

    @property
    def n_labels(self) -> int:
        """How many different labels there are."""
        return len(self._labels)

    def add(self, row: dict[str, Any]) -> None:
        """One more row."""
        self._rows.append(row)
        self._labels.update(row["labels"])
        if len(self._rows) >= ROWS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what is collected."""
        if not self._rows:
            return
        try:
            self._parquet.write_table(pa.Table.from_pylist(self._rows, schema=SOURCE_SCHEMA))
        except OSError as error:
            raise _unwritable(self._path, error) from error
        self._rows.clear()


def _unwritable(path: Path, error: OSError) -> TaskError:
    return TaskError(f"{path}: cannot be written: {error}")


@contextmanager
def _writer(path: Path) -> Iterator[_Writer]:
    """Write a manifest beside and rename it, unless the block fails."""
    with ExitStack() as stack:
        try:
            unfinished = stack.enter_context(whole_file(path))
            parquet = pq.ParquetWriter(unfinished, SOURCE_SCHEMA, compression="zstd")
        except OSError as error:
            raise _unwritable(path, error) from error
        with parquet:
            writer = _Writer(parquet, path)
            yield writer
            writer.flush()
    sync_folder(path.parent)
