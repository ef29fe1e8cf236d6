"""A long recording in pieces, read by several threads, is the recording in one go, bit for bit."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from queue import Queue

import numpy as np
import pytest
import soundfile

from dawnchorus.audio.decode import recording as decoded
from dawnchorus.audio.decode.read import read_info
from dawnchorus.audio.restarts import restart_of
from dawnchorus.engine.pipeline import pieces
from dawnchorus.engine.pipeline.events import (
    CutWindow,
    FailedRecording,
    FinishedRecording,
    ReadItem,
)
from dawnchorus.engine.pipeline.pieces import WHOLE, pieces_of
from dawnchorus.engine.pipeline.read import ReadSettings, StageClock, read_all, read_job
from dawnchorus.engine.recordings.jobs import RecordingJob, with_file_facts

MODEL_HZ = 16_000
SETTINGS = ReadSettings(sample_rate=MODEL_HZ, window=23_456, hop=11_000, n_readers=3)
BLOCK = decoded.BLOCK_SAMPLES


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of two blocks."""
    monkeypatch.setattr(pieces, "PIECE_S", 1.0)


def job(path: Path, **more: object) -> RecordingJob:
    plain = RecordingJob(
        recording_id=path.name, path=path, name=path.name, size=None, modified_ns=None
    )
    return with_file_facts(replace(plain, **more))


def noise(n_samples: int, channels: int = 1) -> np.ndarray:
    return 0.1 * np.random.default_rng(channels).standard_normal((n_samples, channels))


def by_threads(
    jobs: list[RecordingJob], settings: ReadSettings = SETTINGS, most: int = 0
) -> list[ReadItem]:
    queue: Queue[ReadItem | None] = Queue(maxsize=most)
    read_all(jobs, settings, queue, threading.Event(), StageClock())
    return list(iter(queue.get_nowait, None))


def facts(items: list[ReadItem]) -> list[object]:
    """All that a store or an export gets to know."""
    told: list[object] = []
    for item in items:
        if isinstance(item, CutWindow):
            window = item.window
            told.append((window.index, window.start_sample, window.valid_samples, item.flags))
        elif isinstance(item, FinishedRecording):
            told.append((item.n_samples, item.n_nonfinite, item.n_windows, item.damage, item.gaps))
        else:
            told.append((item.reason, item.message) if isinstance(item, FailedRecording) else item)
    return told


def assert_as_in_one_go(path: Path, settings: ReadSettings = SETTINGS, **more: object) -> None:
    wanted = list(read_job(job(path, **more), settings, threading.Event(), StageClock()))
    found = by_threads([job(path, **more)], settings)
    assert facts(found) == facts(wanted)
    for item, other in zip(found, wanted, strict=True):
        if isinstance(item, CutWindow) and isinstance(other, CutWindow):
            np.testing.assert_array_equal(item.window.samples, other.window.samples)


def n_pieces(path: Path) -> int:
    return len(pieces_of(read_info(path), MODEL_HZ))


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize(("suffix", "subtype"), [(".wav", "PCM_16"), (".flac", "PCM_24")])
def test_pieces_are_the_recording_bit_for_bit(
    tmp_path: Path, rate: int, suffix: str, subtype: str
) -> None:
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, noise(9 * BLOCK + 12_345), rate, subtype)
    assert n_pieces(path) >= 2
    assert_as_in_one_go(path)
    assert_as_in_one_go(path, first_window=3)


@pytest.mark.parametrize("n_samples", [8 * BLOCK, 8 * BLOCK + 1, 8 * BLOCK - 1, 10 * BLOCK + 7])
def test_pieces_end_where_the_recording_ends(tmp_path: Path, n_samples: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(n_samples, 2), 44_100, "PCM_24")
    assert n_pieces(path) >= 4
    assert_as_in_one_go(path)
    assert_as_in_one_go(path, replace(SETTINGS, channel=1))


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_odd_samples_and_cancelled_channels_are_told_as_in_one_go(
    tmp_path: Path, rate: int
) -> None:
    path = tmp_path / "a.wav"
    sound = noise(9 * BLOCK, 2).astype(np.float32)
    for at in (0, 5, 2 * BLOCK - 1, 2 * BLOCK, 4 * BLOCK - 300, 6 * BLOCK + 9, 9 * BLOCK - 1):
        sound[at] = np.nan
    sound[3 * BLOCK // 2 : 7 * BLOCK, 1] = -sound[3 * BLOCK // 2 : 7 * BLOCK, 0]
    sound[8 * BLOCK, 0] = 1000.0
    soundfile.write(path, sound, rate, "FLOAT")
    assert n_pieces(path) >= 4
    assert_as_in_one_go(path)


@pytest.mark.parametrize("where", [0.05, 0.3, 0.52, 0.97])
def test_a_damaged_recording_is_told_as_in_one_go(tmp_path: Path, where: float) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(12 * BLOCK), 48_000, "PCM_16")
    content = bytearray(path.read_bytes())
    at = int(where * len(content))
    content[at : at + 20_000] = bytes(20_000)
    path.write_bytes(content)
    assert n_pieces(path) >= 4
    assert_as_in_one_go(path)


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.999])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_recording_that_breaks_off_is_told_as_in_one_go(
    tmp_path: Path, kept: float, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, noise(12 * BLOCK), 48_000, "PCM_16")
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    assert_as_in_one_go(path)


def test_a_run_that_wants_no_later_windows_ends_early(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(12 * BLOCK), 16_000)
    soundfile.write(tmp_path / "b.wav", noise(16_000), 16_000)
    found = by_threads([job(path, stop_window=4), job(tmp_path / "b.wav")])
    ends = [item for item in found if isinstance(item, FinishedRecording)]
    assert [end.job.name for end in ends] == ["a.wav", "b.wav"]
    assert ends[0].n_windows == 4


def test_formats_in_which_a_seek_may_miss_have_no_pieces(tmp_path: Path) -> None:
    for name, subtype in (("a.mp3", "MPEG_LAYER_III"), ("a.ogg", "VORBIS"), ("a.wav", "IMA_ADPCM")):
        soundfile.write(tmp_path / name, noise(9 * BLOCK), 44_100, subtype)
        assert pieces_of(read_info(tmp_path / name), MODEL_HZ) == [WHOLE]


def test_pieces_follow_each_other_without_gap_or_overlap(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(30 * BLOCK), 44_100)
    made = pieces_of(read_info(path), MODEL_HZ)
    restart = restart_of(44_100, MODEL_HZ)
    assert restart is not None
    assert made[0].first == made[0].first_out == made[0].begins == 0
    for piece, after in pairwise(made):
        assert piece.stop == after.first
        assert piece.stop_out == after.first_out
        assert after.begins % BLOCK == 0
        origin = after.begins + after.n_skipped
        assert origin % restart.period == 0
        # all that the piece before owes has come out when its last block went in
        assert after.first_out * 44_100 <= (after.first - restart.lags) * MODEL_HZ
        assert after.n_dropped * 44_100 >= (restart.settles - 3) * MODEL_HZ
    assert made[-1].stop is made[-1].stop_out is None
