"""Peak memory depends neither on the length of a recording nor on the number of recordings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.long

RATE = 8_000
MOST = 1.1  # the promise: within a tenth
RUN = """
import resource, sys
from dawnchorus import embed
report = embed(sys.argv[1], store=sys.argv[2], device="cpu")
print(report.n_done, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_of(recordings: Path, count: int) -> int:
    """Peak of a process of its own."""
    store = recordings.with_name(f"{recordings.stem}.store")
    command = [sys.executable, "-c", RUN, str(recordings), str(store)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    n_done, peak = map(int, ended.stdout.split())
    assert n_done == count
    return peak


def test_a_recording_three_times_as_long_takes_no_more_memory(tmp_path: Path) -> None:
    peaks = []
    for hours in (1, 3):  # an hour fills every buffer there is
        path = tmp_path / f"{hours}.wav"
        with soundfile.SoundFile(path, "w", RATE, 1, "PCM_U8") as file:
            for index in range(6 * hours):
                noise = np.random.default_rng(index).standard_normal(60 * RATE)
                file.write(np.concatenate([0.1 * noise, np.zeros(9 * 60 * RATE)]))
        peaks.append(peak_of(path, 1))
    assert peaks[1] <= MOST * peaks[0]


def test_thirty_times_as_many_recordings_take_no_more_memory(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", np.random.default_rng(0).standard_normal(800) * 0.1, RATE)
    content = (tmp_path / "x.wav").read_bytes()
    peaks = []
    for count in (100, 3000):
        folder = tmp_path / f"in{count}"
        folder.mkdir()
        for index in range(count):
            (folder / f"{index}.wav").write_bytes(content)
        peaks.append(peak_of(folder, count))
    assert peaks[1] <= MOST * peaks[0]
