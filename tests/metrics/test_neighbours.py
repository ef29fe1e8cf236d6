"""Retrieval is the loop over queries that it stands for, in any blocks, precision and labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from dawnchorus import metrics
from dawnchorus.errors import DeviceError, TaskError, UsageError
from dawnchorus.metrics import ranks
from scored_data import clouds

SEEDS = st.integers(0, 10_000)


def looped(
    vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray, **other: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """ROC AUC and precision at 1 of each query against what is of another group."""
    gallery = other.get("gallery", vectors)
    their_labels = other.get("gallery_labels", labels)
    their_groups = other.get("gallery_groups", groups)
    scores = np.full((2, len(vectors)), np.nan)
    for query in range(len(vectors)):
        seen = np.flatnonzero(their_groups != groups[query])
        relevant = (labels[query] & their_labels[seen]).any(axis=1)
        if relevant.any() and not relevant.all():
            near = cosines(vectors[query], gallery[seen])
            above = np.sign(near[relevant][:, None] - near[~relevant])
            scores[0, query] = (above.mean() + 1) / 2
            scores[1, query] = relevant[near == near.max()].mean()
    return scores[0], scores[1]


def cosines(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Rounded, so that vectors of one direction tie whatever their length."""
    return np.round(others @ one / np.sqrt((one @ one) * (others * others).sum(axis=1)), 10)


def one_label(labels: np.ndarray) -> np.ndarray:
    """The first label of each item, if it has any."""
    return labels * (labels.cumsum(axis=1) == 1)


def check(found: metrics.Retrieval, wanted: tuple[np.ndarray, np.ndarray]) -> None:
    np.testing.assert_allclose(found.roc_auc_of, wanted[0], atol=1e-12)
    np.testing.assert_allclose(found.precision_at_1_of, wanted[1], atol=1e-12)


@pytest.mark.parametrize("kind", ["one label", "any labels"])
@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_it_is_the_loop_over_queries(kind: str, seed: int) -> None:
    vectors, labels = clouds(seed)
    labels = one_label(labels) if kind == "one label" else labels
    each = np.arange(len(vectors))
    check(metrics.retrieval(vectors, labels), looped(vectors, labels, each))
    recordings = each // 4
    check(
        metrics.retrieval(vectors, labels, groups=recordings), looped(vectors, labels, recordings)
    )


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_it_is_the_loop_over_queries_across_sets(seed: int) -> None:
    vectors, labels = clouds(seed)
    gallery, gallery_labels = clouds(seed + 1, 31)
    other = {"gallery": gallery, "gallery_labels": gallery_labels}
    found = metrics.retrieval(vectors, labels, **other)
    nobody = {**other, "gallery_groups": np.full(31, -1)}
    check(found, looped(vectors, labels, np.arange(24), **nobody))
    days = {**other, "gallery_groups": np.arange(31) % 5}
    check(
        metrics.retrieval(vectors, labels, groups=np.arange(24) % 7, **days),
        looped(vectors, labels, np.arange(24) % 7, **days),
    )


def test_single_labels_and_their_matrix_product_agree() -> None:
    vectors, labels = clouds(3)
    labels = one_label(labels)
    short = metrics.retrieval(vectors, labels)
    doubled = np.hstack([labels, labels])  # two labels each: the way of multi-label tasks
    check(metrics.retrieval(vectors, doubled), (short.roc_auc_of, short.precision_at_1_of))


@pytest.mark.parametrize(("block", "cached"), [(1, 1), (70, 30), (2**23, 1)])
def test_blocks_of_any_size_give_the_same(
    block: int, cached: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, labels = clouds(5)
    whole = metrics.retrieval(vectors, labels)
    monkeypatch.setattr(ranks, "BLOCK_PAIRS", block)
    monkeypatch.setattr(ranks, "CACHED_PAIRS", cached)
    check(metrics.retrieval(vectors, labels), (whole.roc_auc_of, whole.precision_at_1_of))


def test_torchs_threads_and_precision_are_left_as_they_were() -> None:
    vectors, labels = clouds(0)
    torch.set_float32_matmul_precision("high")
    try:
        metrics.retrieval(vectors, labels)
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert torch.get_num_threads() == 1


def test_equal_vectors_tie_in_single_precision_too(monkeypatch: pytest.MonkeyPatch) -> None:
    # products of one row are those that round equal columns differently, by where they stand
    monkeypatch.setattr(ranks, "BLOCK_PAIRS", 1)
    rng = np.random.default_rng(0)
    silence = rng.standard_normal(192).astype(np.float32)
    vectors = rng.standard_normal((203, 192)).astype(np.float32)
    vectors[::3] = silence  # as the windows of a silent night
    labels = np.eye(2, dtype=int)[rng.integers(0, 2, 203)]
    found = metrics.retrieval(vectors, labels)
    alike = np.arange(0, 203, 3)
    for query in alike:
        relevant = labels[np.setdiff1d(alike, query), labels[query].argmax()]
        assert found.precision_at_1_of[query] == pytest.approx(relevant.mean())
    for query in np.setdiff1d(np.arange(203), alike):
        own = labels[query].argmax()
        relevant = labels[np.setdiff1d(np.arange(203), query), own] > 0
        near = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) @ vectors[query]
        near[alike] = near[0]
        near = np.delete(near, query)
        assert found.roc_auc_of[query] == pytest.approx(roc_auc_score(relevant, near), abs=1e-12)


def test_single_precision_is_near_double() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((300, 64))
    labels = np.eye(5, dtype=int)[rng.integers(0, 5, 300)]
    exact = metrics.retrieval(vectors, labels)
    single = metrics.retrieval(vectors.astype(np.float32), labels)
    np.testing.assert_allclose(single.roc_auc_of, exact.roc_auc_of, atol=1e-4)
    half = metrics.retrieval(vectors.astype(np.float16), labels)
    assert half.roc_auc == pytest.approx(exact.roc_auc, abs=2e-3)


def test_class_balanced_is_the_mean_over_classes() -> None:
    vectors, labels = clouds(1)
    found = metrics.retrieval(vectors, labels)
    scored = ~np.isnan(found.roc_auc_of)
    means = [
        found.roc_auc_of[scored & (labels[:, k] > 0)].mean()
        for k in range(4)
        if (scored & (labels[:, k] > 0)).any()
    ]
    assert found.class_balanced_roc_auc == pytest.approx(np.mean(means))
    assert found.class_balanced_roc_auc != pytest.approx(found.roc_auc, abs=1e-6)
    items = np.array([2, 2, 5, 7, 9])
    assert found.statistic("roc_auc")(items) == pytest.approx(np.nanmean(found.roc_auc_of[items]))
    with pytest.raises(UsageError, match="median"):
        found.statistic("median")


def test_items_without_labels_never_query_but_stay_in_the_gallery() -> None:
    vectors = np.array([[1, 0], [0.8, 0.2], [1, 0.1], [0, 1.0]])
    labels = np.array([[1], [1], [0], [0]])  # the third lies between the first two
    found = metrics.retrieval(vectors, labels)
    np.testing.assert_array_equal(found.roc_auc_of, [0.5, 0.5, np.nan, np.nan])
    assert (found.n_queries, found.n_skipped) == (2, 2)
    without = metrics.retrieval(vectors[[0, 1, 3]], labels[[0, 1, 3]])
    assert without.roc_auc == 1


ROWS, HOT = np.eye(3), np.eye(3, dtype=int)


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (TaskError, {"vectors": np.zeros((3, 2))}),
        (TaskError, {"vectors": np.zeros(3)}),
        (TaskError, {"vectors": np.full((3, 3), np.inf)}),
        (TaskError, {"labels": HOT[:2]}),
        (TaskError, {"labels": HOT * 2}),
        (TaskError, {"labels": np.arange(3) % 2}),
        (TaskError, {"groups": np.arange(2)}),
        (TaskError, {"gallery": ROWS[:, :2] + 1, "gallery_labels": HOT}),
        (TaskError, {"gallery": ROWS, "gallery_labels": HOT[:, :2]}),
        (UsageError, {"gallery": ROWS}),
        (UsageError, {"gallery_labels": HOT}),
        (UsageError, {"gallery_groups": np.arange(3)}),
        (UsageError, {"gallery": ROWS, "gallery_labels": HOT, "groups": np.arange(3)}),
        (DeviceError, {"device": "gramophone"}),
        (DeviceError, {"device": "cuda:99"}),
    ],
)
def test_what_does_not_fit_is_refused(error: type[Exception], arguments: dict[str, Any]) -> None:
    with pytest.raises(error):
        metrics.retrieval(**{"vectors": ROWS, "labels": HOT, **arguments})
    with pytest.raises(TaskError, match="no item has both"):
        metrics.retrieval_roc_auc(ROWS, HOT)


def test_class_balanced_is_the_mean_over_classes_that_were_asked_for() -> None:
    vectors, labels = clouds(11)
    labels = one_label(labels)
    labels = np.hstack([labels, np.zeros((len(labels), 1), labels.dtype)])  # nobody has the last
    found = metrics.retrieval(vectors, labels)
    asked = ~np.isnan(found.roc_auc_of)
    by_class = [found.roc_auc_of[asked & (column > 0)] for column in labels.T]
    assert min(len(scores) for scores in by_class) == 0
    wanted = np.mean([scores.mean() for scores in by_class if len(scores)])
    assert found.class_balanced_roc_auc == pytest.approx(wanted)


def test_a_class_of_a_single_query_counts_as_much_as_any() -> None:
    labels = np.array([[1, 0], [1, 0], [1, 0], [1, 1], [0, 1]], bool)
    rng = np.random.default_rng(5)
    found = metrics.retrieval(
        rng.standard_normal((1, 3)), labels[4:], gallery=rng.standard_normal((4, 3)),
        gallery_labels=labels[:4],
    )  # fmt: skip
    assert found.class_balanced_roc_auc == found.roc_auc
