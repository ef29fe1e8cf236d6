"""The classification sets of BEANS: Watkins, bats, CBI, dogs, HumBugDB, ESC-50, speech commands.

Under ``paper`` the split is that of the BEANS scripts. Under ``strict`` no tape, day, session or
recordist is on two sides, and classes of fewer than three such groups are left out and counted.

Source: BEANS repository, datasets.yml; PROTOCOLS 4.1, 4.2, 9.3.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

from dawnchorus.benchmark.tasks import beans_readers
from dawnchorus.benchmark.tasks.base import Download, Item, Measures, Task, task_items
from dawnchorus.benchmark.tasks.beans import BEANS, check_labels
from dawnchorus.benchmark.tasks.beans_readers import Quirks
from dawnchorus.benchmark.tasks.classes import classes_of
from dawnchorus.benchmark.tasks.quirks import quirks_of, switched_on
from dawnchorus.benchmark.tasks.splits import grouped, stratified, thin_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dawnchorus.benchmark.tasks.base import Protocol, Split, TaskItems
    from dawnchorus.benchmark.tasks.beans_readers import Row

CLIPS: Final = "paper: 6:2:2 by clip, stratified, seed 42; strict: 6:2:2 by "
SPLIT_QUIRK: Final = ("random_clip_split",)
ASKED: Final = Measures(probe="accuracy", retrieval="within", clustering=True)


def build(
    folder: Path,
    protocol: Protocol,
    *,
    task: str,
    classes: Sequence[str],
    read: Callable[[Path, Quirks, Counter[str]], list[Row]],
    applying: Sequence[str] = SPLIT_QUIRK,
    quirks: Quirks | None = None,
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
    chosen = quirks or quirks_of(protocol, Quirks)
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
    rows: list[Row], quirks: Quirks, counts: Counter[str]
) -> tuple[list[Row], Sequence[Split]]:
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


def _item(row: Row, split: Split) -> Item:
    return Item(row.path, row.path, 0.0, row.stop_s, (row.label,), split, row.group)


def _task(  # noqa: PLR0913  a line of a table
    name: str,
    title: str,
    read: Callable[[Path, Quirks, Counter[str]], list[Row]],
    *,
    source: str,
    licence: str,
    citation: str,
    split_rule: str,
    rate_hz: int,
    crop_s: float,
    downloads: tuple[Download, ...],
    applying: tuple[str, ...] = SPLIT_QUIRK,
    n_rows: int | None = None,
) -> Task:
    id = f"beans/{name}"
    return Task(
        id=id,
        version="1",
        title=title,
        kind="classification",
        source=source,
        licence=licence,
        citation=f"{citation}; {BEANS}",
        split_rule=split_rule,
        window_rule=f"whole clips; paper: the first {crop_s:g} s of each",
        native_rate_hz=rate_hz,
        crop_s=crop_s,
        measures=ASKED,
        downloads=downloads,
        build=partial(build, task=id, classes=classes_of(id), read=read, applying=applying),
        n_rows=n_rows,
    )


TASKS: Final = (
    _task(
        "watkins",
        "31 marine mammals, best cuts of the Watkins archive",
        beans_readers.read_watkins,
        source="https://archive.org/details/watkins_202104",
        licence="free for personal and academic use (Watkins/WHOI terms)",
        citation="Sayigh et al., The Watkins Marine Mammal Sound Database, 2016",
        split_rule=CLIPS + "tape; Weddell_Seal (2 clips) is dropped",
        rate_hz=44100,
        crop_s=3.0,
        downloads=(
            Download(
                "watkins.zip",
                "https://archive.org/download/watkins_202104/watkins.zip",
                "sounds and annotations.csv",
                makes="annotations.csv",
            ),
        ),
        n_rows=1697,
    ),
    _task(
        "bats",
        "which of 10 Egyptian fruit bats calls",
        beans_readers.read_bats,
        source="https://archive.org/details/egyptian_fruit_bats_10k",
        licence="CC BY 4.0",
        citation="Prat et al., An annotated dataset of Egyptian fruit bat vocalizations, 2017",
        split_rule=CLIPS + "day of recording",
        rate_hz=250000,
        crop_s=5.0,
        downloads=(
            Download(
                "egyptian_fruit_bats.zip",
                "https://archive.org/download/egyptian_fruit_bats_10k/egyptian_fruit_bats.zip",
                "audio/ and annotations.csv",
                makes="annotations.csv",
            ),
        ),
    ),
    _task(
        "cbi",
        "264 North American birds, Cornell Birdcall Identification",
        beans_readers.read_cbi,
        source="https://www.kaggle.com/c/birdsong-recognition",
        licence="CC BY-NC-SA 4.0 (competition rules; recordings of xeno-canto)",
        citation="Howard et al., Cornell Birdcall Identification, Kaggle, 2020",
        split_rule="both: recordists shuffled with seed 42, 6:2:2 of them",
        rate_hz=44100,
        crop_s=10.0,
        downloads=(
            Download(
                "birdsong-recognition.zip",
                "https://www.kaggle.com/c/birdsong-recognition/data",
                "train.csv and train_audio/, behind an account",
                makes="train.csv",
            ),
        ),
        applying=(),
    ),
    _task(
        "dogs",
        "which of 10 dogs barks",
        beans_readers.read_dogs,
        source="https://archive.org/details/dog_barks",
        licence="not stated by the publisher",
        citation="Yin and McCowan, Barking in domestic dogs, Animal Behaviour 68, 2004",
        split_rule=CLIPS + "session and context",
        rate_hz=44100,
        crop_s=10.0,
        downloads=(
            Download(
                "dog_barks.zip",
                "https://archive.org/download/dog_barks/dog_barks.zip",
                "audio/ and annotations.csv",
                n_bytes=901568218,
                makes="annotations.csv",
            ),
        ),
        n_rows=693,
    ),
    _task(
        "humbugdb",
        "14 mosquitoes and other sounds",
        beans_readers.read_humbugdb,
        source="https://zenodo.org/records/4904800",
        licence="CC BY 4.0",
        citation="Kiskin et al., HumBugDB: a large-scale acoustic mosquito dataset, 2021",
        split_rule=CLIPS + "recording; species of at most 100 clips are 'others'",
        rate_hz=44100,
        crop_s=3.0,
        downloads=(
            Download(
                "neurips_2021_zenodo_0_0_1.csv",
                "https://zenodo.org/records/4904800/files/neurips_2021_zenodo_0_0_1.csv",
                "the table",
            ),
            *(
                Download(
                    f"humbugdb_neurips_2021_{part}.zip",
                    f"https://zenodo.org/records/4904800/files/humbugdb_neurips_2021_{part}.zip",
                    "sounds, unpacked into audio/",
                    makes="audio",
                )
                for part in (1, 2, 3, 4)
            ),
        ),
        applying=("random_clip_split", "missing_species_is_no_mosquito"),
    ),
    _task(
        "esc50",
        "50 environmental sounds",
        beans_readers.read_esc50,
        source="https://github.com/karolpiczak/ESC-50",
        licence="CC BY-NC 3.0",
        citation="Piczak, ESC: dataset for environmental sound classification, 2015",
        split_rule="both: folds 1 to 3 train, 4 val, 5 test; a recording is in one fold",
        rate_hz=44100,
        crop_s=5.0,
        downloads=(
            Download(
                "ESC-50-master.zip",
                "https://github.com/karolpiczak/ESC-50/archive/master.zip",
                "audio/ and meta/esc50.csv",
                makes="meta/esc50.csv",
            ),
        ),
        applying=(),
        n_rows=2000,
    ),
    _task(
        "speech_commands",
        "35 spoken words (auxiliary, not in the published table)",
        beans_readers.read_commands,
        source="https://arxiv.org/abs/1804.03209",
        licence="CC BY 4.0",
        citation="Warden, Speech Commands, 2018, arXiv 1804.03209",
        split_rule="both: the published lists, which part speakers",
        rate_hz=16000,
        crop_s=1.0,
        downloads=(
            Download(
                "speech_commands_v0.02.tar.gz",
                "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
                "a folder a word and the lists",
                makes="testing_list.txt",
            ),
        ),
        applying=(),
    ),
)
