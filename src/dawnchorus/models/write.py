"""A model's folder: weights with card and labels in their header, and both beside them for people.

Each file is written beside its place and renamed; with the permissions that the user's files have.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from typing import TYPE_CHECKING, Final, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import save

from dawnchorus.errors import WeightsError
from dawnchorus.labels import label_map_text
from dawnchorus.models.card import CARD_FILE, LABELS_FILE, WEIGHTS_FILE, Card
from dawnchorus.models.eat import EAT
from dawnchorus.models.fingerprint import fingerprint
from dawnchorus.models.header import header_metadata
from dawnchorus.models.weights_file import tensors_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

FilePrecision = Literal["float16", "bfloat16", "float32"]
DTYPES: Final = {
    "float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32
}  # fmt: skip


def write_model(
    folder: Path,
    card: Card,
    labels: Sequence[str] | None,
    weights: Mapping[str, Tensor],
    precision: FilePrecision = "float16",
) -> Card:
    """Write a folder that `load_model` takes, with the fingerprint of what was written.

    Args:
        folder: made if it is not there.
        card: what is known of the model; what only its file tells is put in here.
        labels: in the order of the logits; None: there is no classifier.
        weights: the encoder's, by our names.
        precision: of the numbers in the file.

    Returns:
        The card as written.

    Raises:
        WeightsError: A weight is not finite in that precision, or the folder cannot be written.
    """
    tensors = as_precision(weights, precision, str(folder))
    # the fingerprint is of what the file holds, so of the rounded weights
    model = EAT(card.config, name=card.name, labels=labels, initialise=False)
    model.load_state_dict({name: value.float() for name, value in tensors.items()})
    card = card.model_copy(
        update={
            "fingerprint": fingerprint(model.eval()),
            "precision": precision,
            "tensors_sha256": tensors_sha256(tensors),
        }
    )
    try:
        content = save(tensors, header_metadata(card, labels))
    except SafetensorError as error:
        raise WeightsError(f"{folder}: the weights cannot be written: {error}") from error
    digest = hashlib.sha256(content).hexdigest()
    card = card.model_copy(update={"sha256": digest, "n_bytes": len(content)})
    write_files(folder, {WEIGHTS_FILE: content, **model_files(card, labels)})
    return card


def as_precision(
    weights: Mapping[str, Tensor], precision: FilePrecision, source: str
) -> dict[str, Tensor]:
    """Weights in the precision of a file.

    Raises:
        WeightsError: One of them has no finite number there.
    """
    tensors = {
        name: value.detach().cpu().to(DTYPES[precision]).contiguous()
        for name, value in weights.items()
    }
    broken = sorted(name for name, value in tensors.items() if not torch.isfinite(value).all())
    if broken:
        hint = "" if precision == "float32" else "; write it in float32"
        raise WeightsError(f"{source}: {broken[0]} is not finite in {precision}{hint}")
    return tensors


def smallest_exact(weights: Mapping[str, Tensor]) -> FilePrecision:
    """float16 where that keeps every weight as it is, else float32."""
    exact = all(torch.equal(value.half().float(), value.float()) for value in weights.values())
    return "float16" if exact else "float32"


def model_files(card: Card, labels: Sequence[str] | None) -> dict[str, bytes]:
    """Card and label map as files beside the weights."""
    files = {CARD_FILE: card.text().encode()}
    if labels is not None:
        files[LABELS_FILE] = label_map_text(labels).encode()
    return files


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, each whole or not at all.

    Raises:
        WeightsError: The folder cannot be written.
    """
    unfinished = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            # a name of its own for each writer: two runs that export at once must not share one
            unfinished = folder / f".{name}.{uuid.uuid4().hex[:8]}.beside"
            with unfinished.open("xb") as file:
                file.write(content)
                file.flush()
                # renaming may reach the disk before the content does
                os.fsync(file.fileno())
            unfinished.replace(folder / name)
    except OSError as error:
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)
        raise WeightsError(f"{folder}: the model cannot be written: {error}") from error
