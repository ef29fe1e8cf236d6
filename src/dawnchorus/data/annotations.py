"""Manifests of annotations that were drawn by hand: Raven selection tables, Audacity labels."""

from __future__ import annotations

import re
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.audio.io import AUDIO_SUFFIXES
from dawnchorus.data.folders import Made, with_lengths
from dawnchorus.data.tables import clip_id, read_lines
from dawnchorus.errors import TaskError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

RAVEN_SUFFIX: Final = ".txt"
_LABEL_COLUMNS: Final = ("annotation", "species", "label", "common name", "type", "call type", "id")


def manifest_of_raven(
    tables: Sequence[Path],
    *,
    audio: Path,
    label: str | None = None,
    kind: str = "species",
    progress: Callable[[int], None] = lambda _n: None,
) -> Made:
    """Make a manifest of Raven selection tables, a clip for each selection.

    The recording is the one that ``Begin File`` names, wherever it lies below ``audio``, else the
    one whose name the table's begins with. Selections without a label are clips without labels.

    Args:
        tables: selection tables, or folders of them (``.txt``).
        audio: folder of the recordings.
        label: the column that holds it; None: the one with a usual name.
        kind: of the labels.
        progress: called with 1 after each recording.

    Raises:
        TaskError: A table cannot be read, or a recording is not found or is found twice.
        UsageError: It is not clear which column is the label.
    """
    find = _Finder(audio)
    clips: list[tuple[str, float, float, str]] = []
    for table in _tables(tables):
        names, lines = read_lines(table)
        _need(table, names, ("Begin Time (s)", "End Time (s)"))
        column = _label_column(table, names, label)
        seen = set()
        for number, line in enumerate(lines, start=2):
            # a selection has a line for each view: waveform, spectrogram
            key = line.get("Selection") or str(number)
            if key not in seen:
                clips.append(_selection(table, number, line, column, find))
            seen.add(key)
    return _manifest(clips, audio, kind, progress)


def _selection(
    table: Path, number: int, line: dict[str, str], column: str, find: _Finder
) -> tuple[str, float, float, str]:
    try:
        start_s, stop_s = float(line["Begin Time (s)"]), float(line["End Time (s)"])
        offset = line.get("File Offset (s)") or ""
        # with several recordings open, Begin Time counts from the first one's beginning
        if offset:
            start_s, stop_s = float(offset), float(offset) + stop_s - start_s
    except ValueError as error:
        raise TaskError(f"{table}, line {number}: a time is no number") from error
    named = line.get("Begin File") or line.get("Begin Path") or ""
    path = find.named(table, PureWindowsPath(named).name) if named else find.beside(table)
    return path, start_s, stop_s, (line[column] or "").strip()


def manifest_of_audacity(
    tables: Sequence[Path],
    *,
    audio: Path,
    kind: str = "species",
    progress: Callable[[int], None] = lambda _n: None,
) -> Made:
    """Make a manifest of Audacity label files, a clip for each label with a length.

    The recording is the one whose name the label file's begins with. Labels at a point of time are
    among what is bad.

    Args:
        tables: label files, or folders of them (``.txt``).
        audio: folder of the recordings.
        kind: of the labels.
        progress: called with 1 after each recording.

    Raises:
        TaskError: A label file cannot be read, or a recording is not found or is found twice.
    """
    find = _Finder(audio)
    clips, points = [], []
    for table in _tables(tables):
        path = find.beside(table)
        for start_s, stop_s, label in _audacity_labels(table):
            if stop_s > start_s:
                clips.append((path, start_s, stop_s, label))
            else:
                message = f"{table}: {label!r} at {start_s:g} s has no length"
                points.append((clip_id(path, start_s, stop_s), "point", message))
    made = _manifest(clips, audio, kind, progress)
    return Made(made.manifest, (*made.bad, *points))


def _audacity_labels(table: Path) -> Iterable[tuple[float, float, str]]:
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(f"{table}: cannot be read as Audacity labels: {error}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("\\"):
            continue  # the line after a label may give its frequencies
        start, _, rest = line.partition("\t")
        stop, _, label = rest.partition("\t")
        try:
            yield float(start), float(stop), label.strip()
        except ValueError as error:
            raise TaskError(
                f"{table}, line {number}: need start, stop and label between tabs, found {line!r}"
            ) from error


def _tables(named: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for item in named:
        files = sorted(item.rglob(f"*{RAVEN_SUFFIX}")) if item.is_dir() else [item]
        if not files:
            raise TaskError(f"{item}: no {RAVEN_SUFFIX} file in it")
        found += files
    return found


def _need(table: Path, names: Sequence[str], wanted: Iterable[str]) -> None:
    missing = [name for name in wanted if name not in names]
    if missing:
        raise TaskError(f"{table}: not a Raven selection table: no column {missing[0]!r}")


def _label_column(table: Path, names: list[str], given: str | None) -> str:
    if given is not None:
        if given not in names:
            raise UsageError(f"{table}: no column {given!r}; columns: {names}")
        return given
    usual = {name.lower(): name for name in names}
    for name in _LABEL_COLUMNS:
        if name in usual:
            return usual[name]
    raise UsageError(f"{table}: which column is the label? columns: {names}")


class _Finder:
    """Finds recordings below a folder by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_name: dict[str, list[str]] = {}
        for file in sorted(folder.rglob("*")):
            if file.suffix.lower() in AUDIO_SUFFIXES and not file.name.startswith("."):
                path = file.relative_to(folder).as_posix()
                self._by_name.setdefault(file.name, []).append(path)

    def named(self, table: Path, name: str) -> str:
        """Path of the recording of a name."""
        return self._only(table, self._by_name.get(name, []), name)

    def beside(self, table: Path) -> str:
        """Path of the recording that a table belongs to by its name: the longest that fits."""
        # not "rec1" for "rec10.Table.1.txt": a name ends where no letter or digit follows
        fitting = ((rf"{re.escape(Path(name).stem)}(?![^\W_])", name) for name in self._by_name)
        stems = [name for pattern, name in fitting if re.match(pattern, table.name)]
        longest = max((len(Path(name).stem) for name in stems), default=0)
        paths = [
            path
            for name in stems
            if len(Path(name).stem) == longest
            for path in self._by_name[name]
        ]
        return self._only(table, paths, table.stem)

    def _only(self, table: Path, paths: list[str], name: str) -> str:
        near = [path for path in paths if (self.folder / path).parent == table.parent]
        paths = near if len(near) == 1 else paths
        if len(paths) != 1:
            found = "is not" if not paths else f"is there {len(paths)} times"
            raise TaskError(f"{table}: its recording {name!r} {found} below {self.folder}")
        return paths[0]


def _manifest(
    clips: Iterable[tuple[str, float, float, str]],
    audio: Path,
    kind: str,
    progress: Callable[[int], None],
) -> Made:
    rows: dict[str, dict[str, Any]] = {}
    for path, start_s, stop_s, label in clips:
        name = clip_id(path, start_s, stop_s)
        row = rows.setdefault(
            name,
            {
                "id": name,
                "path": path,
                "start_s": start_s,
                "stop_s": stop_s,
                "labels": [],
                "kind": kind,
                "level": "segment",
                "group": path,
            },
        )
        if label and label not in row["labels"]:
            row["labels"].append(label)
    if not rows:
        raise TaskError("no annotation with a length in the files given")
    return with_lengths(list(rows.values()), audio, progress, named=str(audio))
