"""What is kept beside a store so that searches need not compute it again; always rebuildable.

``vectors.npz`` (see `kept`) holds for each part the sum of its vectors (for the mean), the squared
length of each (for the cosine) and where they lie in the file (to map it, or to fetch a few of
them). A part that is new, or whose owners changed, is read once, its seal checked, and the file
written again.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.errors import StoreError
from dawnchorus.paths import is_remote
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.search.kept import keep, kept_contents
from dawnchorus.search.part_vectors import RowGroups, n_readers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.progress import Progress
    from dawnchorus.search.part_vectors import PartVectors

    Measured = Callable[[Sequence[PartVectors]], Iterator["PartFacts"]]

FACTS_NAME: Final = "vectors.npz"
VERSION: Final = 1
# What numpy and zipfile raise for files that are no longer what was written
UNREADABLE: Final = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True, slots=True, eq=False)
class PartFacts:
    """What is known of the vectors of a part.

    Attributes:
        key: of its bytes and its owners; facts of another key are stale.
        n_windows: rows that belong to finished recordings.
        total: ``(dim,)`` float64, sum of those rows.
        squares: ``(rows,)`` float32, squared length of every row.
        groups: where the vectors lie, None where the part cannot be mapped.
    """

    key: str
    n_windows: int
    total: NDArray[np.float64]
    squares: NDArray[np.float32]
    groups: RowGroups | None


def store_facts(
    store: Path,
    parts: Sequence[PartVectors],
    progress: Progress = NO_PROGRESS,
    measured: Measured | None = None,
) -> dict[str, PartFacts]:
    """Facts of the parts of a store, by name; read where they are not known yet, and then kept.

    Args:
        store: that they are of.
        parts: all that finished recordings use.
        progress: is told how far it is.
        measured: what reads parts and gives the facts of each, in order; None: threads.

    Raises:
        StoreError: A part is missing or damaged.
    """
    keys = {part.name: _key(part) for part in parts}
    facts: dict[str, PartFacts] = {}
    n_stale = 0
    for content in kept_contents(store, FACTS_NAME):
        known = _read(content)
        fresh = {name: fact for name, fact in known.items() if fact.key == keys.get(name)}
        n_stale += len(known) - len(fresh)
        facts |= fresh
    missing = [part for part in parts if part.name not in facts]
    if missing:
        advance = progress.start("reading vectors", len(missing), "parts")
        for part, fact in zip(missing, (measured or measured_by_threads)(missing), strict=True):
            facts[part.name] = fact
            advance(1)
    if missing or n_stale:
        _write(store, facts)
    return facts


def _key(part: PartVectors) -> str:
    """Of what facts of a part depend on; a file that was cut or replaced has another length."""
    size = 0
    if not is_remote(part.path):
        try:
            size = part.path.stat().st_size
        except OSError:
            size = -1  # reading it says what is wrong
    owners = hashlib.sha256("\n".join(sorted(part.use.paths)).encode()).hexdigest()
    return f"{'+'.join(sorted(part.use.seals))} {size} {owners[:16]}"


def measured_by_threads(parts: Sequence[PartVectors]) -> Iterator[PartFacts]:
    """Facts of each part, in order, read by all cores.

    Raises:
        StoreError: A part is missing or damaged.
    """
    with ThreadPoolExecutor(n_readers(parts)) as pool:
        yield from pool.map(measure, parts)


def measure(part: PartVectors) -> PartFacts:
    """What is known of a part once it was read, its seal checked.

    Raises:
        StoreError: It is missing or damaged.
    """
    content = part.content()
    vectors, owners = part.unpacked(content)
    is_owned = pc.is_in(owners, pa.array(list(part.use.paths), pa.string())).to_numpy()
    wide = vectors.astype(np.float64)
    total = wide[is_owned].sum(axis=0)
    if not np.isfinite(total).all():
        raise StoreError(f"{part.path}: a vector holds a number that is not finite")
    return PartFacts(
        key=_key(part),
        n_windows=int(is_owned.sum()),
        total=total,
        squares=np.einsum("nd,nd->n", wide, wide).astype(np.float32),
        groups=part.find_groups(vectors, content),
    )


def _read(content: bytes) -> dict[str, PartFacts]:
    """What a file holds; nothing if it is damaged or of another version."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return _unpacked({name: file[name] for name in file.files})
    except UNREADABLE:
        return {}


def _unpacked(arrays: Mapping[str, NDArray[Any]]) -> dict[str, PartFacts]:
    if int(arrays["version"]) != VERSION:
        return {}
    n_rows, n_groups = arrays["n_rows"], arrays["n_groups"]
    squares = np.split(arrays["squares"], np.cumsum(n_rows)[:-1])
    offsets = np.split(arrays["offsets"], np.cumsum(n_groups)[:-1])
    counts = np.split(arrays["counts"], np.cumsum(n_groups)[:-1])
    facts = {}
    for at, name in enumerate(arrays["names"].tolist()):
        groups = RowGroups(offsets[at], counts[at]) if n_groups[at] else None
        if len(squares[at]) != n_rows[at]:
            raise ValueError("cut short")
        facts[name] = PartFacts(
            str(arrays["keys"][at]),
            int(arrays["n_windows"][at]),
            arrays["totals"][at],
            squares[at],
            groups,
        )
    return facts


def _write(store: Path, facts: Mapping[str, PartFacts]) -> None:
    empty = np.zeros(0, np.int64)
    values = list(facts.values())
    groups = [fact.groups or RowGroups(empty, empty) for fact in values]
    sink = io.BytesIO()
    np.savez(
        sink,
        version=np.int64(VERSION),
        names=np.array(list(facts), np.str_),
        keys=np.array([fact.key for fact in values], np.str_),
        n_windows=np.array([fact.n_windows for fact in values], np.int64),
        totals=np.array([fact.total for fact in values], np.float64),
        n_rows=np.array([len(fact.squares) for fact in values], np.int64),
        squares=np.concatenate([np.zeros(0, np.float32), *(fact.squares for fact in values)]),
        n_groups=np.array([len(group.offsets) for group in groups], np.int64),
        offsets=np.concatenate([empty, *(group.offsets for group in groups)]),
        counts=np.concatenate([empty, *(group.n_rows for group in groups)]),
    )
    keep(store, FACTS_NAME, sink.getvalue())
