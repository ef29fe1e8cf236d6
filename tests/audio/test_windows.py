"""Windows cover every sample once in order, and none lies beyond the end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.audio.windows import cut, cut_blocks, n_windows, to_samples
from dawnchorus.errors import UsageError


@st.composite
def cuts(draw: st.DrawFn) -> tuple[int, int, int]:
    window = draw(st.integers(1, 60))
    return draw(st.integers(0, 400)), window, draw(st.integers(1, window))


@given(cuts())
def test_every_sample_lies_in_a_window_and_no_window_is_needless(
    case: tuple[int, int, int],
) -> None:
    n_samples, window, hop = case
    starts = np.arange(n_windows(n_samples, window, hop)) * hop
    covered = {s for start in starts for s in range(start, start + window)}
    assert covered >= set(range(n_samples))
    for last in starts[1:][-1:]:
        without = {s for start in starts[:-1] for s in range(start, start + window)}
        assert last < n_samples
        assert not without >= set(range(n_samples))


@given(cuts(), st.data())
def test_a_stream_of_blocks_gives_the_windows_of_the_whole(
    case: tuple[int, int, int], data: st.DataObject
) -> None:
    n_samples, window, hop = case
    sound = np.arange(1, n_samples + 1, dtype=np.float32)
    edges = sorted(data.draw(st.lists(st.integers(0, n_samples), max_size=6)))
    blocks = np.split(sound, edges)
    pieces = list(cut_blocks(blocks, window, hop))
    assert len(pieces) == n_windows(n_samples, window, hop)
    for i, (piece, start) in enumerate(zip(pieces, np.arange(len(pieces)) * hop, strict=True)):
        held = sound[start : start + window]
        assert (piece.index, piece.start_sample, piece.valid_samples) == (i, start, len(held))
        assert piece.samples.tolist() == [*held, *[0.0] * (window - len(held))]


def test_the_last_window_is_padded_and_says_how_much_of_it_is_sound() -> None:
    windows, valid = cut(np.ones(25, np.float32), 10, 10)
    assert valid.tolist() == [10, 10, 5]
    assert windows[2].tolist() == [1.0] * 5 + [0.0] * 5


def test_nothing_gives_no_window() -> None:
    assert cut(np.zeros(0, np.float32), 10, 5)[0].shape == (0, 10)


@pytest.mark.parametrize(("window", "hop"), [(10, 0), (10, 11), (10, -1), (0, 0)])
def test_a_hop_that_would_skip_sound_is_refused(window: int, hop: int) -> None:
    with pytest.raises(UsageError, match="0 < hop <= window"):
        n_windows(100, window, hop)
    with pytest.raises(UsageError, match="0 < hop <= window"):
        next(cut_blocks([np.ones(3, np.float32)], window, hop))


def test_seconds_become_the_nearest_sample() -> None:
    assert to_samples(0.1, 44_100) == 4410
    assert to_samples(1 / 3, 16_000) == 5333
