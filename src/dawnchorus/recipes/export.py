"""What a run of training leaves to be used: a folder that `load_model` takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from dawnchorus.errors import TrainingError, WeightsError
from dawnchorus.models.write import write_model
from dawnchorus.training.checkpoint import MODEL, load_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from dawnchorus.models.card import Card
    from dawnchorus.models.write import FilePrecision
    from dawnchorus.training.run import RunFolder

METRICS = {
    "map": "mAP",
    "retrieval": "retrieval ROC AUC",
    "cosine": "cosine to the teacher",
}  # as a card writes them
Which = Literal["best", "last", "average"]
PREFIX = "model."  # of the exported model among an objective's tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenWeights:
    """Weights of a run's model, and the steps that they are of.

    Attributes:
        weights: by our names.
        steps: after which they were saved; several: the weights are their mean.
    """

    weights: Mapping[str, Tensor]
    steps: tuple[int, ...]


def chosen_weights(
    run: RunFolder, which: Which, best_step: int | None = None, *, prefix: str = PREFIX
) -> ChosenWeights:
    """Weights of a run's model: the best by validation, the last, or a mean of checkpoints.

    Without validation the best are the last.

    Args:
        run: its folder.
        which: of its weights.
        best_step: the step of the best validation.
        prefix: of the weights among the run's tensors.

    Raises:
        TrainingError: There is no checkpoint.
    """
    kept = sorted(run.checkpoints.glob("step-*"))
    if not kept:
        raise TrainingError(f"{run.checkpoints}: no checkpoint to export")
    steps = [int(folder.name.removeprefix("step-")) for folder in kept]
    if which == "best" and best_step is not None and (run.best / MODEL).is_file():
        kept, steps = [run.best], [best_step]
    elif which != "average":
        kept, steps = kept[-1:], steps[-1:]
    return ChosenWeights(weights=_mean(kept, prefix), steps=tuple(steps))


def _mean(folders: Sequence[Path], prefix: str) -> dict[str, Tensor]:
    sums: dict[str, Tensor] = {}
    for folder in folders:
        for name, value in load_tensors(folder / MODEL).items():
            # heads that only training needs, and a teacher, are not part of the model
            if name.startswith(prefix):
                key = name.removeprefix(prefix)
                sums[key] = (
                    sums.get(key, torch.zeros(())) + value.double()
                )  # float32 sums lose digits
    return {name: (value / len(folders)).float() for name, value in sums.items()}


def scores_of(run: RunFolder, steps: Sequence[int], metric: str) -> str:
    """What validation said of exported weights, in words for their card; "" if it said nothing.

    Args:
        run: whose log holds the scores.
        steps: of the exported weights; the mean of several was never validated itself.
        metric: name of the score in the log, without ``val_``.
    """
    scores = {
        record["step"]: record[f"val_{metric}"]
        for record in run.records()
        if f"val_{metric}" in record
    }
    if not scores:
        return ""
    name = METRICS.get(metric, metric)
    texts = [f"{scores[step]:.4f} at step {step}" for step in steps if step in scores]
    if len(steps) > 1:
        each = f"; each by itself: validation {name} {', '.join(texts)}" if texts else ""
        return f"not validated: mean of steps {', '.join(map(str, steps))}{each}"
    return f"validation {name} {texts[0]}" if texts else f"not validated at step {steps[0]}"


def export_model(
    card: Card,
    labels: Sequence[str] | None,
    weights: Mapping[str, Tensor],
    folder: Path,
    precision: FilePrecision,
) -> Card:
    """Write weights with card and labels in them, and both beside them.

    Raises:
        TrainingError: A weight is not finite in that precision, or the disk is full.
    """
    try:
        return write_model(folder, card, labels, weights, precision)
    except WeightsError as error:
        hint = "" if precision == "float32" else " (export_precision: float32 in the recipe)"
        raise TrainingError(f"{error}{hint}") from error
