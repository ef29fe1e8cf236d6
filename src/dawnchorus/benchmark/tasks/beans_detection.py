"""The detection sets of BEANS: dcase, enabirds, hiceas, rfcx and the gibbons of Hainan.

A reader turns a set into chunks with their annotations; every chunk is cut into windows, and a
window carries each label that it hears (`windows.is_heard`). Windows may be empty. Nothing is
resampled or written: an item is a stretch of the published recording.

Source: BEANS repository, scripts/*.py, beans/datasets.py; PROTOCOLS 4.1, 4.2, 9.4, 9.7, 9.25.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

from dawnchorus.annotations.annotation import clip_id
from dawnchorus.benchmark.tasks import beans_chunks
from dawnchorus.benchmark.tasks.base import Download, Item, Measures, Task, task_items
from dawnchorus.benchmark.tasks.beans import BEANS, check_labels
from dawnchorus.benchmark.tasks.beans_chunks import Quirks
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
PAPER: Final = Measures(probe="beans_map", retrieval="within", clustering=False)
STRICT: Final = Measures(probe="cmap", retrieval="within", clustering=False)


def build(
    folder: Path,
    protocol: Protocol,
    *,
    task: str,
    classes: Sequence[str],
    size: tuple[float, float],
    read: Callable[[Path, Quirks, Counter[str]], list[Chunk]],
    applying: Sequence[str] = (),
    quirks: Quirks | None = None,
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
    chosen = quirks or quirks_of(protocol, Quirks)
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


def _task(  # noqa: PLR0913  a line of a table
    name: str,
    title: str,
    read: Callable[[Path, Quirks, Counter[str]], list[Chunk]],
    size: tuple[float, float],
    *,
    source: str,
    licence: str,
    citation: str,
    split_rule: str,
    rate_hz: int,
    downloads: tuple[Download, ...],
    applying: tuple[str, ...],
) -> Task:
    id = f"beans/{name}"
    return Task(
        id=id,
        version="2",
        title=title,
        kind="detection",
        source=source,
        licence=licence,
        citation=f"{citation}; {BEANS}",
        split_rule=split_rule,
        window_rule=f"{size[0]:g} s every {size[1]:g} s; a label needs more than 20 % overlap",
        native_rate_hz=rate_hz,
        crop_s=None,
        measures=PAPER,
        strict_measures=STRICT,
        downloads=downloads,
        build=partial(
            build, task=id, classes=classes_of(id), size=size, read=read, applying=applying
        ),
    )


BY_TIME: Final = (
    "by time inside each file: 60 s chunks, the first 60 % train, to 80 % val, rest test"
)
ZENODO: Final = "https://zenodo.org/records/"
TASKS: Final = (
    _task(
        "dcase",
        "18 sounds of birds and mammals, few-shot set of DCASE 2021",
        beans_chunks.read_dcase,
        (2.0, 1.0),
        source=ZENODO + "5412896",
        licence="CC BY 4.0",
        citation="Morfi et al., Few-shot bioacoustic event detection at DCASE 2021",
        split_rule=BY_TIME + "; strict leaves out a chunk at each border",
        rate_hz=16000,
        downloads=(
            Download(
                "Development_Set.zip",
                ZENODO + "5412896/files/Development_Set.zip",
                "a WAV and a CSV a recording",
                makes="Development_Set",
            ),
        ),
        applying=("adjacent_chunks", "uncertain_is_absent", "query_is_a_class"),
    ),
    _task(
        "enabirds",
        "34 birds of eastern North America",
        beans_chunks.read_enabirds,
        (2.0, 1.0),
        source="https://doi.org/10.5061/dryad.d2547d81z",
        licence="CC0 1.0",
        citation="Chronister et al., An annotated set of audio recordings of Eastern North American"
        " birds, Ecology 102, 2021",
        split_rule=BY_TIME + "; strict leaves out a chunk at each border",
        rate_hz=32000,
        downloads=(
            Download(
                "wav_Files.zip",
                "https://datadryad.org/stash/downloads/file_stream/641808",
                "sounds in Recording_1 to Recording_4",
                makes="Recording_1",
            ),
            Download(
                "annotation_Files.zip",
                "https://datadryad.org/stash/downloads/file_stream/641805",
                "a Raven table a sound, beside it",
                makes="Recording_1",
            ),
        ),
        applying=("adjacent_chunks", "none_class", "none_on_empty_windows", "unknown_is_a_class"),
    ),
    _task(
        "hiceas",
        "minke whale boings of a Hawaiian survey",
        beans_chunks.read_hiceas,
        (10.0, 5.0),
        source="https://www.fisheries.noaa.gov (HICEAS 2017)",
        licence="public domain (NOAA)",
        citation="NOAA Pacific Islands Fisheries Science Center, HICEAS 2017",
        split_rule="both: train.jsonl, valid.jsonl and test.jsonl of BEANS",
        rate_hz=22050,
        downloads=(
            Download(
                "hiceas.zip",
                "https://storage.googleapis.com/ml-bioacoustics-datasets/"
                "hiceas_1-20_minke-detection.zip",
                "sounds and three JSONL lists, 1.4 GB",
                makes="train.jsonl",
            ),
        ),
        applying=("first_5_s_of_window",),
    ),
    _task(
        "rfcx",
        "24 birds and frogs of Puerto Rico",
        beans_chunks.read_rfcx,
        (10.0, 5.0),
        source="https://www.kaggle.com/c/rfcx-species-audio-detection",
        licence="competition rules",
        citation="LeBien et al., A pipeline for identification of bird and frog species, 2020",
        split_rule="both: 6:2:2 by recording, seed 42; calls outside train_tp.csv count as absent",
        rate_hz=48000,
        downloads=(
            Download(
                "rfcx-species-audio-detection.zip",
                "https://www.kaggle.com/c/rfcx-species-audio-detection/data",
                "train/ and train_tp.csv, behind an account",
                makes="train_tp.csv",
            ),
        ),
        applying=("first_5_s_of_window",),
    ),
    _task(
        "hainan_gibbons",
        "3 call types of Hainan gibbons",
        beans_chunks.read_gibbons,
        (4.0, 2.0),
        source=ZENODO + "3991714",
        licence="CC BY 4.0",
        citation="Dufourq et al., Automated detection of Hainan gibbon calls, 2021",
        split_rule="both: sorted files, 0 to 5 train, 6 to 8 val, rest test; every third minute",
        rate_hz=9600,
        downloads=(
            Download("Train.zip", ZENODO + "3991714/files/Train.zip", "into Train/", makes="Train"),
            Download(
                "Train_Labels.zip",
                ZENODO + "3991714/files/Train_Labels.zip",
                "a table a sound",
                makes="Train_Labels",
            ),
        ),
        applying=("unknown_is_a_class",),
    ),
)
