"""Twins, strange sounds, names of clusters and their most typical window, against plain loops."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.annotations.annotation_table import AnnotationRow, new_row
from dawnchorus.errors import UsageError
from dawnchorus.search.cluster_names import (
    ClusterName,
    cluster_names,
    labelled_windows,
    medoids,
)
from dawnchorus.search.oddities import (
    TENTH,
    duplicate_pairs,
    nearest_elsewhere,
    percentiles_within,
    strangeness,
)
from dawnchorus.search.whole_numbers import as_whole_numbers, cosines

archives = st.tuples(st.integers(1, 40), st.integers(1, 6), st.integers(0, 999))


def archive(n: int, n_recordings: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    vectors = draws.normal(size=(n, 6)).astype(np.float32)
    return as_whole_numbers(vectors, np.zeros(6, "f4")), draws.integers(0, n_recordings, n)


@settings(max_examples=40, deadline=None)
@given(archives)
def test_strangeness_is_the_distance_to_the_tenth_of_other_recordings(
    made: tuple[int, int, int],
) -> None:
    vectors, recordings = archive(*made)
    references = np.arange(0, len(vectors), 2)
    found = strangeness(vectors, recordings, references, (0 * recordings, 3))
    near = cosines(vectors, vectors)
    for row, recording in enumerate(recordings):
        others = [near[row, at] for at in references if recordings[at] != recording]
        ranked = sorted(others, reverse=True)[:TENTH]
        if ranked:
            assert found[row] == 1 - ranked[-1]
        else:
            assert np.isnan(found[row])


def test_a_sound_that_fills_its_own_recording_is_still_strange() -> None:
    draws = np.random.default_rng(0)
    usual = draws.normal(size=(1, 8)) + 0.1 * draws.normal(size=(60, 8))
    odd = draws.normal(size=(1, 8)) + 0.1 * draws.normal(size=(30, 8))
    vectors = as_whole_numbers(np.concatenate([usual, odd]).astype("f4"), np.zeros(8, "f4"))
    recordings = np.concatenate([np.repeat(np.arange(6), 10), np.full(30, 6)])
    found = strangeness(vectors, recordings, np.arange(90), (0 * recordings, 3))
    assert found[60:].min() > found[:60].max()


@pytest.mark.parametrize("n_wanted", [1, 5, 40])
def test_with_many_references_the_strangest_of_each_site_are_exact_all_the_same(
    n_wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = np.random.default_rng(3)
    vectors, recordings = archive(600, 5, 3)
    sites, references = draws.integers(0, 3, 600), np.arange(0, 600, 2)
    exact = strangeness(vectors, recordings, references, (sites, n_wanted))
    monkeypatch.setattr("dawnchorus.search.cells.FEW", 100)
    monkeypatch.setattr("dawnchorus.search.cells.N_CELLS", 12)
    monkeypatch.setattr("dawnchorus.search.cells.CELLS_EACH", 2)
    monkeypatch.setattr("dawnchorus.search.cells.LEAST", 20)
    monkeypatch.setattr("dawnchorus.search.oddities.CONFIRMED_AT_ONCE", 7)
    found = strangeness(vectors, recordings, references, (sites, n_wanted))
    assert (found >= exact).all()
    assert (found > exact).any()  # so most are not compared with each
    for site in range(3):
        own = np.flatnonzero(sites == site)
        order = own[np.argsort(-exact[own], kind="stable")][:n_wanted]
        assert own[np.argsort(-found[own], kind="stable")][:n_wanted].tolist() == order.tolist()
        np.testing.assert_array_equal(found[order], exact[order])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from([0.0, 1.0, 2.0, float("nan")])), min_size=1
    )
)
def test_percentiles_are_of_the_own_group_alone(rows: list[tuple[int, float]]) -> None:
    groups = np.array([group for group, _ in rows])
    values = np.array([value for _, value in rows])
    found = percentiles_within(values, groups)
    for row, (group, value) in enumerate(rows):
        others = [
            v for at, (g, v) in enumerate(rows) if g == group and at != row and not np.isnan(v)
        ]
        if np.isnan(value):
            assert np.isnan(found[row])
        else:
            score = sum((v < value) + (v == value) / 2 for v in others)
            assert found[row] == pytest.approx(100 * score / max(len(others), 1))


@settings(max_examples=40, deadline=None)
@given(archives)
def test_the_nearest_elsewhere_is_never_of_the_same_recording(made: tuple[int, int, int]) -> None:
    vectors, recordings = archive(*made)
    rows, near = nearest_elsewhere(vectors, recordings)
    all_near = cosines(vectors, vectors)
    for row, recording in enumerate(recordings):
        others = np.flatnonzero(recordings != recording)
        if len(others):
            assert near[row] == all_near[row, others].max()
            assert rows[row] == others[all_near[row, others].argmax()]
        else:
            assert rows[row] == -1
            assert np.isnan(near[row])


def test_pairs_are_named_once_and_the_most_alike_first() -> None:
    rows, near = np.array([1, 0, 3, 2, -1]), np.array([0.97, 0.97, 0.99, 0.99, np.nan])
    assert duplicate_pairs(rows, near, 0.9) == [(2, 3, 0.99), (0, 1, 0.97)]
    assert duplicate_pairs(rows, near, 0.98) == [(2, 3, 0.99)]
    assert duplicate_pairs(rows, near, 1.0) == []


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.01, float("nan")])
def test_an_impossible_threshold_is_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match="need a cosine over 0, at most 1"):
        duplicate_pairs(np.array([1, 0]), np.ones(2), threshold)


def windows(*starts: float, path: str = "a.wav") -> pa.Table:
    rows = [new_row(path, start, start + 5, "x") for start in starts]
    return pa.table(
        {
            "recording_id": [row.recording_id for row in rows],
            "start_s": [row.start_s for row in rows],
            "stop_s": [row.end_s for row in rows],
        }
    )


def said(start_s: float, label: str, **columns: object) -> AnnotationRow:
    return new_row("a.wav", start_s, start_s + 5, label, author="ann", **columns)


def test_labels_are_those_that_people_call_present() -> None:
    rows = [
        said(0, "owl"),
        said(5, "owl", state="absent"),
        said(5, "fox"),
        said(10, "owl", state=None),
    ]
    held = labelled_windows(windows(0, 5, 10), rows)
    assert {label: flags.tolist() for label, flags in held.items()} == {
        "fox": [False, True, False],
        "owl": [True, False, False],
    }
    assert labelled_windows(windows(0, path="b.wav"), rows) == {}


def test_a_cluster_has_the_name_of_most_of_its_labels() -> None:
    clusters = np.array([0, 0, 0, 0, 1, 1, -1])
    labelled = {
        "fox": np.array([0, 0, 0, 1, 1, 0, 1], bool),
        "owl": np.array([1, 1, 1, 0, 0, 0, 0], bool),
    }
    names = cluster_names(clusters, labelled)
    assert names[0] == ClusterName("owl, 75 % of 4 labels", "owl", 0.75, 4)
    assert names[1] == ClusterName("fox, 100 % of 1 label", "fox", 1.0, 1)
    assert cluster_names(clusters, {})[1].text == "unnamed 1"


@pytest.mark.parametrize(
    ("share", "n_labels", "passed"),
    [(0.5, 3, True), (0.49, 100, False), (1.0, 2, False), (0.0, 0, False)],
)
def test_a_name_is_passed_on_only_if_enough_people_agree(
    share: float, n_labels: int, *, passed: bool
) -> None:
    name = ClusterName("owl", "owl", share, n_labels)
    assert (name.passed_on == "owl") is passed


def test_of_labels_that_are_equally_many_the_first_by_name_counts() -> None:
    one = np.array([1, 0], bool)
    names = cluster_names(np.zeros(2, int), {"owl": one, "fox": ~one})
    assert names[0].label == "fox"


@settings(max_examples=30, deadline=None)
@given(archives)
def test_the_most_typical_is_the_member_nearest_to_all(made: tuple[int, int, int]) -> None:
    vectors, clusters = archive(*made)
    clusters = np.unique(clusters, return_inverse=True)[1] - 1  # from none on
    enough = np.random.default_rng(made[2]).random(len(vectors)) < 0.6
    typical = medoids(vectors, clusters, enough)
    assert len(typical) == clusters.max() + 1
    near = cosines(vectors, vectors)
    for cluster, row in enumerate(typical.tolist()):
        members = np.flatnonzero((clusters == cluster) & enough)
        if not len(members):  # there is no other example of it
            members = np.flatnonzero(clusters == cluster)
        sums = near[np.ix_(members, members)].sum(axis=1)
        assert row in members
        assert sums[members == row][0] == pytest.approx(sums.max())
