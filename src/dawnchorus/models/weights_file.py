"""A weights file: which tensors it has, what it says of itself, and what identifies weights."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from dawnchorus.errors import WeightsError
from dawnchorus.models.address import TORCH_SUFFIXES
from dawnchorus.models.header import Header, read_header
from dawnchorus.models.layouts import detect_layout, map_names
from dawnchorus.models.torch_files import read_torch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from dawnchorus.models.layouts import Shape

AVERAGED: Final = "averaged."  # a moving average of the weights, in a checkpoint of a run of ours
# keys under which training code of others puts the weights, from the outside in
WRAPPERS: Final = ("model_state_dict", "model", "state_dict")
# what a checkpoint of a run of ours holds beside the model, which lies under ``model.``
OF_TRAINING: Final = (
    "further.", "to_embedding.", "to_logits.", "to_bands.", "teacher.", "decoder.", "distillation."
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFile:
    """A weights file that was inspected.

    Attributes:
        path: where it lies.
        header: shapes, and the card and labels in it.
        names: our name to the file's, of the tensors that the encoder takes.
        ignored: names in the file of tensors that encoding does not need.
        layout: for people to read.
        tensors: by the names in the file, where inspecting meant reading; None: not read yet.
    """

    path: Path
    header: Header
    names: Mapping[str, str]
    ignored: tuple[str, ...]
    layout: str
    tensors: Mapping[str, Tensor] | None = None

    @property
    def shapes(self) -> dict[str, Shape]:
        """Shapes by our names."""
        return {ours: self.header.shapes[name] for ours, name in self.names.items()}

    def read(self) -> dict[str, Tensor]:
        """The file's tensors, by the names in the file.

        Raises:
            WeightsError: The file has changed or is gone since it was inspected.
        """
        if self.tensors is not None:
            return dict(self.tensors)
        try:
            return load_file(self.path)
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"{self.path}: cannot be read: {error}") from error


def inspect_weights(path: Path) -> WeightsFile:
    """See which layout a weights file has, which tensors of which shape, and which card.

    Of a safetensors file only the header is read, so that a file that claims too much is refused
    before anything is allocated.

    Raises:
        WeightsError: The file is missing, empty, truncated, of no known layout, or holds anything
            but tensors and plain values.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    tensors: dict[str, Tensor] | None = None
    if path.suffix in TORCH_SUFFIXES:
        tensors = _unwrap(path, read_torch(path))
        header = Header(shapes={name: tuple(value.shape) for name, value in tensors.items()})
    else:
        header = read_header(path)
    if not header.shapes:
        raise WeightsError(
            f"{path}: holds no tensors ({path.stat().st_size} bytes). Early copies of some "
            "published files were empty; get the file again"
        )
    wanted = list(header.shapes)
    if any(name.startswith("model.cls_token") for name in wanted):  # a checkpoint of a run
        # where the run keeps an average of its weights, that is what it validates and exports
        is_averaged = any(name.startswith(AVERAGED) for name in wanted)
        left_out = (*OF_TRAINING, "model.") if is_averaged else OF_TRAINING
        wanted = [name for name in wanted if not name.startswith(left_out)]
    names, ignored = map_names(wanted, str(path))
    return WeightsFile(
        path=path,
        header=header,
        names=names,
        ignored=ignored,
        layout=detect_layout(wanted),
        tensors=tensors,
    )


def _unwrap(path: Path, content: object) -> dict[str, Tensor]:
    for key in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: need a dict of tensors, found {type(content).__name__}")
    tensors = {
        str(name): value.detach()
        for name, value in content.items()
        if isinstance(value, torch.Tensor)
    }
    n_bytes = path.stat().st_size
    for name, value in tensors.items():
        # a stride of 0 makes a terabyte of one number
        if value.numel() * value.element_size() > n_bytes:
            raise WeightsError(
                f"{path}: {name} has the shape {tuple(value.shape)}, which is more than the "
                f"{n_bytes} bytes of the file can hold"
            )
    return tensors


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of tensors, in hex."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        # by bytes: NumPy has no bfloat16
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def weights_sha256_of(model: object) -> str | None:
    """What identifies a model's weights: the SHA-256 of their file, or of the tensors themselves.

    A model whose weights came from no file gives ``tensors-`` and a hash over all of them; one that
    is not made of torch modules and has no ``weights_sha256`` gives None.
    """
    noted: str | None = getattr(model, "weights_sha256", None)
    if noted is None and isinstance(model, nn.Module):
        return f"tensors-{tensors_sha256(model.state_dict())}"
    return noted


def forget_file(model: object) -> None:
    """Identify a model that was trained by its tensors: they are no longer those of a file."""
    if getattr(model, "weights_sha256", None) is not None and isinstance(model, nn.Module):
        model.weights_sha256 = None  # type: ignore[assignment]  # nn.Module's is for tensors
