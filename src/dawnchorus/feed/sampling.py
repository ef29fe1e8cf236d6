"""Which clips belong to which bucket, and in which order each bucket gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.clips.manifest import FILE, texts
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.feed.draws import Shuffled, ShuffledByShard, Weighted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dawnchorus.clips.manifest import Manifest
    from dawnchorus.configs import BucketConfig, DataConfig
    from dawnchorus.feed.draws import ClipOrder


@dataclass(frozen=True, slots=True)
class BucketRows:
    """Rows of the manifest that a bucket draws from, and the order in which it does.

    Attributes:
        rows: of the manifest.
        order: which of them a draw takes.
        steps: relative share of the steps.
    """

    rows: NDArray[np.int64]
    order: ClipOrder
    steps: float


def fill_buckets(
    manifest: Manifest, buckets: Sequence[BucketConfig], data: DataConfig, seed: int
) -> list[BucketRows]:
    """Put each clip into the shortest bucket that holds it, the longest ones into the last.

    Files of exactly annotated sources are left out; their segments are not. Buckets without weights
    have steps in proportion to what is to be drawn from them, so that the sampling holds over all:
    a clip is as likely whatever bucket it is in. With weights it holds inside each.

    Raises:
        TaskError: A bucket holds no clip, or a clip's length is not known.
        UsageError: Some buckets have a weight and others have none.
    """
    weighted = [bucket.weight is not None for bucket in buckets]
    if any(weighted) and not all(weighted):
        raise UsageError(
            f"buckets: {sum(weighted)} of {len(buckets)} have a weight; give all of them one, or "
            "none, so that the sampling holds over all buckets"
        )
    length_s = manifest.seconds("stop_s") - manifest.seconds("start_s")
    strong = pc.is_in(texts(manifest.table["dataset"]), pa.array(data.strong_sources, pa.string()))
    whole = pc.equal(texts(manifest.table["level"]), FILE)
    # the label of a whole file says nothing of a crop where annotation is exact
    usable = ~(strong.to_numpy() & whole.to_numpy())
    unknown = np.flatnonzero(usable & np.isnan(length_s))
    if len(unknown):
        raise TaskError(
            f"{manifest.named}: the length of {len(unknown)} clips is not known, such as "
            f"{manifest[int(unknown[0])].id!r}; `dawnchorus data check MANIFEST -o MEASURED` "
            "measures it"
        )
    # over all buckets at once: a clip is as likely whatever bucket it is in
    likely = np.zeros(len(manifest))
    likely[usable] = _likely(manifest.take(np.flatnonzero(usable)), data)
    filled = []
    lower_s = 0.0
    for bucket in buckets:
        upper_s = np.inf if bucket is buckets[-1] else bucket.crop_s
        # longer than the bucket before, so that each clip is in exactly one
        rows = np.flatnonzero(usable & (length_s > lower_s) & (length_s <= upper_s))
        if not len(rows):
            raise TaskError(
                f"buckets: no clip is between {lower_s:g} s and {bucket.crop_s:g} s long"
            )
        if likely[rows].sum() <= 0:
            raise TaskError(f"source_weights leave no clip for the bucket of {bucket.crop_s:g} s")
        clips = manifest.take(rows)
        # a bucket of its own weight balances its own labels: it cannot be drawn more for others
        weights = likely[rows] if bucket.weight is None else _likely(clips, data)
        # draws wanted, as steps: a bucket with large batches needs fewer
        steps = bucket.weight or float(weights.sum()) / bucket.batch_size
        filled.append(BucketRows(rows, _order(clips, weights, data, seed), steps))
        lower_s = bucket.crop_s
    return filled


def _sampling(data: DataConfig) -> str:
    return data.sampling or ("source_weighted" if data.source_weights else "shuffled")


def _likely(clips: Manifest, data: DataConfig) -> NDArray[np.float64]:
    """How often each clip is to be drawn, relative to the others."""
    if _sampling(data) == "class_balanced":
        return class_weights(clips)
    if _sampling(data) == "source_weighted":
        return _source_weights(clips, data.source_weights)
    return np.ones(len(clips))


def _order(clips: Manifest, weights: NDArray[np.float64], data: DataConfig, seed: int) -> ClipOrder:
    if _sampling(data) != "shuffled":
        return Weighted(weights)
    if "shard" not in clips.table.column_names:
        return Shuffled(len(clips), seed)
    return ShuffledByShard(_numbers(clips.table["shard"]), seed)


def class_weights(clips: Manifest) -> NDArray[np.float64]:
    """How often each clip is drawn when a label is drawn first, then one of the clips that have it.

    Clips without labels are one more class.
    """
    lists = clips.table["labels"]
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    owner = np.repeat(np.arange(len(clips)), counts)
    label = _numbers(pc.list_flatten(lists))
    # each label is worth 1, shared by the clips that have it
    share: NDArray[np.float64] = np.divide(1.0, np.bincount(label))[label]
    weights: NDArray[np.float64] = np.bincount(owner, share, minlength=len(clips)).astype(float)
    without = counts == 0
    weights[without] = 1.0 / max(int(np.count_nonzero(without)), 1)
    return weights


def _source_weights(clips: Manifest, of: dict[str, float]) -> NDArray[np.float64]:
    names = pa.array(list(of), pa.string())
    place = pc.fill_null(pc.index_in(texts(clips.table["dataset"]), names), len(of)).to_numpy()
    weights: NDArray[np.float64] = np.array([*of.values(), 1.0])[place]
    return weights


def _numbers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """A number for each different text."""
    unique = pc.unique(column)
    numbers: NDArray[np.int64] = pc.index_in(column, unique).to_numpy().astype(np.int64)
    return numbers
