"""Which clusters halves of the recordings show: planted ones yes, those of one recording no."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.configs.search import ClusterConfig
from dawnchorus.errors import UsageError
from dawnchorus.search.clusters import dense_groups, neighbour_graph
from dawnchorus.search.stability import _likeness, cluster_stability
from dawnchorus.search.whole_numbers import as_whole_numbers

CONFIG = ClusterConfig(least=10, stability=8)


def planted(sizes: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors around a direction for each size, and which is whose; strangers behind them."""
    draws = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    centres = draws.normal(size=(len(sizes), 24))
    vectors = centres[truth] + 0.2 * draws.normal(size=(len(truth), 24))
    return as_whole_numbers(vectors.astype("f4"), vectors.mean(axis=0).astype("f4")), truth


def test_types_that_many_recordings_hold_are_stable() -> None:
    vectors, truth = planted([60, 60, 60])
    told: list[int] = []
    found = cluster_stability(vectors, np.arange(180) % 12, truth, CONFIG, told.append)
    assert found.shape == (3,)
    assert (found > 0.9).all()
    assert sum(told) == 8
    np.testing.assert_array_equal(
        found, cluster_stability(vectors, np.arange(180) % 12, truth, CONFIG)
    )


def test_a_cluster_that_is_cut_at_random_is_not() -> None:
    vectors, truth = planted([120, 60])
    cut = truth.copy()
    cut[:120] = np.random.default_rng(1).permutation(120) % 2 * 2  # half is 0, half is 2
    found = cluster_stability(vectors, np.arange(180) % 12, cut, CONFIG)
    assert found[1] > 0.9
    assert found[[0, 2]].max() < 0.7


def test_settings_are_those_of_the_clusters() -> None:
    vectors, truth = planted([40, 40, 40, 12])
    recordings = np.arange(132) % 12
    assert cluster_stability(vectors, recordings, truth, CONFIG)[3] > 0.4
    larger = CONFIG.model_copy(update={"least": 40})
    assert cluster_stability(vectors, recordings, truth, larger)[3] < 0.3
    clusters = dense_groups(neighbour_graph(vectors), 10, coarse=True)
    assert clusters.max() >= 2


def test_a_cluster_of_one_recording_is_shown_by_half_of_the_halves() -> None:
    vectors, truth = planted([60, 60, 30])
    recordings = np.where(truth == 2, 99, np.arange(150) % 11)
    found = cluster_stability(
        vectors, recordings, truth, CONFIG.model_copy(update={"stability": 30})
    )
    assert (found[:2] > 0.9).all()
    assert 0.2 < found[2] < 0.7


def test_too_few_recordings_are_refused() -> None:
    vectors, truth = planted([20, 20])
    with pytest.raises(UsageError, match="needs 4 recordings to draw half of, these are 3"):
        cluster_stability(vectors, np.arange(40) % 3, truth, CONFIG)


labels = st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 4)), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(labels)
def test_likeness_is_that_of_sets(pairs: list[tuple[int, int]]) -> None:
    wanted, found = (np.array(column) for column in zip(*pairs, strict=True))
    for cluster, value in enumerate(_likeness(wanted, found, 4)):
        own = set(np.flatnonzero(wanted == cluster).tolist())
        others = [set(np.flatnonzero(found == one).tolist()) for one in range(found.max() + 1)]
        likest = max((len(own & o) / max(1, len(own | o)) for o in others), default=0.0)
        assert value == likest
