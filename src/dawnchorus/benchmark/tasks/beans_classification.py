"""The classification sets of BEANS: Watkins, bats, CBI, dogs, HumBugDB, ESC-50, speech commands.

Under ``paper`` the split is that of the BEANS scripts. Under ``strict`` no tape, day, session or
recordist is on two sides, and classes of fewer than three such groups are left out and counted.

Source: BEANS repository, datasets.yml; what is mended, and why: docs/reference/tasks.md.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.benchmark.tasks import beans_readers
from dawnchorus.benchmark.tasks.base import Item, task_items
from dawnchorus.benchmark.tasks.beans import check_labels
from dawnchorus.benchmark.tasks.beans_readers import ClassificationQuirks
from dawnchorus.benchmark.tasks.catalogue import tasks_of
from dawnchorus.benchmark.tasks.classes import classes_of
from dawnchorus.benchmark.tasks.quirks import quirks_of, switched_on
from dawnchorus.benchmark.tasks.splits import grouped, stratified, thin_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dawnchorus.benchmark.tasks.base import Protocol, Split, TaskItems
    from dawnchorus.benchmark.tasks.beans_readers import LabelledFile

SPLIT_QUIRK: Final = ("random_clip_split",)


def build(
    folder: Path,
    protocol: Protocol,
    *,
    task: str,
    classes: Sequence[str],
    read: Callable[[Path, ClassificationQuirks, Counter[str]], list[LabelledFile]],
    applying: Sequence[str] = SPLIT_QUIRK,
    quirks: ClassificationQuirks | None = None,
) -> TaskItems:
    """Items of a set.

    Args:
        folder: the set, as its publisher lays it out.
        protocol: whose quirks are on.
        task: its id.
        classes: of BEANS, in its order.
        read: the set's reader; it adds what it drops to the counts.
        applying: names of the quirks that mean something for this set.
        quirks: other than the protocol's own.

    Raises:
        TaskError: A table or a column is missing, or a label is none of the classes.
    """
    chosen = quirks or quirks_of(protocol, ClassificationQuirks)
    counts: Counter[str] = Counter()
    rows = read(folder, chosen, counts)
    check_labels(task, (row.label for row in rows), classes)
    rows, splits = _split(rows, chosen, counts)
    items = [_item(row, split) for row, split in zip(rows, splits, strict=True)]
    if protocol == "strict":
        held = {row.label for row in rows}
        classes = [name for name in classes if name in held]
    on = switched_on(chosen, applying)
    return task_items(task, protocol, items, counts, classes=classes, quirks=on)


def _split(
    rows: list[LabelledFile], quirks: ClassificationQuirks, counts: Counter[str]
) -> tuple[list[LabelledFile], Sequence[Split]]:
    given = [row.split for row in rows if row.split is not None]
    if given:
        return rows, given
    if quirks.random_clip_split:
        return rows, stratified([row.label for row in rows])
    thin = thin_classes([row.label for row in rows], [row.group for row in rows])
    for label, n_groups in thin.items():
        n_clips = sum(row.label == label for row in rows)
        counts[f"dropped: clips of {label}, which has {n_groups} groups, need 3"] = n_clips
    kept = [row for row in rows if row.label not in thin]
    return kept, grouped([[row.label] for row in kept], [row.group for row in kept])


def _item(row: LabelledFile, split: Split) -> Item:
    return Item(row.path, row.path, 0.0, row.stop_s, (row.label,), split, row.group)


def _builder(
    id: str,
    read: Callable[[Path, ClassificationQuirks, Counter[str]], list[LabelledFile]],
    applying: Sequence[str] = SPLIT_QUIRK,
) -> Callable[[Path, Protocol], TaskItems]:
    return partial(build, task=id, classes=classes_of(id), read=read, applying=applying)


# Each set's reader, and the quirks that mean something for it; all else is in catalogue.yaml.
READERS: Final[dict[str, tuple[Any, ...]]] = {
    "beans/watkins": (beans_readers.read_watkins,),
    "beans/bats": (beans_readers.read_bats,),
    "beans/cbi": (
        beans_readers.read_cbi,
        (),
    ),
    "beans/dogs": (beans_readers.read_dogs,),
    "beans/humbugdb": (
        beans_readers.read_humbugdb,
        ("random_clip_split", "missing_species_is_no_mosquito"),
    ),
    "beans/esc50": (
        beans_readers.read_esc50,
        (),
    ),
    "beans/speech_commands": (
        beans_readers.read_commands,
        (),
    ),
}
TASKS: Final = tasks_of({id: _builder(id, *reader) for id, reader in READERS.items()})
