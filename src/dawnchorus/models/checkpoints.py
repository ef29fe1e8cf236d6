"""The one strict loader: foreign names and files in, a model that is filled exactly or an error.

Four layouts of EAT weights are known besides our own: the AVES2 safetensors with classifier,
fairseq names (SSL-only safetensors and ``.pt``), the Hugging Face safetensors, and any of them
with a leading ``module.``. Every tensor of the model must come from the file, every tensor of the
file must be used or be one that encoding does not need, and shapes must agree.
"""

from __future__ import annotations

import hashlib
import pickle
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from dawnchorus.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from dawnchorus.models.eat import EAT

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
        (r"(blocks\.\d+\.(?:norm[12]|attn\.(?:qkv|proj)|mlp\.fc[12])\.\w+)", r"\1"),
        (r"(?:classifier|head)\.(weight|bias)", r"head.linear.\1"),
        (r"fc_norm\.(weight|bias)", r"head.norm.\1"),
        (r"(head\.(?:linear|norm)\.\w+|cls_token|positions|patch_embed\.proj\.\w+)", r"\1"),
    )
)
PREFIXES: Final = ("module.", "backbone.", "model.")
# The pretraining decoder and the teacher: part of a pretraining checkpoint, not of the encoder.
UNNEEDED: Final = re.compile(r"modality_encoders\.IMAGE\.decoder\..+|_ema(?:\..+)?")
WRAPPERS: Final = ("model_state_dict", "model", "state_dict")
HEAD_DIM: Final = 64  # channels of one attention head in every EAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """How a file fitted."""

    layout: str
    n_matched: int
    ignored: tuple[str, ...]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_sha256_of(model: object) -> str | None:
    """What names a model's weights: the SHA-256 of their file, or of the tensors themselves.

    A model whose weights came from no file gives ``tensors-`` and a hash over all of them; one that
    is not made of torch modules and notes no ``weights_sha256`` gives None.
    """
    noted: str | None = getattr(model, "weights_sha256", None)
    if noted is None and isinstance(model, nn.Module):
        return f"tensors-{_tensors_sha256(model)}"
    return noted


def _tensors_sha256(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def read_checkpoint(path: Path) -> Tensors:
    """Tensors of a checkpoint by their names in the file.

    Raises:
        WeightsError: The file is missing, empty, truncated, or holds anything but tensors
            and plain values.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    if path.suffix in {".pt", ".pth", ".bin", ".ckpt"}:
        tensors = _unwrap(path, _read_torch(path))
    else:
        try:
            tensors = load_file(path)
        except (SafetensorError, OSError) as error:
            size = path.stat().st_size
            raise WeightsError(
                f"{path}: not a whole safetensors file ({size} bytes): {error}; get it again"
            ) from error
    if not tensors:
        raise WeightsError(
            f"{path}: holds no tensors ({path.stat().st_size} bytes). Early copies of some "
            "published files were empty; get the file again"
        )
    return tensors


def _read_torch(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as plain:
        # fairseq keeps its options as objects of other packages beside the tensors
        try:
            return torch.load(
                path, map_location="cpu", weights_only=False, pickle_module=_TensorsOnly
            )
        except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
            raise WeightsError(f"{path}: not a readable checkpoint: {error}") from plain


class _Ignored:
    """Stands for any object of a checkpoint that is not a tensor; it does nothing at all."""

    def __init__(self, *_args: object, **_kwargs: object) -> None: ...

    def __setstate__(self, _state: object) -> None: ...

    def __setitem__(self, _key: object, _value: object) -> None: ...

    def append(self, _value: object) -> None: ...

    def extend(self, _values: object) -> None: ...

    def __call__(self, *_args: object, **_kwargs: object) -> _Ignored:
        return self

    def __hash__(self) -> int:
        return id(self)


class _TensorsOnly:
    """A pickle module for `torch.load` that rebuilds tensors and calls nothing else.

    Every other global becomes `_Ignored`, so a pickle that names ``os.system`` gets an object that
    does nothing.
    """

    ALLOWED: Final = {
        ("collections", "OrderedDict"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_parameter"),
        *(("torch", f"{kind}Storage") for kind in ("Float", "Half", "BFloat16", "Double", "Long")),
        *(("torch", f"{kind}Storage") for kind in ("Int", "Short", "Char", "Byte", "Bool")),
    }
    UnpicklingError = pickle.UnpicklingError

    class Unpickler(pickle.Unpickler):
        """Finds only what tensors need."""

        def find_class(self, module: str, name: str) -> Any:
            if (module, name) in _TensorsOnly.ALLOWED:
                return super().find_class(module, name)
            return _Ignored

    @staticmethod
    def load(file: Any, **kwargs: Any) -> object:
        """As `pickle.load`; torch calls it for old-style files."""
        return _TensorsOnly.Unpickler(file, **kwargs).load()


def _unwrap(path: Path, content: object) -> Tensors:
    for key in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: need a dict of tensors, found {type(content).__name__}")
    tensors = {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
    return {str(name): value.detach() for name, value in tensors.items()}


def detect_layout(names: Mapping[str, object]) -> str:
    """Which of the known layouts a file's names follow, for people to read."""
    if any(name.startswith("modality_encoders.") for name in names):
        return "fairseq"
    if any("backbone." in name for name in names):
        return "AVES2"
    if any(name.endswith("extra_tokens") for name in names):
        return "Hugging Face EAT"
    return "dawnchorus" if "cls_token" in names else "unknown"


def map_names(tensors: Mapping[str, Tensor], source: str) -> tuple[Tensors, tuple[str, ...]]:
    """Give tensors our names.

    Returns:
        Tensors by our names, and the names of those that encoding does not need.

    Raises:
        WeightsError: A name is of no known layout, or two names mean the same tensor.
    """
    mapped: Tensors = {}
    ignored, unknown = [], []
    for name, tensor in tensors.items():
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
            mapped[ours] = tensor
    if unknown:
        raise WeightsError(
            f"{source}: not EAT weights: {len(unknown)} of {len(tensors)} tensors have names of no "
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


def infer_shape(mapped: Mapping[str, Tensor], source: str) -> dict[str, Any]:
    """Fields of `EATConfig` that can be read off the tensors.

    Raises:
        WeightsError: The tensors that tell the size are missing.
    """
    numbers = [int(name.split(".")[1]) for name in mapped if name.startswith("blocks.")]
    if "cls_token" not in mapped or not numbers:
        raise WeightsError(
            f"{source}: not EAT weights: no CLS token or no blocks among {len(mapped)}"
        )
    dim = mapped["cls_token"].shape[-1]
    fields: dict[str, Any] = {
        "dim": dim,
        "n_layers": max(numbers) + 1,
        "n_heads": max(1, dim // HEAD_DIM),
        "stored_positions": "positions" in mapped,
    }
    if "head.linear.weight" in mapped:
        fields["n_classes"] = mapped["head.linear.weight"].shape[0]
    if "head.norm.weight" in mapped:
        fields["head_norm_eps"] = 1e-5
    if "blocks.0.mlp.fc1.weight" in mapped:
        fields["mlp_ratio"] = mapped["blocks.0.mlp.fc1.weight"].shape[0] / dim
    return fields


def load_into(model: EAT, mapped: Mapping[str, Tensor], source: str) -> int:
    """Fill a model exactly, whatever precision the file has.

    Returns:
        How many tensors were matched.

    Raises:
        WeightsError: A tensor is missing, unknown or of another shape, or a value is not finite.
    """
    want = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    have = {name: tuple(value.shape) for name, value in mapped.items()}
    if "positions" in have and "positions" in want:
        _fit_positions(model, have["positions"], source)
        want["positions"] = have["positions"]
    wrong = sorted(name for name in have.keys() | want.keys() if have.get(name) != want.get(name))
    if wrong:
        shown = "; ".join(f"{n}: {have.get(n)}, need {want.get(n)}" for n in wrong[:3])
        raise WeightsError(
            f"{source}: does not fit {model.name}: {len(wrong)} of {len(want)} tensors are "
            f"missing, unknown or of another shape ({shown})"
        )
    broken = sorted(name for name, value in mapped.items() if not torch.isfinite(value).all())
    if broken:
        raise WeightsError(
            f"{source}: {len(broken)} tensors hold values that are not finite: {broken[:3]}"
        )
    model.load_state_dict({name: value.float() for name, value in mapped.items()}, assign=True)
    for parameter in model.parameters():
        parameter.requires_grad_()
    return len(mapped)


def _fit_positions(model: EAT, shape: tuple[int, ...], source: str) -> None:
    """Old checkpoints carry shorter tables; any that covers the model's window will do."""
    n_bands = 8
    padded = model.config.padded_frames
    needed = (padded // 16 if padded else 1) * n_bands
    if len(shape) != 3 or shape[2] != model.config.dim or shape[1] < needed or shape[1] % n_bands:
        raise WeightsError(
            f"{source}: the position table has shape {shape}, need (1, rows, {model.config.dim}) "
            f"with at least {needed} rows"
        )
    steps = shape[1] // n_bands
    model.config = model.config.model_copy(update={"max_time_steps": steps})
