"""Names by laws: parsing is stable, and a backbone of any synonyms leads to accepted names only."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.errors import TaskError, UsageError
from dawnchorus.sources.names.backbone import Backbone, index_backbone
from dawnchorus.sources.names.scientific import PublishedName, parse_name
from dawnchorus.sources.names.species_match import SpeciesMatch
from dawnchorus.sources.names.taxonomy import Taxonomy, read_corrections
from rude_server import Answer, rude_server

SOME = settings(max_examples=30)
EPITHETS = ("alba", "nigra", "rubra", "novae-zelandiae", "vulgaris")
GENERA = ("Turdus", "Pica", "Oenanthe")
AUTHORS = ("", "Linnaeus, 1758", "(L.)", "von Haast", "d'Orbigny & Müller, 1844", "auct. non L.")
NAMES = st.tuples(
    st.sampled_from(GENERA), st.lists(st.sampled_from(EPITHETS), min_size=1, max_size=2)
)


@settings(max_examples=50)
@given(st.text(max_size=40))
def test_any_text_is_parsed_and_its_words_are_parsed_to_themselves(text: str) -> None:
    name = parse_name(text)
    assert len(name.words) <= 3
    assert name.text.startswith(name.species)
    if not name.problem:
        assert len(name.words) >= 2
        assert parse_name(name.text) == name


@SOME
@given(NAMES, st.sampled_from(AUTHORS), st.sampled_from(["", "(Merula) "]))
def test_authors_and_subgenera_change_no_name(
    name: tuple[str, list[str]], author: str, subgenus: str
) -> None:
    genus, epithets = name
    found = parse_name(f"  {genus}  {subgenus}{' '.join(epithets)} {author}")
    assert (found.words, found.problem) == ((genus, *epithets), "")
    assert found.species == f"{genus} {epithets[0]}"


@pytest.mark.parametrize("mark", ["cf.", "aff.", "nr", "?", "CF"])
@pytest.mark.parametrize("at", [1, 2])
def test_a_doubt_anywhere_before_the_authors_is_a_problem(mark: str, at: int) -> None:
    words = ["Larus", "fuscus", "L."]
    words.insert(at, mark)
    assert parse_name(" ".join(words)).problem == "uncertain identification"


COLUMNS = "taxonID\tacceptedNameUsageID\tcanonicalName\ttaxonRank\ttaxonomicStatus\tkingdom"


@contextmanager
def backbone_of(lines: list[str]) -> Iterator[Backbone]:
    with TemporaryDirectory() as folder:
        table = Path(folder) / "Taxon.tsv"
        table.write_text("\n".join([COLUMNS, *lines]) + "\n", encoding="utf-8")
        with closing(Backbone(index_backbone(table))) as backbone:
            yield backbone


def accepted_by_hand(rows: dict[int, tuple[int | None, str]], key: int) -> str | None:
    seen: set[int] = set()
    at: int | None = key
    while at is not None and at in rows and at not in seen:
        seen.add(at)
        following, name = rows[at]
        if following is None:
            return name
        at = following
    return None


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.integers(1, 10))
def test_any_synonym_leads_to_the_end_of_its_chain_whatever_the_order(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    rows: dict[int, tuple[int | None, str]] = {}
    for key in range(n):
        # chains may be long, lead nowhere or in a circle; each name is there once
        accepted = int(rng.integers(0, n + 2)) if rng.random() < 0.6 else None
        rows[key] = (None if accepted == key else accepted, f"Gen{'abcdefghij'[key]} alba")
    lines = [
        f"{key}\t{'' if accepted is None else accepted}\t{name}\tspecies\t"
        f"{'accepted' if accepted is None else 'synonym'}\tAnimalia"
        for key, (accepted, name) in rows.items()
    ]
    for order in (lines, lines[::-1]):
        with backbone_of(order) as backbone:
            for key, (accepted, name) in rows.items():
                match = backbone.find(name, PublishedName(name))
                wanted = accepted_by_hand(rows, key)
                assert (match.taxon.name if match.taxon else None) == wanted
                if match.taxon is None:
                    assert (
                        match.problem
                        == "its accepted name is missing from the backbone or circular"
                    )
                    continue
                assert match.how == ("accepted" if accepted is None else "synonym")
                # what is accepted is its own accepted name
                again = backbone.find(match.taxon.name, PublishedName(match.taxon.name))
                assert again.taxon == match.taxon


@SOME
@given(st.lists(st.tuples(NAMES, st.sampled_from(AUTHORS)), max_size=12))
def test_without_a_resolver_labels_are_names_without_authors_and_all_rows_are_counted(
    drawn: list[tuple[tuple[str, list[str]], str]],
) -> None:
    plain, apart = Taxonomy(), Taxonomy(subspecies=True, namespace="animal:")
    for (genus, epithets), author in drawn:
        published = PublishedName(f"{genus} {' '.join(epithets)} {author}".strip())
        assert plain.resolve(published).label == f"{genus} {epithets[0]}"
        assert apart.resolve(published).label == f"animal:{genus} {' '.join(epithets)}"
    texts = {f"{genus} {' '.join(epithets)} {a}".strip() for (genus, epithets), a in drawn}
    assert sum(plain.counts().values()) == sum(apart.counts().values()) == len(texts)
    assert apart.counts()["merged"] == 0


def test_a_table_of_corrections_without_its_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("published,right\nA,B\n")
    with pytest.raises(UsageError, match=r"c\.csv: need columns 'published' and 'accepted', found"):
        read_corrections(path)
    path.write_text("")
    with pytest.raises(UsageError, match=r"^table of corrections .*c\.csv"):
        read_corrections(path)
    with pytest.raises(UsageError, match=r"^table of corrections .*none\.csv"):
        Taxonomy(corrections=tmp_path / "none.csv")


def test_what_is_no_backbone_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(TaskError, match=r"empty: holds none of Taxon\.tsv, .*need the backbone"):
        index_backbone(tmp_path / "empty")
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT)")
        database.execute("INSERT INTO facts VALUES ('signature', 'dawnchorus names 0, x')")
        database.commit()
    with pytest.raises(TaskError, match=r"other\.sqlite: not a database of names of this version"):
        Backbone(other)
    (tmp_path / "Taxon.tsv").write_text(f"{COLUMNS}\n1\t\tPica pica\tspecies\taccepted\tAnimalia\n")
    with pytest.raises(TaskError, match=r"x\.sqlite: cannot be written"):
        index_backbone(tmp_path / "Taxon.tsv", other / "x.sqlite")


ROWS = [
    "1\t\tPica pica\tspecies\taccepted\tAnimalia",
    "2\t\tPica rara\tspecies\tdoubtful\tAnimalia",
    "3\t1\tPica falsa\tspecies\tmisapplied\tAnimalia",
    "4\t1\tPica vetus\tspecies\t\tAnimalia",
    "gbif:5\tgbif:1\tPica longa\tSPECIES\tHETEROTYPIC_SYNONYM\tAnimalia",
    "6\t\tPica\tgenus\taccepted\tAnimalia",
    "x\t\tPica sine\tspecies\taccepted\tAnimalia",
]


@pytest.mark.parametrize(
    ("name", "accepted", "said"),
    [
        ("Pica pica", "Pica pica", "accepted"),
        ("Pica rara", "Pica rara", "doubtful"),
        ("Pica falsa", None, "or misapplied"),
        ("Pica vetus", "Pica pica", "synonym"),  # of no stated status, but with an accepted name
        ("Pica longa", "Pica pica", "synonym"),
        ("Pica", None, "not in the backbone"),
        ("Pica sine", None, "not in the backbone"),  # without a key nothing can refer to it
    ],
)
def test_each_status_says_how_a_name_was_found(name: str, accepted: str | None, said: str) -> None:
    with backbone_of(ROWS) as backbone:
        match = backbone.find(name, PublishedName(name))
    assert (match.taxon.name if match.taxon else None) == accepted
    assert said in (match.how or match.problem)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([], "need an object with matchType, got \\[\\]"),
        ({"error": "x"}, "need an object with matchType"),
    ],
)
def test_an_answer_that_is_no_match_is_an_error_and_not_kept(
    answer: object, said: str, tmp_path: Path
) -> None:
    with rude_server() as server:
        service = server.says("/match", Answer(json.dumps(answer).encode()))
        with closing(SpeciesMatch(tmp_path / "m.jsonl", service=service)) as resolver:
            with pytest.raises(TaskError, match=said):
                resolver.find("Pica pica", PublishedName("Pica pica"))
            assert not (tmp_path / "m.jsonl").exists()


@pytest.mark.parametrize("line", ["{", "[]", '{"asked": "x"}', "3"])
def test_a_damaged_answer_within_the_cache_is_refused_by_line(line: str, tmp_path: Path) -> None:
    kept = json.dumps({"asked": json.dumps({"name": "Pica"}), "answer": {"matchType": "NONE"}})
    cache = tmp_path / "m.jsonl"
    cache.write_text(f"{kept}\n{line}\n{kept}\n")
    with pytest.raises(TaskError, match=r"m\.jsonl: line 2 is no answer kept before"):
        SpeciesMatch(cache, offline=True)


def test_an_exact_match_of_a_genus_is_no_species(tmp_path: Path) -> None:
    answer = {"matchType": "EXACT", "rank": "GENUS", "canonicalName": "Pica"}
    cache = tmp_path / "m.jsonl"
    cache.write_text(json.dumps({"asked": '{"name": "Pica"}', "answer": answer}) + "\n")
    with closing(SpeciesMatch(cache, offline=True)) as resolver:
        match = resolver.find("Pica", PublishedName("Pica"))
    assert (match.taxon, match.problem, match.near) == (None, "matched as genus only", ())
