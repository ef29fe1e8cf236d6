"""Overwriting what nobody reads changes no number, and is left where somebody reads it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from dawnchorus.nn.blocks import Block
from dawnchorus.nn.reuse import may_be_overwritten


@pytest.fixture
def block() -> Block:
    """A block with weights that make its branches count."""
    torch.manual_seed(4)
    return Block(32, 2, 4.0).eval()


@pytest.fixture
def tokens() -> Tensor:
    """Two clips of nine tokens."""
    return torch.randn(2, 9, 32, generator=torch.Generator().manual_seed(5))


def plainly(block: Block, tokens: Tensor) -> dict[str, Tensor]:
    """What every step gives, written out."""
    steps = {"attn": block.attn(tokens)}
    middle = block.norm1(tokens + steps["attn"])
    steps["mlp.fc1"] = nn.functional.linear(middle, block.mlp.fc1.weight, block.mlp.fc1.bias)
    steps["mlp.act"] = nn.functional.gelu(steps["mlp.fc1"])
    steps["mlp.fc2"] = nn.functional.linear(
        steps["mlp.act"], block.mlp.fc2.weight, block.mlp.fc2.bias
    )
    steps["out"] = block.norm2(middle + steps["mlp.fc2"])
    return steps


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_no_bit_changes_and_the_input_stays(block: Block, tokens: Tensor, mode: type) -> None:
    before = tokens.clone()
    with torch.enable_grad():
        expected = plainly(block, tokens)["out"].detach()
    with mode():
        found = block(tokens)
    assert torch.equal(found.detach(), expected)
    assert torch.equal(tokens, before)


@pytest.mark.parametrize("name", ["attn", "attn.proj", "mlp", "mlp.fc1", "mlp.act", "mlp.fc2"])
def test_what_a_hook_keeps_is_not_written_over(block: Block, tokens: Tensor, name: str) -> None:
    kept: list[Tensor] = []
    module = block.get_submodule(name)
    handle = module.register_forward_hook(lambda _module, _input, out: kept.append(out))
    with torch.inference_mode():
        expected = plainly(block, tokens)
        kept.clear()
        found = block(tokens)
    handle.remove()
    step = {"attn.proj": "attn", "mlp": "mlp.fc2"}.get(name, name)
    assert len(kept) == 1
    assert torch.equal(kept[0], expected[step])
    assert torch.equal(found, expected["out"])


@pytest.fixture
def hook_on_all() -> Iterator[list[Tensor]]:
    """Outputs of all modules there are, as a profiler would keep them."""
    kept: list[Tensor] = []
    handle = torch_module.register_module_forward_hook(lambda _m, _i, out: kept.append(out))
    yield kept
    handle.remove()


def test_a_hook_on_all_modules_counts_too(
    block: Block, tokens: Tensor, hook_on_all: list[Tensor]
) -> None:
    with torch.inference_mode():
        block(tokens)
        copies = [kept.clone() for kept in hook_on_all]
        block(tokens + 1)
    assert all(torch.equal(kept, copy) for kept, copy in zip(hook_on_all, copies, strict=False))
    assert any(kept.min() < -0.5 for kept in copies)  # fc1's, before its GELU


def test_gradients_are_those_of_the_steps_written_out(block: Block, tokens: Tensor) -> None:
    block(tokens).square().sum().backward()
    found = [weight.grad.clone() for weight in block.parameters() if weight.grad is not None]
    block.zero_grad()
    plainly(block, tokens)["out"].square().sum().backward()
    expected = [weight.grad for weight in block.parameters() if weight.grad is not None]
    assert len(found) == len(list(block.parameters()))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_the_mlp_s_output_that_is_given_away_is_not_written_over(
    block: Block, tokens: Tensor
) -> None:
    with torch.no_grad():
        out, added = block.with_mlp(tokens)
        expected = plainly(block, tokens)
    assert torch.equal(added, expected["mlp.fc2"])
    assert torch.equal(out, expected["out"])


def test_only_results_that_nobody_needs_may_go(block: Block) -> None:
    with torch.no_grad():
        assert may_be_overwritten(block.attn, block.mlp)
        handle = block.mlp.register_forward_hook(lambda *_: None)
        assert not may_be_overwritten(block.attn, block.mlp)
        assert may_be_overwritten(block.attn)
        handle.remove()
    assert not may_be_overwritten(block.attn)
