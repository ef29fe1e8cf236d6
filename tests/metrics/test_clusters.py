"""k-means with the true k, scored as scikit-learn scores it."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as oracle
from sklearn.cluster import KMeans

from dawnchorus import metrics
from dawnchorus.errors import DependencyError, TaskError
from dawnchorus.metrics.clusters import Clustering


def blobs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    classes = np.array([0] * 20 + [1] * 12 + [2] * 7 + [3])  # the last class has one item
    return rng.standard_normal((40, 4)) + 1.5 * classes[:, None], classes


def test_each_seed_has_its_own_run_and_every_score_is_the_oracles() -> None:
    vectors, classes = blobs()
    found = metrics.clustering(vectors, classes, seeds=(3, 7))
    for place, seed in enumerate((3, 7)):
        run = KMeans(4, n_init=1, random_state=seed).fit_predict(vectors)
        assert found.nmi[place] == pytest.approx(oracle.normalized_mutual_info_score(classes, run))
        assert found.ami[place] == pytest.approx(oracle.adjusted_mutual_info_score(classes, run))
        assert found.ari[place] == pytest.approx(oracle.adjusted_rand_score(classes, run))
    assert found.nmi[0] != found.nmi[1]
    assert len(metrics.clustering(vectors, classes).nmi) == 5


@pytest.mark.parametrize("kind", ["drawn", "equal", "one cluster", "each alone", "one class"])
def test_scores_of_any_partition_are_the_oracles(kind: str) -> None:
    rng = np.random.default_rng(2)
    for n in (2, 9, 120):
        classes = np.arange(n) % 7 if kind != "one class" else np.array([0, 1] + [1] * (n - 2))
        clusters = {"equal": classes, "one cluster": classes * 0, "each alone": np.arange(n)}.get(
            kind, rng.integers(0, 9, n)
        )
        found = Clustering(*np.zeros((3, 1)), classes=classes, clusters=clusters[None])
        for name, of in (
            ("nmi", oracle.normalized_mutual_info_score),
            ("ami", oracle.adjusted_mutual_info_score),
            ("ari", oracle.adjusted_rand_score),
        ):
            score = found.statistic(name)(np.arange(n))
            assert score == pytest.approx(of(classes, clusters), abs=1e-12), (name, n)


def test_unit_length_leaves_directions_only() -> None:
    vectors, classes = blobs()
    length = np.random.default_rng(1).uniform(0.1, 9, (40, 1))
    plain = metrics.clustering(vectors, classes, unit_length=True)
    stretched = metrics.clustering(vectors * length, classes, unit_length=True)
    np.testing.assert_allclose(plain.ami, stretched.ami)
    raw = metrics.clustering(vectors * length, classes)
    assert not np.allclose(raw.ami, stretched.ami)


def test_class_names_do_as_well_as_numbers() -> None:
    vectors, classes = blobs()
    names = np.array(["wren", "robin", "jay", "rook"])[classes]
    numbered, named = metrics.clustering(vectors, classes), metrics.clustering(vectors, names)
    np.testing.assert_allclose(numbered.ari, named.ari)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"classes": np.zeros(40, int)}, "2 classes"),
        ({"classes": np.arange(40) - 1}, "unlabelled"),
        ({"classes": np.eye(40)}, "one class an item"),
        ({"classes": np.arange(39)}, "as many items"),
        ({"vectors": np.ones((40, 2))}, "1 distinct"),
        ({"vectors": np.full((40, 2), np.nan)}, "finite"),
        ({"vectors": np.zeros((40, 2)), "unit_length": True}, "zero"),
    ],
)
def test_what_cannot_be_clustered_is_refused(arguments: dict[str, Any], said: str) -> None:
    vectors, classes = blobs()
    with pytest.raises(TaskError, match=said):
        metrics.clustering(**{"vectors": vectors, "classes": classes, **arguments})


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sklearn", "sklearn.cluster"):  # another test may have imported the second
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DependencyError, match="probe"):
        metrics.clustering(*blobs())


def test_of_several_starts_the_tightest_is_kept() -> None:
    points = np.random.default_rng(3).standard_normal((120, 6))
    classes = np.arange(120) % 12
    best = KMeans(12, n_init=10, random_state=1).fit_predict(points)
    kept = metrics.clustering(points, classes, seeds=(1,), n_init=10).clusters[0]
    assert (kept == best).all()
    assert (kept != metrics.clustering(points, classes, seeds=(1,)).clusters[0]).any()
