"""Losses of distillation against their formulas, and moments against those of all rows."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from dawnchorus.objectives.distil import (
    Distillation,
    RunningMoments,
    TeacherHead,
    TeacherOutputs,
    TeacherSpec,
)


def rows(n: int, dim: int, seed: int = 0, mean: float = 0.0) -> Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)) + mean


def head(**changes: float | bool) -> TeacherHead:
    torch.manual_seed(0)
    spec = TeacherSpec(name="t", dim=6, n_logits=4, logits_weight=1.0, **changes)  # type: ignore[arg-type]
    return TeacherHead(5, spec)


def test_each_part_is_its_formula() -> None:
    ours = head()
    assert ours.moments is not None
    assert ours.to_embedding is not None
    assert ours.to_logits is not None
    heard = rows(50, 6, seed=1, mean=3.0)
    ours.moments.put_aside(heard, 0)
    ours.moments.take_in()
    pooled, said = rows(3, 5), TeacherOutputs(rows(3, 6, 2, mean=3.0), rows(3, 4, 3))
    with torch.no_grad():
        parts = ours(pooled, said)
    wanted = (said.embedding - heard.mean(0)) / heard.std(0, unbiased=False)
    guess = ours.to_embedding(pooled).detach()
    cosine = (guess * wanted).sum(1) / guess.norm(dim=1) / wanted.norm(dim=1)
    loss = (1 - cosine + 0.1 * (guess - wanted).abs().mean(1)).mean()
    assert float(parts["embedding"]) == pytest.approx(float(loss), rel=1e-4)
    assert float(parts["cosine"]) == pytest.approx(float(cosine.mean()), rel=1e-4)
    assert said.logits is not None
    soft, p = said.logits.sigmoid(), ours.to_logits(pooled).detach().sigmoid()
    entropy = -(soft * p.log() + (1 - soft) * (1 - p).log()).mean()
    assert float(parts["logits"]) == pytest.approx(float(entropy), rel=1e-4)


def test_clips_without_a_teacher_count_as_0_and_parts_average() -> None:
    ours = head(is_standardised=True)
    pooled = rows(4, 5)
    there = torch.tensor([True, False, True, True])
    said = TeacherOutputs(rows(4, 6), rows(4, 4), there)
    ours.requires_grad_(requires_grad=False)
    whole = ours(pooled, said)
    halves = [
        ours(pooled[s], TeacherOutputs(*(x[s] for x in said if x is not None)))
        for s in (slice(0, 2), slice(2, 4))
    ]
    for name, value in whole.items():
        mean = (halves[0][name] + halves[1][name]) / 2
        assert float(value) == pytest.approx(float(mean), rel=1e-5)
    first = ours(pooled[:1], TeacherOutputs(said.embedding[:1], None, there[:1]))
    second = ours(pooled[:2], TeacherOutputs(said.embedding[:2], None, there[:2]))
    assert float(second["embedding"]) == pytest.approx(float(first["embedding"]) / 2, rel=1e-5)


def test_the_loss_is_the_weighted_sum_over_teachers() -> None:
    specs = [
        TeacherSpec(name="a", dim=3, embedding_weight=2.0),
        TeacherSpec(name="b", dim=2, n_logits=4, embedding_weight=0.0, logits_weight=5.0),
    ]
    both = Distillation(5, specs)
    said = {"a": TeacherOutputs(rows(2, 3)), "b": TeacherOutputs(rows(2, 2), rows(2, 4))}
    total, parts = both(rows(2, 5), said)
    assert set(parts) == {"a_embedding", "a_cosine", "b_logits"}
    want = 2 * parts["a_embedding"] + 5 * parts["b_logits"]
    assert total.item() == pytest.approx(want.item())
    total.backward()
    assert all(p.grad is not None for p in both.parameters())
    assert set(both.moments()) == {"a", "b"}


@settings(deadline=None, max_examples=30)
@given(
    steps=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    mean=st.floats(-1000, 1000),
    n_processes=st.sampled_from([1, 2]),
)
def test_moments_are_those_of_all_rows_however_they_came(
    steps: list[int], mean: float, n_processes: int
) -> None:
    everything = rows(3 * n_processes * sum(steps), 2, seed=7, mean=mean)
    moments = [RunningMoments(2) for _ in range(n_processes)]
    first = 0
    for step, n_pieces in enumerate(steps):
        for process in moments:
            for _ in range(n_pieces):
                process.put_aside(everything[first : first + 3], step)
                first += 3
        pieces = [m for process in moments for _, m in process._aside]
        centre = torch.stack([m[0] for m in pieces]).mean(0)
        within = torch.stack([m[1] + (m[0] - centre).square() for m in pieces]).mean(0)
        for process in moments:
            answers = iter((centre, within))  # as all processes together find them
            process.take_in(
                lambda mine, a=answers, n=n_processes: next(a) if n > 1 else mine, n_processes
            )  # type: ignore[misc]
    for process in moments:
        assert int(process.n_rows) == len(everything)
        assert torch.allclose(process.mean, everything.mean(0), atol=1e-5 + 1e-6 * abs(mean))
        want = everything.var(0, unbiased=False)
        assert torch.allclose(process.variance, want, rtol=2e-3, atol=1e-5)


def test_moments_do_not_move_within_a_step_nor_by_one_that_was_skipped() -> None:
    moments = RunningMoments(2)
    moments.put_aside(rows(4, 2), 0)
    assert float(moments.n_rows) == 0
    moments.take_in()
    before = moments.state_dict()["mean"].clone()
    moments.put_aside(torch.full((4, 2), float("nan")), 1)  # its loss was no number: skipped
    moments.put_aside(rows(4, 2, 5), 2)
    assert torch.equal(moments.mean, before)
    moments.take_in()
    assert int(moments.n_rows) == 8
    assert bool(moments.mean.isfinite().all())
    moments.take_in()  # nothing new
    assert int(moments.n_rows) == 8


def test_a_channel_that_never_moves_teaches_nothing() -> None:
    moments = RunningMoments(2)
    moments.put_aside(torch.tensor([[1.0, 5.0], [3.0, 5.0]]), 0)
    moments.take_in()
    out = moments.standardise(torch.tensor([[3.0, 5.0]]))
    assert torch.allclose(out, torch.tensor([[1.0, 0.0]]), atol=1e-5)


def test_a_fresh_head_of_logits_expects_few_classes() -> None:
    ours = head()
    assert ours.to_logits is not None
    assert float(ours.to_logits.bias.detach().sigmoid().mean()) == pytest.approx(0.25)
    cosine = functional.cosine_similarity(torch.zeros(1, 3), torch.zeros(1, 3))
    assert float(cosine) == 0.0  # silence that a teacher calls the mean is no NaN
