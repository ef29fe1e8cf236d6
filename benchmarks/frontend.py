"""The batched log-mel against a loop over clips that builds window and mel bank for each.

The loop does what a per-clip Kaldi filterbank does: one clip at a time, constants made anew.

    python benchmarks/frontend.py
"""

from __future__ import annotations

import argparse

import torch
from paired import paired

from dawnchorus.audio import frontend

CLIP_SAMPLES = 160_000


def per_clip(waveforms: torch.Tensor) -> torch.Tensor:
    """The same log-mel, clip by clip in whole-array steps."""
    return torch.stack([one_clip(waveform) for waveform in waveforms])


def one_clip(waveform: torch.Tensor) -> torch.Tensor:
    """``(frames, 128)`` of one clip."""
    window = torch.hann_window(frontend.FRAME_SAMPLES, periodic=False)
    low, high = (frontend.mel(torch.tensor(hz)) for hz in (20.0, 8_000.0))
    width = (high - low) / 129
    left = low + width * torch.arange(128)
    bins = frontend.mel(torch.arange(256) * frontend.SAMPLE_RATE / 512)[:, None]
    bank = torch.minimum((bins - left) / width, (left + 2 * width - bins) / width).clamp_min(0)
    frames = (waveform - waveform.mean()).unfold(
        0, frontend.FRAME_SAMPLES, frontend.FRAME_HOP_SAMPLES
    )
    frames = frames - frames.mean(dim=1, keepdim=True)
    before = torch.nn.functional.pad(frames[None], (1, 0), mode="replicate")[0, :, :-1]
    power = torch.fft.rfft((frames - 0.97 * before) * window, 512).abs().square()[:, :256]
    return (power @ bank).clamp_min(torch.finfo(torch.float32).eps).log()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    print("batch  batched, ms  per clip, ms  ratio  largest difference")
    for batch in (1, 32):
        waveforms = 0.1 * torch.randn(
            batch, CLIP_SAMPLES, generator=torch.Generator().manual_seed(0)
        )
        with torch.inference_mode():
            gap = (frontend.log_mel(waveforms) - per_clip(waveforms)).abs().max()
            took = paired(
                {
                    "batched": lambda w=waveforms: frontend.log_mel(w),
                    "loop": lambda w=waveforms: per_clip(w),
                },
                rounds,
            )
        ours, loop = took["batched"] * 1e3, took["loop"] * 1e3
        print(f"{batch:5d}  {ours:11.2f}  {loop:12.2f}  {loop / ours:5.2f}  {float(gap):18.1e}")


if __name__ == "__main__":
    main()
