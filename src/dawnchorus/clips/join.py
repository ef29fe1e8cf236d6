"""Several manifests as one, with what is there twice reported."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.clips.manifest import Manifest, decoded, moved
from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SHOWN: Final = 5  # of many, in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinReport:
    """What joining found.

    Attributes:
        n_clips: in the result.
        n_clashing: ids that several manifests had.
        n_duplicates: clips of a file and span that an earlier clip had as well.
        duplicates: path of some of them, the clip that was first and the later one.
    """

    n_clips: int
    n_clashing: int
    n_duplicates: int
    duplicates: tuple[tuple[str, str, str], ...]


def join_manifests(
    manifests: Sequence[Manifest],
    folder: Path,
    *,
    prefix: bool = False,
    drop_duplicates: bool = False,
) -> tuple[Manifest, JoinReport]:
    """Put manifests one after the other; a column that one lacks is null there.

    Args:
        manifests: at least one.
        folder: where the result will lie; its paths are relative to that.
        prefix: put the manifest's name before each of its ids. Otherwise an id that is there twice
            is an error.
        drop_duplicates: leave out a clip whose file and span an earlier one has.

    Raises:
        TaskError: Ids clash, or a further column is of one type here and of another there.
    """
    parts = [moved(manifest, folder) for manifest in manifests]
    n_clashing = _n_clashing(parts)
    if n_clashing and not prefix:
        raise TaskError(
            f"{n_clashing} ids are in more than one manifest, such as {_a_clash(parts)!r}; join "
            "with prefixes, or give the clips other ids"
        )
    names = _names(manifests) if prefix else [""] * len(parts)
    # with prefixes, what clashed no longer does
    tables = [_prefixed(part.table, name) for part, name in zip(parts, names, strict=True)]
    try:
        table = pa.concat_tables(map(decoded, tables), promote_options="permissive")
    except pa.ArrowException as error:
        raise TaskError(f"a column has different types in two manifests: {error}") from error
    joined = Manifest(table, folder, named=" + ".join(part.named for part in parts))
    first = _first_alike(joined)
    later = np.flatnonzero(first != np.arange(len(joined)))
    report = JoinReport(
        n_clips=len(joined) - (len(later) if drop_duplicates else 0),
        n_clashing=n_clashing,
        n_duplicates=len(later),
        duplicates=tuple(
            (joined[row].path, joined[int(first[row])].id, joined[row].id)
            for row in later[:SHOWN].tolist()
        ),
    )
    return (joined.filter(first == np.arange(len(joined))) if drop_duplicates else joined), report


def _ids(parts: Sequence[Manifest]) -> pa.ChunkedArray:
    chunks = [chunk for part in parts for chunk in part.table["id"].chunks]
    return pa.chunked_array(chunks, pa.string())  # of manifests without rows there is no chunk


def _n_clashing(parts: Sequence[Manifest]) -> int:
    ids = _ids(parts)
    return len(ids) - int(pc.count_distinct(ids).as_py())


def _a_clash(parts: Sequence[Manifest]) -> str:
    counts = _ids(parts).value_counts()
    twice = counts.filter(pc.greater(pc.struct_field(counts, "counts"), 1))
    return str(twice[0]["values"].as_py())


def _names(parts: Sequence[Manifest]) -> list[str]:
    """A short name for each manifest: its file's, its folder's where that says nothing."""
    found: list[str] = []
    for number, part in enumerate(parts):
        path = PurePosixPath(part.named)
        name = part.folder.name if path.stem in {"manifest", "index"} else path.stem
        # with a number where it is taken, and with a higher one where that is a name, too
        numbered = (f"{name}{n}" for n in count(number))
        found.append(
            name if name and name not in found else next(n for n in numbered if n not in found)
        )
    return found


def _prefixed(table: pa.Table, name: str) -> pa.Table:
    if not name:
        return table
    ids = pc.binary_join_element_wise(name, table["id"], "/")
    return table.set_column(table.column_names.index("id"), "id", ids)


def _first_alike(manifest: Manifest) -> np.ndarray:
    """For each row the first one of the same file and span."""
    path = manifest.table["path"]
    file = pc.index_in(path, pc.unique(path)).to_numpy().astype(np.float64)
    # an unknown start or end equals another unknown one, which NaN would not
    spans = [np.nan_to_num(manifest.seconds(name), nan=-1.0) for name in ("start_s", "stop_s")]
    keys = np.stack([file, *spans], axis=1)
    # rows that are equal share a number; the first of them has it first
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return np.asarray(first[inverse.reshape(-1)])
