"""Thresholds for a wanted precision or recall."""

from __future__ import annotations

import numpy as np
import pytest

from dawnchorus.errors import TaskError, UsageError
from dawnchorus.probes.reliability import wilson
from dawnchorus.probes.thresholds import clustered_share, find_thresholds


def one_class(scores: list[float], hits: list[int], **wanted: float) -> tuple[float | None, str]:
    found = find_thresholds(np.array(scores)[:, None], np.array(hits)[:, None], ["wren"], **wanted)[
        0
    ]
    return found.value, found.reason


SCORES = [0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
HITS = [1, 1, 1, 0, 1, 1, 0, 0]


def test_the_lowest_score_of_a_precision_and_the_highest_of_a_recall() -> None:
    # each halfway to the next lower score
    assert one_class(SCORES, HITS, precision=0.8)[0] == 0.45  # 5 of 6
    assert one_class(SCORES, HITS, precision=0.9)[0] == 0.75  # 3 of 3
    assert one_class(SCORES, HITS, recall=0.8)[0] == 0.55  # 4 of 5
    assert one_class(SCORES, HITS, recall=1.0)[0] == 0.45
    # 5 of 8 would do, but finds no more than 5 of 6
    assert one_class(SCORES, HITS, precision=0.6)[0] == 0.45
    assert one_class([0.9, 0.8, 0.7], [1, 1, 1], recall=1.0)[0] is None  # 3 clips
    assert one_class([0.5] * 5, [1] * 5, precision=0.9)[0] == 0.5  # no lower score


@pytest.mark.parametrize("seed", range(10))
def test_no_other_score_does_better_than_the_one_given(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = np.round(rng.random(60), 1 + seed % 2)  # with ties
    hits = rng.random(60) < scores
    for wanted in (0.5, 0.7, 0.9):
        found = find_thresholds(scores[:, None], hits[:, None], ["x"], precision=wanted)[0]
        good = [
            t
            for t in np.unique(scores[hits])
            if hits[scores >= t].sum() >= 3 and hits[scores >= t].mean() >= wanted - 1e-12
        ]
        assert (found.value is None) == (not good)
        if found.value is not None:
            assert scores[scores >= found.value].min() == min(good)
        found = find_thresholds(scores[:, None], hits[:, None], ["x"], recall=wanted)[0]
        good = [t for t in np.unique(scores) if (scores[hits] >= t).mean() >= wanted - 1e-12]
        assert found.value is not None
        assert scores[scores >= found.value].min() == max(good)
        assert found.recall is not None
        assert found.precision_low is not None
        assert found.precision_low <= hits[scores >= found.value].mean()


def test_what_cannot_be_reached_or_told_is_said() -> None:
    value, reason = one_class(SCORES, [0, 1, 0, 1, 0, 1, 1, 1], precision=0.9)
    assert value is None
    assert "at best 0.62 (5 of 8) from a score of 0.300" in reason
    value, reason = one_class(SCORES, [1, 1, 1, 1, 0, 0, 0, 0], precision=0.9)
    assert value is None
    assert "4 clips" in reason


def test_clips_of_one_recording_are_worth_less_than_as_many_of_their_own() -> None:
    hits = np.array([True] * 15 + [False] * 5)
    alone = clustered_share(hits, np.arange(20))
    assert alone[1:] == pytest.approx(
        tuple(float(x[0]) for x in wilson(np.array([0.75]), np.array([20.0])))
    )
    together = clustered_share(hits, np.arange(20) // 5)  # whole recordings right or wrong
    assert together[0] == 0.75
    assert together[1] < alone[1]
    assert together[2] > alone[2]
    # all right: as sure as the recordings are many, not the clips
    few = clustered_share(np.ones(20, bool), np.arange(20) // 5)
    assert few[1] == pytest.approx(float(wilson(np.ones(1), np.array([4.0]))[0][0]))


def test_the_interval_of_a_precision_covers_the_true_one_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    n_groups, size, covered = 30, 4, 0
    for _ in range(300):
        rate = rng.beta(4, 1, n_groups)  # mean 0.8
        hits = (rng.random((n_groups, size)) < rate[:, None]).ravel()
        _, low, high = clustered_share(hits, np.repeat(np.arange(n_groups), size))
        covered += low <= 0.8 <= high
    assert 0.92 <= covered / 300 <= 0.985


def test_the_threshold_s_own_interval_holds_it_and_is_the_same_again() -> None:
    rng = np.random.default_rng(6)
    scores = rng.random((200, 2))
    truth = rng.random((200, 2)) < scores**0.5
    groups = np.arange(200) // 4
    found = find_thresholds(scores, truth, ["a", "b"], groups, precision=0.75)
    assert found == find_thresholds(scores, truth, ["a", "b"], groups, precision=0.75)
    for threshold in found:
        assert threshold.value is not None
        assert threshold.low is not None
        assert threshold.high is not None
        assert threshold.low <= threshold.value <= threshold.high


def test_nonsense_is_refused() -> None:
    for wanted in ({}, {"precision": 0.5, "recall": 0.5}, {"precision": 1.5}, {"recall": 0.0}):
        with pytest.raises(UsageError, match="need one of precision and recall"):
            one_class(SCORES, HITS, **wanted)
    with pytest.raises(TaskError, match="2 classes"):
        find_thresholds(np.ones((3, 1)), np.ones((3, 1)), ["a", "b"], precision=0.5)


@pytest.mark.parametrize("wanted", ["precision", "recall"])
def test_what_a_threshold_is_said_to_give_is_no_better_than_what_it_gives(wanted: str) -> None:
    rng = np.random.default_rng(7)
    hits = np.arange(40) < 6
    others = np.arange(8000) < 1200
    fresh = rng.normal(size=len(others)) + 1.7 * others
    said, true = [], []
    for seed in range(150):
        scores = rng.normal(size=len(hits)) + 1.7 * hits
        found = find_thresholds(scores[:, None], hits[:, None], ["x"], seed=seed, **{wanted: 0.8})[
            0
        ]
        if found.value is None:
            continue
        got = found.precision if wanted == "precision" else found.recall
        short = got is not None and got < 0.7
        assert ("on recordings that did not set it" in found.reason) == short
        reached = fresh >= found.value
        if wanted == "recall":
            assert found.recall is not None
            said.append(found.recall)
            true.append(float(reached[others].mean()))
        elif found.precision is not None:
            said.append(found.precision)
            true.append(float(others[reached].mean()))
    assert len(said) > 50
    # of the clips that set it, precision would be 0.9 and more where it is 0.65
    assert np.mean(said) < np.mean(true) + 0.03
    assert np.mean(said) > np.mean(true) - 0.2


def test_clips_of_one_recording_say_nothing_of_another() -> None:
    groups = np.array([0, 0, 0, 1, 0, 0, 2, 2])
    found = find_thresholds(
        np.array(SCORES)[:, None], np.array(HITS)[:, None], ["wren"], groups, precision=0.8
    )[0]
    assert found.value == 0.45
    assert found.precision is None
    assert "one recording" in found.reason
