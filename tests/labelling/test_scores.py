"""One number for each window: what the probe, the store and the vectors themselves say of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from counted_progress import CountedProgress
from dawnchorus.configs import FitConfig
from dawnchorus.errors import UsageError, WeightsError
from dawnchorus.labelling.scores import label_column, window_scores
from dawnchorus.probes.features import Features
from dawnchorus.probes.fit import fit_probe
from dawnchorus.probes.fitted import EncoderMark, FittedProbe
from dawnchorus.search.archive import Archive
from dawnchorus.store.read import Store
from dawnchorus.store.write import StoreWriter
from store_samples import DIM, HEADER, WITH_SCORES, put


@pytest.fixture(params=[HEADER, WITH_SCORES], ids=["vectors", "scores"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with StoreWriter(tmp_path / "s", request.param, part_bytes=400) as writer:
        for at, name in enumerate(("b.wav", "a.wav", "c.wav")):
            put(writer, name, [9, 5 + at], seed=at)
    return tmp_path / "s"


def a_probe(model: str = "tiny") -> FittedProbe:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, DIM)).astype(np.float32)
    y = np.stack([x[:, 0] > 0, x[:, 1] > 0], axis=1).astype(float)
    return fit_probe(
        FitConfig(), Features(x, y), None, ("Wren", "Robin"), True,
        encoder=EncoderMark(model, "aa"), readout=HEADER.readout,
    )  # fmt: skip


def test_a_probe_scores_each_window_in_the_archive_s_order(store: Path, tmp_path: Path) -> None:
    probe = a_probe()
    vectors, _ = Store(store).read()
    scores = window_scores(Archive(store), probe=probe, label="robin")
    np.testing.assert_allclose(scores, probe.probabilities(vectors)[:, 1], rtol=1e-5)
    assert scores.dtype == np.float32
    probe.save(tmp_path / "p")
    again = window_scores(Archive(store), probe=tmp_path / "p", label="Robin")
    np.testing.assert_allclose(again, scores)


def test_the_store_s_own_scores_are_read_for_what_passes(store: Path) -> None:
    if Store(store).header.labels is None:
        with pytest.raises(UsageError, match="holds no scores; name a probe"):
            window_scores(Archive(store), label="wren")
        return
    scores, table = Store(store).read_scores()
    np.testing.assert_array_equal(window_scores(Archive(store), label="wren"), scores[:, 1])
    some = Archive(store, where={"path": "a.wav"})
    wanted = scores[np.array(table["path"].to_pylist()) == "a.wav", 1]
    np.testing.assert_array_equal(window_scores(some, label="WREN"), wanted)
    assert len(wanted) == 15


def test_a_direction_gives_the_cosine_after_the_mean_is_gone(store: Path) -> None:
    vectors, _ = Store(store).read()
    query = np.arange(1.0, DIM + 1)
    centred = vectors.astype(float) - vectors.astype(float).mean(axis=0)
    want = centred @ query / np.linalg.norm(centred, axis=1) / np.linalg.norm(query)
    got = window_scores(Archive(store), query=query)
    np.testing.assert_allclose(got, want, atol=1e-5)
    np.testing.assert_allclose(window_scores(Archive(store), query=5 * query), got, atol=1e-6)


def test_what_cannot_score_is_refused(store: Path) -> None:
    archive = Archive(store)
    with pytest.raises(UsageError, match="a probe or a query"):
        window_scores(archive, probe=a_probe(), query=np.ones(DIM))
    with pytest.raises(UsageError, match="the probe has no label 'owl'; it has"):
        window_scores(archive, probe=a_probe(), label="owl")
    with pytest.raises(UsageError, match="the probe has 2 labels; name one"):
        window_scores(archive, probe=a_probe())
    with pytest.raises(WeightsError, match="was fitted on other"):
        window_scores(archive, probe=a_probe("other"), label="wren")
    for query in (np.ones(DIM + 1), np.zeros(DIM), np.full(DIM, np.nan)):
        with pytest.raises(UsageError, match="need a direction of 6 numbers"):
            window_scores(archive, query=query)


def test_a_label_is_found_by_case_only_where_one_is_meant() -> None:
    assert label_column("Wren", ("wren", "Wren"), "it") == 1
    assert label_column("ROBIN", ("wren", "robin"), "it") == 1
    assert label_column(None, ("wren",), "it") == 0
    with pytest.raises(UsageError, match="no label 'WREN'"):
        label_column("WREN", ("wren", "Wren"), "it")


def test_progress_counts_every_window(store: Path) -> None:
    progress = CountedProgress()
    window_scores(Archive(store), query=np.ones(DIM), progress=progress)
    (stage,) = progress.stages
    assert (stage.label, stage.total, stage.done) == ("scoring windows", 45, 45)
