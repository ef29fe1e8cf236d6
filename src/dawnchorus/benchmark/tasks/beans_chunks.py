"""Recordings and annotations of the detection sets of BEANS, as chunks before windows are cut.

Source: BEANS repository, scripts/dcase.py, enabirds.py, rfcx.py, hainan_gibbons.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.benchmark.tasks.checks import ROWS
from dawnchorus.benchmark.tasks.classes import classes_of
from dawnchorus.benchmark.tasks.raw import (
    find_sounds,
    length_s,
    located,
    read_counted,
    read_table,
    seconds,
    sounds_by_name,
    whole_number,
)
from dawnchorus.benchmark.tasks.splits import stratified
from dawnchorus.benchmark.tasks.windows import Annotation, inside_chunk, n_chunks
from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from dawnchorus.benchmark.tasks.base import Split

CHUNK_S: Final = 60.0
EVERY: Final = 3  # of the gibbons' chunks one is kept
QUERY: Final = "Q"  # dcase's validation files: whatever is asked for there
TOO_FEW: Final = ("AGGM", "SOCM")  # classes that BEANS drops
CLASSES_FROM: Final = 3  # columns before them in a table of dcase


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionQuirks:
    """What the published code does, as switches.

    Attributes:
        adjacent_chunks: val follows train in the same file at once, and test follows val; mended,
            the first chunk behind each border is left out.
        uncertain_is_absent: dcase's UNK counts as absent; mended, such windows are left out.
        query_is_a_class: dcase's "Q" is a class, although each file means another animal by it;
            mended, files that know only "Q" are left out.
        unknown_is_a_class: enabirds: species of no class are "OTHR", and that is a class; gibbons:
            calls of no class are "1". Mended: the former are no label, and windows with the latter
            are left out.
        none_class: enabirds has a class "None".
        none_on_empty_windows: windows that hear nothing carry "None"; it seems that they did not in
            the published run, where the class so scores 0.
        first_5_s_of_window: 10 s windows keep their labels and lose their second half.
    """

    adjacent_chunks: bool = True
    uncertain_is_absent: bool = True
    query_is_a_class: bool = True
    unknown_is_a_class: bool = True
    none_class: bool = True
    none_on_empty_windows: bool = False
    first_5_s_of_window: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a recording; annotations are in its own time.

    Attributes:
        offset_s: where it begins in the file.
        uncertain: stretches of which nobody knows what they hold.
    """

    path: str
    offset_s: float
    length_s: float
    split: Split
    group: str
    annotations: tuple[Annotation, ...]
    uncertain: tuple[Annotation, ...] = ()


def read_dcase(folder: Path, quirks: DetectionQuirks, counts: Counter[str]) -> list[Chunk]:
    """``Development_Set/**/X.wav`` with ``X.csv``: a column a class, POS, NEG or UNK."""
    chunks: list[Chunk] = []
    for sound in find_sounds(folder / "Development_Set"):
        table = sound.with_suffix(".csv")
        rows = read_table(table, ("Starttime", "Endtime"))
        names = [name for name in list(rows[0])[CLASSES_FROM:] if name not in TOO_FEW]
        if names == [QUERY] and not quirks.query_is_a_class:
            counts["dropped: files that know only a query"] += 1
            continue
        counts[ROWS] += len(rows)
        sure = _marked(rows, names, "POS", table)
        unsure = [] if quirks.uncertain_is_absent else _marked(rows, names, "UNK", table)
        chunks += _cut(folder, sound, sure, unsure, by_time(quirks, counts))
    return chunks


def _marked(
    rows: Sequence[dict[str, str]], names: Sequence[str], mark: str, table: Path
) -> list[Annotation]:
    return [
        Annotation(seconds(row, "Starttime", table), seconds(row, "Endtime", table), name)
        for row in rows
        for name in names
        if row[name].strip() == mark
    ]


def read_enabirds(folder: Path, quirks: DetectionQuirks, counts: Counter[str]) -> list[Chunk]:
    """``Recording_1/X.wav`` with ``X.Table.1.selections.txt``."""
    chunks: list[Chunk] = []
    *species, other = classes_of("beans/enabirds")
    for sound in sorted(folder.glob("Recording_?/*.wav")):
        table = sound.with_name(sound.stem + ".Table.1.selections.txt")
        rows = read_counted(table, ("Begin Time (s)", "End Time (s)", "Species"), counts)
        annotations = []
        for row in rows:
            start_s = seconds(row, "Begin Time (s)", table)
            label = row["Species"].strip()
            if label not in species:
                counts["annotations of other species"] += 1
                if not quirks.unknown_is_a_class:
                    continue
                label = other
            annotations.append(Annotation(start_s, seconds(row, "End Time (s)", table), label))
        chunks += _cut(folder, sound, annotations, [], by_time(quirks, counts))
    return chunks


def read_gibbons(folder: Path, quirks: DetectionQuirks, counts: Counter[str]) -> list[Chunk]:
    """``Train/X.wav`` with ``Train_Labels/g_X.data``; whole files are train, val or test."""
    chunks: list[Chunk] = []
    types = classes_of("beans/hainan_gibbons")
    for at, sound in enumerate(find_sounds(folder / "Train")):
        table = folder / "Train_Labels" / f"g_{sound.stem}.data"
        rows = read_counted(table, ("Start", "End", "Type"), counts)
        sure: list[Annotation] = []
        unsure: list[Annotation] = []
        for row in rows:
            label, start_s = whole_number(row["Type"]), seconds(row, "Start", table)
            known = label in types
            counts["annotations of no known type"] += not known
            label = label if known else types[0]
            one = Annotation(start_s, seconds(row, "End", table), label)
            (sure if known or quirks.unknown_is_a_class else unsure).append(one)
        split: Split = "train" if at <= 5 else "val" if at <= 8 else "test"
        chunks += _cut(folder, sound, sure, unsure, _every_third(split))
    return chunks


def read_hiceas(folder: Path, _: DetectionQuirks, counts: Counter[str]) -> list[Chunk]:
    """Three JSONL lists of BEANS, a line a chunk that is a file of its own."""
    sounds = sounds_by_name(folder)
    chunks: list[Chunk] = []
    lists: tuple[tuple[str, Split], ...] = (("train", "train"), ("valid", "val"), ("test", "test"))
    for name, split in lists:
        lines = _json_lines(folder / f"{name}.jsonl")
        counts[ROWS] += len(lines)
        paths = located([line["path"] for line in lines], sounds, folder / name)
        for line, path in zip(lines, paths, strict=True):
            annotations = tuple(
                Annotation(float(one["st"]), float(one["ed"]), whole_number(str(one["label"])))
                for one in line["annotations"]
            )
            length = float(line["length"])
            chunks.append(_whole(path, length, split, annotations))
    return chunks


def read_rfcx(folder: Path, _: DetectionQuirks, counts: Counter[str]) -> list[Chunk]:
    """``train/X.flac`` of a minute each, and the true positives of ``train_tp.csv``."""
    table = folder / "train_tp.csv"
    rows = read_counted(table, ("recording_id", "species_id", "t_min", "t_max"), counts)
    sounds = find_sounds(folder / "train")
    by_recording: dict[str, list[Annotation]] = {sound.stem: [] for sound in sounds}
    for row in rows:
        if row["recording_id"] not in by_recording:
            raise TaskError(f"{table}: {row['recording_id']} is not in {folder / 'train'}")
        start_s, stop_s = seconds(row, "t_min", table), seconds(row, "t_max", table)
        one = Annotation(start_s, stop_s, whole_number(row["species_id"]))
        by_recording[row["recording_id"]].append(one)
    splits = stratified(range(len(sounds)), stratify=False)
    return [
        _whole(
            sound.relative_to(folder).as_posix(),
            length_s(sound),
            split,
            tuple(by_recording[sound.stem]),
        )
        for sound, split in zip(sounds, splits, strict=True)
    ]


def by_time(quirks: DetectionQuirks, counts: Counter[str]) -> Callable[[int, int], Split | None]:
    """Which side a chunk is on by its place in its file; None: left out."""

    def side(at: int, n: int) -> Split:
        return "train" if at / n < 0.6 else "val" if at / n < 0.8 else "test"

    def chosen(at: int, n: int) -> Split | None:
        border = at > 0 and side(at, n) != side(at - 1, n)
        if border and not quirks.adjacent_chunks:
            counts["dropped: chunks at a border"] += 1
            return None
        return side(at, n)

    return chosen


def _every_third(split: Split) -> Callable[[int, int], Split | None]:
    return lambda at, _: split if at % EVERY == 0 else None


def _cut(
    folder: Path,
    sound: Path,
    sure: Sequence[Annotation],
    unsure: Sequence[Annotation],
    side: Callable[[int, int], Split | None],
) -> Iterator[Chunk]:
    """The chunks of a recording; those of one split are a group, as minutes of it are alike."""
    length, path = length_s(sound), sound.relative_to(folder).as_posix()
    n = n_chunks(length, CHUNK_S)
    for at in range(n):
        split = side(at, n)
        if split is None:
            continue
        yield Chunk(
            path=path,
            offset_s=at * CHUNK_S,
            length_s=min(CHUNK_S, length - at * CHUNK_S),
            split=split,
            group=f"{path} {split}",
            annotations=inside_chunk(sure, at, CHUNK_S),
            uncertain=inside_chunk(unsure, at, CHUNK_S),
        )


def _whole(path: str, length: float, split: Split, annotations: tuple[Annotation, ...]) -> Chunk:
    return Chunk(
        path=path, offset_s=0.0, length_s=length, split=split, group=path, annotations=annotations
    )


def _json_lines(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise TaskError(f"{path}: cannot be read as a list of BEANS: {error}") from error
