"""From a store and the verdicts on its windows to the density of a call."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnchorus.annotations.annotation_row import named_label
from dawnchorus.annotations.annotation_table import AnnotationTable, annotations_beside
from dawnchorus.annotations.window_labels import PRESENT, UNLABELLED
from dawnchorus.errors import DawnChorusWarning, UsageError
from dawnchorus.labelling.density import USUAL, Density, Settings, draw_density
from dawnchorus.labelling.operating_points import OperatingPoint, operating_points
from dawnchorus.labelling.posterior import JudgedWindows
from dawnchorus.labelling.scored_windows import ScoredWindows, Scorer, scored_windows
from dawnchorus.labelling.strata import bin_edges, bins_of, n_bins_for
from dawnchorus.labelling.strata_density import stratum_densities
from dawnchorus.labelling.verdicts import NOT_THERE, strata_of, verdicts
from dawnchorus.progress import NO_PROGRESS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.probes.fitted import FittedProbe
    from dawnchorus.progress import Progress

STRATA: Final = ("site", "date", "hour")
# columns of a store, and the strata that need them
NEEDS: Final = {"site": {"site"}, "local_time": {"date", "hour"}}


@dataclass(frozen=True, slots=True)
class DensityRow:
    """A density and what it is of; an empty text: of all of them.

    Attributes:
        label: of the call.
        site, date, local_hour: of the windows, as text; ``unknown`` where it is not known.
        density: of these windows.
    """

    label: str
    site: str
    date: str
    local_hour: str
    density: Density


@dataclass(frozen=True, slots=True)
class DensityReport:
    """Densities of a label, and what they rest on.

    Attributes:
        rows: all windows first, then each stratum.
        points: precision and recall at the score where each bin begins, highest first.
        bins: for each bin its lowest score (None: no lower end), windows, judged ones, and those
            with the call.
        scored_by: what made the scores.
        n_unsure: windows that were judged without a verdict.
        n_waiting: windows that were drawn and not judged yet.
        level: of the intervals, as a share of the posterior.
    """

    rows: tuple[DensityRow, ...]
    points: tuple[OperatingPoint, ...]
    bins: tuple[tuple[float | None, int, int, int], ...]
    scored_by: str
    n_unsure: int
    n_waiting: int
    level: float = USUAL.level


def call_density(
    store: str | Path,
    label: str,
    *,
    annotations: str | Path | None = None,
    probe: FittedProbe | str | Path | None = None,
    query: NDArray[np.floating] | None = None,
    by: str | Sequence[str | Sequence[str]] = (),
    settings: Settings = USUAL,
    progress: Progress = NO_PROGRESS,
) -> DensityReport:
    """How many windows of a store hold a call, without a threshold.

    Source: Navine et al. 2024, arXiv 2402.15360; see ``labelling/density.py`` for what is ours.

    Args:
        store: of the windows.
        label: of the call.
        annotations: folder with the verdicts; None: beside the store.
        probe: by whose scores windows were drawn, or its folder; None: the store's own scores.
        query: instead of a probe a direction, see `window_scores`.
        by: strata, each a choice of ``site``, ``date`` and ``hour`` (both local), such as
            ``[("site",), ("site", "hour")]`` or ``"site"`` or ``["site", "site,hour"]``.
        settings: level of the interval, prior, draws, seed.
        progress: is told of the windows that are scored.

    Raises:
        UsageError: Nothing was judged for an estimate, the windows were drawn by other scores, or
            the store does not know its sites or times.
        StoreError: Store, annotations or plan are missing or damaged.
    """
    by = [
        tuple(one.split(",") if isinstance(one, str) else one)
        for one in ([by] if isinstance(by, str) else by)
    ]
    _check_by(by)
    label = named_label(label)
    table = AnnotationTable(annotations_beside(store) if annotations is None else annotations)
    wanted = {name for one in by for name in one}
    columns = [column for column, names in NEEDS.items() if names & wanted]
    scorer = Scorer(probe=probe, query=query)
    scored = scored_windows(store, table, label, scorer, columns=columns, progress=progress)
    said = verdicts(scored.index, scored.rows(), scored.drawn, set(scored.foreign))
    clear = {at: value for at, value in said.items() if value != UNLABELLED}
    _check_judged(scored, clear)
    _warn_of_growth(scored)
    rows = np.array(sorted(clear), np.int64)
    edges = _edges(scored, len(rows))
    bins = bins_of(scored.scores, edges)
    recordings = scored.windows["recording_id"].combine_chunks().dictionary_encode().indices
    codes = recordings.to_numpy().astype(np.int64)
    present = np.array([clear[at] == PRESENT for at in rows.tolist()])
    judged = JudgedWindows(bins[rows], codes[rows], present, len(edges) + 1)
    sizes = np.bincount(bins, minlength=len(edges) + 1)
    draws = draw_density(sizes, judged, settings)
    found = [DensityRow(scored.label, "", "", "", draws.density(settings.level))]
    for one in by:
        found += _of_strata(scored, one, (bins, codes, rows), judged, settings)
    points = operating_points(
        draws, scored.scores, edges, edges[::-1].tolist(), level=settings.level
    )
    starts = [None, *edges.tolist()]
    counts = (sizes.tolist(), judged.n_judged.tolist(), judged.n_present.tolist())
    return DensityReport(
        rows=tuple(found),
        points=tuple(points),
        bins=tuple(zip(starts, *counts, strict=True)),
        scored_by=scored.scored_by,
        n_unsure=len(said) - len(clear),
        n_waiting=len({at for at in scored.drawn.values() if at != NOT_THERE} - set(said)),
        level=settings.level,
    )


def _check_by(by: Sequence[Sequence[str]]) -> None:
    for one in by:
        unknown = [name for name in one if name not in STRATA]
        if unknown or not one or len(set(one)) < len(one):
            raise UsageError(
                f"by: need some of {', '.join(STRATA)}, each once, got {','.join(one) or 'nothing'}"
            )


def _check_judged(scored: ScoredWindows, clear: dict[int, int]) -> None:
    if clear:
        return
    if scored.foreign:
        others = ", ".join(sorted(set(scored.foreign.values())))
        raise UsageError(
            f"{scored.table.folder}: the windows judged for {scored.label!r} were drawn by other "
            f"scores ({others}). In bins of these scores they are no random sample. Name what "
            "scored them, or draw windows for these scores: --judge 200"
        )
    raise UsageError(
        f"{scored.table.folder}: no window is judged for an estimate of {scored.label!r} (labels "
        "given in order to learn do not count). Draw some: --judge 200, then judge them"
    )


def _warn_of_growth(scored: ScoredWindows) -> None:
    n_new = 0 if scored.plan is None else len(scored.scores) - scored.plan.n_windows
    if n_new > 0:
        text = (
            f"{n_new} windows came into the store after the first draw for {scored.label!r}; "
            "judged windows speak for them too. Draw some more, which may be of them: --judge 100"
        )
        warnings.warn(text, DawnChorusWarning, stacklevel=3)


def _edges(scored: ScoredWindows, n_judged: int) -> NDArray[np.float64]:
    if scored.plan is not None:
        return np.array(scored.plan.edges, np.float64)
    return bin_edges(scored.scores, n_bins_for(len(scored.scores), n_judged))


def _of_strata(
    scored: ScoredWindows,
    by: Sequence[str],
    arrays: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    judged: JudgedWindows,
    settings: Settings,
) -> list[DensityRow]:
    bins, recordings, rows = arrays
    names = [name for name in STRATA if name in by]  # in one order, whatever was typed
    strata, keys = strata_of(_with_times(scored.windows, names), names)
    sizes = np.zeros((len(keys), judged.n_bins), np.int64)
    np.add.at(sizes, (strata, bins), 1)
    pairs = np.unique(np.stack([strata, recordings]), axis=1)
    n_recordings = np.bincount(pairs[0], minlength=len(keys))
    found = stratum_densities(sizes, n_recordings, judged, strata[rows], settings)
    return [
        _row(scored.label, dict(zip(names, key, strict=True)), density)
        for key, density in zip(keys, found, strict=True)
    ]


def _row(label: str, where: dict[str, str], density: Density) -> DensityRow:
    site, date, hour = (where.get(name, "") for name in STRATA)
    return DensityRow(label, site, date, hour, density)


def _with_times(windows: pa.Table, names: Sequence[str]) -> pa.Table:
    """With ``date`` and ``hour`` where they are wanted, from the local time of each window."""
    columns = {}
    if "site" in names:
        columns["site"] = windows["site"]
    if {"date", "hour"} & set(names):
        # 2026-05-01T04:30:00: the same places in every zone
        times = windows["local_time"].cast(pa.string())
        columns["date"] = pc.utf8_slice_codeunits(times, 0, 10)
        columns["hour"] = pc.utf8_slice_codeunits(times, 11, 13)
    for name in names:
        if columns[name].null_count == len(windows):
            what = "site" if name == "site" else "time"
            raise UsageError(
                f"by {name}: no recording of this store has a {what}; give it when embedding, "
                + ("--site-from" if name == "site" else "--recordings with the column start_time")
            )
    return pa.table(columns)
