"""How well a classifier does on clips that it was not trained on: macro figures and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus import metrics
from dawnchorus.text_tables.write import csv_text
from dawnchorus.training import devices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from dawnchorus.feed.batches import Batch
    from dawnchorus.feed.vocabulary import Vocabulary
    from dawnchorus.recipes.training_data import TrainingData

    Floats = NDArray[np.floating]

COLUMNS: Final = ("kind", "label", "n_positive", "average_precision", "roc_auc", "accuracy")


def per_class(
    truth: Floats, logits: Floats, vocabularies: Sequence[Vocabulary]
) -> list[dict[str, Any]]:
    """One row for each label that some clip has.

    ``accuracy``: of the clips that have this label and no other of its kind, the share for
    which it has the highest logit of its kind. A figure that is not defined is None: without a clip
    that lacks the label any order of them is perfect, and of a single label any guess is right.

    Args:
        truth: ``(clips, labels)`` of 0 and 1, all vocabularies side by side.
        logits: the same shape.
        vocabularies: what the columns are.
    """
    rows, first = [], 0
    for vocabulary in vocabularies:
        columns = slice(first, first + len(vocabulary))
        first += len(vocabulary)
        hot, scores = truth[:, columns] > 0, logits[:, columns]
        # accuracy has no meaning for a clip with several right answers
        single = hot.sum(axis=1) == 1
        guess = scores.argmax(axis=1)
        for k in np.flatnonzero(hot.any(axis=0)):
            mine = hot[:, k]
            alone = mine & single
            rows.append(
                {
                    "kind": "+".join(vocabulary.kinds),
                    "label": vocabulary.labels[k],
                    "n_positive": int(mine.sum()),
                    "average_precision": None
                    if mine.all()
                    else metrics.average_precision(mine, scores[:, k]),
                    "roc_auc": None if mine.all() else metrics.roc_auc(mine, scores[:, k]),
                    "accuracy": float((guess[alone] == k).mean())
                    if alone.any() and len(vocabulary) > 1
                    else None,
                }
            )
    return rows


def macro(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Mean over the classes of each figure, where it is defined; ``map`` comes first."""
    names = {"map": "average_precision", "roc_auc": "roc_auc", "accuracy": "accuracy"}
    means = {}
    for name, column in names.items():
        values = [row[column] for row in rows if row[column] is not None]
        if values:
            means[name] = float(np.mean(values))
    return means


def as_csv(rows: Sequence[dict[str, Any]]) -> bytes:
    """The table as a CSV file, the empty cell for what is not defined."""
    cells = ([_rounded(row.get(column)) for column in COLUMNS] for row in rows)
    return csv_text(COLUMNS, cells).encode()


def _rounded(value: object) -> object:
    return round(value, 6) if isinstance(value, float) else value


def over_batches(
    data: TrainingData,
    batch_size: int,
    crop_s: float,
    score: Callable[[Batch, int], tuple[NDArray[Any], ...]],
) -> tuple[NDArray[Any], ...]:
    """Score all validation clips in batches that the processes share.

    Args:
        data: has the validation clips.
        batch_size: clips at once.
        crop_s: most of each clip, from its start: nothing is drawn at random.
        score: batch and number of its first clip to arrays with a row for each clip.

    Returns:
        The arrays over all clips, in their order.
    """

    def piece(number: int) -> tuple[NDArray[Any], ...]:
        first = number * batch_size
        return score(data.source.fixed(data.validation[first : first + batch_size], crop_s), first)

    pieces = in_shares(-(-len(data.validation) // batch_size), piece)
    return tuple(np.concatenate(parts) for parts in zip(*pieces, strict=True))


def in_shares(
    n_pieces: int, piece: Callable[[int], tuple[NDArray[Any], ...]]
) -> list[tuple[NDArray[Any], ...]]:
    """Compute pieces in all processes; every one gets all of them, in order.

    Each process computes equally many, the last ones again if need be: weights that are spread
    over processes are gathered by all of them together.
    """
    n, rank = devices.n_processes(), devices.rank()
    # the last pieces again where they do not divide: gathering weights needs all processes
    mine = [piece(min(first + rank, n_pieces - 1)) for first in range(0, n_pieces, n)]
    everyones = devices.gather(mine)
    # piece i was computed by process i % n, in its turn i // n
    in_order = [share[turn] for turn in range(len(mine)) for share in everyones]
    return in_order[:n_pieces]
