"""Which call: zebra finches, giant otters, Bengalese finches, killer whales; no probe, test only.

In the published run the otters and the whales are one table that is train, val and test at once;
here all of it is test, and only retrieval and clustering are asked, which train nothing.

Source: docs/reference/tasks.md; the layouts are read in `repertoire_raw`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from dawnchorus.annotations.annotation import clip_id
from dawnchorus.benchmark.tasks import repertoire_raw as raw
from dawnchorus.benchmark.tasks.base import Download, Item, Measures, Task, task_items
from dawnchorus.benchmark.tasks.quirks import quirks_of, switched_on
from dawnchorus.benchmark.tasks.splits import by_key, grouped, shares_of_clips

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dawnchorus.benchmark.tasks.base import Protocol, Split, TaskItems
    from dawnchorus.benchmark.tasks.repertoire_raw import Call

UNKNOWN: Final = "unknown"
MERGED: Final = {
    "Ag": "distress", "Di": "distress", "DC": "contact", "LT": "contact", "Te": "contact",
    "Th": "alarm", "Tu": "alarm", "Wh": "nest",
}  # fmt: skip
TYPES: Final = ("Ag", "Be", "DC", "Di", "LT", "Ne", "So", "Te", "Th", "Tu", "Wh")
ONE_TABLE: Final = ("one_table",)  # train, val and test are one; not to be mended, nothing trains
BIRDS: Final = range(11)
PUBLISHED_BIRD: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RepertoireQuirks:
    """What the published code does, as switches.

    Attributes:
        random_clip_split: calls are split one by one; mended: whole birds (zebra finch) or whole
            songs (Bengalese finch).
        merged_types: zebra finch: eight call types are merged into four; mended: the eleven types
            that were published.
        unknown_class: zebra finch: all other calls, song among them, are a class "unknown";
            mended: what is none of the types is left out.
        case_twins: giant otters: "Whine" and "whine" are two classes.
    """

    random_clip_split: bool = True
    merged_types: bool = True
    unknown_class: bool = True
    case_twins: bool = True


def build_zebra_finch(
    folder: Path, protocol: Protocol, *, task: str, quirks: RepertoireQuirks | None = None
) -> TaskItems:
    """Calls of adults and chicks, 8:1:1 a bird and type (paper), or 6:2:2 by bird (strict).

    Raises:
        TaskError: No sounds are there.
    """
    chosen = quirks or quirks_of(protocol, RepertoireQuirks)
    counts: Counter[str] = Counter()
    found = raw.zebra_finch(folder, counts)
    labels = [zebra_label(call.label, chosen) for call in found]
    calls = [
        replace(call, label=label)
        for call, label in zip(found, labels, strict=True)
        if label is not None
    ]
    counts["dropped: calls of no published type"] = len(found) - len(calls)
    if chosen.random_clip_split:
        splits = by_key([f"{call.key} {call.label}" for call in calls])
    else:
        splits = grouped([[call.label] for call in calls], [call.group for call in calls])
    on = switched_on(chosen, ("random_clip_split", "merged_types", "unknown_class"))
    return task_items(task, protocol, _items(calls, splits), counts, quirks=on)


def zebra_label(code: str, quirks: RepertoireQuirks) -> str | None:
    """The class of a call's two characters; None: it has none."""
    if quirks.merged_types:
        return MERGED.get(code, UNKNOWN if quirks.unknown_class else None)
    types = {name.lower(): name for name in TYPES}  # file names have Dc for DC and Lt for LT
    return types.get(code.lower(), UNKNOWN if quirks.unknown_class else None)


def build_otters(
    folder: Path, protocol: Protocol, *, task: str, quirks: RepertoireQuirks | None = None
) -> TaskItems:
    """Calls of adults and neonates, all of them test.

    Raises:
        TaskError: Neither a table nor sounds are there.
    """
    chosen = quirks or quirks_of(protocol, RepertoireQuirks)
    counts: Counter[str] = Counter()
    calls = raw.giant_otters(folder, counts)
    if not chosen.case_twins:
        calls = [replace(call, label=call.label.strip().capitalize()) for call in calls]
    on = (*ONE_TABLE, *switched_on(chosen, ("case_twins",)))
    return task_items(task, protocol, _all_test(calls), counts, quirks=on)


def build_bengalese(
    folder: Path,
    protocol: Protocol,
    *,
    task: str,
    bird: int,
    quirks: RepertoireQuirks | None = None,
) -> TaskItems:
    """Syllables of a bird, about 70:15:15 by syllable (paper) or by song (strict).

    Raises:
        TaskError: The bird's annotation or its sounds are missing.
    """
    chosen = quirks or quirks_of(protocol, RepertoireQuirks)
    counts: Counter[str] = Counter()
    calls = raw.bengalese_finch(folder, bird, counts)
    shares = (0.7, 0.15, 0.15)
    if chosen.random_clip_split:
        splits = shares_of_clips([call.label for call in calls], shares)
    else:
        splits = grouped([[call.label] for call in calls], [call.group for call in calls], shares)
    on = switched_on(chosen, ("random_clip_split",))
    return task_items(task, protocol, _items(calls, splits), counts, quirks=on)


def build_whales(folder: Path, protocol: Protocol, *, task: str) -> TaskItems:
    """Discrete calls of southern residents, all of them test.

    Raises:
        TaskError: The annotations or the sounds are missing.
    """
    counts: Counter[str] = Counter()
    calls = raw.killer_whales(folder, counts)
    return task_items(task, protocol, _all_test(calls), counts, quirks=ONE_TABLE)


def _all_test(calls: Sequence[Call]) -> list[Item]:
    return _items(calls, ["test"] * len(calls))


def _items(calls: Sequence[Call], splits: Sequence[Split]) -> list[Item]:
    return [
        Item(
            clip_id(call.path, call.start_s or None, call.stop_s),
            call.path,
            call.start_s,
            call.stop_s,
            (call.label,),
            split,
            call.group,
        )
        for call, split in zip(calls, splits, strict=True)
    ]


ASKED: Final = Measures(probe=None, retrieval="within", clustering=True)
FIGSHARE: Final = "https://figshare.com/articles/"
_task = partial(  # what all repertoires share
    Task, version="1", kind="repertoire", licence="CC BY 4.0", crop_s=None, measures=ASKED
)


def _bengalese(bird: int) -> Task:
    own = "" if bird == PUBLISHED_BIRD else f"_bird{bird}"
    id = f"repertoire/bengalese_finch{own}"
    published = "" if own else ", the published one"
    return _task(
        id=id,
        title=f"syllable types of Bengalese finch Bird{bird}{published}",
        source=FIGSHARE + "media/BirdsongRecognition/3470165",
        citation="Koumura and Okanoya, Automatic recognition of element classes and boundaries in"
        " the birdsong with variable sequences, PLoS ONE 11, 2016",
        split_rule="paper: 70:15:15 by syllable, seed 42; strict: by song",
        window_rule="single syllables",
        native_rate_hz=32000,
        downloads=(
            Download(
                f"Bird{bird}.zip",
                FIGSHARE + "media/BirdsongRecognition/3470165",
                "Annotation.xml and Wave/",
                makes=f"Bird{bird}/Annotation.xml",
            ),
        ),
        build=partial(build_bengalese, task=id, bird=bird),
        folder="repertoire/bengalese_finch",
    )


_ZEBRA: Final = (
    FIGSHARE + "dataset/Vocal_repertoires_from_adult_and_chick_male_and_female_zebra_finches_"
    "Taeniopygia_guttata_/11905533"
)
TASKS: Final = (
    _task(
        id="repertoire/zebra_finch",
        title="call types of zebra finches",
        source=_ZEBRA,
        citation="Elie and Theunissen, The vocal repertoire of the domesticated zebra finch,"
        " Animal Cognition 19, 2016",
        split_rule="paper: 8:1:1 a bird and type, seed 42; strict: 6:2:2 by bird",
        window_rule="whole calls",
        native_rate_hz=44100,
        downloads=(
            Download("AdultVocalizations.zip", _ZEBRA, "calls", makes="AdultVocalizations"),
            Download("ChickVocalizations.zip", _ZEBRA, "calls", makes="ChickVocalizations"),
        ),
        build=partial(build_zebra_finch, task="repertoire/zebra_finch"),
    ),
    _task(
        id="repertoire/giant_otters",
        title="call types of giant otters",
        source="https://archive.org/details/giant_otters",
        citation="Mumm and Knoernschild, The vocal repertoire of adult and neonate giant otters,"
        " PLoS ONE 9, 2014",
        split_rule="all is test, nothing is trained; sessions are not published",
        window_rule="whole calls",
        native_rate_hz=None,
        downloads=(
            Download(
                "giant_otters.zip",
                "https://archive.org/download/giant_otters/giant_otters.zip",
                "sounds named by their type, or with a table of path and label",
                makes="giant_otters",
            ),
        ),
        build=partial(build_otters, task="repertoire/giant_otters"),
    ),
    *(_bengalese(bird) for bird in sorted(BIRDS, key=lambda bird: bird != PUBLISHED_BIRD)),
    _task(
        id="repertoire/killer_whale",
        title="discrete calls of southern resident killer whales",
        source="https://doi.org/10.25921/15ey-mh50",
        citation="Palmer et al., A public dataset of annotated Orcinus orca acoustic signals,"
        " Scientific Data, 2025",
        split_rule="all is test, nothing is trained",
        window_rule="single calls, as annotated",
        native_rate_hz=None,
        downloads=(
            Download(
                "vfpa annotations",
                "https://doi.org/10.25921/15ey-mh50",
                "CSVs",
                makes="annotations",
            ),
            Download("vfpa audio", "https://doi.org/10.25921/15ey-mh50", "sounds", makes="audio"),
        ),
        build=partial(build_whales, task="repertoire/killer_whale"),
    ),
)
