"""Damage costs the damaged samples: what lies before and behind is read, the gap is silence."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from dawnchorus.audio.decode import recovery
from dawnchorus.audio.decode.read import open_recording, read_audio
from dawnchorus.errors import AudioError
from decode_samples import RATE, read_to_end, tone, write


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


def test_a_file_that_shrinks_while_it_is_read_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav", tone(20.0), subtype="PCM_16")
    with open_recording(path) as recording:
        blocks = recording.blocks(1000)
        next(blocks)
        os.truncate(path, 100_000)
        with pytest.raises(AudioError) as caught:
            list(blocks)
    assert caught.value.reason == "input-output"


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
    held_s, damage = read_to_end(path)
    assert held_s == 12 * 4096 / 16_000
    assert damage.startswith("damaged: decoding stopped after 3.07 s (of 3.12 s)")
