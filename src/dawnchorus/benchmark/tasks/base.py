"""What a task is: where its sounds come from, how they are split, and what is asked of an encoder.

A task knows no encoder and no probe. Its ``build`` turns a folder of raw data, laid out as its
publisher lays it out, into items; everything after that is the same for every task.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence
    from pathlib import Path

Protocol = Literal["paper", "strict"]
Split = Literal["train", "val", "test"]
Kind = Literal["classification", "detection", "individual", "repertoire"]


@dataclass(frozen=True, slots=True)
class Item:
    """A clip that is one row of a task.

    Attributes:
        id: unique in the task; under both protocols of the same file and start, but a quirk may
            end it earlier.
        path: audio file, relative to the task's data folder, with ``/``.
        start_s: where the clip begins in the file.
        stop_s: where it ends; None is the end of the file.
        labels: class names; none at all is meaningful in detection.
        group: what must not sit on two sides of a split and what intervals are drawn over
            (recording, individual, session, day).
    """

    id: str
    path: str
    start_s: float
    stop_s: float | None
    labels: tuple[str, ...]
    split: Split
    group: str


@dataclass(frozen=True, slots=True)
class TaskItems:
    """A task's rows under one protocol.

    Attributes:
        classes: in the order that every score matrix has.
        multi_label: whether an item may have any number of labels.
        counts: what was read, kept and dropped, and why, as text to number.
        quirks: names of the published code's quirks that these items have; under ``strict`` only
            what cannot be mended.
    """

    task: str
    protocol: Protocol
    classes: tuple[str, ...]
    multi_label: bool
    items: tuple[Item, ...]
    counts: dict[str, int] = field(default_factory=dict)
    quirks: tuple[str, ...] = ()


def task_items(
    task: str,
    protocol: Protocol,
    items: Sequence[Item],
    counts: Counter[str],
    *,
    classes: Sequence[str] | None = None,
    multi_label: bool = False,
    quirks: tuple[str, ...] = (),
) -> TaskItems:
    """What a task's ``build`` gives back; the number of items joins the counts.

    Classes that are not given are those that the items carry, in the order of their names.
    """
    if classes is None:
        classes = sorted({label for item in items for label in item.labels})
    return TaskItems(
        task=task,
        protocol=protocol,
        classes=tuple(classes),
        multi_label=multi_label,
        items=tuple(items),
        counts={**counts, "items kept": len(items)},
        quirks=quirks,
    )


@dataclass(frozen=True, slots=True)
class Measures:
    """What is asked.

    Attributes:
        probe: the probe's main metric; None where the task has no probe.
        retrieval: ``within`` the test items, ``cross`` from train queries to a test gallery.
        clustering: whether k-means with the true k is scored.
    """

    probe: Literal["accuracy", "macro_recall", "beans_map", "cmap"] | None
    retrieval: Literal["within", "cross"] | None
    clustering: bool


@dataclass(frozen=True, slots=True)
class Download:
    """A file that a user fetches by hand.

    Attributes:
        file: where it is put, in the task's data folder.
        url: where it is published.
        what: what is in it.
        makes: a file or folder that is there once it is unpacked; then it may be deleted.
    """

    file: str
    url: str | None
    what: str
    n_bytes: int | None = None
    sha256: str | None = None
    makes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A dataset with its protocol.

    Attributes:
        id: ``family/name``, such as ``beans/watkins``.
        crop_s: longest part of an item that is encoded under ``paper``, from its start; None: all.
        measures: what is asked under ``paper``; see `measures_under`.
        build: from the task's data folder and a protocol to its items.
        folder: its data under the root, where several tasks share them; None: the id.
        strict_measures: what is asked under ``strict``, where that differs.
        n_rows: rows of the published set, where they are known; another number is refused.
    """

    id: str
    version: str
    title: str
    kind: Kind
    source: str
    licence: str
    citation: str
    split_rule: str
    window_rule: str
    native_rate_hz: int | None
    crop_s: float | None
    measures: Measures
    downloads: tuple[Download, ...]
    build: Callable[[Path, Protocol], TaskItems]
    folder: str | None = None
    strict_measures: Measures | None = None
    n_rows: int | None = None

    @property
    def family(self) -> str:
        """What stands before the ``/`` of the id."""
        return self.id.partition("/")[0]

    def measures_under(self, protocol: Protocol) -> Measures:
        """What is asked of an encoder under a protocol."""
        return self.strict_measures or self.measures if protocol == "strict" else self.measures
