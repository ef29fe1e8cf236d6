"""Probes of a plan: how each is fitted under a protocol, and on which clips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.benchmark.plan import TABLE_READING
from dawnchorus.benchmark.published import paper_schedule
from dawnchorus.configs import FitConfig
from dawnchorus.configs.readout import MEAN_OF_OUTPUT
from dawnchorus.errors import UsageError
from dawnchorus.probes.few_shot import draw_clips
from dawnchorus.probes.fit import EncoderMark, Features, fit_probe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dawnchorus.benchmark.job import Sheet
    from dawnchorus.benchmark.plan import Group, Reading
    from dawnchorus.benchmark.tasks.base import Measures
    from dawnchorus.configs.benchmark import BenchmarkConfig

SCHEDULE: Final = "_schedule"  # behind linear: by AdamW as the paper's code, not to convergence
PAPER_SEED: Final = 42
ONE_CLIP_STRENGTH: Final = 0.1  # one clip a class leaves nothing to choose by
SELECT_BY: Final = {"accuracy": "accuracy", "macro_recall": "macro_recall"}


def fit_config(
    group: Group, config: BenchmarkConfig, asked: Measures, *, model: str, seed: int
) -> FitConfig:
    """How a probe of a plan is fitted.

    Hyper-parameters are chosen by the task's own measure. With few labels they are chosen inside
    the clips that were drawn, since a user has no others.

    Raises:
        UsageError: There is no such probe, or an option that it does not take.
    """
    kind = group.probe.removesuffix(SCHEDULE)
    options: dict[str, Any] = {"probe_type": kind, "seed": seed, "absent": "lowest"}
    options["select_by"] = SELECT_BY.get(str(asked.probe), "mean_average_precision")
    if group.probe.endswith(SCHEDULE):
        options |= {"solver": "schedule", "schedule": paper_schedule(model)}
    if group.n_labels is not None:
        options["n_folds"] = max(2, min(5, group.n_labels))
        if group.n_labels == 1:
            options["strengths"] = (ONE_CLIP_STRENGTH,)
    if config.device not in {"auto", "cpu"}:
        options["device"] = config.device
    return FitConfig(**options | config.probe_options.get(group.probe, {}))


def fitted_logits(
    sheet: Sheet, group: Group
) -> tuple[dict[int, NDArray[np.float64]], dict[int, dict[str, Any]]]:
    """Logits ``(items, classes)`` of the scored split, and what was chosen, by seed.

    Raises:
        TaskError: The clips cannot teach the task.
    """
    config = sheet.config
    first = fit_config(group, config, sheet.asked, model=sheet.entrant.name, seed=0)
    logits, notes = {}, {}
    for seed in _seeds(group, config, first):
        fit = first if first.method != "schedule" else first.model_copy(update={"seed": seed})
        train, validation = _sides(sheet, group, seed)
        probe = fit_probe(
            fit,
            train,
            validation,
            sheet.job.items.classes,
            sheet.job.items.multi_label,
            encoder=EncoderMark(sheet.entrant.name, sheet.entrant.weights_sha256),
            readout=MEAN_OF_OUTPUT if group.reading == TABLE_READING else group.reading.wanted,
        )
        logits[seed] = probe.logits(_floats(sheet, group.reading, config.split))
        kept = {"chosen", "chosen_on", "n_train", "n_validation", "not_trained"}
        notes[seed] = probe.notes.model_dump(mode="json", include=kept)
        if probe.layer_weights is not None:
            shares = probe.layer_weights.items()
            notes[seed]["layer_weights"] = {layer: round(share, 4) for layer, share in shares}
    return logits, notes


def _seeds(group: Group, config: BenchmarkConfig, fit: FitConfig) -> tuple[int, ...]:
    if config.protocol == "paper" and group.n_labels is None:
        return (PAPER_SEED,)
    if group.n_labels is None and fit.method != "schedule":
        return (0,)  # nothing is drawn, so every seed gives the same
    return tuple(range(config.n_seeds))


def _sides(sheet: Sheet, group: Group, seed: int) -> tuple[Features, Features | None]:
    """Train and validation; without validation, choices are made inside train."""
    train = _features(sheet, group.reading, "train")
    if group.n_labels is not None:
        rng = np.random.default_rng((seed, group.n_labels))
        rows = draw_clips(np.asarray(train.y), np.asarray(train.group), group.n_labels, rng)
        return train.take(rows, np.arange(train.y.shape[1])), None
    if sheet.config.split == "val" or "val" not in sheet.splits(group):
        return train, None
    return train, _features(sheet, group.reading, "val")


def _features(sheet: Sheet, reading: Reading, split: str) -> Features:
    if split not in sheet.splits_there:
        raise UsageError(f"{sheet.job.task.id}: no items in {split}; a probe needs them")
    held = sheet.labelled(split)
    return Features(_floats(sheet, reading, split), held.y, held.groups)


def _floats(sheet: Sheet, reading: Reading, split: str) -> NDArray[np.float32]:
    return np.array(sheet.features(reading, split), np.float32)  # a copy: a map cannot be written
