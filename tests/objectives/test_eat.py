"""The pretraining objective: what does not depend on how it is run, and what must differ."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.nn import ema
from dawnchorus.nn.decoder import Decoder
from dawnchorus.objectives.eat import EATObjective, EATOptions, effective_rank, repeat_to_end

LENGTHS = torch.tensor([8000, 8000, 3000, 8000])


def objective(**options: Any) -> EATObjective:
    torch.manual_seed(0)
    config = EATConfig(
        dim=64, n_layers=2, n_heads=2, padded_frames=None, stored_positions=False, window_s=1.0
    )
    decoder = Decoder(64, n_layers=2, kernel=3, width=64, n_groups=4)
    made = EATObjective(EAT(config), decoder, EATOptions(n_clones=3, **options), seed=4)
    torch.manual_seed(1)
    with torch.no_grad():  # a teacher that is not the student
        for weight in made.teacher.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
    return made


@pytest.fixture
def waveforms() -> torch.Tensor:
    drawn = 0.1 * torch.randn(4, 8000, generator=torch.Generator().manual_seed(2))
    return drawn * (torch.arange(8000) < LENGTHS[:, None])


def gradients(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def test_parts_of_a_batch_average_to_the_whole(waveforms: torch.Tensor) -> None:
    made = objective(utterance_reduction="mean")
    whole = made(waveforms, LENGTHS, step=9)
    whole["loss"].backward()
    wanted = gradients(made)
    made.zero_grad()
    parts = [made(waveforms[i : i + 2], LENGTHS[i : i + 2], step=9, first_row=i) for i in (0, 2)]
    for part in parts:
        (part["loss"] / 2).backward()
    for name in ("loss", "frame", "utterance"):
        mean = torch.stack([part[name].detach() for part in parts]).mean()
        assert torch.allclose(mean, whole[name].detach(), rtol=1e-5)
    for name, gradient in gradients(made).items():
        assert torch.allclose(gradient, wanted[name], rtol=1e-3, atol=1e-6), name


def test_the_sum_over_clones_is_clips_times_clones_the_mean(waveforms: torch.Tensor) -> None:
    by_sum = objective(utterance_reduction="sum")(waveforms, LENGTHS, step=0)["utterance"]
    by_mean = objective(utterance_reduction="mean")(waveforms, LENGTHS, step=0)["utterance"]
    assert torch.allclose(by_sum, 4 * 3 * by_mean, rtol=1e-5)


def test_weights_scale_their_part_of_the_loss(waveforms: torch.Tensor) -> None:
    made = objective(utterance_reduction="mean", frame_weight=0.5, utterance_weight=3.0)
    found = made(waveforms, LENGTHS, step=0)
    assert torch.allclose(found["loss"], 0.5 * found["frame"] + 3 * found["utterance"])


def test_each_step_masks_anew_and_a_step_always_alike(waveforms: torch.Tensor) -> None:
    made = objective()
    first, again, later = (
        made(waveforms, LENGTHS, step=step)["frame"].item() for step in (1, 1, 2)
    )
    assert first == again
    assert first != later


def test_checkpointed_blocks_give_the_same_gradients(waveforms: torch.Tensor) -> None:
    plain, saving = objective(), objective(checkpoint=True)
    for made in (plain, saving):
        made.train()
        made(waveforms, LENGTHS, step=0)["loss"].backward()
    wanted = gradients(plain)
    for name, gradient in gradients(saving).items():
        assert torch.equal(gradient, wanted[name]), name


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's compiler looks at it
def test_compiled_parts_give_the_same_losses(waveforms: torch.Tensor) -> None:
    plain, compiled = objective(), objective()
    compiled.compile(backend="aot_eager")  # the compiler's front end, without a C++ compiler
    wanted = plain(waveforms, LENGTHS, step=0)
    found = compiled(waveforms, LENGTHS, step=0)
    for name, value in wanted.items():
        assert torch.allclose(found[name], value, rtol=1e-4), name
    assert compiled.state_dict().keys() == plain.state_dict().keys()


def test_everything_but_the_teacher_learns_and_nothing_is_left_out(
    waveforms: torch.Tensor,
) -> None:
    made = objective()
    made(waveforms, LENGTHS, step=0)["loss"].backward()
    learning = {name for name, p in made.named_parameters() if p.grad is not None}
    assert learning == {n for n, _ in made.named_parameters() if not n.startswith("teacher.")}


def test_the_teacher_sees_what_is_masked_and_the_student_does_not(waveforms: torch.Tensor) -> None:
    made = objective(noise_std=0.0)
    features, _ = made.model.features(waveforms)
    kept = torch.tensor([[0, 9, 10]]).expand(12, -1)  # time steps 0 and 1
    filler = torch.zeros(12, features.shape[1] // 2, 64)
    changed = features.clone()
    changed[:, 32:] += 1.0
    for tokens, differ in (
        ([made.clones(x, kept, filler).decoder_out for x in (features, changed)], False),
        ([made.targets(x) for x in (features, changed)], True),
    ):
        assert torch.equal(*tokens) != differ


def test_the_teacher_stays_in_evaluation_mode_and_in_float32() -> None:
    made = objective().train()
    assert made.model.training
    assert not made.teacher.training
    half = ema.make_teacher(objective().model.to(torch.bfloat16))
    assert {p.dtype for p in half.parameters()} == {torch.float32}


def test_the_teacher_keeps_what_a_bfloat16_average_would_lose() -> None:
    student = torch.nn.Linear(4, 4)
    teacher = ema.make_teacher(student)
    with torch.no_grad():
        student.weight.add_(1.0)
    before = teacher.weight.clone()
    ema.follow(teacher, student, 0.9999)
    assert torch.allclose(teacher.weight - before, torch.full((4, 4), 1e-4), atol=1e-6)
    assert ema.distance(student, student) == 0


def test_short_clips_are_repeated_so_that_no_patch_is_padding() -> None:
    waveforms = torch.tensor([[1.0, 2, 3, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7]])
    filled = repeat_to_end(waveforms, torch.tensor([3, 7]))
    assert filled.tolist() == [[1, 2, 3, 1, 2, 3, 1], [1, 2, 3, 4, 5, 6, 7]]


def test_effective_rank_counts_the_directions_that_are_used() -> None:
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(5000, 8, generator=generator)
    line = torch.randn(50, 1, generator=generator) @ torch.randn(1, 8, generator=generator)
    assert effective_rank(wide) == pytest.approx(8, rel=0.01)
    assert effective_rank(line + 3) == pytest.approx(1, rel=1e-3)
    assert effective_rank(torch.ones(10, 8)) == 0
