"""Every head ignores padding, and its numbers mean what they are said to mean."""

from __future__ import annotations

import pytest
import torch

from dawnchorus.configs import HeadConfig
from dawnchorus.configs.probes import TOKEN_PROBES
from dawnchorus.probes.heads import LayerMix, Neighbours, Prototypes, make_head


@pytest.mark.parametrize("kind", sorted(TOKEN_PROBES))
def test_padding_does_not_change_what_a_head_says(kind: str) -> None:
    torch.manual_seed(0)
    head = make_head(HeadConfig(probe_type=kind), 6, 3).eval()
    tokens = torch.randn(2, 5, 6)
    padded = torch.cat([tokens, 9 * torch.randn(2, 4, 6)], dim=1)
    keep = torch.arange(9).expand(2, 9) < 5
    torch.testing.assert_close(head(padded, keep), head(tokens), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(head(padded), head(tokens), atol=1e-3)


@pytest.mark.parametrize("kind", ["attention", "transformer"])
def test_positions_make_order_count(kind: str) -> None:
    tokens = torch.randn(1, 5, 6, generator=torch.Generator().manual_seed(0))
    for positions in (False, True):
        torch.manual_seed(0)
        config = HeadConfig(probe_type=kind, use_positional_encoding=positions)
        head = make_head(config, 6, 3).eval()
        same = torch.allclose(head(tokens), head(tokens.flip(1)), atol=1e-5)
        assert same is not positions


def test_a_class_hears_only_its_own_prototypes() -> None:
    torch.manual_seed(0)
    head = Prototypes(HeadConfig(n_prototypes=2), 4, 3)
    tokens = torch.randn(1, 5, 4)
    tokens[0, 3] = 5 * head.prototypes[1, 0]
    near = head.similarities(tokens)
    assert near[0, :, 1, 0].argmax() == 3
    torch.testing.assert_close(near[0, 3, 1, 0], torch.tensor(1.0))
    before = head(tokens)
    with torch.no_grad():
        head.prototypes[2] *= -1
    torch.testing.assert_close(head(tokens)[:, :2], before[:, :2])
    assert not torch.allclose(head(tokens)[:, 2], before[:, 2])


def test_neighbours_vote_by_their_cosine() -> None:
    head = Neighbours(2, 2)
    bank = torch.tensor([[1.0, 0], [0, 3.0], [-1.0, 0]])
    head.hold(bank, torch.tensor([[1.0, 0], [0, 1.0], [0, 1.0]]), 2, multi_label=False)
    found = head(torch.tensor([[0.8, 0.6]])).exp()
    # votes 0.8 and 0.6, and one more shared as 1.5 and 2.5 of 4
    torch.testing.assert_close(found, torch.tensor([[0.8 + 1.5 / 4, 0.6 + 2.5 / 4]]) / 2.4)


def test_layers_of_one_width_are_averaged_at_first() -> None:
    mix = LayerMix([3, 3, 3])
    layers = [torch.full((2, 3), float(k)) for k in range(3)]
    torch.testing.assert_close(mix(layers), torch.ones(2, 3))


def test_layers_are_brought_to_the_width_of_most_of_them_else_to_the_largest() -> None:
    assert LayerMix([3, 3, 3, 8]).dim == 3
    assert LayerMix([3, 3, 8, 5]).dim == 8
    mix = LayerMix([3, 8])
    assert mix([torch.zeros(2, 3), torch.zeros(2, 8)]).shape == (2, 8)
