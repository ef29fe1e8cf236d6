"""Draw windows to judge for a density, and add them to the annotations as suggestions."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.annotations.annotation_row import named_label, suggested_row
from dawnchorus.annotations.annotation_table import AnnotationTable, annotations_beside
from dawnchorus.errors import DawnChorusError, UsageError
from dawnchorus.labelling.density_plan import DensityPlan, DrawnWindow, new_plan_path, write_plan
from dawnchorus.labelling.scored_windows import ScoredWindows, Scorer, scored_windows
from dawnchorus.labelling.strata import bin_edges, bins_of, draw_windows, n_bins_for
from dawnchorus.labelling.verdicts import NOT_THERE, suggested
from dawnchorus.paths import as_path, is_remote
from dawnchorus.progress import NO_PROGRESS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.annotations.annotation_row import AnnotationRow
    from dawnchorus.probes.fitted import FittedProbe
    from dawnchorus.progress import Progress

# Ids from this repeat on are of windows drawn for estimates. A label of the same window that was
# given in order to learn has another id, so neither ever takes the place of the other.
OWN_IDS: Final = 101


def draw_judgements(
    store: str | Path,
    label: str,
    n_judge: int,
    *,
    annotations: str | Path | None = None,
    probe: FittedProbe | str | Path | None = None,
    query: NDArray[np.floating] | None = None,
    seed: int = 0,
    progress: Progress = NO_PROGRESS,
) -> list[AnnotationRow]:
    """Choose windows to judge for a density, and add them to the annotations as suggestions.

    Args:
        store: of the windows.
        label: that is to be judged.
        n_judge: how many windows.
        annotations: folder; None: beside the store. It is made where there is none.
        probe: that scores the windows, or its folder; None: the store's own scores.
        query: instead of a probe a direction, see `window_scores`.
        seed: of the draw.
        progress: is told of the windows that are scored.

    Returns:
        The suggestions, by recording and time.

    Raises:
        UsageError: There is nothing to draw, or no score.
        StoreError: Store or annotations are damaged, or cannot be written.
    """
    label = named_label(label)
    folder = as_path(annotations_beside(store) if annotations is None else annotations)
    is_new = not folder.exists()
    table = AnnotationTable(folder, create=True)
    try:
        scored = scored_windows(
            store, table, label, Scorer(probe=probe, query=query), progress=progress
        )
    except DawnChorusError:
        if is_new and not is_remote(folder):  # a label with a slip leaves no empty table behind
            shutil.rmtree(folder, ignore_errors=True)
        raise
    plan = scored.plan or _empty_plan(scored, n_judge, seed)
    is_drawn = np.zeros(len(scored.scores), bool)
    is_drawn[[at for at in scored.drawn.values() if at != NOT_THERE]] = True
    is_drawn[list(suggested(scored.index, scored.rows()))] = True
    if is_drawn.all():
        raise UsageError(f"{store}: every window was drawn for {label!r} already; judge those")
    recordings = scored.windows["recording_id"].combine_chunks().dictionary_encode().indices
    bins = bins_of(scored.scores, np.array(plan.edges, np.float64))
    rows = draw_windows(bins, recordings.to_numpy(), n_judge, drawn=is_drawn, seed=plan.seed)
    new, lost = _suggestions(scored, rows), _lost(scored)
    drawn = (*plan.drawn, *_as_drawn(new, scored.windows["window"].take(rows).to_pylist()))
    plan = plan.model_copy(update={"drawn": drawn, "seed": plan.seed + 1})
    # The plan first: a window that was suggested and is in no plan would count as drawn by any
    # scores. What was planned and never suggested is suggested by the next draw.
    write_plan(scored.path or new_plan_path(table.folder, scored.label), plan)
    table.append([*lost, *new])
    return sorted([*lost, *new], key=lambda row: (row.path, row.start_s))


def _empty_plan(scored: ScoredWindows, n_judge: int, seed: int) -> DensityPlan:
    edges = bin_edges(scored.scores, n_bins_for(len(scored.scores), n_judge))
    return DensityPlan(
        label=scored.label,
        scored_by=scored.scored_by,
        edges=tuple(edges.tolist()),
        n_windows=len(scored.scores),
        seed=seed,
        drawn=(),
    )


def _as_drawn(rows: Sequence[AnnotationRow], numbers: Sequence[int]) -> list[DrawnWindow]:
    return [
        DrawnWindow(path=row.path, window=number, id=row.id, score=float(row.score or 0.0))
        for row, number in zip(rows, numbers, strict=True)
    ]


def _suggestions(scored: ScoredWindows, rows: NDArray[np.int64]) -> list[AnnotationRow]:
    """Suggestions for windows, each under an id that no other annotation has."""
    taken = {row.id for row in scored.table.history()} | set(scored.drawn) | set(scored.foreign)
    new = []
    chosen = (
        scored.windows.select(["path", "recording_id", "start_s", "stop_s"]).take(rows).to_pylist()
    )
    for values, score in zip(chosen, scored.scores[rows].tolist(), strict=True):
        new.append(_suggestion(scored, values, score, taken))
        taken.add(new[-1].id)
    return new


def _suggestion(
    scored: ScoredWindows, window: dict[str, Any], score: float, taken: set[str]
) -> AnnotationRow:
    repeat = OWN_IDS
    while True:
        row = suggested_row(
            window, scored.label, model=scored.scored_by, score=score, purpose="estimate",
            repeat=repeat,
        )  # fmt: skip
        if row.id not in taken:
            return row
        repeat += 1


def _lost(scored: ScoredWindows) -> list[AnnotationRow]:
    """Suggestions of windows that a plan has and the annotations do not: a draw was killed."""
    known = {row.id for row in scored.table.history()}
    lost = []
    for name, at in scored.drawn.items():
        if name not in known and at != NOT_THERE:
            window = scored.windows.slice(at, 1).to_pylist()[0]
            row = _suggestion(scored, window, float(scored.scores[at]), set())
            lost.append(replace(row, id=name))
    return lost
