"""A store's windows with scores and verdicts: what a density is drawn for and made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dawnchorus.annotations.annotation_row import NO_LABEL
from dawnchorus.engine.detections.probe_rules import open_probe
from dawnchorus.errors import UsageError
from dawnchorus.labelling.density_plan import DensityPlan, read_plans
from dawnchorus.labelling.scores import spelled, window_scores
from dawnchorus.labelling.verdicts import WindowIndex
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.search.archive import Archive

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from dawnchorus.annotations.annotation_row import AnnotationRow
    from dawnchorus.annotations.annotation_table import AnnotationTable
    from dawnchorus.probes.fitted import FittedProbe
    from dawnchorus.progress import Progress


@dataclass(frozen=True, slots=True)
class ScoredWindows:
    """A store's windows with scores, its annotations, and the plan of these scores.

    Attributes:
        label: that is judged.
        windows: of the store.
        scores: ``(windows,)``.
        scored_by: what made them, in words.
        table: of annotations.
        index: of the windows.
        plan: of windows that were drawn by these scores; None: there is none yet.
        path: of the plan.
        foreign: ids of windows that were drawn by other scores, to what made those.
    """

    label: str
    windows: pa.Table
    scores: NDArray[np.float32]
    scored_by: str
    table: AnnotationTable
    index: WindowIndex
    plan: DensityPlan | None
    path: Path | None
    foreign: dict[str, str]

    @property
    def drawn(self) -> dict[str, int]:
        """Id under which a window was drawn to its row; -1: no longer in the store."""
        if self.plan is None:
            return {}
        rows = self.index.by_number(self.plan.places()).tolist()
        return {drawn.id: at for drawn, at in zip(self.plan.drawn, rows, strict=True)}

    def rows(self) -> list[AnnotationRow]:
        """Annotations of the label, or of none at all."""
        return [row for row in self.table.rows() if row.label in (self.label, NO_LABEL)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """What scores the windows: a probe, or a direction, or without both the store's own scores."""

    probe: FittedProbe | str | Path | None = None
    query: NDArray[np.floating] | None = None

    def __str__(self) -> str:
        """In words."""
        if self.query is not None:
            return "a query"
        if self.probe is None:
            return "the store's own scores"
        if isinstance(self.probe, str | Path):
            return f"the probe {Path(self.probe).name}"
        return "a probe"


def _spelled(archive: Archive, scorer: Scorer, label: str) -> str:
    """The label as whatever scores it spells it."""
    if scorer.probe is not None:
        return spelled(label, open_probe(scorer.probe).classes, "the probe")
    return spelled(label, archive.header.labels or [label], "the store")


def scored_windows(
    store: str | Path,
    table: AnnotationTable,
    label: str,
    scorer: Scorer,
    *,
    columns: Sequence[str] = (),
    progress: Progress = NO_PROGRESS,
) -> ScoredWindows:
    """Score a store, and find the plan that was made by these scores.

    Args:
        store: of the windows.
        table: of annotations, with the plans in its folder.
        label: that is judged.
        scorer: what scores.
        columns: of windows, beside those of an archive.
        progress: is told of the windows that are scored.

    Raises:
        UsageError: There are no windows, or no scores of the label.
        StoreError: Store or plan are damaged.
    """
    archive = Archive(store)
    if not archive.n_windows:
        raise UsageError(f"{store}: holds no windows of finished recordings")
    if scorer.query is None and not read_plans(table.folder, label):
        label = _spelled(archive, scorer, label)
    scores = window_scores(
        archive, probe=scorer.probe, label=label, query=scorer.query, progress=progress
    )
    windows = archive.windows(list(dict.fromkeys(columns)))
    index = WindowIndex(windows)
    mine: tuple[Path | None, DensityPlan | None] = (None, None)
    foreign: dict[str, str] = {}
    for path, plan in read_plans(table.folder, label).items():
        if plan.is_of(scores, index.by_number(plan.places())):
            mine = path, plan
        else:
            foreign |= {drawn.id: plan.scored_by for drawn in plan.drawn}
    own = {drawn.id for drawn in mine[1].drawn} if mine[1] else set()
    foreign = {name: by_what for name, by_what in foreign.items() if name not in own}
    return ScoredWindows(
        label=label,
        windows=windows,
        scores=scores,
        scored_by=str(scorer),
        table=table,
        index=index,
        plan=mine[1],
        path=mine[0],
        foreign=foreign,
    )
