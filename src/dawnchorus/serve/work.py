"""The jobs: learn from what was judged, estimate a density, make the map."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.errors import UsageError
from dawnchorus.labelling.round import probe_beside
from dawnchorus.labelling.run_density import call_density
from dawnchorus.labelling.suggest import HALF, suggest_windows
from dawnchorus.probing.annotated import annotated_clips
from dawnchorus.probing.fit import probe_fit
from dawnchorus.search.cluster import cluster_stores
from dawnchorus.serve.bodies import ListQuery
from dawnchorus.serve.places import Found

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.probing.fit import ProbeReport
    from dawnchorus.progress import Progress
    from dawnchorus.serve.bodies import JobQuery, ListAnswer
    from dawnchorus.serve.session import Session


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job.

    Attributes:
        summary: in sentences.
        command: that does the same on the command line.
        result: sounds to look at.
    """

    summary: tuple[str, ...]
    command: str
    result: ListAnswer | None = None


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
        f"dawnchorus probe fit --annotations {_quoted(live.folder)} --store {_quoted(store)} "
        f"--label {shlex.quote(label)} -o {_quoted(folder)} --overwrite"
    )
    summary = (*_fitted(report), *_changed(before, scores))
    return Outcome(summary, f"{fit} && {found.command}", listed)


def needed_label(query: JobQuery) -> str:
    """The label of a job.

    Raises:
        UsageError: There is none.
    """
    if not query.label:
        raise UsageError("which label? Choose one first")
    return query.label


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


def density(session: Session, query: JobQuery, progress: Progress) -> Outcome:
    """How many windows hold a label, by what was judged of windows drawn by chance.

    Raises:
        UsageError: Nothing was judged for an estimate.
    """
    label = needed_label(query)
    store = session.library.archive.stores[0].path
    if len(session.library.archive.stores) > 1:
        raise UsageError("a density is of one store; start with one, or join them: store merge")
    name = f"learned: {label}"
    probe = session.scores.probes.get(name)
    folder = probe_beside(store, label) if probe is not None else None
    report = call_density(
        store, label, annotations=session.live.table().folder, probe=probe, progress=progress
    )
    found = report.rows[0].density
    summary = [
        f"{label} is in {found.density:.1%} of {found.n_windows:,} windows "
        f"[{found.low:.1%}, {found.high:.1%}], by {found.n_judged} judged windows."
    ]
    summary += [f"{report.n_waiting} drawn windows wait to be judged."] if report.n_waiting else []
    summary += [found.note] if found.note else []
    words = "" if folder is None else f" --probe {_quoted(folder)}"
    command = (
        f"dawnchorus label density {_quoted(store)} --label {shlex.quote(label)} "
        f"--annotations {_quoted(session.live.folder)}{words}"
    )
    return Outcome(tuple(summary), command)


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
    command = f"dawnchorus cluster {session.store_words} -o {_quoted(session.map_folder)}"
    return Outcome(summary, command)


def _suggest_command(session: Session, label: str, n: int, probe: Path) -> str:
    return (
        f"dawnchorus label suggest {session.store_words} --label {shlex.quote(label)} -n {n} "
        f"--probe {_quoted(probe)}"
    )


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


WORK: Final[dict[str, Callable[[Session, JobQuery, Progress], Outcome]]] = {
    "learn": learn,
    "density": density,
    "cluster": cluster,
}
