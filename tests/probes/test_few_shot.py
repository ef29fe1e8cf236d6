"""Scores by the number of clips that were labelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dawnchorus.errors import TaskError
from dawnchorus.probes.few_shot import CurvePoint, as_csv, draw_clips, learning_curve
from dawnchorus.probing.pictures import plot_curves

GROUPS = np.repeat(np.arange(30), 4)  # 30 recordings of 4 clips
TRUTH = np.eye(3, dtype=int)[GROUPS % 3]  # 10 recordings a class
FOLDS = GROUPS % 5


@pytest.mark.parametrize("n_clips", [1, 5, 10, 15])
def test_a_draw_has_so_many_clips_of_each_class_from_as_many_recordings_as_it_can(
    n_clips: int,
) -> None:
    rows = draw_clips(TRUTH, GROUPS, n_clips, np.random.default_rng(0))
    assert TRUTH[rows].sum(axis=0).tolist() == [n_clips] * 3
    for k in range(3):
        mine = GROUPS[rows[TRUTH[rows, k] == 1]]
        assert len(np.unique(mine)) == min(n_clips, 10)


def test_a_class_with_fewer_clips_gives_all_and_several_labels_count_for_each() -> None:
    truth = np.array([[1, 0], [1, 0], [1, 1], [0, 1]])
    rows = draw_clips(truth, None, 3, np.random.default_rng(1))
    assert rows.tolist() == [0, 1, 2, 3]


def test_clips_of_nothing_are_drawn_as_a_class() -> None:
    truth = np.vstack([np.eye(2, dtype=int).repeat(6, axis=0), np.zeros((9, 2), int)])
    rows = draw_clips(truth, None, 4, np.random.default_rng(2))
    assert truth[rows].sum(axis=0).tolist() == [4, 4]
    assert len(rows) == 12


def test_training_and_test_never_share_a_recording_and_draws_repeat_by_seed() -> None:
    seen: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def score(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
        for train, test in pairs:
            assert not set(GROUPS[train]) & set(GROUPS[test])
            seen.append((tuple(train), tuple(test)))
        tested = np.concatenate([test for _, test in pairs])
        assert len(set(tested.tolist())) == len(tested)
        return len(pairs[0][0]) / 100

    points = learning_curve(score, TRUTH, GROUPS, FOLDS, counts=(2, 5), n_draws=3, seed=4)
    assert [point.value for point in points] == pytest.approx([0.06, 0.15])
    assert len(set(seen)) == 2 * 3 * 5  # counts, draws, folds
    folds = GROUPS % 3
    learning_curve(score, TRUTH, GROUPS, folds, counts=(2,), n_draws=1)
    assert [set(folds[list(test)]) for _, test in seen[-3:]] == [{0}, {1}, {2}]
    del seen[-3:]
    first = list(seen)
    seen.clear()
    learning_curve(score, TRUTH, GROUPS, FOLDS, counts=(2, 5), n_draws=3, seed=4)
    assert seen == first
    seen.clear()
    test = np.flatnonzero(GROUPS < 6)
    only_test = np.where(GROUPS < 6, 0, -1)
    learning_curve(score, TRUTH, GROUPS, only_test, counts=(20,), n_draws=2)
    assert all(rows == tuple(test) for _, rows in seen)


def test_a_score_that_is_undefined_is_no_number_and_says_why() -> None:
    def score(_pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
        raise TaskError("no item is positive")

    point = learning_curve(score, TRUTH, GROUPS, FOLDS, counts=(50,), n_draws=2)[0]
    assert np.isnan(point.value)
    assert point.n_draws == 0
    assert point.n_short == 3
    assert point.reason == "no item is positive"
    assert as_csv([point]).splitlines()[1] == "50,,,,0,3,no item is positive"


def test_the_interval_lies_around_the_mean_and_the_picture_is_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    points = learning_curve(
        lambda *_: float(rng.normal(0.5, 0.05)), TRUTH, GROUPS, FOLDS, counts=(5, 10, 20)
    )
    assert all(p.low < p.value < p.high for p in points)
    whole = CurvePoint(n_clips=None, value=0.6, low=np.nan, high=np.nan, n_draws=1, n_short=0)
    points.append(whole)
    assert as_csv(points).splitlines()[-1] == "all,0.6,,,1,0,"
    plot_curves(tmp_path / "curve.png", {"tiny": points, "other": points[:2]}, "accuracy")
    assert (tmp_path / "curve.png").stat().st_size > 10_000


def test_nothing_to_draw_from_is_an_error() -> None:
    with pytest.raises(TaskError, match="0 clips to draw from"):
        learning_curve(lambda *_: 0.0, TRUTH, GROUPS, np.zeros(120, int))
