"""Small inputs on which the original evaluation was run, and what it gave.

Source: PROTOCOLS, sections 11.1 to 11.6. Where it fell into a number for want of one (a class
without positives, labels that are all equal), both conventions are named.
"""

from __future__ import annotations

import numpy as np
import pytest

from dawnchorus import metrics

LOGITS = np.array(
    [
        [2, -1, 0.5, 0.1],
        [1, 0.3, -0.2, 0.4],
        [0.5, 1.2, 1.5, -0.3],
        [-0.7, 0.8, 0.9, 0.2],
        [-1.2, -0.4, -2, 0],
    ]
)
TRUTH = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]])
VECTORS = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.2, 1], [1, 1], [-1, 0.3]])
CLASSES = np.array([0, 0, 1, 1, 0, 2])
SINGLE = np.eye(3, dtype=int)[CLASSES]
MULTI = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 0], [0, 0, 1]])
both_precisions = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def test_11_1_average_precisions_of_beans_and_birdset() -> None:
    found = metrics.average_precisions(TRUTH, LOGITS)
    np.testing.assert_allclose(found, [0.83333, 0.58333, 1, np.nan], atol=1e-5)
    assert metrics.beans_map(TRUTH, LOGITS) == pytest.approx(0.60417, abs=1e-5)
    assert metrics.cmap(TRUTH, LOGITS) == pytest.approx(0.80556, abs=1e-5)
    assert metrics.micro_average_precision(TRUTH, LOGITS) == pytest.approx(0.7486, abs=1e-4)


def test_11_1_roc_auc_with_the_absent_class_as_0_and_left_out() -> None:
    assert metrics.macro_roc_auc(TRUTH, LOGITS, undefined="zero") == pytest.approx(0.6250)
    assert metrics.macro_roc_auc(TRUTH, LOGITS) == pytest.approx(0.83333, abs=1e-5)


@both_precisions
def test_11_2_retrieval_with_one_label_each(dtype: type) -> None:
    found = metrics.retrieval(VECTORS.astype(dtype), SINGLE)
    np.testing.assert_allclose(found.roc_auc_of, [1, 1, 1, 1, 0.58333, np.nan], atol=1e-5)
    assert found.roc_auc == pytest.approx(0.91667, abs=1e-5)
    assert found.precision_at_1 == pytest.approx(0.8)
    assert (found.n_queries, found.n_skipped) == (5, 1)


@both_precisions
def test_11_3_retrieval_by_any_shared_label(dtype: type) -> None:
    found = metrics.retrieval(VECTORS.astype(dtype), MULTI)
    wanted = [1, 0.66667, 0.66667, 0.5, np.nan, 0.75]
    np.testing.assert_allclose(found.roc_auc_of, wanted, atol=1e-5)
    assert found.roc_auc == pytest.approx(0.71667, abs=1e-5)


@both_precisions
def test_11_4_retrieval_across_sets(dtype: type) -> None:
    vectors = VECTORS.astype(dtype)
    found = metrics.retrieval(
        vectors[:4], SINGLE[:4], gallery=vectors[2:], gallery_labels=SINGLE[2:]
    )
    assert found.roc_auc == 1
    assert found.n_queries == 4


def test_11_5_labels_that_are_all_equal_have_no_score() -> None:
    found = metrics.retrieval(VECTORS, np.ones((6, 1)))
    assert found.n_skipped == 6
    score = metrics.scored(lambda: found.roc_auc)
    assert np.isnan(score.value)
    assert "relevant" in score.reason


def test_11_6_clustering_as_the_paper_runs_it() -> None:
    found = metrics.clustering(VECTORS, CLASSES, seeds=(42,), n_init=10)
    assert found.nmi[0] == pytest.approx(0.68533, abs=1e-5)
    assert found.ari[0] == pytest.approx(0.31818, abs=1e-5)
