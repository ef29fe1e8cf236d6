"""How far scores can be believed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dawnchorus.errors import TaskError
from dawnchorus.probes.reliability import (
    brier,
    expected_calibration_error,
    figures,
    reliability_bins,
    wilson,
)
from dawnchorus.probing.pictures import plot_reliability


def naive_error(scores: np.ndarray, hits: np.ndarray, n_bins: int) -> float:
    total = 0.0
    for at in range(n_bins):
        inside = [i for i, s in enumerate(scores) if min(int(s * n_bins), n_bins - 1) == at]
        if inside:
            total += abs(sum(scores[i] - hits[i] for i in inside))
    return total / len(scores)


def test_the_error_is_what_a_loop_over_equal_widths_finds() -> None:
    rng = np.random.default_rng(0)
    scores = np.append(rng.random(200), [0.0, 1.0, 0.5])
    hits = rng.random(203) < scores**2
    ours = expected_calibration_error(scores, hits, n_bins=8, bins="width")
    assert ours == pytest.approx(naive_error(scores, hits, 8), abs=1e-12)


def test_bins_of_equal_mass_hold_equally_many_and_keep_ties_together() -> None:
    rng = np.random.default_rng(1)
    scores = rng.random(1000)
    assert set(reliability_bins(scores, scores > 0.5).n) == {100}
    tied = np.repeat([0.1, 0.2, 0.9], [30, 30, 40])
    hits = rng.random(100) < tied
    shuffled = rng.permutation(100)
    assert expected_calibration_error(tied, hits) == pytest.approx(
        expected_calibration_error(tied[shuffled], hits[shuffled]), abs=1e-15
    )
    assert reliability_bins(tied, hits).n.tolist() == [30, 30, 40]


def test_scores_that_are_right_as_often_as_they_say_have_no_error() -> None:
    scores = np.repeat([0.2, 0.8], 10)
    hits = np.array([1, 1] + [0] * 8 + [1] * 8 + [0, 0], bool)
    assert expected_calibration_error(scores, hits) == pytest.approx(0, abs=1e-12)
    assert expected_calibration_error(1 - scores, hits) == pytest.approx(0.6, abs=1e-12)
    assert brier(scores, hits) == pytest.approx(0.16, abs=1e-12)


def test_wilson_is_the_published_interval_and_never_empty() -> None:
    low, high = wilson(np.array([1.0, 0.5]), np.array([10.0, 20.0]))
    assert low == pytest.approx([0.7225, 0.2993], abs=5e-4)
    assert high == pytest.approx([1.0, 0.7007], abs=5e-4)


def test_what_is_no_probability_is_an_error() -> None:
    with pytest.raises(TaskError, match="probabilities"):
        reliability_bins(np.array([1.2]), np.array([True]))
    with pytest.raises(TaskError, match="need some"):
        reliability_bins(np.zeros(0), np.zeros(0, bool))
    with pytest.raises(TaskError, match="probabilities"):
        reliability_bins(np.array([np.nan]), np.array([True]))


def test_the_picture_is_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    truth = np.eye(3, dtype=bool)[rng.integers(0, 3, 60)]
    p = rng.dirichlet(np.ones(3), 60)
    assert set(figures(p, truth)) == {
        f"{m}_{v}"
        for m in ("ece_mass", "ece_width", "brier")
        for v in ("first_guess", "all_scores")
    }
    plot_reliability(tmp_path / "new" / "r.png", p, p, truth)
    assert (tmp_path / "new" / "r.png").stat().st_size > 10_000
