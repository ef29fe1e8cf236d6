"""Which labelled clips a probe is fitted and validated on, and whether they have one label each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dawnchorus.errors import TaskError
from dawnchorus.probing.background import background_labels
from dawnchorus.probing.labels import labelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dawnchorus.clips.build import ImportedClips
    from dawnchorus.configs import ProbeRunConfig
    from dawnchorus.probing.labels import LabelledClips


@dataclass(frozen=True, slots=True, kw_only=True)
class Usable:
    """Clips to train and validate on, with the classes that train has.

    Attributes:
        clips: of splits train and val, and of none.
        multi_label: whether a clip may have any number of labels.
        n_test: clips of split test, which were left alone.
        warnings: labels that train lacks, and what was done about their clips.
        background: labels that mean that none of the classes is heard.
    """

    clips: LabelledClips
    multi_label: bool
    n_test: int
    warnings: tuple[str, ...] = ()
    background: tuple[str, ...] = ()


def usable(labels: ImportedClips, config: ProbeRunConfig) -> Usable:
    """Clips to train and validate on.

    Whether there is one label a clip is told from all labels that they were given: a clip of val
    that keeps none, since train lacks its class, does not make a probe of several.

    Raises:
        TaskError: No clip to train on has a label, or a class has no clip without it.
        UsageError: No clip has a label of the background that was named.
    """
    nothing = background_labels(config.nothing, labels.manifest)
    everything = labelled(labels, nothing=nothing, by=config.group_by)
    split = everything.split
    train = (split == "train") | (split == "")
    names = [n for n, any_ in zip(everything.classes, _any(everything, train), strict=True) if any_]
    if not names:
        raise TaskError(
            f"{labels.manifest.named}: {int(train.sum())} of {len(split)} clips are to train on, "
            "and none of them has a label"
        )
    clips = labelled(labels, nothing=nothing, by=config.group_by, classes=names)
    used = split != "test"
    multi_label = _is_multi_label(everything.truth[used], names, config)
    check_taught(labels.manifest.named, names, clips.truth[train], multi_label=multi_label)
    untrained = sorted(set(everything.classes) - set(names) - _only_of(everything, ~used))
    strange = used & (clips.truth.sum(axis=1) < everything.truth.sum(axis=1))
    said: tuple[str, ...] = ()
    if strange.any():
        done = "those labels are not scored" if multi_label else "left out"
        said = (
            f"{int(strange.sum())} clips of split val have labels that no clip to train on has "
            f"({', '.join(untrained[:5])}{', …' if len(untrained) > 5 else ''}): {done}",
        )
    kept = used if multi_label else used & ~strange
    return Usable(
        clips=clips.take(np.flatnonzero(kept)),
        multi_label=multi_label,
        n_test=int((~used).sum()),
        warnings=said,
        background=nothing,
    )


def check_taught(
    named: str, classes: Sequence[str], truth: NDArray[np.generic], *, multi_label: bool
) -> None:
    """Refuse clips that cannot teach a class, and say what to add.

    Args:
        named: where the clips come from.
        classes: names.
        truth: ``(clips, classes)`` of 0 and 1, of the clips to train on.
        multi_label: whether a clip may have any number of labels.

    Raises:
        TaskError: A class has no clip; or no other clip to tell it from.
    """
    n_positive = np.asarray(truth).sum(axis=0).astype(int)
    for name, n in zip(classes, n_positive.tolist(), strict=True):
        if not n:
            raise TaskError(
                f"{named}: of {name} no clip to train on can be read; leave the label out, or "
                "bring other clips of it"
            )
        if n == len(truth) and (multi_label or len(classes) < 2):
            raise TaskError(
                f"{named}: all {n} clips to train on have the label {name}, so there is nothing to "
                "tell it from. Add clips in which it is not heard under a label of their own, such "
                "as a folder noise, and say --background noise; of recordings that were annotated "
                "throughout, --unannotated takes the parts between"
            )


def _only_of(clips: LabelledClips, rows: NDArray[np.bool_]) -> set[str]:
    """Classes that no other clip has."""
    return {n for n, any_ in zip(clips.classes, _any(clips, ~rows), strict=True) if not any_}


def _any(clips: LabelledClips, rows: NDArray[np.bool_]) -> list[bool]:
    found: list[bool] = clips.truth[rows].max(axis=0, initial=False).tolist()
    return found


def _is_multi_label(
    truth: NDArray[np.bool_], classes: Sequence[str], config: ProbeRunConfig
) -> bool:
    if config.multi_label is not None:
        return config.multi_label
    return len(classes) == 1 or bool((truth.sum(axis=1) != 1).any())
