"""Where recorded time comes from: a store, or the headers of recordings and their list."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from dawnchorus.activity.effort import RecordedSound
from dawnchorus.audio.decode.unexpected import recording_errors
from dawnchorus.engine.detections.from_store import store_among
from dawnchorus.engine.doctor.finding import OK, Finding
from dawnchorus.engine.doctor.scan import examine
from dawnchorus.engine.recordings.find import as_paths, find_recordings, root_of
from dawnchorus.engine.recordings.jobs import SITE, job_for, with_site
from dawnchorus.engine.recordings.listing import START_TIME
from dawnchorus.errors import AudioError, UsageError
from dawnchorus.failures import Failure
from dawnchorus.local_time import local_start, parse_zone, zone_kind, zone_warnings
from dawnchorus.paths import absolute, as_path, from_stored_name, local_copy
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.store.schema import RecordingRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from dawnchorus.configs import EmbedConfig
    from dawnchorus.engine.recordings.find import Inputs
    from dawnchorus.engine.recordings.jobs import RecordingJob
    from dawnchorus.progress import Progress
    from dawnchorus.store.read import Store
    from dawnchorus.store.schema import StoreHeader

# columns of a list that say where a recorder stood, as people write them
LATITUDES: Final = ("latitude", "lat")
LONGITUDES: Final = ("longitude", "lon", "long", "lng")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedArchive:
    """The recordings that were made.

    Attributes:
        source: what they were read from, as text.
        root: folder that their paths are relative to.
        recordings: those that could be read, if only in part, by path.
        troubles: those that are damaged or could not be read at all, and why.
        warnings: what is mixed or missing about their clocks.
        header: of the store, None for recordings.
    """

    source: str
    root: Path
    recordings: tuple[RecordedSound, ...]
    troubles: tuple[Failure, ...]
    warnings: tuple[str, ...] = ()
    header: StoreHeader | None = None

    @property
    def undated(self) -> tuple[RecordedSound, ...]:
        """Recordings that do not say when they began, which no hour can count."""
        return tuple(recording for recording in self.recordings if recording.start is None)

    def by_path(self, names: Iterable[str]) -> dict[str, RecordedSound]:
        """The recording of each path in a table of detections.

        A path that is not there as it is written means the one recording whose path ends alike:
        ``north/a.wav`` and ``disk/north/a.wav``.

        Raises:
            UsageError: A path means no recording, or several.
        """
        exact = {recording.path: recording for recording in self.recordings}
        tails: dict[str, list[RecordedSound]] = defaultdict(list)
        for recording in self.recordings:
            tails[_name(recording.path)].append(recording)
        meant: dict[str, RecordedSound] = {}
        missing: list[str] = []
        for name in dict.fromkeys(names):
            alike = [exact[name]] if name in exact else _alike(name, tails[_name(name)])
            if len(alike) > 1:
                some = ", ".join(recording.path for recording in alike[:3])
                raise UsageError(
                    f"{name}: means {len(alike)} recordings of {self.source}: {some}; give the "
                    "recordings from the same folder as the detections have them"
                )
            if alike:
                meant[name] = alike[0]
            else:
                missing.append(name)
        if missing:
            raise UsageError(
                f"{len(missing)} recordings with detections are not among those of {self.source}, "
                f"such as {missing[0]}; name what was really recorded"
            )
        return meant


def _name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _alike(name: str, candidates: Sequence[RecordedSound]) -> list[RecordedSound]:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    alike = []
    for recording in candidates:
        theirs = PurePosixPath(recording.path).parts
        shorter = min(len(parts), len(theirs))
        if parts[-shorter:] == theirs[-shorter:]:
            alike.append(recording)
    return alike


def recorded_archive(
    source: Inputs,
    config: EmbedConfig,
    *,
    audio_root: str | Path | None = None,
    progress: Progress = NO_PROGRESS,
) -> RecordedArchive:
    """What was recorded, from a store or from recordings.

    Args:
        source: a store, or recordings, their folders or their list (``.csv``), of which the headers
            are read.
        config: its ``time_zone`` gives local time of recordings that say UTC or no zone, before
            that of the store; its ``site_from`` the site where the source has none.
        audio_root: what the recordings' paths are relative to; of a store, where they lie now.
        progress: is told how many bytes of recordings were looked at.

    Raises:
        UsageError: There are no recordings.
        StoreError: A store is damaged.
    """
    store = store_among(as_paths(source))
    if store is not None:
        return archive_of_store(store, config, audio_root)
    return _of_recordings(source, config, audio_root, progress)


def archive_of_store(
    store: Store, config: EmbedConfig, audio_root: str | Path | None = None
) -> RecordedArchive:
    """The finished recordings of a store, and those that failed; arguments as above.

    Raises:
        UsageError: No recording is finished.
        StoreError: The store is damaged.
    """
    named = from_stored_name(store.header.audio_root)
    root = named if audio_root is None else absolute(as_path(audio_root))
    silent = store.windows(["recording_id", "start_s", "stop_s"], where={"silent": "true"})
    unheard: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for identity, start_s, stop_s in zip(*(c.to_pylist() for c in silent.columns), strict=True):
        unheard[identity].append((start_s, stop_s))
    rows = [RecordingRow.from_dict(values) for values in store.recordings().to_pylist()]
    kinds: Counter[str] = Counter()
    recordings = [
        _stored(row, root, config, unheard[row.recording_id], kinds)
        for row in rows
        if row.status == "done"
    ]
    troubles = [
        Failure(row.path, row.reason or row.status, row.message or "a run is in it or was stopped")
        for row in rows
        if row.reason or row.status != "done"
    ]
    if not recordings:
        raise UsageError(f"{store.path}: no recording is finished, so there is no recorded hour")
    return RecordedArchive(
        source=str(store.path),
        root=root,
        recordings=tuple(recordings),
        troubles=tuple(troubles),
        warnings=tuple(zone_warnings(kinds)),
        header=store.header,
    )


def _stored(
    row: RecordingRow,
    root: Path,
    config: EmbedConfig,
    unheard: Sequence[tuple[float, float]],
    kinds: Counter[str],
) -> RecordedSound:
    rate = row.rate or 1
    gaps = [(first / rate, stop / rate) for first, stop in row.gaps]
    carried = dict(with_site(row.carried, row.path, root, config))
    return RecordedSound(
        path=row.path,
        site=carried.get(SITE) or "",
        start=_start(row.recorded_at, config.time_zone or row.time_zone, kinds),
        duration_s=row.duration_s or 0.0,
        unheard=(*gaps, *unheard),
        position=_position(carried, row.recorder_latitude, row.recorder_longitude),
    )


def _of_recordings(
    source: Inputs, config: EmbedConfig, audio_root: str | Path | None, progress: Progress
) -> RecordedArchive:
    paths = as_paths(source)
    scan = find_recordings(paths)
    root = root_of(paths, audio_root)
    kinds: Counter[str] = Counter()
    recordings: list[RecordedSound] = []
    troubles: list[Failure] = []
    advance = progress.start("looking at recordings", scan.n_bytes, "bytes")
    for path, carried in scan.entries():
        job = job_for(path, carried, root, config)
        finding = _examined(job)
        advance(finding.n_bytes)
        if finding.verdict != OK:
            troubles.append(Failure(job.name, finding.verdict, finding.message))
        if finding.readable:
            recordings.append(_found(job, finding, kinds))
    return RecordedArchive(
        source=", ".join(map(str, paths)),
        root=root,
        recordings=tuple(sorted(recordings, key=lambda recording: recording.path)),
        troubles=tuple(troubles),
        warnings=(*zone_warnings(kinds), *dict.fromkeys(scan.unlisted)),
    )


def _examined(job: RecordingJob) -> Finding:
    try:
        with recording_errors(job.path), local_copy(job.path) as file:
            return examine(file, job.name)
    except AudioError as error:
        reason, message = error.reason, str(error)
    return Finding(path=job.name, folder="", verdict=reason, message=message, readable=False)


def _found(job: RecordingJob, finding: Finding, kinds: Counter[str]) -> RecordedSound:
    carried = dict(job.carried)
    return RecordedSound(
        path=job.name,
        site=carried.get(SITE) or "",
        # what a list says counts before what a recorder wrote
        start=_start(carried.get(START_TIME) or finding.began, job.time_zone, kinds),
        duration_s=finding.duration_s,
        position=_position(carried, finding.latitude, finding.longitude),
    )


def _start(recorded_at: str | None, zone: str | None, kinds: Counter[str]) -> datetime | None:
    if not recorded_at:
        return None
    parsed = parse_zone(zone) if zone else None
    kinds[zone_kind(recorded_at, parsed)] += 1
    return local_start(recorded_at, parsed)


def _position(
    carried: Mapping[str, str], latitude: float | None, longitude: float | None
) -> tuple[float, float] | None:
    """Where the user says that it stood, else where the recorder says so."""
    named = {name.casefold(): value for name, value in carried.items()}
    own = _degrees(named, LATITUDES, 90.0), _degrees(named, LONGITUDES, 180.0)
    for north, east in (own, (latitude, longitude)):
        if north is not None and east is not None:
            return north, east
    return None


def _degrees(named: Mapping[str, str], names: Sequence[str], most: float) -> float | None:
    text = next((named[name] for name in names if named.get(name)), "")
    try:
        degrees = float(text)
    except ValueError:
        return None
    return degrees if abs(degrees) <= most else None
