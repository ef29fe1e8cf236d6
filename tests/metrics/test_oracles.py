"""Every metric agrees with scikit-learn or with a plain loop, and refuses what is undefined."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from dawnchorus import metrics
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.metrics.checks import only_class
from dawnchorus.metrics.score import scored
from scored_data import multi, single

SEEDS = st.integers(0, 10_000)
Matrices = tuple[np.ndarray, np.ndarray]
AP = oracle.average_precision_score


def averaged(score: Callable[..., float], truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Score of each class that has both kinds of items."""
    held = [k for k in range(truth.shape[1]) if 0 < truth[:, k].sum() < len(truth)]
    return np.array([score(truth[:, k], scores[:, k]) for k in held])


def hit_rate(truth: np.ndarray, scores: np.ndarray, k: int) -> float:
    """Chance that the true class is among k, over all places that it may have among its ties."""
    own, hits = truth.argmax(axis=1), []
    for item, row in zip(own, scores, strict=True):
        above = sum(value > row[item] for value in row)
        tied = sum(value == row[item] for value in row)
        hits.append(np.mean([above + place < k for place in range(tied)]))
    return float(np.mean(hits))


def padded(truth: np.ndarray, scores: np.ndarray) -> float:
    ones = np.ones((5, truth.shape[1]), int)
    truth, scores = np.vstack([truth, ones]), np.vstack([scores, ones])
    return float(averaged(AP, truth, scores).mean())


def t1(truth: np.ndarray, scores: np.ndarray) -> float:
    hits = []
    for row, values in zip(truth, scores, strict=True):
        if row.any():
            top = [k for k in range(len(row)) if values[k] == max(values)]
            hits.append(np.mean([row[k] for k in top]))
    return float(np.mean(hits))


def classes_of(truth: np.ndarray, scores: np.ndarray) -> Matrices:
    return truth.argmax(axis=1), scores.argmax(axis=1)


ORACLES: dict[str, tuple[Callable[[int], Matrices], Callable[..., float], Callable[..., float]]] = {
    "accuracy": (
        single,
        lambda t, s: metrics.accuracy(*classes_of(t, s)),
        lambda t, s: oracle.accuracy_score(*classes_of(t, s)),
    ),
    "macro recall": (
        single,
        lambda t, s: metrics.macro_recall(*classes_of(t, s)),
        lambda t, s: oracle.recall_score(
            *classes_of(t, s), average="macro", labels=np.unique(t.argmax(1)), zero_division=0
        ),
    ),
    "nmi": (
        single,
        lambda t, s: metrics.normalised_mutual_information(*classes_of(t, s)),
        lambda t, s: oracle.normalized_mutual_info_score(*classes_of(t, s)),
    ),
    "top 1": (
        single,
        lambda t, s: metrics.top_k_accuracy(t, s, 1),
        lambda t, s: hit_rate(t, s, 1),
    ),
    "top 5": (
        single,
        lambda t, s: metrics.top_k_accuracy(t.argmax(1), s, 5),
        lambda t, s: hit_rate(t, s, 5),
    ),
    "t1": (multi, metrics.t1_accuracy, t1),
    "average precision": (
        multi,
        lambda t, s: metrics.average_precision(t[:, 2], s[:, 2]),
        lambda t, s: AP(t[:, 2], s[:, 2]),
    ),
    "roc auc": (
        multi,
        lambda t, s: metrics.roc_auc(t[:, 0], s[:, 0]),
        lambda t, s: oracle.roc_auc_score(t[:, 0], s[:, 0]),
    ),
    "map": (multi, metrics.mean_average_precision, lambda t, s: averaged(AP, t, s).mean()),
    "cmap": (multi, metrics.cmap, lambda t, s: averaged(AP, t, s).mean()),
    "beans": (
        multi,
        metrics.beans_map,
        lambda t, s: averaged(AP, t, s).sum() / t.shape[1],
    ),
    "cmap5": (
        multi,
        metrics.cmap5,
        lambda t, s: averaged(AP, t[:, t.sum(0) >= 5], s[:, t.sum(0) >= 5]).mean(),
    ),
    "pcmap": (multi, metrics.pcmap, padded),
    "micro": (multi, metrics.micro_average_precision, lambda t, s: AP(t.ravel(), s.ravel())),
    "call auc": (
        multi,
        metrics.call_roc_auc,
        lambda t, s: oracle.roc_auc_score([any(row) for row in t], [max(row) for row in s]),
    ),
    "macro auc": (
        multi,
        metrics.macro_roc_auc,
        lambda t, s: averaged(oracle.roc_auc_score, t, s).mean(),
    ),
    "macro auc, undefined as 0": (
        multi,
        lambda t, s: metrics.macro_roc_auc(t, s, undefined="zero"),
        lambda t, s: averaged(oracle.roc_auc_score, t, s).sum() / t.shape[1],
    ),
}


@pytest.mark.parametrize("name", ORACLES)
@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_a_metric_agrees_with_its_oracle_ties_and_missing_classes_and_all(
    name: str, seed: int
) -> None:
    made, ours, theirs = ORACLES[name]
    truth, scores = made(seed)
    assert ours(truth, scores) == pytest.approx(theirs(truth, scores), abs=1e-12)


def test_top_k_without_ties_is_that_of_scikit_learn() -> None:
    truth, scores = single(0)
    scores = scores + np.random.default_rng(0).random(scores.shape) * 1e-3
    for k in (1, 3, 5):
        wanted = oracle.top_k_accuracy_score(truth.argmax(1), scores, k=k, labels=np.arange(7))
        assert metrics.top_k_accuracy(truth, scores, k) == pytest.approx(wanted)


@pytest.mark.parametrize("name", metrics.MEASURES)
@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_a_drawn_measure_is_the_metric_of_the_drawn_items(name: str, seed: int) -> None:
    made = single if name in ("accuracy", "macro_recall", "top_5_accuracy") else multi
    truth, scores = made(seed)
    ours = {
        "accuracy": ORACLES["accuracy"][1],
        "macro_recall": ORACLES["macro recall"][1],
        "top_5_accuracy": ORACLES["top 5"][1],
    }.get(name) or getattr(metrics, name)
    statistic = metrics.statistic(name, truth, scores)
    assert statistic(np.arange(len(truth))) == pytest.approx(ours(truth, scores))
    items = np.random.default_rng(seed).integers(0, len(truth), len(truth))
    if name == "beans_map":  # a class that only the draw misses is left out, not counted as 0
        share = truth.any(axis=0).mean()
        assert statistic(items) == pytest.approx(metrics.cmap(truth[items], scores[items]) * share)
    else:
        assert statistic(items) == pytest.approx(ours(truth[items], scores[items]))


def test_an_unknown_measure_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="accuracy, beans_map"):
        metrics.statistic("map", *multi(0))


def test_a_mean_over_classes_can_be_looked_at_class_by_class() -> None:
    truth, scores = multi(0)
    for found in (metrics.average_precisions(truth, scores), metrics.roc_aucs(truth, scores)):
        assert np.flatnonzero(np.isnan(found)).tolist() == [1]
    assert np.nanmean(metrics.roc_aucs(truth, scores)) == metrics.macro_roc_auc(truth, scores)


NONE, EMPTY = np.zeros((3, 2)), np.zeros(0, int)


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.average_precision(np.zeros(3, bool), np.arange(3.0)),
        lambda: metrics.roc_auc(np.ones(3, bool), np.arange(3.0)),
        lambda: metrics.roc_auc(np.zeros(3, bool), np.arange(3.0)),
        lambda: metrics.roc_auc(np.array([True, False]), np.array([np.nan, 0.0])),
        lambda: metrics.roc_auc(np.array([2, 0]), np.array([1.0, 0.0])),
        lambda: metrics.accuracy(EMPTY, EMPTY),
        lambda: metrics.macro_recall(np.zeros(3, int), np.zeros(2, int)),
        lambda: metrics.mean_average_precision(NONE, NONE),
        lambda: metrics.beans_map(NONE, NONE),
        lambda: metrics.micro_average_precision(NONE, NONE),
        lambda: metrics.macro_roc_auc(NONE, NONE, undefined="zero"),
        lambda: metrics.call_roc_auc(NONE, NONE),
        lambda: metrics.cmap5(np.ones((4, 2)), np.ones((4, 2))),
        lambda: metrics.pcmap(NONE, NONE + 2),
        lambda: metrics.t1_accuracy(NONE, NONE),
        lambda: metrics.cmap(np.eye(2), np.eye(2)[:, :1]),
        lambda: metrics.top_k_accuracy(np.eye(2), np.eye(2), 2),
        lambda: metrics.top_k_accuracy(np.array([0, 5]), np.eye(2), 1),
        lambda: metrics.top_k_accuracy(np.ones((2, 2)), np.eye(2), 1),
        lambda: metrics.statistic("accuracy", np.ones((2, 2)), np.eye(2)),
    ],
)
def test_what_is_undefined_is_an_error(call: Callable[[], float]) -> None:
    with pytest.raises(TaskError):
        call()
    found = metrics.scored(call)
    assert np.isnan(found.value)
    assert found.reason


def test_a_defined_score_has_no_reason() -> None:
    assert metrics.scored(metrics.accuracy, np.array([1, 0]), np.array([1, 1])) == metrics.Score(
        0.5
    )


def test_a_class_with_just_enough_positives_counts_in_cmap5() -> None:
    rng = np.random.default_rng(4)
    truth = np.zeros((30, 3), int)
    truth[:5, 0] = truth[:4, 1] = truth[:12, 2] = 1
    scores = rng.random((30, 3))
    held = metrics.average_precisions(truth, scores)
    assert metrics.cmap5(truth, scores) == pytest.approx(held[[0, 2]].mean())
    assert metrics.cmap5(truth, scores, n_positive=4) == pytest.approx(held.mean())
    with pytest.raises(TaskError, match="no class has 13 positive"):
        metrics.cmap5(truth, scores, n_positive=13)


@pytest.mark.parametrize("k", [0, 3, -1])
def test_top_k_needs_fewer_places_than_classes_and_at_least_one(k: int) -> None:
    with pytest.raises(TaskError, match="needs 1 to 2 places of 3"):
        metrics.top_k_accuracy(np.array([0, 1, 2]), np.eye(3), k)


@pytest.mark.parametrize("classes", [[0, 3], [-1, 0], [0.0, 1.5]])
def test_a_class_that_is_no_column_of_the_scores_is_refused(classes: list[float]) -> None:
    with pytest.raises(TaskError, match=r"(?i)class"):
        metrics.top_k_accuracy(np.array(classes), np.eye(3)[:2], 1)


@pytest.mark.parametrize("truth", [np.zeros((0, 3), int), np.zeros(3, int)])
def test_one_label_each_is_asked_of_a_matrix_with_items(truth: np.ndarray) -> None:
    with pytest.raises(TaskError, match="need a matrix of items by classes"):
        only_class(truth)


def test_a_metric_is_scored_with_its_options() -> None:
    truth, scores = np.array([0, 1, 2]), np.array([[2, 1, 0], [2, 1, 0], [2, 1, 0]])
    assert scored(metrics.top_k_accuracy, truth, scores, k=2).value == pytest.approx(2 / 3)
