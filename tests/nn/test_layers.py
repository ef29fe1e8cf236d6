"""The layers of the encoder and of pretraining compute what a plain reading of the papers says."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from dawnchorus.nn.attention import Attention
from dawnchorus.nn.blocks import Block
from dawnchorus.nn.decoder import Decoder, DecoderBlock, fill_grid
from dawnchorus.nn.ema import decay_at, distance, follow, make_teacher
from dawnchorus.nn.patches import PATCH, PatchEmbed
from dawnchorus.nn.positions import sincos_positions

DIM, HEADS = 16, 2


@pytest.fixture
def tokens() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(2, 5, DIM)


def test_attention_is_the_softmax_of_scaled_products(tokens: torch.Tensor) -> None:
    attention = Attention(DIM, HEADS)
    query, key, value = attention.qkv(tokens).chunk(3, dim=-1)
    heads = []
    for first in range(0, DIM, DIM // HEADS):
        part = slice(first, first + DIM // HEADS)
        weights = query[..., part] @ key[..., part].transpose(1, 2) / (DIM // HEADS) ** 0.5
        heads.append(weights.softmax(dim=-1) @ value[..., part])
    torch.testing.assert_close(attention(tokens), attention.proj(torch.cat(heads, dim=-1)))


def test_a_hidden_token_changes_no_other(tokens: torch.Tensor) -> None:
    attention = Attention(DIM, HEADS)
    keep = torch.tensor([[True] * 4 + [False], [True] * 5])
    changed = tokens.clone()
    changed[0, 4] += 1
    before, after = attention(tokens, keep), attention(changed, keep)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.allclose(attention(tokens)[0, :4], attention(changed)[0, :4])
    torch.testing.assert_close(before[0, :4], attention(tokens[:1, :4])[0])


def test_a_block_norms_after_each_residual(tokens: torch.Tensor) -> None:
    block = Block(DIM, HEADS, mlp_ratio=2.0)
    inner = block.norm1(tokens + block.attn(tokens))
    torch.testing.assert_close(block(tokens), block.norm2(inner + block.mlp(inner)))
    out, added = block.with_mlp(tokens)
    torch.testing.assert_close(added, block.mlp(inner))
    torch.testing.assert_close(out, block(tokens))


def test_a_dropped_path_leaves_a_clip_without_that_branch(tokens: torch.Tensor) -> None:
    block = Block(DIM, HEADS, mlp_ratio=2.0)
    branches = torch.tensor([[0.0, 1.0], [0.0, 1.0]])  # the first clip loses both
    out = block(tokens, branches=branches)
    torch.testing.assert_close(out[0], block.norm2(block.norm1(tokens[0])))
    torch.testing.assert_close(out[1], block(tokens)[1])


@given(steps=st.integers(1, 5), bands=st.integers(1, 8), extra=st.integers(0, PATCH - 1))
def test_a_patch_sees_its_own_frames_and_bands(steps: int, bands: int, extra: int) -> None:
    embed = PatchEmbed(4)
    features = torch.zeros(1, steps * PATCH + extra, bands * PATCH)
    plain = embed(features)
    assert plain.shape == (1, steps * bands, 4)
    step, band = steps - 1, bands - 1
    features[0, step * PATCH : (step + 1) * PATCH, band * PATCH :] = 1
    changed = (embed(features) != plain).any(dim=-1)[0]
    assert changed.nonzero().flatten().tolist() == [step * bands + band]  # time-major


def test_positions_are_unlike_and_split_into_band_and_time() -> None:
    table = sincos_positions(32, 7, 8)[0]
    apart = torch.cdist(table, table) + torch.eye(len(table))
    assert float(apart.min()) > 0.1
    grid = table.view(7, 8, 32)
    torch.testing.assert_close(grid[0, :, :16], grid[6, :, :16])  # the band, at any time
    torch.testing.assert_close(grid[:, 0, 16:], grid[:, 7, 16:])  # the time, in any band
    # a longer table begins with the shorter one, so windows of any length agree
    torch.testing.assert_close(sincos_positions(32, 9, 8)[0, :56], table)


def test_a_decoder_block_adds_itself_where_the_width_stays() -> None:
    grid = torch.randn(2, 3, 4, 8)
    same, wider = DecoderBlock(8, 8, 3, 2), DecoderBlock(8, 12, 3, 2)
    out = same.conv(grid.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    plain = functional.gelu(functional.layer_norm(out, (8,)))
    torch.testing.assert_close(same(grid), plain + grid)
    assert wider(grid).shape == (2, 3, 4, 12)
    decoder = Decoder(8, n_layers=2, kernel=3, width=12, n_groups=2)
    assert decoder(grid.flatten(1, 2), 3, 4).shape == (2, 12, 8)


@given(st.permutations(range(6)), st.integers(1, 6))
def test_visible_tokens_go_to_their_patches_and_noise_to_the_others(
    order: list[int], n_kept: int
) -> None:
    kept = torch.tensor([sorted(order[:n_kept])])
    visible = torch.arange(1.0, n_kept + 1)[None, :, None].expand(1, n_kept, 3)
    filled = fill_grid(visible, kept, torch.full((1, 6, 3), -1.0))
    assert filled[0, kept[0]].equal(visible[0])
    assert int((filled == -1).sum()) == 3 * (6 - n_kept)


def test_a_teacher_follows_by_the_share_that_it_does_not_keep() -> None:
    student = nn.Linear(3, 2).to(torch.bfloat16)
    teacher = make_teacher(student)
    assert teacher.weight.dtype == torch.float32
    assert not teacher.weight.requires_grad
    assert distance(teacher, student.float()) == 0
    student = copy.deepcopy(student).float()
    with torch.no_grad():
        student.weight += 1
    before = teacher.weight.clone()
    follow(teacher, student, decay=0.75)
    torch.testing.assert_close(teacher.weight, 0.75 * before + 0.25 * student.weight)
    pairs = [t.data for t in teacher.parameters()], [s.data for s in student.parameters()]
    apart = torch.cat([(t - s).flatten() for t, s in zip(*pairs, strict=True)])
    size = torch.cat([s.flatten() for s in pairs[1]])
    assert distance(teacher, student) == pytest.approx(
        (apart.norm() / size.norm()).item(), rel=1e-5
    )


@given(st.integers(1, 100), st.floats(0.9, 0.999), st.floats(0.9, 0.999))
def test_the_share_that_a_teacher_keeps_runs_from_start_to_end(
    n_steps: int, start: float, end: float
) -> None:
    shares = [decay_at(step, start=start, end=end, n_steps=n_steps) for step in range(n_steps + 3)]
    assert shares[0] == pytest.approx(start)
    assert shares[n_steps:] == [end] * 3
    assert shares[: n_steps + 1] == sorted(shares[: n_steps + 1], reverse=start > end)
