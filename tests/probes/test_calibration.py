"""Probabilities that can be believed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from dawnchorus.errors import TaskError, UsageError
from dawnchorus.probes.calibrate import fit_calibration, isotonic_map
from dawnchorus.probes.calibration import (
    METHODS,
    NEVER,
    Calibration,
    Method,
    log_odds,
    logit,
    plain_probabilities,
    sigmoid,
)
from dawnchorus.probes.choose_calibration import choose_calibration, log_losses
from dawnchorus.probes.reliability import expected_calibration_error, first_guess


def overconfident(
    n: int, n_classes: int, seed: int, factor: float = 3.0
) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are ``factor`` times what they should be, and one label an item."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, n_classes))
    p = plain_probabilities(logits, multi_label=False)
    labels = (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return factor * logits, np.eye(n_classes, dtype=int)[labels]


def independent(n: int, n_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose truth has another slope and offset in each class."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, n_classes))
    slope, offset = np.linspace(0.3, 1.5, n_classes), np.linspace(-2, 1, n_classes)
    return logits, (rng.random((n, n_classes)) < sigmoid(slope * logits + offset)).astype(int)


def test_log_odds_are_what_the_sigmoid_makes_probabilities_of_even_at_the_ends() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 5, (50, 6))
    p = plain_probabilities(logits, multi_label=False)
    assert np.allclose(sigmoid(log_odds(logits, multi_label=False)), p, rtol=1e-12, atol=0)
    far = np.array([[1000.0, 0.0, -1000.0], [700.0, 700.0, -700.0]])
    assert np.allclose(log_odds(far, multi_label=False)[:, :2], [[1000, -1000], [0, 0]])
    assert np.isfinite(log_odds(far, multi_label=False)).all()
    assert np.allclose(sigmoid(logit(p)), p, atol=1e-7)


def test_temperature_finds_the_factor_that_logits_were_blown_up_by() -> None:
    logits, truth = overconfident(4000, 5, seed=1)
    fitted = fit_calibration(logits, truth, method="temperature", multi_label=False)
    assert fitted.temperature == pytest.approx(3.0, rel=0.08)


def test_platt_finds_each_class_s_own_line_and_is_the_best_there() -> None:
    logits, truth = independent(4000, 4, seed=2)
    fitted = fit_calibration(logits, truth, method="platt", multi_label=True)
    assert np.allclose(fitted.slope, np.linspace(0.3, 1.5, 4), atol=0.15)
    assert np.allclose(fitted.offset, np.linspace(-2, 1, 4), atol=0.2)
    hot = truth > 0
    # no neighbour is better: the fit is at the top of the likelihood
    own = log_losses(fitted.probabilities(logits), hot, multi_label=True).mean()
    for step in (-0.05, 0.05):
        other = sigmoid(np.array(fitted.slope) * logits + np.array(fitted.offset) + step)
        assert log_losses(other, hot, multi_label=True).mean() > own


def test_an_isotonic_map_is_scikit_learn_s_but_for_its_ends() -> None:
    rng = np.random.default_rng(3)
    x = np.round(rng.normal(0, 1, 300), 1)  # with ties
    y = rng.random(300) < sigmoid(x)
    ours = isotonic_map(x, y)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(x, y)
    at = np.unique(x)
    mine = np.interp(at, ours.log_odds, ours.probability)
    assert np.allclose(mine, np.clip(theirs.predict(at), 1 / 302, 301 / 302), atol=1e-12)
    assert min(ours.probability) > 0
    assert max(ours.probability) < 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("multi_label", [True, False])
def test_a_calibration_survives_json_and_a_score_of_0_8_is_right_four_times_in_five(
    method: Method, *, multi_label: bool
) -> None:
    make = independent if multi_label else overconfident
    logits, truth = make(3000, 4, 4)
    fresh, answers = make(3000, 4, 5)
    fitted = fit_calibration(logits, truth, method=method, multi_label=multi_label)
    again = Calibration.from_json(json.loads(json.dumps(fitted.to_json())))
    assert again == fitted
    p = again.probabilities(fresh)
    assert np.array_equal(p, fitted.probabilities(fresh))
    assert ((p >= 0) & (p <= 1)).all()
    if not multi_label:
        assert np.allclose(p.sum(axis=1), 1)
    if method in {"platt", "isotonic"} or (method != "none" and not multi_label):
        around = (p > 0.75) & (p < 0.85)
        assert (answers[around] > 0).mean() == pytest.approx(0.8, abs=0.06)


def test_auto_takes_the_least_flexible_that_is_as_good_and_mends_the_error() -> None:
    logits, truth = overconfident(1500, 5, seed=6)
    chosen = choose_calibration(logits, truth, multi_label=False)
    assert chosen.calibration.method == "temperature"
    before = expected_calibration_error(*first_guess(chosen.before, truth > 0))
    after = expected_calibration_error(*first_guess(chosen.after, truth > 0))
    assert before > 0.15
    assert after < 0.05
    logits, truth = independent(1500, 5, seed=7)
    assert choose_calibration(logits, truth, multi_label=True).calibration.method == "platt"


def test_good_logits_are_left_alone() -> None:
    logits, truth = overconfident(800, 4, seed=8, factor=1.0)
    assert choose_calibration(logits, truth, multi_label=False).calibration.method == "none"


def test_too_little_data_is_none_with_its_reason_and_a_named_method_an_error() -> None:
    logits, truth = overconfident(12, 3, seed=9)
    chosen = choose_calibration(logits, truth, multi_label=False)
    assert chosen.calibration.method == "none"
    assert "12 held-out items" in chosen.calibration.reason
    with pytest.raises(TaskError, match="12 held-out items"):
        choose_calibration(logits, truth, multi_label=False, method="platt")
    logits, truth = overconfident(60, 3, seed=9)
    one = choose_calibration(logits, truth, np.zeros(60), multi_label=False)
    assert "1 groups" in one.calibration.reason
    with pytest.raises(TaskError, match="isotonic"):
        choose_calibration(logits, truth, multi_label=False, method="isotonic")


def test_held_out_probabilities_do_not_know_their_own_group() -> None:
    logits, truth = independent(300, 3, seed=10)
    groups = np.arange(300) // 10
    kept = choose_calibration(logits, truth, groups, multi_label=True, method="platt")
    changed = truth.copy()
    changed[:10] = truth[9::-1]  # as many of each class in the group, so the folds stay
    other = choose_calibration(logits, changed, groups, multi_label=True, method="platt")
    same = np.isclose(kept.after, other.after, rtol=0, atol=0).all(axis=1)
    assert same[groups == 0].all()
    assert not same.all()


def test_a_row_of_logits_that_is_alone_gives_what_it_gives_in_a_batch() -> None:
    logits, truth = overconfident(900, 4, seed=11)
    fitted = fit_calibration(logits, truth, method="isotonic", multi_label=False)
    alone = np.concatenate([fitted.probabilities(row[None]) for row in logits[:20]])
    assert np.array_equal(alone, fitted.probabilities(logits[:20]))


@pytest.mark.parametrize("multi_label", [True, False])
def test_forty_clips_that_are_all_right_do_not_make_a_probe_certain(*, multi_label: bool) -> None:
    rng = np.random.default_rng(3)
    truth = np.eye(5, dtype=int)[rng.integers(0, 5, 40)]
    logits = 6.0 * truth - 3.0 + 0.3 * rng.normal(size=truth.shape)
    fitted = fit_calibration(logits, truth, method="temperature", multi_label=multi_label)
    p = fitted.probabilities(logits)
    # what Laplace's rule says of 40 clips that were right in 40 cases
    assert p[truth > 0].mean() == pytest.approx(41 / 42, abs=0.015)
    assert p.max() < 0.999
    never = np.append(logits, np.full((40, 1), NEVER), axis=1)
    wider = fit_calibration(
        never, np.append(truth, np.zeros((40, 1), int), axis=1), method="temperature",
        multi_label=multi_label,
    )  # fmt: skip
    assert wider.temperature == pytest.approx(fitted.temperature, rel=0.05)


@pytest.mark.parametrize("method", ["platt_shared", "platt", "isotonic"])
@pytest.mark.parametrize("multi_label", [True, False])
def test_a_class_without_training_items_moves_no_calibration(
    method: Method, *, multi_label: bool
) -> None:
    logits, truth = (independent if multi_label else overconfident)(600, 3, seed=9)
    plain = fit_calibration(logits, truth, method=method, multi_label=multi_label)
    wider = fit_calibration(
        np.append(logits, np.full((600, 1), NEVER), axis=1),
        np.append(truth, np.zeros((600, 1), int), axis=1),
        method=method,
        multi_label=multi_label,
    )
    assert wider.slope[:3] == pytest.approx(plain.slope)
    assert wider.offset[:3] == pytest.approx(plain.offset)
    assert wider.isotonic[:3] == plain.isotonic
    # in one fold alone, as with a class of one recording
    holes = logits.copy()
    holes[:100, 2] = NEVER
    left = (np.arange(600) >= 100) | (truth[:, 2] == 0)
    mended = fit_calibration(holes[left], truth[left], method=method, multi_label=multi_label)
    assert mended.slope == pytest.approx(plain.slope, rel=0.3)


def test_logits_that_mislead_have_no_calibration() -> None:
    logits, truth = independent(200, 2, seed=12)
    with pytest.raises(TaskError, match="not more often right"):
        fit_calibration(-logits, truth, method="platt_shared", multi_label=True)


def test_damaged_json_and_foreign_logits_are_refused() -> None:
    logits, truth = overconfident(100, 3, seed=13)
    fitted = fit_calibration(logits, truth, method="platt_shared", multi_label=False)
    with pytest.raises(UsageError, match=r"need \(items, 3\)"):
        fitted.probabilities(logits[:, :2])
    values = fitted.to_json()
    for wrong in ({**values, "slope": [1.0]}, {**values, "strange": 1}, {"method": "platt"}):
        with pytest.raises(UsageError, match="calibration"):
            Calibration.from_json(wrong)
