"""Names and shapes of tensors: foreign layouts of EAT weights to ours, and what a model must have.

Four layouts are known besides our own: the AVES2 safetensors with classifier, fairseq names
(SSL-only safetensors and ``.pt``), the Hugging Face safetensors, and any of them with a leading
``module.``. Nothing here reads a tensor.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.errors import WeightsError
from dawnchorus.models.eat_config import (
    MAX_CLASSES,
    MAX_DIM,
    MAX_LAYERS,
    MAX_MLP_RATIO,
    N_BAND_STEPS,
    EATConfig,
)
from dawnchorus.nn.patches import PATCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Shape = tuple[int, ...]
OURS: Final = "dawnchorus"  # the layout that this package writes
# of wrappers around the network, in order
PREFIXES: Final = ("module.", "backbone.", "averaged.", "model.")
# Foreign name to ours, after prefixes are gone; the first rule that matches counts. IMAGE: EAT
# grew out of data2vec 2.0, whose code takes a log-mel for an image.
RULES: Final = tuple(
    (re.compile(pattern), ours)
    for pattern, ours in (
        (r"(?:modality_encoders\.IMAGE\.)?extra_tokens", "cls_token"),
        (r"(?:modality_encoders\.IMAGE\.)?local_encoder\.proj\.(\w+)", r"patch_embed.proj.\1"),
        (r"(?:modality_encoders\.IMAGE\.)?fixed_positional_encoder\.positions", "positions"),
        (r"modality_encoders\.IMAGE\.context_encoder\.norm\.(\w+)", r"pre_norm.\1"),
        (r"pre_norm\.(\w+)", r"pre_norm.\1"),
        # ten digits at most: int() of a name with thousands of them would be refused by Python
        (r"(blocks\.[0-9]{1,10}\.(?:norm[12]|attn\.(?:qkv|proj)|mlp\.fc[12])\.\w+)", r"\1"),
        (r"(?:classifier|head)\.(weight|bias)", r"head.linear.\1"),
        (r"fc_norm\.(weight|bias)", r"head.norm.\1"),
        (r"(head\.(?:linear|norm)\.\w+|cls_token|positions|patch_embed\.proj\.\w+)", r"\1"),
    )
)
# The pretraining decoder and the teacher: part of a pretraining checkpoint, not of the encoder.
UNNEEDED: Final = re.compile(r"modality_encoders\.IMAGE\.decoder\..+|_ema(?:\..+)?")
HEAD_DIM: Final = 64  # channels of one attention head in every EAT
HEAD_NORM_EPS: Final = 1e-5  # torch's default, which fine-tuned EAT has; no file says it
# Most of each size that tells the shape of a model, by the tensor that shows it.
LIMITS: Final = {
    "cls_token": MAX_DIM,
    "head.linear.weight": MAX_CLASSES,
    "blocks.0.mlp.fc1.weight": MAX_DIM * MAX_MLP_RATIO,
}


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
        ours = _our_name(short)
        if UNNEEDED.fullmatch(short):
            ignored.append(name)
        elif ours is None:
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
    matches = ((pattern.fullmatch(name), ours) for pattern, ours in RULES)
    return next((match.expand(ours) for match, ours in matches if match), None)


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
    # counted before anything is allocated: a file of one tensor may name block 10**9
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
        fields["head_norm_eps"] = HEAD_NORM_EPS
    if "blocks.0.mlp.fc1.weight" in shapes:
        fields["mlp_ratio"] = _axis(shapes, "blocks.0.mlp.fc1.weight", 0, source) / dim
    return fields


def _axis(shapes: Mapping[str, Shape], name: str, axis: int, source: str) -> int:
    limit, shape = LIMITS[name], shapes[name]
    size = shape[axis] if len(shape) > axis else 0
    if not 0 < size <= limit:
        raise WeightsError(
            f"{source}: {name} has the shape {shape}; need 1 to {limit} on axis {axis}"
        )
    return size


def expected_shapes(config: EATConfig) -> dict[str, Shape]:
    """Shapes of a model's tensors by name, without the model.

    Torch's device ``meta`` could tell them too, and takes two seconds to import.
    """
    dim, hidden = config.dim, int(config.dim * config.mlp_ratio)
    shapes: dict[str, Shape] = {"cls_token": (1, 1, dim)}
    if config.stored_positions:
        shapes["positions"] = (1, config.max_time_steps * N_BAND_STEPS, dim)
    # shapes of weights; each has a bias as long as its first axis
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
