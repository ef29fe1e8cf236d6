"""Fit a probe on stored features: choose its hyper-parameters, train it, say what was done."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dawnchorus.configs import FitConfig, HeadConfig
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.probes.choose import Trial, best_of, cut_lone_groups, folds, mean_loss, measure_of
from dawnchorus.probes.features import Features
from dawnchorus.probes.fitted import EncoderMark, FittedProbe, net_logits
from dawnchorus.probes.solvers import Prepared, settings_of, train_net

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dawnchorus.probes.net import Net

__all__ = ["EncoderMark", "Features", "FitConfig", "FittedProbe", "fit_probe"]


@torch.inference_mode(mode=False)  # wherever it is called, it has to be able to learn
def fit_probe(
    config: FitConfig,
    train: Features,
    validation: Features | None,
    classes: Sequence[str],
    multi_label: bool,  # noqa: FBT001 - a fact of the task, given with its classes
    *,
    encoder: EncoderMark,
    readout: Sequence[str],
    pooling: str = "",
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
        readout: layers that the features were read from.
        pooling: of layers that name none.

    Raises:
        UsageError: Shapes, options and labels do not fit each other.
        TaskError: A class cannot be learned, or nothing can be scored.
        TrainingError: The solver does not converge.
    """
    names = tuple(classes)
    _check(config, train, validation, names, multi_label=multi_label)
    taught = _taught(config, train, names, multi_label=multi_label)
    everything = np.arange(len(train))
    train = train.take(everything, taught)
    n_unscored = 0
    if validation is not None:
        # a single-label item of a class that is not taught cannot be scored among the rest
        rows = np.arange(len(validation))
        if not multi_label:
            rows = np.flatnonzero(np.asarray(validation.y)[:, taught].sum(axis=1) > 0)
        n_unscored = len(validation) - len(rows)
        validation = validation.take(rows, taught)
    told = tuple(names[k] for k in taught)
    net, notes = _chosen(config, train, validation, told, multi_label=multi_label)
    notes |= {
        "solver": config.method,
        "n_train": len(train),
        "n_validation": 0 if validation is None else len(validation),
        "n_positive": {n: int(k) for n, k in zip(told, train.y.sum(axis=0), strict=True)},
        "n_validation_left_out": n_unscored,
        "not_taught": [name for name in names if name not in told],
    }
    if net.mix is not None:
        notes["layer_weights"] = net.mix.weights.tolist()
    return FittedProbe(
        config=HeadConfig(**{k: getattr(config, k) for k in HeadConfig.model_fields}),
        classes=names,
        multi_label=multi_label,
        encoder=encoder,
        readout=tuple(readout),
        pooling=pooling,
        net=net.cpu().eval(),
        taught=tuple(int(k) for k in taught),
        notes=notes,
    )


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


def _taught(
    config: FitConfig, train: Features, classes: tuple[str, ...], *, multi_label: bool
) -> NDArray[np.intp]:
    positive = np.asarray(train.y).sum(axis=0)
    able = (positive > 0) & ((positive < len(train)) | (not multi_label))
    lost = [f"{classes[k]} ({int(positive[k])})" for k in np.flatnonzero(~able)]
    if lost and config.absent == "error":
        shown = ", ".join(lost[:10]) + (f" and {len(lost) - 10} more" if len(lost) > 10 else "")
        raise TaskError(
            f"train cannot teach {len(lost)} of {len(classes)} classes, they are positive in none "
            f"or all of its {len(train)} items: {shown}; leave them out, or set absent='lowest' "
            f"to rank them last"
        )
    if able.sum() < (1 if multi_label else 2):
        raise TaskError(f"train teaches {int(able.sum())} of {len(classes)} classes; too few")
    return np.flatnonzero(able)


def _chosen(
    config: FitConfig,
    train: Features,
    validation: Features | None,
    classes: tuple[str, ...],
    *,
    multi_label: bool,
) -> tuple[Net, dict[str, Any]]:
    settings = settings_of(config)
    ties = config.training.ties if config.method == "schedule" else "loss"
    measure, _ = measure_of(config, multi_label=multi_label)
    prepared = Prepared.of(config, train, classes, multi_label=multi_label)
    if validation is None and len(settings) == 1 and config.method != "schedule":
        chosen = {"chosen": dict(settings[0]), "chosen_on": "nothing: one value was given"}
        return train_net(prepared, settings[0]), chosen
    if validation is None:
        group = None if train.group is None else np.asarray(train.group)
        where = f"{config.n_folds} folds of train"
        if group is not None and not multi_label and len(np.unique(group)) > 1:
            group, cut = cut_lone_groups(train.y, group)
            where += f", groups cut because a class is in no other: {', '.join(cut)}" if cut else ""
        train = replace(train, group=group)
        trials = _cross_validated(config, settings, train, classes, multi_label=multi_label)
    else:
        trials = _tried(settings, prepared, validation)
        where = "validation"
    best, epoch = best_of(trials, ties)
    kept = best.net if config.method == "schedule" else None
    net = kept or train_net(prepared, best.settings, n_epochs=epoch + 1)
    return net, _said(best, epoch, measure, where)


def _said(best: Trial, epoch: int, measure: str, where: str) -> dict[str, Any]:
    chosen = dict(best.settings) | ({"n_epochs": epoch + 1} if len(best.scores) > 1 else {})
    score = {"measure": measure, "value": best.scores[epoch], "loss": best.losses[epoch]}
    return {"chosen": chosen, "chosen_on": where, "score": score}


def _cross_validated(
    config: FitConfig,
    settings: Sequence[Mapping[str, float]],
    train: Features,
    classes: tuple[str, ...],
    *,
    multi_label: bool,
) -> list[Trial]:
    every = np.arange(train.y.shape[1])
    group = None if train.group is None else np.asarray(train.group)
    parts = []
    for held in folds(train.y, group, config.n_folds, config.seed):
        if not np.asarray(train.y)[held].any():
            continue  # a fold of silence has no score
        rest = np.setdiff1d(np.arange(len(train)), held)
        part = Prepared.of(config, train.take(rest, every), classes, multi_label=multi_label)
        trials = _tried(settings, part, train.take(held, every))
        parts.append([replace(trial, net=None) for trial in trials])
    return [
        Trial(
            setting,
            np.mean([part[k].scores for part in parts], axis=0).tolist(),
            np.mean([part[k].losses for part in parts], axis=0).tolist(),
        )
        for k, setting in enumerate(settings)
    ]


def _tried(
    settings: Sequence[Mapping[str, float]], train: Prepared, held_out: Features
) -> list[Trial]:
    config, multi_label = train.config, train.multi_label
    _, measure = measure_of(config, multi_label=multi_label)
    ties = config.training.ties if config.method == "schedule" else "loss"
    trials = []
    for setting in settings:
        trial = Trial(setting)

        def watch(net: Net, trial: Trial = trial) -> None:
            out = net_logits(net, held_out.x, held_out.keep)
            trial.scores.append(measure(held_out.y, out))
            trial.losses.append(mean_loss(held_out.y, out, multi_label=multi_label))
            if trial.best(ties)[2] == len(trial.scores) - 1:
                trial.net = copy.deepcopy(net)

        train_net(train, setting, watch)
        trials.append(trial)
    return trials
