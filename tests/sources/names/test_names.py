"""Published names and their words."""

from __future__ import annotations

import pytest

from dawnchorus.sources.names.scientific import parse_name


@pytest.mark.parametrize(
    ("published", "words"),
    [
        ("Turdus merula Linnaeus, 1758", "Turdus merula"),
        ("Turdus merula", "Turdus merula"),
        ("Parus major excelsus Buvry, 1857", "Parus major excelsus"),
        ("Vespertilio bechsteinii d'Orbigny", "Vespertilio bechsteinii"),
        ("Corvus cornix von Haast", "Corvus cornix"),
        ("Aedes (Ochlerotatus) caspius (Pallas, 1771)", "Aedes caspius"),
        ("Emberiza schoeniclus subsp. witherbyi", "Emberiza schoeniclus witherbyi"),
        ("Pica pica (Linnaeus, 1758)", "Pica pica"),
        ("Phylloscopus sibillatrix (Bechstein) ex Naumann", "Phylloscopus sibillatrix"),
        ("Vanellus novae-zelandiae", "Vanellus novae-zelandiae"),
        ("Rana temporaria Linné, 1758", "Rana temporaria"),
    ],
)
def test_authors_years_and_marks_are_left_out(published: str, words: str) -> None:
    name = parse_name(published)
    assert (name.text, name.problem) == (words, "")


@pytest.mark.parametrize(
    ("published", "problem"),
    [
        ("", "no name"),
        ("   ", "no name"),
        ("Anas platyrhynchos \N{MULTIPLICATION SIGN} acuta", "hybrid"),
        ("Anas platyrhynchos x Anas acuta", "hybrid"),
        ("\N{MULTIPLICATION SIGN}Anas", "not a scientific name"),
        ("Larus cf. fuscus", "uncertain identification"),
        ("Larus sp.", "not named to the species"),
        ("Larus Linnaeus, 1758", "not named to the species"),
        ("Chiroptera", "not named to the species"),
        ("BOLD:AAA1234", "not a scientific name"),
        ("incertae sedis", "not a scientific name"),
    ],
)
def test_what_stands_for_no_species_says_why(published: str, problem: str) -> None:
    assert parse_name(published).problem == problem


def test_the_species_of_a_subspecies_is_its_first_two_words() -> None:
    assert parse_name("Parus major excelsus Buvry, 1857").species == "Parus major"
