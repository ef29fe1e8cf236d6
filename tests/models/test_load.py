"""Every published layout loads whole; every wrong file is refused with the reason."""

from __future__ import annotations

import json
import pickle
import socket
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import originals
from dawnchorus import load_model
from dawnchorus.configs import ProbeConfig
from dawnchorus.engine.encoding.model import labels_of as names_of
from dawnchorus.errors import (
    DawnChorusWarning,
    DeviceError,
    DownloadError,
    UsageError,
    WeightsError,
)
from dawnchorus.labels import write_label_map
from dawnchorus.models import card as cards
from dawnchorus.models import hub
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.models.layouts import expected_shapes
from dawnchorus.models.load import open_model
from dawnchorus.models.probes import build_probe_from_config

SAFETENSORS = [
    "i_avex_supervised_safetensors",
    "ii_ssl_only_safetensors",
    "iv_hf_pretrain_safetensors",
    "iv_hf_finetune_as2m_safetensors",
]
CARD = "esp_aves2_sl_eat_all_ssl_all"


def shapes_of(layout: str) -> dict[str, tuple[int, ...]]:
    return originals.smaller(originals.layout(layout), dim=128, n_blocks=2)


@pytest.fixture
def supervised() -> dict[str, torch.Tensor]:
    return originals.weights(shapes_of("i_avex_supervised_safetensors"))


@pytest.mark.parametrize("layout", SAFETENSORS)
def test_every_published_layout_loads_tensor_by_tensor(layout: str, tmp_path: Path) -> None:
    weights = originals.weights(shapes_of(layout))
    originals.write_model(weights, tmp_path, dim=128, n_blocks=2)
    loaded = open_model(tmp_path)
    model = loaded.model
    assert len(loaded.weights.names) == len(model.state_dict())
    foreign = {
        name.split("blocks.1.")[-1]: name
        for name in weights
        if "blocks.1." in name and "decoder" not in name
    }
    for tail, name in foreign.items():
        torch.testing.assert_close(model.state_dict()[f"blocks.1.{tail}"], weights[name])
    decoder = [name for name in weights if "decoder" in name]
    assert set(loaded.weights.ignored) >= set(decoder)
    has_head = any(name.startswith(("classifier", "model.head")) for name in weights)
    assert (model.head is not None) == has_head
    with torch.no_grad():
        out = model(originals.wave("short_0.1s"))
    assert out.shape == ((1, model.config.n_classes) if has_head else (1, 513, 128))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"n_classes": 7, "stored_positions": False},
        {"n_classes": 7, "head_norm_eps": 1e-5, "max_time_steps": 64},
        {"head_norm_eps": 1e-5, "mlp_ratio": 1.5, "n_layers": 1},
    ],
)
def test_shapes_are_known_without_the_model(changes: dict[str, Any]) -> None:
    config = EATConfig(**{"dim": 64, "n_layers": 3, "n_heads": 1, **changes})
    made = {name: tuple(value.shape) for name, value in EAT(config).state_dict().items()}
    assert expected_shapes(config) == made


def test_fairseq_checkpoints_give_the_student_whatever_else_they_hold(tmp_path: Path) -> None:
    student = originals.weights(shapes_of("ii_ssl_only_safetensors"))
    teacher = {name: torch.zeros_like(value) for name, value in student.items()}
    module = types.ModuleType("fairseq_options")

    class Namespace:
        """What fairseq keeps beside the tensors; its package is not here when we load."""

    Namespace.__module__, Namespace.__qualname__ = "fairseq_options", "Namespace"
    module.Namespace = Namespace
    sys.modules["fairseq_options"] = module
    path = tmp_path / "checkpoint_last.pt"
    content = {"cfg": Namespace(), "model": {**student, "_ema": teacher}}
    torch.save(content, path)
    del sys.modules["fairseq_options"]
    with pytest.warns(DawnChorusWarning, match="no card"):
        model = load_model(path, device="cpu", normalization=originals.NORMALIZATION)
    key = "blocks.1.attn.qkv.weight"
    torch.testing.assert_close(model.state_dict()[key], student[key])


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_a_pickle_that_would_run_code_runs_none(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"model": {"blocks.0.norm1.weight": torch.ones(4)}, "cfg": Bomb(tmp_path / "hit")},
               path)  # fmt: skip
    with pytest.raises(WeightsError):
        load_model(path, device="cpu")
    assert not (tmp_path / "hit").exists()
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Bomb(tmp_path / "hit"), protocol=2))
    with pytest.raises(WeightsError):
        load_model(tmp_path / "plain.pt", device="cpu")
    assert not (tmp_path / "hit").exists()


def test_an_empty_safetensors_file_says_so(tmp_path: Path) -> None:
    save_file({}, tmp_path / "model.safetensors", metadata={"format": "pt" * 100})
    with pytest.raises(WeightsError, match=r"holds no tensors \(\d+ bytes\)"):
        load_model(tmp_path, device="cpu")


def test_a_truncated_file_says_so(tmp_path: Path, supervised: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "model.safetensors"
    save_file(supervised, path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        load_model(tmp_path, device="cpu")


@pytest.mark.parametrize("change", ["missing", "more", "shape", "nan", "other"])
def test_what_does_not_fit_is_named(
    change: str, tmp_path: Path, supervised: dict[str, torch.Tensor]
) -> None:
    key = "backbone.model.blocks.1.mlp.fc1.weight"
    said = "blocks.1.mlp.fc1.weight"
    if change == "missing":
        del supervised[key]
    elif change == "more":
        supervised["backbone.model.blocks.1.gamma_1"] = torch.ones(3)
        said = "gamma_1"
    elif change == "shape":
        supervised[key] = supervised[key][:-1].clone()
    elif change == "nan":
        supervised[key][3, 5] = float("nan")
    else:
        supervised = {"encoder.layers.0.weight": torch.ones(3, 3)}
        said = "encoder.layers.0.weight"
    save_file(supervised, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=said.replace(".", r"\.")):
        load_model(tmp_path, device="cpu", normalization=originals.NORMALIZATION)


def test_labels_come_with_the_weights(tmp_path: Path, supervised: dict[str, torch.Tensor]) -> None:
    model = load_model(
        originals.write_model(supervised, tmp_path, dim=128, n_blocks=2), device="cpu"
    )
    assert model.labels[3] == "Species 3"
    assert model.label_mapping["3"] == "Species 3"


@pytest.mark.parametrize(("n_labels", "said"), [(0, "no label map"), (9, "9 labels.*10 classes")])
def test_a_missing_or_foreign_label_map_takes_logits_not_embeddings(
    n_labels: int, said: str, tmp_path: Path, supervised: dict[str, torch.Tensor]
) -> None:
    whole = originals.write_model(supervised, tmp_path / "whole", dim=128, n_blocks=2)
    other = originals.write_model(supervised, tmp_path / "other", dim=128, n_blocks=2)
    (other / "label_map.json").unlink()
    if n_labels:
        write_label_map(other / "label_map.json", [f"Species {i}" for i in range(n_labels)])
    with pytest.warns(DawnChorusWarning, match=said):
        model = load_model(other, device="cpu")
    waves = originals.wave("short_0.1s")
    with torch.no_grad():
        found = model.encode(waves)
        assert found.logits is None
        assert torch.equal(found.tokens, load_model(whole, device="cpu").encode(waves).tokens)
        with pytest.raises(WeightsError, match=said):
            model(waves)
        assert load_features(other)(waves).shape == (1, 513, 128)
    assert model.labels is None
    with pytest.raises(UsageError, match=said):
        names_of(model)


def load_features(folder: Path) -> EAT:
    with pytest.warns(DawnChorusWarning, match="embeddings"):
        model = load_model(folder, device="cpu", return_features_only=True)
    assert isinstance(model, EAT)
    return model


def test_a_wrong_name_gets_the_nearest_right_one() -> None:
    with pytest.raises(UsageError, match=f"Did you mean {CARD}"):
        load_model("esp_aves2_sl_eat_all_ssl_al")
    with pytest.raises(UsageError, match="no such file"):
        load_model("nowhere.safetensors")


def test_a_device_that_is_missing_is_an_error(tiny_folder: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(DeviceError, match="no CUDA"):
        load_model(tiny_folder, device="cuda")
    with pytest.raises(UsageError, match="gpu"):
        load_model(tiny_folder, device="gpu")


def test_bfloat16_gives_float32_results_near_float32(tiny_folder: Path) -> None:
    waves = originals.wave("short_0.1s")
    with torch.no_grad():
        half = load_model(tiny_folder, device="cpu", precision="bfloat16")(waves)
        full = load_model(tiny_folder, device="cpu")(waves)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, atol=0.05, rtol=0.05)
    assert not torch.equal(half, full)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.usefixtures("no_network")
def test_without_network_and_cache_the_error_says_which_file_to_put_where(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub, "cached", lambda *_place: None)
    with pytest.raises(DownloadError) as caught:
        load_model(CARD)
    assert "safetensors" in str(caught.value)
    assert "folder" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def released_folder(tmp_path: Path, supervised: dict[str, torch.Tensor]) -> Path:
    """A folder laid out as the released one: the published names, random small weights."""
    save_file(supervised, tmp_path / "model.safetensors")
    (tmp_path / "label_map.json").write_text(json.dumps({f"Species {i}": i for i in range(10)}))
    config = cards.known_cards()[CARD].config.model_copy(
        update={"dim": 128, "n_layers": 2, "n_heads": 2}
    )
    cards.Card(name=CARD, config=config).write(tmp_path / "card.yaml")
    return tmp_path


@pytest.mark.usefixtures("no_network")
def test_a_named_model_is_loaded_without_other_cards_and_without_random_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both took longer than its weights; a layer that is not filled would hold any numbers."""
    read = []
    monkeypatch.setattr(cards, "_read", lambda path: read.append(path) or cards.Card.read(path))

    def drawn(*_given: object, **_named: object) -> None:
        raise AssertionError

    monkeypatch.setattr(torch.Tensor, "uniform_", drawn)
    model = load_model("dawnchorus_eat_tiny", "cpu")
    assert {path.parent.name for path in read} == {"dawnchorus_eat_tiny"}
    monkeypatch.undo()
    assert {path.parent.name for path in cards.card_files().values()} > {"dawnchorus_eat_tiny"}
    assert all(cards.known_card(name).name == name for name in cards.card_files())  # type: ignore[union-attr]
    assert all(value.isfinite().all() for value in model.state_dict().values())


@pytest.mark.usefixtures("no_network")
def test_the_first_three_examples_of_the_design_run(released_folder: Path) -> None:
    waveforms = 0.1 * torch.randn(2, 160_000, generator=torch.Generator().manual_seed(0))
    backbone = load_model(released_folder, return_features_only=True, device="cpu")
    with torch.no_grad():
        tokens = backbone(waveforms)
    assert tokens.shape == (2, 513, 128)
    assert tokens.mean(dim=1).shape == (2, 128)

    model = load_model(released_folder, device="cpu")
    with torch.no_grad():
        logits = model(waveforms)
    names = [model.labels[i] for i in logits.argmax(dim=-1)]
    assert logits.shape == (2, 10)
    assert set(names) <= {f"Species {i}" for i in range(10)}

    config = ProbeConfig(
        probe_type="linear",
        target_layers=["last_layer"],
        aggregation="mean",
        freeze_backbone=True,
        online_training=True,
    )
    probe = build_probe_from_config(
        probe_config=config, base_model=backbone, num_classes=10, device="cpu"
    )
    assert probe(waveforms).shape == (2, 10)


@pytest.mark.usefixtures("no_network")
def test_a_cached_download_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, released_folder: Path
) -> None:
    """The hub's own cache layout, laid by hand: a reference, a snapshot, the file."""
    repo = tmp_path / "hub" / "models--someone--eat"
    snapshot = repo / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("0" * 40)
    (released_folder / "model.safetensors").rename(snapshot / "eat.safetensors")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(
        "huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path / "hub")
    )
    for name in ("card.yaml", "label_map.json"):
        (released_folder / name).rename(snapshot / name)
    model = load_model("hf://someone/eat", device="cpu")
    assert isinstance(model, EAT)
    with pytest.raises(DownloadError, match=r"someone/other"):
        load_model("hf://someone/other", device="cpu")


def test_a_model_loaded_in_inference_mode_can_be_trained(tiny_folder: Path) -> None:
    with torch.inference_mode():
        model = load_model(tiny_folder, "cpu")
    model.train()
    model(0.1 * torch.randn(1, 16_000)).sum().backward()
    assert model.cls_token.grad is not None
    assert not any(p.is_inference() for p in [*model.parameters(), *model.buffers()])


def test_what_names_no_model_or_holds_no_values_is_refused_in_words() -> None:
    with pytest.raises(UsageError, match=r"name, a path or hf://owner/repo, found int 3"):
        load_model(3)  # type: ignore[arg-type]  # as a user may
    with pytest.raises(UsageError, match="holds shapes without values"):
        load_model("dawnchorus_eat_tiny", "meta")
