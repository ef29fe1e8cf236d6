"""Which test items a model may have heard in training: by catalogue number, file and sound.

The audit compares the test rows of a task's manifest with one or more training manifests. A hit by
catalogue number, by checksum or as one and the same file is certain; a hit by sound is as strong
as the two agree; a shared file name alone is weak, and is listed without being counted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dawnchorus.benchmark.source_ids import TEXT_COLUMNS, source_ids, telling_name
from dawnchorus.clips.duplicates import find_duplicates
from dawnchorus.clips.manifest import Manifest, moved, texts
from dawnchorus.errors import TaskError
from dawnchorus.progress import NO_PROGRESS, Progress
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dawnchorus.clips.duplicates import Duplicate

CERTAIN: Final = 1.0
SAME_NAME: Final = 0.3
COUNTED: Final = 0.5  # strength from which an item is taken for known
HITS_SCHEMA: Final = pa.schema(
    [
        ("test_id", pa.string()),
        ("train_id", pa.string()),
        ("train_manifest", pa.string()),
        ("why", pa.string()),  # source id, sha256, same file, sound, file name
        ("what", pa.string()),  # the shared id or name, or how much sound is shared
        ("strength", pa.float64()),
    ]
)
HITS_FILE, ITEMS_FILE, SUMMARY_FILE = "hits.parquet", "items.parquet", "audit.json"


@dataclass(frozen=True, slots=True)
class Hit:
    """A test item and one training clip that shares something with it, as in `HITS_SCHEMA`."""

    test_id: str
    train_id: str
    train_manifest: str
    why: str
    what: str
    strength: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakReport:
    """What was compared and what was found, the strongest hits first.

    Attributes:
        test_ids: every test item, in the order of its manifest.
        training: name of each training manifest, and how many of its clips were compared.
        hits: at most one for a test item, a training file and a reason.
        sound: whether the sound was compared.
        n_files: files whose sound was compared.
        bad: path and message of those that could not be read.
    """

    test_ids: tuple[str, ...]
    training: tuple[tuple[str, int], ...]
    hits: tuple[Hit, ...]
    sound: bool
    n_files: int
    bad: tuple[tuple[str, str], ...]

    def known(self, min_strength: float = COUNTED) -> frozenset[str]:
        """Ids of the test items with a hit of at least this strength."""
        return frozenset(hit.test_id for hit in self.hits if hit.strength >= min_strength)


@dataclass(frozen=True, slots=True)
class _Clip:
    """A row of a manifest, as far as an audit asks; ``stop_s`` is infinite where not known."""

    id: str
    manifest: str
    path: str
    span: tuple[float, float]


def audit_leaks(
    test: Manifest,
    training: Sequence[Manifest],
    *,
    sound: bool = True,
    threads: int = 0,
    progress: Progress = NO_PROGRESS,
) -> LeakReport:
    """Look for test items among training clips.

    Args:
        test: the items; every row is taken, so choose the test split before.
        training: what the model was trained on. Their rows of ``split`` test are passed over, and
            so is every row that is a test item itself.
        sound: compare the sound too, which reads every file; without it only what is written.
        threads: files decoded at once; 0: one a core.
        progress: told of each file that was read.

    Raises:
        TaskError: There is nothing to compare.
    """
    root = Path("/").resolve()  # so that one file has one path, whichever manifest names it
    test = moved(test, root)
    tested = {(clip.path, clip.span) for clip in _clips(test)}
    parts = [_trained_on(moved(part, root), tested) for part in training]
    if not len(test) or not any(map(len, parts)):
        raise TaskError(
            f"{test.named}: {len(test)} test rows and {sum(map(len, parts))} training rows; need "
            "some of both"
        )
    hits = list(_written(test, parts))
    n_files = 0
    bad: tuple[tuple[str, str], ...] = ()
    if sound:
        compared = find_duplicates(
            _union(test, parts), between_splits=True, threads=threads, progress=progress
        )
        n_files = compared.n_files
        bad = tuple((str(root / one.path), one.message) for one in compared.failures)
        hits += _heard(test, parts, compared.found)
    hits.sort(key=lambda hit: (-hit.strength, hit.test_id, hit.train_id, hit.why))
    return LeakReport(
        test_ids=tuple(test.table["id"].to_pylist()),
        training=tuple((part.named, len(part)) for part in parts),
        hits=tuple(hits),
        sound=sound,
        n_files=n_files,
        bad=bad,
    )


def task_rows(manifest: Manifest, task: str | None) -> Manifest:
    """Rows of one task of a corpus that says in a column ``tasks`` what each row is for.

    Args:
        manifest: of the corpus, or of the task itself.
        task: its id; None: every row.

    Raises:
        TaskError: There is no such column, or no row is for that task.
    """
    if task is None:
        return manifest
    if "tasks" not in manifest.table.column_names:
        raise TaskError(f"{manifest.named}: no column tasks to find {task} by; leave it out")
    asked = [task in (own or ()) for own in manifest.table["tasks"].to_pylist()]
    if not any(asked):
        raise TaskError(f"{manifest.named}: no row is for the task {task}")
    return manifest.filter(pa.array(asked, pa.bool_()))


def write_leaks(report: LeakReport, folder: Path) -> None:
    """Write ``hits.parquet``, ``items.parquet`` (``id``, ``strength``) and ``audit.json``.

    The strength of an item is that of its strongest hit, 0 where it has none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{name: getattr(hit, name) for name in HITS_SCHEMA.names} for hit in report.hits]
    _write_table(pa.Table.from_pylist(rows, HITS_SCHEMA), folder / HITS_FILE)
    strongest: dict[str, float] = {}
    for hit in report.hits:
        strongest[hit.test_id] = max(hit.strength, strongest.get(hit.test_id, 0.0))
    strength = [strongest.get(name, 0.0) for name in report.test_ids]
    items = pa.table({"id": list(report.test_ids), "strength": pa.array(strength, pa.float64())})
    _write_table(items, folder / ITEMS_FILE)
    write_whole(folder / SUMMARY_FILE, json.dumps(summary(report), indent=1).encode())


def summary(report: LeakReport) -> dict[str, Any]:
    """Counts of an audit, for a person and for a program."""
    reasons = dict.fromkeys(hit.why for hit in report.hits)
    return {
        "n_test": len(report.test_ids),
        "training": dict(report.training),
        "sound": report.sound,
        "n_files": report.n_files,
        "n_unreadable": len(report.bad),
        "counted_from_strength": COUNTED,
        "n_known": len(report.known()),
        "n_items_by_reason": {
            why: len({hit.test_id for hit in report.hits if hit.why == why}) for why in reasons
        },
    }


def read_known(folder: Path, min_strength: float = COUNTED) -> frozenset[str]:
    """Ids of the test items that an audit found in training; the others are the clean ones.

    Args:
        folder: where `write_leaks` wrote.
        min_strength: weaker hits do not count.

    Raises:
        TaskError: There is no audit there.
    """
    path = folder / ITEMS_FILE
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise TaskError(f"{path}: no leak audit that can be read: {error}") from error
    return frozenset(
        table.filter(pc.greater_equal(table["strength"], min_strength))["id"].to_pylist()
    )


def _write_table(table: pa.Table, path: Path) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())


def _clips(manifest: Manifest) -> Iterator[_Clip]:
    """Rows of a manifest."""
    columns = (manifest.table["id"], manifest.table["path"])
    names = (column.to_pylist() for column in columns)
    spans = zip(manifest.seconds("start_s"), manifest.seconds("stop_s"), strict=True)
    for id, path, (start_s, stop_s) in zip(*names, spans, strict=True):
        end_s = float(stop_s) if stop_s == stop_s else float("inf")
        yield _Clip(id, manifest.named, path, (float(start_s), end_s))


def _trained_on(manifest: Manifest, tested: set[tuple[str, tuple[float, float]]]) -> Manifest:
    """Rows that a model may have seen: of no split, train or val, and no test item itself."""
    splits = texts(manifest.table["split"]).to_pylist()
    keep = [
        split != "test" and (clip.path, clip.span) not in tested
        for clip, split in zip(_clips(manifest), splits, strict=True)
    ]
    return manifest.filter(pa.array(keep, pa.bool_()))


def _written(test: Manifest, parts: Sequence[Manifest]) -> Iterator[Hit]:
    """Hits by what the rows say: catalogue numbers, checksums, files and their names."""
    seen: dict[tuple[str, str], dict[str, _Clip]] = {}  # a mark to a clip for each training file
    for part in parts:
        for clip, marks in zip(_clips(part), _marks(part), strict=True):
            for mark in marks:
                seen.setdefault(mark, {}).setdefault(clip.path, clip)
    for item, marks in zip(_clips(test), _marks(test), strict=True):
        reported: set[tuple[str, str]] = set()  # training file and reason, once each
        for why, what in marks:
            for clip in seen.get((why, what), {}).values():
                if (clip.path, why) in reported:
                    continue
                if why == "file name" and any(path == clip.path for path, _ in reported):
                    continue  # says no more than what was found already
                reported.add((clip.path, why))
                strength = SAME_NAME if why == "file name" else CERTAIN
                yield Hit(item.id, clip.id, clip.manifest, why, what, strength)


def _marks(manifest: Manifest) -> Iterator[list[tuple[str, str]]]:
    """What each row can be known by, the certain marks first."""

    def column(name: str) -> list[str | None]:
        there = name in manifest.table.column_names
        values = texts(manifest.table[name]).to_pylist() if there else [None] * len(manifest)
        return cast("list[str | None]", values)

    source_texts = zip(*map(column, TEXT_COLUMNS), strict=True)
    files = zip(column("path"), column("source_path"), column("sha256"), strict=True)
    for row, (path, origin, checksum) in zip(source_texts, files, strict=True):
        marks = [("source id", name) for name in sorted(source_ids(row))]
        marks += [("sha256", checksum)] if checksum else []
        marks.append(("same file", path or ""))
        names = {telling_name(file) for file in (path, origin) if file}
        yield marks + [("file name", name) for name in sorted(filter(None, names))]


def _union(test: Manifest, parts: Sequence[Manifest]) -> Manifest:
    """A row for each file: split test or train; a file on both sides is a test file."""
    side = dict.fromkeys(test.table["path"].to_pylist(), "test")
    for part in parts:
        for path in part.table["path"].to_pylist():
            side.setdefault(path, "train")
    table = pa.table(
        {
            "id": list(side),
            "path": list(side),
            "labels": pa.array([[]] * len(side), pa.list_(pa.string())),
            "split": list(side.values()),
        }
    )
    return Manifest(table, test.folder)


def _heard(test: Manifest, parts: Sequence[Manifest], pairs: Iterable[Duplicate]) -> Iterator[Hit]:
    """Hits by sound, where both the item and the clip lie in the stretch that is shared."""
    items = _by_path(_clips(test))
    clips = _by_path(clip for part in parts for clip in _clips(part))
    for pair in pairs:
        swap = pair.split != "test"
        tested, trained = (pair.other, pair.path) if swap else (pair.path, pair.other)
        offset_s = -pair.offset_s if swap else pair.offset_s
        here = (max(0.0, offset_s), max(0.0, offset_s) + pair.overlap_s)
        there = (max(0.0, -offset_s), max(0.0, -offset_s) + pair.overlap_s)
        heard = [clip for clip in clips[trained] if _meet(clip.span, there)][:1]
        for item in items[tested]:
            for clip in heard if _meet(item.span, here) else []:
                what = f"{pair.overlap_s:.2f} s, correlation {pair.correlation:.2f}"
                yield Hit(item.id, clip.id, clip.manifest, "sound", what, pair.correlation)


def _by_path(clips: Iterable[_Clip]) -> dict[str, list[_Clip]]:
    values: dict[str, list[_Clip]] = {}
    for clip in clips:
        values.setdefault(clip.path, []).append(clip)
    return values


def _meet(first: tuple[float, float], second: tuple[float, float]) -> bool:
    """Whether two spans share time."""
    return max(first[0], second[0]) < min(first[1], second[1])
