"""Scores of a part, before the best are computed again: each is the cosine, also near the mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from dawnchorus.search.archive import Archive
from dawnchorus.search.scan import Question, part_scores, unit_directions
from dawnchorus.store.buffer import WindowRows
from dawnchorus.store.write import StoreWriter
from store_samples import HEADER, row

DIM = 32
# how far from the mean vectors lie, as shares of its length
SHARES = (3e-5, 1e-4, 1e-3, 3e-3, 3e-2, 1.0)


def near_the_mean(path: Path) -> tuple[Archive, np.ndarray]:
    """A store of float32 vectors around a long mean, and the share of each window."""
    rng = np.random.default_rng(4)
    mean = rng.standard_normal(DIM)
    mean *= 50 / np.linalg.norm(mean)
    offsets = rng.standard_normal((40 * len(SHARES), DIM))
    offsets /= np.linalg.norm(offsets, axis=1, keepdims=True)
    # each with its opposite, so that the mean of all is the one that was meant
    offsets[1::2] = -offsets[::2]
    shares = np.tile(np.repeat(SHARES, 2), 20)
    vectors = (mean + 50 * shares[:, None] * offsets).astype(np.float32)
    index = np.arange(len(vectors))
    rows = WindowRows(
        window=index,
        start_sample=index * 50,
        valid_samples=np.full(len(index), 100),
        flags=index * 0,
        vectors=vectors,
        scores=None,
    )
    with StoreWriter(path, HEADER.model_copy(update={"dim": DIM, "dtype": "float32"})) as writer:
        writer.add(row("a.wav"), rows)
        writer.finish(row("a.wav", len(index), "done"))
    return Archive(path), shares


def test_every_score_of_a_part_is_the_cosine_however_near_to_the_mean(tmp_path: Path) -> None:
    archive, shares = near_the_mean(tmp_path / "s")
    rng = np.random.default_rng(5)
    directions = rng.standard_normal((7, DIM)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    question = Question(directions, archive.mean(), k=1, per_recording=None)
    (task,) = archive.part_rows()
    scores = part_scores(task, question, torch.device("cpu"))
    vectors = archive.take(np.arange(archive.n_windows)).astype(np.float64)
    centred = vectors - archive.mean()
    wanted = directions @ (centred / np.linalg.norm(centred, axis=1, keepdims=True)).T
    wrong = np.abs(scores - wanted).max(axis=0)
    # a length that float32 has no digit left of is taken from the difference in double precision
    assert wrong[shares <= 3e-3].max() < 1e-6
    # otherwise a thousandth of it is left; far from the mean, all digits are
    assert wrong[shares > 3e-3].max() < 1e-3
    assert wrong[shares == 1.0].max() < 2e-6


def test_a_vector_that_equals_the_mean_has_no_direction() -> None:
    mean = np.full(4, 7.0, np.float32)
    vectors = np.stack([mean, mean + 1e-6, mean + 1]).astype(np.float32)
    units = unit_directions(vectors, mean)
    np.testing.assert_array_equal(units[:2], 0.0)
    np.testing.assert_allclose(units[2], 0.5, rtol=1e-6)
