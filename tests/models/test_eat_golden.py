"""The encoder against tensors of the original implementation, loaded through the real loader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import originals
from dawnchorus import load_model
from dawnchorus.audio import frontend
from dawnchorus.configs import ProbeConfig
from dawnchorus.errors import UsageError
from dawnchorus.feed.noise import add_noise
from dawnchorus.models.eat import EAT
from dawnchorus.models.probes import build_probe_from_config
from dawnchorus.nn.positions import sincos_positions
from originals import TOK, near

pytestmark = pytest.mark.golden
SIZES = {"base": (768, 12, 24), "small": (384, 4, 12)}
CASES = sorted(
    {tuple(key.split("/")[:2]) for size in SIZES for key in originals.arrays(f"encoder_{size}")
     if key.endswith("final_tokens")}
)  # fmt: skip


def load_original(size: str, folder: Path) -> EAT:
    dim, n_blocks, _ = SIZES[size]
    shapes = originals.layout("i_avex_supervised_safetensors")
    weights = originals.weights(originals.smaller(shapes, dim, n_blocks))
    for key, want in originals.facts(f"encoder_{size}")["weight_checks"].items():
        assert float(weights[key].double().abs().sum()) == pytest.approx(want[1], rel=1e-9), key
    model = load_model(
        originals.write_model(weights, folder / size, dim=dim, n_blocks=n_blocks), device="cpu"
    )
    assert isinstance(model, EAT)
    return model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, EAT]:
    folder = tmp_path_factory.mktemp("originals")
    return {size: load_original(size, folder) for size in SIZES}


def waves(case: str) -> torch.Tensor:
    if case == "batch2_noise_chirp":
        return torch.cat([originals.wave("noise_10s"), originals.wave("chirp_10s")])
    return originals.wave(case)


@pytest.mark.parametrize(("size", "case"), CASES)
def test_every_layer_is_the_originals(models: dict[str, EAT], size: str, case: str) -> None:
    model, (_, n_blocks, stride) = models[size], SIZES[size]
    want = originals.arrays(f"encoder_{size}")
    prefix = f"{size}/{case}"
    inner = {f"attnproj{i}": f"blocks.{i}.attn.proj" for i in range(n_blocks)}
    inner |= {f"ffn{i}": f"blocks.{i}.mlp.fc2" for i in range(n_blocks)}
    inner |= {f"block{i}": f"blocks.{i}" for i in range(n_blocks)}
    inner["embed"] = "pre_norm"
    with torch.no_grad():
        found = model.encode(waves(case), layers=list(inner.values()))
        released = model(waves(case))
    atol = 1e-3 if "chirp" in case else 1e-4
    tokens = list(TOK)
    for name in ["embed", *(f"block{i}" for i in range(n_blocks))]:
        got = found.layers[inner[name]][:, tokens, ::stride]
        near(got, want[f"{prefix}/{name}"], atol=atol)
    near(found.tokens[:, tokens], want[f"{prefix}/final_tokens"], atol=atol)
    near(found.pool("cls"), want[f"{prefix}/cls"], atol=5e-5)
    near(found.pool("mean"), want[f"{prefix}/mean_all513"], atol=5e-5)
    near(found.pool("patches"), want[f"{prefix}/mean_patches512"], atol=5e-5)
    near(found.logits, want[f"{prefix}/logits"], atol=5e-5)
    near(released, want[f"{prefix}/logits"], atol=5e-5)
    statistics = originals.facts(f"encoder_{size}")[prefix]["stats_mean_std_abssum"]
    assert set(statistics) >= set(inner)
    for name, module in inner.items():
        whole = found.layers[module].double()
        got_statistics = [whole.mean(), whole.std(correction=0), whole.abs().sum()]
        for got_one, want_one in zip(got_statistics, statistics[name], strict=True):
            assert float(got_one) == pytest.approx(want_one, rel=1e-5, abs=2e-6), name


@pytest.mark.parametrize("size", SIZES)
def test_gradients_are_the_originals(models: dict[str, EAT], size: str) -> None:
    model = models[size]
    want = originals.arrays(f"encoder_{size}")
    prefix = f"{size}/noise_10s/grad/"
    energies = frontend.fit_frames(frontend.log_mel(originals.wave("noise_10s")), 1024)
    features = frontend.normalise(energies, *originals.NORMALIZATION).requires_grad_()
    model.zero_grad()
    output = model.encode_features(features)
    assert output.logits is not None
    c = originals.rng("loss:c").standard_normal((1, 10))
    g = originals.rng("loss:g").standard_normal((1, 513, model.dim))
    c_tensor, g_tensor = (torch.from_numpy(x).float() for x in (c, g))
    ((output.logits * c_tensor).sum() + (output.tokens * g_tensor).mean()).backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    checked = 0
    for key, value in want.items():
        if not key.startswith(prefix) or key.endswith("/err"):
            continue
        name = key.removeprefix(prefix)
        if name in {"err", "input_rows"}:
            continue
        if name == "input":
            assert features.grad is not None
            near(features.grad.reshape(1024, 128)[::64].reshape(value.shape), value,
                 atol=1e-5 * abs(value).max(), rtol=1e-4)  # fmt: skip
        else:
            gradient = gradients[own_name(name)]
            assert gradient is not None, name
            near(strided_like(gradient, value.shape), value,
                 atol=1e-5 * abs(value).max(), rtol=1e-4)  # fmt: skip
        checked += 1
    assert checked > 5


def own_name(released: str) -> str:
    return (
        released.removeprefix("backbone.model.")
        .replace("extra_tokens", "cls_token")
        .replace("local_encoder", "patch_embed")
        .replace("classifier", "head.linear")
    )


def strided_like(gradient: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    return originals.strided(gradient).reshape(shape)


@pytest.mark.parametrize("case", ["noise_5s", "exact_1024", "long_12s"])
def test_lengths_without_padding_are_the_originals(models: dict[str, EAT], case: str) -> None:
    want = originals.arrays("lengths_and_norms")
    facts = originals.facts("lengths_and_norms")[case]
    energies = frontend.log_mel(originals.wave(case))
    assert energies.shape[1] == facts["frames"]
    features = frontend.normalise(energies, *originals.NORMALIZATION)
    with torch.no_grad():
        tokens = models["small"].encode_features(features).tokens
    assert tokens.shape[1] == facts["tokens"]
    near(tokens[:, [0, 1, 2, 8, 9, -9, -2, -1]], want[f"unpadded/{case}/tokens"], atol=1e-4)
    both = torch.stack([tokens[0, 0], tokens[0].mean(0)])
    near(both, want[f"unpadded/{case}/cls_mean"], atol=5e-5)
    assert float(tokens.double().abs().sum()) == pytest.approx(facts["abs_sum"], rel=1e-5)


def test_too_short_and_too_long_features_are_refused(models: dict[str, EAT]) -> None:
    for frames in (8, 769 * 16):
        with pytest.raises(UsageError, match=str(frames)):
            models["small"].encode_features(torch.zeros(1, frames, 128))


def test_the_position_table_is_the_originals() -> None:
    want = originals.arrays("encoder_base")
    table = sincos_positions(768, 768, 8)
    near(table[0, want["positions_rows"]], want["positions"], atol=1e-6)
    total = originals.facts("encoder_base")["positions"]["abs_sum"]
    assert float(table.double().abs().sum()) == pytest.approx(total, rel=1e-7)


@pytest.mark.parametrize(
    ("key", "layers", "aggregation", "case"),
    [
        ("last_layer_mean", ["last_layer"], "mean", "noise_10s"),
        ("last_layer_max", ["last_layer"], "max", "noise_10s"),
        ("last_layer_cls", ["last_layer"], "cls_token", "noise_10s"),
        ("last_layer_mean_batch2", ["last_layer"], "mean", "batch2_noise_chirp"),
        ("all_mean", ["all"], "mean", "noise_10s"),
        ("layers_0_-1_mean", [0, -1], "mean", "noise_10s"),
        ("block11_mean", ["backbone.model.blocks.11"], "mean", "noise_10s"),
    ],
)
def test_probe_features_are_those_of_the_released_library(
    models: dict[str, EAT], key: str, layers: list[int | str], aggregation: str, case: str
) -> None:
    config = ProbeConfig(target_layers=layers, aggregation=aggregation)
    probe = build_probe_from_config(config, 3, "cpu", models["base"])
    try:
        found = probe.features(waves(case))
    finally:
        models["base"].requires_grad_(requires_grad=True)
    near(found, originals.arrays("embeddings_base")[key], atol=1e-3 if "batch2" in key else 5e-5)


def test_all_tokens_of_a_layer_are_those_of_the_released_library(models: dict[str, EAT]) -> None:
    (name,) = models["base"].released_layers(["last_layer"])
    with torch.no_grad():
        found = models["base"].encode(originals.wave("noise_10s"), layers=[name]).layers[name]
    near(found[:, ::32, ::24], originals.arrays("embeddings_base")["last_layer_none_strided"],
         atol=1e-4)  # fmt: skip


@pytest.mark.parametrize("snr_db", [-10.0, 3.7, 20.0])
def test_noise_is_mixed_as_the_original_mixes_it(snr_db: float) -> None:
    noise = (0.3 * originals.rng("aug:noise").standard_normal(48_000)).astype(np.float32)
    mixed = torch.from_numpy(add_noise(originals.wave("noise_3s")[0].numpy(), noise, snr_db))
    want = originals.arrays("posttrain_step")[f"aug/noise_snr_{snr_db}"]
    near(mixed[::480], want, atol=1e-5)
