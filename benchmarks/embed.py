"""End-to-end `embed` of mixed recordings: where time goes, and the share of the bare rate.

The recordings are made by the script: chirps in noise, in several formats, rates and channel
counts. The bare rate is the encoder alone, frontend included, on windows that lie in memory,
measured before and after in the same run; their mean is what `embed` is held against.

    python benchmarks/embed.py --minutes 30
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import soundfile  # noqa: TID251  makes recordings, reads none
import torch

from dawnchorus import embed, load_model
from dawnchorus.models.card import bundled_folder
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig

if TYPE_CHECKING:
    from dawnchorus.engine.embed import EmbedReport

BUNDLED: Final = "dawnchorus_eat_tiny"
Kind = tuple[str, str, int, int, float]  # suffix, subtype, rate, channels, share of the minutes
MIX: Final = (
    (".wav", "PCM_16", 48_000, 1, 0.3),
    (".wav", "PCM_24", 96_000, 2, 0.1),
    (".flac", "PCM_16", 44_100, 2, 0.2),
    (".ogg", "VORBIS", 32_000, 1, 0.15),
    (".mp3", "MPEG_LAYER_III", 44_100, 1, 0.15),
    (".wav", "PCM_16", 16_000, 1, 0.1),
)
PLAIN: Final = ((".wav", "PCM_16", 16_000, 1, 1.0),)  # next to nothing to decode
BLOCK_S: Final = 10.0
TARGET: Final = 0.9


def make_recordings(folder: Path, minutes: float, kinds: tuple[Kind, ...]) -> None:
    """Write one recording of each kind."""
    for number, (suffix, subtype, rate, channels, share) in enumerate(kinds):
        rng = np.random.default_rng(number)
        path = folder / f"{number}{suffix}"
        with soundfile.SoundFile(path, "w", rate, channels, subtype) as file:
            for _ in range(max(1, round(minutes * 60 * share / BLOCK_S))):
                file.write(chirps_in_noise(rng, rate, channels))


def chirps_in_noise(rng: np.random.Generator, rate: int, channels: int) -> np.ndarray:
    """``(samples, channels)``, 10 s."""
    time_s = np.arange(int(BLOCK_S * rate)) / rate
    block = 0.01 * rng.standard_normal((len(time_s), channels)).astype(np.float32)
    for start_s in rng.uniform(0, BLOCK_S - 0.5, 6):
        low, high = rng.uniform(1_000, 7_000, 2)
        inside = (time_s >= start_s) & (time_s < start_s + 0.4)
        since = time_s[inside] - start_s
        chirp = 0.2 * np.sin(2 * np.pi * (low + (high - low) / 0.8 * since) * since)
        block[inside] += chirp[:, None].astype(np.float32)
    return block


def bare_rate(model: EAT, batch_size: int, n_batches: int) -> float:
    """Windows a second of frontend and encoder on windows in memory."""
    generator = torch.Generator().manual_seed(0)
    n_samples = round(model.window_s * model.sample_rate)
    waveforms = 0.1 * torch.randn(batch_size, n_samples, generator=generator)
    with torch.inference_mode():
        model.encode(waveforms)
        started = time.perf_counter()
        for _ in range(n_batches):
            model.encode(waveforms).pool(model.config.readout.parts[0].pooling).cpu()
        return n_batches * batch_size / (time.perf_counter() - started)


def print_table(report: EmbedReport, bare: float) -> None:
    """Print the figures for benchmarks/README.md."""
    print(f"{report.n_windows} windows, {report.duration_s / 60:.1f} minutes of sound, ", end="")
    print(f"{report.elapsed_s:.1f} s on {report.device}: {report.real_time_factor:.0f} x real time")
    print(f"\n{'stage':12}{'seconds':>10}{'of elapsed':>12}")
    for stage, seconds in report.seconds.items():
        beside = "  (beside the encoder)" if stage in {"read", "resample"} else ""
        print(f"{stage:12}{seconds:10.2f}{seconds / report.elapsed_s:12.1%}{beside}")
    rate = report.n_windows / report.elapsed_s
    print(f"\nembed        {rate:8.2f} windows a second")
    print(f"bare encoder {bare:8.2f} windows a second")
    print(f"ratio        {rate / bare:8.1%} (promised: {TARGET:.0%})")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--model", help="name, file or folder; else bundled, or random")
    parser.add_argument("--plain", action="store_true", help="one 16 kHz WAV instead of the mix")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    name = options.model or (BUNDLED if bundled_folder(BUNDLED) else None)
    if name is None:
        torch.manual_seed(0)
        model = EAT(
            EATConfig.of_size("tiny", padded_frames=None, readout="output:valid"), name="random"
        )
    else:
        model = load_model(name, device=options.device)
    model = model.to(options.device).eval()
    n_batches = max(2, round(options.minutes * 60 / model.window_s / options.batch_size / 4))
    with tempfile.TemporaryDirectory() as folder:
        make_recordings(Path(folder), options.minutes, PLAIN if options.plain else MIX)
        before = bare_rate(model, options.batch_size, n_batches)
        report = embed(
            folder,
            model=model,
            store=Path(folder) / "archive.store",
            batch_size=options.batch_size,
        )
        after = bare_rate(model, options.batch_size, n_batches)
    print(f"{model.name}, batches of {options.batch_size}, {torch.get_num_threads()} threads")
    print(f"bare rate before {before:.2f} and after {after:.2f} windows a second")
    print_table(report, (before + after) / 2)


if __name__ == "__main__":
    main()
