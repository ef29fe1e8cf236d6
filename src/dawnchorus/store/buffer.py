"""Windows that wait to be written: checked as they come, joined into one table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dawnchorus.errors import StoreError
from dawnchorus.store.schema import FLAGS, embedding_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dawnchorus.store.schema import RecordingRow, StoreHeader


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRows:
    """Consecutive windows of one recording.

    Attributes:
        window, start_sample, valid_samples: ``(n,)`` int64; samples at the model's rate.
        flags: ``(n,)`` int64, a bit for each of `FLAGS`.
        vectors: ``(n, dim)`` float32.
        scores: ``(n, labels)`` probabilities, None for a store without them.
    """

    window: NDArray[np.int64]
    start_sample: NDArray[np.int64]
    valid_samples: NDArray[np.int64]
    flags: NDArray[np.int64]
    vectors: NDArray[np.float32]
    scores: NDArray[np.float32] | None = None


class WindowBuffer:
    """Windows that are not on disk yet; ``n_bytes`` of vectors."""

    def __init__(self, header: StoreHeader) -> None:
        """``header``: of the store that they are for."""
        self._header = header
        self._schema = embedding_schema(header)
        self._numbers = np.dtype(header.dtype)
        self._rows: list[tuple[str, WindowRows]] = []
        self.n_bytes = 0

    def __len__(self) -> int:
        """How many pieces it has."""
        return len(self._rows)

    def add(self, recording: RecordingRow, rows: WindowRows, first: int) -> None:
        """Take windows from ``first`` on.

        Raises:
            StoreError: A value does not fit the store's number format or is not finite, the
                vectors have another size, or windows are not consecutive.
        """
        self._rows.append((recording.recording_id, self._fitted(recording, rows, first)))
        self.n_bytes += rows.vectors.size * self._numbers.itemsize

    def drop(self, recording_id: str) -> None:
        """Forget the windows of a recording."""
        self._rows = [(other, rows) for other, rows in self._rows if other != recording_id]

    def recordings(self) -> list[str]:
        """Ids of the recordings whose windows it has."""
        return list(dict.fromkeys(identity for identity, _ in self._rows))

    def table(self) -> pa.Table:
        """All of them, as a part of ``embeddings/``."""
        sizes = [len(rows.window) for _, rows in self._rows]
        identities = np.repeat([identity for identity, _ in self._rows], sizes)
        start, valid, window, flags = (
            np.concatenate([getattr(rows, name) for _, rows in self._rows])
            for name in ("start_sample", "valid_samples", "window", "flags")
        )
        vectors = _lists([rows.vectors for _, rows in self._rows])
        scores = [
            rows.scores.astype(np.float16) for _, rows in self._rows if rows.scores is not None
        ]
        stop = start + valid  # of the sound: what was padded is not in the table
        rate = self._header.sample_rate
        # one integer per window on the way here, one column per flag in the file
        bits = [(flags >> bit) & 1 == 1 for bit in range(len(FLAGS))]
        times = [start, stop, valid, start / rate, stop / rate]
        columns = [identities, window, *times, *bits, vectors]
        if scores:
            columns.append(_lists(scores))
        fields = zip(columns, self._schema, strict=True)
        return pa.table([pa.array(c, field.type) for c, field in fields], schema=self._schema)

    def clear(self) -> None:
        """They are on disk."""
        self._rows, self.n_bytes = [], 0

    def _fitted(self, recording: RecordingRow, rows: WindowRows, first: int) -> WindowRows:
        expected = np.arange(first, first + len(rows.window))
        if not np.array_equal(rows.window, expected):
            raise StoreError(
                f"{recording.path}: windows {rows.window.tolist()[:3]}... came where window "
                f"{first} is next"
            )
        if rows.vectors.shape != (len(expected), self._header.dim):
            raise StoreError(
                f"{recording.path}: vectors of shape {rows.vectors.shape}, this store holds "
                f"{len(expected)} x {self._header.dim}"
            )
        self._check_scores(recording, rows)
        with np.errstate(over="ignore"):  # infinity is refused below, with the value that caused it
            vectors = rows.vectors.astype(self._numbers)
        if not np.isfinite(vectors).all():
            largest = float(np.abs(rows.vectors).max())
            raise StoreError(
                f"{recording.path}: a value of {largest:g} does not fit {self._header.dtype} "
                f"(up to {np.finfo(self._numbers).max:g}); use a new store with --dtype float32"
            )
        return replace(rows, vectors=vectors)

    def _check_scores(self, recording: RecordingRow, rows: WindowRows) -> None:
        labels, scores = self._header.labels, rows.scores
        wanted = None if labels is None else (len(rows.window), len(labels))
        shape = None if scores is None else scores.shape
        if shape != wanted:
            raise StoreError(
                f"{recording.path}: scores of shape {shape}, this store holds {wanted}"
            )
        if scores is not None and not ((scores >= 0) & (scores <= 1)).all():
            raise StoreError(f"{recording.path}: a score is not a probability")


def _lists(pieces: Sequence[NDArray[Any]]) -> pa.FixedSizeListArray:
    whole = np.concatenate(pieces)
    return pa.FixedSizeListArray.from_arrays(pa.array(whole.reshape(-1)), whole.shape[1])
