"""Scores of a validation, class by class, against an independent implementation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from dawnchorus.feed.vocabulary import Vocabulary
from dawnchorus.recipes.validation import as_csv, in_shares, macro, per_class

WORDS = [
    Vocabulary(("species",), ("owl", "robin", "wren")),
    Vocabulary(("calltype",), ("alarm, loud", "song")),
]


@pytest.fixture
def scored() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = (rng.random((40, 5)) < 0.4).astype(np.float32)
    truth[:, 2] = 0  # no clip has a wren
    return truth, rng.standard_normal((40, 5)).astype(np.float32) + truth


def test_each_class_has_the_scores_of_scikit_learn(scored: tuple[np.ndarray, np.ndarray]) -> None:
    truth, logits = scored
    rows = per_class(truth, logits, WORDS)
    assert [row["label"] for row in rows] == ["owl", "robin", "alarm, loud", "song"]
    for row, k in zip(rows, (0, 1, 3, 4), strict=True):
        assert row["n_positive"] == truth[:, k].sum()
        assert row["average_precision"] == pytest.approx(
            average_precision_score(truth[:, k], logits[:, k])
        )
        assert row["roc_auc"] == pytest.approx(roc_auc_score(truth[:, k], logits[:, k]))
    found = macro(rows)
    assert next(iter(found)) == "map"  # the first one chooses the best checkpoint
    assert found["map"] == pytest.approx(np.mean([row["average_precision"] for row in rows]))


def test_accuracy_is_among_the_labels_of_one_kind_and_on_clips_with_one_label() -> None:
    truth = np.array([[1, 0, 0, 1, 0], [1, 0, 0, 0, 1], [1, 1, 0, 0, 0], [0, 1, 0, 0, 0]])
    logits = np.array([[2, 1, 0, 9, 0], [0, 1, 0, 0, 9], [0, 9, 0, 0, 0], [0, 1, 0, 0, 9.0]])
    rows = {row["label"]: row for row in per_class(truth, logits, WORDS)}
    assert rows["owl"]["accuracy"] == 0.5
    assert rows["robin"]["accuracy"] == 1.0
    assert rows["song"]["accuracy"] == 1.0


def test_what_is_not_defined_is_empty_and_no_number() -> None:
    truth, logits = np.array([[1, 1], [1, 0.0]]), np.zeros((2, 2))
    rows = per_class(truth, logits, [Vocabulary(("species",), ("a", "b"))])
    # every clip has an a: any order of them would be perfect
    assert rows[0]["roc_auc"] is None
    assert rows[0]["average_precision"] is None
    assert as_csv(rows).decode().splitlines()[1] == "species,a,2,,,1.0"
    assert macro(rows)["roc_auc"] == 0.5  # of b alone
    assert macro(rows)["map"] == 0.5
    assert "map" not in macro(rows[:1])


def test_of_a_single_label_no_guess_is_right() -> None:
    (row,) = per_class(np.array([[1], [0.0]]), np.ones((2, 1)), [Vocabulary(("species",), ("a",))])
    assert row["accuracy"] is None


def test_alone_a_process_computes_every_piece_in_order() -> None:
    pieces = in_shares(3, lambda number: (np.array([number]),))
    assert [int(piece[0][0]) for piece in pieces] == [0, 1, 2]
