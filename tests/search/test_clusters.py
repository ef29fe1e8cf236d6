"""Landmarks, groups and the map: found where they are, and the same on every machine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.errors import UsageError
from dawnchorus.search.cells import nearest_by_cell
from dawnchorus.search.clusters import (
    NONE,
    assign,
    by_size,
    dense_groups,
    neighbour_graph,
    reaches,
)
from dawnchorus.search.landmarks import N_DIRECTIONS, choose_landmarks, projected
from dawnchorus.search.layout import N_ROUNDS, between, layout, principal_components
from dawnchorus.search.whole_numbers import (
    LARGEST,
    MOST_EXACT,
    as_whole_numbers,
    cosines,
    highest,
    nearest,
)

Floats = np.ndarray


def groups(n: int, sizes: list[int], dim: int = 32, noise: float = 0.3, seed: int = 0) -> tuple:
    """Vectors around as many random directions as there are sizes, and which is whose."""
    draws = np.random.default_rng(seed)
    centres = draws.normal(size=(len(sizes), dim))
    truth = np.repeat(np.arange(len(sizes)), sizes)[:n]
    vectors = centres[truth] + noise * draws.normal(size=(len(truth), dim))
    return vectors.astype(np.float32), truth


def whole(vectors: Floats) -> Floats:
    return as_whole_numbers(vectors, vectors.mean(axis=0))


vector_sets = st.tuples(st.integers(2, 40), st.integers(1, 50), st.integers(0, 999)).map(
    lambda t: np.random.default_rng(t[2]).normal(size=(t[0], t[1])).astype(np.float32)
)


@settings(max_examples=50, deadline=None)
@given(vector_sets)
def test_whole_numbers_keep_directions(vectors: Floats) -> None:
    mean = np.zeros(vectors.shape[1], np.float32)
    numbers = as_whole_numbers(vectors, mean)
    assert numbers.dtype == np.int8
    assert (np.abs(numbers.astype(int)).max(axis=1) == LARGEST).all()
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(cosines(numbers, numbers), units @ units.T, atol=0.02)


def test_cosines_of_768_numbers_are_within_two_thousandths() -> None:
    vectors = np.random.default_rng(1).normal(size=(300, 768)).astype(np.float32)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    numbers = as_whole_numbers(vectors, np.zeros(768, np.float32))
    np.testing.assert_allclose(cosines(numbers, numbers), units @ units.T, atol=0.002)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 1100), st.integers(0, 999))
def test_products_are_exact_in_any_order_of_adding(dim: int, seed: int) -> None:
    draws = np.random.default_rng(seed)
    numbers = draws.choice(np.array([-LARGEST, LARGEST - 1, LARGEST], np.int8), (5, dim))
    shuffled = draws.permutation(dim)
    np.testing.assert_array_equal(
        cosines(numbers, numbers), cosines(numbers[:, shuffled], numbers[:, shuffled])
    )
    exact = numbers.astype(object) @ numbers.astype(object).T
    found = cosines(numbers, numbers) * np.sqrt(
        np.outer(exact.diagonal(), exact.diagonal()).astype(float)
    )
    np.testing.assert_allclose(found, exact.astype(float), rtol=1e-14, atol=1e-8)


def test_more_dimensions_than_float32_adds_exactly_go_to_float64() -> None:
    assert MOST_EXACT * LARGEST**2 <= 2**24 < (MOST_EXACT + 2) * LARGEST**2
    numbers = np.full((1, MOST_EXACT + 200), LARGEST, np.int8)
    numbers[0, -1] = 1
    assert cosines(numbers, numbers)[0, 0] == 1.0


def test_a_vector_that_is_the_mean_is_near_nothing() -> None:
    numbers = as_whole_numbers(np.ones((3, 4), np.float32), np.ones(4, np.float32))
    assert not numbers.any()
    assert not cosines(numbers, numbers).any()


def test_vectors_that_are_not_finite_are_named() -> None:
    vectors = np.ones((3, 2), np.float32)
    vectors[1, 1] = np.nan
    with pytest.raises(UsageError, match="vector 1 holds values that are not finite"):
        as_whole_numbers(vectors, np.zeros(2, np.float32))


@settings(max_examples=50, deadline=None)
@given(vectors=vector_sets, k=st.integers(1, 12), apart=st.booleans())
def test_nearest_is_what_sorting_everything_gives(vectors: Floats, k: int, *, apart: bool) -> None:
    numbers = whole(np.round(vectors))  # rounded: many equally near
    near = cosines(numbers, numbers)
    if apart:
        np.fill_diagonal(near, -np.inf)
    order = np.argsort(-near, axis=1, kind="stable")[:, : min(k, len(numbers) - apart)]
    own = np.arange(len(numbers))
    k = min(k, len(numbers) - apart)
    rows, found = nearest(numbers, numbers, k, groups=(own, own) if apart else None)
    np.testing.assert_array_equal(rows, order)
    np.testing.assert_array_equal(found, np.take_along_axis(near, order, axis=1))


def test_of_many_equally_near_targets_the_first_are_taken_and_zeros_are_near_nothing() -> None:
    draws = np.random.default_rng(4)
    kinds = as_whole_numbers(draws.normal(size=(6, 20)).astype(np.float32), np.zeros(20, "f4"))
    which = draws.integers(0, 6, 400)  # each kind some 70 times, more than are picked at first
    targets = kinds[which]
    rows, found = nearest(np.concatenate([kinds, 0 * kinds[:1]]), targets, 5)
    for kind in range(6):
        assert rows[kind].tolist() == np.flatnonzero(which == kind)[:5].tolist()
        np.testing.assert_allclose(found[kind], 1, atol=1e-12)
    assert rows[6].tolist() == [0, 1, 2, 3, 4]
    assert not found[6].any()


def test_lengths_a_rounding_apart_do_not_change_who_is_nearest() -> None:
    # directions that differ in one number of 1,000: cosines closer than float32 tells apart
    draws = np.random.default_rng(1)
    base = draws.integers(-LARGEST, LARGEST, 1000).astype(np.int8)
    targets = np.repeat(base[None], 300, axis=0)
    at = draws.integers(0, 1000, 300)
    targets[np.arange(300), at] ^= 1
    exact = cosines(base[None], targets)[0]
    assert len(np.unique(exact.astype(np.float32))) < len(np.unique(exact))
    rows, found = nearest(base[None], targets, 10)
    assert rows[0].tolist() == np.argsort(-exact, kind="stable")[:10].tolist()
    np.testing.assert_array_equal(found[0], exact[rows[0]])


def test_those_of_one_group_are_not_compared() -> None:
    numbers = whole(groups(60, [20] * 3)[0])
    left, right = np.arange(60) % 4, np.arange(60) % 3
    near = cosines(numbers, numbers)
    near[left[:, None] == right[None, :]] = -np.inf
    told: list[int] = []
    rows, found = nearest(numbers, numbers, 7, groups=(left, right), done=told.append)
    np.testing.assert_array_equal(rows, np.argsort(-near, axis=1, kind="stable")[:, :7])
    np.testing.assert_array_equal(found, -np.sort(-near, axis=1)[:, :7])
    assert sum(told) == 60
    alone = nearest(numbers, numbers, 2, groups=(left * 0, right * 0))[1]
    assert (alone == -np.inf).all()


def test_the_highest_cosine_is_that_of_the_nearest() -> None:
    numbers = whole(groups(90, [30] * 3)[0])
    exact = cosines(numbers[:50], numbers[50:]).max(axis=1)
    np.testing.assert_allclose(highest(numbers[:50], numbers[50:]), exact, atol=1e-6)


@pytest.fixture
def small_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FEW", 100), ("N_CELLS", 12), ("CELLS_EACH", 3), ("LEAST", 10)):
        monkeypatch.setattr(f"dawnchorus.search.cells.{name}", value)


@pytest.mark.usefixtures("small_cells")
def test_cells_find_nearly_all_that_comparing_everything_finds() -> None:
    vectors, _ = groups(2000, [50] * 40, noise=0.2)
    numbers = whole(vectors)
    queries, targets = numbers[::2], numbers[1::2]
    rows, found = nearest_by_cell(queries, targets, 4)
    all_rows, all_found = nearest(queries, targets, 4)
    assert (rows[:, 0] == all_rows[:, 0]).mean() > 0.95  # one cell each: 0.55
    assert (found <= all_found).all()
    np.testing.assert_array_equal(found, np.take_along_axis(cosines(queries, targets), rows, 1))


@pytest.mark.usefixtures("small_cells")
def test_what_a_query_finds_does_not_depend_on_the_others() -> None:
    numbers = whole(groups(600, [100] * 6)[0])
    left, right = np.arange(300) % 4, np.arange(300) % 3
    told: list[int] = []
    rows, found = nearest_by_cell(
        numbers[:300], numbers[300:], 3, groups=(left, right), done=told.append
    )
    assert sum(told) == 300
    assert (left[:, None] != right[rows])[np.isfinite(found)].all()
    some = np.array([7, 150, 3])
    again = nearest_by_cell(numbers[some], numbers[300:], 3, groups=(left[some], right))
    np.testing.assert_array_equal(again[0], rows[some])
    np.testing.assert_array_equal(again[1], found[some])


def test_few_targets_are_all_compared() -> None:
    numbers = whole(groups(300, [60] * 5)[0])
    for ours, exact in zip(
        nearest_by_cell(numbers, numbers, 5), nearest(numbers, numbers, 5), strict=True
    ):
        np.testing.assert_array_equal(ours, exact)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = whole(groups(200, [50] * 4)[0])
    whole_at_once = nearest(numbers, numbers, 5)
    monkeypatch.setattr("dawnchorus.search.whole_numbers.BLOCK_NUMBERS", 700)
    for a, b in zip(nearest(numbers, numbers, 5), whole_at_once, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_number_of_threads_changes_nothing(n_threads: int) -> None:
    numbers = whole(groups(240, [80] * 3, dim=300)[0])
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(n_threads)
        graph = neighbour_graph(numbers)
        points = layout(numbers, graph, seed=3)
    finally:
        torch.set_num_threads(before)
    # written down once: another machine on which they differ breaks the promise of the map
    assert graph.rows.sum() == ROWS_SUM
    assert np.abs(points).sum() == POINTS_SUM


ROWS_SUM, POINTS_SUM = 432853, 4826.287578400947


@settings(max_examples=30, deadline=None)
@given(vector_sets, st.integers(1, 60), st.integers(0, 9))
def test_landmarks_are_different_rows_rising_and_the_same_again(
    vectors: Floats, n: int, seed: int
) -> None:
    numbers = whole(vectors)
    rows = choose_landmarks(numbers, n, seed)
    assert len(rows) == min(n, len(vectors))
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, choose_landmarks(numbers, n, seed))


def test_landmarks_reach_a_rare_group_that_chance_would_miss() -> None:
    vectors, truth = groups(5000, [1000] * 4 + [990, 10], noise=0.05)
    chosen = [(truth[choose_landmarks(whole(vectors), 40, seed)] == 5).sum() for seed in range(10)]
    assert min(chosen) >= 1  # of 40 drawn at random one in twelve draws would have any


def test_fewer_dimensions_keep_distances_apart() -> None:
    vectors = np.random.default_rng(2).normal(size=(100, 700)).astype(np.float32)
    numbers = whole(vectors)
    flat = projected(numbers, np.random.default_rng(0))
    assert flat.shape == (100, N_DIRECTIONS)
    error = cosines(flat, flat) - cosines(numbers, numbers)
    assert error.std() < 0.15  # 1 / sqrt(64)
    assert projected(numbers[:, :N_DIRECTIONS], np.random.default_rng(0)).shape[1] == N_DIRECTIONS


def test_groups_are_found_and_strangers_belong_to_none() -> None:
    vectors, truth = groups(300, [120, 100, 80], noise=0.2)
    strangers = np.random.default_rng(5).normal(size=(8, 32)).astype(np.float32)
    everything = np.concatenate([vectors, strangers])
    clusters = dense_groups(neighbour_graph(whole(everything)), 15, coarse=True)
    inside = clusters[:300] != NONE
    assert inside.mean() > 0.97
    np.testing.assert_array_equal(clusters[:300][inside], truth[inside])  # the largest first
    assert (clusters[300:] == NONE).all()


def test_parts_that_no_neighbour_joins_are_no_error() -> None:
    vectors, truth = groups(400, [40] * 10, noise=0.01)
    clusters = dense_groups(neighbour_graph(whole(vectors), k=5), 10)
    of_each = [set(clusters[truth == one]) - {NONE} for one in range(10)]
    assert [len(one) for one in of_each] == [1] * 10
    assert set.union(*of_each) == set(range(10))


def test_twins_are_a_cluster() -> None:
    draws = np.random.default_rng(0)
    vectors = np.repeat(draws.normal(size=(3, 16)), 20, axis=0).astype(np.float32)
    clusters = dense_groups(neighbour_graph(whole(vectors), k=25), 10)
    assert sorted(np.bincount(clusters).tolist()) == [20, 20, 20]


def test_mutual_neighbours_find_rare_groups_in_noise() -> None:
    # 50 groups, common and rare, in as much noise, on a spectrum that falls as that of encoders
    found = []
    for seed in (1, 2):
        draws = np.random.default_rng(seed)
        basis = np.linalg.qr(draws.normal(size=(400, 400)))[0]
        share = 1 / (4 + np.arange(50))
        truth = draws.choice(50, 2500, p=share / share.sum())
        truth[draws.random(2500) < 0.5] = NONE
        centres = np.concatenate([draws.normal(size=(50, 400)), np.zeros((1, 400))])
        noise = np.where(truth < 0, 1.0, 0.8)[:, None] * draws.normal(size=(2500, 400))
        vectors = (centres[truth] + noise) @ (np.arange(1, 401)[:, None] ** -0.6 * basis)
        graph = neighbour_graph(whole(vectors.astype(np.float32)))
        one_way = replace(graph, mutual=np.ones_like(graph.mutual))
        for of in (graph, one_way):
            clusters = dense_groups(of, 10)
            found.append((clusters.max() + 1, (clusters[truth >= 0] != NONE).mean()))
            assert (clusters[truth < 0] != NONE).mean() < 0.05
    n_found, shares = (np.array(column).reshape(2, 2) for column in zip(*found, strict=True))
    assert (n_found[:, 0] > n_found[:, 1]).all()
    assert shares[:, 0].mean() > shares[:, 1].mean() + 0.05


def test_fine_groups_split_what_coarse_ones_keep_as_one() -> None:
    draws = np.random.default_rng(1)
    far, close = draws.normal(size=(3, 32)) * 3, draws.normal(size=(6, 32)) * 0.3
    centres = np.repeat(far, 2, axis=0) + close
    vectors = (np.repeat(centres, 40, axis=0) + 0.25 * draws.normal(size=(240, 32))).astype("f4")
    graph = neighbour_graph(whole(vectors), k=30)
    assert dense_groups(graph, 15).max() + 1 == 6
    assert dense_groups(graph, 15, coarse=True).max() + 1 == 3


@pytest.mark.parametrize(("n", "least"), [(3, 5), (4, 5)])
def test_fewer_windows_than_a_cluster_are_in_none(n: int, least: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(n, 8)).astype(np.float32)
    assert (dense_groups(neighbour_graph(whole(vectors)), least) == NONE).all()


def test_too_few_for_neighbours_and_too_small_clusters_are_refused() -> None:
    with pytest.raises(UsageError, match="2 windows are too few for neighbours; need 3"):
        neighbour_graph(np.ones((2, 4), np.int8))
    graph = neighbour_graph(whole(groups(20, [20])[0]))
    with pytest.raises(UsageError, match="need at least 2, got 1"):
        dense_groups(graph, 1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-1, 5), max_size=40))
def test_clusters_are_numbered_from_the_largest_on(clusters: list[int]) -> None:
    renamed = by_size(np.array(clusters, np.int64))
    counts = np.bincount(renamed[renamed != NONE])
    assert (np.diff(counts) <= 0).all()
    pairs = set(zip(clusters, renamed.tolist(), strict=True))
    assert len(pairs) == len(set(clusters)) == len(set(renamed.tolist()))
    assert all((old == NONE) == (new == NONE) for old, new in pairs)


def test_a_window_joins_the_cluster_of_its_nearest_landmarks_or_none() -> None:
    vectors, truth = groups(300, [120, 100, 80], noise=0.3)
    numbers = whole(vectors)
    graph = neighbour_graph(numbers[::2])
    clusters = dense_groups(graph, 15, coarse=True)
    assert (clusters == truth[::2]).mean() > 0.95
    others = np.concatenate([numbers[1::2], -numbers[1:2]])
    anchors, near = nearest(others, numbers[::2], 8)
    found = assign(anchors, near, clusters, reaches(graph, clusters))
    assert (found[:-1] == truth[1::2]).mean() > 0.9
    assert set(found[:-1][found[:-1] != truth[1::2]]) <= {NONE}  # never the other one
    assert found[-1] == NONE  # the opposite of a member


def test_a_window_between_landmarks_of_none_is_in_none() -> None:
    anchors = np.array([[0, 1, 2]])
    near = np.array([[0.9, 0.8, 0.7]])
    reach = np.array([0.5])
    assert assign(anchors, near, np.array([NONE, NONE, 0]), reach).tolist() == [NONE]
    assert assign(anchors, near, np.array([NONE, 0, 0]), reach).tolist() == [0]
    assert assign(anchors, near, np.array([NONE, 0, 0]), np.array([0.1])).tolist() == [NONE]


def test_reach_is_how_far_neighbours_in_a_cluster_lie_apart() -> None:
    vectors, _ = groups(60, [60], noise=0.5)
    graph = neighbour_graph(whole(vectors))
    clusters = np.zeros(60, np.int64)
    distances = np.sort(graph.distances.ravel())
    assert reaches(graph, clusters)[0] == distances[int(np.ceil(0.95 * len(distances))) - 1]
    assert len(reaches(graph, np.full(60, NONE))) == 0


def test_neighbours_lie_together_on_the_map() -> None:
    vectors, truth = groups(600, [60] * 10, noise=0.3)
    numbers = whole(vectors)
    rounds: list[int] = []
    points = layout(numbers, neighbour_graph(numbers), 0, rounds.append)
    assert sum(rounds) == N_ROUNDS
    centres = np.stack([points[truth == one].mean(axis=0) for one in range(10)])
    to_centres = np.linalg.norm(points[:, None] - centres[None], axis=2)
    assert (to_centres.argmin(axis=1) == truth).mean() > 0.99


def test_components_are_those_of_a_decomposition_with_a_sign_of_their_own() -> None:
    vectors = np.random.default_rng(4).normal(size=(80, 12)) * np.arange(12, 0, -1)
    numbers = whole(vectors.astype(np.float32))
    units = numbers / np.linalg.norm(numbers.astype(float), axis=1, keepdims=True)
    left, size, _ = np.linalg.svd(units - units.mean(axis=0), full_matrices=False)
    points = principal_components(numbers)
    expected = left[:, :2] * size[:2]
    expected *= 10 / expected.std()
    np.testing.assert_allclose(np.abs(points), np.abs(expected), atol=0.002)
    np.testing.assert_array_equal(points * 1024, np.rint(points * 1024))


def test_one_dimension_and_no_spread_are_no_error() -> None:
    line = np.array([[127], [-127], [127], [0]], np.int8)
    assert np.isfinite(layout(line, neighbour_graph(line), 0)).all()
    same = np.full((5, 3), 127, np.int8)
    assert np.isfinite(layout(same, neighbour_graph(same), 0)).all()


def test_a_window_that_is_a_landmark_lies_upon_it_and_others_between() -> None:
    points = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    anchors = np.array([[1, 0, 2], [0, 1, 2]])
    near = np.array([[1.0, 0.2, 0.1], [0.5, 0.5, -1.0]])
    placed = between(anchors, near, points)
    np.testing.assert_allclose(placed[0], [10, 0], atol=1e-6)
    np.testing.assert_allclose(placed[1], [40 / 8.25, 2.5 / 8.25])
    assert (placed >= 0).all()
