"""End-to-end `embed` of mixed recordings, beside what it could reach at most.

The recordings are made by the script: chirps in noise, in several formats, rates and channel
counts. Two limits, measured in the same run: the bare encoder, as many workers as in `embed` on
windows in memory, before and after; and reading alone, by the same threads for an encoder that
costs nothing. On a CPU both need the same cores, so together they cannot do more than
1 / (1 / bare + 1 / reading).

    python benchmarks/embed.py --minutes 30 --rows tiny tiny:bfloat16
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
import soundfile  # noqa: TID251  makes recordings, reads none
import torch

from dawnchorus import embed, load_model
from dawnchorus.configs import EmbedConfig
from dawnchorus.engine.encoding.embedder import ready_embedder
from dawnchorus.engine.encoding.workers import one_core_each
from dawnchorus.engine.options import read_settings
from dawnchorus.engine.pipeline.events import EncodedWindows
from dawnchorus.engine.pipeline.read import StageClock
from dawnchorus.engine.pipeline.stream import run_windows
from dawnchorus.engine.recordings.find import find_recordings
from dawnchorus.engine.recordings.jobs import jobs_of, with_file_facts
from dawnchorus.models.card import bundled_folder
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.models.precision import to_precision

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


def model_of(row: str) -> EAT:
    """``tiny`` is the bundled model, other sizes have random weights; ``:bfloat16`` behind it."""
    size, _, precision = row.partition(":")
    if size == "tiny" and bundled_folder(BUNDLED):
        return load_model(BUNDLED, device="cpu", precision=precision or "float32")
    torch.manual_seed(0)
    config = EATConfig.of_size(size, padded_frames=None, readout="output:valid")
    model = EAT(config, name=f"random {size}").eval()
    return to_precision(model, "bfloat16", torch.device("cpu")) if precision else model


def bare_rate(model: EAT, config: EmbedConfig, wanted_s: float) -> float:
    """Windows a second of frontend and encoder in all workers, on windows in memory."""
    with ready_embedder(model, config) as embedder:
        n_workers, size = embedder.batches.n_workers, embedder.batch_size
        window = embedder.settings.window
        waveforms = 0.1 * torch.randn(size, window, generator=torch.Generator().manual_seed(0))
        lengths = torch.full((size,), window)
        with one_core_each(n_workers), ThreadPoolExecutor(n_workers) as pool:

            def batches_until(stop_s: float) -> int:
                n_done = 0
                while time.perf_counter() < stop_s:
                    embedder.encode(waveforms, lengths)
                    n_done += 1
                return n_done

            embedder.encode(waveforms, lengths)
            started = time.perf_counter()
            counts = pool.map(batches_until, [started + wanted_s] * n_workers)
            return sum(counts) * size / (time.perf_counter() - started)


def reading_rate(folder: Path, model: EAT, config: EmbedConfig) -> float:
    """Windows a second that reading delivers to an encoder that costs nothing."""

    def nothing(waveforms: torch.Tensor, _lengths: torch.Tensor) -> np.ndarray:
        return np.zeros((len(waveforms), 1), np.float32)

    jobs = map(with_file_facts, jobs_of(find_recordings([folder]), folder, config))
    settings = read_settings(model, config)
    started = time.perf_counter()
    n_windows = sum(
        len(event.window)
        for event in run_windows(jobs, settings, nothing, batch_size=8, clock=StageClock())
        if isinstance(event, EncodedWindows)
    )
    return n_windows / (time.perf_counter() - started)


def measured(row: str, folder: Path, store: Path, seconds: float) -> str:
    """A line of the table."""
    model, config = model_of(row), EmbedConfig(device="cpu")
    before = bare_rate(model, config, seconds)
    reading = reading_rate(folder, model, config)
    report = embed(folder, model=model, store=store, config=config)
    bare = (before + bare_rate(model, config, seconds)) / 2
    rate = report.n_windows / report.elapsed_s
    most = 1 / (1 / bare + 1 / reading)
    busy = ", ".join(f"{room} {share:.0%}" for room, share in report.busy.items())
    return (
        f"| {row} | {report.real_time_factor:,.0f} | {rate:.1f} | {bare:.1f} | {reading:.0f} | "
        f"{most:.1f} | {rate / bare:.0%} | {rate / most:.0%} | {busy} |"
    )


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rows", nargs="+", default=["tiny", "tiny:bfloat16", "base"])
    parser.add_argument("--plain", action="store_true", help="one 16 kHz WAV instead of the mix")
    parser.add_argument("--seconds", type=float, default=4.0, help="of the bare encoder, twice")
    options = parser.parse_args()
    print("windows a second, and shares:")
    print(
        "| model | x real time | embed | bare encoder | reading alone | both at most | of bare "
        f"(promised {TARGET:.0%}) | of both | busy |"
    )
    print(f"|{'---|' * 9}")
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "in"
        sound.mkdir()
        make_recordings(sound, options.minutes, PLAIN if options.plain else MIX)
        for number, row in enumerate(options.rows):
            print(
                measured(row, sound, Path(folder) / f"{number}.store", options.seconds), flush=True
            )


if __name__ == "__main__":
    main()
