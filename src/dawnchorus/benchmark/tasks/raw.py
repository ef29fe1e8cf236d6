"""Raw sets as they lie on disk: tables with the columns they need, sounds by name and length."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from dawnchorus.audio.decode.read import read_info
from dawnchorus.benchmark.tasks.checks import ROWS, named
from dawnchorus.errors import TaskError
from dawnchorus.text_tables.read import open_table

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SOUNDS = frozenset({".wav", ".ogg", ".flac", ".mp3", ".aif", ".aiff", ".opus"})


def read_table(table: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    """The rows of a CSV or TSV.

    Raises:
        TaskError: It cannot be read, has no rows or lacks a column.
    """
    text = open_table(table)
    names, rows = text.names, [row for _, row in text.rows()]
    if not rows:
        raise TaskError(f"{table}: no line under the names of its columns")
    missing = [name for name in columns if name not in names]
    if missing:
        raise TaskError(f"{table}: no column {named(missing)}; its columns are {named(names)}")
    return rows


def read_counted(table: Path, columns: Iterable[str], counts: Counter[str]) -> list[dict[str, str]]:
    """As `read_table`, the number of rows added to the counts."""
    rows = read_table(table, columns)
    counts[ROWS] += len(rows)
    return rows


def seconds(row: dict[str, str], column: str, table: Path) -> float:
    """A time of a row.

    Raises:
        TaskError: It is not a number.
    """
    try:
        return float(row[column])
    except ValueError as error:
        raise TaskError(f"{table}: {column} is {row[column]!r}, need seconds") from error


def whole_number(text: str) -> str:
    """A class number as text, however the table writes it: ``3`` of ``3``, ``3.0`` or `` 3 ``."""
    plain = text.strip()
    return plain.removesuffix(".0")


def length_s(sound: Path) -> float:
    """How long a recording is by its header.

    Raises:
        AudioError: It cannot be read.
        TaskError: Its header does not say.
    """
    info = read_info(sound)
    if info.n_samples is None:
        raise TaskError(f"{sound}: its header does not say how long it is; convert it to WAV")
    return info.n_samples / info.sample_rate


def find_sounds(folder: Path) -> list[Path]:
    """Every sound below a folder, sorted by its path.

    Raises:
        TaskError: There is none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SOUNDS)
    if not found:
        raise TaskError(f"{folder}: no sound files below it; unpack the set there")
    return found


def sounds_by_name(folder: Path) -> dict[str, str]:
    """File name to path relative to the folder, for sets that name files without their folder.

    Raises:
        TaskError: There is none, or two have the same name.
    """
    found: dict[str, str] = {}
    for path in find_sounds(folder):
        relative = path.relative_to(folder).as_posix()
        other = found.setdefault(path.name, relative)
        if other != relative:
            raise TaskError(f"{folder}: {other} and {relative} have one name; keep one of them")
    return found


def located(names: Sequence[str], sounds: dict[str, str], table: Path) -> list[str]:
    """The paths of named files, whatever folders their names may have before them.

    Raises:
        TaskError: Some are not there.
    """
    names = [PurePosixPath(name).name for name in names]
    lost = sorted({name for name in names if name not in sounds})
    if lost:
        raise TaskError(
            f"{table}: {len(lost)} of its {len(names)} files are not there, such as {named(lost)}; "
            "unpack all archives of the set"
        )
    return [sounds[name] for name in names]
