"""Every format that libsndfile reads gives the samples that were written, in any blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from dawnchorus.audio.decode.read import open_recording, read_audio, read_info
from dawnchorus.audio.resample import resample_blocks
from dawnchorus.audio.windows import cut, cut_blocks
from decode_samples import RATE, joined, tone, write

CONTAINERS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "CAF", "AU", "FLAC", "OGG", "MP3")


# libsndfile lists these and cannot write them
UNWRITABLE = {
    ("AIFF", "DWVW_12"),
    ("MP3", "MPEG_LAYER_I"),
    ("MP3", "MPEG_LAYER_II"),
    ("WAV", "MPEG_LAYER_III"),
}

WRITABLE = [
    (container, encoding)
    for container in CONTAINERS
    for encoding in soundfile.available_subtypes(container)
    if (container, encoding) not in UNWRITABLE
]

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


@pytest.mark.parametrize("rate", [2_000, 8_000, 22_050, 44_100, 384_000])
def test_any_rate_is_reported_and_resampled(tmp_path: Path, rate: int) -> None:
    path = write(tmp_path / "x.wav", tone(1.0, rate), rate)
    assert read_info(path).sample_rate == rate
    found = read_audio(path, sample_rate=RATE)
    assert len(found) == RATE
    assert np.abs(found - tone()[:, 0])[300:-300].max() < 2e-3


@pytest.mark.parametrize(("container", "encoding"), WRITABLE)
def test_every_encoding_reads_the_same_in_any_blocks_and_from_any_start(
    tmp_path: Path, container: str, encoding: str
) -> None:
    sound = tone(0.6, 8_000)
    path = write(tmp_path / "x", sound, 8_000, format=container, subtype=encoding)
    info = read_info(path)
    assert (info.sample_rate, info.n_channels, info.encoding) == (8_000, 1, encoding)
    whole = read_audio(path)
    assert whole.dtype == np.float32
    assert len(whole) == info.n_samples >= len(sound)
    assert np.corrcoef(whole[200:4600], sound[200:4600, 0])[0, 1] > 0.97
    for block_samples in (997, 4096):
        assert np.array_equal(joined(path, block_samples), whole)
    for start in (1, 1234, len(whole) - 1):
        assert np.array_equal(joined(path, 1000, start), whole[start:])


@pytest.mark.parametrize("container", ["WAV", "FLAC", "AIFF", "W64", "RF64"])
def test_many_channels_at_ultrasonic_rates(tmp_path: Path, container: str) -> None:
    sound = tone(0.02, 384_000, channels=8)
    path = write(tmp_path / "x", sound, 384_000, format=container, subtype="PCM_24")
    info = read_info(path)
    assert (info.sample_rate, info.n_channels) == (384_000, 8)
    assert np.abs(read_audio(path, channel=7) - sound[:, 7]).max() <= 2**-23
    assert np.abs(read_audio(path) - sound.mean(axis=1)).max() <= 2**-22


@pytest.mark.parametrize(("container", "encoding"), LOSSY)
def test_compressed_recordings_give_the_windows_of_the_whole(
    tmp_path: Path, container: str, encoding: str
) -> None:
    path = write(tmp_path / "x", tone(3.0, 48_000), 48_000, format=container, subtype=encoding)
    whole, valid = cut(read_audio(path, sample_rate=RATE), RATE, 7000)
    with open_recording(path) as recording:
        stream = resample_blocks(recording.blocks(3001), 48_000, RATE)
        pieces = list(cut_blocks(stream, RATE, 7000))
    assert [piece.valid_samples for piece in pieces] == valid.tolist()
    assert np.array_equal(np.stack([piece.samples for piece in pieces]), whole)


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav", tone(), format="FLAC")
    assert read_info(path).container == "FLAC"
