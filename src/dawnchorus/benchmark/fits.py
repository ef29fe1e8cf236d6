"""Probes of a plan: how each is fitted under a protocol, and on which clips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.benchmark.figures import paper_schedule
from dawnchorus.benchmark.plan import TABLE_FEATURES
from dawnchorus.configs import FitConfig
from dawnchorus.configs.readout import MEAN_OF_OUTPUT
from dawnchorus.probes.few_shot import draw_clips
from dawnchorus.probes.fit import EncoderMark, Features, fit_probe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dawnchorus.benchmark.plan import Cell, FeatureSpec
    from dawnchorus.benchmark.task_run import TaskRun
    from dawnchorus.benchmark.tasks.base import Measures
    from dawnchorus.configs.benchmark import BenchmarkConfig

SCHEDULE: Final = "_schedule"  # behind linear: by AdamW as the paper's code, not to convergence
PAPER_SEED: Final = 42
ONE_CLIP_STRENGTH: Final = 0.1  # one clip a class leaves nothing to choose by
SELECT_BY: Final = {"accuracy": "accuracy", "macro_recall": "macro_recall"}


def fit_config(
    cell: Cell, config: BenchmarkConfig, measures: Measures, *, model: str, seed: int
) -> FitConfig:
    """How a probe of a plan is fitted.

    Hyper-parameters are chosen by the task's own measure. With few labels they are chosen inside
    the clips that were drawn, since a user has no others.

    Raises:
        UsageError: There is no such probe, or an option that it does not take.
    """
    kind = cell.probe.removesuffix(SCHEDULE)
    # lowest: a class without a training clip scores below all others, it does not raise
    options: dict[str, Any] = {"probe_type": kind, "seed": seed, "absent": "lowest"}
    options["select_by"] = SELECT_BY.get(str(measures.probe), "mean_average_precision")
    if cell.probe.endswith(SCHEDULE):
        options |= {"solver": "schedule", "schedule": paper_schedule(model)}
    if cell.n_labels is not None:
        # five folds need five clips a class
        options["n_folds"] = max(2, min(5, cell.n_labels))
        if cell.n_labels == 1:
            options["strengths"] = (ONE_CLIP_STRENGTH,)
    if config.device not in {"auto", "cpu"}:
        options["device"] = config.device
    return FitConfig(**options | config.probe_options.get(cell.probe, {}))


def fitted_logits(
    run: TaskRun, cell: Cell
) -> tuple[dict[int, NDArray[np.float64]], dict[int, dict[str, Any]]]:
    """Logits ``(items, classes)`` of the scored split, and what was chosen, by seed.

    Raises:
        TaskError: The clips cannot teach the task.
    """
    config = run.config
    first = fit_config(cell, config, run.measures, model=run.competitor.name, seed=0)
    logits, notes = {}, {}
    for seed in _seeds(cell, config, first):
        fit = first if first.method != "schedule" else first.model_copy(update={"seed": seed})
        train, validation = _sides(run, cell, seed)
        probe = fit_probe(
            fit,
            train,
            validation,
            run.data.items.classes,
            run.data.items.multi_label,
            encoder=EncoderMark(run.competitor.name, run.competitor.weights_sha256),
            readout=MEAN_OF_OUTPUT
            if cell.features == TABLE_FEATURES
            else cell.features.layers_and_pooling,
        )
        logits[seed] = probe.logits(_floats(run, cell.features, config.split))
        kept = {"chosen", "chosen_on", "n_train", "n_validation", "not_trained"}
        notes[seed] = probe.notes.model_dump(mode="json", include=kept)
        if probe.layer_weights is not None:
            shares = probe.layer_weights.items()
            notes[seed]["layer_weights"] = {layer: round(share, 4) for layer, share in shares}
    return logits, notes


def _seeds(cell: Cell, config: BenchmarkConfig, fit: FitConfig) -> tuple[int, ...]:
    if config.protocol == "paper" and cell.n_labels is None:
        return (PAPER_SEED,)
    if cell.n_labels is None and fit.method != "schedule":
        return (0,)  # nothing is drawn, so every seed gives the same
    return tuple(range(config.n_seeds))


def _sides(run: TaskRun, cell: Cell, seed: int) -> tuple[Features, Features | None]:
    """Train and validation; without validation, choices are made inside train."""
    train = _features(run, cell.features, "train")
    if cell.n_labels is not None:
        # by seed and number: a larger draw is not the smaller one and some more
        rng = np.random.default_rng((seed, cell.n_labels))
        rows = draw_clips(np.asarray(train.y), np.asarray(train.group), cell.n_labels, rng)
        return train.take(rows, np.arange(train.y.shape[1])), None
    if run.config.split == "val" or "val" not in run.splits(cell):
        return train, None
    return train, _features(run, cell.features, "val")


def _features(run: TaskRun, spec: FeatureSpec, split: str) -> Features:
    items = run.data.labelled(split)
    return Features(_floats(run, spec, split), items.y, items.groups)


def _floats(run: TaskRun, spec: FeatureSpec, split: str) -> NDArray[np.float32]:
    return np.asarray(run.features.load(spec, split), np.float32)
