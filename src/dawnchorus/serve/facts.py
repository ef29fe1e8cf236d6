"""What the page begins with: stores, labels, people, probes; and what is damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dawnchorus.annotations.annotation_row import NO_LABEL
from dawnchorus.publication import VERSION
from dawnchorus.serve.bodies import (
    About,
    Damage,
    LabelFacts,
    Recording,
    ScoreTrack,
    Span,
    StoreFacts,
)
from dawnchorus.serve.lists import judged

if TYPE_CHECKING:
    from dawnchorus.annotations.annotation_row import AnnotationRow
    from dawnchorus.serve.bodies import Judged
    from dawnchorus.serve.library import RecordingFacts
    from dawnchorus.serve.session import Session

MOST_DAMAGED: Final = 200  # in one answer
MOST_LOOKED_AT: Final = 300  # recordings whose files are looked for, spread over all
HOUR_S: Final = 3_600


def about(session: Session) -> About:
    """All that the page needs to begin.

    Raises:
        StoreError: The annotations are damaged.
    """
    session.live.refresh()
    labels = label_facts(session)
    header = session.library.archive.header
    names = dict.fromkeys([one.name for one in labels] + list(header.labels or ()))
    authors = dict.fromkeys([*session.live.authors(), session.author])
    return About(
        version=VERSION,
        stores=store_facts(session),
        labels=labels,
        names=tuple(names),
        probes=tuple(session.scores.probes),
        authors=tuple(authors),
        author=session.author,
        read_only=session.read_only,
        has_map=session.map is not None,
        has_clusters=session.clusters(),
    )


def label_facts(session: Session) -> tuple[LabelFacts, ...]:
    """What is said of each label so far; the most judged first."""
    counts = session.live.label_counts()
    found = [
        LabelFacts(
            name=name,
            present=count["present"],
            absent=count["absent"],
            unsure=count["unsure"],
            suggested=count["suggested"],
        )
        for name, count in counts.items()
        if name != NO_LABEL
    ]
    order = lambda one: (-(one.present + one.absent + one.unsure), one.name)  # noqa: E731
    return tuple(sorted(found, key=order))


def store_facts(session: Session) -> tuple[StoreFacts, ...]:
    """Each store in figures."""
    return tuple(_of_store(session, number) for number in range(len(session.library.roots)))


def _of_store(session: Session, number: int) -> StoreFacts:
    library = session.library
    own = [one for one in library.recordings.values() if one.store == number]
    done = [one for one in own if one.status == "done"]
    days = sorted({one.began.date().isoformat() for one in done if one.began is not None})
    header = library.archive.stores[number].header
    return StoreFacts(
        name=library.archive.stores[number].path.name,
        n_windows=int(library.archive.windows_of(number)),
        n_recordings=len(done),
        n_failed=len(own) - len(done),
        hours=sum(one.duration_s for one in done) / HOUR_S,
        model=header.model,
        window_s=header.window_s,
        hop_s=header.hop_s,
        sites=tuple(sorted({one.site for one in done if one.site})),
        first_day=days[0] if days else None,
        last_day=days[-1] if days else None,
        score_labels=header.labels or (),
        n_missing=_missing(session, done),
    )


def _missing(session: Session, done: list[RecordingFacts]) -> int:
    """How many recordings cannot be found; of very many, a share of those that are looked for."""
    step = max(1, len(done) // MOST_LOOKED_AT)
    looked = done[::step]
    gone = sum(not session.has_sound(one) for one in looked)
    return round(gone * len(done) / len(looked)) if looked else 0


def damaged(session: Session) -> list[Damage]:
    """Recordings that were not, or not wholly, read."""
    return [
        Damage(path=one.path, status=one.status, reason=one.reason or "")
        for one in session.library.recordings.values()
        if one.status != "done" or one.reason
    ]


def recording(session: Session, recording_id: str) -> Recording:
    """One recording, for the large view.

    Raises:
        NotThereError: There is none of this id.
    """
    found = session.library.recording(recording_id)
    session.live.refresh()
    rows = session.live.of_recording(recording_id)
    return Recording(
        recording_id=recording_id,
        path=found.path,
        duration_s=found.duration_s,
        rate=found.rate,
        channels=found.channels,
        site=found.site,
        recorded_at=session.library.local_time(found, 0.0),
        status=found.status,
        reason=found.reason,
        has_sound=session.has_sound(found),
        judged=tuple(
            (span_of(row, found.duration_s), judged(row)) for row in rows if row.state is not None
        ),
    )


def span_of(row: AnnotationRow, duration_s: float) -> Span:
    """The span of a row; one to the recording's end ends there."""
    stop_s = row.end_s if row.end_s is not None else max(duration_s, row.start_s + 0.001)
    return Span(recording_id=row.recording_id, start_s=row.start_s, stop_s=stop_s)


def changes(session: Session, cursor: str) -> tuple[str, tuple[tuple[Span, Judged], ...]]:
    """What anybody judged since a cursor; each with the span of the window that it is about."""
    library, live = session.library, session.live
    after, rows = live.since(cursor)
    found = []
    for row in rows:
        at = live.row_of(row.id)
        known = library.recordings.get(row.recording_id)
        span = span_of(row, known.duration_s if known else 0.0)
        if at >= 0:  # a tile knows its window, wherever the edges were moved to
            span = Span(
                recording_id=row.recording_id,
                start_s=float(library.start_s[at]),
                stop_s=float(library.stop_s[at]),
            )
        if row.state is not None or row.source != "suggested":
            found.append((span, judged(row)))
    return after, tuple(found)


def score_track(session: Session, recording_id: str, label: str, probe: str | None) -> ScoreTrack:
    """What a model or probe says over a recording.

    Raises:
        NotThereError: There is no such recording or probe.
        UsageError: It does not know the label.
    """
    library = session.library
    library.recording(recording_id)
    rows = library.index.of_recording(recording_id)
    rows = rows[rows.argsort()]
    scores = session.scores.of(label, probe)[rows]
    return ScoreTrack(
        label=label,
        start_s=tuple(library.start_s[rows].tolist()),
        stop_s=tuple(library.stop_s[rows].tolist()),
        scores=tuple(scores.astype(float).tolist()),
    )
