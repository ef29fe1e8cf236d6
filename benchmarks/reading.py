"""How fast recordings become windows: times real time by format, one core and two, stage by stage.

The recordings are made by the script. They go through the pipeline of `embed`, content hash
included, to an encoder that costs nothing. One core is one core for all threads of the run.
For each format: many short recordings, and one long one. Then the stages of one thread, each alone.

    python benchmarks/reading.py --minutes 10
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import numpy as np
import soundfile  # noqa: TID251  makes recordings, reads none
import torch

from dawnchorus.audio.decode.read import open_recording
from dawnchorus.audio.decode.recording import BLOCK_SAMPLES
from dawnchorus.audio.resample import resample_blocks
from dawnchorus.audio.windows import cut_blocks
from dawnchorus.engine.pipeline.events import FinishedRecording
from dawnchorus.engine.pipeline.flags import window_flags
from dawnchorus.engine.pipeline.read import ReadSettings, StageClock
from dawnchorus.engine.pipeline.stream import run_windows
from dawnchorus.engine.recordings.jobs import RecordingJob, content_hash_of, with_file_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Kind = tuple[str, str, int, int]  # suffix, subtype, rate, channels
KINDS: Final[dict[str, Kind]] = {
    "WAV 16 kHz": (".wav", "PCM_16", 16_000, 1),
    "WAV 48 kHz": (".wav", "PCM_16", 48_000, 1),
    "FLAC 48 kHz": (".flac", "PCM_16", 48_000, 1),
    "MP3 44.1 kHz": (".mp3", "MPEG_LAYER_III", 44_100, 1),
    "OGG 32 kHz": (".ogg", "VORBIS", 32_000, 1),
    "WAV 96 kHz, 2 x 24 bit": (".wav", "PCM_24", 96_000, 2),
    "M4A 44.1 kHz": (".m4a", "aac", 44_100, 1),
}
RATE: Final = 16_000  # of the model
WINDOW: Final = 5 * RATE
N_SHORT: Final = 8  # recordings that share the minutes
BLOCK_S: Final = 10.0


def noisy_block(rng: np.random.Generator, rate: int, channels: int) -> np.ndarray:
    """``(samples, channels)`` float32: noise that compresses as a quiet night does, and a chirp."""
    time_s = np.arange(int(BLOCK_S * rate)) / rate
    block = 0.01 * rng.standard_normal((len(time_s), channels))
    low = rng.uniform(1_000, 3_000)
    return (block + 0.1 * np.sin(2 * np.pi * (low + 100 * time_s) * time_s)[:, None]).astype("f4")


def make_recording(path: Path, kind: Kind, minutes: float) -> None:
    """Write a recording of a kind."""
    _, subtype, rate, channels = kind
    rng = np.random.default_rng(rate)
    blocks = [noisy_block(rng, rate, channels) for _ in range(3)]
    n_blocks = max(1, round(minutes * 60 / BLOCK_S))
    if path.suffix == ".m4a":
        _make_m4a(path, rate, (blocks[i % 3] for i in range(n_blocks)))
        return
    with soundfile.SoundFile(path, "w", rate, channels, subtype) as file:
        for index in range(n_blocks):
            file.write(blocks[index % 3])


def _make_m4a(path: Path, rate: int, blocks: Iterable[np.ndarray]) -> None:
    import av  # noqa: PLC0415, TID251  an extra; makes recordings

    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=rate)
        stream.layout = "mono"
        for block in blocks:
            for start in range(0, len(block), 1024):
                frame = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(block[start : start + 1024].T), "fltp", "mono"
                )
                frame.sample_rate = rate
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def jobs_of(paths: Iterable[Path]) -> list[RecordingJob]:
    """A job for each."""
    return [
        with_file_facts(
            RecordingJob(
                recording_id=path.name, path=path, name=path.name, size=None, modified_ns=None
            )
        )
        for path in paths
    ]


def nothing(waveforms: torch.Tensor, _lengths: torch.Tensor) -> np.ndarray:
    """An encoder that costs nothing."""
    return np.zeros((len(waveforms), 1), np.float32)


@contextmanager
def cores(count: int) -> Iterator[None]:
    """Threads that are begun inside run on so many cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def settings_for(n_readers: int) -> ReadSettings:
    """As many reading threads; versions of before had one."""
    plain = ReadSettings(sample_rate=RATE, window=WINDOW, hop=WINDOW)
    if "n_readers" in {item.name for item in fields(ReadSettings)}:
        return replace(plain, n_readers=n_readers)
    return plain


def times_real_time(paths: list[Path], n_cores: int) -> float:
    """Seconds of sound that become windows in a second."""
    with cores(n_cores):
        started = time.perf_counter()
        ends = [
            event
            for event in run_windows(
                jobs_of(paths),
                settings_for(n_cores),
                nothing,
                batch_size=8,
                clock=StageClock(),
            )
            if isinstance(event, FinishedRecording)
        ]
        elapsed_s = time.perf_counter() - started
    if len(ends) != len(paths):
        raise SystemExit(f"only {len(ends)} of {len(paths)} recordings were read")
    return sum(end.n_samples / end.recording.rate for end in ends) / elapsed_s


def in_turns(paths: list[Path], rounds: int) -> dict[int, float]:
    """Times real time by number of cores, which take turns."""
    found: dict[int, list[float]] = {1: [], 2: []}
    times_real_time(paths, 2)
    for _ in range(rounds):
        for count, rates in found.items():
            rates.append(times_real_time(paths, count))
    return {count: median(rates) for count, rates in found.items()}


def stage_seconds(path: Path) -> dict[str, float]:
    """Seconds that one thread needs for each stage of a recording, one after the other."""
    seconds: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], object]) -> object:
        before = time.perf_counter()
        result = work()
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - before
        return result

    timed("hash", lambda: content_hash_of(path, threading.Event()))
    with open_recording(path) as recording:
        rate = recording.info.sample_rate
        chunks = recording._chunks(BLOCK_SAMPLES, 0)
        blocks, position = [], 0
        while (chunk := timed("decode", lambda: next(chunks, None))) is not None:
            if not isinstance(chunk, np.ndarray):
                continue
            at = position
            blocks.append(timed("mono", lambda c=chunk, at=at: recording._mono(c, at)))
            position += len(chunk)
    at_rate = timed("resample", lambda: list(resample_blocks(blocks, rate, RATE)))
    windows = timed("cut", lambda: list(cut_blocks(at_rate, WINDOW, WINDOW)))
    for window in windows:
        timed(
            "flags",
            lambda w=window: window_flags(w, RATE, own_rate=rate, gaps=(), nonfinite=()),
        )
    timed("batch", lambda: [_stacked(windows[i : i + 8]) for i in range(0, len(windows), 8)])
    return seconds


def _stacked(windows: list) -> torch.Tensor:
    return torch.from_numpy(np.stack([window.samples for window in windows]))


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of sound for each format")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep the recordings here, and use them again")
    parser.add_argument("--only", nargs="*", help="formats whose name begins so")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    kinds = {
        name: kind
        for name, kind in KINDS.items()
        if not options.only or name.startswith(tuple(options.only))
    }
    made = {name: _made(folder, name, kind, options.minutes) for name, kind in kinds.items()}
    stages = ("hash", "decode", "mono", "resample", "cut", "flags", "batch")
    print(
        f"| format | {N_SHORT} short, one core | two | ratio | one long, one core | two | ratio |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, (short, long) in made.items():
        cells = [name]
        for paths in (short, [long]):
            rates = in_turns(paths, options.rounds)
            cells += [f"{rates[1]:,.0f}", f"{rates[2]:,.0f}", f"{rates[2] / rates[1]:.2f}"]
        print(f"| {' | '.join(cells)} |", flush=True)
    print(f"\n| milliseconds a minute of sound, one thread | {' | '.join(stages)} | all |")
    print(f"|---|{'---|' * len(stages)}---|")
    for name, (_, long) in made.items():
        stage_seconds(long)
        seconds = stage_seconds(long)
        cells = [f"{1e3 * seconds[stage] / options.minutes:.2f}" for stage in stages]
        all_ms = 1e3 * sum(seconds.values()) / options.minutes
        print(f"| {name} | {' | '.join(cells)} | {all_ms:.1f} |", flush=True)
    if options.folder is None:
        shutil.rmtree(folder)


def _made(folder: Path, name: str, kind: Kind, minutes: float) -> tuple[list[Path], Path]:
    """The short recordings of a kind, and the long one."""
    home = folder / name.replace(" ", "_").replace(",", "")
    home.mkdir(parents=True, exist_ok=True)
    long, first = home / f"long{kind[0]}", home / f"0{kind[0]}"
    for path, length in ((long, minutes), (first, minutes / N_SHORT)):
        if not path.exists():
            make_recording(path, kind, length)
    short = [home / f"{index}{kind[0]}" for index in range(N_SHORT)]
    for path in short[1:]:
        if not path.exists():
            shutil.copyfile(first, path)
    return short, long


if __name__ == "__main__":
    main()
