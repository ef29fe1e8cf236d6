"""Every format is read right, and every bad file is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from dawnchorus.audio.io import open_recording, read_audio, read_info
from dawnchorus.audio.resample import resample, resample_blocks
from dawnchorus.audio.windows import cut, cut_blocks
from dawnchorus.errors import AudioError, UsageError

RATE = 16_000
LOSSLESS = {
    ("WAV", "PCM_U8"): 2**-7,
    ("WAV", "PCM_16"): 2**-15,
    ("WAV", "PCM_24"): 2**-23,
    ("WAV", "PCM_32"): 1e-7,
    ("WAV", "FLOAT"): 1e-7,
    ("WAV", "DOUBLE"): 1e-7,
    ("WAV", "ULAW"): 0.04,
    ("WAV", "ALAW"): 0.04,
    ("WAVEX", "PCM_16"): 2**-15,
    ("FLAC", "PCM_S8"): 2**-7,
    ("FLAC", "PCM_16"): 2**-15,
    ("FLAC", "PCM_24"): 2**-23,
    ("AIFF", "PCM_16"): 2**-15,
    ("AIFF", "FLOAT"): 1e-7,
    ("W64", "PCM_16"): 2**-15,
    ("RF64", "PCM_24"): 2**-23,
    ("CAF", "ALAC_16"): 2**-15,
}
LOSSY = [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]


def tone(seconds: float = 1.0, rate: int = RATE, channels: int = 1) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return np.stack(
        [0.4 * np.sin(2 * np.pi * 300 * (c + 1) * time) for c in range(channels)], axis=1
    )


def write(path: Path, sound: np.ndarray, rate: int = RATE, **how: str) -> Path:
    soundfile.write(path, sound, rate, **how)
    return path


@pytest.mark.parametrize(("container", "encoding"), LOSSLESS)
def test_uncompressed_formats_give_back_what_was_written(
    tmp_path: Path, container: str, encoding: str
) -> None:
    sound = tone()
    path = write(tmp_path / "x.bin", sound, format=container, subtype=encoding)
    assert np.abs(read_audio(path) - sound[:, 0]).max() <= LOSSLESS[container, encoding]
    info = read_info(path)
    assert (info.container, info.encoding, info.n_samples) == (container, encoding, RATE)


@pytest.mark.parametrize(("container", "encoding"), LOSSY)
def test_compressed_formats_keep_the_tone(tmp_path: Path, container: str, encoding: str) -> None:
    sound = tone(2.0)
    path = write(tmp_path / "x", sound, format=container, subtype=encoding)
    found = read_audio(path, sample_rate=RATE)
    spectrum = np.abs(np.fft.rfft(found[RATE // 2 : RATE // 2 + RATE]))
    assert int(spectrum.argmax()) == 300
    assert len(found) == pytest.approx(2 * RATE, abs=2500)


def test_m4a_is_read_through_pyav(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "x.m4a"
    samples = tone(2.0, 44_100).astype(np.float32).T
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44_100, layout="mono")
        for start in range(0, samples.shape[1] - 1024, 1024):
            piece = np.ascontiguousarray(samples[:, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44_100, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    found = read_audio(path)
    assert read_info(path).sample_rate == 44_100
    spectrum = np.abs(np.fft.rfft(found[10_000 : 10_000 + 44_100]))
    assert int(spectrum.argmax()) == 300


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 384_000])
def test_any_rate_is_reported_and_resampled(tmp_path: Path, rate: int) -> None:
    path = write(tmp_path / "x.wav", tone(1.0, rate), rate)
    assert read_info(path).sample_rate == rate
    found = read_audio(path, sample_rate=RATE)
    assert len(found) == RATE
    assert np.abs(found - tone()[:, 0])[300:-300].max() < 2e-3


def test_channels_are_averaged_or_chosen(tmp_path: Path) -> None:
    sound = tone(channels=3)
    path = write(tmp_path / "x.wav", sound, subtype="FLOAT")
    assert np.allclose(read_audio(path), sound.mean(axis=1), atol=1e-6)
    assert np.allclose(read_audio(path, channel=2), sound[:, 2], atol=1e-6)
    with pytest.raises(UsageError, match=r"channel 3 .* has 3"):
        read_audio(path, channel=3)


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


def test_samples_that_are_no_numbers_become_silence_and_are_counted(tmp_path: Path) -> None:
    sound = tone()[:, 0].astype(np.float32)
    sound[[5, 900]] = np.nan, np.inf
    path = write(tmp_path / "x.wav", sound, subtype="FLOAT")
    with open_recording(path) as recording:
        found = np.concatenate(list(recording.blocks()))
        assert recording.n_nonfinite == 2
    assert np.isfinite(found).all()
    assert found[5] == found[900] == 0


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav", tone(), format="FLAC")
    assert read_info(path).container == "FLAC"


def broken_files(folder: Path) -> dict[str, Path]:
    whole = write(folder / "whole.flac", tone(20.0)).read_bytes()
    (folder / "damaged.flac").write_bytes(whole[: len(whole) // 2])
    (folder / "text.wav").write_text("this is not a recording\n" * 50)
    (folder / "empty.wav").touch()
    write(folder / "header.wav", np.zeros((0, 1)))
    write(folder / "slow.wav", tone(1.0, 4000), 4000)
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


def test_a_header_without_sound_is_empty(tmp_path: Path) -> None:
    broken_files(tmp_path)
    with pytest.raises(AudioError, match="header and no sound") as caught:
        read_audio(tmp_path / "header.wav")
    assert caught.value.reason == "empty"
