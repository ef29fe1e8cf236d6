"""Fingerprints of sounds that survive re-encoding, shifts, gain and trimming.

A sound is a row of peaks of its spectrogram; a pair of peaks near each other (two bands and the
time between them) is a landmark, and two copies share landmarks at one distance in time. Source:
Wang, An industrial-strength audio search algorithm, ISMIR 2003; parameters are our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE_HZ: Final = 16_000
N_FFT: Final = 512
HOP_SAMPLES: Final = 128  # 8 ms
LOWEST_BIN, HIGHEST_BIN = 6, 230  # 190 Hz to 7.2 kHz; wind below, edges of codecs above
PEAK_FRAMES, PEAK_BINS = 11, 13  # a peak is the largest within such a window
PEAKS_PER_S: Final = 24
FLOOR_DB: Final = 60.0  # below the loudest; quieter peaks do not survive a codec
FAN_OUT: Final = 6  # landmarks that begin at one peak
SHORTEST_GAP, LONGEST_GAP = 2, 63  # frames between the peaks of a landmark
FEWEST_BINS: Final = 2  # between them; a steady tone is the same at every moment, and everywhere


def landmarks(samples: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Landmarks of a sound ``(n,)`` at 16 kHz.

    Returns:
        A number for each (bands and distance), and its frame. None for silence, and for sounds of
        less than about 0.1 s.
    """
    # peaks in order of time; each is paired with some of those that follow it
    frames, bins = _peaks(samples)
    keys, times = [], []
    for step in range(1, FAN_OUT + 4):
        gap = frames[step:] - frames[:-step]
        near = (gap >= SHORTEST_GAP) & (gap <= LONGEST_GAP)
        near &= np.abs(bins[step:] - bins[:-step]) >= FEWEST_BINS
        first, second = bins[:-step][near], bins[step:][near]
        # 8 bits for each band and 6 for the gap in one number
        keys.append((first << 14) | (second << 6) | gap[near])
        times.append(frames[:-step][near])
    key, time = np.concatenate(keys), np.concatenate(times)
    order = np.lexsort([key, time])
    return key[order], time[order]


def _peaks(samples: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Frames and bins of the peaks, in order of time."""
    nothing = np.zeros(0, np.int64)
    if len(samples) < N_FFT or not np.abs(samples).max():
        return nothing, nothing
    window = torch.hann_window(N_FFT)
    spectrum = torch.stft(
        torch.from_numpy(samples), N_FFT, HOP_SAMPLES, window=window, center=False,
        return_complex=True,
    )  # fmt: skip
    level = 20 * torch.log10(spectrum.abs()[LOWEST_BIN:HIGHEST_BIN] + 1e-9)
    # a maximum over a window: once along the frames, once along the bands
    largest = functional.max_pool1d(level, PEAK_FRAMES, 1, PEAK_FRAMES // 2)
    largest = functional.max_pool1d(largest.T, PEAK_BINS, 1, PEAK_BINS // 2).T
    is_peak = (level == largest) & (level > level.max() - FLOOR_DB)
    bins, frames = torch.nonzero(is_peak, as_tuple=True)
    # a fixed number a second, so that quiet recordings have as many as loud ones
    wanted = max(8, round(PEAKS_PER_S * len(samples) / RATE_HZ))
    if len(bins) > wanted:
        strongest = level[bins, frames].topk(wanted).indices
        bins, frames = bins[strongest], frames[strongest]
    order = np.lexsort([bins.numpy(), frames.numpy()])
    return frames.numpy()[order], bins.numpy()[order]
