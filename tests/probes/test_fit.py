"""A fitted probe is the solution, chosen on the right items, and the same from any start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from dawnchorus.configs import FitConfig
from dawnchorus.errors import WeightsError
from dawnchorus.probes.features import Features
from dawnchorus.probes.fit import fit_probe
from dawnchorus.probes.fitted import EncoderMark, FittedProbe

if TYPE_CHECKING:
    from pathlib import Path

MARK = EncoderMark("toy", "0" * 64)
NAMES = ("ant", "bee", "cow", "dog")


def single(n: int = 120, seed: int = 0, dim: int = 6) -> Features:
    draw = np.random.default_rng(seed)
    x = (draw.normal(size=(n, dim)) * np.arange(1, dim + 1) + 3).astype(np.float32)
    pull = np.random.default_rng(99).normal(size=(dim, 4))
    scores = (x - 3) / np.arange(1, dim + 1) @ pull + draw.gumbel(size=(n, 4))
    return Features(x, np.eye(4)[scores.argmax(1)])


def many(n: int = 120, seed: int = 0, dim: int = 6) -> Features:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, dim)).astype(np.float32)
    pull = np.random.default_rng(99).normal(size=(dim, 4))
    return Features(x, (x @ pull + draw.logistic(size=(n, 4)) > 1).astype(float))


def fit(config: FitConfig, train: Features, val: Features | None, *, multi: bool) -> FittedProbe:
    return fit_probe(config, train, val, NAMES, multi, encoder=MARK, readout=("-1",))


@pytest.mark.parametrize(("dim", "strength"), [(6, 1e-3), (6, 1.0), (6, 100.0), (200, 1e-5)])
def test_one_label_is_solved_as_scikit_learn_solves_it(dim: int, strength: float) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    train = single(dim=dim)
    config = FitConfig(strengths=(strength,), standardise=False)
    probe = fit(config, train, None, multi=False)
    theirs = linear_model.LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-12)
    theirs.fit(train.x.astype(float), train.y.argmax(1))
    ours = probe.logits(train.x)
    expected = theirs.decision_function(train.x.astype(float))
    np.testing.assert_allclose(
        ours - ours.mean(1, keepdims=True), expected - expected.mean(1, keepdims=True), atol=1e-6
    )


@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_every_label_of_many_is_solved_as_scikit_learn_solves_it_alone(weights: str) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    train = many()
    config = FitConfig(strengths=(1.0,), standardise=False, class_weights=weights)
    logits = fit(config, train, None, multi=True).logits(train.x)
    for k in range(4):
        theirs = linear_model.LogisticRegression(
            tol=1e-12, solver="newton-cholesky", class_weight=None if weights == "none" else weights
        )
        theirs.fit(train.x.astype(float), train.y[:, k])
        expected = theirs.decision_function(train.x.astype(float))
        np.testing.assert_allclose(logits[:, k], expected, atol=1e-6)


def test_a_probe_is_the_same_after_saving(tmp_path: Path) -> None:
    probe = fit(FitConfig(), single(), single(seed=1), multi=False)
    probe.thresholds, probe.calibration = {"ant": 0.25}, {"kind": "temperature", "value": 1.5}
    probe.save(tmp_path / "probe")
    again = FittedProbe.load(tmp_path / "probe")
    other = single(seed=2).x
    np.testing.assert_array_equal(again.logits(other), probe.logits(other))
    for name in ("classes", "encoder", "readout", "thresholds", "calibration", "notes"):
        assert getattr(again, name) == getattr(probe, name)


def test_a_probe_refuses_another_encoder() -> None:
    probe = fit(FitConfig(), single(), single(seed=1), multi=False)
    probe.check(MARK)
    for other in (EncoderMark("toy", "1" * 64), EncoderMark("other", "0" * 64)):
        with pytest.raises(WeightsError, match=f"{MARK.name} with .* found {other.name}"):
            probe.check(other)
