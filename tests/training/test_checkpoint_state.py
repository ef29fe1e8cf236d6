"""A state that no run has is refused with its key, not met by the loop hours later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.errors import DawnChorusError, TrainingError
from dawnchorus.training.checkpoint import (
    Checkpoint,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)

STATE: dict[str, Any] = {
    "step": 7, "best": None, "best_step": None, "validations_since_best": 0,
    "skipped": 0, "skipped_in_a_row": 0, "finished": False,
}  # fmt: skip
PIECES = [
    "{",
    "}",
    "[" * 3000,
    '"',
    ",",
    ":",
    "null",
    "NaN",
    "-1",
    "true",
    '"step"',
    "{}",
    "\x00",
    "é",
]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A checkpoint."""
    tensors = {"weight": torch.zeros(2)}
    folder = tmp_path / "step-0000007"
    save_checkpoint(folder, Checkpoint(model=tensors, optimizer=tensors, state=STATE))
    return folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"step": -1}, "step: -1 is below 0"),
        ({"step": "7"}, "step: '7'"),
        ({"step": True}, "step: True"),
        ({"finished": 0}, "finished: 0"),
        ({"best": [1]}, r"best: \[1\]"),
        ({"skipped": None}, "skipped: None"),
    ],
)
def test_a_state_that_no_run_has_is_refused(saved: Path, change: dict[str, Any], said: str) -> None:
    assert load_checkpoint(saved).state["step"] == 7
    text = (saved / "state.json").read_text()
    (saved / "state.json").write_text(json.dumps(json.loads(text) | change))
    with pytest.raises(TrainingError, match=said):
        load_checkpoint(saved)
    (saved / "state.json").write_text(json.dumps({"step": 7}))
    with pytest.raises(TrainingError, match="best: missing"):
        load_checkpoint(saved)


def test_a_score_that_is_no_number_is_a_score(saved: Path) -> None:
    (saved / "state.json").write_text(json.dumps(STATE | {"best": float("nan"), "best_step": 3}))
    assert load_checkpoint(saved).state["best_step"] == 3


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 200), st.integers(0, 20), st.lists(st.sampled_from(PIECES)))
def test_any_edited_state_is_taken_passed_over_or_refused(
    tmp_path_factory: pytest.TempPathFactory, at: int, cut: int, pieces: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("run") / "step-0000007"
    tensors = {"weight": torch.zeros(2)}
    save_checkpoint(folder, Checkpoint(model=tensors, optimizer=tensors, state=STATE))
    text = (folder / "state.json").read_text()
    (folder / "state.json").write_text(text[:at] + "".join(pieces) + text[at + cut :])
    try:
        found, _ = latest_checkpoint(folder.parent)
        state = {} if found is None else load_checkpoint(found).state
    except DawnChorusError:
        return
    assert isinstance(state["step"], int)
