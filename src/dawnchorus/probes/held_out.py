"""Logits of items by a probe that was not trained on them, for calibration and honest scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.errors import TaskError
from dawnchorus.probes.fit import refit
from dawnchorus.probes.folds import grouped_folds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dawnchorus.configs import FitConfig
    from dawnchorus.probes.features import Features
    from dawnchorus.probes.fitted import FittedProbe

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

FOLDS: Final = 5  # each probe is trained on four fifths: nearly what the whole one has


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Logits of items by a probe that was not trained on them.

    Attributes:
        logits: ``(items, classes)``.
        truth: ``(items, classes)``.
        group: ``(items,)``.
        how: how they were held out, in words.
        n_left_out: items of a class that the probe scoring them had no training items of.
    """

    logits: Floats
    truth: Flags
    group: NDArray[np.int64]
    how: str
    n_left_out: int = 0


def validated(probe: FittedProbe, validation: Features) -> HeldOut:
    """Logits of the validation items, without those of a class that had no training items."""
    truth = np.asarray(validation.y) > 0
    known = can_be_scored(probe, truth)
    return HeldOut(
        logits=probe.logits(validation.x[known]),
        truth=truth[known],
        group=np.asarray(validation.group)[known],
        how=f"the {int(known.sum())} validation windows",
        n_left_out=int((~known).sum()),
    )


def cross_validated(config: FitConfig, probe: FittedProbe, train: Features) -> HeldOut:
    """Logits of the training items, each fold by a probe of the other folds.

    Hyper-parameters are those that the whole probe chose.

    Raises:
        TaskError: All items are of one group.
    """
    truth, group = np.asarray(train.y) > 0, np.asarray(train.group)
    fold_of = grouped_folds(truth, group, n_folds=FOLDS, seed=config.seed)
    logits = np.zeros(truth.shape)  # (items, classes), filled fold by fold
    scored = np.zeros(len(truth), bool)
    for fold in range(int(fold_of.max()) + 1):
        inside = fold_of == fold
        try:
            other = refit(config, probe, train.take(np.flatnonzero(~inside)))
        except TaskError:
            continue  # without this fold too few classes are left: its items stay unscored
        logits[inside] = other.logits(train.x[inside])
        scored[inside] = can_be_scored(other, truth[inside])
    if not scored.any():
        raise TaskError("cross-validation: no fold leaves enough classes to learn")
    return HeldOut(
        logits=logits[scored],
        truth=truth[scored],
        group=group[scored],
        how=f"{int(fold_of.max()) + 1} folds of {len(np.unique(group))} recordings, each scored by "
        "a probe of the others",
        n_left_out=int((~scored).sum()),
    )


def can_be_scored(probe: FittedProbe, truth: Flags) -> Flags:
    """Which items ``(items,)`` have no class that the probe had no training items of."""
    untrained = np.setdiff1d(np.arange(len(probe.classes)), probe.trained)
    return np.asarray(~truth[:, untrained].any(axis=1))
