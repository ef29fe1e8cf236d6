"""Every format is read right, and every bad file is named."""

from __future__ import annotations

import os
import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dawnchorus.audio.decode.read import AUDIO_SUFFIXES, open_recording, read_audio, read_info
from dawnchorus.audio.resample import resample, resample_blocks
from dawnchorus.audio.windows import cut, cut_blocks
from dawnchorus.errors import AudioError, DependencyError, UsageError

RATE = 16_000
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


@pytest.mark.parametrize("rate", [2_000, 8_000, 22_050, 44_100, 384_000])
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
        assert recording.levels.n_nonfinite == 2
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


# --- every format ---------------------------------------------------------------------------------


def joined(path: Path, block_samples: int, start_sample: int = 0) -> np.ndarray:
    with open_recording(path) as recording:
        blocks = list(recording.blocks(block_samples, start_sample=start_sample))
    assert max(map(len, blocks), default=0) <= block_samples
    return np.concatenate([np.zeros(0, np.float32), *blocks])


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


def test_a_long_recording_is_never_held_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav", tone(60.0, 44_100), 44_100)  # 10.6 MB as float32
    tracemalloc.start()
    with open_recording(path) as recording:
        windows = cut_blocks(resample_blocks(recording.blocks(10_000), 44_100, RATE), RATE, RATE)
        assert sum(1 for _ in windows) == 60
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6


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


def test_channels_are_counted_from_0(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav", tone(channels=2))
    with pytest.raises(UsageError, match=r"channel -1 .* has 2"):
        read_audio(path, channel=-1)


def test_what_is_no_number_in_one_channel_leaves_the_others(tmp_path: Path) -> None:
    sound = np.full((100, 3), 0.3)
    sound[10] = np.inf, -np.inf, 0.3
    sound[20, 0] = 1e300  # a number in the file, none as float32
    path = write(tmp_path / "x.wav", sound, subtype="DOUBLE")
    with open_recording(path) as recording:
        found = np.concatenate(list(recording.blocks()))
    assert recording.levels.n_nonfinite == 3
    assert found[[0, 10, 20]] == pytest.approx([0.3, 0.1, 0.2])


def test_suffixes_are_lower_case_with_their_dot() -> None:
    assert {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".w64", ".m4a"} <= AUDIO_SUFFIXES
    assert all(suffix.startswith(".") and suffix.islower() for suffix in AUDIO_SUFFIXES)


# --- damage ---------------------------------------------------------------------------------------


def reason_for(path: Path) -> str:
    with pytest.raises(AudioError) as caught:
        read_audio(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value.reason


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


def test_what_the_header_promises_beyond_the_file_is_told(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("block_samples", [1000, 1 << 17])
def test_sound_before_and_behind_damage_is_given_and_the_gap_is_marked(
    tmp_path: Path, block_samples: int
) -> None:
    rng = np.random.default_rng(0)
    path = write(tmp_path / "x.flac", 0.1 * rng.standard_normal(200_000), format="FLAC")
    whole = read_audio(path)
    damaged = bytearray(path.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 4096] = bytes(4096)
    path.write_bytes(damaged)
    with open_recording(path) as recording:
        found = np.concatenate(list(recording.blocks(block_samples)))
    assert len(found) == len(whole)
    ((start, stop),) = recording.gaps
    assert 80_000 < start < stop < 140_000
    np.testing.assert_array_equal(found[:start], whole[:start])
    np.testing.assert_array_equal(found[start:stop], 0.0)
    np.testing.assert_array_equal(found[stop:], whole[stop:])
    assert (recording.damage or "").startswith("damaged: at ")
    clip = read_audio(path, start_s=0.0, stop_s=2.0)
    np.testing.assert_array_equal(clip, whole[: 2 * RATE])
    with pytest.raises(AudioError, match="are lost") as caught:
        read_audio(path)
    assert caught.value.reason == "damaged"


def test_a_flac_that_breaks_off_gives_all_up_to_there(tmp_path: Path) -> None:
    path = write(tmp_path / "x.flac", 0.1 * np.random.default_rng(0).standard_normal(200_000))
    whole = read_audio(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_recording(path) as recording:
        found = np.concatenate(list(recording.blocks()))
    assert len(found) > 90_000
    np.testing.assert_array_equal(found, whole[: len(found)])
    assert (recording.damage or "").startswith("damaged: decoding stopped after ")
    assert recording.gaps == []


def test_an_mp3_that_breaks_off_is_counted_not_believed(tmp_path: Path) -> None:
    path = write(tmp_path / "x.mp3", tone(4.0), format="MP3")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_recording(path) as recording:
        n_read = sum(map(len, recording.blocks()))
    assert RATE < n_read < (recording.info.n_samples or 0)


def test_a_file_that_shrinks_while_it_is_read_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav", tone(20.0), subtype="PCM_16")
    with open_recording(path) as recording:
        blocks = recording.blocks(1000)
        next(blocks)
        os.truncate(path, 100_000)
        with pytest.raises(AudioError) as caught:
            list(blocks)
    assert caught.value.reason == "input-output"


def test_a_flac_of_unknown_length_is_read_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "x.flac", tone(), format="FLAC")
    whole = bytearray(path.read_bytes())
    whole[21] &= 0xF0  # 36 bits of STREAMINFO count the samples; 0 is unknown
    whole[22:26] = bytes(4)
    path.write_bytes(whole)
    assert read_info(path).n_samples is None
    assert len(joined(path, 1000)) == RATE
    assert len(joined(path, 1000, RATE - 10)) == 10
    assert reason_for_start(path, 5.0) == "empty"


def reason_for_start(path: Path, start_s: float) -> str:
    with pytest.raises(AudioError) as caught:
        read_audio(path, start_s=start_s)
    return caught.value.reason


@pytest.mark.parametrize("name", ["x.wav", "x.mp3", "x.au", "x.raw", "x.vox", "x.m4a", "x"])
def test_a_text_is_no_recording_whatever_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("a song about a bird\n" * 500)
    assert reason_for(path) == "unreadable"


@pytest.mark.parametrize("head", [b"#EXTM3U\nhttp://localhost/x.wav\n", b"\0\0\0\x18ftypM4A rest"])
def test_what_only_looks_like_sound_is_unreadable(tmp_path: Path, head: bytes) -> None:
    pytest.importorskip("av")
    path = tmp_path / "x.m4a"
    path.write_bytes(head)
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


# --- PyAV -----------------------------------------------------------------------------------------


def write_av(path: Path, codec: str, *, container: str, movflags: str = "") -> Path:
    """Write 2 s of a 300 Hz tone on the left and silence on the right, 44.1 kHz."""
    av = pytest.importorskip("av")
    left = tone(2.0, 44_100)[:, 0]
    sound = np.stack([left, 0 * left]).astype(np.float32)
    how = {"movflags": movflags} if movflags else {}
    with av.open(str(path), "w", format=container, options=how) as file:
        stream = file.add_stream(codec, rate=44_100, layout="stereo")
        stream.bit_rate = 128_000
        for start in range(0, sound.shape[1], 4410):
            piece = np.ascontiguousarray(sound[:, start : start + 4410])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = 44_100, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("codec", "container"),
    [("aac", "mp4"), ("alac", "mp4"), ("aac", "adts"), ("wmav2", "asf"), ("aac", "matroska")],
)
def test_formats_of_phones_are_read_through_pyav(
    tmp_path: Path, codec: str, container: str
) -> None:
    path = write_av(tmp_path / "x.wav", codec, container=container)  # the name misleads
    info = read_info(path)
    assert (info.sample_rate, info.n_channels, info.encoding) == (44_100, 2, codec.upper())
    whole = read_audio(path, channel=0)
    assert len(whole) == pytest.approx(88_200, abs=4096)
    assert int(np.abs(np.fft.rfft(whole[20_000:64_100])).argmax()) == 300
    assert np.abs(read_audio(path, channel=1)).max() < 0.01
    assert np.allclose(read_audio(path), whole / 2, atol=0.01)
    assert np.array_equal(joined(path, 997), joined(path, 50_000))
    assert np.array_equal(joined(path, 997, 12_345), joined(path, 50_000)[12_345:])


# the index of an MP4 stands at its end, or with faststart at its beginning
@pytest.mark.parametrize(("movflags", "reason"), [("", "unreadable"), ("faststart", "damaged")])
def test_an_m4a_that_breaks_off_is_an_error(tmp_path: Path, movflags: str, reason: str) -> None:
    path = write_av(tmp_path / "x.m4a", "aac", container="mp4", movflags=movflags)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert reason_for(path) == reason


def test_without_pyav_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.m4a"
    path.write_bytes(b"\0\0\0\x1cftypM4A " + bytes(100))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DependencyError, match=r"pip install 'dawnchorus\[av\]'"):
        read_audio(path)
