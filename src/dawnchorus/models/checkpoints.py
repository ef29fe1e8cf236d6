"""The one strict loader: foreign names and files in, a model that is filled exactly or an error.

Four layouts of EAT weights are known besides our own: the AVES2 safetensors with classifier,
fairseq names (SSL-only safetensors and ``.pt``), the Hugging Face safetensors, and any of them
with a leading ``module.``. Every tensor of the model must come from the file, every tensor of the
file must be used or be one that encoding does not need, and shapes must agree.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from dawnchorus.errors import WeightsError
from dawnchorus.models.eat import (
    EAT,
    MAX_CLASSES,
    MAX_DIM,
    MAX_LAYERS,
    MAX_MLP_RATIO,
    MAX_TIME_STEPS,
    N_BAND_STEPS,
    EATConfig,
)
from dawnchorus.models.header import Header, read_header
from dawnchorus.models.torch_files import read_torch
from dawnchorus.nn.patches import PATCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from torch import Tensor

    from dawnchorus.models.header import Shape

Tensors = dict[str, "Tensor"]

# Foreign name to ours, after prefixes are gone; the first rule that matches counts.
RULES: Final = tuple(
    (re.compile(pattern), ours)
    for pattern, ours in (
        (r"(?:modality_encoders\.IMAGE\.)?extra_tokens", "cls_token"),
        (r"(?:modality_encoders\.IMAGE\.)?local_encoder\.proj\.(\w+)", r"patch_embed.proj.\1"),
        (r"(?:modality_encoders\.IMAGE\.)?fixed_positional_encoder\.positions", "positions"),
        (r"modality_encoders\.IMAGE\.context_encoder\.norm\.(\w+)", r"pre_norm.\1"),
        (r"pre_norm\.(\w+)", r"pre_norm.\1"),
        (r"(blocks\.[0-9]{1,10}\.(?:norm[12]|attn\.(?:qkv|proj)|mlp\.fc[12])\.\w+)", r"\1"),
        (r"(?:classifier|head)\.(weight|bias)", r"head.linear.\1"),
        (r"fc_norm\.(weight|bias)", r"head.norm.\1"),
        (r"(head\.(?:linear|norm)\.\w+|cls_token|positions|patch_embed\.proj\.\w+)", r"\1"),
    )
)
PREFIXES: Final = ("module.", "backbone.", "model.")
# The pretraining decoder and the teacher: part of a pretraining checkpoint, not of the encoder.
UNNEEDED: Final = re.compile(r"modality_encoders\.IMAGE\.decoder\..+|_ema(?:\..+)?")
WRAPPERS: Final = ("model_state_dict", "model", "state_dict")
READABLE: Final = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})
HEAD_DIM: Final = 64  # channels of one attention head in every EAT
MAX_MLP: Final = MAX_DIM * MAX_MLP_RATIO
OURS: Final = "dawnchorus"  # the layout that this package writes
# what a checkpoint of a run holds beside the model
OF_TRAINING: Final = (
    "further.", "to_embedding.", "to_logits.", "to_bands.", "teacher.", "decoder."
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """How a file fitted."""

    layout: str
    n_matched: int
    ignored: tuple[str, ...]


def weights_sha256_of(model: object) -> str | None:
    """What names a model's weights: the SHA-256 of their file, or of the tensors themselves.

    A model whose weights came from no file gives ``tensors-`` and a hash over all of them; one that
    is not made of torch modules and notes no ``weights_sha256`` gives None.
    """
    noted: str | None = getattr(model, "weights_sha256", None)
    if noted is None and isinstance(model, nn.Module):
        return f"tensors-{tensors_sha256(model.state_dict())}"
    return noted


def forget_file(model: object) -> None:
    """Let a model that was trained be known by its tensors: they are no longer those of a file."""
    if getattr(model, "weights_sha256", None) is not None and isinstance(model, nn.Module):
        model.weights_sha256 = None  # type: ignore[assignment]  # nn.Module's is for tensors


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of tensors, in hex."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A weights file that was looked at: which tensors it has, and what it says of itself.

    Attributes:
        path: where it lies.
        header: shapes, and the card and labels in it.
        names: our name to the file's, of the tensors that the encoder takes.
        ignored: names in the file of tensors that encoding does not need.
        layout: for people to read.
        tensors: by the names in the file, where looking meant reading; None: not read yet.
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

    def read(self) -> Tensors:
        """The file's tensors, by the names in the file.

        Raises:
            WeightsError: The file has changed or is gone since it was looked at.
        """
        if self.tensors is not None:
            return dict(self.tensors)
        try:
            return load_file(self.path)
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"{self.path}: cannot be read: {error}") from error

    def mapped(self, tensors: Mapping[str, Tensor]) -> Tensors:
        """Those that the encoder takes, by our names."""
        return {ours: tensors[name] for ours, name in self.names.items()}


def look_at(path: Path) -> Weights:
    """Look at a weights file: which layout, which tensors of which shape, which card.

    Of a safetensors file only the header is read, so that a file that claims too much is refused
    before anything is allocated.

    Raises:
        WeightsError: The file is missing, empty, truncated, of no known layout, or holds anything
            but tensors and plain values.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    tensors: Tensors | None = None
    if path.suffix in {".pt", ".pth", ".bin", ".ckpt"}:
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
        wanted = [name for name in wanted if not name.startswith(OF_TRAINING)]
    names, ignored = map_names(wanted, str(path))
    return Weights(
        path=path,
        header=header,
        names=names,
        ignored=ignored,
        layout=detect_layout(wanted),
        tensors=tensors,
    )


def _unwrap(path: Path, content: object) -> Tensors:
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


def detect_layout(names: Iterable[str]) -> str:
    """Which of the known layouts a file's names follow, for people to read."""
    names = list(names)
    if any(name.startswith("modality_encoders.") for name in names):
        return "fairseq"
    if any("backbone." in name for name in names):
        return "AVES2"
    if any(name.endswith("extra_tokens") for name in names):
        return "Hugging Face EAT"
    return OURS if any(_without_prefixes(name) == "cls_token" for name in names) else "unknown"


def map_names(names: Iterable[str], source: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Give tensors our names.

    Returns:
        Our name to the one in the file, and the names of those that encoding does not need.

    Raises:
        WeightsError: A name is of no known layout, or two names mean the same tensor.
    """
    mapped: dict[str, str] = {}
    ignored, unknown = [], []
    for name in names:
        short = _without_prefixes(name)
        if UNNEEDED.fullmatch(short):
            ignored.append(name)
            continue
        ours = _our_name(short)
        if ours is None:
            unknown.append(name)
        elif ours in mapped:
            raise WeightsError(f"{source}: two tensors are {ours}, one of them {name}")
        else:
            mapped[ours] = name
    if unknown:
        n_names = len(mapped) + len(ignored) + len(unknown)
        raise WeightsError(
            f"{source}: not EAT weights: {len(unknown)} of {n_names} tensors have names of no "
            f"known layout, such as {', '.join(sorted(unknown)[:3])}"
        )
    return mapped, tuple(ignored)


def _without_prefixes(name: str) -> str:
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _our_name(name: str) -> str | None:
    for pattern, ours in RULES:
        found = pattern.fullmatch(name)
        if found:
            return found.expand(ours)
    return None


def infer_shape(shapes: Mapping[str, Shape], source: str) -> dict[str, Any]:
    """Fields of `EATConfig` that can be read off the shapes of tensors.

    Args:
        shapes: by our names.
        source: the file, for messages.

    Raises:
        WeightsError: The tensors that tell the size are missing, or claim more than any EAT has.
    """
    numbers = {int(name.split(".")[1]) for name in shapes if name.startswith("blocks.")}
    if "cls_token" not in shapes or not numbers:
        raise WeightsError(
            f"{source}: not EAT weights: no CLS token or no blocks among {len(shapes)}"
        )
    n_layers = max(numbers) + 1
    if n_layers > MAX_LAYERS or n_layers > len(numbers):
        raise WeightsError(
            f"{source}: names block {n_layers - 1} and holds {len(numbers)} blocks; need every one "
            f"from 0 on, at most {MAX_LAYERS}"
        )
    dim = _axis(shapes, "cls_token", 2, source)
    fields: dict[str, Any] = {
        "dim": dim,
        "n_layers": n_layers,
        "n_heads": max(1, dim // HEAD_DIM),
        "stored_positions": "positions" in shapes,
    }
    if "head.linear.weight" in shapes:
        fields["n_classes"] = _axis(shapes, "head.linear.weight", 0, source)
    if "head.norm.weight" in shapes:
        fields["head_norm_eps"] = 1e-5
    if "blocks.0.mlp.fc1.weight" in shapes:
        fields["mlp_ratio"] = _axis(shapes, "blocks.0.mlp.fc1.weight", 0, source) / dim
    return fields


def _axis(shapes: Mapping[str, Shape], name: str, axis: int, source: str) -> int:
    limit = {"cls_token": MAX_DIM, "head.linear.weight": MAX_CLASSES}.get(name, MAX_MLP)
    shape = shapes[name]
    size = shape[axis] if len(shape) > axis else 0
    if not 0 < size <= limit:
        raise WeightsError(
            f"{source}: {name} has the shape {shape}; need 1 to {limit} on axis {axis}"
        )
    return size


def build(config: EATConfig, name: str, shapes: Mapping[str, Shape], source: str) -> EAT:
    """A model that the tensors of a file fit exactly, allocated only where they do.

    Args:
        config: of the model; a shorter or longer table of positions in the file is taken.
        name: of the model.
        shapes: of the file's tensors, by our names.
        source: the file, for messages.

    Raises:
        WeightsError: A tensor is missing, unknown or of another shape.
    """
    if "positions" in shapes and config.stored_positions:
        config = _fit_positions(config, shapes["positions"], source)
    want = expected_shapes(config)
    wrong = sorted(key for key in shapes.keys() | want.keys() if shapes.get(key) != want.get(key))
    if wrong:
        shown = "; ".join(f"{n}: {shapes.get(n)}, need {want.get(n)}" for n in wrong[:3])
        raise WeightsError(
            f"{source}: does not fit {name}: {len(wrong)} of {len(want)} tensors are "
            f"missing, unknown or of another shape ({shown})"
        )
    return EAT(config, name=name, initialise=False)


def expected_shapes(config: EATConfig) -> dict[str, Shape]:
    """Shapes of a model's tensors by name, without the model.

    Torch's device ``meta`` could tell them too, and takes two seconds to import.
    """
    dim, hidden = config.dim, int(config.dim * config.mlp_ratio)
    shapes: dict[str, Shape] = {"cls_token": (1, 1, dim)}
    if config.stored_positions:
        shapes["positions"] = (1, config.max_time_steps * N_BAND_STEPS, dim)
    layers: dict[str, Shape] = {"patch_embed.proj": (dim, 1, PATCH, PATCH), "pre_norm": (dim,)}
    for number in range(config.n_layers):
        block = f"blocks.{number}"
        layers |= {
            f"{block}.attn.qkv": (3 * dim, dim),
            f"{block}.attn.proj": (dim, dim),
            f"{block}.norm1": (dim,),
            f"{block}.mlp.fc1": (hidden, dim),
            f"{block}.mlp.fc2": (dim, hidden),
            f"{block}.norm2": (dim,),
        }
    if config.n_classes:
        layers["head.linear"] = (config.n_classes, dim)
        if config.head_norm_eps is not None:
            layers["head.norm"] = (dim,)
    for name, shape in layers.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes


def fill(model: EAT, mapped: Mapping[str, Tensor], source: str) -> None:
    """Fill a model that `build` made, in float32 whatever precision the file has.

    Raises:
        WeightsError: A value is not a finite number, or of a type that weights do not have.
    """
    kinds = {value.dtype for value in mapped.values()} - READABLE
    if kinds:
        raise WeightsError(
            f"{source}: holds numbers of the type {kinds.pop()}; need one of "
            f"{', '.join(sorted(str(kind).removeprefix('torch.') for kind in READABLE))}"
        )
    broken = sorted(name for name, value in mapped.items() if not torch.isfinite(value).all())
    if broken:
        raise WeightsError(
            f"{source}: {len(broken)} tensors hold values that are not finite: {broken[:3]}"
        )
    model.load_state_dict({name: value.float() for name, value in mapped.items()}, assign=True)
    for parameter in model.parameters():
        parameter.requires_grad_()


def _fit_positions(config: EATConfig, shape: Shape, source: str) -> EATConfig:
    """Old checkpoints carry shorter tables; any that covers the model's window will do."""
    padded = config.padded_frames
    needed = (padded // PATCH if padded else 1) * N_BAND_STEPS
    fits = len(shape) == 3 and shape[2] == config.dim and shape[1] % N_BAND_STEPS == 0
    if not fits or not needed <= shape[1] <= MAX_TIME_STEPS * N_BAND_STEPS:
        raise WeightsError(
            f"{source}: the position table has shape {shape}, need (1, rows, {config.dim}) "
            f"with {needed} to {MAX_TIME_STEPS * N_BAND_STEPS} rows"
        )
    return config.model_copy(update={"max_time_steps": shape[1] // N_BAND_STEPS})
