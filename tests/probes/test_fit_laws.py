"""Laws that hold for a probe of any kind: what a fit and its scores may depend on, and what not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from dawnchorus.configs import FitConfig, ScheduleConfig
from dawnchorus.configs.probes import TOKEN_PROBES, ProbeType
from dawnchorus.errors import DawnChorusError, TaskError, UsageError, WeightsError
from dawnchorus.probes.calibration import NEVER
from dawnchorus.probes.choose import measure_of
from dawnchorus.probes.features import Features, mean_and_scale
from dawnchorus.probes.fit import fit_probe, refit, without_choice
from dawnchorus.probes.fitted import EncoderMark, FittedProbe
from dawnchorus.probes.held_out import can_be_scored, cross_validated, validated
from dawnchorus.probes.linear import Solution, Spectrum, item_losses, solve
from dawnchorus.probes.net import BLOCK_ITEMS
from dawnchorus.probes.notes import ProbeNotes
from dawnchorus.probes.solvers import class_weights, settings_of

HEADS: tuple[str, ...] = get_args(ProbeType)
NAMES = ("ant", "bee", "cow")
MARK = EncoderMark("toy", "0" * 64)
DIM = 6


def config_of(head: str, **changes: Any) -> FitConfig:
    """Small, quick and with one setting of everything, but for what a test wants to be tried."""
    values: dict[str, Any] = {
        "probe_type": head, "attention_dim": 8, "num_heads": 2, "lstm_hidden_size": 4,
        "hidden_dims": (8,), "n_prototypes": 2, "strengths": (0.1,), "neighbours": (3,),
        "schedule": ScheduleConfig(learning_rates=(0.01,), n_epochs=2, batch_size=8),
    }  # fmt: skip
    return FitConfig(**values | changes)


def features(head: str, n: int = 30, seed: int = 0, *, multi: bool = False) -> Features:
    """Items whose first channels say their class, in the shape that a head reads."""
    rng = np.random.default_rng(seed)
    y = np.eye(3, dtype=int)[np.arange(n) % 3]
    if multi:
        y = y | (rng.random((n, 3)) < 0.2)  # some with several labels
        y[:2] = 0  # and two of which nothing is known to be heard
    shape = (n, 4, DIM) if head in TOKEN_PROBES else (n, DIM)
    x = rng.normal(size=shape)
    x[..., :3] += y.reshape(n, *[1] * (x.ndim - 2), 3)
    return Features(x.astype(np.float32), y)


def fit(
    config: FitConfig,
    train: Features,
    validation: Features | None = None,
    *,
    multi: bool = False,
    names: tuple[str, ...] = NAMES,
) -> FittedProbe:
    return fit_probe(config, train, validation, names, multi, encoder=MARK, readout=("-1",))


def quick(head: str, *, multi: bool = False, **changes: Any) -> tuple[FittedProbe, Features]:
    """A fitted probe, and items that it has not seen."""
    train, validation = features(head, multi=multi), features(head, 18, 1, multi=multi)
    probe = fit(config_of(head, **changes), train, validation, multi=multi)
    return probe, features(head, 12, 2, multi=multi)


def is_drawn(head: str) -> bool:
    """Whether fresh weights and batches are drawn: the others have one solution."""
    return head not in {"linear", "knn"}


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("head", HEADS)
def test_the_seed_is_all_the_chance_there_is(head: str, *, multi: bool) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    probe, other = quick(head, multi=multi)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002 - the global state is what must not count
    again, _ = quick(head, multi=multi)
    np.testing.assert_array_equal(again.logits(other.x), probe.logits(other.x))
    elsewhere, _ = quick(head, multi=multi, seed=1)
    is_same = np.array_equal(elsewhere.logits(other.x), probe.logits(other.x))
    assert is_same is not is_drawn(head)


@pytest.mark.parametrize("head", HEADS)
def test_neither_fitting_nor_scoring_changes_what_it_is_given(head: str) -> None:
    train = features(head)
    x, y = train.x.copy(), train.y.copy()
    probe = fit(config_of(head), train, train)
    weights = {name: value.clone() for name, value in probe.net.state_dict().items()}
    probe.probabilities(train.x)
    np.testing.assert_array_equal(train.x, x)
    np.testing.assert_array_equal(train.y, y)
    assert not probe.net.training
    for name, value in probe.net.state_dict().items():
        assert torch.equal(value, weights[name]), name


@pytest.mark.parametrize("head", HEADS)
def test_how_features_lie_in_memory_changes_no_score(head: str) -> None:
    probe, other = quick(head)
    expected = probe.logits(other.x)
    turned = np.asfortranarray(other.x)
    np.testing.assert_array_equal(probe.logits(turned), expected)
    every_other = np.repeat(other.x, 2, axis=0)[::2]
    np.testing.assert_array_equal(probe.logits(every_other), expected)
    np.testing.assert_array_equal(probe.logits(other.x.astype(np.float64)), expected)


@pytest.mark.parametrize("head", HEADS)
def test_more_items_than_a_block_score_as_in_smaller_parts_and_none_give_none(head: str) -> None:
    probe, _ = quick(head)
    many = features(head, BLOCK_ITEMS + 5, 3).x
    whole = probe.logits(many)
    parts = np.concatenate([probe.logits(many[:700]), probe.logits(many[700:])])
    np.testing.assert_allclose(whole, parts, atol=1e-5)
    assert probe.logits(many[:0]).shape == (0, 3)
    assert probe.probabilities(many[:0]).shape == (0, 3)


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("head", ["linear", "knn"])
def test_classes_and_items_in_another_order_give_the_same_scores_in_that_order(
    head: str, *, multi: bool
) -> None:
    train, other = features(head, multi=multi), features(head, 12, 2)
    probe = fit(config_of(head), train, multi=multi)
    turn, order = np.array([2, 0, 1]), np.random.default_rng(4).permutation(len(train))
    turned = fit(
        config_of(head), train.take(order, turn), multi=multi,
        names=tuple(NAMES[k] for k in turn),
    )  # fmt: skip
    np.testing.assert_allclose(
        turned.logits(other.x), probe.logits(other.x)[:, turn], atol=2e-5, rtol=1e-5
    )
    assert turned.notes.model_extra is not None
    assert probe.notes.model_extra is not None
    assert turned.notes.model_extra["n_positive"] == probe.notes.model_extra["n_positive"]


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("head", HEADS)
def test_a_class_without_an_item_changes_no_other_and_is_never_named(
    head: str, *, multi: bool, tmp_path: Path
) -> None:
    train, other = features(head, multi=multi), features(head, 12, 2)
    plain = fit(config_of(head), train, train, multi=multi)
    gap = np.insert(np.asarray(train.y), 1, 0, axis=1)
    wider = fit(
        config_of(head, absent="lowest"), replace(train, y=gap), replace(train, y=gap),
        multi=multi, names=("ant", "elk", "bee", "cow"),
    )  # fmt: skip
    assert wider.trained == (0, 2, 3)
    assert wider.notes.not_trained == ("elk",)
    for probe in (wider, _saved(wider, tmp_path)):
        logits = probe.logits(other.x)
        np.testing.assert_array_equal(logits[:, [0, 2, 3]], plain.logits(other.x))
        assert (logits[:, 1] == NEVER).all()
        assert (probe.probabilities(other.x)[:, 1] == 0).all()


def _saved(probe: FittedProbe, folder: Path) -> FittedProbe:
    probe.save(folder / "saved")
    return FittedProbe.load(folder / "saved")


@pytest.mark.parametrize("head", HEADS)
def test_saving_twice_writes_the_same_bytes_and_a_loaded_probe_saves_as_itself(
    head: str, tmp_path: Path
) -> None:
    probe, _ = quick(head)
    probe.save(tmp_path / "a")
    probe.save(tmp_path / "b")
    FittedProbe.load(tmp_path / "a").save(tmp_path / "c")
    for name in ("probe.safetensors", "probe.json"):
        contents = {(tmp_path / folder / name).read_bytes() for folder in "abc"}
        assert len(contents) == 1, name
    assert {path.name for path in (tmp_path / "a").iterdir()} == {
        "probe.safetensors", "probe.json",
    }  # fmt: skip


def test_a_probe_that_cannot_be_described_leaves_the_old_one_whole(tmp_path: Path) -> None:
    probe, other = quick("linear")
    probe.save(tmp_path)
    expected = probe.logits(other.x)
    (tmp_path / ".probe.json").mkdir()  # where the new description would be written first
    with pytest.raises(WeightsError, match="the probe cannot be written"):
        fit(config_of("linear", strengths=(1.0,)), features("linear")).save(tmp_path)
    assert not (tmp_path / ".probe.safetensors").exists()
    np.testing.assert_array_equal(FittedProbe.load(tmp_path).logits(other.x), expected)


@pytest.mark.parametrize("head", HEADS)
def test_what_has_nothing_to_learn_is_refused_whatever_the_head(head: str) -> None:
    train = features(head)
    one_label = np.asarray(train.y)[:, :1]
    for y, names, multi, said in (
        (one_label, ("ant",), False, "1 classes, 1 of them different; need two or more"),
        (train.y, ("ant", "bee", "ant"), False, "3 classes, 2 of them different"),
        (np.zeros_like(train.y), NAMES, True, r"3 of 3 classes cannot be learned.*ant \(0\)"),
        (np.ones_like(train.y), NAMES, True, r"3 of 3 classes cannot be learned.*cow \(30\)"),
        (np.eye(3)[np.zeros(30, int)], NAMES, False, r"2 of 3 .*bee \(0\), cow \(0\)"),
    ):
        with pytest.raises((UsageError, TaskError), match=said):
            fit(config_of(head), replace(train, y=y), train, multi=multi, names=names)
    with pytest.raises(TaskError, match="suffice for 1 of 3 classes; too few"):
        fit(
            config_of(head, absent="lowest"),
            replace(train, y=np.eye(3)[np.zeros(30, int)]),
            None,
        )
    with pytest.raises(TaskError, match="train: there are no items"):
        fit(config_of(head), train.take(np.arange(0)), train)
    longer = replace(train, x=np.concatenate([train.x, train.x], axis=-1))
    with pytest.raises(UsageError, match=r"validation has features \(.*12,?\), train \(.*6,?\)"):
        fit(config_of(head), train, longer)


@pytest.mark.parametrize("head", [head for head in HEADS if head != "knn"])
def test_weights_for_a_class_that_is_none_are_refused(head: str) -> None:
    with pytest.raises(UsageError, match=r"class_weights names \['elk'\], which are no classes"):
        quick(head, class_weights={"ant": 2.0, "elk": 3.0})


@pytest.mark.parametrize("head", HEADS)
def test_features_that_say_nothing_give_the_shares_of_train(head: str) -> None:
    y = np.eye(3)[[0] * 18 + [1] * 8 + [2] * 4]
    still = replace(features(head), x=np.ones_like(features(head).x), y=y)
    probe = fit(config_of(head, strengths=(10.0,)), still, still)
    p = probe.probabilities(still.x)
    assert np.ptp(p, axis=0).max() < 1e-6
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-9)
    if head == "linear":
        np.testing.assert_allclose(p[0], y.mean(axis=0), atol=1e-5)


def test_a_single_class_of_several_labels_can_be_told_from_its_absence() -> None:
    for head in ("linear", "knn"):
        train = features(head)
        one = replace(train, y=np.asarray(train.y)[:, :1])
        probe = fit(config_of(head), one, multi=True, names=("ant",))
        p = probe.probabilities(train.x)
        assert p.shape == (30, 1)
        assert p[one.y[:, 0] > 0].mean() > p[one.y[:, 0] == 0].mean() + 0.1


@pytest.mark.parametrize("multi", [False, True])
def test_neighbours_are_those_of_scikit_learn_and_vote_as_is_said(*, multi: bool) -> None:
    train, other = features("knn", multi=multi), features("knn", 12, 2)
    probe = fit(config_of("knn", neighbours=(5,)), train, multi=multi)
    scaler = StandardScaler().fit(train.x.astype(np.float64))
    # cosine distance is 1 less the cosine
    near = NearestNeighbors(n_neighbors=5, metric="cosine").fit(scaler.transform(train.x))
    distance, rows = near.kneighbors(scaler.transform(other.x))
    votes = np.maximum(1 - distance, 0)
    y = np.asarray(train.y)
    prior = (y.sum(axis=0) + 0.5) / (len(y) + 1)
    counted = np.einsum("bk,bkc->bc", votes, y[rows].astype(float))
    share = (counted + prior) / (votes.sum(axis=1, keepdims=True) + 1)
    expected = np.log(share / (1 - share)) if multi else np.log(share)
    np.testing.assert_allclose(probe.logits(other.x), expected, atol=1e-5)


def test_more_neighbours_than_items_are_all_items() -> None:
    train, other = features("knn"), features("knn", 12, 2)
    all_of_them = fit(config_of("knn", neighbours=(30,)), train).logits(other.x)
    np.testing.assert_array_equal(
        fit(config_of("knn", neighbours=(500,)), train).logits(other.x), all_of_them
    )


def test_an_item_twice_is_an_item_of_weight_two() -> None:
    train, other = features("linear"), features("linear", 12, 2)
    ants = np.flatnonzero(np.asarray(train.y)[:, 0])
    rows = np.concatenate([np.arange(30), ants])
    # the penalty is |W|^2 / 2Cn beside a mean over n: more items leave the problem what it is
    twice = fit(config_of("linear", strengths=(0.1,), standardise=False), train.take(rows))
    heavy = fit(
        config_of("linear", strengths=(0.1,), standardise=False, class_weights={"ant": 2.0}), train
    )
    np.testing.assert_allclose(
        _centred(twice.logits(other.x)), _centred(heavy.logits(other.x)), atol=1e-4
    )


def _centred(logits: np.ndarray) -> np.ndarray:
    """What is added to all logits of an item changes no softmax."""
    return logits - logits.mean(axis=1, keepdims=True)


@given(st.integers(0, 99), st.booleans())
def test_balanced_classes_count_alike_however_rare(seed: int, multi: bool) -> None:  # noqa: FBT001
    rng = np.random.default_rng(seed)
    y = np.eye(3)[np.concatenate([np.arange(3), (3 * rng.random(40) ** 3).astype(int)])]
    weights = class_weights(FitConfig(class_weights="balanced"), y, NAMES, multi_label=multi)
    per_class = (weights * y).sum(axis=0)
    np.testing.assert_allclose(per_class, len(y) / (2 if multi else 3))
    if multi:
        np.testing.assert_allclose((weights * (1 - y)).sum(axis=0), len(y) / 2)
    named = FitConfig(class_weights={"cow": 5.0})
    by_name = class_weights(named, y, NAMES, multi_label=multi)
    assert (by_name[:, :2] == 1).all()
    assert (by_name[y[:, 2] > 0, 2] == 5).all()
    assert (by_name[y[:, 2] == 0, 2] == (1 if multi else 5)).all()


@given(st.integers(0, 99))
def test_losses_of_items_are_torch_s_own(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(8, 3, generator=draw, dtype=torch.float64)
    labels = torch.randint(0, 3, (8,), generator=draw)
    y, weights = torch.eye(3, dtype=torch.float64)[labels], torch.tensor([1.0, 2.0, 0.5]).double()
    rows = weights.expand(8, 3)
    one = item_losses(logits, y, rows, multi_label=False)
    theirs = torch.nn.functional.cross_entropy(logits, labels, weights, reduction="none")
    torch.testing.assert_close(one, theirs)
    several = item_losses(logits, y, rows, multi_label=True)
    p = torch.sigmoid(logits)
    by_hand = -(rows * (y * p.log() + (1 - y) * (1 - p).log())).sum(dim=1)
    torch.testing.assert_close(several, by_hand)


@pytest.mark.parametrize(("n", "dim"), [(40, 5), (5, 40), (12, 12)])
def test_a_spectrum_holds_the_features_whole_in_as_many_directions_as_they_vary(
    n: int, dim: int
) -> None:
    x = torch.randn(n, dim, generator=torch.Generator().manual_seed(0)).double()
    x[:, 1] = x[:, 0]  # one direction less
    x[:, 2] = 3.0  # and another
    spectrum = Spectrum.of(x)
    assert spectrum.rotated.shape[1] == min(n - 1, dim - 2)
    back = spectrum.rotated @ spectrum.vectors.T + spectrum.mean
    torch.testing.assert_close(back, x, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(
        spectrum.rotated.square().mean(dim=0), spectrum.variance, atol=1e-9, rtol=1e-6
    )


@pytest.mark.parametrize("multi", [False, True])
def test_a_solution_is_the_same_from_any_start_and_nothing_near_it_is_better(
    *, multi: bool
) -> None:
    train = features("linear", 40, multi=multi)
    x, y = torch.from_numpy(train.x).double(), torch.from_numpy(np.asarray(train.y)).double()
    spectrum, weights = Spectrum.of(x), torch.ones_like(y)
    found = solve(spectrum, y, weights, 0.5, multi_label=multi)
    start = Solution(torch.full_like(found.slopes, 0.7), torch.full_like(found.offsets, -1.0))
    again = solve(spectrum, y, weights, 0.5, multi_label=multi, start=start)
    torch.testing.assert_close(again.slopes, found.slopes, atol=1e-5, rtol=1e-5)
    matrix, bias = found.in_features(spectrum)

    def objective(matrix: torch.Tensor, bias: torch.Tensor) -> float:
        losses = item_losses(x @ matrix.T + bias, y, weights, multi_label=multi)
        return float(losses.mean() + matrix.square().sum() / (2 * 0.5 * len(y)))

    least = objective(matrix, bias)
    draw = torch.Generator().manual_seed(5)
    for _ in range(20):
        step = 0.01 * torch.randn(matrix.shape, generator=draw).double()
        assert objective(matrix + step, bias) > least


@settings(max_examples=25)
@given(
    st.integers(0, 999),
    st.sampled_from([(6, 4), (6, 3, 4), (6, 2, 3, 4)]),
    st.booleans(),
)
def test_means_and_scales_are_numpy_s_over_what_is_kept(
    seed: int,
    shape: tuple[int, ...],
    by_layer: bool,  # noqa: FBT001
) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=shape) * 5 + rng.normal(0, 100, shape[-1])).astype(np.float32)
    x[..., 1] = 7.25  # never varies
    # of three axes the middle one is layers or tokens; of four the first is always layers
    by_layer = len(shape) == 4 or (by_layer and len(shape) == 3)
    has_tokens = len(shape) == 4 or (len(shape) == 3 and not by_layer)
    keep = rng.random((6, shape[-2])) < 0.7 if has_tokens else None
    if keep is not None:
        keep[0, 0] = True
    mean, scale = mean_and_scale(x, keep, by_layer=by_layer)
    layers = x.shape[1] if by_layer else 1
    rows = x.reshape(6, layers, -1, 4).astype(np.float64)
    kept = np.ones((6, rows.shape[2]), bool) if keep is None else keep
    for layer in range(layers):
        values = rows[:, layer][kept]
        std = values.std(axis=0)
        std[1] = 1.0
        at = mean.reshape(layers, 4)[layer], scale.reshape(layers, 4)[layer]
        np.testing.assert_allclose(at[0], values.mean(axis=0), rtol=1e-12, atol=1e-12)
        is_constant = std <= 1e-6 * np.abs(values.mean(axis=0))
        np.testing.assert_allclose(at[1], np.where(is_constant, 1.0, std), rtol=1e-9)
    assert np.broadcast_shapes(mean.shape, shape) == shape


def test_tokens_that_are_all_padding_have_no_mean() -> None:
    with pytest.raises(TaskError, match="every token is padding"):
        mean_and_scale(np.ones((3, 2, 4), np.float32), np.zeros((3, 2), bool), by_layer=False)


def test_every_value_that_is_given_is_tried_once_in_rising_order() -> None:
    assert [dict(s) for s in settings_of(FitConfig(strengths=(1.0, 0.1)))] == [
        {"strength": 0.1}, {"strength": 1.0},
    ]  # fmt: skip
    knn = FitConfig(probe_type="knn", neighbours=(5, 1))
    assert [dict(s) for s in settings_of(knn)] == [{"k": 1.0}, {"k": 5.0}]
    schedule = ScheduleConfig(learning_rates=(0.1, 0.2), weight_decays=(0.0, 0.5))
    tried = settings_of(FitConfig(probe_type="mlp", schedule=schedule))
    assert {(s["learning_rate"], s["weight_decay"]) for s in tried} == {
        (0.1, 0.0), (0.1, 0.5), (0.2, 0.0), (0.2, 0.5),
    }  # fmt: skip
    assert without_choice(FitConfig()).strengths == (0.1,)
    assert without_choice(FitConfig(probe_type="knn")).neighbours == (1,)


@pytest.mark.parametrize("head", HEADS)
def test_the_same_probe_on_other_items_takes_what_the_first_one_chose(head: str) -> None:
    schedule = ScheduleConfig(learning_rates=(0.001, 0.03), n_epochs=2, batch_size=8)
    config = config_of(head, strengths=(1e-4, 1.0), neighbours=(1, 7), schedule=schedule)
    train = features(head)
    probe = fit(config, train, features(head, 18, 1))
    half = train.take(np.arange(0, 30, 2))
    again = refit(config, probe, half)
    chosen, kept = dict(probe.notes.chosen or {}), dict(again.notes.chosen or {})
    chosen.pop("n_epochs", None)
    kept.pop("n_epochs", None)
    assert kept == chosen
    assert again.notes.n_train == 15
    assert again.classes == probe.classes


@pytest.mark.parametrize("name", ["accuracy", "macro_recall"])
def test_measures_of_one_label_are_refused_for_several(name: str) -> None:
    config = FitConfig(select_by=name)
    with pytest.raises(UsageError, match=f"select_by '{name}' needs one label an item"):
        measure_of(config, multi_label=True)
    assert measure_of(config, multi_label=False)[0] == name


def test_each_item_is_scored_by_a_probe_that_has_not_heard_its_recording() -> None:
    train = replace(features("linear", 60), group=np.arange(60) // 4)
    config = config_of("linear")
    probe = fit(config, train)
    found = cross_validated(config, probe, train)
    assert len(found.logits) == 60
    assert found.n_left_out == 0
    assert found.how.startswith("5 folds of 15 recordings")
    # what it would be had the labels of one recording been others: its own scores stay
    for group in (0, 7):
        rows = np.flatnonzero(np.asarray(train.group) == group)
        y = np.asarray(train.y).copy()
        y[rows] = y[rows[::-1]]  # as many of each class in the recording, so the folds stay
        changed = cross_validated(config, probe, replace(train, y=y))
        np.testing.assert_array_equal(changed.logits[rows], found.logits[rows])
        assert not np.array_equal(changed.logits, found.logits)


def test_items_of_a_class_that_a_fold_cannot_learn_are_counted_and_left_out() -> None:
    train = features("linear", 60)
    group = np.where(np.asarray(train.y)[:, 2] > 0, 0, 1 + np.arange(60) // 4)
    lone = replace(train, group=group)  # all cows are of one recording
    config = config_of("linear")
    probe = fit(config, lone)
    found = cross_validated(config, probe, lone)
    assert found.n_left_out == 20
    assert not found.truth[:, 2].any()
    with pytest.raises(TaskError, match="1 group"):
        cross_validated(config, probe, replace(train, group=np.zeros(60)))


def test_validation_items_of_unknown_classes_have_no_score() -> None:
    train = features("linear")
    no_cows = train.take(np.flatnonzero(np.asarray(train.y)[:, 2] == 0))
    probe = fit(config_of("linear", absent="lowest"), no_cows)
    held_out = replace(features("linear", 18, 1), group=np.arange(18))
    found = validated(probe, held_out)
    assert (len(found.logits), found.n_left_out) == (12, 6)
    assert found.how == "the 12 validation windows"
    rows = np.flatnonzero(can_be_scored(probe, np.asarray(held_out.y) > 0))
    assert found.group.tolist() == rows.tolist()
    np.testing.assert_array_equal(found.logits, probe.logits(held_out.x[rows]))


def test_notes_are_checked_kept_and_read_by_their_old_names() -> None:
    notes = ProbeNotes(not_trained=("elk",), by="me")
    more = notes.with_(window_s=2.5)
    assert more.to_json() == {"not_trained": ["elk"], "by": "me", "window_s": 2.5}
    assert notes.window_s is None  # frozen: the first is as it was
    with pytest.warns(DeprecationWarning, match="read notes.not_taught instead"):
        assert more["not_taught"] == ["elk"]
    for wrong in ({"window_s": 0.0}, {"window_s": float("nan")}, {"chosen": {"k": float("inf")}}):
        with pytest.raises(DawnChorusError, match=next(iter(wrong))):
            notes.with_(**wrong)


def test_the_old_name_of_trained_is_read_with_a_warning() -> None:
    probe, _ = quick("linear")
    with pytest.warns(DeprecationWarning, match="is now called trained"):
        assert probe.taught == probe.trained == (0, 1, 2)
