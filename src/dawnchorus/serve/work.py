"""The jobs: learn from what was judged, make the map; and where the third, counting, is."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.errors import UsageError
from dawnchorus.labelling.round import probe_beside
from dawnchorus.labelling.suggest import HALF, suggest_windows
from dawnchorus.probing.annotated import annotated_clips
from dawnchorus.probing.fit import probe_fit
from dawnchorus.search.cluster import cluster_stores
from dawnchorus.serve.bodies import ListQuery
from dawnchorus.serve.counting import density
from dawnchorus.serve.outcome import Outcome, needed_label, quoted
from dawnchorus.serve.places import Found

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.probing.fit import ProbeReport
    from dawnchorus.progress import Progress
    from dawnchorus.serve.bodies import JobQuery
    from dawnchorus.serve.session import Session


def learn(session: Session, query: JobQuery, progress: Progress) -> Outcome:
    """Fit a probe on what was judged of a label, and choose what to judge next by it.

    Raises:
        UsageError: There is no label, or too little was judged.
        TaskError: The label cannot be learned from what was judged.
    """
    label = needed_label(query)
    archive, live = session.library.archive, session.live
    store = archive.stores[0].path
    if len(archive.stores) > 1:
        raise UsageError("learning needs one store; start with one, or join them: store merge")
    folder = probe_beside(store, label)
    name = f"learned: {label}"
    before = session.scores.of(label, name) if name in session.scores.probes else None
    progress.message(f"fitting a probe for {label}")
    clips = annotated_clips(live.table(), session.library.roots[0], label=label)
    report = probe_fit(clips, folder, store=store, overwrite=True, progress=progress)
    session.scores.add_probe(name, report.probe)
    scores = session.scores.of(label, name)
    progress.message("choosing what to judge next")
    suggested = suggest_windows(
        store, label, query.n, scorer=report.probe, annotations=live.folder, progress=progress
    )
    live.refresh()
    rows = np.array([live.row_of(row.id) for row in suggested], np.int64)
    found = Found(
        rows,
        f"What to judge next of {label}",
        _suggest_command(session, label, query.n, folder),
        scores=scores[rows].astype(np.float64),
        margins=np.abs(scores[rows] - HALF),
        noted=suggested,
    )
    listed = session.lists.keep(ListQuery(place="suggest", label=label, probe=name), found)
    fit = (
        f"dawnchorus probe fit --annotations {quoted(live.folder)} --store {quoted(store)} "
        f"--label {shlex.quote(label)} -o {quoted(folder)} --overwrite"
    )
    summary = (*_fitted(report), *_changed(before, scores))
    return Outcome(summary, f"{fit} && {found.command}", listed)


def _fitted(report: ProbeReport) -> list[str]:
    """What the probe was fitted on, and what it is worth."""
    lines = [f"Fitted on {report.n_clips} judged spans of {report.n_groups} recordings."]
    if report.evaluation is None:
        lines.append("Too few recordings to say how good it is; judge sounds of some more.")
    return lines + [f"{text[0].upper()}{text[1:]}." for text in report.warnings[:3] if text]


def _changed(before: NDArray[np.float32] | None, scores: NDArray[np.float32]) -> list[str]:
    now = scores >= HALF
    if before is None:
        return [f"It calls {int(now.sum()):,} of {len(now):,} windows present."]
    changed = int((now != (before >= HALF)).sum())
    return [
        f"It calls {int(now.sum()):,} of {len(now):,} windows present, "
        f"{int((before >= HALF).sum()):,} before; {changed:,} decisions changed."
    ]


def cluster(session: Session, _query: JobQuery, progress: Progress) -> Outcome:
    """Make the map of all windows.

    Raises:
        UsageError: There are too few windows.
        DependencyError: scikit-learn is not installed.
    """
    stores = [store.path for store in session.library.archive.stores]
    beside = session.live.folder if (session.live.folder / "annotations.json").exists() else None
    report = cluster_stores(
        stores, session.map_folder, annotations=beside, overwrite=True, progress=progress,
        audio_root=session.library.roots[0],
    )  # fmt: skip
    summary = (
        f"{report.n_windows:,} windows in {len(report.names)} clusters, {report.n_none:,} in none.",
    )
    command = f"dawnchorus cluster {session.store_words} -o {quoted(session.map_folder)}"
    return Outcome(summary, command)


def _suggest_command(session: Session, label: str, n: int, probe: Path) -> str:
    return (
        f"dawnchorus label suggest {session.store_words} --label {shlex.quote(label)} -n {n} "
        f"--probe {quoted(probe)}"
    )


WORK: Final[dict[str, Callable[[Session, JobQuery, Progress], Outcome]]] = {
    "learn": learn,
    "density": density,
    "cluster": cluster,
}
