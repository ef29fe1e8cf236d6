"""`suggest_windows`: windows of a store that are worth labelling next, as suggestions to judge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.annotations.annotation_row import named_label
from dawnchorus.annotations.annotation_table import (
    AnnotationTable,
    annotations_beside,
    suggested_row,
)
from dawnchorus.annotations.window_labels import ABSENT, PRESENT, UNLABELLED, window_labels
from dawnchorus.engine.detections.probe_rules import open_probe
from dawnchorus.labelling.choose import Choosable, choose
from dawnchorus.labelling.draw_judgements import OWN_IDS
from dawnchorus.labelling.scores import spelled, window_scores
from dawnchorus.paths import as_path
from dawnchorus.probes.fitted import FittedProbe
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.search.archive import Archive
from dawnchorus.search.enough_sound import enough_sound
from dawnchorus.search.query import direction_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from dawnchorus.annotations.annotation_row import AnnotationRow
    from dawnchorus.labelling.choose import Strategy
    from dawnchorus.progress import Progress

    Labels = NDArray[np.int8]
    Floats = NDArray[np.floating]

HALF: Final = 0.5  # the boundary of a probability
FIRST_GUESS: Final = 0.9  # quantile taken for the boundary before anything was called absent


def suggest_windows(
    store: str | Path | Sequence[str | Path],
    label: str,
    n: int = 50,
    *,
    strategy: Strategy = "mixed",
    scorer: FittedProbe | str | Path | Floats | None = None,
    annotations: str | Path | None = None,
    seed: int = 0,
    progress: Progress = NO_PROGRESS,
    **filters: Any,
) -> list[AnnotationRow]:
    """Choose windows to label next, and add them to the annotations as suggestions.

    Windows are scored by a probe, otherwise by how much they sound like those that people said hold
    the label, and like vectors; without any of these they are spread over all there is.
    Windows that are labelled or suggested for the label already are not chosen again. Those drawn
    evenly are drawn from all that no estimate has yet: one that was labelled in order to learn may
    be among them, and is then judged once more, in a row of its own.

    Args:
        store: whose windows; or several stores of one model and settings.
        label: that is asked about.
        n: how many.
        strategy: see `dawnchorus.labelling.choose.choose`.
        scorer: a fitted probe that has the label, or its folder; or vectors ``(n, dim)`` of sounds
            that are alike, by the store's encoder.
        annotations: folder of the table. None: the one beside the first store; it is made if it is
            not there.
        seed: of what is drawn.
        progress: who is told.
        **filters: fields of `WindowFilter`, such as ``where={"site": "North"}``.

    Returns:
        The suggestions, in the order to judge them. Those drawn evenly, which an estimate may use,
        have the purpose ``estimate``, the others ``train``.

    Raises:
        UsageError: Nothing is left to label, the probe does not have the label, or the strategy
            needs scores and there are none.
        StoreError: Store or annotations are damaged, or cannot be written.
    """
    label = named_label(label)
    archive = Archive(store, **filters)
    beside = annotations_beside(archive.stores[0].path)
    folder = as_path(beside if annotations is None else annotations)
    rows = AnnotationTable(folder).rows() if folder.exists() else []
    if isinstance(scorer, str | Path | FittedProbe):
        scorer = open_probe(scorer)
        if not any(row.label == label for row in rows):
            label = spelled(label, scorer.classes, "the probe")
    windows = archive.windows()
    labels = window_labels(windows, rows, label)
    own = [row for row in rows if row.label == label]
    scores, boundary = _scored(archive, labels, label, scorer, progress=progress)
    choosable = Choosable(
        scores=scores,
        boundary=boundary,
        recordings=windows["recording_id"].combine_chunks().dictionary_encode().indices.to_numpy(),
        done=(labels != UNLABELLED) | _spoken_of(windows, own),
        estimated=_spoken_of(windows, [row for row in own if row.purpose == "estimate"]),
        n_positives=int((labels == PRESENT).sum()),
        vectors=lambda wanted: archive.take(wanted) - archive.mean(),
        thin=~enough_sound(archive),
    )
    chosen = choose(choosable, n, strategy, seed)
    suggestions = [
        suggested_row(
            window,
            label,
            model=archive.header.model,
            score=None if scores is None else float(scores[row]),
            purpose="estimate" if at_random else "train",
            repeat=OWN_IDS if at_random else 1,
        )
        for window, row, at_random in zip(
            archive.describe(chosen.rows).to_pylist(),
            chosen.rows.tolist(),
            chosen.at_random.tolist(),
            strict=True,
        )
    ]
    AnnotationTable(folder, create=True).append(suggestions)
    return suggestions


def _scored(
    archive: Archive,
    labels: Labels,
    label: str,
    scorer: FittedProbe | str | Path | Floats | None,
    *,
    progress: Progress,
) -> tuple[Floats | None, float]:
    """Scores of all windows, and the boundary between present and absent."""
    vectors = np.zeros((0, archive.dim), np.float32)
    if hasattr(scorer, "__array__") or isinstance(scorer, list):
        vectors = archive.checked(np.asarray(scorer, np.float32))
    elif scorer is not None:
        return window_scores(archive, probe=scorer, label=label, progress=progress), HALF
    like = np.concatenate([archive.take(np.flatnonzero(labels == PRESENT)), vectors])
    if not len(like):
        return None, 0.0
    unlike = archive.take(np.flatnonzero(labels == ABSENT))
    direction = direction_of(archive, like, unlike)
    scores = window_scores(archive, query=direction, progress=progress)
    present, absent = scores[labels == PRESENT], scores[labels == ABSENT]
    if len(present) and len(absent):
        return scores, float((np.median(present) + np.median(absent)) / 2)
    return scores, float(np.quantile(scores, FIRST_GUESS))


def _spoken_of(windows: pa.Table, rows: Sequence[AnnotationRow]) -> NDArray[np.bool_]:
    """Windows that one of some rows is about, judged or not, whoever is unsure of it."""
    about = {(row.recording_id, row.start_s, row.end_s) for row in rows}
    columns = (windows[name].to_pylist() for name in ("recording_id", "start_s", "stop_s"))
    return np.array(
        [
            (who, round(start, 6), round(stop, 6)) in about
            for who, start, stop in zip(*columns, strict=True)
        ],
        bool,
    )
