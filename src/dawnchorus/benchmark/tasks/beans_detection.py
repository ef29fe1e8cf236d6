"""The detection sets of BEANS: dcase, enabirds, hiceas, rfcx and the gibbons of Hainan.

A reader turns a set into chunks with their annotations; every chunk is cut into windows, and a
window carries each label that it hears (`windows.is_heard`). Windows may be empty. Nothing is
resampled or written: an item is a stretch of the published recording.

Source: BEANS repository, scripts/*.py, beans/datasets.py; docs/reference/tasks.md.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.annotations.annotation import clip_id
from dawnchorus.benchmark.tasks import beans_chunks
from dawnchorus.benchmark.tasks.base import Item, task_items
from dawnchorus.benchmark.tasks.beans import check_labels
from dawnchorus.benchmark.tasks.beans_chunks import DetectionQuirks
from dawnchorus.benchmark.tasks.catalogue import tasks_of
from dawnchorus.benchmark.tasks.classes import classes_of
from dawnchorus.benchmark.tasks.quirks import quirks_of, switched_on
from dawnchorus.benchmark.tasks.windows import is_heard, windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from dawnchorus.benchmark.tasks.base import Protocol, TaskItems
    from dawnchorus.benchmark.tasks.beans_chunks import Chunk

NONE: Final = "None"
OTHER: Final = "OTHR"
HEARD_S: Final = 5.0  # of a window, under `first_5_s_of_window`


def build(
    folder: Path,
    protocol: Protocol,
    *,
    task: str,
    classes: Sequence[str],
    size: tuple[float, float],
    read: Callable[[Path, DetectionQuirks, Counter[str]], list[Chunk]],
    applying: Sequence[str] = (),
    quirks: DetectionQuirks | None = None,
) -> TaskItems:
    """Windows of a set, in the order of its files.

    Args:
        folder: the set, as its publisher lays it out.
        protocol: whose quirks are on.
        task: its id.
        classes: of BEANS, without "None".
        size: how long a window is and how far the next one starts, seconds.
        read: the set's reader; it adds what it drops to the counts.
        applying: names of the quirks that mean something for this set.
        quirks: other than the protocol's own.

    Raises:
        TaskError: A table or a column is missing, or a label is none of the classes.
    """
    chosen = quirks or quirks_of(protocol, DetectionQuirks)
    on = switched_on(chosen, applying)
    counts: Counter[str] = Counter()
    chunks = read(folder, chosen, counts)
    check_labels(task, (one.label for chunk in chunks for one in chunk.annotations), classes)
    names = _classes(classes, applying, on)
    items = [item for chunk in chunks for item in _windows(chunk, names, size, on, counts)]
    return task_items(task, protocol, items, counts, classes=names, multi_label=True, quirks=on)


def _classes(classes: Sequence[str], applying: Sequence[str], on: Sequence[str]) -> tuple[str, ...]:
    dropped = {OTHER} if "unknown_is_a_class" in applying and "unknown_is_a_class" not in on else {}
    if "query_is_a_class" in applying and "query_is_a_class" not in on:
        dropped = {beans_chunks.QUERY}
    none = (NONE,) if "none_class" in on else ()
    return (*(name for name in classes if name not in dropped), *none)


def _windows(
    chunk: Chunk,
    classes: tuple[str, ...],
    size: tuple[float, float],
    on: Sequence[str],
    counts: Counter[str],
) -> Iterator[Item]:
    for start_s, stop_s in windows(chunk.length_s, *size):
        if any(is_heard(start_s, stop_s, one) for one in chunk.uncertain):
            counts["dropped: windows with an uncertain annotation"] += 1
            continue
        heard = {one.label for one in chunk.annotations if is_heard(start_s, stop_s, one)}
        labels = tuple(name for name in classes if name in heard)
        if not labels and "none_class" in on and "none_on_empty_windows" in on:
            labels = (NONE,)
        end_s = min(stop_s, chunk.length_s)
        if "first_5_s_of_window" in on:
            end_s = min(end_s, start_s + HEARD_S)
        begin_s = chunk.offset_s + start_s
        id = clip_id(chunk.path, begin_s, chunk.offset_s + stop_s)
        yield Item(
            id, chunk.path, begin_s, chunk.offset_s + end_s, labels, chunk.split, chunk.group
        )


def _builder(
    id: str,
    read: Callable[[Path, DetectionQuirks, Counter[str]], list[Chunk]],
    size: tuple[float, float],
    applying: Sequence[str],
) -> Callable[[Path, Protocol], TaskItems]:
    return partial(build, task=id, classes=classes_of(id), size=size, read=read, applying=applying)


# Each set's reader, its windows (length and hop, seconds), and the quirks that mean something for
# it; all else is in catalogue.yaml.
READERS: Final[dict[str, tuple[Any, ...]]] = {
    "beans/dcase": (
        beans_chunks.read_dcase,
        (2.0, 1.0),
        ("adjacent_chunks", "uncertain_is_absent", "query_is_a_class"),
    ),
    "beans/enabirds": (
        beans_chunks.read_enabirds,
        (2.0, 1.0),
        ("adjacent_chunks", "none_class", "none_on_empty_windows", "unknown_is_a_class"),
    ),
    "beans/hiceas": (beans_chunks.read_hiceas, (10.0, 5.0), ("first_5_s_of_window",)),
    "beans/rfcx": (beans_chunks.read_rfcx, (10.0, 5.0), ("first_5_s_of_window",)),
    "beans/hainan_gibbons": (beans_chunks.read_gibbons, (4.0, 2.0), ("unknown_is_a_class",)),
}
TASKS: Final = tasks_of({id: _builder(id, *reader) for id, reader in READERS.items()})
