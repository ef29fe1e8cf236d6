"""The files of BirdSet as its hub holds them, read without its loading script.

Two layouts are read. On the branch ``data`` a subset is ``HSN_metadata_train.parquet`` with file
names, and archives of sounds, which are unpacked below the subset's folder. Converted to Parquet it
is ``train/*.parquet`` with the sounds in the column ``audio``, which are written beside it once.

Source: BirdSet repository and its hub, features of version 0.0.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.benchmark.tasks.checks import named
from dawnchorus.benchmark.tasks.raw import located, sounds_by_name
from dawnchorus.errors import TaskError
from dawnchorus.store.files import remove_if_possible, unfinished_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ROWS_AT_ONCE: Final = 64  # with their sounds in memory
NAMES: Final = ("filepath", "__index_level_0__")  # the second where pandas kept it as an index
COLUMNS: Final = (
    "ebird_code", "ebird_code_multilabel", "detected_events", "event_cluster", "length", "recordist"
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class HubRow:
    """A recording of the train list, or a five-second clip of a soundscape.

    Attributes:
        path: relative to the subset's folder.
        codes: eBird codes of all birds that are named.
        events: start and stop of what was detected, seconds; empty where nobody looked.
        clusters: of each event; -1 is noise.
        length_s: None where it is not given.
    """

    path: str
    codes: tuple[str, ...]
    events: tuple[tuple[float, float], ...]
    clusters: tuple[int, ...]
    length_s: float | None
    recordist: str


def read_rows(folder: Path, subset: str, split: str, codes: Sequence[str]) -> list[HubRow]:
    """The rows of a split, sorted by file name, so that both layouts give one order.

    Args:
        folder: the subset's files.
        subset: such as ``HSN``.
        split: ``train`` or ``test_5s``.
        codes: the subset's list; numbers in the files are places in it.

    Raises:
        TaskError: Files are missing, or a code is not in the list.
    """
    whole = folder / f"{subset}_metadata_{split}.parquet"
    parts = sorted(folder.glob(f"{split}/*.parquet")) + sorted(folder.glob(f"{split}-*.parquet"))
    if whole.is_file():
        rows = _named_rows(folder, whole)
    elif parts:
        rows = [row for part in parts for row in _unpacked(folder, part, split)]
    else:
        raise TaskError(
            f"{folder}: neither {whole.name} nor {split}/*.parquet is there; fetch one from the hub"
        )
    if not rows:
        raise TaskError(f"{folder}: no rows of {split}; is the download whole?")
    return sorted((_row(row, codes, folder) for row in rows), key=lambda row: _base(row.path))


def _named_rows(folder: Path, table: Path) -> list[dict[str, Any]]:
    """Rows of a table without sounds, each with the path of its sound."""
    with _opened(table) as file:
        name = _name_column(file.schema_arrow, table)
        rows = file.read(_present(file.schema_arrow, (name, *COLUMNS))).to_pylist()
    paths = located([row[name] for row in rows], sounds_by_name(folder), table)
    return [row | {"path": path} for row, path in zip(rows, paths, strict=True)]


def _unpacked(folder: Path, part: Path, split: str) -> Iterator[dict[str, Any]]:
    """Rows of a table with sounds; a sound that is not on disk yet is written."""
    with _opened(part) as file:
        schema = file.schema_arrow
        if "audio" not in schema.names:
            raise TaskError(f"{part}: no column audio; its columns are {named(schema.names)}")
        names = [name for name in NAMES if name in schema.names]
        wanted = _present(schema, ("audio", *COLUMNS, *names))
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=wanted):
            for row in batch.to_pylist():
                sound = row.pop("audio") or {}
                name = _base(next((row[key] for key in names if row[key]), sound.get("path") or ""))
                path = f"audio/{split}/{name}"
                _write(folder / path, sound.get("bytes"), part)
                yield row | {"path": path}


def _write(path: Path, content: bytes | None, part: Path) -> None:
    if not content or not path.name:
        raise TaskError(f"{part}: a row has no sound or no file name; fetch the file again")
    if path.is_file() and path.stat().st_size == len(content):
        return
    unfinished = unfinished_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)  # not synced: a clip cut short is seen by its size
        unfinished.replace(path)
    except OSError as error:
        remove_if_possible(unfinished)
        raise TaskError(f"{path}: cannot write the sound: {error}") from error


def _opened(table: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(table)
    except (OSError, pa.ArrowException) as error:
        raise TaskError(f"{table}: not a Parquet file that can be read: {error}") from error


def _name_column(schema: pa.Schema, table: Path) -> str:
    for name in NAMES:
        if name in schema.names:
            return name
    raise TaskError(f"{table}: no column filepath; its columns are {named(schema.names)}")


def _present(schema: pa.Schema, names: Sequence[str]) -> list[str]:
    return [name for name in names if name in schema.names]


def _base(path: str) -> str:
    return PurePosixPath(path).name


def _row(row: dict[str, Any], codes: Sequence[str], folder: Path) -> HubRow:
    several = row.get("ebird_code_multilabel")
    one = row.get("ebird_code")
    values = several if several is not None else [] if one is None else [one]
    clusters = row.get("event_cluster") or ()
    length = row.get("length")
    return HubRow(
        path=row["path"],
        codes=tuple(dict.fromkeys(_code(value, codes, folder) for value in values)),
        events=tuple((float(a), float(b)) for a, b in row.get("detected_events") or ()),
        clusters=tuple(int(cluster) for cluster in clusters),
        length_s=None if length is None else float(length),
        recordist=row.get("recordist") or "",
    )


def _code(value: str | int, codes: Sequence[str], folder: Path) -> str:
    if isinstance(value, int) and 0 <= value < len(codes):
        return codes[value]
    if isinstance(value, str) and value in codes:
        return value
    raise TaskError(f"{folder}: eBird code {value!r} is not in the list of {len(codes)} codes")
