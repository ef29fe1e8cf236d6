"""Peak memory of `embed`: a long recording against a short one, many recordings against few.

    python benchmarks/memory.py --hours 24 --files 100000
    python benchmarks/memory.py --hours 4 --files 0 --without-pandas

Each run is a process of its own, with the bundled model; the peak is the system's own count
(``ru_maxrss``). The long recording has noise in every tenth minute, the many are 0.1 s long.
pyarrow loads pandas where it is installed; ``--without-pandas`` measures as where it is not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import soundfile  # noqa: TID251  makes recordings, reads none

RATE: Final = 8_000
Found = tuple[float, int, int, float]  # MB, recordings, windows, seconds
RUN: Final = """
import json, resource, sys, time
if sys.argv[3] == "without-pandas":
    sys.modules["pandas"] = None
from dawnchorus import embed
started = time.perf_counter()
report = embed(sys.argv[1], store=sys.argv[2], device="cpu")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([peak, report.n_done, report.n_windows, time.perf_counter() - started]))
"""


def long_recording(path: Path, hours: float) -> None:
    """A WAV with a minute of noise in every ten."""
    minute = (0.1 * np.random.default_rng(0).standard_normal(60 * RATE)).astype(np.float32)
    silence = np.zeros(9 * 60 * RATE, np.float32)
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_U8") as file:
        for _ in range(max(1, round(hours * 6))):
            file.write(minute)
            file.write(silence)


def many_recordings(folder: Path, count: int) -> None:
    """Recordings of a tenth of a second, a thousand a folder."""
    soundfile.write(folder / "x.wav", np.random.default_rng(0).standard_normal(800) * 0.1, RATE)
    content = (folder / "x.wav").read_bytes()
    (folder / "x.wav").unlink()
    for index in range(count):
        inner = folder / f"{index // 1000:04}"
        if index % 1000 == 0:
            inner.mkdir()
        (inner / f"{index:07}.wav").write_bytes(content)


def peak_of(recordings: Path, pandas: str) -> Found:
    """Peak in MB, recordings, windows and seconds of a run of its own."""
    store = recordings.with_name(f"{recordings.stem}.store")
    command = [sys.executable, "-c", RUN, str(recordings), str(store), pandas]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, n_done, n_windows, seconds = json.loads(ended.stdout.splitlines()[-1])
    return peak, n_done, n_windows, seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--without-pandas", action="store_true")
    options = parser.parse_args()
    pandas = "without-pandas" if options.without_pandas else "with-pandas"
    print(f"{'':24}{'peak, MB':>10}{'recordings':>12}{'windows':>10}{'s':>8}")
    with tempfile.TemporaryDirectory() as name:
        short, hour, long = of_lengths(Path(name), options.hours, pandas)
        print(f"ratios: {long / hour:.2f} long to an hour, {long / short:.2f} long to 10 minutes")
        if options.files:
            few, many = of_numbers(Path(name), options.files, pandas)
            print(f"ratio: {many / few:.2f} many to few")


def of_lengths(folder: Path, hours: float, pandas: str) -> list[float]:
    """Peaks of one recording of ten minutes, an hour, and ``hours``."""
    peaks = []
    for length in (1 / 6, 1.0, hours):
        path = folder / f"{length:.3f}.wav"
        long_recording(path, length)
        label = f"{length:g} hours" if length >= 1 else "10 minutes"
        peaks.append(show(label, peak_of(path, pandas)))
        path.unlink()
    return peaks


def of_numbers(folder: Path, n_files: int, pandas: str) -> list[float]:
    """Peaks of a hundred recordings, and of ``n_files``."""
    peaks = []
    for count in (100, n_files):
        inner = folder / f"{count}"
        inner.mkdir()
        many_recordings(inner, count)
        peaks.append(show(f"{count} files", peak_of(inner, pandas)))
    return peaks


def show(label: str, found: Found) -> float:
    """Print one row; returns its peak."""
    peak, n_done, n_windows, seconds = found
    print(f"{label:24}{peak:10.0f}{n_done:12}{n_windows:10}{seconds:8.1f}", flush=True)
    return peak


if __name__ == "__main__":
    main()
