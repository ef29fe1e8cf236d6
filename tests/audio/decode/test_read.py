"""The door: recordings and clips are read right, and every bad file is refused by name."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from dawnchorus.audio.decode import libsndfile
from dawnchorus.audio.decode.read import AUDIO_SUFFIXES, open_recording, read_audio, read_info
from dawnchorus.audio.resample import resample, resample_blocks
from dawnchorus.audio.windows import cut, cut_blocks
from dawnchorus.error_log import log_errors_beside
from dawnchorus.errors import AudioError, UsageError
from decode_samples import HZ, RATE, reason_for, tone, write


def test_channels_are_averaged_or_chosen(tmp_path: Path) -> None:
    sound = tone(channels=3)
    path = write(tmp_path / "x.wav", sound, subtype="FLOAT")
    assert np.allclose(read_audio(path), sound.mean(axis=1), atol=1e-6)
    assert np.allclose(read_audio(path, channel=2), sound[:, 2], atol=1e-6)
    with pytest.raises(UsageError, match=r"channel 3 .* has 3"):
        read_audio(path, channel=3)


def test_channels_are_counted_from_0(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav", tone(channels=2))
    with pytest.raises(UsageError, match=r"channel -1 .* has 2"):
        read_audio(path, channel=-1)


def test_blocks_join_to_the_whole_and_clips_are_cut_by_seconds(tmp_path: Path) -> None:
    sound = tone(3.0)[:, 0]
    path = write(tmp_path / "x.wav", sound, subtype="FLOAT")
    with open_recording(path) as recording:
        blocks = list(recording.blocks(1000))
    assert max(map(len, blocks)) == 1000
    assert np.allclose(np.concatenate(blocks), sound, atol=1e-7)
    assert np.allclose(read_audio(path, start_s=0.5, stop_s=2.25), sound[8000:36_000], atol=1e-7)
    with pytest.raises(AudioError, match="nothing between 5 s"):
        read_audio(path, start_s=5)


@pytest.mark.parametrize("hop_s", [1.0, 0.3])
def test_windows_of_a_streamed_file_equal_those_of_the_whole_resampled_at_once(
    tmp_path: Path, hop_s: float
) -> None:
    rng = np.random.default_rng(0)
    sound = (0.1 * rng.standard_normal(44_100 * 7 + 123)).astype(np.float32)
    path = write(tmp_path / "x.wav", sound, 44_100, subtype="FLOAT")
    window, hop = RATE, round(hop_s * RATE)
    whole, valid = cut(resample(read_audio(path), 44_100, RATE), window, hop)
    with open_recording(path) as recording:
        stream = resample_blocks(recording.blocks(5000), 44_100, RATE)
        pieces = list(cut_blocks(stream, window, hop))
    assert [piece.valid_samples for piece in pieces] == valid.tolist()
    assert np.abs(np.stack([piece.samples for piece in pieces]) - whole).max() <= 1e-6


def test_a_long_recording_is_never_held_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav", tone(60.0, 44_100), 44_100)  # 10.6 MB as float32
    tracemalloc.start()
    with open_recording(path) as recording:
        windows = cut_blocks(resample_blocks(recording.blocks(10_000), 44_100, RATE), RATE, RATE)
        assert sum(1 for _ in windows) == 60
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6


def broken_files(folder: Path) -> dict[str, Path]:
    whole = write(folder / "whole.flac", tone(20.0)).read_bytes()
    (folder / "damaged.flac").write_bytes(whole[: len(whole) // 2])
    (folder / "text.wav").write_text("this is not a recording\n" * 50)
    (folder / "empty.wav").touch()
    write(folder / "header.wav", np.zeros((0, 1)))
    write(folder / "slow.wav", tone(1.0, 500), 500)
    (folder / "folder").mkdir()
    return {
        "damaged": folder / "damaged.flac",
        "unreadable": folder / "text.wav",
        "empty": folder / "empty.wav",
        "missing": folder / "none.wav",
        "rate": folder / "slow.wav",
        "folder": folder / "folder",
    }


@pytest.mark.parametrize("reason", ["damaged", "unreadable", "empty", "missing", "rate", "folder"])
def test_a_bad_file_is_named_with_its_reason(tmp_path: Path, reason: str) -> None:
    path = broken_files(tmp_path)[reason]
    with pytest.raises(AudioError, match=path.name) as caught:
        read_audio(path)
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)


def test_a_header_without_sound_is_empty(tmp_path: Path) -> None:
    broken_files(tmp_path)
    with pytest.raises(AudioError, match="header and no sound") as caught:
        read_audio(tmp_path / "header.wav")
    assert caught.value.reason == "empty"


def test_a_clip_needs_no_sound_outside_it(tmp_path: Path) -> None:
    path = broken_files(tmp_path)["damaged"]  # breaks off in the middle of 20 s
    assert len(read_audio(path, start_s=0.5, stop_s=1.0)) == RATE // 2


@pytest.mark.parametrize(("start_s", "stop_s"), [(-1.0, None), (1.0, 1.0), (2.0, 1.0)])
def test_a_clip_that_ends_before_it_starts_is_refused(
    tmp_path: Path, start_s: float, stop_s: float | None
) -> None:
    path = write(tmp_path / "x.wav", tone())
    with pytest.raises(UsageError, match="start_s < stop_s"):
        read_audio(path, start_s=start_s, stop_s=stop_s)


def test_a_recording_is_read_once(tmp_path: Path) -> None:
    with open_recording(write(tmp_path / "x.wav", tone())) as recording:
        assert sum(map(len, recording.blocks())) == RATE
        with pytest.raises(UsageError, match="open it again"):
            next(recording.blocks())


def test_suffixes_are_lower_case_with_their_dot() -> None:
    assert {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".w64", ".m4a"} <= AUDIO_SUFFIXES
    assert all(suffix.startswith(".") and suffix.islower() for suffix in AUDIO_SUFFIXES)


@pytest.mark.parametrize("name", ["x.wav", "x.mp3", "x.au", "x.raw", "x.vox", "x.m4a", "x"])
def test_a_text_is_not_a_recording_whatever_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("a song about a bird\n" * 500)
    assert reason_for(path) == "unreadable"


@pytest.mark.skipif(os.name == "nt", reason="there are no such pipes and names on Windows")
def test_pipes_are_refused_and_names_that_are_not_utf8_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert reason_for(tmp_path / "pipe.wav") == "not-a-file"
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    path.write_bytes(write(tmp_path / "x.wav", tone()).read_bytes())
    assert len(read_audio(path)) == RATE


def test_a_name_too_long_for_the_disk_is_one_clear_error(tmp_path: Path) -> None:
    assert reason_for(tmp_path / ("x" * 300 + ".wav")) in {"denied", "missing"}


def test_a_name_that_no_file_can_have_is_missing(tmp_path: Path) -> None:
    with pytest.raises(AudioError) as raised:
        read_info(tmp_path / "a\0b.wav")
    assert raised.value.reason == "missing"


def test_an_unexpected_error_is_this_recording_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_arguments: object) -> None:
        raise KeyError("codec")

    path = write(tmp_path / "x.wav", tone(1.0, HZ), HZ)
    monkeypatch.setattr(libsndfile, "claimed_samples", fault)
    with log_errors_beside(tmp_path / "run"), pytest.raises(AudioError, match="KeyError") as raised:
        read_info(path)
    assert raised.value.reason == "internal"
    assert "Traceback" in (tmp_path / "run.faults.log").read_text()
