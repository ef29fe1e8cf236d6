"""Headers that count wrong: what the file holds is read, and the difference is reported."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from dawnchorus.audio.decode.read import open_recording, read_audio
from decode_samples import RATE, reason_for, tone, write


@pytest.mark.parametrize("container", ["WAV", "AIFF", "W64", "RF64"])
def test_a_file_that_breaks_off_gives_what_it_holds_and_says_so(
    tmp_path: Path, container: str
) -> None:
    whole = write(tmp_path / "whole", tone(), format=container, subtype="PCM_16")
    with open_recording(whole) as recording:
        assert recording.damage is None
    half = tmp_path / "half"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with open_recording(half) as recording:
        found = np.concatenate(list(recording.blocks()))
        assert (recording.damage or "").startswith("truncated: the header claims")
    assert np.array_equal(found, read_audio(whole)[: len(found)])
    assert len(found) > 7900


def test_a_recorder_that_never_wrote_its_length_is_not_called_damaged(tmp_path: Path) -> None:
    whole = bytearray(write(tmp_path / "x.wav", tone(), subtype="PCM_16").read_bytes())
    whole[4:8] = b"\xff\xff\xff\xff"
    at = whole.index(b"data") + 4
    whole[at : at + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "y.wav").write_bytes(whole)
    with open_recording(tmp_path / "y.wav") as recording:
        assert recording.damage is None
        assert sum(map(len, recording.blocks())) == RATE


def patched(path: Path, source: Path, n_bytes: int) -> Path:
    """Write a copy of a WAV file with another length in its RIFF and data sizes."""
    whole = bytearray(source.read_bytes())
    at = whole.index(b"data") + 4
    whole[4:8] = whole[at : at + 4] = struct.pack("<I", n_bytes)
    path.write_bytes(whole)
    return path


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
def test_a_header_that_was_never_finished_is_read_by_the_files_size(
    tmp_path: Path, subtype: str, container: str
) -> None:
    whole = write(tmp_path / "x.wav", tone(channels=2), subtype=subtype, format=container)
    with open_recording(patched(tmp_path / "y.wav", whole, 0)) as recording:
        found = np.concatenate(list(recording.blocks(1000)))
        assert recording.info.n_samples == RATE
        assert (recording.damage or "").startswith("header-unpatched: ")
    np.testing.assert_array_equal(found, read_audio(whole))
    clip = read_audio(tmp_path / "y.wav", start_s=0.5, stop_s=0.75)
    np.testing.assert_array_equal(clip, read_audio(whole)[RATE // 2 : RATE * 3 // 4])


def test_a_header_that_was_never_finished_before_packed_sound_is_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "x.wav", tone(4.0), subtype="IMA_ADPCM")
    assert reason_for(patched(tmp_path / "y.wav", whole, 0)) == "header-unpatched"


@pytest.mark.parametrize("n_bytes", [0xFFFFFFFF, 0x7FFFF000, 0x80000000, 0x7FFF0000])
def test_lengths_that_streaming_writers_put_are_no_claim(tmp_path: Path, n_bytes: int) -> None:
    whole = write(tmp_path / "x.wav", tone(), subtype="PCM_16")
    with open_recording(patched(tmp_path / "y.wav", whole, n_bytes)) as recording:
        assert recording.damage is None
        assert recording.info.n_samples == RATE


@pytest.mark.skipif(sys.platform != "linux", reason="needs sparse files")
@pytest.mark.parametrize("extra", [44, 10_000_044])
def test_more_than_a_wav_header_can_count_is_read_by_size(tmp_path: Path, extra: int) -> None:
    size = 2**32 + extra
    path = tmp_path / "x.wav"
    head = write(tmp_path / "small.wav", tone(), subtype="PCM_16").read_bytes()
    with path.open("wb") as file:
        file.write(head[:4] + struct.pack("<I", (size - 8) % 2**32) + head[8:40])
        file.write(struct.pack("<I", (size - 44) % 2**32) + head[44:])
        file.truncate(size)
        file.seek(size - 2)
        file.write(struct.pack("<h", 16_384))  # the last sample
    with open_recording(path) as recording:
        assert recording.info.n_samples == (size - 44) // 2
        assert (recording.damage or "").startswith("oversize-riff: ")
        n_samples = recording.info.n_samples
        (last,) = recording.blocks(start_sample=n_samples - 10)
    np.testing.assert_array_equal(last, [0.0] * 9 + [0.5])


def test_what_the_header_promises_beyond_the_file_is_reported(tmp_path: Path) -> None:
    whole = write(tmp_path / "x.wav", tone(), subtype="PCM_24")
    (tmp_path / "y.wav").write_bytes(whole.read_bytes()[: 44 + 3 * 4000])
    with open_recording(tmp_path / "y.wav") as recording:
        assert recording.damage == "truncated: the header claims 1.00 s, the file holds 0.25 s"
        assert recording.info.n_samples == pytest.approx(RATE, abs=2)
        assert sum(map(len, recording.blocks())) == 4000


def test_metadata_that_breaks_off_is_no_loss_of_sound(tmp_path: Path) -> None:
    whole = write(tmp_path / "x.wav", tone(), subtype="PCM_16").read_bytes()
    size = struct.pack("<I", len(whole) - 8 + 108)
    (tmp_path / "y.wav").write_bytes(whole[:4] + size + whole[8:] + b"LIST" + bytes(50))
    with open_recording(tmp_path / "y.wav") as recording:
        assert recording.damage is None
        assert sum(map(len, recording.blocks())) == RATE
