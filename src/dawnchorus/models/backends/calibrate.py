"""What the linear layers of an encoder are given, and which of them bear 8 bits.

Static: the range of each layer's input is measured once, on real sound, and holds for all sound to
come; values beyond it are clipped. Ranges taken anew in every batch would make a window's vector
depend on its neighbours, and gave no speed on small models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from dawnchorus.models.backends.rounding import InputRange, rounded_product
from dawnchorus.models.fingerprint import fixed_signal
from dawnchorus.models.shipped_clips import WINDOW_S, shipped_windows

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor
    from torch.utils.hooks import RemovableHandle

    from dawnchorus.models.eat import EAT

SEED: Final = 21
LOUD: Final = 0.3  # standard deviation of noise; full scale is 1
BATCH: Final = 8


def windows_for(model: EAT) -> NDArray[np.float32]:
    """Windows ``(windows, samples)`` of the shipped clips, as long as the model takes at most."""
    return shipped_windows(min(WINDOW_S, model.max_samples / model.sample_rate))


def calibration_sounds(model: EAT) -> list[Tensor]:
    """Batches ``(batch, samples)``: the shipped clips, a chirp, noise and silence.

    The last three are for the ends of the ranges: no bird is as loud as noise in all bands at once,
    nor as quiet as nothing.
    """
    windows = torch.from_numpy(windows_for(model))
    n_samples = windows.shape[1]
    noise = torch.randn(1, n_samples, generator=torch.Generator().manual_seed(SEED)) * LOUD
    made = [fixed_signal(model.sample_rate)[:, :n_samples], noise, torch.zeros(1, n_samples)]
    return [*torch.split(windows, BATCH), torch.cat(made)]


def input_ranges(model: EAT, sounds: Iterable[Tensor]) -> dict[str, InputRange]:
    """The range of what each linear layer of the blocks is given, by the layer's name."""
    seen: dict[str, InputRange] = {}

    def watch(name: str, linear: nn.Linear) -> RemovableHandle:
        def hook(_module: nn.Module, given: tuple[Tensor, ...]) -> None:
            here = InputRange(*(float(end) for end in given[0].aminmax()))
            seen[name] = here.joined(seen.get(name, here))

        return linear.register_forward_pre_hook(hook)

    handles = [watch(name, linear) for name, linear in block_linears(model)]
    try:
        with torch.inference_mode():
            for batch in sounds:
                model.encode_features(*model.features(batch))
    finally:
        for handle in handles:
            handle.remove()
    return seen


def block_linears(model: EAT) -> list[tuple[str, nn.Linear]]:
    """The linear layers of the blocks, which are nearly all of an encoder's work."""
    found = model.blocks.named_modules(prefix="blocks")
    return [(name, module) for name, module in found if isinstance(module, nn.Linear)]


def rounding_errors(model: EAT, ranges: dict[str, InputRange], batch: Tensor) -> dict[str, float]:
    """How far 8 bits move each layer's output, relative to its size; large ones bear them worst.

    Args:
        model: in float32.
        ranges: of `input_ranges`.
        batch: ``(batch, samples)`` of sound.
    """
    errors: dict[str, float] = {}

    def watch(name: str, linear: nn.Linear) -> RemovableHandle:
        def hook(_module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
            rounded = rounded_product(given[0], linear, ranges[name])
            errors[name] = float((rounded - output).norm() / output.norm())

        return linear.register_forward_hook(hook)

    handles = [watch(name, linear) for name, linear in block_linears(model)]
    try:
        with torch.inference_mode():
            model.encode_features(*model.features(batch))
    finally:
        for handle in handles:
            handle.remove()
    return errors
