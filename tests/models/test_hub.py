"""Models on a hub: found with card and labels of one commit, pushed with a page, or refused."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import loopback_hub
from dawnchorus import load_model
from dawnchorus.cli.app import main
from dawnchorus.errors import DownloadError, UsageError, WeightsError
from dawnchorus.models import card as cards
from dawnchorus.models.address import parse_address
from dawnchorus.models.card import Card
from dawnchorus.models.eat import EAT
from dawnchorus.models.load import open_model
from dawnchorus.models.write import write_model
from dawnchorus.paths import sha256_of_file
from loopback_hub import TOKEN, LoopbackHub

REPO = "lab/my-birds"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A hub on this machine, and an empty cache of its own."""
    with loopback_hub.serve() as served:
        template = served.address + "/{repo_id}/resolve/{revision}/{filename}"
        constants = "huggingface_hub.constants"
        monkeypatch.setattr(f"{constants}.ENDPOINT", served.address)
        monkeypatch.setattr(f"{constants}.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(f"{constants}.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(f"{constants}.HF_HUB_OFFLINE", False)
        monkeypatch.setattr(f"{constants}.HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield served


@pytest.fixture(scope="module")
def written(tiny_encoder: EAT, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model as a run exports it."""
    folder = tmp_path_factory.mktemp("written") / "birds"
    card = Card(
        name="my_birds",
        title="Birds of a lab",
        config=tiny_encoder.config,
        licence="CC BY-NC 4.0",
        scores="validation mAP 0.5 at step 4",
    )
    write_model(folder, card, tiny_encoder.labels, tiny_encoder.state_dict(), "float32")
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def same(a: EAT, b: EAT) -> bool:
    waves = 0.1 * torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        is_near = torch.allclose(a(waves), b(waves), atol=1e-6)  # sums in another order
        return a.config == b.config and a.labels == b.labels and is_near


@pytest.mark.parametrize("address", [f"hf://{REPO}", f"hf://{REPO}/model.safetensors"])
def test_a_repository_is_loaded_with_its_card_and_labels_once(
    address: str, hub: LoopbackHub, written: Path
) -> None:
    hub.put(REPO, files_of(written))
    first = open_model(address)
    assert first.source.is_new
    assert same(first.model, load_model(written, device="cpu"))
    assert first.model.name == "my_birds"
    asked = len(hub.asked)
    assert asked > 0
    assert same(open_model(address).model, first.model)
    assert len(hub.asked) == asked  # the second time no request is made


def test_weights_alone_in_a_repository_bring_card_and_labels_themselves(
    hub: LoopbackHub, written: Path
) -> None:
    content = (written / "model.safetensors").read_bytes()
    hub.put("lab/one-file", {"song.safetensors": content, "notes.txt": b"-"})
    model = load_model("hf://lab/one-file", device="cpu")
    assert same(model, load_model(written, device="cpu"))
    asked = len(hub.asked)
    load_model("hf://lab/one-file/song.safetensors", device="cpu")
    assert len(hub.asked) == asked  # that card.yaml is not there is remembered


def test_a_revision_is_a_branch_a_tag_or_a_commit(
    hub: LoopbackHub, written: Path, tiny_encoder: EAT, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    card = Card(name="other", config=tiny_encoder.config)
    state = {**tiny_encoder.state_dict(), "cls_token": torch.ones(1, 1, 64)}
    write_model(other, card, tiny_encoder.labels, state, "float32")
    first = hub.put(REPO, files_of(written))
    hub.put(REPO, files_of(other), branch="refs/pr/1")
    assert load_model(f"hf://{REPO}@refs%2Fpr%2F1", device="cpu").name == "other"
    assert load_model(f"hf://{REPO}", device="cpu").name == "my_birds"
    hub.put(REPO, files_of(other))
    assert load_model(f"hf://{REPO}@{first}", device="cpu").name == "my_birds"
    assert EAT.from_pretrained(REPO, revision=first).name == "my_birds"
    assert EAT.from_pretrained(REPO, revision="main", force_download=True).name == "other"
    with pytest.raises(DownloadError, match="no such revision"):
        load_model(f"hf://{REPO}@v9", device="cpu")


def test_card_and_weights_are_of_one_commit(
    hub: LoopbackHub, written: Path, tiny_encoder: EAT, tmp_path: Path
) -> None:
    """The cache holds weights of last year, the repository a new card with new weights."""
    content = files_of(written)
    commit = hub.put(REPO, content)
    repo = tmp_path / "cache" / "models--lab--my-birds"
    (repo / "snapshots" / commit).mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    shutil.copy(written / "model.safetensors", repo / "snapshots" / commit)
    card = Card(name="new", config=tiny_encoder.config)
    state = {**tiny_encoder.state_dict(), "cls_token": torch.ones(1, 1, 64)}
    write_model(tmp_path / "new", card, tiny_encoder.labels, state, "float32")
    hub.put(REPO, files_of(tmp_path / "new"))
    assert load_model(f"hf://{REPO}", device="cpu").name == "my_birds"


def test_a_known_model_that_was_replaced_is_refused_unless_its_revision_is_named(
    hub: LoopbackHub, written: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    content = files_of(written)
    first = hub.put(REPO, content)
    card = Card.read(written / "card.yaml").model_copy(
        update={"name": "known", "hub": cards.HubLocation(repo=REPO, file="model.safetensors",
                                                          label_map="label_map.json")}
    )  # fmt: skip
    card.write(tmp_path / "known.yaml")
    monkeypatch.setitem(cards.card_files(), "known", tmp_path / "known.yaml")
    assert load_model("known", device="cpu").labels is not None
    tensors = load_file(written / "model.safetensors")
    save_file({**tensors, "cls_token": torch.ones(1, 1, 64)}, tmp_path / "m.safetensors")
    hub.put(REPO, {"model.safetensors": (tmp_path / "m.safetensors").read_bytes()})
    shutil.rmtree(tmp_path / "cache")
    for name in ("known", f"hf://{REPO}"):
        with pytest.raises(WeightsError, match="the card of known says"):
            load_model(name, device="cpu")
    assert load_model(f"hf://{REPO}@{first}", device="cpu").name == "known"
    pinned = cards.HubLocation(**{**card.hub.model_dump(), "revision": first})  # type: ignore[union-attr]
    card.model_copy(update={"hub": pinned}).write(tmp_path / "pinned.yaml")
    monkeypatch.setitem(cards.card_files(), "known", tmp_path / "pinned.yaml")
    assert load_model("known", device="cpu").weights_sha256 == card.sha256
    assert load_model(f"hf://{REPO}", device="cpu").weights_sha256 == card.sha256


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"README.md": b"-"}, "no weights in this repository"),
        ({"a.safetensors": b"-", "b.safetensors": b"-"}, "several weights files"),
        ({"model.safetensors": b"<html>"}, "not a whole safetensors file"),
    ],
)
def test_a_repository_that_is_no_model_is_refused_in_words(
    files: dict[str, bytes], said: str, hub: LoopbackHub
) -> None:
    hub.put("lab/odd", files)
    with pytest.raises(WeightsError, match=said):
        load_model("hf://lab/odd", device="cpu")
    with pytest.raises(DownloadError, match="no such repository"):
        load_model("hf://lab/nowhere", device="cpu")


@pytest.mark.parametrize(
    "address",
    [
        "hf://", "hf://a", "hf://a b/c", "hf://a/b c", "hf:///b", "hf://a//b.pt", "hf://a/b@",
        "hf://a/b@x..y", "hf://a/b/../c.pt", "hf://a/b/c\\d.pt", "hf://a/b/c.txt", "hf://a/b@v/",
        "hf://a--b/c", "hf://a/b.git", "hf://a/b@v@w", "hf://a/\x00", "hf://a/" + "b" * 200,
    ],
)  # fmt: skip
def test_addresses_that_cannot_be_are_refused_in_words(address: str) -> None:
    with pytest.raises(UsageError, match=r"hf://owner/repo"):
        load_model(address, device="cpu")


def test_an_address_reads_as_it_is_written() -> None:
    for text in ("hf://a/b", "hf://a/b@v1", "hf://a/b/c/d.pt", "hf://a/b@refs%2Fpr%2F1/c.pt"):
        assert str(parse_address(text)) == text


@pytest.mark.parametrize(
    "name", ["", " ", "a\0b", "x" * 5000, "lab/birds", "https://huggingface.co/lab/birds"]
)
def test_names_that_mean_nothing_are_refused_in_words(name: str) -> None:
    with pytest.raises(UsageError, match="no model, file or folder") as caught:
        load_model(name, device="cpu")
    assert "birds" not in name or "hf://lab/birds" in str(caught.value)


def test_a_folder_is_pushed_with_a_page_and_loads_from_there(
    hub: LoopbackHub, written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(written), REPO, "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["model"] == f"hf://{REPO}"
    repository = hub.repositories[REPO]
    pushed = repository.commits[repository.branches["main"]]
    assert done["commit"].endswith(repository.branches["main"])
    assert {name: pushed[name] for name in files_of(written)} == files_of(written)
    page = pushed["README.md"].decode()
    for said in ("license: cc-by-nc-4.0", "library_name: dawnchorus", "# Birds of a lab", "wren",
                 f'load_model("hf://{REPO}")', "mAP 0.5", "audio-classification"):  # fmt: skip
        assert said in page
    assert same(load_model(f"hf://{REPO}", device="cpu"), load_model(written, device="cpu"))


def test_what_cannot_be_pushed_says_why(
    hub: LoopbackHub,
    written: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["push", str(written), "a b/c"]) == 2
    assert "owner" in capsys.readouterr().err
    bare = tmp_path / "bare.safetensors"
    save_file(load_file(written / "model.safetensors"), bare)
    assert main(["push", str(bare), REPO]) == 1
    assert "card.yaml" in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    assert main(["push", str(written), REPO]) == 1
    said = capsys.readouterr().err
    assert "hf auth login" in said
    assert "hf_other" not in said
    assert REPO not in hub.repositories


def test_a_model_goes_to_the_hub_and_back_as_it_is(
    hub: LoopbackHub, tiny_encoder: EAT, tmp_path: Path
) -> None:
    address = tiny_encoder.push_to_hub("me/tones", commit_message="First", branch="wip")
    assert address.startswith(hub.address)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = EAT.from_pretrained("me/tones", revision="wip")
    assert same(back, tiny_encoder)
    assert (
        "model.safetensors"
        not in hub.repositories["me/tones"].commits[hub.repositories["me/tones"].branches["main"]]
    )
    assert tiny_encoder.save_pretrained(tmp_path / "tones") is None
    assert same(EAT.from_pretrained(tmp_path / "tones"), tiny_encoder)
    assert tiny_encoder.save_pretrained(tmp_path / "x", push_to_hub=True, repo_id="me/x")
    assert same(EAT.from_pretrained("me/x"), tiny_encoder)
    with pytest.raises(UsageError, match="revision"):
        EAT.from_pretrained(tmp_path / "tones", revision="v1")
    with pytest.raises(DownloadError, match="not on this machine"):
        EAT.from_pretrained("me/x", local_files_only=True, cache_dir=tmp_path / "empty")


def test_scores_stay_with_the_weights_that_they_are_of(written: Path, tmp_path: Path) -> None:
    model = load_model(written, device="cpu")
    model.save_pretrained(tmp_path / "same")
    assert Card.read(tmp_path / "same" / "card.yaml").scores == "validation mAP 0.5 at step 4"
    with torch.no_grad():
        model.cls_token += 0.25
    model.save_pretrained(tmp_path / "other")
    card = Card.read(tmp_path / "other" / "card.yaml")
    assert card.scores == ""
    assert "not those that were measured" in card.notes[-1]
    assert sha256_of_file(tmp_path / "other" / "model.safetensors") == card.sha256


def test_a_model_is_saved_in_float16_only_where_that_loses_nothing(
    tiny_encoder: EAT, tmp_path: Path
) -> None:
    tiny_encoder.save_pretrained(tmp_path / "full")
    assert Card.read(tmp_path / "full" / "card.yaml").precision == "float32"
    tiny_encoder.save_pretrained(tmp_path / "half", precision="float16")
    half = load_model(tmp_path / "half", device="cpu")
    half.save_pretrained(tmp_path / "again")
    assert Card.read(tmp_path / "again" / "card.yaml").precision == "float16"
    assert files_of(tmp_path / "again") == files_of(tmp_path / "half")
