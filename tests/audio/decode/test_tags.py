"""Tags around the sound of a file are not taken for sound, nor for damage."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from dawnchorus.audio.decode.read import open_recording
from decode_samples import HZ, tone, write


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
    sound = tone(1.0, HZ)[:, 0]
    plain = write(tmp_path / f"plain.{encoding}", sound, HZ)
    tagged = tmp_path / f"tagged.{encoding}"
    tagged.write_bytes(before + plain.read_bytes() + behind)
    with open_recording(plain) as recording:
        want = np.concatenate(list(recording.blocks()))
    with open_recording(tagged) as recording:
        np.testing.assert_array_equal(np.concatenate(list(recording.blocks())), want)
    assert recording.verdict is None


def test_a_flac_of_unknown_length_ends_before_its_tag(tmp_path: Path) -> None:
    content = bytearray(write(tmp_path / "x.flac", tone(1.0, HZ)[:, 0], HZ).read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)  # total samples: unknown
    (tmp_path / "x.flac").write_bytes(bytes(content) + b"TAG" + bytes(125))
    with open_recording(tmp_path / "x.flac") as recording:
        assert sum(map(len, recording.blocks())) == len(tone(1.0, HZ))
    assert recording.damage is None
