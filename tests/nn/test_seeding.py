"""A seed gives the same numbers, whatever else draws."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import torch

from dawnchorus.nn.seeding import seeded


def test_seeded_draws_are_not_mixed_with_those_of_another_thread() -> None:
    first_is_in, second_is_in, first_has_drawn = Event(), Event(), Event()

    def first() -> torch.Tensor:
        with seeded(1):
            first_is_in.set()
            second_is_in.wait(0.2)  # long enough for the other, were it let in
            drawn = torch.rand(4)
        first_has_drawn.set()
        return drawn

    def second() -> torch.Tensor:
        first_is_in.wait()
        with seeded(2):
            second_is_in.set()
            first_has_drawn.wait()
            return torch.rand(4)

    with ThreadPoolExecutor(2) as pool:
        together = [run.result() for run in [pool.submit(first), pool.submit(second)]]
    for seed, drawn in enumerate(together, start=1):
        torch.manual_seed(seed)
        assert torch.equal(drawn, torch.rand(4))


def test_seeded_leaves_torch_as_it_was() -> None:
    torch.manual_seed(5)
    with seeded(1):
        torch.rand(3)
    left = torch.rand(2)
    torch.manual_seed(5)
    assert torch.equal(left, torch.rand(2))
