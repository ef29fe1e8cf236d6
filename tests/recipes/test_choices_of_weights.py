"""Which weights a run starts from and which it exports, and when it has to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file as save_tensors

from conftest import LABELS, TINY
from dawnchorus.configs import PretrainConfig
from dawnchorus.errors import TrainingError, UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.recipes import initial_weights
from dawnchorus.recipes.collapse import check_spread
from dawnchorus.recipes.export import chosen_weights, scores_of
from dawnchorus.recipes.initial_weights import take_weights
from dawnchorus.training.checkpoint import MODEL
from dawnchorus.training.run import RunFolder

HEAD = ("head.",)


def eat(seed: int, labels: list[str] | None = None, **changes: Any) -> EAT:
    labels = LABELS if labels is None else labels
    torch.manual_seed(seed)
    config = TINY.model_copy(update={"n_classes": len(labels), **changes})
    return EAT(config, name=f"model {seed}", labels=labels or None).eval()


@pytest.fixture
def start_from(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``start_from(model, other)``: as if ``other`` were what ``init_from: it`` names."""

    def take(model: EAT, other: Any) -> None:
        monkeypatch.setattr(initial_weights, "load_model", lambda _name, **_more: other)
        take_weights(model, "it")

    return take


def equal_weights(one: EAT, other: EAT) -> set[str]:
    theirs = other.state_dict()
    return {
        key
        for key, value in one.state_dict().items()
        if key in theirs and value.shape == theirs[key].shape and value.equal(theirs[key])
    }


def test_all_weights_are_taken_where_the_labels_are_the_same(start_from: Any) -> None:
    ours, theirs = eat(1), eat(2)
    assert equal_weights(ours, theirs) != set(ours.state_dict())
    start_from(ours, theirs)
    assert equal_weights(ours, theirs) == set(ours.state_dict())


@pytest.mark.parametrize("labels", [[*LABELS[1:], LABELS[0]], LABELS[:2], ["a", "b", "c"], []])
def test_a_head_of_other_labels_is_not_taken_and_the_fresh_one_stays(
    start_from: Any, labels: list[str]
) -> None:
    ours, theirs = eat(1, labels), eat(2)
    before = {key: value.clone() for key, value in ours.state_dict().items()}
    start_from(ours, theirs)
    for key, value in ours.state_dict().items():
        wanted = before[key] if key.startswith("head.") else theirs.state_dict()[key]
        assert value.equal(wanted), key


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dim": 128}, "it has dim 128, the run 64; set size to that of it"),
        ({"n_layers": 3}, "it has n_layers 3, the run 2"),
        ({"n_heads": 2}, "it has n_heads 2, the run 1"),
        ({"mlp_ratio": 2.0}, r"it has mlp_ratio 2\.0, the run 4\.0"),
        ({"normalization": (-4.0, 4.5)}, r"Set normalization: \[-4\.0, 4\.5\]$"),
        ({"normalization": "per_clip"}, "per_clip, which training does not offer"),
        ({"stored_positions": True}, "set pad_to_window: true"),
    ],
)
def test_a_model_of_another_form_is_refused_with_what_to_set_and_nothing_is_taken(
    start_from: Any, changes: dict[str, Any], said: str
) -> None:
    ours = eat(1)
    before = {key: value.clone() for key, value in ours.state_dict().items()}
    with pytest.raises(UsageError, match=rf"^init_from: it .*{said}|^init_from: {said}"):
        start_from(ours, eat(2, **changes))
    assert all(value.equal(before[key]) for key, value in ours.state_dict().items())


def test_a_model_that_is_no_eat_is_refused(start_from: Any) -> None:
    with pytest.raises(UsageError, match="init_from: it is not an EAT"):
        start_from(eat(1), object())


# --- what is exported -----------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Three checkpoints, whose one weight is their step, and the best one of another value."""
    its = RunFolder(tmp_path / "run")
    for step in (10, 20, 30):
        folder = its.checkpoints / f"step-{step:08}"
        folder.mkdir(parents=True)
        tensors = {"model.w": torch.full((2,), float(step)), "teacher.w": torch.zeros(1)}
        save_tensors(tensors, folder / MODEL)
    its.best.mkdir(parents=True)
    save_tensors({"model.w": torch.full((2,), 17.0)}, its.best / MODEL)
    return its


@pytest.mark.parametrize(
    ("which", "best_step", "value", "steps"),
    [
        ("last", 20, 30.0, (30,)),
        ("best", 20, 17.0, (20,)),
        ("best", None, 30.0, (30,)),
        ("average", 20, 20.0, (10, 20, 30)),
    ],
)
def test_weights_are_those_that_were_chosen_and_only_the_models(
    run: RunFolder, which: Any, best_step: int | None, value: float, steps: tuple[int, ...]
) -> None:
    chosen = chosen_weights(run, which, best_step)
    assert {name: w.tolist() for name, w in chosen.weights.items()} == {"w": [value, value]}
    assert chosen.weights["w"].dtype == torch.float32
    assert chosen.steps == steps


def test_a_best_that_was_never_saved_is_the_last(run: RunFolder) -> None:
    (run.best / MODEL).unlink()
    assert chosen_weights(run, "best", 20).steps == (30,)


def test_a_run_without_a_checkpoint_has_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no checkpoint to export"):
        chosen_weights(RunFolder(tmp_path), "last")


RECORDS = [{"step": 10, "val_map": 0.5}, {"step": 15}, {"step": 20, "val_map": 0.25}]


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ((10,), "validation mAP 0.5000 at step 10"),
        ((20,), "validation mAP 0.2500 at step 20"),
        ((15,), "not validated at step 15"),
        (
            (10, 15, 20),
            "not validated: mean of steps 10, 15, 20; each by itself: validation mAP 0.5000 at "
            "step 10, 0.2500 at step 20",
        ),
        ((11, 12), "not validated: mean of steps 11, 12"),
    ],
)
def test_a_card_says_what_validation_said_of_these_very_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: tuple[int, ...], text: str
) -> None:
    monkeypatch.setattr(RunFolder, "records", lambda _run: RECORDS)
    assert scores_of(RunFolder(tmp_path), steps, "map") == text
    assert scores_of(RunFolder(tmp_path), steps, "retrieval") == ""


# --- when to end ----------------------------------------------------------------------------------

CONFIG = PretrainConfig(name="x", steps=2, learning_rate=0.1, data={"root": "."})
FLOORS = {
    "target_deviation": CONFIG.collapse.min_target_deviation,
    "prediction_deviation": CONFIG.collapse.min_prediction_deviation,
}


@pytest.mark.parametrize("name", FLOORS)
def test_a_spread_below_its_floor_ends_a_run_and_one_on_it_does_not(name: str) -> None:
    on_the_floor = {key: floor * 1.001 for key, floor in FLOORS.items()}
    check_spread(on_the_floor, 7, CONFIG)
    below = {**on_the_floor, name: FLOORS[name] * 0.99}
    with pytest.raises(
        TrainingError, match=rf"^x: .*collapsed: at step 7 the {name} .*\(collapse\.min_{name}\)"
    ):
        check_spread(below, 7, CONFIG)
