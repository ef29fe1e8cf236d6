"""The formats of phones are read through PyAV, an extra."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from dawnchorus.audio.decode import pyav
from dawnchorus.audio.decode.read import read_audio, read_info
from dawnchorus.errors import AudioError, DependencyError
from decode_samples import HZ, joined, read_to_end, reason_for, tone


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


@pytest.mark.parametrize("head", [b"#EXTM3U\nhttp://localhost/x.wav\n", b"\0\0\0\x18ftypM4A rest"])
def test_what_only_looks_like_sound_is_unreadable(tmp_path: Path, head: bytes) -> None:
    pytest.importorskip("av")
    path = tmp_path / "x.m4a"
    path.write_bytes(head)
    assert reason_for(path) == "unreadable"


def test_without_pyav_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.m4a"
    path.write_bytes(b"\0\0\0\x1cftypM4A " + bytes(100))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DependencyError, match=r"pip install 'dawnchorus\[av\]'"):
        read_audio(path)


def test_an_mp4_may_end_a_tenth_of_a_second_before_its_duration_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "x.m4a"
    sound = tone(2.0, HZ).astype(np.float32).T
    with av.open(str(path), "w", format="mp4") as file:
        stream = file.add_stream("aac", rate=HZ, layout="mono")
        for start in range(0, sound.shape[1], 4800):
            piece = np.ascontiguousarray(sound[:, start : start + 4800])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = HZ, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    held_s, damage = read_to_end(path)
    assert damage == ""
    for more_s, fine in ((0.09, True), (0.11, False)):
        claimed = round((held_s + more_s) * HZ)
        monkeypatch.setattr(pyav, "_stream_samples", lambda _stream, n=claimed: n)
        if fine:
            assert read_to_end(path) == (held_s, "")
            continue
        with pytest.raises(AudioError, match="breaks off") as raised:
            read_to_end(path)
        assert raised.value.reason == "input-output"
