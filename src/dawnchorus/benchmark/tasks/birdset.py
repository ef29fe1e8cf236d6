"""BirdSet: trained on focal recordings of xeno-canto, tested on 5 s of soundscapes.

Under ``paper`` each recording gives its first 5 s, whatever is in them. Under ``strict`` it gives
up to five pieces around what BirdSet's event detection found there; recordists are on one side, no
"None" is a class, and birds without a training piece are no class.

Source: Rauch et al., BirdSet, 2024, arXiv 2403.10380; docs/reference/tasks.md.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.annotations.annotation import clip_id
from dawnchorus.benchmark.tasks.base import Download, Item, Measures, Task, task_items
from dawnchorus.benchmark.tasks.birdset_hub import read_rows
from dawnchorus.benchmark.tasks.checks import ROWS
from dawnchorus.benchmark.tasks.classes import classes_of
from dawnchorus.benchmark.tasks.quirks import quirks_of, switched_on
from dawnchorus.benchmark.tasks.splits import SEED, grouped, train_and_val

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dawnchorus.benchmark.tasks.base import Protocol, Split, TaskItems
    from dawnchorus.benchmark.tasks.birdset_hub import HubRow

CLIP_S: Final = 5.0
MOST_EVENTS: Final = 5  # pieces of a recording
APART_S: Final = CLIP_S / 2  # pieces of a recording start at least so far from each other
NOISE: Final = -1
NONE: Final = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class BirdsetQuirks:
    """What the published code does, as switches.

    Attributes:
        first_5_s: a recording gives its first 5 s; mended, pieces around detected events.
        recordings_split: val is drawn by recording; mended, by recordist.
        none_class: POW, PER, NES and HSN have a class "None", which clips without a bird carry.
        untrained_classes: codes that no training piece carries stay classes.
    """

    first_5_s: bool = True
    recordings_split: bool = True
    none_class: bool = True
    untrained_classes: bool = True


def build(
    folder: Path,
    protocol: Protocol,
    *,
    task: str,
    applying: Sequence[str],
    quirks: BirdsetQuirks | None = None,
) -> TaskItems:
    """Items of a subset: pieces of focal recordings, then the clips of the soundscapes.

    Args:
        folder: the subset's files from the hub.
        protocol: whose quirks are on.
        task: its id, such as ``birdset/HSN``.
        applying: names of the quirks that mean something for this subset.
        quirks: other than the protocol's own.

    Raises:
        TaskError: Files are missing, or a code is not in the subset's list.
    """
    chosen = quirks or quirks_of(protocol, BirdsetQuirks)
    on = switched_on(chosen, applying)
    codes = classes_of(task)
    subset = task.partition("/")[2]
    counts: Counter[str] = Counter()
    focal = read_rows(folder, subset, "train", codes)
    scapes = read_rows(folder, subset, "test_5s", codes)
    counts[ROWS] = len(focal) + len(scapes)
    empty = (NONE,) if "none_class" in on else ()
    items = [*_focal_items(focal, on, empty, counts), *(_scape(row, empty) for row in scapes)]
    classes = (*codes, *empty)
    if "untrained_classes" not in on:
        classes, items = _trained(classes, items, counts)
    return task_items(task, protocol, items, counts, classes=classes, multi_label=True, quirks=on)


def _focal_items(
    rows: Sequence[HubRow], on: Sequence[str], empty: tuple[str, ...], counts: Counter[str]
) -> list[Item]:
    named = [row for row in rows if row.codes or empty]
    counts["dropped: recordings of no bird"] = len(rows) - len(named)
    if "recordings_split" in on:
        splits = train_and_val([row.codes for row in named])
    else:
        splits = grouped(
            [row.codes for row in named], [_person(row) for row in named], (0.8, 0.2, 0)
        )
    items = []
    for row, split in zip(named, splits, strict=True):
        starts = (0.0,) if "first_5_s" in on else event_starts(row)
        counts["dropped: recordings without an event"] += not starts
        items += [_piece(row, start_s, split, empty) for start_s in starts]
    return items


def event_starts(row: HubRow) -> tuple[float, ...]:
    """Where pieces of a recording begin: around events of its largest cluster that is not noise.

    At most `MOST_EVENTS`, drawn with the recording's name as seed, in order of time. Events close
    to each other give one piece, and a piece reaches past neither end of the recording.
    """
    voices = Counter(cluster for cluster in row.clusters if cluster != NOISE)
    if not voices:
        return ()
    best = min(voices, key=lambda cluster: (-voices[cluster], cluster))
    events = [e for e, cluster in zip(row.events, row.clusters, strict=False) if cluster == best]
    last_s = float("inf") if row.length_s is None else max(0.0, row.length_s - CLIP_S)
    starts = [min(max(0.0, (a + b - CLIP_S) / 2), last_s) for a, b in events]
    name = PurePosixPath(row.path).name.encode()
    kept: list[float] = []
    for at in np.random.default_rng([SEED, zlib.crc32(name)]).permutation(len(starts)):
        if len(kept) < MOST_EVENTS and all(abs(starts[at] - one) >= APART_S for one in kept):
            kept.append(starts[at])
    return tuple(sorted(kept))


def _person(row: HubRow) -> str:
    return row.recordist or PurePosixPath(row.path).stem


def _piece(row: HubRow, start_s: float, split: Split, empty: tuple[str, ...]) -> Item:
    stop_s = start_s + CLIP_S
    id = clip_id(row.path, start_s, stop_s)
    return Item(id, row.path, start_s, stop_s, row.codes or empty, split, f"by {_person(row)}")


def _scape(row: HubRow, empty: tuple[str, ...]) -> Item:
    """A clip of a soundscape; ``HSN_001_20150708_061805_000_005.ogg`` ends with start and stop."""
    group = re.sub(r"_\d+_\d+$", "", PurePosixPath(row.path).stem)
    return Item(row.path, row.path, 0.0, None, row.codes or empty, "test", group)


def _trained(
    classes: tuple[str, ...], items: list[Item], counts: Counter[str]
) -> tuple[tuple[str, ...], list[Item]]:
    """Only classes that a training piece carries; other labels are taken off the items."""
    there = {label for item in items if item.split == "train" for label in item.labels}
    kept = tuple(name for name in classes if name in there)
    counts["dropped: classes without a training piece"] = len(classes) - len(kept)
    made = []
    for item in items:
        labels = tuple(label for label in item.labels if label in there)
        counts["labels taken off, of dropped classes"] += len(item.labels) - len(labels)
        if labels or item.split == "test":  # val has no empty pieces, as train
            made.append(replace(item, labels=labels))
    return kept, made


HUB: Final = "https://huggingface.co/datasets/DBD-research-group/BirdSet"
WITH_NONE: Final = ("POW", "PER", "NES", "HSN")
# subset: where, archives of focal recordings, archives of test clips, what is cited
SUBSETS: Final = {
    "POW": ("Powdermill, Pennsylvania", 9, 1, "Zenodo 4656848"),
    "PER": ("Amazon basin, Peru", 11, 1, "Zenodo 7079124"),
    "NES": ("Colombia and Costa Rica", 13, 1, "Zenodo 7525349"),
    "NBP": ("NIPS4Bplus, France", 32, 1, "Morfi et al., NIPS4Bplus, 2019"),
    "HSN": ("High Sierra Nevada", 7, 1, "Zenodo 7525805"),
    "SSW": ("Sapsucker Woods, New York; not in the published table", 29, 4, "Zenodo 7018484"),
    "SNE": ("Sierra Nevada", 21, 1, "Zenodo 7050014"),
    "UHH": ("Hawaii", 5, 1, "Zenodo 7078499"),
}


def _downloads(subset: str, n_train: int, n_test: int) -> tuple[Download, ...]:
    made = []
    for split, archive, n in (("train", "train", n_train), ("test_5s", "test5s", n_test)):
        table = f"{subset}_metadata_{split}.parquet"
        url = f"{HUB}/resolve/data/{subset}/{table}"
        made.append(Download(table, url, "the table", makes=split))
        what = f"{n} archives of sounds, unpacked into {split}/"
        shards = f"{subset}_{archive}_shard_*.tar.gz"
        made.append(Download(shards, f"{HUB}/tree/data/{subset}", what, makes=split))
    return tuple(made)


def _task(subset: str, where: str, n_train: int, n_test: int, cited: str) -> Task:
    id = f"birdset/{subset}"
    applying = ["first_5_s", "recordings_split", "untrained_classes"]
    applying += ["none_class"] if subset in WITH_NONE else []
    return Task(
        id=id,
        version="1",
        title=f"{len(classes_of(id))} birds: {where}",
        kind="detection",
        source=HUB,
        licence="focal recordings: Creative Commons, per recording; soundscapes: CC BY 4.0",
        citation=f"Rauch et al., BirdSet, 2024, arXiv 2403.10380; {cited}",
        split_rule="paper: recordings 8:2 train and val, seed 42; strict: by recordist; test_5s",
        window_rule="paper: the first 5 s of a recording; strict: up to 5 pieces around events",
        native_rate_hz=32000,
        crop_s=None,
        measures=Measures(probe="beans_map", retrieval="within", clustering=False),
        strict_measures=Measures(probe="cmap", retrieval="within", clustering=False),
        downloads=_downloads(subset, n_train, n_test),
        build=partial(build, task=id, applying=tuple(applying)),
    )


TASKS: Final = tuple(_task(subset, *facts) for subset, facts in SUBSETS.items())
