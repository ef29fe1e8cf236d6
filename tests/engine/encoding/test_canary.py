"""Outputs that cannot be right end the run before anything is stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dawnchorus.engine.embed import embed
from dawnchorus.engine.encoding.canary import Canary, WindowsError
from dawnchorus.errors import WeightsError
from dawnchorus.models.eat import EAT

SOUNDS = torch.randn(4, 800, generator=torch.Generator().manual_seed(0))


def test_results_that_differ_pass() -> None:
    Canary("m").check(SOUNDS, np.random.default_rng(0).random((4, 3), np.float32))


def test_one_result_for_all_sounds_is_refused() -> None:
    with pytest.raises(WeightsError, match="4 windows that differ"):
        Canary("m").check(SOUNDS, np.full((4, 3), 0.5, np.float32))


@pytest.mark.parametrize(
    "sounds",
    [
        torch.zeros(4, 800),
        SOUNDS[:1].repeat(4, 1),
        torch.cat([SOUNDS[:1], -SOUNDS[:1]]),
        torch.tensor([[0.0], [0.5]]).repeat(1, 800),
    ],
    ids=["silence", "one sound", "turned upside down", "other offset"],
)
def test_sounds_that_a_log_mel_cannot_tell_apart_may_have_one_result(sounds: torch.Tensor) -> None:
    Canary("m").check(sounds, np.full((len(sounds), 3), 0.5, np.float32))


def test_a_value_that_is_not_a_number_is_refused() -> None:
    values = np.full((4, 3), np.nan, np.float32)
    with pytest.raises(WeightsError, match="4 of 4 windows"):
        Canary("m").check(SOUNDS, values)


def test_the_weights_are_not_blamed_for_some_windows_nor_for_absurd_sound() -> None:
    values = np.random.default_rng(0).random((4, 3), np.float32)
    values[2, 1] = np.nan
    with pytest.raises(WindowsError) as some:
        Canary("m").check(SOUNDS, values)
    assert some.value.rows == (2,)
    with pytest.raises(WindowsError) as loud:
        Canary("m").check(1e6 * SOUNDS, np.full((4, 3), np.nan, np.float32))
    assert loud.value.rows == (0, 1, 2, 3)


def broken(model: EAT, change: Callable[[EAT], None]) -> EAT:
    copy = EAT(model.config, name="broken", labels=model.labels)
    copy.load_state_dict(model.state_dict())
    with torch.no_grad():
        change(copy)
    return copy


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.patch_embed.proj.weight.zero_(), "gave the same output"),
        (lambda m: m.pre_norm.weight.fill_(torch.nan), "not numbers"),
        (lambda m: setattr(m, "dim", 65), r"shape \(2, 64\), need \(2, 65\)"),
    ],
    ids=["constant", "NaN", "size"],
)
def test_a_model_that_does_not_work_is_refused_before_a_store_is_made(
    tmp_path: Path,
    tiny_encoder: EAT,
    write_sound: Callable[..., Path],
    change: Callable[[EAT], None],
    words: str,
) -> None:
    path = write_sound(tmp_path / "a.wav", 1.0)
    with pytest.raises(WeightsError, match=words):
        embed(path, model=broken(tiny_encoder, change), store=tmp_path / "a.store")
    assert not (tmp_path / "a.store").exists()
