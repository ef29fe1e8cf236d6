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
from dawnchorus.search.kept import FOLDER, cached_path, keep, kept_contents
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
        n_rows = sum(len(task.rows) for task in self.tasks)
        top = 1 + max((int(task.rows.max()) for task in self.tasks), default=-1)
        queries = as_bits(directions, np.zeros(directions.shape[1], np.float32))
        nearest = []
        with ThreadPoolExecutor(n_cores()) as pool:
            for query in queries.T:
                distances = np.full(top, FAR, np.uint16)

                def fill(at: int, query: Bits = query, into: Any = distances) -> None:
                    task = self.tasks[at]
                    into[task.rows] = differing_bits(self.bits[at], query)[task.in_part]

                list(pool.map(fill, range(len(self.tasks))))
                nearest.append(_lowest(distances, min(n, n_rows)))
        return nearest


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


def _lowest(distances: NDArray[np.uint16], n: int) -> Rows:
    """The ``n`` rows of the lowest values, of equal ones the first, ascending."""
    counts = np.cumsum(np.bincount(distances, minlength=FAR + 1))
    last = int(np.searchsorted(counts, n))  # the value that the n-th lowest has
    below = np.flatnonzero(distances < last)
    equal = np.flatnonzero(distances == last)[: n - len(below)]
    return np.sort(np.concatenate([below, equal])).astype(np.int64)


def open_sketch(archive: Archive, progress: Progress = NO_PROGRESS) -> Sketch:
    """The sketch of an archive; what is missing or stale is made and kept beside its store.

    Raises:
        StoreError: A part is missing or damaged.
    """
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
    for content in kept_contents(store, name):
        with suppress(*UNREADABLE):
            return _verified(content)
    bits = np.concatenate([as_bits(piece, reference) for piece in part.pieces()], axis=1)
    sink = io.BytesIO()
    np.save(sink, bits)
    body = sink.getvalue()
    keep(store, name, hashlib.sha256(body).digest() + body)
    return bits


def _verified(content: bytes) -> Bits:
    seal, body = content[:32], content[32:]
    if hashlib.sha256(body).digest() != seal:
        raise ValueError("damaged")
    bits: Bits = np.load(io.BytesIO(body), allow_pickle=False)
    return bits


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
    for folder in (store / FOLDER, cached_path(store, REFERENCE_NAME).parent):
        for name in list(names_in(folder)):
            if name.endswith(".sketch"):
                remove_if_possible(folder / name)
    sink = io.BytesIO()
    np.save(sink, np.append(reference.astype(np.float64), float(n_windows)))
    keep(store, REFERENCE_NAME, sink.getvalue())
