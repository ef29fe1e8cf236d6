"""A span of a file reads as if it were a file of its own, and an MP3's frames as one stream."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.audio.decode.byte_files import ByteSpan
from dawnchorus.audio.decode.mp3_stream import Mp3Stream

moves = st.lists(
    st.tuples(st.just("read"), st.integers(0, 40), st.just(0))
    | st.tuples(st.just("seek"), st.integers(0, 60), st.just(os.SEEK_SET))
    | st.tuples(st.just("seek"), st.integers(-60, 0), st.just(os.SEEK_END)),
    max_size=12,
)


@given(st.binary(max_size=60), st.data())
def test_any_reading_of_a_span_is_that_of_its_bytes(content: bytes, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(content)))
    n_bytes = data.draw(st.integers(0, len(content) - first))
    whole = io.BytesIO(content[first : first + n_bytes])
    span = io.BufferedReader(ByteSpan(io.BytesIO(content), first, n_bytes))
    for what, number, whence in data.draw(moves):
        if what == "read":
            assert span.read(number) == whole.read(number)
        else:
            origin = n_bytes if whence == os.SEEK_END else 0
            at = min(max(0, origin + number), n_bytes)  # never outside
            assert span.seek(number, whence) == whole.seek(at)


class FailingDisk(io.BytesIO):
    def read(self, _size: int | None = -1, /) -> bytes:
        raise OSError(5, "Input/output error")


def test_a_disk_that_fails_is_the_end_of_the_span_and_its_error_is_kept() -> None:
    span = ByteSpan(FailingDisk(b"abc"), 0, 3)
    assert span.readinto(memoryview(bytearray(3))) == 0
    assert span.error is not None
    assert span.error.errno == 5


def mp3_bytes(seconds: float) -> bytes:
    file = io.BytesIO()
    sound = 0.1 * np.random.default_rng(3).standard_normal(round(16_000 * seconds))
    soundfile.write(file, sound, 16_000, format="MP3", subtype="MPEG_LAYER_III")
    return file.getvalue()


@pytest.mark.parametrize("junk", [0, 1, 5000, 300_000])
def test_frames_on_both_sides_of_junk_follow_each_other(junk: int) -> None:
    content = mp3_bytes(4.0)
    middle = len(content) // 2
    whole = content[:middle] + bytes(junk) + content[middle:]
    clean = Mp3Stream(io.BytesIO(content), 0, len(content))
    stream = Mp3Stream(io.BytesIO(whole), 0, len(whole))
    frames, clean_frames = io.BufferedReader(stream).read(), io.BufferedReader(clean).read()
    assert clean.n_holes == clean.n_lost == 0
    # the frame that the junk lies in is lost, and no other
    assert 0 <= clean.n_frames - stream.n_frames <= 1
    assert len(clean_frames) - len(frames) < 1500
    assert (stream.n_holes > 0) == (junk > 0)
