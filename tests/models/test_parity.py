"""Parity is measured on real sound, and by what a search finds as well as by cosines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dawnchorus.errors import UsageError, WeightsError
from dawnchorus.models import parity as parity_module
from dawnchorus.models import shipped_clips
from dawnchorus.models.eat import EAT
from dawnchorus.models.parity import Parity, bfloat16_parity, embedded, parity
from dawnchorus.models.shipped_clips import shipped_windows


def vectors(n: int = 40, dim: int = 16) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((n, dim)).astype(np.float32) + 5


def test_the_same_vectors_are_at_parity_whatever_their_length() -> None:
    found = parity(vectors(), 2 * vectors())
    assert found.cosine == pytest.approx(1.0, abs=1e-6)
    assert (found.overlap, found.n_windows) == (1.0, 40)
    assert found.holds(0.999)


def test_one_bad_window_is_enough() -> None:
    other = vectors()
    other[7] *= np.where(np.arange(16) % 2, 1, -1)
    found = parity(vectors(), other)
    ours, theirs = vectors()[7].astype(float), other[7].astype(float)
    expected = ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs)
    assert found.cosine == pytest.approx(expected, abs=1e-6)
    assert not found.holds(0.5)


def test_neighbours_can_be_lost_where_every_cosine_is_high() -> None:
    # nearly all of a vector is common to all, and what tells them apart is noise
    common = 1000.0 * np.ones(16, np.float32)
    draws = np.random.default_rng(0)
    one, other = (common + draws.standard_normal((40, 16)).astype(np.float32) for _ in range(2))
    found = parity(one, other)
    assert found.cosine > 0.99999
    assert found.overlap == pytest.approx(10 / 39, abs=0.12)  # as drawn at random
    assert not found.holds(0.999)


def test_overlap_is_that_of_a_plain_search() -> None:
    one = vectors()
    other = one + 0.4 * np.random.default_rng(5).standard_normal(one.shape).astype(np.float32)

    def nearest(x: np.ndarray, row: int) -> set[int]:
        centred = x - x.mean(axis=0)
        cosines = [
            float(centred[row] @ y / np.linalg.norm(centred[row]) / np.linalg.norm(y))
            for y in centred
        ]
        order = sorted((i for i in range(len(x)) if i != row), key=lambda i: -cosines[i])
        return set(order[:10])

    expected = np.mean([len(nearest(one, i) & nearest(other, i)) / 10 for i in range(40)])
    assert parity(one, other).overlap == pytest.approx(float(expected))


def test_numbers_that_are_none_are_not_at_parity() -> None:
    other = vectors()
    other[3, 2] = np.nan
    with np.errstate(invalid="ignore"):
        assert not parity(vectors(), other).holds(0.0)


@pytest.mark.parametrize("other", [vectors(40, 8), vectors(39)], ids=["dim", "windows"])
def test_vectors_that_do_not_belong_together_are_refused(other: np.ndarray) -> None:
    with pytest.raises(UsageError, match="need the same shape"):
        parity(vectors(), other)
    with pytest.raises(UsageError, match="more than 10 windows"):
        parity(vectors(10), vectors(10))


def test_figures_are_rounded_down() -> None:
    said = str(Parity(cosine=0.998999, overlap=0.94996, n_windows=53))
    assert said == "cosine at least 0.99899, 94.9 % of the 10 nearest are the same (53 windows)"


def test_the_shipped_clips_are_real_sound_in_whole_windows() -> None:
    windows = shipped_windows()
    assert windows.shape == (53, 32_000)
    assert windows.dtype == np.float32
    assert (windows.std(axis=1) > 1e-4).all()
    # a hop of half a window: each holds the last half of the one before
    assert np.array_equal(windows[0, 16_000:], windows[1, :16_000])
    assert shipped_windows(4.0, 4.0).shape == (14, 64_000)


def test_clips_that_are_missing_are_said_to_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shipped_clips, "INSTALLED", tmp_path)
    assert len(shipped_clips.shipped_clips()) == 7
    monkeypatch.setattr(shipped_clips, "IN_SOURCES", tmp_path)
    with pytest.raises(WeightsError, match="are missing"):
        shipped_windows()


def test_bfloat16_is_compared_with_the_model_itself_which_stays_as_it_is(
    tiny_encoder: EAT, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity_module, "shipped_windows", lambda: shipped_windows()[::4])
    before = {name: value.clone() for name, value in tiny_encoder.state_dict().items()}
    found = bfloat16_parity(tiny_encoder)
    assert found.n_windows == 14
    assert 0.999 < found.cosine < 1.0
    for name, value in tiny_encoder.state_dict().items():
        assert torch.equal(value, before[name])


def test_batches_do_not_show_in_vectors(tiny_encoder: EAT) -> None:
    windows = shipped_windows()[:11]
    whole = embedded(tiny_encoder.embed, windows)
    one_by_one = [embedded(tiny_encoder.embed, windows[i : i + 1]) for i in range(11)]
    np.testing.assert_allclose(whole, np.concatenate(one_by_one), atol=1e-5)
