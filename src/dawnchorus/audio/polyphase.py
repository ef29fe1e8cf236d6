"""Resampling of a batch in torch, on its own device: what a model hears of another one's input.

Recordings go through soxr (``resample``), a stream each. In training a batch of crops lies on the
device already, and a second model there may want another rate.
"""

from __future__ import annotations

import functools
import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from dawnchorus.audio.resample import resampled_length

# A windowed sinc with the response of soxr's HQ, to 0.4 % of the amplitude on its slope, which lies
# between 0.91 of the lower Nyquist rate and that rate itself; fitted to the impulse response of
# soxr 1.1. A model with a logarithm in front hears such a slope: with one that lies 0.02 lower,
# logits of an AudioSet model moved by up to 0.25.
PASS_BAND: Final = 0.95675  # middle of the slope
N_ZEROS: Final = 92  # zero crossings on each side
KAISER_BETA: Final = 13.0  # 120 dB


def resample_batch(waveforms: Tensor, from_hz: int, to_hz: int) -> Tensor:
    """Resample each row, ``(batch, samples)`` to ``(batch, resampled_length(samples))``.

    Outside the waveform there is silence. Equal rates give the batch itself. Each row is a function
    of itself alone, and the same on every call.
    """
    if from_hz == to_hz:
        return waveforms
    shared = math.gcd(from_hz, to_hz)
    up, down = to_hz // shared, from_hz // shared
    # a convolution in bfloat16 would be a recording of 8 bits
    with torch.autocast(waveforms.device.type, enabled=False):
        sound = waveforms.float()
        kernels = _kernels(up, down, sound.device)
        reach = (kernels.shape[-1] - down) // 2
        padded = functional.pad(sound, (reach, reach + down))[:, None]
        # (batch, phases, steps): the phases of one step are neighbours in time
        phases = functional.conv1d(padded, kernels, stride=down)
    length = resampled_length(waveforms.shape[1], from_hz, to_hz)
    return phases.transpose(1, 2).reshape(len(waveforms), -1)[:, :length]


@functools.cache
@torch.inference_mode(mode=False)  # kept for later calls, wherever the first one is made
def _kernels(up: int, down: int, device: torch.device) -> Tensor:
    """A filter for each output between two whole steps, ``(up, 1, taps)``; cut to the lower rate.

    Source: Smith, Digital audio resampling (band-limited interpolation), with a Kaiser window.
    """
    cutoff = PASS_BAND * min(1.0, up / down)  # of the input's Nyquist rate
    reach = math.ceil(N_ZEROS / cutoff)
    taps = torch.arange(-reach, reach + down, dtype=torch.float64)
    phase = torch.arange(up, dtype=torch.float64)[:, None] * down / up
    away = taps - phase  # (up, taps) input samples between a tap and the output
    inside = (1 - (away / reach).square()).clamp_min(0)
    window = torch.i0(KAISER_BETA * inside.sqrt()) / torch.i0(torch.tensor(KAISER_BETA).double())
    sinc = cutoff * torch.sinc(cutoff * away) * window * (away.abs() <= reach)
    # each phase passes a constant sound unchanged
    return (sinc / sinc.sum(1, keepdim=True))[:, None].to(device, torch.float32)
