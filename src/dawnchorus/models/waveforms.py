"""The one border that sound in memory crosses on its way into a model: made fit, or refused.

Takes what users have (tensors, arrays, lists, one clip or many) and gives what encoders take. What
could only lead to a plausible wrong result is refused, with the clip that it lies in.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor

from dawnchorus.audio.samples import INTEGERS, LOUDEST, as_float32, too_loud, wrong_type
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_CHANNELS: Final = 16  # of a recording; no clip is so few samples
WHOLE: Final = (torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64)


def as_waveforms(sound: object, *, what: str = "waveforms") -> Tensor:
    """Sound in memory as ``(batch, samples)``, floating-point, finite, on the device it lies on.

    Args:
        sound: a tensor, an array or a list, ``(samples,)`` for one clip or ``(batch, samples)``;
            integers are divided by their full scale.
        what: it is, for messages.

    Raises:
        UsageError: It is nothing of the kind, is empty, or holds NaN or infinite samples.
    """
    waveforms = _scaled(_as_tensor(sound, what), what)
    if waveforms.ndim == 1:
        waveforms = waveforms[None]
    if waveforms.ndim != 2:
        raise UsageError(
            f"{what}: of shape {tuple(waveforms.shape)}; need (batch, samples), or (samples,) for "
            "one clip; channels are mixed down first: waveforms.mean(dim=1)"
        )
    if not waveforms.numel():
        raise UsageError(f"{what}: of shape {tuple(waveforms.shape)}; there is no sound in it")
    if waveforms.shape[1] <= MOST_CHANNELS < waveforms.shape[0]:
        raise UsageError(
            f"{what}: of shape {tuple(waveforms.shape)}, like (samples, channels); need "
            "(batch, samples), so mix the channels: sound.mean(axis=1)"
        )
    _check_values(waveforms, what)
    return waveforms


def as_lengths(lengths: object, waveforms: Tensor, *, what: str = "lengths") -> Tensor | None:
    """Lengths in samples as ``(batch,)`` whole numbers on the CPU's or their own device.

    Args:
        lengths: a tensor, an array, a list, or one number for one clip; None stays None.
        waveforms: ``(batch, samples)`` that they belong to.
        what: they are, for messages.

    Raises:
        UsageError: Not one for each clip, not whole numbers, or past the end of a clip.
    """
    if lengths is None:
        return None
    counts = torch.tensor([lengths]) if isinstance(lengths, int) else _as_tensor(lengths, what)
    counts = counts[None] if counts.ndim == 0 else counts
    n_clips, n_samples = waveforms.shape
    if counts.shape != (n_clips,):
        raise UsageError(
            f"{what}: of shape {tuple(counts.shape)} for {n_clips} clips; need one number a clip"
        )
    if counts.dtype not in WHOLE:
        raise UsageError(
            f"{what}: of type {_name(counts)}; need whole numbers of samples, not seconds or shares"
        )
    low, high = (int(value) for value in counts.aminmax())
    if low < 1 or high > n_samples:
        wrong = low if low < 1 else high
        clip = int((counts == wrong).nonzero()[0])
        raise UsageError(
            f"{what}: clip {clip} has a length of {wrong} samples; need 1 to {n_samples}, which is "
            "how long the waveforms are"
        )
    return counts.long()


def _as_tensor(given: object, what: str) -> Tensor:
    if isinstance(given, Tensor):
        return _plain(given, what)
    if isinstance(given, list | tuple) and any(isinstance(x, Tensor | np.ndarray) for x in given):
        return _stacked(given, what)
    if isinstance(given, list | tuple) or hasattr(given, "__array__"):
        return _from_array(given, what)
    shown = type(given).__name__
    more = "; recordings on disk go to dawnchorus.embed()" if shown in {"str", "PosixPath"} else ""
    raise UsageError(f"{what}: need a tensor, an array or a list of numbers, got {shown}{more}")


def _plain(given: Tensor, what: str) -> Tensor:
    if given.layout != torch.strided or given.is_quantized or given.is_nested or given.is_meta:
        raise UsageError(f"{what}: need an ordinary dense tensor with values, got {given.layout}")
    return given


def _stacked(clips: Sequence[Any], what: str) -> Tensor:
    """Clips of one length side by side."""
    tensors = [_as_tensor(clip, what) for clip in clips]
    shapes = sorted({tuple(clip.shape) for clip in tensors})
    if len(shapes) > 1:
        raise UsageError(
            f"{what}: clips of {len(shapes)} shapes, such as {shapes[0]} and {shapes[-1]}; pad "
            "them with zeros to one length and say with lengths= how long each is"
        )
    if len({clip.dtype for clip in tensors}) > 1:
        tensors = [_scaled(clip, what).float() for clip in tensors]
    return torch.stack(tensors)


def _from_array(given: Any, what: str) -> Tensor:
    try:
        array = np.asarray(given)
    except ValueError as error:  # rows of different lengths
        raise UsageError(
            f"{what}: the clips are of different lengths; pad them: {error}"
        ) from error
    if array.dtype.kind not in "iuf":
        raise UsageError(wrong_type(what, array.dtype.name))
    if array.dtype.kind == "f":
        return torch.from_numpy(np.array(as_float32(array, what=what)))
    if array.dtype.itemsize > 1 and array.dtype.kind == "u":
        raise UsageError(wrong_type(what, array.dtype.name))
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("=")))


def _scaled(sound: Tensor, what: str) -> Tensor:
    """Floating-point samples; integers by their full scale."""
    name = _name(sound)
    if name in INTEGERS:
        zero, full = INTEGERS[name]
        return ((sound.double() - zero) / full).float()
    if not sound.is_floating_point():
        raise UsageError(wrong_type(what, name))
    return sound


def _check_values(waveforms: Tensor, what: str) -> None:
    low, high = (float(value) for value in waveforms.detach().float().aminmax())
    if np.isfinite(low) and np.isfinite(high):
        if max(-low, high) > LOUDEST:
            warnings.warn(too_loud(what, max(-low, high)), UserWarning, stacklevel=5)
        return
    clip, sample = (int(i) for i in (~waveforms.isfinite()).nonzero()[0])
    n_bad = int((~waveforms[clip].isfinite()).sum())
    raise UsageError(
        f"{what}: clip {clip} holds {n_bad} samples that are NaN or infinite, the first is sample "
        f"{sample}; leave the clip out, or set them to 0"
    )


def _name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
