"""Log-mel frontend of the released EAT models: waveforms in, Kaldi-style filterbank energies out.

Batched, on the waveform's device, differentiable, for any length from one frame on. It knows
nothing about models, files or sample rates other than its own. Source: Kaldi's fbank with the
arguments of the EAT and AVES2 data code (hanning window, 128 bands, no dither, HTK order).
"""

from __future__ import annotations

import functools
import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from dawnchorus.errors import UsageError

SAMPLE_RATE: Final = 16_000  # Hz
FRAME_SAMPLES: Final = 400  # 25 ms
FRAME_HOP_SAMPLES: Final = 160  # 10 ms
N_FFT: Final = 512  # next power of two
N_BINS: Final = N_FFT // 2  # the Nyquist bin has weight 0 in every band
N_BANDS: Final = 128
LOWEST_HZ: Final = 20.0
HIGHEST_HZ: Final = SAMPLE_RATE / 2
PREEMPHASIS: Final = 0.97
ENERGY_FLOOR: Final = torch.finfo(torch.float32).eps  # log-mel of silence is ln(eps) = -15.94
PADDING_VALUE: Final = 0.0  # log-mel of appended frames, before normalisation, as in training

# Work done at once. On a CPU one clip and a chunk of its frames, so that frames and spectra stay
# in cache (measured in benchmarks/frontend.py); elsewhere whole clips, few enough to bound memory.
CPU_CHUNK_FRAMES: Final = 512
DEVICE_CHUNK_CLIPS: Final = 64


def n_frames(n_samples: int) -> int:
    """Whole frames in ``n_samples``; a tail shorter than a frame's hop is not framed."""
    return 0 if n_samples < FRAME_SAMPLES else 1 + (n_samples - FRAME_SAMPLES) // FRAME_HOP_SAMPLES


def mel(hz: Tensor) -> Tensor:
    """Mel scale of Kaldi (natural logarithm form)."""
    return 1127.0 * torch.log1p(hz / 700.0)


@functools.cache
@torch.inference_mode(mode=False)  # kept for later calls, of which some need gradients
def _window_and_bank(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Symmetric Hann window ``(400,)`` and mel bank ``(257, 128)``, triangles linear in mel."""
    index = torch.arange(FRAME_SAMPLES, dtype=torch.float64)
    window = 0.5 - 0.5 * torch.cos(2 * math.pi * index / (FRAME_SAMPLES - 1))
    low, high = mel(torch.tensor([LOWEST_HZ, HIGHEST_HZ], dtype=torch.float64)).tolist()
    width = (high - low) / (N_BANDS + 1)
    left = low + width * torch.arange(N_BANDS, dtype=torch.float64)
    bins = mel(torch.arange(N_BINS, dtype=torch.float64) * SAMPLE_RATE / N_FFT)[:, None]
    bank = torch.minimum((bins - left) / width, (left + 2 * width - bins) / width).clamp_min(0)
    bank = torch.cat([bank, bank.new_zeros(1, N_BANDS)])  # the Nyquist bin belongs to no band
    return window.to(device, dtype), bank.to(device, dtype)


def log_mel(waveforms: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Log-mel energies of a batch of waveforms.

    Args:
        waveforms: ``(batch, samples)`` at 16 kHz, nominally within [-1, 1], float32 or float64.
        lengths: ``(batch,)`` samples that hold sound; the rest is padding and changes nothing.

    Returns:
        ``(batch, frames, 128)``, natural logarithm. Frames that reach past a clip's length are
        0.0, the value that the released models saw there.

    Raises:
        UsageError: A clip is shorter than one frame (400 samples), or the shape or type is wrong.
    """
    if waveforms.ndim != 2 or waveforms.dtype not in (torch.float32, torch.float64):
        raise UsageError(
            f"waveforms: need (batch, samples) of float32 or float64, "
            f"got {tuple(waveforms.shape)} of {waveforms.dtype}"
        )
    shortest = int(lengths.min()) if lengths is not None else waveforms.shape[1]
    if shortest < FRAME_SAMPLES:
        raise UsageError(
            f"waveforms: the shortest clip has {shortest} samples, need {FRAME_SAMPLES} (one frame)"
        )
    total = n_frames(waveforms.shape[1])
    # The three linear steps of a frame are regrouped so that each sample is touched once: with
    # z[i] = x[i+1] - 0.97 x[i], pre-emphasis of (x - m) is z - 0.03 m. The first sample of a
    # frame, which Kaldi emphasises against itself, meets a window value of 0 and drops out. The
    # mean over the whole clip, which the original subtracts first, cancels against the mean over
    # the frame; subtracting the mean of the first frame, which is never padding, only keeps an
    # offset of the recorder from costing digits of a faint sound.
    waveforms = waveforms - waveforms[:, :FRAME_SAMPLES].mean(dim=1, keepdim=True)
    emphasised = waveforms[:, 1:] - PREEMPHASIS * waveforms[:, :-1]
    frames = emphasised.unfold(-1, FRAME_SAMPLES - 1, FRAME_HOP_SAMPLES)[:, :total]
    offsets = (1 - PREEMPHASIS) * _frame_means(waveforms, total)[..., None]
    if waveforms.requires_grad and torch.is_grad_enabled():
        window, bank = _window_and_bank(waveforms.device, waveforms.dtype)
        padded = functional.pad((frames - offsets) * window[1:], (0, N_FFT - FRAME_SAMPLES + 1))
        energies = _power(padded) @ bank
    else:
        energies = _energies_in_chunks(frames, offsets)
    out = energies.clamp_min(ENERGY_FLOOR).log()
    return out if lengths is None else _blank_padding(out, lengths)


def _frame_means(waveforms: Tensor, total: int) -> Tensor:
    """Mean of each frame, ``(batch, frames)``, from sums over blocks of 80 samples, five each."""
    block = math.gcd(FRAME_SAMPLES, FRAME_HOP_SAMPLES)
    n_blocks = waveforms.shape[1] // block
    sums = waveforms[:, : n_blocks * block].reshape(-1, n_blocks, block).sum(-1)
    frames = sums.unfold(-1, FRAME_SAMPLES // block, FRAME_HOP_SAMPLES // block)
    means: Tensor = frames[:, :total].sum(-1) / FRAME_SAMPLES
    return means


def _power(padded: Tensor) -> Tensor:
    spectrum = torch.view_as_real(torch.fft.rfft(padded))
    real, imaginary = spectrum[..., 0], spectrum[..., 1]
    return torch.addcmul(real.square(), imaginary, imaginary)


def _energies_in_chunks(frames: Tensor, offsets: Tensor) -> Tensor:
    n_clips, total = offsets.shape[:2]
    window, bank = _window_and_bank(frames.device, frames.dtype)
    on_cpu = frames.device.type == "cpu"
    clips = 1 if on_cpu else min(n_clips, DEVICE_CHUNK_CLIPS)
    length = min(total, CPU_CHUNK_FRAMES) if on_cpu else total
    buffer = frames.new_zeros(clips, length, N_FFT)  # the tail stays zero: the FFT's padding
    energies = frames.new_empty(n_clips, total, N_BANDS)
    for first in range(0, n_clips, clips):
        rows = slice(first, min(first + clips, n_clips))
        for start in range(0, total, length):
            columns = slice(start, min(start + length, total))
            padded = buffer[: rows.stop - rows.start, : columns.stop - columns.start]
            body = padded[..., : FRAME_SAMPLES - 1]
            torch.sub(frames[rows, columns], offsets[rows, columns], out=body)
            body.mul_(window[1:])
            torch.matmul(_power(padded), bank, out=energies[rows, columns])
    return energies


def _blank_padding(out: Tensor, lengths: Tensor) -> Tensor:
    n_sound = torch.div(lengths - FRAME_SAMPLES, FRAME_HOP_SAMPLES, rounding_mode="floor") + 1
    ends = n_sound.to(out.device, non_blocking=True)  # a few numbers, for which no GPU shall wait
    padding = torch.arange(out.shape[1], device=out.device) >= ends[:, None]
    return out.masked_fill(padding[..., None], PADDING_VALUE)


def fit_frames(energies: Tensor, n_target: int) -> Tensor:
    """Append frames of 0.0 until there are ``n_target``; the caller has refused anything longer."""
    return functional.pad(energies, (0, 0, 0, n_target - energies.shape[1]), value=PADDING_VALUE)


def normalise(energies: Tensor, mean: float, std: float) -> Tensor:
    """``(x - mean) / (2 std)``; the factor 2 belongs to the recipe (EAT, section 4.1)."""
    return (energies - mean) / (2 * std)


def normalise_per_clip(energies: Tensor) -> Tensor:
    """Each clip by its own mean and standard deviation, padding included.

    A model card asks for this by the constants (0, 1).
    """
    mean = energies.mean(dim=(1, 2), keepdim=True)
    std = energies.std(dim=(1, 2), keepdim=True)
    return (energies - mean) / (2 * std)
