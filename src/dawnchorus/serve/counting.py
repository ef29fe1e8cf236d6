"""The job that counts: windows drawn by chance are judged, and say how many hold a call.

The draw is by bins of a probe's scores, and speaks for those scores alone. But the page fits its
probe anew at every round of learning, so the probe of the first draw is kept beside the store, as
``X.wren.density.probe``, and all that is drawn and estimated later is by that one.
"""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.errors import UsageError
from dawnchorus.labelling.density_plan import read_plans
from dawnchorus.labelling.draw_judgements import draw_judgements
from dawnchorus.labelling.round import probe_beside
from dawnchorus.labelling.run_density import call_density
from dawnchorus.serve.bodies import ListQuery
from dawnchorus.serve.outcome import Outcome, needed_label, quoted
from dawnchorus.serve.places import Found
from dawnchorus.store.files import unfinished_path

if TYPE_CHECKING:
    from pathlib import Path

    from dawnchorus.progress import Progress
    from dawnchorus.serve.bodies import JobQuery, ListAnswer
    from dawnchorus.serve.session import Session

SUFFIX: Final = ".density.probe"
NOTHING_DRAWN: Final = (
    "How many windows hold {label}? Only sounds that were drawn by chance can say: those of a "
    "search or of a round of learning were chosen, and would mislead. Draw some, and judge them."
)
NO_SCORES: Final = "windows are drawn by their scores, and {label} has none yet: press Learn first"


def density(session: Session, query: JobQuery, progress: Progress) -> Outcome:
    """How many windows hold a label; or with ``draw`` the windows to be judged for that.

    Where nothing was drawn yet it says so, and is no error: the page offers to draw.

    Raises:
        UsageError: There is no label, several stores, no score, or other scores drew.
        StoreError: Store, annotations or plan are missing or damaged.
    """
    label = needed_label(query)
    if len(session.library.archive.stores) > 1:
        raise UsageError("a density is of one store; start with one, or join them: store merge")
    session.live.refresh()
    if query.draw:
        return _drawn(session, label, query.n, progress)
    listed = _listed(session, label)
    if _is_judged(session, label):
        return _estimate(session, label, listed, progress)
    summary = _wait(listed) if listed else (NOTHING_DRAWN.format(label=label),)
    return Outcome(summary, _command(session, label), listed)


def _drawn(session: Session, label: str, n: int, progress: Progress) -> Outcome:
    """Draw windows and show all that wait to be judged for an estimate."""
    store = session.library.archive.stores[0].path
    probe, learned = probe_of(store, label), f"learned: {label}"
    if not probe.exists() and learned in session.scores.probes:
        unfinished = unfinished_path(probe)  # half a probe would stop every later count
        shutil.copytree(probe_beside(store, label), unfinished)
        unfinished.rename(probe)
    scorer = probe if probe.exists() else None
    if scorer is None and session.library.archive.header.labels is None:
        raise UsageError(NO_SCORES.format(label=label))
    folder = session.live.folder
    draw_judgements(store, label, n, annotations=folder, probe=scorer, progress=progress)
    session.live.refresh()
    listed = _listed(session, label)
    return Outcome(_wait(listed), f"{_command(session, label)} --judge {n}", listed)


def _estimate(
    session: Session, label: str, listed: ListAnswer | None, progress: Progress
) -> Outcome:
    store = session.library.archive.stores[0].path
    probe = probe_of(store, label)
    scorer = probe if probe.exists() else None
    report = call_density(
        store, label, annotations=session.live.folder, probe=scorer, progress=progress
    )
    found = report.rows[0].density
    summary = [
        f"{label} is in {found.density:.1%} of {found.n_windows:,} windows "
        f"[{found.low:.1%}, {found.high:.1%}] ({report.level:.0%} interval), by "
        f"{found.n_judged} judged windows that were drawn by chance."
    ]
    summary += [found.note] if found.note else []
    return Outcome((*summary, *_wait(listed)), _command(session, label), listed)


def probe_of(store: Path, label: str) -> Path:
    """Where the probe lies by whose scores windows of a label were drawn."""
    beside = probe_beside(store, label)
    return beside.with_name(beside.name.removesuffix(".probe") + SUFFIX)


def _ids(session: Session, label: str) -> set[str]:
    """Ids of the windows that were drawn."""
    if not session.live.is_there:
        return set()
    plans = read_plans(session.live.folder, label).values()
    return {drawn.id for plan in plans for drawn in plan.drawn}


def _is_judged(session: Session, label: str) -> bool:
    verdicts = session.live.verdicts(label)
    return any(name in verdicts for name in _ids(session, label))


def _listed(session: Session, label: str) -> ListAnswer | None:
    """What was drawn and nobody judged, as a list; None: nothing waits.

    In the order of recordings, and without scores: both would tell a judge what to expect.
    """
    ids = _ids(session, label)
    noted = [row for row in session.live.suggestions(label) if row.id in ids]
    if not noted:
        return None
    noted.sort(key=lambda row: (row.path, row.start_s))
    rows = np.array([session.live.row_of(row.id) for row in noted], np.int64)
    found = Found(rows, f"Drawn by chance, to count {label}", _command(session, label), noted=noted)
    return session.lists.keep(ListQuery(place="suggest", label=label), found)


def _wait(listed: ListAnswer | None) -> tuple[str, ...]:
    if listed is None:
        return ()
    n = listed.progress.n
    what = "1 sound was" if n == 1 else f"{n} sounds were"
    return (f"{what} drawn by chance and wait to be judged: all, not the easy ones alone.",)


def _command(session: Session, label: str) -> str:
    store = session.library.archive.stores[0].path
    probe = probe_of(store, label)
    words = f" --probe {quoted(probe)}" if probe.exists() else ""
    return (
        f"dawnchorus label density {quoted(store)} --label {shlex.quote(label)} "
        f"--annotations {quoted(session.live.folder)}{words}"
    )
