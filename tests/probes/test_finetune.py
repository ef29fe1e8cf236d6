"""Training through a probe moves the encoder as slowly as it is told, and both can be saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from dawnchorus.configs import FinetuneConfig, ProbeConfig
from dawnchorus.errors import UsageError, WeightsError
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.models.load import load_model
from dawnchorus.probes.build import Probe, build_probe_from_config
from dawnchorus.probes.finetune import fit_online, predict_online, save_online
from dawnchorus.probes.fitted import FittedProbe

if TYPE_CHECKING:
    from pathlib import Path

RATE, NAMES = 16_000, ("low", "high")


def batches(seed: int, n: int = 3) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Clips of 0.3 s with a low or a high tone."""
    draw = torch.Generator().manual_seed(seed)
    time = torch.arange(4800) / RATE
    found = []
    for _ in range(n):
        kind = torch.tensor([0, 1, 0, 1])
        hertz = torch.where(kind == 0, 600.0, 3500.0)[:, None] * (
            1 + 0.1 * torch.rand(4, 1, generator=draw)
        )
        noise = 0.05 * torch.randn(4, 4800, generator=draw)
        found.append((0.3 * torch.sin(2 * torch.pi * hertz * time) + noise, torch.eye(2)[kind]))
    return found


def probe_of(config: ProbeConfig) -> Probe:
    torch.manual_seed(0)
    encoder = EAT(
        EATConfig(
            dim=64, n_layers=1, n_heads=1, window_s=1.0, padded_frames=None, stored_positions=False,
            n_classes=3,
        ),
        name="tiny",
    )  # fmt: skip
    return build_probe_from_config(config, 2, "cpu", encoder.eval())


def moved(probe: Probe) -> float:
    fresh = probe_of(probe.config)
    pairs = zip(probe.encoder.parameters(), fresh.encoder.parameters(), strict=True)
    return max(float((a - b).abs().max().detach()) for a, b in pairs)


QUICK = FinetuneConfig(n_epochs=4, learning_rate=0.01, encoder_rate=1e-4)


def test_the_encoder_moves_at_its_own_lower_rate() -> None:
    far = []
    for rate in (1e-4, 1e-5):
        probe = probe_of(ProbeConfig(freeze_backbone=False))
        config = QUICK.model_copy(update={"encoder_rate": rate})
        fit_online(probe, batches(0), batches(1), config, multi_label=False)
        far.append(moved(probe))
    assert far[0] > 4 * far[1] > 0
    assert far[0] < 12 * 1.5e-4  # twelve steps of AdamW


def test_a_frozen_encoder_stays_and_the_head_learns() -> None:
    probe = probe_of(ProbeConfig())
    config = QUICK.model_copy(update={"learning_rate": 0.1, "n_epochs": 8})
    found = fit_online(probe, batches(0), batches(1), config, multi_label=False)
    assert moved(probe) == 0
    assert found.scores[found.best_epoch] == max(found.scores) == 1.0
    assert found.measure == "macro_recall"


def test_training_is_the_same_twice_and_ends_on_its_best_epoch() -> None:
    always = [(waves, torch.tensor([[1.0, 0.0]] * 4)) for waves, _ in batches(0)]
    never = [(waves, 1 - y) for waves, y in always]  # each epoch makes these worse
    config = QUICK.model_copy(update={"select_by": "loss"})
    logits = []
    for _ in range(2):
        probe = probe_of(
            ProbeConfig(
                probe_type="attention", aggregation="none", dropout_rate=0, freeze_backbone=False
            )
        )
        found = fit_online(probe, always, never, config, multi_label=True)
        y, out = predict_online(probe, never)
        logits.append(out)
        loss = np.logaddexp(0, np.where(y > 0, -out, out)).sum(axis=1).mean()
        assert loss == pytest.approx(found.losses[found.best_epoch], abs=1e-9)
        assert found.best_epoch == 0
        assert found.losses[-1] > loss + 0.1
    np.testing.assert_array_equal(logits[0], logits[1])


@pytest.mark.parametrize(
    "config",
    [
        ProbeConfig(freeze_backbone=False),
        ProbeConfig(freeze_backbone=False, target_layers=["output"], aggregation="cls_token"),
        ProbeConfig(freeze_backbone=False, target_layers=["last_layer", "output"]),
        ProbeConfig(freeze_backbone=False, probe_type="prototype", target_layers=["output"]),
        ProbeConfig(freeze_backbone=False, target_layers=["all", "blocks.0.mlp.fc1"]),
        ProbeConfig(
            freeze_backbone=False,
            probe_type="lstm",
            aggregation="none",
            use_positional_encoding=True,
        ),
        ProbeConfig(
            freeze_backbone=False,
            probe_type="attention",
            aggregation="none",
            target_layers=["all", "output"],
            use_positional_encoding=True,
        ),
        ProbeConfig(
            freeze_backbone=False,
            probe_type="transformer",
            aggregation="none",
            num_heads=3,
            attention_dim=32,
            use_positional_encoding=True,
        ),
        ProbeConfig(freeze_backbone=False, design="dawnchorus", target_layers=["all", "output"]),
    ],
)
def test_a_saved_folder_is_a_model_and_its_probe(config: ProbeConfig, tmp_path: Path) -> None:
    probe = probe_of(config)
    short = QUICK.model_copy(update={"n_epochs": 1})
    fit_online(probe, batches(0), batches(1), short, multi_label=False)
    _, expected = predict_online(probe, batches(1))
    save_online(probe, tmp_path / "tones", NAMES, multi_label=False)

    encoder = load_model(tmp_path / "tones", device="cpu")
    fitted = FittedProbe.load(tmp_path / "tones")
    fitted.check(encoder)
    fitted.check(probe.encoder)
    assert encoder.head is None
    with torch.inference_mode():
        outs = [encoder.encode(waves, layers=fitted.layers) for waves, _ in batches(1)]
    logits = np.concatenate([fitted.logits(*fitted.read(out)) for out in outs])
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    with pytest.raises(WeightsError, match="fitted on tones"):
        fitted.check(probe_of(config).encoder)


def test_what_cannot_be_trained_is_refused() -> None:
    stored = probe_of(ProbeConfig(online_training=False))
    with pytest.raises(UsageError, match="online_training=True"):
        fit_online(stored, batches(0), batches(1), QUICK, multi_label=False)
    once = iter(batches(0))
    with pytest.raises(UsageError, match="fewer the second time"):
        fit_online(probe_of(ProbeConfig()), once, batches(1), QUICK, multi_label=False)
    with pytest.raises(UsageError, match="set online_training=True"):
        ProbeConfig(freeze_backbone=False, online_training=False)
