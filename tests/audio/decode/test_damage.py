"""Damaged, tagged, cut off and absurd recordings: what can be had is had, and the rest is said."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dawnchorus.audio.decode import libsndfile, pyav, recovery
from dawnchorus.audio.decode.mp3_frames import parse_frame
from dawnchorus.audio.decode.read import open_recording, read_info
from dawnchorus.error_log import log_errors_beside
from dawnchorus.errors import AudioError

RATE = 48_000


def tone(seconds: float = 1.0) -> np.ndarray:
    """``(n, 1)`` at 48 kHz."""
    return 0.4 * np.sin(2 * np.pi * 300 * np.arange(round(seconds * RATE)) / RATE)[:, None]


def write(path: Path, sound: np.ndarray, rate: int = RATE, **how: str) -> Path:
    soundfile.write(path, sound, rate, **how)
    return path


def damaged_flac(path: Path, seconds: float, *, every: int) -> Path:
    """A FLAC of which each so many-th frame is damaged, beginning with the first."""
    sound = 0.1 * np.random.default_rng(0).standard_normal(int(16_000 * seconds))
    content = bytearray(write(path, sound, 16_000).read_bytes())
    starts, at = [], 0
    while (at := content.find(b"\xff\xf8", at + 1000 if starts else 0)) >= 0:
        starts.append(at)
    for start in starts[::every]:
        for place in range(start + 200, start + 230):
            content[place] ^= 0x55
    path.write_bytes(content)
    return path


def test_a_damaged_first_frame_costs_that_frame_only(tmp_path: Path) -> None:
    path = damaged_flac(tmp_path / "x.flac", 5.0, every=10_000)
    with open_recording(path) as recording:
        found = np.concatenate(list(recording.blocks()))
    assert len(found) == 80_000
    assert recording.gaps == [(0, 4096)]
    assert np.abs(found[4096:]).min(initial=1.0) < 0.1 < np.abs(found[4096:]).max()
    assert recording.damage is not None
    assert recording.damage.startswith("damaged: at 0.00 s 0.26 s are lost")


def test_many_damages_are_read_around_and_summed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = damaged_flac(tmp_path / "x.flac", 120.0, every=3)
    with open_recording(path) as recording:
        assert sum(map(len, recording.blocks())) == 120 * 16_000
    n_gaps = len(recording.gaps)
    assert n_gaps > 100
    assert recording.damage is not None
    assert f"; {n_gaps - 3} more like these; in all" in recording.damage
    assert len(recording.damage) < 400
    monkeypatch.setattr(recovery, "MAX_GAPS", 20)
    with open_recording(path) as recording:
        n_read = sum(map(len, recording.blocks()))
    assert len(recording.gaps) == 20
    assert n_read < 120 * 16_000
    assert "decoding stopped" in str(recording._notes[-1])


def test_a_flac_without_its_last_frame_gives_the_others(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.flac", 0.1 * np.random.default_rng(0).standard_normal(50_000), 16_000
    )
    content = path.read_bytes()
    path.write_bytes(content[: content.rfind(b"\xff\xf8")])
    held_s, damage = read_all_of(path)
    assert held_s == 12 * 4096 / 16_000
    assert damage.startswith("damaged: decoding stopped after 3.07 s (of 3.12 s)")


def id3v2(n_bytes: int) -> bytes:
    return b"ID3\x04\0\0" + bytes((0, 0, n_bytes >> 7, n_bytes & 0x7F)) + bytes(n_bytes)


APE = b"APETAGEX" + struct.pack("<IIII", 2000, 32 + 40, 1, 0) + bytes(8)


@pytest.mark.parametrize("encoding", ["flac", "mp3"])
@pytest.mark.parametrize(
    ("before", "behind"),
    [
        (b"", b"TAG" + bytes(125)),
        (id3v2(500), b""),
        (id3v2(70), bytes(40) + APE + b"TAG" + bytes(125)),
        (b"", b"LYRICSBEGIN" + b"a" * 40 + b"000051LYRICS200" + b"TAG" + bytes(125)),
        (id3v2(70) + id3v2(9), b""),
    ],
    ids=["ID3v1", "ID3v2", "ID3v2 APE ID3v1", "Lyrics3", "two ID3v2"],
)
def test_tags_around_the_sound_are_no_damage(
    tmp_path: Path, encoding: str, before: bytes, behind: bytes
) -> None:
    sound = tone()[:, 0]
    plain = write(tmp_path / f"plain.{encoding}", sound)
    tagged = tmp_path / f"tagged.{encoding}"
    tagged.write_bytes(before + plain.read_bytes() + behind)
    with open_recording(plain) as recording:
        want = np.concatenate(list(recording.blocks()))
    with open_recording(tagged) as recording:
        np.testing.assert_array_equal(np.concatenate(list(recording.blocks())), want)
    assert recording.verdict is None


def test_a_flac_of_unknown_length_ends_before_its_tag(tmp_path: Path) -> None:
    content = bytearray(write(tmp_path / "x.flac", tone()[:, 0]).read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)  # total samples: unknown
    (tmp_path / "x.flac").write_bytes(bytes(content) + b"TAG" + bytes(125))
    with open_recording(tmp_path / "x.flac") as recording:
        assert sum(map(len, recording.blocks())) == len(tone())
    assert recording.damage is None


def mp3(path: Path, seconds: float = 20.0, rate: int = 16_000) -> bytes:
    sound = 0.1 * np.random.default_rng(1).standard_normal(int(rate * seconds))
    return write(path, sound, rate).read_bytes()


def read_all_of(path: Path) -> tuple[float, str]:
    with open_recording(path) as recording:
        n_samples = sum(map(len, recording.blocks()))
    return n_samples / recording.info.sample_rate, recording.damage or ""


def test_an_mp3_that_holds_half_of_what_it_promises_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    whole = mp3(path)
    assert read_all_of(path) == (20.0, "")
    path.write_bytes(whole[: len(whole) // 2])
    with open_recording(path) as recording:
        assert (recording.damage or "").startswith("truncated: the header promises ")
    held_s, damage = read_all_of(path)
    assert held_s == pytest.approx(10.0, abs=0.2)
    assert damage.startswith("truncated: ")


def test_an_mp3_that_promises_frames_only_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    content = bytearray(mp3(path))
    at = content.find(b"Xing") if b"Xing" in content[:100] else content.find(b"Info")
    content[at + 7] &= ~2  # no number of bytes, so what follows moves up
    del content[at + 12 : at + 16]
    content[at + 12 + 100 : at + 12 + 100] = bytes(4)
    path.write_bytes(content[: len(content) // 2])
    held_s, damage = read_all_of(path)
    assert held_s == pytest.approx(10.0, abs=0.2)
    assert re.match(r"truncated: the header claims 20\.\d+ s, the file holds (9|10)\.\d+ s", damage)


def test_an_mp3_without_a_promise_that_ends_inside_a_frame_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    content = mp3(path)
    first = parse_frame(content[:4])
    assert first is not None
    path.write_bytes(content[first.n_bytes :])
    held_s, damage = read_all_of(path)
    assert held_s == pytest.approx(20.0, abs=0.1)  # libsndfile alone guesses 10 s, and stops there
    assert damage == ""
    path.write_bytes(content[first.n_bytes : len(content) // 2 + 7])
    assert read_all_of(path)[1].startswith("truncated: breaks off inside a frame")


def test_two_mp3s_put_together_are_read_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    path.write_bytes(mp3(path) + mp3(path, 5.0))
    assert read_all_of(path)[0] == pytest.approx(25.0, abs=0.3)


def test_an_mp3_is_read_behind_what_is_no_mp3(tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    content = mp3(path)
    half = len(content) // 2
    path.write_bytes(content[:half] + bytes(9000) + content[half:])
    held_s, damage = read_all_of(path)
    assert held_s == pytest.approx(20.0, abs=0.2)  # mpg123 alone gives up after a kilobyte
    assert re.search(r"damaged: 9\d\d\d bytes in 1 places are not MP3; about ", damage)


def test_a_decoder_s_own_words_do_not_reach_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.mp3"
    content = bytearray(mp3(path))
    rng = np.random.default_rng(2)
    for at in rng.integers(1000, len(content), 60):
        content[at] ^= 0xFF
    path.write_bytes(content[: len(content) * 2 // 3])
    _, damage = read_all_of(path)
    assert "errors of the decoder: " in damage
    os.write(2, b"ours\n")  # the descriptor itself was never touched
    assert capfd.readouterr().err == "ours\n"


@pytest.mark.parametrize("encoding", ["VORBIS", "OPUS"])
def test_an_ogg_that_was_cut_off_says_so_and_one_with_a_hole_is_damaged(
    tmp_path: Path, encoding: str
) -> None:
    path = write(tmp_path / "x.ogg", tone(20.0)[:, 0], 48_000, subtype=encoding)
    content = path.read_bytes()
    assert read_all_of(path)[1] == ""
    path.write_bytes(content[: len(content) * 3 // 5])
    assert read_all_of(path)[1].startswith("truncated: the last page of the Ogg stream")
    path.write_bytes(content[: content.rfind(b"OggS")])  # every page that is there is whole
    assert read_all_of(path)[1].startswith("truncated: the last page of the Ogg stream")
    third = len(content) // 3
    path.write_bytes(content[:third] + bytes(2000) + content[third + 2000 :])
    held_s, damage = read_all_of(path)
    assert damage.startswith("damaged: ")
    assert 5 < held_s < 20


def test_absurd_samples_are_silence_and_loud_ones_are_said(tmp_path: Path) -> None:
    sound = tone()[:, 0].astype(np.float32)
    sound[[5, 900]] = 1e19, -1e20
    path = write(tmp_path / "x.wav", sound, subtype="FLOAT")
    with open_recording(path) as recording:
        assert max(np.abs(block).max() for block in recording.blocks()) < 1
    assert recording.levels.n_nonfinite == 2
    assert recording.verdict is None
    path = write(tmp_path / "y.wav", 32_768 * tone()[:, 0], subtype="FLOAT")
    with open_recording(path) as recording:
        for _ in recording.blocks():
            pass
    assert recording.damage is None
    assert (recording.verdict or "").startswith("beyond-full-scale: ")
    path = write(tmp_path / "z.wav", 8 * tone()[:, 0], subtype="FLOAT")  # 18 dB: a hot recorder
    with open_recording(path) as recording:
        for _ in recording.blocks():
            pass
    assert recording.verdict is None


def test_channels_that_cancel_each_other_are_said(tmp_path: Path) -> None:
    left = tone(4.0)[:, 0]
    noise = 1e-3 * np.random.default_rng(0).standard_normal((len(left), 2))
    opposite = write(tmp_path / "x.wav", np.stack([left, -left], 1) + noise)
    with open_recording(opposite) as recording:
        for _ in recording.blocks():
            pass
    assert (recording.verdict or "").startswith("opposite-channels: ")
    with open_recording(opposite, channel=0) as recording:
        for _ in recording.blocks():
            pass
    assert recording.verdict is None
    unrelated = np.random.default_rng(1).standard_normal((64_000, 6)) / 10
    for fine in (np.stack([left, left], 1), np.stack([left, 0 * left], 1), unrelated, noise * 1e-3):
        with open_recording(write(tmp_path / "y.wav", fine)) as recording:
            for _ in recording.blocks():
                pass
        assert recording.verdict is None


def test_windows_of_silenced_sound_are_marked(tmp_path: Path) -> None:
    left = tone(4.0)[:, 0]
    with open_recording(write(tmp_path / "x.wav", np.stack([left, -left], 1))) as recording:
        for _ in recording.blocks():
            pass
    assert recording.levels.silenced == [(0, len(left))]


def test_an_error_that_nobody_foresaw_is_this_recording_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_arguments: object) -> None:
        raise KeyError("codec")

    path = write(tmp_path / "x.wav", tone())
    monkeypatch.setattr(libsndfile, "claimed_samples", fault)
    with log_errors_beside(tmp_path / "run"), pytest.raises(AudioError, match="KeyError") as raised:
        read_info(path)
    assert raised.value.reason == "internal"
    assert "Traceback" in (tmp_path / "run.faults.log").read_text()


def test_a_name_that_no_file_can_have_is_missing(tmp_path: Path) -> None:
    with pytest.raises(AudioError) as raised:
        read_info(tmp_path / "a\0b.wav")
    assert raised.value.reason == "missing"


def test_an_mp4_may_end_a_tenth_of_a_second_before_its_duration_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "x.m4a"
    sound = tone(2.0).astype(np.float32).T
    with av.open(str(path), "w", format="mp4") as file:
        stream = file.add_stream("aac", rate=RATE, layout="mono")
        for start in range(0, sound.shape[1], 4800):
            piece = np.ascontiguousarray(sound[:, start : start + 4800])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = RATE, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    held_s, damage = read_all_of(path)
    assert damage == ""
    for more_s, fine in ((0.09, True), (0.11, False)):
        claimed = round((held_s + more_s) * RATE)
        monkeypatch.setattr(pyav, "_stream_samples", lambda _stream, n=claimed: n)
        if fine:
            assert read_all_of(path) == (held_s, "")
            continue
        with pytest.raises(AudioError, match="breaks off") as raised:
            read_all_of(path)
        assert raised.value.reason == "input-output"
