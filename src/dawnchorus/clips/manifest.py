"""Tables of clips: which piece of which file carries which labels, and in which split.

A manifest is a Parquet file with the columns of `MANIFEST_SCHEMA`; only ``id``, ``path`` and
``labels`` are needed, and other columns are kept. In memory it stays Arrow columns, a `Clip` is
made of a row when it is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dawnchorus.errors import TaskError
from dawnchorus.paths import (
    as_path,
    as_text,
    from_stored_name,
    is_remote,
    remote_errors,
    stored_name,
)
from dawnchorus.store.files import sync_folder, whole_file
from dawnchorus.text_tables.column_names import names_a_time
from dawnchorus.text_tables.paths import ODD, plain_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

MANIFEST_SCHEMA: Final = pa.schema(
    [
        ("id", pa.string()),  # unique in a manifest
        ("path", pa.string()),  # relative to the manifest's folder, absolute, or a URL
        ("start_s", pa.float64()),
        ("stop_s", pa.float64()),  # null: to the end of the file
        ("labels", pa.list_(pa.string())),
        ("kind", pa.string()),  # of the labels: species (where null), sound, individual, calltype
        ("split", pa.string()),  # train, val, test; null: not split yet
        ("level", pa.string()),  # file: the whole file; segment: a part of it
        ("dataset", pa.string()),
        ("source", pa.string()),  # where it was published
        ("licence", pa.string()),  # as in "CC BY-NC-SA 4.0"
        ("attribution", pa.string()),
        ("recordist", pa.string()),
        ("individual", pa.string()),
        ("group", pa.string()),  # never on two sides of a split
        ("scientific_name", pa.string()),  # as published; the accepted one is the label
        ("kingdom", pa.string()),
        ("phylum", pa.string()),
        ("class", pa.string()),
        ("order", pa.string()),
        ("family", pa.string()),
        ("genus", pa.string()),
        ("species_key", pa.int64()),  # of the GBIF backbone
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("place", pa.string()),
        ("recorded_at", pa.string()),  # ISO 8601, as far as it is known
        ("duration_s", pa.float64()),  # of the file, as published or measured
        ("url", pa.string()),  # where the file can be downloaded
        ("sha256", pa.string()),  # of the file
        ("note", pa.string()),
    ]
)  # a manifest may lack the columns after `split`, and have others, which are kept
# without these a row says nothing; all others have a meaning when they are missing
NEEDED: Final = ("id", "path", "labels")
# what a `Clip` is made of; read whatever columns are asked for
CLIP_COLUMNS: Final = (
    "id", "path", "dataset", "level", "start_s", "stop_s", "labels", "kind", "split"
)  # fmt: skip
SPLITS: Final = ("train", "val", "test")
FILE, SEGMENT = "file", "segment"
# Texts that many rows share are held once; ids, paths and notes are not among them.
_SHARED: Final = tuple(
    field.name
    for field in MANIFEST_SCHEMA
    if field.type == pa.string() and field.name not in {"id", "path", "url", "sha256", "note"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A labelled piece of a file; ``level`` is ``file`` for the whole, ``segment`` for a part.

    ``stop_s`` is NaN where the file's length is not known; ``dataset`` and ``split`` may be empty.
    """

    id: str
    path: str
    dataset: str
    level: str
    start_s: float
    stop_s: float
    labels: tuple[str, ...]
    kind: str
    split: str

    @property
    def duration_s(self) -> float:
        """Length of the clip."""
        return self.stop_s - self.start_s


class Manifest(Sequence[Clip]):
    """Clips as Arrow columns; ``table`` has at least `CLIP_COLUMNS`, ``folder`` is theirs.

    Relative paths start at ``folder``; each is spelled in one way, see `plain_path`.
    """

    def __init__(self, table: pa.Table, folder: Path, *, named: str = "manifest") -> None:
        """Fill columns that may be missing, and check every row.

        Args:
            table: columns of `MANIFEST_SCHEMA`, and any others.
            folder: where relative paths start.
            named: what errors call it.

        Raises:
            TaskError: A column is missing or of the wrong type, an id is missing or there twice,
                a split is unknown, or a clip ends before it starts.
        """
        # first types, then spelling, then rows: each check relies on the one before
        typed = _one_spelling(_with_types(table, named), folder)
        self.table = _check_rows(_fill_columns(typed), named)
        self.folder = folder
        self.named = named

    @classmethod
    def of(cls, clips: Iterable[Clip], folder: Path) -> Manifest:
        """A manifest of given clips."""
        rows = [{name: getattr(clip, name) for name in CLIP_COLUMNS} for clip in clips]
        columns = {name: [row[name] for row in rows] for name in CLIP_COLUMNS}
        columns["split"] = [split or None for split in columns["split"]]
        schema = pa.schema([MANIFEST_SCHEMA.field(name) for name in CLIP_COLUMNS])
        return cls(pa.table(columns, schema), folder)

    def __len__(self) -> int:
        """How many clips there are."""
        return int(self.table.num_rows)

    @overload
    def __getitem__(self, index: int) -> Clip: ...
    @overload
    def __getitem__(self, index: slice) -> Manifest: ...
    def __getitem__(self, index: int | slice) -> Clip | Manifest:
        """One clip, or the manifest of a slice."""
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        at = index % len(self)
        return _clip({name: self.table[name][at].as_py() for name in CLIP_COLUMNS})

    def __iter__(self) -> Iterator[Clip]:
        """Every clip, in order."""
        # by batches: a million clips as Python objects would take gigabytes
        for batch in self.table.select(CLIP_COLUMNS).to_batches(max_chunksize=4096):
            yield from map(_clip, batch.to_pylist())

    def take(self, rows: NDArray[np.integer[Any]]) -> Manifest:
        """The manifest of some rows, in the order given."""
        return self.with_table(self.table.take(pa.array(rows)))

    def filter(self, mask: pa.ChunkedArray | NDArray[np.bool_]) -> Manifest:
        """The manifest of the rows where a mask is true."""
        return self.with_table(
            self.table.filter(pa.array(mask) if isinstance(mask, np.ndarray) else mask)
        )

    def where(self, **values: str) -> Manifest:
        """The manifest of the rows whose columns have these values, such as ``split="train"``."""
        mask = np.ones(len(self), bool)
        for name, value in values.items():
            mask &= pc.fill_null(pc.equal(texts(self.table[name]), value), False).to_numpy()
        return self.filter(mask)

    def with_table(self, table: pa.Table) -> Manifest:
        """The same folder with other rows or columns, which must be as good as the old ones."""
        # a selection of checked rows, or of columns added to them, is as good as they are
        selection = object.__new__(Manifest)  # not checked again
        selection.table, selection.folder, selection.named = (
            table.combine_chunks(),
            self.folder,
            self.named,
        )
        return selection

    def seconds(self, name: str) -> NDArray[np.float64]:
        """A column of numbers, NaN where it is null."""
        column = self.table[name].cast(pa.float64())
        return cast("NDArray[np.float64]", pc.fill_null(column, float("nan")).to_numpy())

    def locate(self, path: str) -> Path:
        """The file of a row's path."""
        return resolve(self.folder, path)


def resolve(folder: Path, path: str) -> Path:
    """A manifest's path as a file or a place behind a URL."""
    return from_stored_name(path, folder)


def with_column(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    """The table with a column in place of the one of that name, or at the end."""
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, column)
    return table.append_column(name, column)


def decoded(table: pa.Table) -> pa.Table:
    """The same with every text column decoded, as it is stored and joined."""
    for at, name in enumerate(table.column_names):
        table = table.set_column(at, name, texts(table[name]))
    return table


def texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of texts, decoded where each is held once."""
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def read_manifest(
    path: Path | str,
    columns: Sequence[str] | None = None,
    *,
    needed: Sequence[str] = NEEDED,
) -> Manifest:
    """Read a Parquet manifest, in the file's order.

    Args:
        path: the file, or a URL.
        columns: only these beside `CLIP_COLUMNS`; None: all. Those that it lacks are passed over.
        needed: columns that it must have; without ``labels`` among them, clips may have none.

    Raises:
        TaskError: The file is missing or not Parquet, a column is missing or of the wrong type, an
            id is missing or there twice, a split is unknown, or a clip ends before it starts.
    """
    place = as_path(path)
    try:
        with remote_errors(place), place.open("rb") as file:
            there = pq.read_schema(file)
            wanted = {
                *CLIP_COLUMNS,
                "duration_s",
                "source",
                *(there.names if columns is None else columns),
            }
            _check_times_are_read(there, str(path))
            names = [name for name in there.names if name in wanted]
            # millions of rows have a few licences and families: a dictionary holds each once
            shared = [name for name in _SHARED if name in names and _is_text(there.field(name))]
            table = pq.ParquetFile(file, read_dictionary=shared).read(names)
    except FileNotFoundError as error:
        raise TaskError(f"{path}: no such manifest") from error
    except (OSError, pa.ArrowException) as error:
        raise TaskError(f"{path}: not a Parquet file that can be read: {error}") from error
    if "labels" not in (*needed, *table.column_names):
        none = pa.nulls(table.num_rows, MANIFEST_SCHEMA.field("labels").type)
        table = with_column(table, "labels", none)
    manifest = Manifest(table, place.parent, named=str(path))
    del table
    pa.default_memory_pool().release_unused()  # reading takes three times what stays
    return manifest


def _check_times_are_read(schema: pa.Schema, named: str) -> None:
    """Refuse a table of clips whose times have other names: whole files would take its labels."""
    if "start_s" in schema.names or "stop_s" in schema.names:
        return
    for field in schema:
        numeric = pa.types.is_floating(field.type) or pa.types.is_integer(field.type)
        if field.name not in MANIFEST_SCHEMA.names and numeric and names_a_time(field.name):
            raise TaskError(
                f"{named}: column {field.name!r} may hold times, which a manifest has in seconds "
                "as 'start_s' and 'stop_s'; rename or remove it"
            )


def _is_text(field: pa.Field) -> bool:
    return bool(field.type == pa.string())


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write a manifest, whole or not at all; relative paths become relative to its new folder.

    Raises:
        TaskError: The disk is full or read-only.
    """
    table = moved(manifest, path.parent).table
    known = [name for name in MANIFEST_SCHEMA.names if name in table.column_names]
    table = decoded(table.select([*known, *(n for n in table.column_names if n not in known)]))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as unfinished:
            pq.write_table(table, unfinished, compression="zstd", write_page_checksum=True)
        sync_folder(path.parent)
    except OSError as error:
        raise TaskError(f"{path}: cannot write the manifest: {error}") from error


def moved(manifest: Manifest, folder: Path) -> Manifest:
    """The same clips with paths relative to another folder, absolute where they lie outside it."""
    old, new = manifest.folder, folder
    if not is_remote(old) and not is_remote(new):
        # both resolved, or a folder behind a link would count as another one
        old, new = old.resolve(), new.resolve()
    if old == new:
        return manifest

    def rewritten(path: str) -> str:
        if "://" in path:
            return path
        if is_remote(old):
            return as_text(old / path)
        place = old.__class__(
            os.path.normpath(from_stored_name(path, old))
        )  # `..` is no part of a folder's name
        inside = not is_remote(new) and place.is_relative_to(new)
        return stored_name(place.relative_to(new) if inside else place)

    # a path is rewritten once, however many clips it has
    unique = pc.unique(manifest.table["path"])
    other = pa.array([rewritten(path) for path in unique.to_pylist()], pa.string())
    paths = other.take(pc.index_in(manifest.table["path"], unique).combine_chunks())
    at = manifest.table.column_names.index("path")
    selection = manifest.with_table(manifest.table.set_column(at, "path", paths))
    selection.folder = folder
    return selection


def _with_types(table: pa.Table, named: str) -> pa.Table:
    missing = [name for name in NEEDED if name not in table.column_names]
    if missing:
        raise TaskError(f"{named}: columns {missing} are missing; found {table.column_names}")
    for at, field in enumerate(table.schema):
        if field.name not in MANIFEST_SCHEMA.names:
            continue
        wanted = MANIFEST_SCHEMA.field(field.name).type
        shared = pa.types.is_dictionary(field.type) and field.type.value_type == wanted
        if field.type == wanted or shared:
            continue
        try:
            table = table.set_column(at, field.name, table[field.name].cast(wanted))
        except pa.ArrowException as error:
            raise TaskError(
                f"{named}: column {field.name!r} is of {field.type}, need {wanted}: {error}"
            ) from error
    for name in _SHARED:
        if name in table.column_names and not pa.types.is_dictionary(table[name].type):
            at = table.column_names.index(name)
            table = table.set_column(at, name, table[name].dictionary_encode())
    return table.unify_dictionaries().combine_chunks()


def _one_spelling(table: pa.Table, folder: Path) -> pa.Table:
    """The same with each path spelled in one way: two spellings would count as two recordings."""
    paths = table["path"]
    odd = pc.match_substring_regex(paths, ODD)
    if not is_remote(folder):
        top = os.path.abspath(folder).rstrip("/") + "/"  # noqa: PTH100  links stay links
        odd = pc.or_(odd, pc.starts_with(paths, top))
    odd = pc.and_not(odd, pc.match_substring(paths, "://"))
    unique = pc.unique(paths.filter(odd))
    if not len(unique):
        return table
    local = None if is_remote(folder) else folder

    def plain(path: str) -> str:
        path = plain_path(path, local)
        return path if local is None else path.removeprefix(top)

    # only odd paths, each once: of most manifests there are none
    other = pa.array(map(plain, unique.to_pylist()), pa.string())
    spelled = pc.if_else(
        odd, other.take(pc.index_in(paths, value_set=unique).combine_chunks()), paths
    )
    return table.set_column(table.column_names.index("path"), "path", spelled)


def _fill_columns(table: pa.Table) -> pa.Table:
    """Every column of a clip, with what a missing or empty one stands for."""

    def held(name: str) -> pa.ChunkedArray:
        if name in table.column_names:
            return table[name]
        kind = MANIFEST_SCHEMA.field(name).type
        return pa.chunked_array([pa.nulls(table.num_rows, kind)])

    start_s = pc.fill_null(held("start_s"), 0.0)
    stop_s = pc.coalesce(held("stop_s"), held("duration_s"))
    # a clip from 0 to the end of its file is the file; unknown lengths count as the end
    whole = pc.and_(
        pc.equal(start_s, 0.0),
        pc.fill_null(pc.equal(stop_s, pc.coalesce(held("duration_s"), stop_s)), True),
    )
    level = pc.if_else(whole, FILE, SEGMENT)
    # what an empty cell stands for: see the table in the documentation of manifests
    filled = {
        "start_s": start_s,
        "stop_s": stop_s,
        "labels": _each_once(held("labels")),
        "dataset": pc.coalesce(texts(held("dataset")), texts(held("source")), ""),
        "level": pc.coalesce(texts(held("level")), level),
        "kind": pc.fill_null(texts(held("kind")), "species"),
        "split": texts(held("split")),
    }
    for name, column in filled.items():
        table = with_column(table, name, column.dictionary_encode() if name in _SHARED else column)
    return table.combine_chunks()


def _each_once(lists: pa.ChunkedArray) -> pa.ChunkedArray:
    """Labels of clips without those that a clip has twice: they would count as two clips."""
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    if counts.max(initial=0) < 2:
        return lists
    flat = pc.list_flatten(lists).combine_chunks()
    owner = np.repeat(np.arange(len(lists)), counts)
    label = pc.index_in(flat, pc.unique(flat)).to_numpy()
    # one number for a clip and a label; the first place of each is kept
    _, first = np.unique(owner * (int(label.max()) + 1) + label, return_index=True)
    if len(first) == len(flat):
        return lists
    kept = np.sort(first)
    ends = np.cumsum(np.bincount(owner[kept], minlength=len(lists)))
    offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
    return pa.chunked_array([pa.ListArray.from_arrays(offsets, flat.take(pa.array(kept)))])


def _check_rows(table: pa.Table, named: str) -> pa.Table:
    def first(mask: pa.ChunkedArray) -> int | None:
        rows = np.flatnonzero(pc.fill_null(mask, True).to_numpy())
        return int(rows[0]) if len(rows) else None

    def say(row: int, problem: str) -> TaskError:
        return TaskError(f"{named}: row {row} ({table['id'][row].as_py()}): {problem}")

    for name in ("id", "path"):
        row = first(pc.equal(table[name], ""))
        if row is not None:
            raise say(row, f"its {name} is empty")
    # null is "not split yet"; an empty text would be a fourth side
    split = texts(table["split"])
    row = first(pc.and_(pc.is_valid(split), pc.invert(pc.is_in(split, pa.array(SPLITS)))))
    if row is not None:
        raise say(row, f"split {split[row].as_py()!r}, need one of {SPLITS} or none")
    start_s, stop_s = table["start_s"], table["stop_s"]
    # an unknown end is later than any start
    ends_early = pc.fill_null(pc.greater_equal(start_s, stop_s), False)
    row = first(pc.or_(ends_early, pc.invert(pc.greater_equal(start_s, 0.0))))
    if row is not None:
        raise say(
            row,
            f"start_s {start_s[row].as_py()}, stop_s {stop_s[row].as_py()}; need "
            "0 <= start_s < stop_s",
        )
    if pc.count_distinct(table["id"]).as_py() < table.num_rows:
        counts = table["id"].value_counts()
        twice = counts.filter(pc.greater(pc.struct_field(counts, "counts"), 1))
        raise TaskError(
            f"{named}: {len(twice)} ids are there more than once, such as "
            f"{twice[0]['values'].as_py()!r}; an id names one clip"
        )
    return table


def _clip(row: dict[str, Any]) -> Clip:
    stop_s = row["stop_s"]
    return Clip(
        **{
            **row,
            "stop_s": float("nan") if stop_s is None else stop_s,
            "labels": tuple(row["labels"] or ()),
            "split": row["split"] or "",
        }
    )
