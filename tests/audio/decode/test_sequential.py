"""Encodings without exact seeks are read to their end, and the end shows what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from dawnchorus.audio.decode.read import open_recording, read_audio, read_info
from dawnchorus.errors import AudioError
from decode_samples import HZ, RATE, joined, read_to_end, tone, write


def test_an_mp3_that_breaks_off_is_counted_not_believed(tmp_path: Path) -> None:
    path = write(tmp_path / "x.mp3", tone(4.0), format="MP3")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_recording(path) as recording:
        n_read = sum(map(len, recording.blocks()))
    assert RATE < n_read < (recording.info.n_samples or 0)


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


@pytest.mark.parametrize("encoding", ["VORBIS", "OPUS"])
def test_an_ogg_that_was_cut_off_says_so_and_one_with_a_hole_is_damaged(
    tmp_path: Path, encoding: str
) -> None:
    path = write(tmp_path / "x.ogg", tone(20.0, HZ)[:, 0], 48_000, subtype=encoding)
    content = path.read_bytes()
    assert read_to_end(path)[1] == ""
    path.write_bytes(content[: len(content) * 3 // 5])
    assert read_to_end(path)[1].startswith("truncated: the last page of the Ogg stream")
    path.write_bytes(content[: content.rfind(b"OggS")])  # every page that is there is whole
    assert read_to_end(path)[1].startswith("truncated: the last page of the Ogg stream")
    third = len(content) // 3
    path.write_bytes(content[:third] + bytes(2000) + content[third + 2000 :])
    held_s, damage = read_to_end(path)
    assert damage.startswith("damaged: ")
    assert 5 < held_s < 20
