"""Models can be listed, described, registered and given other weights, in Python."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import dawnchorus
from dawnchorus.errors import UsageError, WeightsError
from dawnchorus.labels import write_label_map
from dawnchorus.models import plugins
from dawnchorus.models.card import known_cards
from dawnchorus.models.eat import EAT
from dawnchorus.models.load import load_model
from dawnchorus.models.registry import (
    describe_model,
    list_model_layers,
    list_models,
    load_label_mapping,
    register_model,
)

BUNDLED = "dawnchorus_eat_tiny"
RELEASED = "esp_aves2_sl_eat_all_ssl_all"


@pytest.fixture
def _clean() -> Iterator[None]:
    before = dict(plugins._registered)
    yield
    plugins._registered.clear()
    plugins._registered.update(before)


def test_every_known_model_is_listed_and_nothing_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = list_models()
    assert set(known_cards()) <= set(found)
    keys = {"description", "has_trained_classifier", "checkpoint_path", "num_classes", "model_type"}
    assert all(set(facts) == keys for facts in found.values())
    assert found[BUNDLED]["num_classes"] == len(load_model(BUNDLED, "cpu").labels)
    assert found[RELEASED]["checkpoint_path"].startswith("hf://EarthSpeciesProject/")
    assert capsys.readouterr().out == ""


def test_a_description_is_the_card_and_is_printed_on_request(
    tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = describe_model(RELEASED)
    assert told["config"]["dim"] == 768
    assert told["_metadata"]["has_trained_classifier"] is True
    assert capsys.readouterr().out == ""
    assert describe_model(tiny_folder, True)["name"] == "tiny"
    assert "licence: CC0-1.0" in capsys.readouterr().out
    with pytest.raises(UsageError, match=f"Did you mean {BUNDLED}"):
        describe_model("dawnchorus_eat_tyny")


def test_labels_are_read_without_the_weights(tiny_folder: Path, tmp_path: Path) -> None:
    mapping = load_label_mapping(tiny_folder)
    assert mapping is not None
    assert mapping["label_to_index"]["wren"] == 4
    write_label_map(tmp_path / "map.json", ["robin", "wren"])
    assert load_label_mapping(tmp_path / "map.json") == {
        "label_to_index": {"robin": 0, "wren": 1},
        "index_to_label": {0: "robin", 1: "wren"},
    }
    bundled = load_label_mapping(BUNDLED)
    assert bundled is not None
    assert bundled["index_to_label"][7] == bundled.get("7") == load_model(BUNDLED, "cpu").labels[7]
    with pytest.raises(WeightsError, match="not a readable label map"):
        load_label_mapping(tmp_path / "none.json")


def test_layers_are_those_that_numbers_mean(tiny_encoder: EAT) -> None:
    names = ["blocks.0.attn.proj", "blocks.1.attn.proj"]
    want = {
        "layers": names, "all": names, "last_layer": names[-1],
        "special_options": ["last_layer", "all", "output"],
    }  # fmt: skip
    assert list_model_layers(tiny_encoder) == want
    assert list_model_layers(RELEASED)["layers"][0] == names[0]  # nothing is downloaded
    assert len(list_model_layers(RELEASED)["all"]) == 12
    with pytest.raises(UsageError, match="need a name or an encoder, got int"):
        list_model_layers(3)  # type: ignore[arg-type]  # on purpose


@pytest.mark.usefixtures("_clean")
def test_a_registered_name_stands_for_a_folder_or_a_function(
    tiny_folder: Path, tiny_encoder: EAT
) -> None:
    register_model("garden", tiny_folder)
    assert load_model("garden", "cpu").labels == tiny_encoder.labels
    assert describe_model("garden")["name"] == "tiny"
    assert list_models()["garden"]["checkpoint_path"] == str(tiny_folder)
    register_model("made", tiny_encoder.to)
    assert load_model("made", "cpu") is tiny_encoder
    with pytest.warns(UserWarning, match="stands for the new model"):
        register_model("garden", lambda _device: tiny_encoder)
    assert load_model("garden", "cpu") is tiny_encoder
    with pytest.raises(UsageError, match=r"Known models: .*garden, made"):
        load_model("gorden_")


@pytest.mark.usefixtures("_clean")
def test_what_cannot_be_registered_is_refused(tiny_encoder: EAT) -> None:
    for name in (BUNDLED, RELEASED, ""):
        with pytest.raises(UsageError, match="choose another"):
            register_model(name, "somewhere")
    with pytest.raises(UsageError, match="need a path, an hf:// address or a function"):
        register_model("mine", tiny_encoder.config)  # type: ignore[arg-type]  # on purpose


def test_other_weights_are_loaded_with_the_settings_of_a_model(
    tiny_folder: Path, tiny_encoder: EAT, tmp_path: Path
) -> None:
    moved = {name: value + 0.01 for name, value in tiny_encoder.state_dict().items()}
    save_file(moved, tmp_path / "best.safetensors")
    shutil.copy(tiny_folder / "label_map.json", tmp_path)
    with pytest.raises(WeightsError, match="without their card"):
        load_model(tmp_path / "best.safetensors", "cpu")
    model = load_model(tiny_folder, "cpu", tmp_path / "best.safetensors")
    assert model.config == tiny_encoder.config
    assert model.labels == tiny_encoder.labels
    torch.testing.assert_close(model.cls_token, tiny_encoder.cls_token + 0.01)
    with pytest.raises(WeightsError, match="tensors"):
        load_model(BUNDLED, "cpu", checkpoint_path=tmp_path / "best.safetensors")


def test_settings_that_contradict_the_file_s_own_card_are_refused(
    tiny_folder: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(tiny_folder, tmp_path / "other")
    card = (other / "card.yaml").read_text()
    (other / "card.yaml").write_text(card.replace("window_s: 1.0", "window_s: 2.0"))
    with pytest.raises(WeightsError, match=r"window_s 1\.0, tiny has 2\.0; load the file by it"):
        load_model(other, "cpu", checkpoint_path=tiny_folder)


def test_the_public_names_load_late() -> None:
    names = [
        "list_models", "describe_model", "load_label_mapping", "list_model_layers",
        "register_model",
    ]  # fmt: skip
    assert set(names) <= set(dawnchorus.__all__)
    code = f"import sys, dawnchorus; assert 'torch' not in sys.modules; print({names!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.replace("'", '"')) == names
