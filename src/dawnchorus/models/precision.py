"""Which numbers a model computes in: float32, or bfloat16 where a machine multiplies those itself.

A processor without units for bfloat16 gains nothing from it. What is asked is therefore not
whether torch can compute in it, which it can anywhere, but whether it pays. Where it does not, the
results are the same (`nn.rounded`), so that a store that was begun elsewhere can be continued.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast, get_args

import torch

from dawnchorus.configs import ComputedPrecision
from dawnchorus.errors import UsageError, shown
from dawnchorus.nn.rounded import multiply_in_float32

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dawnchorus.configs import Precision
    from dawnchorus.models.eat import EAT

VARIABLE: Final = "DAWNCHORUS_PRECISION"  # what `auto` is, where somebody decided for a machine
CPUINFO: Final = Path("/proc/cpuinfo")
# as Linux writes them: Intel's and AMD's vectors, Intel's tiles, Arm's vectors. avx512bw alone is
# not enough, though torch calls bfloat16 supported there
X86_FLAGS: Final = frozenset({"avx512_bf16", "amx_bf16"})
ARM_FLAGS: Final = frozenset({"bf16"})
# the same asked of torch, for systems without /proc; private, so they may be gone one day
X86_CHECKS: Final = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
AMPERE: Final = (8, 0)  # NVIDIA's first generation whose tensor cores take bfloat16


def resolve_precision(precision: Precision, device: torch.device) -> ComputedPrecision:
    """What ``auto`` means on a device; any other precision is itself.

    `VARIABLE`, where it is set, says what ``auto`` is.

    Raises:
        UsageError: The variable holds something else.
    """
    if precision != "auto":
        return precision
    named = os.environ.get(VARIABLE) or "auto"
    if named == "auto":
        return "bfloat16" if multiplies_bfloat16(device) else "float32"
    if named not in get_args(ComputedPrecision):
        raise UsageError(f"{VARIABLE}: need auto, float32 or bfloat16, got {shown(named)}")
    return cast("ComputedPrecision", named)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether a device has units for bfloat16, and torch uses them.

    Apple's GPUs count as having none: nobody has measured them yet.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= AMPERE
    if device.type != "cpu" or not _onednn_takes_it():
        return False
    return has_units(_flags())


def has_units(flags: Iterable[str]) -> bool:
    """Whether a processor with these flags multiplies bfloat16."""
    return not {*flags}.isdisjoint(X86_FLAGS | ARM_FLAGS)


def _onednn_takes_it() -> bool:
    """Whether torch was built with the library whose kernels use the units, and it is on."""
    if not (torch._C._has_mkldnn and torch.backends.mkldnn.enabled):
        return False
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # a torch without this private question
        return True


def _flags() -> frozenset[str]:
    """Flags of the first core: as Linux says, elsewhere as torch knows them."""
    try:
        text = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        asked = (getattr(torch.cpu, name, None) for name in X86_CHECKS)
        return X86_FLAGS if any(check is not None and check() for check in asked) else frozenset()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in {"flags", "Features"}:  # of x86, of Arm
            return frozenset(value.split())
    return frozenset()


def to_precision(
    model: EAT, precision: ComputedPrecision, device: torch.device | None = None
) -> EAT:
    """The model with its weights in a precision, in place; its classifier stays float32.

    The classifier is a thousandth of the work, and a logit of 3 in bfloat16 has steps of 0.016:
    scores would be tied that are not.

    Args:
        model: in float32.
        precision: wanted.
        device: that it will compute on; None: the one it is on.
    """
    device = device or model.cls_token.device
    if precision == "bfloat16":
        head, model.head = model.head, None
        model.to(torch.bfloat16)
        model.head = head
    # on every other device torch knows how
    imitated = precision == "bfloat16" and device.type == "cpu" and not multiplies_bfloat16(device)
    multiply_in_float32(model, on=imitated)
    return model
