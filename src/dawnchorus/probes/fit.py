"""Fit a probe on stored features: choose its hyper-parameters, train it, note what was done."""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from dawnchorus.configs import FitConfig, HeadConfig, Readout
from dawnchorus.configs.readout import MEAN_OF_OUTPUT, OUTPUT
from dawnchorus.errors import DawnChorusWarning, TaskError, UsageError
from dawnchorus.probes.choose import Trial, best_of, mean_loss, measure_of
from dawnchorus.probes.features import Features
from dawnchorus.probes.fitted import EncoderMark, FittedProbe
from dawnchorus.probes.folds import grouped_folds, split_lone_groups
from dawnchorus.probes.net import net_logits
from dawnchorus.probes.notes import ProbeNotes
from dawnchorus.probes.solvers import TrainingItems, settings_of, train_net

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dawnchorus.configs.readout import Pooling, ReadoutLike
    from dawnchorus.probes.net import Net

__all__ = ["EncoderMark", "Features", "FitConfig", "FittedProbe", "fit_probe"]

USUAL_STRENGTH: Final = 0.1  # C that was chosen on most of the tasks tried, standardised features


@torch.inference_mode(mode=False)  # wherever it is called, it has to be able to learn
def fit_probe(
    config: FitConfig,
    train: Features,
    validation: Features | None,
    classes: Sequence[str],
    multi_label: bool,  # noqa: FBT001 - a fact of the task, given with its classes
    *,
    encoder: EncoderMark,
    readout: ReadoutLike = MEAN_OF_OUTPUT,
    pooling: Pooling | None = None,
) -> FittedProbe:
    """Fit a probe.

    Hyper-parameters are those that score best on the validation items, or by cross-validation over
    the groups of train where there are none. Validation items are never trained on.

    Args:
        config: kind, solver, what to try.
        train: what it learns from.
        validation: what choices are made on; None: cross-validation inside train.
        classes: name of each column of the labels.
        multi_label: whether an item may have any number of classes.
        encoder: what made the features.
        readout: what the features were pooled from; left out for those of unknown origin.
        pooling: how the pooling of layers that name none was said until 0.2.

    Raises:
        UsageError: Shapes, options and labels do not fit each other.
        TaskError: A class cannot be learned, or nothing can be scored.
        TrainingError: The solver does not converge.
    """
    names = tuple(classes)
    _check(config, train, validation, names, multi_label=multi_label)
    trained = _trainable(config, train, names, multi_label=multi_label)
    train = train.take(np.arange(len(train)), trained)
    n_validation_left_out = 0
    if validation is not None:
        # an item whose only label is a class without training items cannot be scored
        rows = np.arange(len(validation))
        if not multi_label:
            rows = np.flatnonzero(np.asarray(validation.y)[:, trained].sum(axis=1) > 0)
        n_validation_left_out = len(validation) - len(rows)
        validation = validation.take(rows, trained)
    # from here on, columns are the trained classes; `FittedProbe.logits` puts the others back
    trained_names = tuple(names[k] for k in trained)
    net, choice = _chosen(config, train, validation, trained_names, multi_label=multi_label)
    n_positive = train.y.sum(axis=0)
    notes: dict[str, Any] = {
        **choice,
        "solver": config.method,
        "n_train": len(train),
        "n_validation": 0 if validation is None else len(validation),
        "n_positive": {n: int(k) for n, k in zip(trained_names, n_positive, strict=True)},
        "n_validation_left_out": n_validation_left_out,
        "not_trained": [name for name in names if name not in trained_names],
    }
    if net.mix is not None:
        notes["layer_weights"] = net.mix.weights.tolist()
    return FittedProbe(
        config=HeadConfig(**{k: getattr(config, k) for k in HeadConfig.model_fields}),
        classes=names,
        multi_label=multi_label,
        encoder=encoder,
        readout=_readout(readout, pooling),
        net=net.cpu().eval(),
        trained=tuple(int(k) for k in trained),
        notes=ProbeNotes(**notes),
    )


def refit(config: FitConfig, probe: FittedProbe, train: Features) -> FittedProbe:
    """The same kind of probe on other items, with the hyper-parameters that the first one chose.

    Args:
        config: as the probe was fitted with.
        probe: of all items.
        train: what the new one is trained on; classes that it lacks rank last.

    Raises:
        TaskError: Too few classes are left.
    """
    return fit_probe(
        _chosen_only(config, probe.notes.chosen or {}),
        train,
        None,
        probe.classes,
        probe.multi_label,
        encoder=probe.encoder,
        readout=probe.readout,
    )


def without_choice(config: FitConfig) -> FitConfig:
    """One value of each hyper-parameter, for clips of which none can be held out to choose it."""
    return config.model_copy(update={"strengths": (USUAL_STRENGTH,), "neighbours": (1,)})


def _chosen_only(config: FitConfig, chosen: Mapping[str, float]) -> FitConfig:
    """The same with the one value that was chosen of each hyper-parameter."""
    changes: dict[str, Any] = {"absent": "lowest"}
    if "strength" in chosen:
        changes["strengths"] = (chosen["strength"],)
    if "k" in chosen:
        changes["neighbours"] = (int(chosen["k"]),)
    if "learning_rate" in chosen:
        one_value = {
            "learning_rates": (chosen["learning_rate"],),
            "weight_decays": (chosen["weight_decay"],),
        }
        changes["schedule"] = config.training.model_copy(update=one_value)
    return config.model_copy(update=changes)


def _readout(readout: ReadoutLike, pooling: Pooling | None) -> Readout:
    """What a user says, or said before 0.2."""
    if pooling is None:
        return Readout.parse(readout)
    now = Readout.parse(readout or OUTPUT, pooling)
    text = f"fit_probe: pooling: the readout says it now: readout={str(now)!r}"
    warnings.warn(DawnChorusWarning(text), stacklevel=3)
    return now


def _check(
    config: FitConfig,
    train: Features,
    validation: Features | None,
    classes: tuple[str, ...],
    *,
    multi_label: bool,
) -> None:
    if len(set(classes)) != len(classes) or len(classes) < (1 if multi_label else 2):
        raise UsageError(
            f"{len(classes)} classes, {len(set(classes))} of them different; need "
            f"{'at least one' if multi_label else 'two or more'}, each once"
        )
    train.check("train", len(classes), multi_label=multi_label)
    if validation is not None:
        validation.check("validation", len(classes), multi_label=multi_label)
        if validation.x.shape[-1] != train.x.shape[-1] or validation.x.ndim != train.x.ndim:
            raise UsageError(
                f"validation has features {validation.x.shape[1:]}, train {train.x.shape[1:]}"
            )
    if isinstance(config.class_weights, dict):
        unknown = sorted(set(config.class_weights) - set(classes))
        if unknown:
            raise UsageError(f"class_weights names {unknown}, which are no classes of this task")


def _trainable(
    config: FitConfig, train: Features, classes: tuple[str, ...], *, multi_label: bool
) -> NDArray[np.intp]:
    """Indices of the classes that some items have and, with several labels, some do not."""
    n_positive = np.asarray(train.y).sum(axis=0)
    # one of several labels that all items have is as little to learn as one that none has
    able = (n_positive > 0) & ((n_positive < len(train)) | (not multi_label))
    missing = [f"{classes[k]} ({int(n_positive[k])})" for k in np.flatnonzero(~able)]
    if missing and config.absent == "error":
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        raise TaskError(
            f"{len(missing)} of {len(classes)} classes cannot be learned: none or all of the "
            f"{len(train)} training items have them: {', '.join(missing[:10])}{more}; leave them "
            "out, or set absent='lowest' to rank them last"
        )
    if able.sum() < (1 if multi_label else 2):
        raise TaskError(
            f"the training items suffice for {int(able.sum())} of {len(classes)} classes; too few"
        )
    return np.flatnonzero(able)


def _chosen(
    config: FitConfig,
    train: Features,
    validation: Features | None,
    classes: tuple[str, ...],
    *,
    multi_label: bool,
) -> tuple[Net, dict[str, Any]]:
    """The network with the best hyper-parameters, and notes on the choice."""
    settings = settings_of(config)
    measure, _ = measure_of(config, multi_label=multi_label)
    items = TrainingItems.of(config, train, classes, multi_label=multi_label)
    # a schedule chooses its epoch too, so it needs clips held out even for one setting
    if validation is None and len(settings) == 1 and config.method != "schedule":
        notes = {"chosen": dict(settings[0]), "chosen_on": "nothing: one value was given"}
        return train_net(items, settings[0]), notes
    if validation is None:
        train, where = _choosing_groups(config, train, multi_label=multi_label)
        trials = _cross_validated(config, settings, train, classes, multi_label=multi_label)
    else:
        trials, where = _tried(settings, items, validation), "validation"
    best, epoch = best_of(trials, _ties(config))
    # the schedule's best epoch was kept while it was tried; what is solved is solved on all items
    kept = best.net if config.method == "schedule" else None
    net = kept or train_net(items, best.settings, n_epochs=epoch + 1)
    chosen = dict(best.settings) | ({"n_epochs": epoch + 1} if len(best.scores) > 1 else {})
    score = {"measure": measure, "value": best.scores[epoch], "loss": best.losses[epoch]}
    return net, {"chosen": chosen, "chosen_on": where, "score": score}


def _choosing_groups(
    config: FitConfig, train: Features, *, multi_label: bool
) -> tuple[Features, str]:
    """Groups as folds are made of them, and what the notes say of the folds."""
    where = f"{config.n_folds} folds of train"
    group = None if train.group is None else np.asarray(train.group)
    if group is None or multi_label or len(np.unique(group)) < 2:
        return replace(train, group=group), where
    group, lone = split_lone_groups(train.y, group)
    where += f", groups split because a class is in no other: {', '.join(lone)}" if lone else ""
    return replace(train, group=group), where


def _ties(config: FitConfig) -> str:
    return config.training.ties if config.method == "schedule" else "loss"


def _cross_validated(
    config: FitConfig,
    settings: Sequence[Mapping[str, float]],
    train: Features,
    classes: tuple[str, ...],
    *,
    multi_label: bool,
) -> list[Trial]:
    """A trial for each setting, its scores and losses the means over the folds.

    Raises:
        UsageError: All items belong to one group.
    """
    group = None if train.group is None else np.asarray(train.group)
    if len(train) < 2 or (group is not None and len(np.unique(group)) < 2):
        raise UsageError(
            "without validation items, hyper-parameters are chosen by cross-validation over "
            "groups, and all items belong to one group; give validation items or a single value"
        )
    folds = grouped_folds(train.y, group, n_folds=config.n_folds, seed=config.seed)
    by_fold = []
    for fold in range(int(folds.max()) + 1):
        inside = np.flatnonzero(folds == fold)
        if not np.asarray(train.y)[inside].any():
            continue  # a fold of items without a label has no score
        others = train.take(np.flatnonzero(folds != fold))
        items = TrainingItems.of(config, others, classes, multi_label=multi_label)
        trials = _tried(settings, items, train.take(inside))
        by_fold.append([replace(trial, net=None) for trial in trials])
    return [
        Trial(
            setting,
            np.mean([trials[k].scores for trials in by_fold], axis=0).tolist(),
            np.mean([trials[k].losses for trials in by_fold], axis=0).tolist(),
        )
        for k, setting in enumerate(settings)
    ]


def _tried(
    settings: Sequence[Mapping[str, float]], train: TrainingItems, held_out: Features
) -> list[Trial]:
    """Every setting on the same items, scored on the same held-out items after each epoch."""
    config, multi_label = train.config, train.multi_label
    _, measure = measure_of(config, multi_label=multi_label)
    trials = []
    for setting in settings:
        trial = Trial(setting)

        def watch(net: Net, trial: Trial = trial) -> None:
            logits = net_logits(net, held_out.x, held_out.keep)
            trial.scores.append(measure(held_out.y, logits))
            trial.losses.append(mean_loss(held_out.y, logits, multi_label=multi_label))
            if trial.best(_ties(config))[2] == len(trial.scores) - 1:
                trial.net = copy.deepcopy(net)  # training continues in the same network

        train_net(train, setting, watch)
        trials.append(trial)
    return trials
