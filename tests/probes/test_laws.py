"""Laws of calibrations and thresholds, on any scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.errors import TaskError
from dawnchorus.probes.calibrate import fit_calibration
from dawnchorus.probes.calibration import METHODS, Calibration, Method
from dawnchorus.probes.choose_calibration import choose_calibration
from dawnchorus.probes.reliability import expected_calibration_error, reliability_bins
from dawnchorus.probes.shares import clustered_share, lower_bound
from dawnchorus.probes.thresholds import at_threshold, find_thresholds

LAW = settings(max_examples=20, deadline=None)


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits that say something of their truth, with ties and far ends; truth; groups."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    n = draw(st.integers(60, 160))
    spread = draw(st.sampled_from([0.3, 2.0, 40.0]))
    logits = np.round(spread * rng.normal(size=(n, 3)), draw(st.integers(0, 3)))
    noise = spread * rng.logistic(size=(n, 3))
    truth = logits + noise > draw(st.sampled_from([-0.5, 0.0, 0.5])) * spread
    groups = rng.integers(0, draw(st.integers(6, 40)), n)
    return logits, truth, groups


def fitted(method: Method, logits: np.ndarray, truth: np.ndarray, **kind: Any) -> Calibration:
    try:
        return fit_calibration(logits, truth, method=method, **kind)
    except TaskError:  # too few positives, or scores that do not rise: said, and no calibration
        return fit_calibration(logits, truth, method="none", **kind)


@pytest.mark.parametrize("method", METHODS)
@LAW
@given(data=scored())
def test_a_higher_logit_never_has_a_lower_probability(
    method: Method, data: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    logits, truth, _ = data
    calibration = fitted(method, logits, truth, multi_label=True)
    ladder = np.linspace(-1e3, 1e3, 501)[:, None].repeat(3, axis=1)
    p = calibration.probabilities(ladder)
    assert (np.diff(p, axis=0) >= 0).all()
    assert ((p >= 0) & (p <= 1)).all()


@pytest.mark.parametrize("method", METHODS)
@LAW
@given(data=scored())
def test_probabilities_of_one_label_are_a_distribution(
    method: Method, data: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    logits, _, groups = data
    truth = np.eye(3, dtype=bool)[(logits + groups[:, None] % 2).argmax(axis=1)]
    p = fitted(method, logits, truth, multi_label=False).probabilities(logits)
    assert ((p >= 0) & (p <= 1)).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@LAW
@given(data=scored(), seed=st.integers(0, 99))
def test_the_order_of_items_changes_no_calibration(
    method: Method, data: tuple[np.ndarray, np.ndarray, np.ndarray], seed: int
) -> None:
    logits, truth, _ = data
    order = np.random.default_rng(seed).permutation(len(logits))
    one = fitted(method, logits, truth, multi_label=True)
    other = fitted(method, logits[order], truth[order], multi_label=True)
    np.testing.assert_allclose(
        one.probabilities(logits), other.probabilities(logits), atol=1e-6, rtol=1e-6
    )


@settings(max_examples=6, deadline=None)
@given(data=scored(), seed=st.integers(0, 99))
def test_the_order_of_items_changes_neither_the_chosen_method_nor_its_losses(
    data: tuple[np.ndarray, np.ndarray, np.ndarray], seed: int
) -> None:
    logits, truth, groups = data
    order = np.random.default_rng(seed).permutation(len(logits))
    one = choose_calibration(logits, truth, groups, multi_label=True)
    other = choose_calibration(logits[order], truth[order], groups[order], multi_label=True)
    assert one.losses.keys() == other.losses.keys()
    for method, loss in one.losses.items():
        assert other.losses[method] == pytest.approx(loss, rel=1e-5)
    assert one.after[order] == pytest.approx(other.after, abs=1e-4)


def given_scores(
    data: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    logits, truth, groups = data
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30))), truth, groups


@pytest.mark.parametrize("kind", ["precision", "recall"])
@settings(max_examples=6, deadline=None)
@given(data=scored(), confidence=st.sampled_from([0.0, 0.5, 0.8]), seed=st.integers(0, 99))
def test_the_order_of_items_changes_no_threshold(
    kind: str,
    data: tuple[np.ndarray, np.ndarray, np.ndarray],
    confidence: float,
    seed: int,
) -> None:
    p, truth, groups = given_scores(data)
    order = np.random.default_rng(seed).permutation(len(p))
    wanted: dict[str, Any] = {kind: 0.6, "confidence": confidence}
    one = find_thresholds(p, truth, ["a", "b", "c"], groups, **wanted)
    other = find_thresholds(p[order], truth[order], ["a", "b", "c"], groups[order], **wanted)
    for a, b in zip(one, other, strict=True):
        assert a.value == b.value
        assert (a.precision, a.recall) == pytest.approx((b.precision, b.recall), nan_ok=True)


@settings(max_examples=8, deadline=None)
@given(data=scored(), confidence=st.sampled_from([0.0, 0.8]))
def test_a_higher_precision_takes_a_threshold_that_is_no_lower_and_a_higher_recall_no_higher(
    data: tuple[np.ndarray, np.ndarray, np.ndarray], confidence: float
) -> None:
    p, truth, groups = given_scores(data)
    names = ["a", "b", "c"]
    for kind, sign in (("precision", 1), ("recall", -1)):
        values = []
        for target in (0.4, 0.6, 0.8):
            goal: dict[str, Any] = {kind: target, "confidence": confidence}
            values.append([t.value for t in find_thresholds(p, truth, names, groups, **goal)])
        for of_class in zip(*values, strict=True):
            reached = [value for value in of_class if value is not None]
            assert reached == sorted(reached, reverse=sign < 0)
            # what cannot reach a target cannot reach a higher one
            assert reached == list(of_class[: len(reached)])
    assert all(0 <= v <= 1 for row in values for v in row if v is not None)


@LAW
@given(data=scored(), at=st.floats(0, 1))
def test_what_a_threshold_gives_is_a_share_inside_its_interval(
    data: tuple[np.ndarray, np.ndarray, np.ndarray], at: float
) -> None:
    p, truth, groups = given_scores(data)
    row = at_threshold("a", p[:, 0], truth[:, 0], groups, at)
    for value, low, high in (
        (row.precision, row.precision_low, row.precision_high),
        (row.recall, row.recall_low, row.recall_high),
    ):
        if value is not None and low is not None and high is not None:
            assert 0 <= low <= value <= high <= 1


@LAW
@given(
    hits=st.lists(st.booleans(), min_size=1, max_size=60),
    n_groups=st.integers(1, 20),
    seed=st.integers(0, 99),
)
def test_a_share_of_groups_is_no_surer_than_one_of_independent_items(
    hits: list[bool], n_groups: int, seed: int
) -> None:
    found = np.array(hits)
    groups = np.random.default_rng(seed).integers(0, n_groups, len(found))
    share, low, high = clustered_share(found, groups)
    assert share == found.mean()
    assert low <= lower_bound(share, len(found), 0.975) + 1e-9
    order = np.random.default_rng(seed).permutation(len(found))
    assert clustered_share(found[order], groups[order]) == pytest.approx((share, low, high))


@LAW
@given(share=st.floats(0.01, 0.99), n=st.integers(2, 400), confidence=st.floats(0.5, 0.99))
def test_more_items_and_less_confidence_raise_the_lower_bound(
    share: float, n: int, confidence: float
) -> None:
    bound = lower_bound(share, n, confidence)
    assert 0 <= bound <= share
    assert lower_bound(share, 2 * n, confidence) >= bound - 1e-9
    assert lower_bound(share, n, confidence - 0.1) >= bound - 1e-9


@LAW
@given(data=scored(), seed=st.integers(0, 99))
def test_bins_hold_every_score_once_whatever_their_order(
    data: tuple[np.ndarray, np.ndarray, np.ndarray], seed: int
) -> None:
    p, truth, _ = given_scores(data)
    scores, hits = p.ravel(), truth.ravel()
    order = np.random.default_rng(seed).permutation(len(scores))
    for binning in ("mass", "width"):
        bins = reliability_bins(scores, hits, bins=binning)
        assert bins.n.sum() == len(scores)
        assert (np.diff(bins.score) > 0).all()
        assert ((bins.low <= bins.share) & (bins.share <= bins.high)).all()
        error = expected_calibration_error(scores, hits, bins=binning)
        assert 0 <= error <= 1
        assert expected_calibration_error(scores[order], hits[order], bins=binning) == (
            pytest.approx(error, abs=1e-12)
        )
