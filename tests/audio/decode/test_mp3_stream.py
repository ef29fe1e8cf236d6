"""MP3s are read frame by frame, whatever their first frame declares and lies between."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

from dawnchorus.audio.decode.mp3_frames import parse_frame
from dawnchorus.audio.decode.read import open_recording
from decode_samples import read_to_end, write


def mp3(path: Path, seconds: float = 20.0, rate: int = 16_000) -> bytes:
    sound = 0.1 * np.random.default_rng(1).standard_normal(int(rate * seconds))
    return write(path, sound, rate).read_bytes()


def test_an_mp3_that_holds_half_of_what_it_promises_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    whole = mp3(path)
    assert read_to_end(path) == (20.0, "")
    path.write_bytes(whole[: len(whole) // 2])
    with open_recording(path) as recording:
        assert (recording.damage or "").startswith("truncated: the header promises ")
    held_s, damage = read_to_end(path)
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
    held_s, damage = read_to_end(path)
    assert held_s == pytest.approx(10.0, abs=0.2)
    assert re.match(r"truncated: the header claims 20\.\d+ s, the file holds (9|10)\.\d+ s", damage)


def test_an_mp3_without_a_promise_that_ends_inside_a_frame_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    content = mp3(path)
    first = parse_frame(content[:4])
    assert first is not None
    path.write_bytes(content[first.n_bytes :])
    held_s, damage = read_to_end(path)
    assert held_s == pytest.approx(20.0, abs=0.1)  # libsndfile alone guesses 10 s, and stops there
    assert damage == ""
    path.write_bytes(content[first.n_bytes : len(content) // 2 + 7])
    assert read_to_end(path)[1].startswith("truncated: breaks off inside a frame")


def test_two_mp3s_put_together_are_read_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    path.write_bytes(mp3(path) + mp3(path, 5.0))
    assert read_to_end(path)[0] == pytest.approx(25.0, abs=0.3)


def test_an_mp3_is_read_behind_what_is_not_mp3(tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    content = mp3(path)
    half = len(content) // 2
    path.write_bytes(content[:half] + bytes(9000) + content[half:])
    held_s, damage = read_to_end(path)
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
    _, damage = read_to_end(path)
    assert "errors of the decoder: " in damage
    os.write(2, b"ours\n")  # the descriptor itself was never touched
    assert capfd.readouterr().err == "ours\n"
