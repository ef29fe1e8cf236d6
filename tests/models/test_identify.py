"""Weights and what belongs to them travel together: the same model again, or a refusal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import originals
from dawnchorus import load_model
from dawnchorus.cli.app import main
from dawnchorus.errors import DawnChorusWarning, UsageError, WeightsError
from dawnchorus.models import card as cards
from dawnchorus.models.card import BUNDLED, Card
from dawnchorus.models.eat import EAT
from dawnchorus.models.fingerprint import Fingerprint, fingerprint
from dawnchorus.models.header import KEY, read_header
from dawnchorus.models.load import open_model
from dawnchorus.models.write import write_model
from dawnchorus.paths import sha256_of_file

TINY = BUNDLED / "dawnchorus_eat_tiny"
RELEASED = "eat_base_epoch30_pretrain"


@pytest.fixture(scope="module")
def written(tiny_encoder: EAT, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model as a run exports it."""
    folder = tmp_path_factory.mktemp("written") / "birds"
    card = Card(name="my_birds", config=tiny_encoder.config, licence="CC0-1.0")
    write_model(folder, card, tiny_encoder.labels, tiny_encoder.state_dict(), "float32")
    return folder


def same(a: EAT, b: EAT) -> bool:
    waves = 0.1 * torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return a.config == b.config and a.labels == b.labels and torch.equal(a(waves), b(waves))


@pytest.mark.parametrize(
    "name", ["song.safetensors", "model.safetensors", "strange name.bin.safetensors"]
)
def test_a_bare_copy_of_an_export_is_the_model(name: str, written: Path, tmp_path: Path) -> None:
    shutil.copy(written / "model.safetensors", tmp_path / name)
    loaded = open_model(tmp_path / name)
    assert loaded.model.name == "my_birds"  # whatever the file is called
    assert loaded.model.licence == "CC0-1.0"
    assert same(loaded.model, load_model(written, device="cpu"))


def test_a_bare_copy_of_the_bundled_weights_is_that_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = load_model("dawnchorus_eat_tiny", device="cpu")
    copy = tmp_path / "birds.safetensors"
    shutil.copy(TINY / "model.safetensors", copy)
    assert same(load_model(copy, device="cpu"), known)
    save_file(load_file(copy), copy)  # another program's copy of the tensors
    assert read_header(copy).card is None
    assert same(load_model(copy, device="cpu"), known)
    assert main(["verify", str(copy), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["verdict"] == "right"
    assert facts["card"] == "dawnchorus_eat_tiny, of a known model, by its content"


def test_own_weights_without_their_card_are_refused_with_what_to_do(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "birds.safetensors"
    save_file(load_file(written / "model.safetensors"), path)
    with pytest.raises(WeightsError, match=r"without their card.*copy card\.yaml"):
        load_model(path, device="cpu")
    assert main(["verify", str(path)]) == 1
    said = capsys.readouterr()
    assert "card.yaml" in said.err
    assert "right" not in said.out
    torch.save(load_file(path), tmp_path / "birds.pt")
    with pytest.raises(WeightsError, match="without their card"):
        load_model(tmp_path / "birds.pt", device="cpu")


@pytest.mark.parametrize("proof", ["sha256", "n_bytes", "fingerprint", "tensors_sha256"])
def test_a_folder_whose_card_names_other_weights_is_refused(
    proof: str, written: Path, tiny_encoder: EAT, tmp_path: Path
) -> None:
    """Each of the four alone is enough, whichever the card has."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    tensors = load_file(written / "model.safetensors")
    save_file(tensors, folder / "model.safetensors")
    right = Card.read(written / "card.yaml")
    values: dict[str, Any] = {
        "sha256": sha256_of_file(folder / "model.safetensors"),
        "n_bytes": (folder / "model.safetensors").stat().st_size,
        "fingerprint": fingerprint(tiny_encoder),
        "tensors_sha256": right.tensors_sha256,
    }
    shutil.copy(written / "label_map.json", folder)
    Card(name="a", config=right.config, **{proof: values[proof]}).write(folder / "card.yaml")
    assert load_model(folder, device="cpu").labels == tiny_encoder.labels
    tensors["blocks.1.mlp.fc1.weight"] = tensors["blocks.1.mlp.fc1.weight"].flip(0).contiguous()
    metadata = {"more": "bytes"} if proof == "n_bytes" else None
    save_file(tensors, folder / "model.safetensors", metadata)
    with pytest.raises(WeightsError, match="card"):
        load_model(folder, device="cpu")


def test_a_fingerprint_is_compared_after_a_download(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes are the card's and the values are not: the card was made of something else."""
    path = tmp_path / "model.safetensors"
    shutil.copy(written / "model.safetensors", path)
    card = Card.read(written / "card.yaml").model_copy(
        update={
            "name": "known",
            "hub": cards.HubLocation(repo="someone/known", file=path.name),
            "fingerprint": Fingerprint(values=(0.5,) * 21),
        }
    )
    card.write(tmp_path / "known.yaml")
    monkeypatch.setitem(cards.card_files(), "known", tmp_path / "known.yaml")
    is_new = True

    def fetch(_repo: str, file: str, **_options: object) -> tuple[Path, bool]:
        return path if file == path.name else written / file, is_new

    monkeypatch.setattr("dawnchorus.models.hub.fetch", fetch)
    with pytest.raises(WeightsError, match="computes other values than its card says"):
        load_model("known", device="cpu")
    is_new = False  # by then it was compared
    load_features("known")


def load_features(name: str) -> None:
    load_model(name, device="cpu", return_features_only=True)


def test_tensors_changed_after_the_header_was_written_are_refused(
    written: Path, tmp_path: Path
) -> None:
    path = tmp_path / "edited.safetensors"
    tensors = load_file(written / "model.safetensors")
    tensors["head.linear.bias"] = tensors["head.linear.bias"] + 1e-6
    save_file(tensors, path, {KEY: header_text(written)})
    with pytest.raises(WeightsError, match="its tensors are not those of its card"):
        load_model(path, device="cpu")


def header_text(folder: Path) -> str:
    content = (folder / "model.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    text: str = json.loads(content[8 : 8 + length])["__metadata__"][KEY]
    return text


def test_two_cards_that_contradict_each_other_are_refused(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "both"
    shutil.copytree(written, folder)
    card = Card.read(folder / "card.yaml")
    plain = card.model_copy(update={"sha256": None, "n_bytes": None, "fingerprint": None})
    plain.model_copy(update={"licence": "MIT", "name": "renamed"}).write(folder / "card.yaml")
    model = load_model(folder, device="cpu")
    assert (model.name, model.licence) == ("renamed", "MIT")
    wider = card.config.model_copy(update={"window_s": 7.0})
    plain.model_copy(update={"config": wider}).write(folder / "card.yaml")
    with pytest.raises(WeightsError, match=r"window_s 7\.0, the card in the header.* 1\.0"):
        load_model(folder, device="cpu")


def test_labels_beside_that_are_not_those_inside_take_the_names_away(
    written: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "birds"
    shutil.copytree(written, folder)
    (folder / "label_map.json").unlink()
    whole = load_model(written, device="cpu")
    assert same(load_model(folder, device="cpu"), whole)
    turned = {label: index for index, label in enumerate(reversed(whole.labels))}
    (folder / "label_map.json").write_text(json.dumps(turned))
    with pytest.warns(DawnChorusWarning, match="names the classes otherwise"):
        model = load_model(folder, device="cpu")
    assert model.labels is None
    with pytest.raises(WeightsError, match="no logits"):
        model(torch.zeros(1, 16_000))


def test_a_foreign_label_map_beside_right_weights_is_said_with_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "birds"
    shutil.copytree(TINY, folder)
    labels = json.loads((folder / "label_map.json").read_text())
    del labels[max(labels, key=lambda label: labels[label])]
    (folder / "label_map.json").write_text(json.dumps(labels))
    assert main(["verify", str(folder)]) == 1
    said = capsys.readouterr()
    assert "the weights are right, their labels are not" in said.out
    assert "470 labels, the classifier 471 classes" in said.err
    assert f"remove {folder / 'label_map.json'} to use the names in the header" in said.err


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the layout of a known released model, which is made as small as the file."""
    shapes = originals.smaller(originals.layout("iv_hf_pretrain_safetensors"), 128, 2)
    path = tmp_path / "download" / "weights.safetensors"
    path.parent.mkdir()
    save_file(originals.weights(shapes), path)
    known = cards.known_cards()[RELEASED]
    config = known.config.model_copy(update={"dim": 128, "n_layers": 2, "n_heads": 2})
    small = known.model_copy(update={"config": config, "sha256": sha256_of_file(path)})
    small.write(tmp_path / "small.yaml")
    monkeypatch.setitem(cards.card_files(), RELEASED, tmp_path / "small.yaml")
    return path


def test_a_known_released_file_brings_its_settings_whatever_it_is_called(released: Path) -> None:
    loaded = open_model(released)
    assert loaded.model.name == RELEASED
    assert loaded.model.config.normalization == (-4.268, 4.569)


@pytest.mark.parametrize("called", [RELEASED, "EAT-base_epoch30_pretrain"])
def test_a_name_known_from_a_card_brings_its_settings_and_says_so(
    called: str, released: Path, tmp_path: Path
) -> None:
    """A newer upload than the one on the card, in a folder or under the name of the release."""
    tensors = load_file(released)
    tensors["model.pre_norm.bias"] = tensors["model.pre_norm.bias"] + 1
    for path in (tmp_path / called / "model.safetensors", tmp_path / f"{called}.safetensors"):
        path.parent.mkdir(exist_ok=True)
        save_file(tensors, path)
        with pytest.warns(DawnChorusWarning, match=r"not the file that the card.*-4\.268"):
            model = load_model(path, device="cpu")
        assert model.config.normalization == (-4.268, 4.569)


def test_a_released_layout_without_a_card_says_what_is_assumed(
    released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = load_file(released)
    tensors["model.pre_norm.bias"] = tensors["model.pre_norm.bias"] + 1
    path = tmp_path / "unknown.safetensors"
    save_file(tensors, path)
    with pytest.warns(
        DawnChorusWarning, match=r"no card.*assumed: normalization \(-5\.553"
    ) as all_said:
        model = load_model(path, device="cpu")
    assert len(all_said) == 1
    assert (model.dim, model.n_layers) == (128, 2)
    assert main(["verify", str(path)]) == 1
    said = capsys.readouterr()
    assert "not known: no card" in said.out
    assert len(said.err.splitlines()) == 1
    assert said.err.startswith(f"warning: {path}: no card")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name: a\nconfig: {dim: 64, n_layers: 2, n_heads: 1}\ncolour: red", "colour"),
        ("name: a", "config"),
        ("{1: 2}", "not text"),
        ("[a, b]", "mapping"),
        ("name: [", "YAML"),
        ("name: 2020-13-45", "card"),
        ("[" * 5000, "card"),
        ("name: a\nconfig: {dim: 64, n_layers: 2000000000, n_heads: 1}", "2000000000"),
        ("name: a\nconfig: {dim: .nan, n_layers: 2, n_heads: 1}", "dim"),
    ],
)
def test_a_card_that_is_none_is_refused_in_words(
    content: str, said: str, written: Path, tmp_path: Path
) -> None:
    shutil.copy(written / "model.safetensors", tmp_path)
    (tmp_path / "card.yaml").write_text(content)
    with pytest.raises(UsageError, match=said) as caught:
        load_model(tmp_path, device="cpu")
    assert "card.yaml" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"card": 3}', '{"card": {}}', '{"card": {"name": "a"}}', "[" * 5000, "NaN"],
)
def test_a_damaged_header_is_refused_in_words(text: str, written: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file(load_file(written / "model.safetensors"), path, {KEY: text})
    with pytest.raises(WeightsError, match="in its header"):
        load_model(path, device="cpu")
    good = json.loads(header_text(written))
    for labels in (3, ["a", 1], ["a", "a"], {"a": 0}):
        save_file(
            load_file(written / "model.safetensors"),
            path,
            {KEY: json.dumps({**good, "labels": labels})},
        )
        with pytest.raises(WeightsError, match="its labels need to be a list"):
            load_model(path, device="cpu")
