"""Who calls: chiffchaffs, little owls and tree pipits over years, and eight macaques.

The birds are tested in another year than they were trained in. Under ``strict`` val is cut by day
where file names tell the day. Of the macaques neither day nor session was published, so that their
split cannot be mended: they are easy.

Source: the release of Stowell et al. 2019; earthspecies/library, macaques.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from dawnchorus.benchmark.tasks.base import Item, task_items
from dawnchorus.benchmark.tasks.catalogue import tasks_of
from dawnchorus.benchmark.tasks.checks import ROWS, named
from dawnchorus.benchmark.tasks.quirks import quirks_of, switched_on
from dawnchorus.benchmark.tasks.raw import located, read_table, sounds_by_name
from dawnchorus.benchmark.tasks.splits import grouped, train_and_val
from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dawnchorus.benchmark.tasks.base import Protocol, Split, TaskItems

NAME: Final = "wavfilename"
DAY: Final = re.compile(r"day_?\d+|(?<!\d)(?:19|20)\d{6}(?!\d)")  # day1, or a date
YES: Final = ("1", "1.0")
NO: Final = ("", "0", "0.0")
SPLIT_QUIRK: Final = ("random_clip_split",)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndividualQuirks:
    """What the published code does, as switches.

    Attributes:
        random_clip_split: val is drawn by clip, so that its neighbours are in train.
    """

    random_clip_split: bool = True


def build_birds(
    folder: Path,
    protocol: Protocol,
    *,
    task: str,
    species: str,
    quirks: IndividualQuirks | None = None,
) -> TaskItems:
    """Foreground clips of the across-year lists of a species.

    Args:
        folder: the release, unpacked.
        protocol: whose quirks are on.
        task: its id.
        species: as the lists are named, such as ``littleowl``.
        quirks: other than the protocol's own.

    Raises:
        TaskError: A list or a sound is missing, or a clip is not of one individual.
    """
    chosen = quirks or quirks_of(protocol, IndividualQuirks)
    sounds = _foreground(folder, species)
    train = _listed(folder, f"{species}-acrossyear-fg-trn.csv", sounds)
    test = _listed(folder, f"{species}-acrossyear-fg-tst.csv", sounds)
    counts = Counter({ROWS: len(train) + len(test)})
    splits = _train_val(train, chosen, counts)
    splits += ["test"] * len(test)
    items = [
        _item(path, who, split) for (path, who), split in zip([*train, *test], splits, strict=True)
    ]
    on = switched_on(chosen, SPLIT_QUIRK)
    return task_items(task, protocol, items, counts, quirks=on)


def build_macaques(folder: Path, protocol: Protocol, *, task: str) -> TaskItems:
    """Coo calls; the published ``valid`` is the test, a fifth of ``train`` is val.

    Raises:
        TaskError: The table is missing or of another kind.
    """
    table = folder / "annotations.csv"
    rows = read_table(table, ("filename", "class", "split"))
    odd = {row["split"] for row in rows} - {"train", "valid"}
    if odd:
        raise TaskError(f"{table}: splits {named(sorted(odd))}, need train and valid")
    counts = Counter({ROWS: len(rows)})
    train = [(f"train/{r['filename']}", r["class"]) for r in rows if r["split"] == "train"]
    test = [(f"valid/{r['filename']}", r["class"]) for r in rows if r["split"] == "valid"]
    splits = train_and_val([who for _, who in train])
    splits += ["test"] * len(test)
    items = [
        Item(path, path, 0.0, None, (who,), split, path)
        for (path, who), split in zip([*train, *test], splits, strict=True)
    ]
    return task_items(task, protocol, items, counts, quirks=SPLIT_QUIRK)  # no session is known


def _foreground(folder: Path, species: str) -> dict[str, str]:
    """Foreground sounds of a species by name; those of the background may have the same names."""
    folders = [path for path in sorted(folder.rglob(f"{species}*-fg")) if path.is_dir()]
    if len(folders) != 1:
        raise TaskError(f"{folder}: {len(folders)} folders {species}-fg below it, need 1")
    inside = folders[0].relative_to(folder).as_posix()
    return {name: f"{inside}/{path}" for name, path in sounds_by_name(folders[0]).items()}


def _listed(folder: Path, name: str, sounds: dict[str, str]) -> list[tuple[str, str]]:
    """Path and individual of each line; a list has a column an individual, marked with 1."""
    found = sorted(folder.rglob(name))
    if not found:
        raise TaskError(f"{folder}: no list {name} below it; unpack the lists of the release there")
    rows = read_table(found[0], (NAME,))
    odd = {v for row in rows for k, v in row.items() if k != NAME and v.strip() not in (*YES, *NO)}
    if odd:
        raise TaskError(f"{found[0]}: marks {named(sorted(odd))}, need 1 or nothing")
    marked = [[k for k, v in row.items() if k != NAME and v.strip() in YES] for row in rows]
    for row, who in zip(rows, marked, strict=True):
        if len(who) != 1:
            raise TaskError(f"{found[0]}: {row[NAME]} is marked for {len(who)} individuals, need 1")
    paths = located([row[NAME] for row in rows], sounds, found[0])
    return [(path, who[0]) for path, who in zip(paths, marked, strict=True)]


def _train_val(
    clips: Sequence[tuple[str, str]], quirks: IndividualQuirks, counts: Counter[str]
) -> list[Split]:
    individuals = [who for _, who in clips]
    if quirks.random_clip_split:
        return train_and_val(individuals)
    groups = [_group(path, who) for path, who in clips]
    counts["clips whose names tell no day"] = sum(DAY.search(path) is None for path, _ in clips)
    return grouped([[who] for who in individuals], groups, (0.8, 0.2, 0))


def _group(path: str, who: str) -> str:
    """An individual's day, or the file where its name tells no day."""
    name = PurePosixPath(path).stem
    day = DAY.search(name)
    return f"{who} {day.group()}" if day else name


def _item(path: str, who: str, split: Split) -> Item:
    year = "test year " if split == "test" else ""  # days are counted from 1 again in another year
    return Item(path, path, 0.0, None, (who,), split, year + _group(path, who))


# The birds of a species, by its name in the lists.
SPECIES: Final = {"chiffchaff": "chiffchaff", "little_owl": "littleowl", "tree_pipit": "pipit"}
MACAQUES: Final = "individual/macaques"
TASKS: Final = tasks_of(
    {
        **{
            f"individual/{name}": partial(build_birds, task=f"individual/{name}", species=species)
            for name, species in SPECIES.items()
        },
        MACAQUES: partial(build_macaques, task=MACAQUES),
    }
)
