"""Tables of the classification sets of BEANS, each as its own publisher writes it.

A reader turns a set's folder into rows and says what it drops. What may not be torn by a split
(tape, day, session, recordist) is a row's group, as far as file names and columns tell it.

Source: BEANS repository, scripts/*.py.
"""

from __future__ import annotations

import random  # noqa: TID251  the published split of CBI is a draw of this generator
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from dawnchorus.benchmark.tasks.checks import ROWS
from dawnchorus.benchmark.tasks.raw import find_sounds, read_counted
from dawnchorus.benchmark.tasks.splits import SEED
from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from pathlib import Path

    from dawnchorus.benchmark.tasks.base import Split

RARE: Final = 100  # HumBugDB: species with no more clips are "others"
CBI_CLIP_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationQuirks:
    """What the published code does, as switches.

    Attributes:
        random_clip_split: clips are split one by one, so neighbours of a test clip are in train.
        missing_species_is_no_mosquito: HumBugDB's mosquitoes of unknown species are labelled
            "non-mosquito".
    """

    random_clip_split: bool = True
    missing_species_is_no_mosquito: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledFile:
    """A clip of a set before it is split; ``split`` is None where the set has no lists."""

    path: str
    label: str
    group: str
    split: Split | None = None
    stop_s: float | None = None


def read_watkins(folder: Path, _: ClassificationQuirks, counts: Counter[str]) -> list[LabelledFile]:
    """Clips of the marine mammals; a tape is the first five characters of a record's number."""
    rows = read_counted(folder / "annotations.csv", ("path", "species"), counts)
    counts["dropped: clips of Weddell_Seal, which has 2"] = sum(
        row["species"] == "Weddell_Seal" for row in rows
    )
    return [
        LabelledFile(
            path=row["path"], label=row["species"], group=PurePosixPath(row["path"]).stem[:5]
        )
        for row in rows
        if row["species"] != "Weddell_Seal"
    ]


def read_bats(folder: Path, _: ClassificationQuirks, counts: Counter[str]) -> list[LabelledFile]:
    """Calls of ten bats; a file's name begins with its day, as ``120601`` of 2012-06-01."""
    rows = read_counted(folder / "annotations.csv", ("File Name", "Emitter"), counts)
    return [
        LabelledFile(
            path=f"audio/{row['File Name']}", label=row["Emitter"], group=row["File Name"][:6]
        )
        for row in rows
    ]


def read_dogs(folder: Path, _: ClassificationQuirks, counts: Counter[str]) -> list[LabelledFile]:
    """Barks of ten dogs; ``Mac-2-A-2a.aif`` is dog, session, context and number."""
    rows = read_counted(folder / "annotations.csv", ("filename", "name"), counts)
    return [
        LabelledFile(
            path=f"audio/{row['filename']}",
            label=row["name"],
            group="-".join(PurePosixPath(row["filename"]).stem.split("-")[:3]),
        )
        for row in rows
    ]


def read_humbugdb(
    folder: Path, quirks: ClassificationQuirks, counts: Counter[str]
) -> list[LabelledFile]:
    """Mosquitoes; clips are cut from the recording in the column ``name``."""
    table = folder / "neurips_2021_zenodo_0_0_1.csv"
    rows = read_counted(table, ("id", "name", "species", "sound_type"), counts)
    if not quirks.missing_species_is_no_mosquito:
        known = [row for row in rows if row["species"] or row["sound_type"] != "mosquito"]
        counts["dropped: mosquitoes of unknown species"] = len(rows) - len(known)
        rows = known
    labels = [row["species"] or "non-mosquito" for row in rows]
    n_clips = Counter(labels)
    return [
        LabelledFile(
            path=f"audio/{row['id']}.wav",
            label=label if n_clips[label] > RARE else "others",
            group=row["name"],
        )
        for row, label in zip(rows, labels, strict=True)
    ]


def read_cbi(folder: Path, _: ClassificationQuirks, counts: Counter[str]) -> list[LabelledFile]:
    """Birds; recordists are shuffled and dealt out 6:2:2. A clip is the first ten seconds."""
    rows = read_counted(folder / "train.csv", ("ebird_code", "filename", "recordist"), counts)
    recordists = list(dict.fromkeys(row["recordist"] for row in rows))
    random.Random(SEED).shuffle(recordists)  # noqa: S311
    n_train, n_val = int(0.6 * len(recordists)), int(0.8 * len(recordists))
    dealt: dict[str, Split] = {}
    for rank, name in enumerate(recordists):
        dealt[name] = "train" if rank < n_train else "val" if rank < n_val else "test"
    return [
        LabelledFile(
            path=f"train_audio/{row['ebird_code']}/{row['filename']}",
            label=row["ebird_code"],
            group=row["recordist"],
            split=dealt[row["recordist"]],
            stop_s=CBI_CLIP_S,
        )
        for row in rows
    ]


def read_esc50(folder: Path, _: ClassificationQuirks, counts: Counter[str]) -> list[LabelledFile]:
    """Environmental sounds; ``1-100032-A-0.wav`` is fold, recording, take and class."""
    rows = read_counted(folder / "meta" / "esc50.csv", ("filename", "fold", "category"), counts)
    sides: dict[str, Split] = {"4": "val", "5": "test"}
    return [
        LabelledFile(
            path=f"audio/{row['filename']}",
            label=row["category"],
            group=row["filename"].split("-")[1],
            split=sides.get(row["fold"], "train"),
        )
        for row in rows
    ]


def read_commands(
    folder: Path, _: ClassificationQuirks, counts: Counter[str]
) -> list[LabelledFile]:
    """Spoken words; the published lists part speakers, who are named before ``_nohash_``."""
    sides: dict[str, Split] = {}
    lists: tuple[tuple[str, Split], ...] = (
        ("validation_list.txt", "val"),
        ("testing_list.txt", "test"),
    )
    for name, split in lists:
        try:
            lines = (folder / name).read_text(encoding="utf-8").split()
        except OSError as error:
            raise TaskError(f"{folder / name}: cannot be read; unpack the archive there") from error
        sides |= dict.fromkeys(lines, split)
    paths = [path.relative_to(folder).as_posix() for path in find_sounds(folder)]
    words = [path for path in paths if not path.startswith("_background_noise_/")]
    counts[ROWS] = len(words)
    return [
        LabelledFile(
            path=path,
            label=path.partition("/")[0],
            group=PurePosixPath(path).stem.partition("_nohash_")[0],
            split=sides.get(path, "train"),
        )
        for path in words
    ]
