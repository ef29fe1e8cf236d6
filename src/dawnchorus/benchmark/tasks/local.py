"""Tasks of the local corpus of public recordings: 16 kHz, splits fixed by its makers.

The corpus lists its items, labels, groups and splits in ``manifest.parquet``; both protocols ask
the same items, since nothing about them is to be mended.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

from dawnchorus.benchmark.tasks.base import Download, Item, Measures, Task, task_items
from dawnchorus.benchmark.tasks.checks import ROWS, named
from dawnchorus.clips.manifest import read_manifest
from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from pathlib import Path

    from dawnchorus.benchmark.tasks.base import Kind, Protocol, TaskItems

MANIFEST: Final = "manifest.parquet"
COLUMNS: Final = ("id", "path", "start_s", "stop_s", "labels", "split", "group", "tasks")
SOURCE: Final = "public recordings that were put together for tests; see the corpus' README"
CITATION: Final = "the column `attribution` of the corpus' manifest, file by file"
SINGLE: Final = Measures(probe="macro_recall", retrieval="within", clustering=True)
EQUAL: Final = Measures(probe="accuracy", retrieval="within", clustering=True)
SEVERAL: Final = Measures(probe="cmap", retrieval="within", clustering=False)


def build(folder: Path, protocol: Protocol, *, task: str, multi_label: bool) -> TaskItems:
    """Items of one task, in the manifest's order; classes in the order of their names.

    Raises:
        TaskError: There is no corpus, it lacks a column, or it does not know the task.
    """
    table = read_manifest(folder / MANIFEST, COLUMNS).table
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise TaskError(f"{folder / MANIFEST}: no column {named(missing)}; is this the corpus?")
    rows = table.select(COLUMNS).to_pylist()
    items = [_item(row) for row in rows if task in (row["tasks"] or ())]
    if not items:
        known = sorted({name for row in rows for name in row["tasks"] or ()})
        raise TaskError(f"{folder / MANIFEST}: no rows of {task}; its tasks are {named(known)}")
    counts = Counter({ROWS: len(rows)})
    return task_items(task, protocol, items, counts, multi_label=multi_label)


def _item(row: dict[str, object]) -> Item:
    values = {name: row[name] for name in COLUMNS[:-1]}
    return Item(**values | {"labels": tuple(row["labels"])})  # type: ignore[arg-type]


def _task(name: str, title: str, kind: Kind, measures: Measures, cut: tuple[str, str, str]) -> Task:
    """``cut``: the licence, how it was split, and what an item is."""
    licence, split_rule, window_rule = cut
    return Task(
        id=f"local/{name}",
        version="1",
        title=title,
        kind=kind,
        source=SOURCE,
        licence=licence,
        citation=CITATION,
        split_rule=f"fixed by the corpus: {split_rule}",
        window_rule=window_rule,
        native_rate_hz=16000,
        crop_s=None,
        measures=measures,
        downloads=(Download(MANIFEST, None, "the corpus: this table and `audio/` beside it"),),
        build=partial(build, task=f"local/{name}", multi_label=measures is SEVERAL),
    )


_BIRDS = "CC BY-NC-SA / CC BY-SA, file by file"
_SHOUTS = "CC BY-SA 4.0"
_FINCH = "CC BY 4.0"
TASKS: Final = (
    _task(
        "bird_species",
        "10 western North American bird species",
        "classification",
        SINGLE,
        (_BIRDS, "by recording", "one clip of 6 s a recording"),
    ),
    _task(
        "bird_groups",
        "15 bird families or orders",
        "classification",
        SINGLE,
        (_BIRDS + ", some public domain", "by recording", "5 s, up to 3 a recording"),
    ),
    _task(
        "orthoptera",
        "9 grasshoppers and crickets",
        "classification",
        SINGLE,
        ("CC BY 4.0", "by recording", "5 s, up to 3 a recording"),
    ),
    _task(
        "esc50",
        "50 environmental sounds",
        "classification",
        EQUAL,
        ("CC BY-NC 3.0", "test is fold 4 of ESC-50", "whole clips of 5 s"),
    ),
    _task(
        "digits",
        "spoken digits 0 to 6",
        "repertoire",
        SINGLE,
        (_SHOUTS, "by speaker", "whole words"),
    ),
    _task(
        "digit_speakers",
        "which of 6 speakers says 7, 8 or 9",
        "individual",
        SINGLE,
        (_SHOUTS, "by file; a speaker is on all sides", "whole words"),
    ),
    _task(
        "command_speakers",
        "which of 11 speakers says a command",
        "individual",
        SINGLE,
        ("CC BY 4.0", "by command word", "whole clips of 1 s"),
    ),
    _task(
        "finch_individuals",
        "which of two Bengalese finches sings",
        "individual",
        SINGLE,
        (_FINCH, "by day", "2 s of song"),
    ),
    _task(
        "finch_syllables_a",
        "9 syllable types of a Bengalese finch",
        "repertoire",
        SINGLE,
        (_FINCH, "by song", "single syllables"),
    ),
    _task(
        "finch_syllables_b",
        "11 syllable types of a Bengalese finch",
        "repertoire",
        SINGLE,
        (_FINCH, "by day", "single syllables"),
    ),
    _task(
        "finch_detection",
        "which of 9 syllable types a second of song holds",
        "detection",
        SEVERAL,
        (_FINCH, "by song", "1 s, may hold none"),
    ),
    _task(
        "scene_detection",
        "which of 16 species call in a synthetic scene",
        "detection",
        SEVERAL,
        ("CC BY-NC-SA 4.0", "by scene and by the files mixed", "2.5 s, may hold none"),
    ),
)
