"""What the items of every task must hold, whatever the set."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dawnchorus.clips.manifest import SPLITS
from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dawnchorus.benchmark.tasks.base import Item, Task, TaskItems

N_NAMED = 5  # as many examples stand in a message
ROWS = "rows read"  # what a build calls the number of rows it found


def check_items(task: Task, built: TaskItems) -> None:
    """Refuse items that cannot be scored honestly.

    Raises:
        TaskError: There are none, rows of the published set are missing, an id is there twice, a
            label is no class, a class has no name or two places, a split is missing, or under
            ``strict`` a group lies in two splits or a class has no training positive.
    """
    say = f"{task.id} ({built.protocol})"
    if not built.items:
        raise TaskError(f"{say}: no items were found; counts: {built.counts}")
    n_rows = built.counts.get(ROWS, 0)
    if task.n_rows is not None and n_rows != task.n_rows:
        raise TaskError(
            f"{say}: {n_rows} rows were read, {task.n_rows} were published; "
            "is it cut off, or another version?"
        )
    _check_names(say, built)
    if task.measures_under(built.protocol).probe:
        _check_splits(say, built)
    if built.protocol == "strict":
        _check_groups(say, built.items)


def positives(built: TaskItems) -> dict[str, dict[str, int]]:
    """How many items of each split carry each class, in the order of the classes."""
    found: Counter[tuple[str, str]] = Counter()
    for item in built.items:
        found.update((label, item.split) for label in item.labels)
    return {name: {split: found[name, split] for split in SPLITS} for name in built.classes}


def check_files(task: Task, folder: Path, items: Iterable[Item]) -> None:
    """Refuse items whose files are not there or are empty.

    Raises:
        TaskError: It names how many, and some of them.
    """
    paths = sorted({item.path for item in items})
    lost = [path for path in paths if not _has_sound(folder / path)]
    if lost:
        raise TaskError(
            f"{task.id}: {len(lost)} of {len(paths)} sound files are missing or empty in {folder}, "
            f"such as {named(lost)}; fetch or unpack the set again"
        )


def named(texts: Iterable[object]) -> str:
    """Some of them, for a message."""
    every = [str(text) for text in texts]
    more = f" and {len(every) - N_NAMED} more" if len(every) > N_NAMED else ""
    return ", ".join(every[:N_NAMED]) + more


def _has_sound(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _check_names(say: str, built: TaskItems) -> None:
    twice = [id for id, n in Counter(item.id for item in built.items).items() if n > 1]
    if twice:
        raise TaskError(f"{say}: {len(twice)} ids are there more than once: {named(twice)}")
    classes = Counter(built.classes)
    if len(classes) < len(built.classes) or "" in classes:
        raise TaskError(f"{say}: a class is empty or there twice in {built.classes}")
    unknown = {label for item in built.items for label in item.labels} - set(classes)
    if unknown:
        raise TaskError(f"{say}: labels that are no class: {named(sorted(unknown))}")
    if not built.multi_label and any(len(item.labels) != 1 for item in built.items):
        raise TaskError(f"{say}: each item needs one label, some have none or several")


def _check_splits(say: str, built: TaskItems) -> None:
    there = {item.split for item in built.items}
    missing = [split for split in SPLITS if split not in there]
    if missing:
        raise TaskError(f"{say}: no item is in {named(missing)}; a probe needs all three splits")
    untrained = [name for name, n in positives(built).items() if not n["train"]]
    if untrained and built.protocol == "strict":
        raise TaskError(
            f"{say}: {len(untrained)} of {len(built.classes)} classes have no training positive: "
            f"{named(untrained)}; were annotations lost? A class that cannot be learned is no class"
        )


def _check_groups(say: str, items: Iterable[Item]) -> None:
    sides: dict[str, set[str]] = {}
    for item in items:
        sides.setdefault(item.group, set()).add(item.split)
    torn = [group for group, splits in sides.items() if len(splits) > 1]
    if torn:
        raise TaskError(f"{say}: {len(torn)} groups lie in more than one split: {named(torn)}")
