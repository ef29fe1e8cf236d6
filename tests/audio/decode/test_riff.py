"""The chunks of a WAV are walked one way, and no file makes the walk fail or run on."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.audio.decode.riff import MAX_CHUNKS, info_texts, wav_chunks
from dawnchorus.audio.decode.wav_samples import plain_samples
from dawnchorus.audio.metadata import read_metadata

names = st.binary(min_size=4, max_size=4)
chunks_of = st.lists(st.tuples(names, st.binary(max_size=9)), max_size=6)


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def wav(*chunks: tuple[bytes, bytes]) -> bytes:
    content = b"".join(chunk(name, body) for name, body in chunks)
    return b"RIFF" + struct.pack("<I", len(content) + 4) + b"WAVE" + content


@given(chunks_of)
def test_the_chunks_that_were_written_are_walked(written: list[tuple[bytes, bytes]]) -> None:
    file = io.BytesIO(wav(*written))
    walked = [(c.name, file.read(c.n_bytes)) for c in wav_chunks(file)]
    assert walked == written


@given(chunks_of, st.data())
def test_reading_in_between_does_not_change_the_walk(
    written: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    file = io.BytesIO(wav(*written))
    seen = []
    for c in wav_chunks(file):
        seen.append(c.name)
        file.read(data.draw(st.integers(0, 99)))
    assert seen == [name for name, _ in written]


@given(st.binary(max_size=200))
def test_nothing_that_follows_a_head_makes_the_walk_fail(junk: bytes) -> None:
    file = io.BytesIO(b"RIFF\0\0\0\0WAVE" + junk)
    assert len(list(wav_chunks(file))) <= MAX_CHUNKS


def test_other_formats_and_endless_headers_have_few_chunks() -> None:
    assert list(wav_chunks(io.BytesIO(b"FORM\0\0\0\0AIFF" + chunk(b"fmt ", b"x")))) == []
    endless = wav(*[(b"junk", b"")] * 1000)
    assert len(list(wav_chunks(io.BytesIO(endless)))) == MAX_CHUNKS


@given(st.dictionaries(st.sampled_from(["ICMT", "IART", "INAM"]), st.binary(max_size=20)))
def test_the_strings_of_a_list_are_those_that_were_written(texts: dict[str, bytes]) -> None:
    body = b"INFO" + b"".join(chunk(name.encode(), text) for name, text in texts.items())
    assert info_texts(body) == texts
    assert info_texts(b"adtl" + body[4:]) == {}


@pytest.mark.parametrize(
    ("subtype", "n_bytes"), [("PCM_16", 2), ("PCM_24", 3), ("FLOAT", 4), ("DOUBLE", 8)]
)
def test_plain_samples_lie_where_soundfile_put_them(
    tmp_path: Path, subtype: str, n_bytes: int
) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, np.zeros((100, 2)), 8_000, subtype=subtype)
    samples = plain_samples(path)
    assert samples is not None
    assert (samples.sample_rate, samples.n_channels, samples.encoding) == (8_000, 2, subtype)
    assert samples.n_bytes == 100 * 2 * n_bytes
    assert path.stat().st_size - samples.first >= samples.n_bytes


def test_compressed_samples_and_other_files_have_no_plain_samples(tmp_path: Path) -> None:
    packed, text = tmp_path / "x.wav", tmp_path / "y.wav"
    soundfile.write(packed, np.zeros(4000), 8_000, subtype="IMA_ADPCM")
    text.write_text("not a recording")
    assert plain_samples(packed) is plain_samples(text) is None


@given(st.binary(max_size=120), st.binary(max_size=120))
def test_no_notes_of_a_recorder_make_reading_them_fail(guano: bytes, comment: bytes) -> None:
    path = Path("20240501_043000.wav")
    info = (b"LIST", b"INFO" + chunk(b"ICMT", comment))
    content = wav((b"guan", guano), info)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.path.isfile", lambda _path: True)
        patch.setattr(Path, "open", lambda _path, _mode: io.BytesIO(content))
        metadata = read_metadata(path)
    assert metadata.start is not None  # by the name, if by nothing else
