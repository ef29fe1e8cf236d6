"""What a run of training leaves to be used: a folder that `load_model` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from safetensors.torch import save

from dawnchorus.errors import TrainingError
from dawnchorus.labels import label_map_text
from dawnchorus.models.card import CARD_FILE, LABELS_FILE, WEIGHTS_FILE, Card
from dawnchorus.models.eat import EAT
from dawnchorus.models.fingerprint import fingerprint
from dawnchorus.store.files import write_whole
from dawnchorus.training.checkpoint import MODEL, load_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from dawnchorus.training.run import RunFolder

Which = Literal["best", "last", "average"]
PREFIX = "model."  # of the exported model among an objective's tensors


def chosen_weights(run: RunFolder, which: Which) -> dict[str, Tensor]:
    """Weights of a run's model: the best by validation, the last, or a mean of checkpoints.

    Without validation the best are the last.

    Raises:
        TrainingError: There is no checkpoint.
    """
    kept = sorted(run.checkpoints.glob("step-*"))
    if not kept:
        raise TrainingError(f"{run.checkpoints}: no checkpoint to export")
    if which == "best" and (run.best / MODEL).is_file():
        folders = [run.best]
    else:
        folders = kept if which == "average" else kept[-1:]
    sums: dict[str, Tensor] = {}
    for folder in folders:
        for name, value in load_tensors(folder / MODEL).items():
            if name.startswith(PREFIX):
                key = name.removeprefix(PREFIX)
                sums[key] = sums.get(key, torch.zeros(())) + value.double()
    return {name: (value / len(folders)).float() for name, value in sums.items()}


def model_files(card: Card, labels: Sequence[str] | None) -> dict[str, bytes]:
    """Card and label map, which make a folder with a model's weights a model's."""
    files = {CARD_FILE: card.text().encode()}
    if labels is not None:
        files[LABELS_FILE] = label_map_text(labels).encode()
    return files


def export_model(
    card: Card, labels: Sequence[str] | None, weights: Mapping[str, Tensor], folder: Path
) -> None:
    """Write weights as float16, label map and card, with the fingerprint of what was written.

    Raises:
        TrainingError: A weight is not finite in float16.
    """
    halves = {name: value.half().contiguous() for name, value in weights.items()}
    broken = sorted(name for name, value in halves.items() if not torch.isfinite(value).all())
    if broken:
        raise TrainingError(f"{folder}: {broken[0]} is not finite in float16; cannot be exported")
    model = EAT(card.config, name=card.name, labels=labels, initialise=False)
    model.load_state_dict({name: value.float() for name, value in halves.items()})
    card = card.model_copy(update={"fingerprint": fingerprint(model.eval())})
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / WEIGHTS_FILE, save(halves))
    for name, content in model_files(card, labels).items():
        write_whole(folder / name, content)
