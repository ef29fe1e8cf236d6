"""The table of laws: what may be changed about the data without changing a metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dawnchorus import metrics
from dawnchorus.errors import TaskError
from scored_data import clouds, multi, single

SEEDS = st.integers(0, 10_000)


class Law(NamedTuple):
    """A metric of ``(truth, scores)`` or ``(labels, vectors)``, and what it holds to.

    The order of the items and of the classes never matters, and nan is always refused.
    """

    metric: Callable[[np.ndarray, np.ndarray], float]
    made: Callable[[int], tuple[np.ndarray, np.ndarray]]
    monotone: bool = False  # a rising function of the scores changes nothing
    perfect: bool = False  # scores that are the truth give 1
    columns: bool = True  # scores have a column a class


def swapped(seed: int) -> tuple[np.ndarray, np.ndarray]:
    vectors, labels = clouds(seed)
    return labels, vectors


def found(labels: np.ndarray, vectors: np.ndarray) -> metrics.Retrieval:
    return metrics.retrieval(vectors, labels)


def k_means(truth: np.ndarray, scores: np.ndarray) -> float:
    far = truth * 100.0 + scores * 0.01  # so far apart that every start has one in each
    return float(metrics.clustering(far, truth.argmax(1), seeds=(0,)).ami[0])


def guessed(metric: Callable[..., float]) -> Callable[[np.ndarray, np.ndarray], float]:
    return lambda truth, scores: metric(truth.argmax(1), scores.argmax(1))


def untied(seed: int) -> tuple[np.ndarray, np.ndarray]:
    truth, scores = single(seed)
    return truth, scores + np.random.default_rng(seed).random(scores.shape)


LAWS = {
    "accuracy": Law(guessed(metrics.accuracy), untied, perfect=True),
    "macro_recall": Law(guessed(metrics.macro_recall), untied, perfect=True),
    "nmi": Law(guessed(metrics.normalised_mutual_information), untied, perfect=True),
    "top_1": Law(lambda t, s: metrics.top_k_accuracy(t, s, 1), single, True, True),
    "top_5": Law(lambda t, s: metrics.top_k_accuracy(t, s, 5), single, True, True),
    "t1_accuracy": Law(metrics.t1_accuracy, multi, True, True),
    "map": Law(metrics.mean_average_precision, multi, True, True),
    "beans_map": Law(metrics.beans_map, multi, monotone=True),
    "cmap": Law(metrics.cmap, multi, True, True),
    "cmap5": Law(metrics.cmap5, multi, True, True),
    "pcmap": Law(metrics.pcmap, multi, perfect=True),
    "micro": Law(metrics.micro_average_precision, multi, True, True),
    "call_roc_auc": Law(metrics.call_roc_auc, multi, True, True),
    "macro_roc_auc": Law(metrics.macro_roc_auc, multi, True, True),
    "retrieval": Law(lambda t, v: found(t, v).roc_auc, swapped, columns=False),
    "balanced": Law(lambda t, v: found(t, v).class_balanced_roc_auc, swapped, columns=False),
    "precision_at_1": Law(lambda t, v: found(t, v).precision_at_1, swapped, columns=False),
    "clustering": Law(k_means, single, perfect=True),
}


@pytest.mark.parametrize("name", LAWS)
@settings(max_examples=8, deadline=None)
@given(SEEDS)
def test_neither_the_order_of_items_nor_of_classes_matters(name: str, seed: int) -> None:
    law = LAWS[name]
    truth, scores = law.made(seed)
    value = law.metric(truth, scores)
    assert -1e-12 <= value <= 1 + 1e-12
    rng = np.random.default_rng(seed)
    items, classes = rng.permutation(len(truth)), rng.permutation(truth.shape[1])
    assert law.metric(truth[items], scores[items]) == pytest.approx(value, abs=1e-12)
    renamed = scores[:, classes] if law.columns else scores
    assert law.metric(truth[:, classes], renamed) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("name", [name for name, law in LAWS.items() if law.monotone])
@settings(max_examples=8, deadline=None)
@given(SEEDS)
def test_a_ranking_sees_only_the_order_of_scores(name: str, seed: int) -> None:
    law = LAWS[name]
    truth, scores = law.made(seed)
    value = law.metric(truth, scores)
    assert law.metric(truth, np.exp(3 * scores)) == pytest.approx(value, abs=1e-12)
    assert law.metric(truth, scores.astype(np.float32) - 7) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("name", [name for name, law in LAWS.items() if law.perfect])
def test_the_truth_itself_scores_one(name: str) -> None:
    law = LAWS[name]
    truth, _ = law.made(0)
    assert law.metric(truth, truth.astype(float)) == pytest.approx(1)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_a_number_is_refused(name: str, bad: float) -> None:
    law = LAWS[name]
    truth, scores = law.made(0)
    scores[3, 1] = bad
    if name in ("accuracy", "macro_recall", "nmi"):
        metric = {"nmi": metrics.normalised_mutual_information}.get(name) or getattr(metrics, name)
        with pytest.raises(TaskError, match="not finite"):
            metric(truth.argmax(1), scores[:, 1])
    else:
        with pytest.raises(TaskError, match="not finite"):
            law.metric(truth, scores)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_symmetries(seed: int) -> None:
    truth, scores = multi(seed)
    mine, values = truth[:, 2], scores[:, 2]
    assert metrics.roc_auc(mine, values) == pytest.approx(1 - metrics.roc_auc(mine, -values))
    assert metrics.roc_auc(mine, values) == pytest.approx(1 - metrics.roc_auc(1 - mine, values))
    a, b = np.random.default_rng(seed).integers(0, 4, (2, 30))
    nmi = metrics.normalised_mutual_information
    assert nmi(a, b) == pytest.approx(nmi(b, a))
    assert metrics.accuracy(a, b) == metrics.accuracy(b, a)
    names = np.array(["wren", "robin", "blackbird", "chiffchaff"])
    for metric in (nmi, metrics.accuracy, metrics.macro_recall):
        assert metric(names[a], names[b]) == pytest.approx(metric(a, b))


def test_scores_that_are_all_equal_know_nothing() -> None:
    truth, scores = multi(0)
    level = np.zeros_like(scores)
    assert metrics.macro_roc_auc(truth, level) == 0.5
    prevalence = truth.mean(axis=0)
    assert metrics.cmap(truth, level) == pytest.approx(prevalence[prevalence > 0].mean())
    vectors, labels = np.ones((12, 3)), np.eye(3, dtype=int)[np.arange(12) % 3]
    same = metrics.retrieval(vectors, labels)
    assert same.roc_auc == 0.5
    assert same.precision_at_1 == pytest.approx(3 / 11)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
@example(108)  # cosines of exactly 0 and 1/2, as computed, lie on both sides of it
def test_retrieval_sees_directions_only(seed: int) -> None:
    vectors, labels = clouds(seed)
    turn, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    length = np.random.default_rng(seed).uniform(0.1, 9, (len(vectors), 1))
    plain, moved = (metrics.retrieval(v, labels) for v in (vectors, vectors @ turn * length))
    np.testing.assert_allclose(plain.roc_auc_of, moved.roc_auc_of, atol=1e-12)
    np.testing.assert_allclose(plain.precision_at_1_of, moved.precision_at_1_of, atol=1e-12)
