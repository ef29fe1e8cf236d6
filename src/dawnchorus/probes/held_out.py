"""Logits of items by a probe that was not trained on them, for calibration and honest scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.errors import TaskError
from dawnchorus.probes.fit import fit_probe
from dawnchorus.probes.folds import grouped_folds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dawnchorus.configs import FitConfig
    from dawnchorus.probes.features import Features
    from dawnchorus.probes.fitted import FittedProbe

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

FOLDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Logits of items by a probe that was not trained on them.

    Attributes:
        logits: ``(items, classes)``.
        truth: ``(items, classes)``.
        group: ``(items,)``.
        how: where they come from, in words.
        n_left_out: items of a class that the probes of their fold were not taught.
    """

    logits: Floats
    truth: Flags
    group: NDArray[np.int64]
    how: str
    n_left_out: int = 0


def validated(probe: FittedProbe, validation: Features) -> HeldOut:
    """Logits of the validation items, of the classes that train could teach."""
    truth = np.asarray(validation.y) > 0
    known = ~truth[:, _untaught(probe)].any(axis=1)
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
    fixed = chosen_only(config, probe)
    logits = np.zeros(truth.shape)
    known = np.zeros(len(truth), bool)
    every = np.arange(truth.shape[1])
    for fold in np.unique(fold_of):
        inside = np.flatnonzero(fold_of == fold)
        try:
            other = fit_probe(
                fixed,
                train.take(np.flatnonzero(fold_of != fold), every),
                None,
                probe.classes,
                probe.multi_label,
                encoder=probe.encoder,
                readout=probe.readout,
                pooling=probe.pooling,
            )
        except TaskError:
            continue  # without this fold too few classes are left: its items stay unscored
        logits[inside] = other.logits(train.x[inside])
        known[inside] = ~truth[np.ix_(inside, _untaught(other))].any(axis=1)
    if not known.any():
        raise TaskError("cross-validation: no fold leaves enough classes to learn")
    n_folds = len(np.unique(fold_of))
    return HeldOut(
        logits=logits[known],
        truth=truth[known],
        group=group[known],
        how=f"{n_folds} folds of {len(np.unique(group))} recordings, each scored by a probe of the "
        "others",
        n_left_out=int((~known).sum()),
    )


def _untaught(probe: FittedProbe) -> NDArray[np.int64]:
    return np.setdiff1d(np.arange(len(probe.classes)), probe.taught)


def chosen_only(config: FitConfig, probe: FittedProbe) -> FitConfig:
    """The same with the one value that was chosen of each hyper-parameter."""
    chosen: Mapping[str, float] = probe.notes.get("chosen", {})
    changes: dict[str, Any] = {"absent": "lowest"}
    if "strength" in chosen:
        changes["strengths"] = (chosen["strength"],)
    if "k" in chosen:
        changes["neighbours"] = (int(chosen["k"]),)
    if "learning_rate" in chosen:
        changes["schedule"] = config.training.model_copy(
            update={
                "learning_rates": (chosen["learning_rate"],),
                "weight_decays": (chosen["weight_decay"],),
            }
        )
    return config.model_copy(update=changes)
