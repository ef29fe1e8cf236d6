"""The learning rate rises linearly, then falls along half a cosine."""

import math

import pytest

from dawnchorus.training.schedule import warmup_cosine


def rate(step: int) -> float:
    return warmup_cosine(step, peak=1.0, final=0.1, warmup=10, total=110)


def test_warms_up_in_equal_steps() -> None:
    assert [rate(step) for step in range(10)] == pytest.approx([0.1 * (i + 1) for i in range(10)])


def test_falls_along_half_a_cosine() -> None:
    for step in (10, 35, 60, 85):
        wanted = 0.1 + 0.45 * (1 + math.cos(math.pi * (step - 10) / 100))
        assert rate(step) == pytest.approx(wanted)
    assert rate(110) == pytest.approx(0.1)
    assert rate(500) == pytest.approx(0.1)
