"""A result of a search as a file: a table of all columns, or selections for a program of sounds.

Raven, Audacity and Kaleidoscope get the windows as `dawnchorus.annotations` writes suggestions, so
that they are judged there and come back by ``label import``.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dawnchorus.annotations.annotation_row import suggested_row
from dawnchorus.annotations.places import Places
from dawnchorus.engine.exports.annotation_files import write_annotations
from dawnchorus.errors import StoreError, UsageError
from dawnchorus.paths import absolute, as_path, from_stored_name, stored_name
from dawnchorus.search.results import as_cell
from dawnchorus.store.files import write_whole
from dawnchorus.store.read import Store
from dawnchorus.store.storage import make_folder
from dawnchorus.text_tables.write import csv_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from dawnchorus.annotations.annotation_row import AnnotationRow

FOR_PROGRAMS: Final = ("raven", "audacity", "kaleidoscope")
FORMATS: Final = ("csv", "parquet", "jsonl", *FOR_PROGRAMS)
_BY_SUFFIX: Final = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".txt": "raven"}


def result_format(path: Path, name: str | None = None) -> str:
    """The format that is named, or that of the file's suffix; to be asked before a search.

    Raises:
        UsageError: There is no such format.
    """
    chosen = name or _BY_SUFFIX.get(path.suffix.lower())
    if chosen not in FORMATS:
        problem = f"no format ends in {path.suffix!r}" if name is None else f"no format {name!r}"
        raise UsageError(
            f"{path}: {problem}; need a file that ends in .csv, .parquet, .jsonl, or .txt for a "
            f"Raven selection table, or --format {', '.join(FORMATS)}"
        )
    return chosen


def write_results(
    table: pa.Table,
    path: Path,
    *,
    form: str | None = None,
    stores: Sequence[str | Path] = (),
    audio_root: str | Path | None = None,
    label: str | None = None,
    spreadsheet_safe: bool = False,
) -> list[Path]:
    """Write a result.

    Args:
        table: of a `SearchResult`.
        path: a file; for raven and audacity a name without suffix is a folder with a file for each
            recording.
        form: of `FORMATS`; None: by the suffix.
        stores: that were searched, as they were named; for other programs, which need to know where
            recordings lie.
        audio_root: where they lie now, if they have moved.
        label: of the selections; None: what was looked for.
        spreadsheet_safe: as in `CsvWriter`, for CSV.

    Returns:
        The files that were written.

    Raises:
        UsageError: There is no such format, or it cannot hold the result.
        StoreError: It cannot be written.
    """
    chosen = result_format(path, form)
    try:
        make_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path.parent}: cannot make this folder: {error}") from error
    if chosen in FOR_PROGRAMS:
        rows, places = _selections(table, stores, audio_root, label)
        return write_annotations(rows, path, places, chosen)
    if chosen == "csv":
        names = table.column_names
        cells = ([as_cell(value, name) for value in table[name].to_pylist()] for name in names)
        lines: Iterable[Sequence[Any]] = zip(*cells, strict=True)
        text = csv_text(table.column_names, lines, spreadsheet_safe=spreadsheet_safe)
        write_whole(path, text.encode())
    elif chosen == "parquet":
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        write_whole(path, sink.getvalue().to_pybytes())
    else:
        texts = (json.dumps(row, ensure_ascii=False) for row in table.to_pylist())
        write_whole(path, "".join(f"{text}\n" for text in texts).encode())
    return [path]


def _selections(
    table: pa.Table,
    stores: Sequence[str | Path],
    audio_root: str | Path | None,
    label: str | None,
) -> tuple[list[AnnotationRow], Places]:
    """Windows as suggestions, best first, and where their recordings lie."""
    opened = {str(as_path(store)): Store(store) for store in stores}
    if not opened:
        raise UsageError("selections for other programs need the stores that were searched")
    first = next(iter(opened.values()))
    root = as_path(first.header.audio_root if audio_root is None else audio_root)
    rows = []
    for window in table.to_pylist():
        of_window = opened[window["store"]] if "store" in window else first
        own = root if audio_root is not None else as_path(of_window.header.audio_root)
        if own != root:  # of another store, whose recordings lie elsewhere
            window["path"] = stored_name(absolute(from_stored_name(window["path"], own)))
        text = label or window["query"]
        rows.append(
            suggested_row(window, text, model=first.header.model, score=float(window["score"]))
        )
    return rows, Places(root, _lengths(list(opened.values())))


def _lengths(stores: list[Store]) -> Any:
    """Lengths of recordings by path, read when the first is asked for."""

    @cache
    def known() -> dict[str, float | None]:
        lengths: dict[str, float | None] = {}
        for store in stores:
            rows = store.recordings().select(["path", "duration_s"]).to_pylist()
            root = as_path(store.header.audio_root)
            for row in rows:
                whole = stored_name(absolute(from_stored_name(row["path"], root)))
                lengths |= {row["path"]: row["duration_s"], whole: row["duration_s"]}
        return lengths

    return lambda path: known().get(path)
