"""The items of one task as a run needs them: by split, with labels as a matrix, and their hash."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dawnchorus.embedding.cache import hash_of_value
from dawnchorus.errors import TaskError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.benchmark.tasks.base import Item, Task, TaskItems


@dataclass(frozen=True, slots=True)
class LabelledItems:
    """What is known of items beside their features.

    Attributes:
        y: ``(items, classes)`` of 0 and 1.
        groups: ``(items,)`` what intervals are drawn over: recordings, individuals, sessions.
        ids: ``(items,)``.
    """

    y: NDArray[np.int8]
    groups: NDArray[np.str_]
    ids: NDArray[np.str_]

    def take(self, rows: NDArray[np.intp]) -> LabelledItems:
        """Some of the items."""
        return LabelledItems(self.y[rows], self.groups[rows], self.ids[rows])


def label_matrix(labels: Sequence[Sequence[str]], classes: Sequence[str]) -> NDArray[np.int8]:
    """``(items, classes)`` of 0 and 1 from the labels of each item."""
    column = {name: k for k, name in enumerate(classes)}
    y = np.zeros((len(labels), len(column)), np.int8)
    for row, names in enumerate(labels):
        y[row, [column[name] for name in names]] = 1
    return y


@dataclass(frozen=True)
class TaskData:
    """A task with its items and the folder of their sound."""

    task: Task
    items: TaskItems
    folder: Path

    @cached_property
    def by_split(self) -> dict[str, list[Item]]:
        """Items of each split that has any, in the task's order."""
        splits = {
            split: [item for item in self.items.items if item.split == split]
            for split in ("train", "val", "test")
        }
        return {split: items for split, items in splits.items() if items}

    def of_split(self, split: str) -> list[Item]:
        """Items of a split.

        Raises:
            UsageError: It has none.
        """
        if split not in self.by_split:
            raise UsageError(f"{self.task.id}: no items in {split}; a probe needs them")
        return self.by_split[split]

    def check_scored(self, split: str) -> None:
        """Refuse a split without items.

        Raises:
            TaskError: There is nothing to score.
        """
        if split not in self.by_split:
            sizes = {name: len(items) for name, items in self.by_split.items()}
            raise TaskError(
                f"{self.task.id}: no items in {split}, so nothing to score; splits: {sizes}"
            )

    def labelled(self, split: str) -> LabelledItems:
        """Labels, groups and ids of a split."""
        items = self.of_split(split)
        y = label_matrix([item.labels for item in items], self.items.classes)
        return LabelledItems(
            y, np.array([item.group for item in items]), np.array([item.id for item in items])
        )

    @cached_property
    def sha256(self) -> str:
        """Of ids, spans, labels, groups, splits and classes; the sound is the features' matter."""
        rows: list[Any] = [
            (i.id, i.path, i.start_s, i.stop_s, i.labels, i.split, i.group)
            for i in self.items.items
        ]
        return hash_of_value([self.items.classes, self.items.multi_label, rows])
