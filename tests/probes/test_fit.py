"""A fitted probe is the solution, chosen on the right items, and the same from any start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from dawnchorus.configs import FitConfig, ScheduleConfig
from dawnchorus.configs.probes import TOKEN_PROBES
from dawnchorus.errors import TaskError, UsageError, WeightsError
from dawnchorus.probes.calibration import Calibration
from dawnchorus.probes.features import Features
from dawnchorus.probes.fit import fit_probe
from dawnchorus.probes.fitted import EncoderMark, FittedProbe

if TYPE_CHECKING:
    pass
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
        ours - ours.mean(1, keepdims=True), expected - expected.mean(1, keepdims=True), atol=2e-5
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
        np.testing.assert_allclose(logits[:, k], expected, atol=2e-5)


def test_a_probe_is_the_same_after_saving(tmp_path: Path) -> None:
    probe = fit(FitConfig(), single(), single(seed=1), multi=False)
    calibration = Calibration(method="temperature", multi_label=False, n_classes=4, temperature=1.5)
    probe.thresholds = {"ant": 0.25}
    probe.calibration = calibration
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


KINDS = {
    "lbfgs": FitConfig(),
    "paper": FitConfig(solver="schedule", schedule=ScheduleConfig(n_epochs=5)),
    "mlp": FitConfig(probe_type="mlp", schedule=ScheduleConfig(n_epochs=5)),
    "knn": FitConfig(probe_type="knn"),
    "lstm": FitConfig(probe_type="lstm", schedule=ScheduleConfig(n_epochs=4)),
    "attention": FitConfig(probe_type="attention", schedule=ScheduleConfig(n_epochs=4)),
    "transformer": FitConfig(probe_type="transformer", schedule=ScheduleConfig(n_epochs=4)),
    "prototype": FitConfig(probe_type="prototype", schedule=ScheduleConfig(n_epochs=4)),
}


def shaped(kind: str, features: Features) -> Features:
    """Tokens for those that read them: the item's own, and one of noise with one of padding."""
    if KINDS[kind].probe_type not in TOKEN_PROBES:
        return features
    noise = np.random.default_rng(5).normal(size=features.x.shape).astype(np.float32)
    padding = np.full_like(noise, 1e3)
    keep = np.tile([True, True, False], (len(features), 1))
    return Features(np.stack([features.x, noise, padding], axis=1), features.y, None, keep)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labels", ["one", "many"])
def test_every_kind_learns_twice_the_same_and_survives_saving(
    kind: str, labels: str, tmp_path: Path
) -> None:
    multi = labels == "many"
    make = many if multi else single
    train, val = shaped(kind, make(90)), shaped(kind, make(60, seed=1))
    probe, again = (fit(KINDS[kind], train, val, multi=multi) for _ in range(2))
    logits = probe.logits(val.x, val.keep)
    np.testing.assert_array_equal(again.logits(val.x, val.keep), logits)
    probe.save(tmp_path)
    np.testing.assert_array_equal(FittedProbe.load(tmp_path).logits(val.x, val.keep), logits)
    chance = val.y.mean() if multi else 0.25
    assert probe.notes.score["value"] > chance + 0.05
    if val.keep is not None:
        silent = Features(np.where(val.keep[..., None], val.x, -7), val.y, None, val.keep)
        np.testing.assert_allclose(probe.logits(silent.x, silent.keep), logits, atol=1e-5)


@pytest.mark.parametrize("kind", ["lbfgs", "mlp", "knn"])
def test_without_validation_groups_of_train_are_held_out(kind: str) -> None:
    train = single(90)
    group = np.arange(90) // 2
    probe = fit(KINDS[kind], Features(train.x, train.y, group), None, multi=False)
    assert probe.notes.chosen_on == "5 folds of train"
    assert probe.notes.n_train == 90
    assert 0.3 < probe.notes.score["value"] < 1


def test_choices_are_made_on_validation_and_nothing_is_learned_from_it() -> None:
    train, val = single(), single(seed=1)
    found = fit(FitConfig(), train, val, multi=False)
    chosen = found.notes.chosen["strength"]
    alone = fit(FitConfig(strengths=(chosen,)), train, None, multi=False)
    np.testing.assert_array_equal(found.logits(val.x), alone.logits(val.x))
    scores = {
        c: fit(FitConfig(strengths=(c,)), train, val, multi=False).notes.score["value"]
        for c in FitConfig().strengths
    }
    assert found.notes.score["value"] == max(scores.values()) == scores[chosen]


def test_features_may_come_in_any_unit() -> None:
    train, val = single(), single(seed=1)
    unit = np.array([1, 1e3, 1e-3, 5, 0.1, 20], np.float32)
    plain = fit(FitConfig(strengths=(0.1,)), train, None, multi=False)
    other = Features(train.x * unit + 4, train.y)
    scaled = fit(FitConfig(strengths=(0.1,)), other, None, multi=False)
    np.testing.assert_allclose(scaled.logits(val.x * unit + 4), plain.logits(val.x), atol=1e-3)


def test_a_channel_that_never_varies_is_harmless() -> None:
    train = single()
    still = np.concatenate([train.x, np.full((120, 1), 7.3, np.float32)], axis=1)
    plain = fit(FitConfig(strengths=(1.0,)), train, None, multi=False)
    probe = fit(FitConfig(strengths=(1.0,)), Features(still, train.y), None, multi=False)
    np.testing.assert_allclose(probe.logits(still), plain.logits(train.x), atol=1e-5)


@pytest.mark.parametrize("labels", ["one", "many"])
def test_a_class_that_train_cannot_teach_is_named_or_ranked_last(labels: str) -> None:
    multi = labels == "many"
    train, val = (many if multi else single)(200), (many if multi else single)(80, seed=1)
    rows = np.flatnonzero(np.asarray(train.y)[:, 2] == 0)
    train = train.take(rows, np.arange(4))
    with pytest.raises(TaskError, match=r"1 of 4 classes.*cow \(0\)"):
        fit(FitConfig(), train, val, multi=multi)
    probe = fit(FitConfig(absent="lowest"), train, val, multi=multi)
    logits = probe.logits(val.x)
    assert np.isfinite(logits).all()
    assert (logits.argmin(axis=1) == 2).all()
    assert (probe.probabilities(val.x)[:, 2] == 0).all()
    assert probe.notes.not_trained == ("cow",)


def test_a_class_with_more_weight_is_found_more_often() -> None:
    train = single()
    plain = fit(FitConfig(strengths=(1.0,)), train, None, multi=False)
    config = FitConfig(strengths=(1.0,), class_weights={"ant": 10.0})
    heavy = fit(config, train, None, multi=False)
    found = [(p.logits(train.x).argmax(1) == 0).sum() for p in (plain, heavy)]
    assert found[1] > found[0] + 10


def test_the_layer_that_knows_gets_the_weight() -> None:
    def layered(features: Features) -> Features:
        noise = np.random.default_rng(3).normal(size=(len(features), 2, 6)).astype(np.float32)
        x = np.concatenate([noise[:, :1], features.x[:, None], noise[:, 1:]], axis=1)
        return Features(x, features.y)

    train, val = layered(single(300)), layered(single(100, seed=1))
    quick = ScheduleConfig(learning_rates=(0.03,), n_epochs=6)
    for config in (FitConfig(strengths=(1.0,)), FitConfig(probe_type="mlp", schedule=quick)):
        probe = fit_probe(
            config, train, val, NAMES, False, encoder=MARK, readout=("3", "7", "output")
        )
        weights = probe.layer_weights
        assert weights is not None
        assert sum(weights.values()) == pytest.approx(1)
        assert max(weights, key=lambda name: weights[name]) == "7"
        assert probe.kind == "layers"


def test_the_paper_schedule_is_the_published_one() -> None:
    schedule = FitConfig(solver="schedule").training
    assert (schedule.learning_rates, schedule.weight_decays) == ((1e-3,), (0.01,))
    assert (schedule.n_epochs, schedule.batch_size, schedule.decay) == (900, 32, "constant")
    assert not FitConfig(solver="schedule").standardises
    text = ScheduleConfig.paper_text()
    assert (text.learning_rates, text.weight_decays, text.n_epochs) == ((1e-4,), (0.1,), 900)


def test_a_long_schedule_comes_to_the_solution() -> None:
    train = single()
    solved = fit(FitConfig(strengths=(1e6,)), train, None, multi=False)
    schedule = ScheduleConfig(learning_rates=(0.1,), weight_decays=(0.0,), n_epochs=80)
    config = FitConfig(solver="schedule", schedule=schedule, standardise=True, select_by="loss")
    trained = fit(config, train, train, multi=False)
    np.testing.assert_allclose(
        trained.probabilities(train.x), solved.probabilities(train.x), atol=0.02
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"x": np.full((120, 6), np.nan, np.float32)}, "120 of 120 items are not finite"),
        ({"y": np.zeros((120, 4))}, "none or several labels"),
        ({"y": np.eye(4)[np.zeros(119, int)]}, r"labels of shape \(119, 4\)"),
        ({"y": np.full((120, 4), 0.25)}, "labels must be 0 or 1"),
        ({"group": ["a"] * 5}, "5 groups for 120 items"),
        ({"group": ["a"] * 120}, "all items belong to one group"),
        ({"x": np.zeros((120, 2, 3, 4), np.float32)}, "reads features"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change: dict[str, Any], complaint: str) -> None:
    train = single()
    values = {"x": train.x, "y": train.y} | change
    with pytest.raises((UsageError, TaskError), match=complaint):
        fit(FitConfig(), Features(**values), None, multi=False)


def test_features_of_another_shape_are_refused() -> None:
    probe = fit(FitConfig(strengths=(1.0,)), single(), None, multi=False)
    with pytest.raises(UsageError, match=r"\(3, 5\), this probe needs \(items, 6\)"):
        probe.logits(np.zeros((3, 5), np.float32))


def test_a_damaged_probe_is_refused(tmp_path: Path) -> None:
    probe = fit(FitConfig(strengths=(1.0,)), single(), None, multi=False)
    with pytest.raises(UsageError, match=r"probe\.json is missing"):
        FittedProbe.load(tmp_path)
    probe.save(tmp_path / "a")
    fit(FitConfig(strengths=(0.1,)), single(), None, multi=False).save(tmp_path / "b")
    (tmp_path / "a/probe.safetensors").replace(tmp_path / "b/probe.safetensors")
    with pytest.raises(WeightsError, match="not the file that"):
        FittedProbe.load(tmp_path / "b")


def test_a_class_of_one_recording_is_still_chosen_for() -> None:
    train = single(200)
    truth = np.asarray(train.y).argmax(axis=1)
    group = np.where(truth == 0, 0, 1 + np.arange(200) // 4)
    probe = fit(FitConfig(), Features(train.x, train.y, group), None, multi=False)
    assert probe.notes.chosen_on.endswith("a class is in no other: 0")
    assert probe.notes.score["loss"] < 1.5  # a class unheard of in training costs far more


@pytest.mark.parametrize("kind", ["linear", "mlp", "knn"])
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_a_probe_learns_wherever_it_is_fitted(kind: str, mode: Any) -> None:
    schedule = ScheduleConfig(learning_rates=(0.01,), n_epochs=3)
    config = FitConfig(probe_type=kind, strengths=(0.1,), neighbours=(3,), schedule=schedule)
    outside = fit(config, single(), None, multi=False).logits(single(seed=1).x)
    with mode():
        inside = fit(config, single(), None, multi=False).logits(single(seed=1).x)
    np.testing.assert_array_equal(inside, outside)


@pytest.mark.parametrize("kind", ["linear", "knn"])
def test_features_that_are_not_finite_have_no_scores(kind: str) -> None:
    probe = fit(FitConfig(probe_type=kind, strengths=(0.1,)), single(), None, multi=False)
    x = single(seed=1).x
    x[[5, 7], 2] = np.nan
    with pytest.raises(UsageError, match="2 of 120 items are not finite, item 5 first"):
        probe.probabilities(x)


def test_validation_items_of_a_class_that_train_lacks_are_not_scored() -> None:
    train, val = single(), single(seed=1)
    dogs = np.asarray(val.y)[:, 3] > 0
    train = train.take(np.flatnonzero(np.asarray(train.y)[:, 3] == 0), np.arange(4))
    config = FitConfig(absent="lowest", strengths=(1e-3, 1e-1))
    probe = fit(config, train, val, multi=False)
    assert probe.notes.to_json()["n_validation_left_out"] == dogs.sum() > 0
    without = val.take(np.flatnonzero(~dogs), np.arange(4))
    assert probe.notes.score == fit(config, train, without, multi=False).notes.score


@pytest.mark.parametrize("kind", ["lbfgs", "mlp", "knn"])
@pytest.mark.parametrize("multi", [True, False])
def test_one_item_a_class_and_features_that_do_not_vary_give_finite_scores(
    kind: str, *, multi: bool
) -> None:
    alone = Features(np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32), np.eye(4))
    still = Features(np.ones((12, 6), np.float32), np.tile(np.eye(4), (3, 1)))
    for train in (alone, still):
        probe = fit(KINDS[kind], train, None, multi=multi)
        assert np.isfinite(probe.probabilities(train.x)).all()
    told = probe.probabilities(still.x)  # nothing to go by: every item alike
    assert np.ptp(told, axis=0).max() < 1e-6
