"""A sketch of a store: one bit for each number of a vector, and how far two of them differ.

The bit says whether a number lies above the mean of the store: the sign of the standardised vector.
96 bytes stand for 768 numbers, so that a store whose vectors do not fit in memory is looked through
there; the windows that differ least from the query are then scored exactly. A file for each part,
so that a store that grows gets new files only. Which mean the bits were made with is kept: once the
store has doubled, they are made again with its mean of then.
"""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.machine import n_cores
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.search.facts import UNREADABLE
from dawnchorus.search.kept import keep, kept_contents, kept_paths
from dawnchorus.store.files import remove_if_possible
from dawnchorus.store.storage import names_in

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.progress import Progress
    from dawnchorus.search.archive import Archive
    from dawnchorus.search.part_vectors import PartVectors
    from dawnchorus.search.scan import PartRows

    Floats = NDArray[np.float32]
    Rows = NDArray[np.int64]
    Bits = NDArray[np.uint64]  # (words, rows): each bit is one number, each row one window

REFERENCE_NAME: Final = "sketch-mean.npy"
GROWTH: Final = 2.0  # of a store, until its sketch is made again with another mean
LEAST_CANDIDATES: Final = 5000
CANDIDATES_PER_RESULT: Final = 50
FAR: Final = np.iinfo(np.uint16).max
SUM_BYTES: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """Bits of every part of an archive that holds windows that pass.

    Attributes:
        tasks: which windows each part holds.
        bits: ``(words, rows of the part)`` of each of them.
    """

    tasks: list[PartRows]
    bits: list[Bits]

    def nearest(self, directions: Floats, n: int) -> list[Rows]:
        """For each query the ``n`` rows whose bits differ least from those of its direction.

        Of rows that differ equally the lowest, so that the answer is one on every machine.
        """
        queries = as_bits(directions, np.zeros(directions.shape[1], np.float32))
        with ThreadPoolExecutor(n_cores()) as pool:
            return [self._nearest_to(query, n, pool) for query in queries.T]

    def _nearest_to(self, query: Bits, n: int, pool: ThreadPoolExecutor) -> Rows:
        # in each part on its own: a part stays in the processor's cache, all distances do not
        distances = list(pool.map(lambda at: self._distances(at, query), range(len(self.tasks))))
        counts = sum((np.bincount(own, minlength=FAR + 1) for own in distances), np.zeros(1, int))
        last = int(np.searchsorted(np.cumsum(counts), n))  # the distance that the n-th nearest has
        below, equal = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for task, own in zip(self.tasks, distances, strict=True):
            near = np.flatnonzero(own <= last)
            is_equal = own[near] == last
            below.append(task.rows[near[~is_equal]])
            equal.append(task.rows[near[is_equal]])
        n_below = sum(map(len, below))
        rest = np.sort(np.concatenate(equal))[: max(0, n - n_below)]
        return np.sort(np.concatenate([*below, rest]))

    def _distances(self, at: int, query: Bits) -> NDArray[np.uint16]:
        task, bits = self.tasks[at], self.bits[at]
        own = differing_bits(bits, query)
        return own if len(task.in_part) == bits.shape[1] else own[task.in_part]


def candidates_for(k: int) -> int:
    """How many windows are scored so that the best ``k`` are among them."""
    return max(LEAST_CANDIDATES, CANDIDATES_PER_RESULT * k)


def as_bits(vectors: NDArray[np.floating], mean: Floats) -> Bits:
    """``(words, n)``: for each number of ``(n, dim)`` vectors, whether it is above the mean's."""
    packed = np.packbits(vectors > mean, axis=1)
    n_words = -(-packed.shape[1] // 8)
    whole = np.zeros((len(packed), 8 * n_words), np.uint8)
    whole[:, : packed.shape[1]] = packed
    # words of all rows beside each other: a loop over 12 words instead of over each row
    return np.ascontiguousarray(whole.view(np.uint64).T)


def differing_bits(bits: Bits, query: Bits) -> NDArray[np.uint16]:
    """In how many bits each row differs from a query of ``(words,)``, ``(n,)``."""
    count = getattr(np, "bitwise_count", counted_by_table)  # from NumPy 2 on
    total = np.zeros(bits.shape[1], np.uint16)
    for words, word in zip(bits, query, strict=True):
        total += count(words ^ word)
    return total


_ONES: Final = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1)


def counted_by_table(words: Bits) -> NDArray[np.uint8]:
    """Ones in each word, for NumPy 1."""
    octets = words.view(np.uint8).reshape(len(words), 8)
    ones: NDArray[np.uint8] = _ONES[octets].sum(axis=1).astype(np.uint8)
    return ones


def open_sketch(archive: Archive, progress: Progress = NO_PROGRESS) -> Sketch:
    """The sketch of an archive; what is missing or stale is made and kept beside its store.

    It is opened once for an archive, and mapped: another query reads nothing.

    Raises:
        StoreError: A part is missing or damaged.
    """
    if archive.sketch is None:
        archive.sketch = _opened(archive, progress)
    return archive.sketch


def _opened(archive: Archive, progress: Progress) -> Sketch:
    facts = archive.prepare(progress)
    tasks = archive.part_rows()
    wanted = {id(task.part) for task in tasks}
    bits: dict[int, Bits] = {}
    for store, parts, known in archive.parts_of_stores(facts):
        n_windows = sum(fact.n_windows for fact in known)
        reference = _reference(store.path, archive.dim, n_windows)
        if reference is None:
            total = np.sum([fact.total for fact in known], axis=0)
            reference = (total / max(1, n_windows)).astype(np.float32)
            _keep_reference(store.path, reference, n_windows)
        some = [part for part in parts if id(part) in wanted]
        bits.update(_bits_of_parts(store.path, some, reference, progress))
    return Sketch(tasks, [bits[id(task.part)] for task in tasks])


def _bits_of_parts(
    store: Path, parts: list[PartVectors], reference: Floats, progress: Progress
) -> dict[int, Bits]:
    advance = progress.start("reading the sketch", len(parts), "parts")
    with ThreadPoolExecutor(n_cores()) as pool:
        bits = {}
        for part, own in zip(
            parts, pool.map(lambda part: _part_bits(store, part, reference), parts), strict=True
        ):
            bits[id(part)] = own
            advance(1)
    return bits


def _part_bits(store: Path, part: PartVectors, reference: Floats) -> Bits:
    name = _sketch_name(part, reference)
    paths = kept_paths(store, name)
    for path in paths:
        with suppress(*UNREADABLE):
            return _mapped(path)
    bits = np.concatenate([as_bits(piece, reference) for piece in part.pieces()], axis=1)
    sink = io.BytesIO()
    np.save(sink, bits)
    sink.write(_sum_of(bits))
    keep(store, name, sink.getvalue())
    return bits


def _mapped(path: Path) -> Bits:
    """The bits in a file, compared with the sum at its end.

    Raises:
        ValueError: They are others than were written; as the other errors of `UNREADABLE`.
    """
    bits: Bits = np.load(path, mmap_mode="r", allow_pickle=False)
    with path.open("rb") as file:
        file.seek(-SUM_BYTES, io.SEEK_END)
        if bits.dtype != np.uint64 or bits.ndim != 2 or file.read() != _sum_of(bits):
            raise ValueError(f"{path}: damaged")
    return bits


def _sum_of(bits: Bits) -> bytes:
    """What tells a damaged file: a sum takes a tenth of the time of SHA-256, at every opening."""
    return int(np.add.reduce(bits, axis=None, dtype=np.uint64)).to_bytes(SUM_BYTES, "little")


def _sketch_name(part: PartVectors, reference: Floats) -> str:
    """A name for each part, its bytes and the mean: what is stale has another name."""
    text = "+".join(sorted(part.use.seals)).encode() + reference.tobytes()
    return f"{part.name.removesuffix('.parquet')}.{hashlib.sha256(text).hexdigest()[:16]}.sketch"


def _reference(store: Path, dim: int, n_windows: int) -> Floats | None:
    """The mean that the bits of a store were made with; None where it has to be another now."""
    for content in kept_contents(store, REFERENCE_NAME):
        with suppress(*UNREADABLE):
            values = np.load(io.BytesIO(content), allow_pickle=False)
            if _is_mean(values, dim):
                grown = n_windows / max(1.0, values[-1])
                if 1 / GROWTH <= grown <= GROWTH:
                    mean: Floats = values[:-1].astype(np.float32)
                    return mean
    return None


def _is_mean(values: NDArray[Any], dim: int) -> bool:
    """Whether an array may be what `_keep_reference` wrote."""
    has_form = values.shape == (dim + 1,) and values.dtype == np.float64
    return bool(has_form and np.isfinite(values).all())


def _keep_reference(store: Path, reference: Floats, n_windows: int) -> None:
    """Write the mean, and remove what was made with another."""
    for folder in (path.parent for path in kept_paths(store, REFERENCE_NAME)):
        for name in list(names_in(folder)):
            if name.endswith(".sketch"):
                remove_if_possible(folder / name)
    sink = io.BytesIO()
    np.save(sink, np.append(reference.astype(np.float64), float(n_windows)))
    keep(store, REFERENCE_NAME, sink.getvalue())
