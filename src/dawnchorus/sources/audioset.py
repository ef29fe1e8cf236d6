"""AudioSet: segment lists, names of classes, the ontology, and a folder of clips cut already.

Source: https://research.google.com/audioset/download.html. Clips are named ``<YTID>.wav``, or with
the start, ``<YTID>_30.000.wav`` or ``<YTID>_30000.wav``. Many videos are gone: segments without a
file are counted, not missed.
"""

from __future__ import annotations

import csv
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnchorus.configs.json_file import read_json
from dawnchorus.errors import TaskError
from dawnchorus.sources.scratch import scratch_database
from dawnchorus.sources.source_row import SourceRow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from dawnchorus.sources.report import SourceReport

DATASET: Final = "audioset"
TERMS: Final = "AudioSet terms"
SEGMENT_LISTS: Final = {
    "balanced_train_segments.csv": "train",
    "unbalanced_train_segments.csv": "train",
    "eval_segments.csv": "test",
}
CLASSES: Final = "class_labels_indices.csv"
ONTOLOGY: Final = "ontology.json"
# of an id of YouTube; it may begin with "-" or "_", so nothing can be split at those
YTID_LENGTH: Final = 11
# names of files round the start in several ways
SAME_START_S: Final = 0.5
SOUND_SUFFIXES: Final = {".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus", ".webm"}
MISSING: Final = "no file of the segment"


@dataclass(frozen=True, slots=True)
class Ontology:
    """Names of classes by MID, and which lie above which; a class may lie below several."""

    names: dict[str, str]
    parents: dict[str, tuple[str, ...]] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()  # abstract or blacklisted: no label of a clip

    def above(self, mid: str) -> set[str]:
        """All classes above one that may be labels; the way may lead through those that may not."""
        found: set[str] = set()
        ahead = list(self.parents.get(mid, ()))
        while ahead:
            one = ahead.pop()
            if one not in found:
                found.add(one)
                ahead.extend(self.parents.get(one, ()))
        return found - self.silent


def read(
    place: Path,
    report: SourceReport,
    *,
    audio: Path | None = None,
    ancestors: bool = False,
    namespace: str = "",
) -> Iterator[SourceRow]:
    """Rows of every segment list in a folder whose clip is there.

    Args:
        place: holds the published lists (or is one of them), and beside them
            ``class_labels_indices.csv`` or ``ontology.json``.
        report: counts what is left out.
        audio: folder of the clips; None for ``place``.
        ancestors: classes above a label in the ontology are labels too.
        namespace: put before each label, such as ``audioset:``; released models have none.

    Raises:
        TaskError: A list is missing or is not one, or ``ancestors`` without an ontology.
    """
    folder = place if place.is_dir() else place.parent
    # one list alone, or all that lie in the folder
    lists = [place] if place.is_file() else [folder / name for name in SEGMENT_LISTS]
    lists = [path for path in lists if path.is_file()]
    if not lists:
        raise TaskError(f"{place}: found none of {', '.join(SEGMENT_LISTS)}")
    ontology = read_ontology(folder)
    if ancestors and not ontology.parents:
        raise TaskError(f"{folder}: no {ONTOLOGY}, which is needed for the classes above a label")
    with _clips(audio or folder) as clips:
        for path in lists:
            for segment in read_segments(path, report):
                yield from _row(segment, clips, ontology, report, (namespace, ancestors))


@dataclass(frozen=True, slots=True)
class Segment:
    """A line of a list."""

    ytid: str
    start_s: float
    stop_s: float
    mids: tuple[str, ...]
    split: str

    @property
    def id(self) -> str:
        """With the start, since another list may hold another part of the video."""
        return f"{DATASET}/{self.ytid}_{self.start_s:g}"


def read_segments(path: Path, report: SourceReport) -> Iterator[Segment]:
    """Lines of a list: three of comment, then ``YTID, start, stop, "MID,MID"``.

    Raises:
        TaskError: It cannot be read.
    """
    split = SEGMENT_LISTS.get(path.name, "train")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file, skipinitialspace=True)
            for fields in reader:
                if not fields or fields[0].startswith("#"):
                    continue
                segment = _segment(fields, split)
                if segment is None:
                    report.bad_line(path.name, reader.line_num, f"{fields!r:.80}")
                else:
                    yield segment
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TaskError(f"{path}: not a readable list of segments: {error}") from error


def _segment(fields: list[str], split: str) -> Segment | None:
    try:
        ytid, start, stop, mids = fields
        start_s, stop_s = float(start), float(stop)
    except ValueError:
        return None
    named = tuple(mid.strip() for mid in mids.split(",") if mid.strip())
    if len(ytid) != YTID_LENGTH or not 0 <= start_s < stop_s or not named:
        return None
    return Segment(ytid, start_s, stop_s, named, split)


def _row(
    segment: Segment,
    clips: sqlite3.Connection,
    ontology: Ontology,
    report: SourceReport,
    how: tuple[str, bool],
) -> Iterator[SourceRow]:
    namespace, ancestors = how
    path = _clip_of(segment, clips)
    if path is None:
        report.drop(MISSING, segment.id)
        return
    # a class without a name would be a label that nobody can read
    known = [mid for mid in segment.mids if mid in ontology.names]
    for mid in set(segment.mids) - set(known):
        report.noted[f"label {mid} has no name and is left out"] += 1
    mids = set(known)
    if ancestors:
        mids.update(*(ontology.above(mid) for mid in known))
    if not mids:
        report.drop("none of its labels has a name", segment.id)
        return
    video = f"https://youtu.be/{segment.ytid}?t={segment.start_s:g}"
    yield SourceRow(
        id=segment.id,
        dataset=DATASET,
        labels=tuple(sorted(namespace + ontology.names[mid] for mid in mids)),
        kind="sound",
        path=path,
        form=Path(path).suffix.lower().removeprefix("."),
        source=video,
        licence=TERMS,
        attribution=f"AudioSet (annotations CC BY 4.0), sound of {video}",
        group=f"{DATASET}:{segment.ytid}",
        split=segment.split,
        duration_s=segment.stop_s - segment.start_s,
    )


def read_ontology(folder: Path) -> Ontology:
    """Names from ``class_labels_indices.csv``, the order of classes from ``ontology.json``.

    Either may be missing; without the table, names come from the ontology.

    Raises:
        TaskError: Both are missing, or one is not what it should be.
    """
    names: dict[str, str] = {}
    parents: dict[str, list[str]] = {}
    silent = set()
    try:
        if (folder / ONTOLOGY).is_file():
            for node in read_json(folder / ONTOLOGY):
                names[node["id"]] = node["name"]
                for child in node["child_ids"]:
                    parents.setdefault(child, []).append(node["id"])
                # classes that AudioSet itself never gives to a clip
                if {"abstract", "blacklist"} & set(node["restrictions"]):
                    silent.add(node["id"])
        if (folder / CLASSES).is_file():
            with (folder / CLASSES).open(newline="", encoding="utf-8") as file:
                names |= {row["mid"]: row["display_name"] for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise TaskError(f"{folder}: {ONTOLOGY} or {CLASSES} is damaged: {error!r}") from error
    if not names:
        raise TaskError(f"{folder}: need {CLASSES} or {ONTOLOGY} beside the lists, for the names")
    above = {mid: tuple(ids) for mid, ids in parents.items()}
    return Ontology(names, above, frozenset(silent))


@contextmanager
def _clips(folder: Path) -> Iterator[sqlite3.Connection]:
    """Every clip under a folder by YTID, in a temporary database: there may be two million."""
    if not folder.is_dir():
        raise TaskError(f"{folder}: no such folder of clips")
    table = "CREATE TABLE clips (ytid TEXT, start_s REAL, path TEXT)"
    with scratch_database(table) as database:
        database.executemany("INSERT INTO clips VALUES (?, ?, ?)", _walk(folder))
        database.execute("CREATE INDEX by_ytid ON clips (ytid)")
        yield database


def _walk(folder: Path) -> Iterator[tuple[str, float | None, str]]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if path.suffix.lower() in SOUND_SUFFIXES:
                found = clip_name(path.stem)
                if found is not None:
                    yield (*found, str(path.resolve()))


def clip_name(stem: str) -> tuple[str, float | None] | None:
    """YTID and start in the form of the name; ids may hold ``_`` and ``-``, also at their start."""
    # without the prefix first: an id may begin with Y
    for prefix in ("", "Y"):  # some collections put a Y before each id
        rest = stem.removeprefix(prefix)
        ytid, mark, times = rest[:YTID_LENGTH], rest[YTID_LENGTH:][:1], rest[YTID_LENGTH + 1 :]
        if len(ytid) < YTID_LENGTH:
            continue
        if not mark:
            return ytid, None
        if mark == "_":
            try:
                return ytid, float(times.partition("_")[0])
            except ValueError:
                continue
    return None


def _clip_of(segment: Segment, clips: sqlite3.Connection) -> str | None:
    found = clips.execute("SELECT start_s, path FROM clips WHERE ytid = ?", [segment.ytid])
    bare = None
    for start, path in sorted(found, key=lambda clip: clip[1]):
        if start is None:
            bare = str(path)
        # seconds or milliseconds, as the tools that cut clips write it
        elif any(abs(start / unit - segment.start_s) < SAME_START_S for unit in (1, 1000)):
            return str(path)
    return bare
