"""What `encode` promises: spans, what holds sound, independence of the batch, and refusals."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import SIZES, EATConfig
from dawnchorus.models.encoder import EncoderOutput


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def padded() -> EAT:
    """As the released models: padded to 1024 frames, padding attended."""
    torch.manual_seed(0)
    return EAT(EATConfig(dim=64, n_layers=2, n_heads=1, n_classes=3), name="padded").eval()


@pytest.mark.parametrize("size", SIZES)
def test_the_four_sizes_are_the_published_ones(size: str) -> None:
    published = {"tiny": (192, 12, 3), "small": (384, 12, 6), "base": (768, 12, 12),
                 "large": (1024, 24, 16)}  # fmt: skip
    config = EATConfig.of_size(size)
    assert (config.dim, config.n_layers, config.n_heads) == published[size]


def test_base_has_the_published_number_of_weights() -> None:
    model = EAT(EATConfig.of_size("base"), name="base", initialise=False)
    assert sum(value.numel() for value in model.parameters()) == 85_254_144


def test_tokens_say_when_and_where_they_lie(padded: EAT) -> None:
    with torch.no_grad():
        out = padded.encode(noise(1, 16_000))
    assert out.tokens.shape == (1, 513, 64)
    assert out.time_span_s.shape == out.band_span.shape == (513, 2)
    first, ninth = out.time_span_s[1].tolist(), out.time_span_s[9].tolist()
    assert first[0] == 0.0
    assert ninth[0] == pytest.approx(0.16)
    assert out.band_span[1].tolist() == [0, 16]
    assert out.band_span[2].tolist() == [16, 32]
    assert out.band_span[0].tolist() == [0, 128]


def test_which_tokens_hold_sound_follows_the_length(padded: EAT) -> None:
    with torch.no_grad():
        out = padded.encode(noise(2, 32_000), torch.tensor([32_000, 16_000]))
    held = out.has_signal[:, 1:].sum(dim=1) // 8
    # 198 and 98 frames of 10 ms, in steps of 16
    assert held.tolist() == [13, 7]


@given(
    lengths=st.lists(st.integers(2_800, 16_000), min_size=2, max_size=5),
    seed=st.integers(0, 1_000),
)
@settings(max_examples=20, deadline=None)
def test_a_clip_is_the_same_alone_and_in_any_batch(
    lengths: list[int], seed: int, tiny_encoder: EAT
) -> None:
    batch = noise(len(lengths), max(lengths), seed=seed)
    with torch.no_grad():
        together = tiny_encoder.encode(batch, torch.tensor(lengths))
        for row, length in enumerate(lengths):
            alone = tiny_encoder.encode(batch[row : row + 1, :length])
            torch.testing.assert_close(
                together.pool("valid")[row], alone.pool("valid")[0], atol=2e-5, rtol=1e-5
            )
            assert together.logits is not None
            assert alone.logits is not None
            torch.testing.assert_close(together.logits[row], alone.logits[0], atol=2e-5, rtol=1e-5)


def test_too_long_an_input_is_refused_with_both_lengths(padded: EAT) -> None:
    with pytest.raises(UsageError, match=r"170000 samples.*at most 16\d{4}.*embed\(\)"):
        padded(noise(1, 170_000))
    with pytest.raises(UsageError, match="170000 samples"):
        padded.encode(noise(1, 170_000))


def test_forward_gives_logits_or_tokens(padded: EAT) -> None:
    waves = noise(2, 16_000)
    with torch.no_grad():
        logits = padded(waves)
        padded.return_features_only = True
        tokens = padded(waves, None)
        padded.return_features_only = False
        out = padded.encode(waves)
    assert logits.shape == (2, 3)
    torch.testing.assert_close(tokens, out.tokens)
    torch.testing.assert_close(logits, out.logits)


def output(**changes: object) -> EncoderOutput:
    values = {
        "tokens": torch.tensor([[[9.0], [1.0], [3.0], [5.0]]]),
        "time_span_s": torch.zeros(4, 2),
        "band_span": torch.zeros(4, 2),
        "has_signal": torch.tensor([[True, True, True, False]]),
        "layers": {0: torch.tensor([[[2.0], [4.0], [6.0], [8.0]]])},
    }
    return EncoderOutput(**{**values, **changes})


@pytest.mark.parametrize(
    ("how", "layer", "value"),
    [("mean", None, 4.5), ("cls", None, 9.0), ("max", None, 9.0), ("patches", None, 3.0),
     ("valid", None, 2.0), ("valid", 0, 5.0), ("mean", 0, 5.0)],
)  # fmt: skip
def test_pooling(how: str, layer: int | None, value: float) -> None:
    assert output().pool(how, layer).tolist() == [[value]]


def test_pooling_refuses_what_would_be_a_plausible_number() -> None:
    with pytest.raises(UsageError, match="no CLS token"):
        output(n_cls=0).pool("cls")
    with pytest.raises(UsageError, match="nothing but padding"):
        output(has_signal=torch.tensor([[True, False, False, False]])).pool("valid")
    with pytest.raises(UsageError, match="was not asked for"):
        output().pool("mean", 3)
    with pytest.raises(UsageError, match="median"):
        output().pool("median")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_layers": 2_000_000_000}, "n_layers: .* 128, got 2000000000"),
        ({"dim": 1 << 20}, "dim: .* 4096, got 1048576"),
        ({"n_classes": 10**9}, "n_classes: .* 200000"),
        ({"max_time_steps": 10**9}, "max_time_steps: .* 8192"),
        ({"padded_frames": 10**9}, "padded_frames"),
        ({"window_s": float("inf")}, "window_s"),
        ({"n_heads": 7}, "dim 192 must divide by n_heads 7"),
        ({"normalization": (-5.0, 0.0)}, "standard deviation must be above 0"),
        ({"normalization": (float("nan"), 1.0)}, "normalization"),
    ],
)
def test_a_config_claims_no_size_that_no_machine_holds(
    change: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        EATConfig(**{"dim": 192, "n_layers": 12, "n_heads": 3, **change})


@pytest.mark.parametrize("pooling", ["cls", "mean", "valid"])
def test_padding_does_not_move_logits_of_a_model_of_native_length(pooling: str) -> None:
    torch.manual_seed(0)
    config = EATConfig(
        dim=64, n_layers=2, n_heads=1, n_classes=3, padded_frames=None, head_pooling=pooling
    )
    model = EAT(config, name="native").eval()
    waves = noise(1, 16_000)
    with torch.no_grad():
        alone = model(waves)
        padded = model.encode(torch.cat([waves, torch.zeros(1, 32_000)], 1), [16_000]).logits
    torch.testing.assert_close(padded, alone, atol=2e-5, rtol=1e-5)
