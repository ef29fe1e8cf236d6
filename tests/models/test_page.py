"""What a card says stands on the page of its repository, in `describe`, and nowhere is it bent."""

from __future__ import annotations

import pytest
import yaml

from dawnchorus.cli.describe import facts, revision
from dawnchorus.models.card import Card, HubLocation, known_cards
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.models.page import MAX_SHOWN, card_facts, model_page

TEXTS = {
    "licence": "CC BY 4.0", "training_data": "owls", "training": "3 epochs", "scores": "0.9",
    "data_licences": "CC0", "source": "us", "citation": "Owl et al.", "precision": "float16",
    "sha256": "ab" * 32,
}  # fmt: skip


def card(**changes: object) -> Card:
    return Card(**{"name": "owls", "config": EATConfig.of_size("tiny", n_classes=2), **changes})


def front_matter(page: str) -> dict[str, object]:
    values: dict[str, object] = yaml.safe_load(page.split("---")[1])
    return values


def test_every_text_of_a_card_is_on_the_page_and_in_its_description() -> None:
    full = card(**TEXTS, title="Owls of Europe", description="Hoots.", notes=("Not for bats.",))
    page = model_page(full, ["a", "b"])
    described = dict(facts(full))
    for text in TEXTS.values():
        assert text in page
        assert text in described.values()
    for text in ("# Owls of Europe", "Hoots.", "- Not for bats.", "## Labels\n\na, b\n"):
        assert text in page
    assert not [key for key, value in card_facts(card()) if not value]  # no empty lines


@pytest.mark.parametrize(
    ("licence", "known", "name"),
    [
        ("CC BY-NC-SA 4.0", "cc-by-nc-sa-4.0", None),
        ("CC0", "cc0-1.0", None),
        ("MIT", "mit", None),
        ("My own terms", "other", "my-own-terms"),
    ],
)
def test_a_licence_has_the_name_that_the_hub_knows(
    licence: str, known: str, name: str | None
) -> None:
    values = front_matter(model_page(card(licence=licence), None))
    assert (values["license"], values.get("license_name")) == (known, name)


def test_a_page_says_how_the_model_is_loaded_and_what_it_gives() -> None:
    with_labels, without = model_page(card(), ["a"], "me/owls"), model_page(card(), None)
    assert 'load_model("hf://me/owls")' in with_labels
    assert "logits = model(waveforms)" in with_labels
    assert front_matter(with_labels)["pipeline_tag"] == "audio-classification"
    assert 'load_model("path/to/this/folder")' in without
    assert "logits" not in without
    assert front_matter(without)["pipeline_tag"] == "feature-extraction"


def test_a_cell_of_the_table_cannot_end_it() -> None:
    page = model_page(card(scores="a | b\nc"), None)
    assert "| scores | a \\| b c |" in page


def test_a_long_list_of_labels_is_cut() -> None:
    labels = [f"label {number}" for number in range(MAX_SHOWN + 3)]
    page = model_page(card(), labels)
    assert f"label {MAX_SHOWN - 1}, and 3 more" in page
    assert f"label {MAX_SHOWN}," not in page


@pytest.mark.parametrize("name", sorted(known_cards()))
def test_every_known_card_is_complete_enough_to_be_described(name: str) -> None:
    known = known_cards()[name]
    lines = dict(facts(known))
    assert {"name", "weights", "encoder", "window", "readout", "licence", "cite"} - {
        "cite" if not known.citation else ""
    } <= lines.keys()
    assert known.licence != "unknown"


def test_a_revision_says_what_happens_when_its_owner_uploads_again() -> None:
    assert revision(card()) == ""
    place = {"repo": "me/owls", "file": "model.safetensors"}
    fixed = card(hub=HubLocation(**place, revision="abc"))
    sealed = card(hub=HubLocation(**place), sha256="ab" * 32)
    assert revision(fixed).startswith("abc, whatever is uploaded later")
    assert "a file that was replaced is refused" in revision(sealed)
    assert "no sha256 is known" in revision(card(hub=HubLocation(**place)))
