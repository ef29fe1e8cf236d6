"""What the page and the server say to each other, field by field.

The page's TypeScript types are made from these classes (see ``web/``), so a field that is renamed
here and forgotten there does not compile.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  pydantic resolves it at run time
from typing import Literal

from pydantic import Field

from dawnchorus.annotations.annotation_row import Purpose, State  # noqa: TC001  as above
from dawnchorus.configs import Config
from dawnchorus.labelling.choose import Strategy  # noqa: TC001  as above

MOST_ITEMS = 200  # in one answer; a page shows 24
MOST_JUDGEMENTS = 1_000  # in one request; a whole selection is judged at once
LONGEST_NAME = 200

Place = Literal["search", "detections", "cluster", "suggest", "annotations", "novel", "windows"]
Order = Literal["score", "novelty", "time", "site", "margin", "given"]
Colour = Literal["cluster", "label", "site", "hour", "score"]
JobKind = Literal["learn", "density", "cluster"]
ExportFormat = Literal["csv", "parquet", "raven", "audacity", "kaleidoscope"]


class Span(Config):
    """A stretch of one recording.

    Attributes:
        recording_id: as in the store.
        start_s, stop_s: in the recording, in seconds.
    """

    recording_id: str = Field(max_length=64)
    start_s: float = Field(ge=0)
    stop_s: float = Field(gt=0)


class Sound(Config):
    """What a search is to be like: a span of the store, or a clip that was dropped on the page."""

    span: Span | None = None
    clip: str | None = Field(default=None, max_length=64, description="id that /api/clips gave")


class Filters(Config):
    """Which windows pass; texts as of the command line's flags of the same names."""

    sites: tuple[str, ...] = ()
    dates: str | None = Field(default=None, description="2025-05-01/2025-05-31")
    time_of_day: str | None = Field(default=None, description="04:00-07:00")
    recording: str | None = Field(default=None, description="one recording's id")
    text: str | None = Field(default=None, description="in the path or site")
    judged: Literal["all", "judged", "unjudged"] = "all"


class ListQuery(Config):
    """Which sounds to show, and in what order.

    Attributes:
        place: where they come from.
        label: that is asked about; judgements of the list are of it. Of ``detections``: whose
            scores.
        like, unlike: of ``search``; without any, the windows of ``label`` in the annotations.
        probe: of ``detections`` and ``suggest``: a probe's name; None: the store's own scores, or
            of ``suggest`` likeness to what was judged.
        strategy: of ``suggest``.
        suggest_more: of ``suggest``: where fewer than ``k`` wait to be judged, add windows to them.
        cluster: of ``cluster``.
        rows: of ``windows``: rows of the archive, such as a lasso gave; None: all, in time.
        min_score: of ``detections``.
        k: most windows in the list.
        per_recording: at most so many of one recording; None: any number.
    """

    place: Place
    label: str | None = Field(default=None, max_length=LONGEST_NAME)
    like: tuple[Sound, ...] = ()
    unlike: tuple[Sound, ...] = ()
    probe: str | None = Field(default=None, max_length=LONGEST_NAME)
    strategy: Strategy = "mixed"
    suggest_more: bool = True
    cluster: int | None = None
    rows: tuple[int, ...] | None = Field(default=None, max_length=100_000)
    min_score: float | None = None
    filters: Filters = Filters()
    order: Order = "given"
    k: int = Field(default=300, ge=1, le=100_000)
    per_recording: int | None = Field(default=5, ge=1)


class Judged(Config):
    """What one author said last of one label in one span."""

    id: str
    label: str
    state: State | None
    author: str
    at: datetime


class Item(Config):
    """One sound of a list.

    Attributes:
        row: of the archive; -1 for an annotation that is no window.
        label: that is asked about here.
        score, percentile, margin, novelty: None where the list has none.
        local_time: ISO 8601, of the span's beginning; None: the recording's clock is not known.
        purpose: of a suggestion.
        judged: what was said of this span so far, of any label, by anybody.
        has_sound: whether the recording can be opened.
    """

    row: int
    recording_id: str
    path: str
    start_s: float
    stop_s: float
    label: str | None = None
    score: float | None = None
    percentile: float | None = None
    margin: float | None = None
    novelty: float | None = None
    site: str | None = None
    local_time: str | None = None
    purpose: Purpose = "train"
    judged: tuple[Judged, ...] = ()
    has_sound: bool = True


class Progress(Config):
    """How far a list is judged, and what that says of it.

    Attributes:
        n: sounds in the list.
        present, absent, unsure: judged so, for the list's label.
        precision: present / (present + absent); None before any is judged.
        low, high: its 95 % Wilson interval.
    """

    n: int
    present: int
    absent: int
    unsure: int
    precision: float | None = None
    low: float | None = None
    high: float | None = None


class ListAnswer(Config):
    """The beginning of a list; further items by ``/api/lists/ID?offset=``.

    Attributes:
        command: that gives the same on the command line.
        notes: what to mind, in sentences.
    """

    id: str
    title: str
    label: str | None
    items: tuple[Item, ...]
    progress: Progress
    command: str
    notes: tuple[str, ...] = ()


class Judgement(Config):
    """A judgement that the page sends; sending it again changes nothing.

    Attributes:
        key: made by the page, unique; a second one of the same key is ignored.
        state: None takes back what this author said of this span and label.
        start_s, stop_s of the span; ``was`` where its edges were moved: the span before.
    """

    key: str = Field(min_length=8, max_length=64)
    span: Span
    was: Span | None = None
    label: str = Field(max_length=LONGEST_NAME)
    state: State | None
    purpose: Purpose = "train"
    score: float | None = None
    low_hz: float | None = None
    high_hz: float | None = None
    at: datetime


class Judgements(Config):
    """Judgements of one author."""

    author: str = Field(min_length=1, max_length=LONGEST_NAME)
    judgements: tuple[Judgement, ...] = Field(min_length=1, max_length=MOST_JUDGEMENTS)
    list_id: str | None = Field(default=None, max_length=64)


class Saved(Config):
    """What became of judgements: all of these keys are on disk now."""

    keys: tuple[str, ...]
    progress: Progress | None = None
    cursor: str


class Changes(Config):
    """What anybody judged since ``cursor``; ask again with the new one."""

    cursor: str
    judged: tuple[tuple[Span, Judged], ...]
    progress: Progress | None = None


class StoreFacts(Config):
    """One store, for the page's head and overview."""

    name: str
    n_windows: int
    n_recordings: int
    n_failed: int
    hours: float
    model: str
    window_s: float
    hop_s: float
    sites: tuple[str, ...]
    first_day: str | None
    last_day: str | None
    score_labels: tuple[str, ...] = Field(description="that the store has scores of its own for")
    n_missing: int = Field(description="recordings that cannot be found: no sound, no picture")


class LabelFacts(Config):
    """What is said of one label so far."""

    name: str
    present: int
    absent: int
    unsure: int
    suggested: int


class About(Config):
    """All that the page needs to begin."""

    version: str
    stores: tuple[StoreFacts, ...]
    labels: tuple[LabelFacts, ...]
    names: tuple[str, ...] = Field(description="labels to complete from, known ones first")
    probes: tuple[str, ...]
    authors: tuple[str, ...]
    author: str
    read_only: bool
    has_map: bool
    has_clusters: tuple[tuple[int, str, int], ...] = Field(
        description="clusters of the map: number, name, windows"
    )


class Recording(Config):
    """One recording, for the large view."""

    recording_id: str
    path: str
    duration_s: float
    rate: int
    channels: int
    site: str | None
    recorded_at: str | None
    status: str
    reason: str | None
    has_sound: bool
    judged: tuple[tuple[Span, Judged], ...]


class ScoreTrack(Config):
    """What a model or probe says over a recording: one score a window."""

    label: str
    start_s: tuple[float, ...]
    stop_s: tuple[float, ...]
    scores: tuple[float, ...]


class DroppedClip(Config):
    """A sound that was dropped on the page, as base64; so that writes are JSON and nothing else."""

    name: str = Field(max_length=LONGEST_NAME)
    content: str


class ClipAnswer(Config):
    """A dropped clip, kept for searches while the server runs."""

    id: str
    name: str
    duration_s: float


class JobQuery(Config):
    """Something that takes a while.

    ``learn``: fit a probe on the annotations of ``label`` and suggest ``n`` windows to judge next.
    ``density``: how many windows hold ``label``; with ``draw`` first ``n`` windows are drawn by
    chance, and ``result`` is the list of those that are to be judged. ``cluster``: make the map.
    """

    kind: JobKind
    label: str | None = Field(default=None, max_length=LONGEST_NAME)
    n: int = Field(default=20, ge=1, le=1_000)
    draw: bool = False
    author: str = Field(default="", max_length=LONGEST_NAME)


class JobAnswer(Config):
    """How far it is, and what came of it.

    Attributes:
        done, total: steps; total 0: not known.
        message: what it is doing, or what went wrong and what to do.
        result: of ``learn``: the list of what to judge next, and in ``summary`` what changed.
    """

    id: str
    kind: JobKind
    state: Literal["running", "done", "failed"]
    done: int = 0
    total: int = 0
    message: str = ""
    result: ListAnswer | None = None
    summary: tuple[str, ...] = ()
    command: str = ""


class MapColours(Config):
    """What the points of the map are coloured by; codes come as bytes beside.

    Attributes:
        names: of the codes, from 0; code 65535 is none. Empty where values are numbers.
        low, high: of ``score`` and ``hour``, which are scaled into 0 to 65534.
    """

    by: Colour
    names: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None


class EffortCell(Config):
    """One hour of one day at one site."""

    site: str
    date: str
    hour: int
    recorded_hours: float
    n: int | None = Field(default=None, description="windows over the threshold, or judged present")


class Damage(Config):
    """A recording that was not, or not wholly, read."""

    path: str
    status: str
    reason: str


class Overview(Config):
    """Recordings, damage, effort, labels."""

    stores: tuple[StoreFacts, ...]
    damaged: tuple[Damage, ...]
    n_damaged: int
    effort: tuple[EffortCell, ...]
    labels: tuple[LabelFacts, ...]


class ErrorBody(Config):
    """Any refusal: what was found, what is needed, what to do."""

    error: str
