"""Thresholds for a wanted precision or recall."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import betainc

from dawnchorus.errors import TaskError, UsageError
from dawnchorus.probes.thresholds import ClassThreshold, find_thresholds


def one_class(scores: list[float], hits: list[int], **goal: float) -> tuple[float | None, str]:
    found = of_class(np.array(scores), np.array(hits), confidence=0.0, **goal)
    return found.value, found.reason


def of_class(
    scores: np.ndarray, hits: np.ndarray, groups: np.ndarray | None = None, **goal: float
) -> ClassThreshold:
    return find_thresholds(scores[:, None], hits[:, None], ["wren"], groups, **goal)[0]  # type: ignore[arg-type]  # one of them is a whole number


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
    for goal in (0.5, 0.7, 0.9):
        found = of_class(scores, hits, precision=goal, confidence=0)
        good = [
            t
            for t in np.unique(scores[hits])
            if hits[scores >= t].sum() >= 3 and hits[scores >= t].mean() >= goal - 1e-12
        ]
        assert (found.value is None) == (not good)
        if found.value is not None:
            assert scores[scores >= found.value].min() == min(good)
        found = of_class(scores, hits, recall=goal, confidence=0)
        good = [t for t in np.unique(scores) if (scores[hits] >= t).mean() >= goal - 1e-12]
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


def test_the_threshold_s_own_interval_holds_it_and_is_the_same_again() -> None:
    rng = np.random.default_rng(6)
    scores = rng.random((200, 2))
    truth = rng.random((200, 2)) < scores**0.5
    groups = np.arange(200) // 4
    goal = {"precision": 0.75, "confidence": 0.0}
    found = find_thresholds(scores, truth, ["a", "b"], groups, **goal)
    assert found == find_thresholds(scores, truth, ["a", "b"], groups, **goal)
    for threshold in found:
        assert threshold.value is not None
        assert threshold.low is not None
        assert threshold.high is not None
        assert threshold.low <= threshold.value <= threshold.high


def test_nonsense_is_refused() -> None:
    for goal in ({}, {"precision": 0.5, "recall": 0.5}, {"precision": 1.5}, {"recall": 0.0}):
        with pytest.raises(UsageError, match="need one of precision and recall"):
            one_class(SCORES, HITS, **goal)
    for confidence in (-0.1, 1.0):
        with pytest.raises(UsageError, match="need 0 or more, and under 1"):
            of_class(np.array(SCORES), np.array(HITS), precision=0.9, confidence=confidence)
    with pytest.raises(TaskError, match="2 classes"):
        find_thresholds(np.ones((3, 1)), np.ones((3, 1)), ["a", "b"], precision=0.5)


@pytest.mark.parametrize("goal", ["precision", "recall"])
def test_what_a_threshold_is_said_to_give_is_no_better_than_what_it_gives(goal: str) -> None:
    rng = np.random.default_rng(7)
    hits = np.arange(40) < 6
    others = np.arange(8000) < 1200
    fresh = rng.normal(size=len(others)) + 1.7 * others
    said, true = [], []
    for seed in range(150):
        scores = rng.normal(size=len(hits)) + 1.7 * hits
        found = of_class(scores, hits, seed=seed, confidence=0, **{goal: 0.8})
        if found.value is None:
            continue
        got = found.precision if goal == "precision" else found.recall
        short = got is not None and got < 0.7
        assert ("on recordings that did not set it" in found.reason) == short
        reached = fresh >= found.value
        if goal == "recall":
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
    found = of_class(np.array(SCORES), np.array(HITS), groups, precision=0.8, confidence=0)
    assert found.value == 0.45
    assert found.precision is None
    assert "one recording" in found.reason


def groups_of_clips(
    n_groups: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Five clips a recording, half of them calls; scores of a recording lie higher or lower."""
    groups = np.repeat(np.arange(n_groups), 5)
    hits = rng.random(len(groups)) < 0.5
    shift = 0.5 * rng.normal(size=n_groups)[groups]
    return rng.normal(size=len(groups)) + 2.5 * hits + shift, hits, groups


@pytest.mark.parametrize("goal", ["precision", "recall"])
def test_a_threshold_with_confidence_holds_on_other_recordings(goal: str) -> None:
    fresh, truth, _ = groups_of_clips(20_000, np.random.default_rng(1))
    met: dict[float, list[bool]] = {0.0: [], 0.8: []}
    for seed in range(60):
        clips = groups_of_clips(60, np.random.default_rng(seed))
        for confidence, held in met.items():
            value = of_class(*clips, confidence=confidence, **{goal: 0.9}).value
            if value is not None:
                reached = fresh >= value
                share = truth[reached] if goal == "precision" else reached[truth]
                held.append(bool(share.mean() >= 0.9))
    assert len(met[0.8]) > 40
    # of all fits at most a fifth give a threshold that misses; 0.05 for 60 fits
    assert (len(met[0.8]) - sum(met[0.8])) / 60 < 0.25
    assert np.mean(met[0.8]) > 0.8
    assert np.mean(met[0.0]) < 0.7  # without: as often missed as met


def test_the_walk_ends_at_the_first_score_that_fails_its_test() -> None:
    n = 60
    scores = np.linspace(1, 0, n)
    hits = np.ones(n, bool)
    hits[[17, 18, 19, 20]] = False  # then 39 more that are right
    found = of_class(scores, hits, precision=0.9)
    expected = next(
        k
        for k in range(15, n)
        if betainc(hits[: k + 1].sum(), k + 2 - hits[: k + 1].sum(), 0.9) > 0.2
    )
    assert found.value == pytest.approx((scores[expected - 1] + scores[expected]) / 2)
    # all of them together would pass, but they lie behind the failure
    assert betainc(56, 5, 0.9) > 0.2 or found.value > scores[-1]
    hits[:] = True
    hits[3] = False  # among the first sixteen: the walk does not get under way
    assert of_class(scores, hits, precision=0.9).value is None
    assert of_class(scores, hits, precision=0.9, confidence=0.0).value is not None


def test_what_so_few_recordings_cannot_show_is_said_with_how_many_would() -> None:
    scores = np.linspace(1, 0, 12)
    hits = np.arange(12) < 6
    assert of_class(scores, hits, precision=0.9).reason == (
        "6 recordings show a precision of 0.76 at most, with confidence 0.8; 0.9 takes 16"
    )
    assert of_class(scores, hits, precision=0.75).value == pytest.approx(6 / 11 - 1 / 22)
    assert "takes" not in of_class(scores, hits, precision=1.0).reason
    many = np.tile(scores, 5), np.tile(np.arange(12) % 3 > 0, 5)
    reason = of_class(*many, precision=0.9).reason
    assert "precision 0.9 is not shown with confidence 0.8: at best 4" in reason


def test_windows_of_few_recordings_do_not_pass_for_many_clips() -> None:
    scores, hits = np.linspace(1, 0, 80), np.arange(80) < 40
    assert of_class(scores, hits, precision=0.9).value is not None
    ten = of_class(scores, hits, np.arange(80) // 8, precision=0.9)
    assert ten.value is None
    assert "5 recordings" in ten.reason


def test_folds_that_set_no_threshold_are_no_recall_of_nothing() -> None:
    scores, hits = np.linspace(1, 0, 32), np.arange(32) < 16
    found = of_class(scores, hits, precision=0.9)
    assert found.value is not None
    assert found.precision is None  # fifteen recordings cannot show it
    assert found.recall == 1.0  # of all clips
    assert "untried on others" in found.reason
