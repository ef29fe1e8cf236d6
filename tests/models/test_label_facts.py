"""A label's level shows in its name, and a score is held against what validation says of it."""

from __future__ import annotations

import pytest

from dawnchorus.labels import read_label_map
from dawnchorus.models.card import BUNDLED, LABELS_FILE, known_cards
from dawnchorus.models.label_facts import LabelFacts, levels_of, scientific_part

NAME = "dawnchorus_eat_tiny"


@pytest.mark.parametrize(
    ("label", "level"),
    [
        ("Turdus merula", "species"),
        ("Lonchura striata domestica", "species"),
        ("Turdus merula_Eurasian Blackbird", "species"),
        ("Corvidae", "family"),
        ("Turdinae", "subfamily"),
        ("Passeriformes", "order"),
        ("Orthoptera", "order"),
        ("Aves", "class"),
        ("Turdus", "?"),
        ("Speech", "?"),
        ("clock_tick", "?"),
    ],
)
def test_the_level_shows_in_the_form_of_the_name(label: str, level: str) -> None:
    assert levels_of([label], LabelFacts(level="?")) == [level]


def test_the_common_name_behind_is_no_part_of_the_scientific_one() -> None:
    assert scientific_part("Parus major_Great Tit") == "Parus major"
    assert scientific_part("clock_tick") == "clock_tick"
    assert scientific_part("Engine_Engine") == "Engine_Engine"


def test_every_threshold_of_the_bundled_card_is_of_one_of_its_labels() -> None:
    card = known_cards()[NAME]
    labels = read_label_map(BUNDLED / NAME / LABELS_FILE)
    assert card.demonstration
    assert set(card.label_facts.thresholds) <= set(labels)
    assert card.label_facts.threshold
    assert "validation" in card.label_facts.origin
    levels = levels_of(labels, card.label_facts)
    assert {level: levels.count(level) for level in set(levels)} == {
        "species": 228,
        "family": 13,
        "order": 2,
        "sound": 228,
    }
