"""Each clip sounds as if it were all there is, and a bad one costs no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from dawnchorus.audio.decode.read import read_audio
from dawnchorus.benchmark.tasks.base import Item
from dawnchorus.embedding.pieces import Piece, PieceRule, as_batch, batches
from dawnchorus.embedding.sounds import read_clips
from dawnchorus.errors import AudioError

RATE = 16_000


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(round(seconds * RATE)).astype(np.float32) * 0.1


def clip(path: str, start_s: float, stop_s: float | None) -> Item:
    return Item(f"{path} {start_s}", path, start_s, stop_s, (), "test", "g")


@pytest.mark.parametrize("longest_s", [None, 0.25])
def test_clips_of_one_file_are_cut_as_if_read_alone(
    tmp_path: Path, longest_s: float | None
) -> None:
    soundfile.write(tmp_path / "a.flac", noise(5.0), 22_050)
    spans = [(2.0, 2.5), (0.1, 0.4), (0.3, 1.7)]
    found = read_clips(tmp_path, [clip("a.flac", *span) for span in spans], RATE, longest_s)
    for samples, (start_s, stop_s) in zip(found, spans, strict=True):
        end_s = stop_s if longest_s is None else min(stop_s, start_s + longest_s)
        alone = read_audio(tmp_path / "a.flac", start_s=start_s, stop_s=end_s, sample_rate=RATE)
        np.testing.assert_array_equal(samples, alone)


def test_a_clip_behind_the_end_of_a_file_costs_no_other_clip_of_it(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(1.0), RATE)
    (tmp_path / "b.wav").write_text("no sound")
    wanted = [("a.wav", 0.0, 0.5), ("a.wav", 3.0, 4.0), ("b.wav", 0.0, None), ("a.wav", 0.5, 1.0)]
    first, beyond, broken, last = read_clips(tmp_path, [clip(*one) for one in wanted], RATE)
    assert isinstance(beyond, AudioError)
    assert isinstance(broken, AudioError)
    assert (beyond.reason, broken.reason) == ("empty", "unreadable")
    assert len(first) == len(last) == RATE // 2  # type: ignore[arg-type]


def test_batches_mix_no_numbers_of_patches_and_hold_every_piece_once() -> None:
    rule = PieceRule(window_s=1.0, sample_rate=RATE)
    pieces = [p for s in (0.3, 0.95, 0.31, 0.5, 2.3) for p in rule.cut(noise(s))]
    assert sum(piece.n_valid for piece in pieces[4:]) == round(2.3 * RATE)
    found = list(batches(pieces, RATE))
    assert sorted(index for batch in found for index in batch) == list(range(7))
    for batch in found:
        _, lengths = as_batch([pieces[i] for i in batch])
        assert len({(int(n) - 400) // 2560 for n in lengths}) == 1
        assert len(batch) == 1 or len(batch) * int(lengths.max()) <= RATE + 2560 * len(batch)


def test_the_paper_pads_a_clip_to_the_window_and_says_where_its_sound_ends() -> None:
    rule = PieceRule(window_s=1.0, sample_rate=RATE, first_only=True)
    short, whole = rule.cut(noise(0.25)), rule.cut(noise(2.0))
    waveforms, lengths = as_batch([*short, *whole])
    assert waveforms.shape == (2, RATE)
    assert lengths.tolist() == [RATE // 4, RATE]
    assert rule.longest_s == 1.0
    assert PieceRule(window_s=1.0, sample_rate=RATE, first_only=True, crop_s=0.6).longest_s == 0.6


def test_less_than_a_frame_of_sound_is_one_frame() -> None:
    waveforms, lengths = as_batch([Piece(np.ones(3, np.float32), 3)])
    assert waveforms.shape == (1, 400)
    assert lengths.tolist() == [400]
