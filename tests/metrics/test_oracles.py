"""Every metric agrees with scikit-learn, keeps its laws, and refuses what is undefined."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from dawnchorus import metrics
from dawnchorus.errors import TaskError

SEEDS = st.integers(0, 10_000)


def classes(seed: int, n: int = 60, k: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, k, n), rng.integers(0, k, n)


def ranked(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.3
    truth[:2] = True, False
    return truth, rng.integers(0, 12, n) / 4  # many ties


LABEL_METRICS: dict[str, tuple[Callable[..., float], Callable[..., float]]] = {
    "accuracy": (metrics.accuracy, oracle.accuracy_score),
    "macro_recall": (
        metrics.macro_recall,
        lambda t, g: oracle.recall_score(
            t, g, average="macro", labels=np.unique(t), zero_division=0
        ),
    ),
    "nmi": (metrics.normalised_mutual_information, oracle.normalized_mutual_info_score),
}
SCORE_METRICS: dict[str, tuple[Callable[..., float], Callable[..., float]]] = {
    "average_precision": (metrics.average_precision, oracle.average_precision_score),
    "roc_auc": (metrics.roc_auc, oracle.roc_auc_score),
}


@pytest.mark.parametrize("name", LABEL_METRICS)
@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_label_metrics_agree_with_the_oracle_in_any_order(name: str, seed: int) -> None:
    ours, theirs = LABEL_METRICS[name]
    truth, guess = classes(seed)
    assert ours(truth, guess) == pytest.approx(theirs(truth, guess), abs=1e-12)
    order = np.random.default_rng(seed).permutation(len(truth))
    assert ours(truth[order], guess[order]) == pytest.approx(ours(truth, guess), abs=1e-12)
    assert ours(truth + 7, guess + 7) == pytest.approx(ours(truth, guess), abs=1e-12)
    assert ours(truth, truth) == pytest.approx(1.0)


@pytest.mark.parametrize("name", SCORE_METRICS)
@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_score_metrics_agree_with_the_oracle_ties_and_all(name: str, seed: int) -> None:
    ours, theirs = SCORE_METRICS[name]
    truth, scores = ranked(seed)
    assert ours(truth, scores) == pytest.approx(theirs(truth, scores), abs=1e-12)
    order = np.random.default_rng(seed).permutation(len(truth))
    assert ours(truth[order], scores[order]) == pytest.approx(ours(truth, scores), abs=1e-12)
    assert ours(truth, np.exp(scores)) == pytest.approx(ours(truth, scores), abs=1e-12)


def test_mean_average_precision_leaves_classes_without_a_positive_out() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random((50, 4)) < 0.3).astype(int)
    truth[:, 2] = 0
    scores = rng.standard_normal((50, 4))
    kept = [0, 1, 3]
    wanted = np.mean([oracle.average_precision_score(truth[:, k], scores[:, k]) for k in kept])
    assert metrics.mean_average_precision(truth, scores) == pytest.approx(wanted)


def test_retrieval_is_the_mean_over_queries_of_the_oracle() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((20, 4))
    labels = np.eye(3, dtype=int)[rng.integers(0, 3, 20)]
    labels[0] = 0  # no label: never a query, irrelevant to all
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    wanted = []
    for query in range(1, 20):
        others = [i for i in range(20) if i != query]
        relevant = [bool((labels[i] & labels[query]).any()) for i in others]
        wanted.append(oracle.roc_auc_score(relevant, [unit[query] @ unit[i] for i in others]))
    assert metrics.retrieval_roc_auc(vectors, labels) == pytest.approx(np.mean(wanted))


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.average_precision(np.zeros(3, bool), np.arange(3.0)),
        lambda: metrics.roc_auc(np.ones(3, bool), np.arange(3.0)),
        lambda: metrics.roc_auc(np.array([True, False]), np.array([np.nan, 0.0])),
        lambda: metrics.accuracy(np.zeros(0, int), np.zeros(0, int)),
        lambda: metrics.macro_recall(np.zeros(3, int), np.zeros(2, int)),
        lambda: metrics.mean_average_precision(np.zeros((3, 2)), np.zeros((3, 2))),
        lambda: metrics.retrieval_roc_auc(np.zeros((3, 2)), np.eye(3)),
        lambda: metrics.retrieval_roc_auc(np.ones((3, 2)), np.eye(3)),
    ],
)
def test_what_is_undefined_is_an_error(call: Callable[[], float]) -> None:
    with pytest.raises(TaskError):
        call()
