"""No damage to a recording brings out an error of somebody else's, and none hangs."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dawnchorus.engine.pipeline.events import FailedRecording, FinishedRecording
from dawnchorus.engine.pipeline.read import ReadSettings, StageClock, read_job
from dawnchorus.engine.recordings.jobs import RecordingJob, with_file_facts

SETTINGS = ReadSettings(sample_rate=16_000, window=80_000, hop=80_000)
N_VARIANTS = 40  # of each format; 700 in all found 46 foreign errors before they were mended
FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "flac": ("FLAC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}


def whole(kind: str) -> bytes:
    """Twelve seconds of a call in noise."""
    time = np.arange(12 * 48_000) / 48_000
    call = 0.3 * np.sin(2 * np.pi * (2000 + 800 * np.sin(9 * time)) * time) * (np.sin(3 * time) > 0)
    noise = 0.02 * np.random.default_rng(0).standard_normal(len(time))
    file = io.BytesIO()
    container, encoding = FORMATS[kind]
    soundfile.write(file, call + noise, 48_000, encoding, format=container)
    return file.getvalue()


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """One of eight kinds of damage."""
    kind, n = int(rng.integers(8)), len(content)
    start, size = int(rng.integers(1, n)), int(rng.integers(1, 8192))
    span = slice(start, min(start + size, n))
    if kind < 3:  # many places, flipped bits, a header of nonsense
        found = bytearray(content)
        places = rng.integers(0, (n, n, min(n, 200))[kind], rng.integers(1, 30))
        for at in places:
            found[at] = found[at] ^ 1 << int(rng.integers(8)) if kind else int(rng.integers(256))
        return bytes(found)
    put = {
        3: bytes(span.stop - start),  # zeros, as from a bad block
        4: rng.bytes(span.stop - start),
        5: b"",  # a stretch is missing
        6: rng.bytes(size) + content[span],  # junk between
        7: None,  # cut off
    }[kind]
    return content[:start] if put is None else content[:start] + put + content[span.stop :]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_damaged_recording_is_done_or_failed_with_a_verdict(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(17)
    content = whole(kind)
    path = tmp_path / f"x.{kind}"
    for _ in range(N_VARIANTS):
        path.write_bytes(damaged(content, rng))
        job = RecordingJob(recording_id="x", path=path, name=path.name, size=None, modified_ns=None)
        *_, last = read_job(with_file_facts(job), SETTINGS, threading.Event(), StageClock())
        assert isinstance(last, FinishedRecording | FailedRecording)
        if isinstance(last, FailedRecording):
            assert last.reason in {"damaged", "unreadable", "empty", "rate"}, last.message
            assert path.name in last.message
    os.write(2, b"\n")
    assert capfd.readouterr().err == "\n"  # no decoder talks to the terminal
