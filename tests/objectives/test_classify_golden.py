"""One step of post-training through our objective and optimiser, against the original's tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import originals
from dawnchorus import load_model
from dawnchorus.configs import DataConfig, PosttrainConfig
from dawnchorus.feed.noise import add_noise
from dawnchorus.objectives.classify import ClassifyObjective, ClassifyWeights
from dawnchorus.training.optimizer import gradient_norm, make_optimizer, set_rate
from dawnchorus.training.schedule import warmup_cosine
from originals import near

pytestmark = pytest.mark.golden
ROWS = [0, 100, 511, 512]


def own_name(released: str) -> str:
    name = released.removeprefix("backbone.model.")
    for theirs, ours in (
        ("extra_tokens", "cls_token"),
        ("local_encoder", "patch_embed"),
        ("fixed_positional_encoder.positions", "positions"),
        ("classifier", "head.linear"),
    ):
        name = name.replace(theirs, ours)
    return f"model.{name}"


@pytest.fixture(scope="module")
def objective(tmp_path_factory: pytest.TempPathFactory) -> ClassifyObjective:
    """The original's weights in our objective, the position table trained as in stage 2."""
    weights = originals.weights(originals.layout("i_avex_supervised_safetensors"))
    folder = tmp_path_factory.mktemp("original") / "base"
    originals.write_model(weights, folder, dim=768, n_blocks=12)
    model = load_model(folder, device="cpu")
    model.train_positions()
    return ClassifyObjective(model, weights=ClassifyWeights())


def test_a_step_is_the_originals_to_the_last_tensor(objective: ClassifyObjective) -> None:
    want, facts = originals.arrays("posttrain_step"), originals.facts("posttrain_step")["post"]
    waveforms = torch.cat([originals.wave("noise_10s"), originals.wave("chirp_10s")])
    objective.train()
    objective.train_everything()
    losses = objective(
        waveforms, torch.tensor([160_000, 160_000]), torch.from_numpy(want["post/targets"])
    )
    near(losses["logits"], want["post/logits"], atol=5e-5)
    assert losses["loss"].item() == pytest.approx(facts["loss"], rel=1e-5)
    losses["loss"].backward()
    gradients = {name: p.grad for name, p in objective.named_parameters()}
    checked = [
        key
        for key in want
        if key.startswith("post/grad/") and not key.startswith("post/grad/positions")
    ]
    assert len(checked) == 4
    for key in checked:
        found = gradients[own_name(key.removeprefix("post/grad/"))]
        near(found, want[key], atol=2e-5 * np.abs(want[key]).max(), rtol=1e-4)
    for name, total in facts["grad_abs_sum"].items():
        found = gradients[own_name(name)]
        assert found is not None
        assert float(found.double().abs().sum()) == pytest.approx(total, rel=1e-4), name
    table = gradients["model.positions"]
    assert table is not None
    near(table[0, ROWS], want["post/grad/positions"], atol=1e-5)
    config = PosttrainConfig(
        name="golden", steps=1, learning_rate=8e-5, weight_decay=0.01, weight_decay_on="all",
        clip_norm=None, data=DataConfig(root="."),
    )  # fmt: skip
    optimizer = make_optimizer(objective, config)
    before = (
        objective.model.positions[0, 700].detach().clone()
    )  # beyond 10 s: decays, gets no gradient
    gradient_norm(objective, config.clip_norm)
    set_rate(optimizer, config.learning_rate)
    optimizer.step()
    near(objective.model.positions[0, ROWS], want["post/after_step/positions"], atol=1e-5)
    assert objective.model.head is not None
    near(objective.model.head.linear.bias, want["post/after_step/classifier.bias"], atol=1e-5)
    near(objective.model.positions[0, 700], before * (1 - 8e-5 * 0.01), atol=1e-8)


@pytest.mark.parametrize("snr_db", [-10.0, 3.7, 20.0])
def test_noise_comes_at_the_requested_ratio(snr_db: float) -> None:
    facts = originals.facts("posttrain_step")
    signal = originals.wave("noise_3s")[0].numpy()
    noise = 0.3 * originals.rng("aug:noise").standard_normal(48_000).astype(np.float32)
    added = (add_noise(signal, noise, snr_db) - signal).astype(np.float64)
    ratio = np.square(signal.astype(np.float64)).mean() / np.square(added).mean()
    assert 10 * np.log10(ratio) == pytest.approx(facts[f"aug_snr_{snr_db}"], abs=1e-4)


def test_silence_stays_silent_and_silent_noise_adds_nothing() -> None:
    facts = originals.facts("posttrain_step")
    signal, silence = originals.wave("noise_3s")[0].numpy(), np.zeros(48_000, np.float32)
    assert np.abs(add_noise(silence, signal, 0.0)).max() == facts["aug_silent_signal_abs_max"]
    changed = np.abs(add_noise(signal, silence, 0.0) - signal).max()
    assert changed == facts["aug_silent_noise_change"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (
            "avex_cosine_lr1e-4_warm100_total1000_min1e-6",
            {"peak": 1e-4, "final": 1e-6, "warmup": 100, "total": 1000, "start": 0.1},
        ),
        (
            "pretrain_cosine_formula_lr5e-4_warm53333_max400000_min0",
            {"peak": 5e-4, "final": 0.0, "warmup": 53_333, "total": 400_000, "start": 0.0},
        ),
    ],
)
def test_learning_rates_are_the_originals(name: str, values: dict[str, float]) -> None:
    trace = originals.facts("sensitivity_and_schedules")["schedules"][name]
    for step, rate in trace.items():
        found = warmup_cosine(int(step), **values)  # type: ignore[arg-type]
        assert found == pytest.approx(rate, rel=1e-9, abs=1e-15), step
