"""Calls of the repertoire sets, read from their publishers' names, tables and XML.

Source: the releases that `repertoire` names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree

from dawnchorus.audio.decode.read import read_info
from dawnchorus.benchmark.tasks.checks import ROWS
from dawnchorus.benchmark.tasks.raw import (
    find_sounds,
    located,
    read_counted,
    read_table,
    seconds,
    sounds_by_name,
)
from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

STANDARD: Final = re.compile(r"S\d{2}[a-z]*", re.IGNORECASE)  # S01 of the southern residents
SOUTHERN: Final = "SRKW"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call before it is split; ``key`` is what the published split is stratified by."""

    path: str
    label: str
    group: str
    start_s: float = 0.0
    stop_s: float | None = None
    key: str = ""


def zebra_finch(folder: Path, counts: Counter[str]) -> list[Call]:
    """``BlaLbl8026_110531-DC-12.wav``: the bird, the date, two characters of the call type."""
    calls = []
    for age in ("AdultVocalizations", "ChickVocalizations"):
        for sound in find_sounds(folder / age):
            bird = sound.name.split("_")[0]
            code = sound.name.partition("-")[2][:2]
            path = sound.relative_to(folder).as_posix()
            key = f"{bird} {code} {age}"
            calls.append(Call(path=path, label=code, group=bird.lower(), key=key))
    counts[ROWS] = len(calls)
    return calls


def giant_otters(folder: Path, counts: Counter[str]) -> list[Call]:
    """A table with ``path`` and ``label`` where there is one, else sounds named by their type."""
    tables = sorted(folder.rglob("*annotations*.csv"))
    if tables:
        rows = read_table(tables[0], ("path", "label"))
        paths = located([row["path"] for row in rows], sounds_by_name(folder), tables[0])
        labels = [row["label"] for row in rows]
    else:
        paths = [sound.relative_to(folder).as_posix() for sound in find_sounds(folder)]
        labels = [re.sub(r"[\s_]*\d+$", "", PurePosixPath(path).stem) for path in paths]
    counts[ROWS] = len(paths)
    return [Call(path=p, label=label, group=p) for p, label in zip(paths, labels, strict=True)]


def bengalese_finch(folder: Path, bird: int, counts: Counter[str]) -> list[Call]:
    """``Bird2/Annotation.xml`` with ``Bird2/Wave/0.wav``.

    A note's position is counted from the start of its sequence, in samples of the file.

    Raises:
        TaskError: The annotation is missing or damaged.
    """
    source = folder / f"Bird{bird}" / "Annotation.xml"
    try:
        root = ElementTree.fromstring(source.read_bytes())  # noqa: S314  a file the user fetched
    except (OSError, ElementTree.ParseError) as error:
        raise TaskError(f"{source}: cannot be read as an annotation: {error}") from error
    calls: list[Call] = []
    rates: dict[str, int] = {}
    for sequence in root.iter("Sequence"):
        path = f"Bird{bird}/Wave/{_text(sequence, 'WaveFileName', source)}"
        rate = rates.get(path) or read_info(folder / path).sample_rate
        rates[path] = rate
        first = _number(sequence, "Position", source)
        for note in sequence.iter("Note"):
            start = first + _number(note, "Position", source)
            stop = start + _number(note, "Length", source)
            label = _text(note, "Label", source)
            calls.append(
                Call(path=path, label=label, group=path, start_s=start / rate, stop_s=stop / rate)
            )
    counts[ROWS] = len(calls)
    return calls


def killer_whales(folder: Path, counts: Counter[str]) -> list[Call]:
    """Tables below ``annotations`` with one line a call, sounds anywhere below ``audio``."""
    columns = ("filename", "start", "end", "kw_ecotype", "call_type")
    sounds = {name: f"audio/{path}" for name, path in sounds_by_name(folder / "audio").items()}
    calls: list[Call] = []
    for table in sorted((folder / "annotations").rglob("*.csv")):
        rows = read_counted(table, columns, counts)
        own = [row for row in rows if row["kw_ecotype"].strip() == SOUTHERN]
        sure = [row for row in own if STANDARD.fullmatch(row["call_type"].strip())]
        counts["dropped: calls of other whales"] += len(rows) - len(own)
        counts["dropped: calls of no single certain type"] += len(own) - len(sure)
        paths = located([row["filename"] for row in sure], sounds, table)
        for row, path in zip(sure, paths, strict=True):
            start_s, stop_s = seconds(row, "start", table), seconds(row, "end", table)
            label = row["call_type"].strip()
            calls.append(Call(path=path, label=label, group=path, start_s=start_s, stop_s=stop_s))
    return calls


def _text(node: ElementTree.Element, name: str, source: Path) -> str:
    found = node.findtext(name)
    if not found:
        raise TaskError(f"{source}: a {node.tag} has no {name}; fetch the annotation again")
    return found.strip()


def _number(node: ElementTree.Element, name: str, source: Path) -> int:
    text = _text(node, name, source)
    if not text.isdecimal():
        raise TaskError(f"{source}: {name} of a {node.tag} is {text!r}, need a number of samples")
    return int(text)
