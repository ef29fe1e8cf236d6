"""Fixed two-dimensional sin-cos positions of EAT's patch grid."""

import torch
from torch import Tensor


def sincos_positions(dim: int, n_time_steps: int, n_band_steps: int) -> Tensor:
    """Table of positions, ``(1, time steps x band steps, dim)``, time-major.

    The first half of the channels encodes the band, the second half the time; within a half all
    sines come before all cosines. Float32 throughout, as the released tables were made: at late
    time steps float64 differs by 3e-5. Source: EAT code; MAE, section A.1.
    """
    n_frequencies = dim // 4
    omega = 1.0 / 10_000 ** (torch.arange(n_frequencies, dtype=torch.float32) / n_frequencies)

    def encode(count: int) -> Tensor:
        angle = torch.arange(count, dtype=torch.float32)[:, None] * omega
        return torch.cat([angle.sin(), angle.cos()], dim=1)

    # (time, bands, dim / 2) each, then side by side
    bands = encode(n_band_steps)[None].expand(n_time_steps, -1, -1)
    times = encode(n_time_steps)[:, None].expand(-1, n_band_steps, -1)
    return torch.cat([bands, times], dim=-1).reshape(1, n_time_steps * n_band_steps, dim)
