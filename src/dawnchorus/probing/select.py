"""Which labelled clips a probe is fitted on, and on which it is scored."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dawnchorus.clips.build import ImportedClips
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.probing.background import background_labels, with_unannotated
from dawnchorus.probing.labels import label_clips

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dawnchorus.configs import ProbeRunConfig
    from dawnchorus.probes.fitted import FittedProbe
    from dawnchorus.probing.labels import LabelledClips


def training_clips(table: ImportedClips, config: ProbeRunConfig) -> LabelledClips:
    """Clips to train and validate on, with the classes that the training clips have.

    Clips of split test are left alone. Whether a clip may have several labels follows from all
    labels that were given: a clip of val that keeps none, since training clips lack its class, does
    not make a probe of several labels.

    Args:
        table: the clips, as `read_labels` gives them.
        config: ``background``, ``unannotated``, ``group_by`` and ``multi_label``.

    Raises:
        TaskError: No clip to train on has a label, or a class has no clip without it.
        UsageError: No clip has a label of the background that was named.
    """
    _check_clips(table)
    notes: tuple[str, ...] = ()
    if config.unannotated:
        table = with_unannotated(table, seed=config.fit.seed)
        notes = table.notes[-1:]
    background = background_labels(config.background, table.manifest)
    # labelled twice: which classes there are follows from the training clips among all
    every = label_clips(table, background=background, group_by=config.group_by)
    named, used, train = every.manifest.named, every.split != "test", _is_train(every)
    names = [
        name for name, has in zip(every.classes, every.truth.T, strict=True) if has[train].any()
    ]
    if not names:
        raise TaskError(
            f"{named}: {int(train.sum())} of {len(every)} clips are to train on, and none of them "
            "has a label"
        )
    clips = label_clips(table, classes=names, background=background, group_by=config.group_by)
    one_each = (every.truth[used].sum(axis=1) == 1).all()
    multi_label = config.multi_label
    if multi_label is None:
        multi_label = len(names) == 1 or not bool(one_each)
    check_classes(named, names, clips.truth[train], multi_label=multi_label)
    # with one label a clip, a validation clip whose label no training clip has cannot be scored
    has_others = np.array([bool(labels) for labels in clips.other_labels]) & used
    kept = used if multi_label else used & ~has_others
    return replace(
        clips.take(np.flatnonzero(kept)),
        multi_label=multi_label,
        warnings=(*notes, *_unknown_to_train(clips, has_others, multi_label=multi_label)),
    )


def _check_clips(table: object) -> None:
    if not isinstance(table, ImportedClips):
        raise UsageError(
            "labels: need clips as dawnchorus.clips.imports.read_labels gives them, got "
            f"{type(table).__name__}"
        )


def _is_train(clips: LabelledClips) -> NDArray[np.bool_]:
    return np.isin(clips.split, ("train", ""))


def _unknown_to_train(
    clips: LabelledClips, rows: NDArray[np.bool_], *, multi_label: bool
) -> tuple[str, ...]:
    """What is reported of validation clips with labels that no training clip has."""
    if not rows.any():
        return ()
    labels = sorted({label for row in np.flatnonzero(rows) for label in clips.other_labels[row]})
    done = "those labels are not scored" if multi_label else "left out"
    return (
        f"{int(rows.sum())} clips of split val have labels that no clip to train on has "
        f"({', '.join(labels[:5])}{', …' if len(labels) > 5 else ''}): {done}",
    )


def scoring_clips(
    table: ImportedClips, probe: FittedProbe, config: ProbeRunConfig
) -> LabelledClips:
    """Clips to score a probe on, with the probe's classes.

    Args:
        table: the clips, as `read_labels` gives them.
        probe: it knows what was background when it was fitted.
        config: ``background`` beside that, ``unannotated`` and ``group_by``.

    Raises:
        UsageError: No clip has a label of the background that was named.
    """
    _check_clips(table)
    if config.unannotated:
        table = with_unannotated(table, seed=config.fit.seed)
    named = background_labels(config.background, table.manifest)
    # names that this call gives have to be there; what the probe remembers need not
    background = (*named, *probe.notes.background)
    clips = label_clips(
        table, classes=probe.classes, background=background, group_by=config.group_by
    )
    return replace(clips, multi_label=probe.multi_label)


def check_classes(
    named: str, classes: Sequence[str], truth: NDArray[np.generic], *, multi_label: bool
) -> None:
    """Refuse clips from which a class cannot be learned, and say what to add.

    Args:
        named: where the clips come from.
        classes: names.
        truth: ``(clips, classes)`` of 0 and 1, of the clips to train on.
        multi_label: whether a clip may have any number of labels.

    Raises:
        TaskError: A class has no clip; or no other clip to distinguish it from.
    """
    n_positive = np.asarray(truth).sum(axis=0).astype(int)
    for name, n in zip(classes, n_positive.tolist(), strict=True):
        if not n:
            raise TaskError(
                f"{named}: of {name} no clip to train on can be read; leave the label out, or "
                "add other clips of it"
            )
        if n == len(truth) and (multi_label or len(classes) < 2):
            raise TaskError(
                f"{named}: all {n} clips to train on have the label {name}, so there is nothing to "
                "tell it from. Add clips in which it is not heard under a label of their own, such "
                "as a folder noise, and say --background noise; of recordings that were annotated "
                "throughout, --unannotated takes the parts between"
            )
