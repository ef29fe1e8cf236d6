"""Another model's embeddings and logits on the training files: soft targets for any crop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

COLUMNS = ("id", "start_s", "stop_s", "embedding", "audioset_logits")
MIN_SHARE_OF_WINDOW = 0.5  # a crop shorter than this share of a teacher's window says too little


@dataclass(frozen=True, slots=True)
class _Windows:
    centre_s: NDArray[np.float64]
    length_s: float
    embedding: NDArray[np.float32]
    logits: NDArray[np.float32]


class Teacher:
    """Soft targets by file and time; embeddings are standardised over the whole table."""

    def __init__(self, path: Path) -> None:
        """Read the table.

        Raises:
            TaskError: The file or a column is missing.
        """
        if not path.is_file():
            raise TaskError(f"{path}: no such teacher table")
        table = pq.read_table(path)
        missing = [name for name in COLUMNS if name not in table.column_names]
        if missing:
            raise TaskError(f"{path}: columns {missing} are missing; found {table.column_names}")
        embedding = np.stack(table["embedding"].to_numpy(zero_copy_only=False)).astype(np.float32)
        logits = np.stack(table["audioset_logits"].to_numpy(zero_copy_only=False)).astype(
            np.float32
        )
        # standardised, so that no dimension of the teacher outweighs the others in the loss
        embedding = (embedding - embedding.mean(0)) / (embedding.std(0) + 1e-6)
        self.dim = embedding.shape[1]
        self.n_logits = logits.shape[1]
        start, stop = (table[name].to_numpy() for name in ("start_s", "stop_s"))
        rows_of: dict[str, list[int]] = {}
        for row, name in enumerate(table["id"].to_pylist()):
            rows_of.setdefault(name, []).append(row)
        self._windows = {}
        for name, unsorted in rows_of.items():
            rows = sorted(unsorted, key=lambda row: float(start[row]))
            self._windows[name] = _Windows(
                (start[rows] + stop[rows]) / 2,
                float(stop[rows[0]] - start[rows[0]]),
                embedding[rows],
                logits[rows],
            )

    def at(
        self, file_id: str, start_s: float, stop_s: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Embedding and logits for a crop, interpolated between the windows beside its centre.

        Returns:
            ``(dim,)`` and ``(n_logits,)``, or None where the table says nothing of this crop.
        """
        windows = self._windows.get(file_id)
        if windows is None or stop_s - start_s < MIN_SHARE_OF_WINDOW * windows.length_s:
            return None
        centre = (start_s + stop_s) / 2
        # between the windows before and behind the centre of the crop
        after = int(np.searchsorted(windows.centre_s, centre))
        low, high = max(after - 1, 0), min(after, len(windows.centre_s) - 1)
        gap = windows.centre_s[high] - windows.centre_s[low]
        along = 0.0 if gap <= 0 else float((centre - windows.centre_s[low]) / gap)
        share = np.float32(min(max(along, 0.0), 1.0))
        embedding, logits = (
            (1 - share) * values[low] + share * values[high]
            for values in (windows.embedding, windows.logits)
        )
        return embedding, logits
