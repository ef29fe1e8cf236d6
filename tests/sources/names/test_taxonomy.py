"""Published names to accepted ones."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dawnchorus.configs.data import RequestLimits
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.sources.names.backbone import Backbone, index_backbone
from dawnchorus.sources.names.scientific import NameMatch, PublishedName
from dawnchorus.sources.names.species_match import SpeciesMatch
from dawnchorus.sources.names.taxonomy import Taxonomy, read_corrections
from rude_server import Answer, RudeServer, rude_server

HEADER = (
    "taxonID\tparentNameUsageID\tacceptedNameUsageID\tscientificName\tcanonicalName\ttaxonRank\t"
    "taxonomicStatus\tkingdom\tphylum\tclass\torder\tfamily\tgenus"
)
BIRD = "Animalia\tChordata\tAves\tPasseriformes"
# key, accepted, scientific name, canonical name, rank, status, lineage
ROWS = f"""\
1		Turdus merula Linnaeus, 1758	Turdus merula	species	accepted	{BIRD}	Turdidae	Turdus
2	1	Merula vulgaris Selby	Merula vulgaris	species	synonym	{BIRD}	Turdidae	Turdus
3	2	Merula nigra Leach	Merula nigra	species	homotypic synonym	{BIRD}	Turdidae	Turdus
4		Turdus merula azorensis	Turdus merula azorensis	subspecies	accepted	{BIRD}	Turdidae	Turdus
5		Oenanthe oenanthe	Oenanthe oenanthe	species	accepted	{BIRD}	Muscicapidae	Oenanthe
6		Oenanthe javanica	Oenanthe javanica	species	accepted	Plantae	Tracheophyta	Magnoliopsida	Apiales	Apiaceae	Oenanthe
7		Prunella modularis	Prunella modularis	species	accepted	{BIRD}	Prunellidae	Prunella
8		Prunella grandiflora	Prunella modularis	species	accepted	Plantae	Tracheophyta	Magnoliopsida	Lamiales	Lamiaceae	Prunella
9	10	Round a	Rotunda alba	species	synonym	{BIRD}	X	Rotunda
10	9	Round b	Rotunda nigra	species	synonym	{BIRD}	X	Rotunda
11	99	Lost x	Perdita vaga	species	synonym	{BIRD}	X	Perdita
12	1	Split a	Divisa ambigua	species	proparte synonym	{BIRD}	X	Divisa
13		Gemina par A	Gemina par	species	accepted	{BIRD}	Familia	Gemina
14		Gemina par B	Gemina par	species	accepted	Animalia	Arthropoda	Insecta	Orthoptera	Acrididae	Gemina
15	5	Turdus merula Auct.	Turdus merula	species	synonym	{BIRD}	Muscicapidae	Oenanthe
16		Turdus	Turdus	genus	accepted	{BIRD}	Turdidae	Turdus
17		BOLD:AAA1	BOLD:AAA1	unranked	accepted	{BIRD}	Turdidae	Turdus
18	1	Turdus ater	Turdus ater sparsus	subspecies	synonym	{BIRD}	Turdidae	Turdus
"""  # noqa: E501
BIRD_RANKS = ("Animalia", "Chordata", "Aves", "", "", "")
QUICK = RequestLimits(per_second=1000, n_tries=2, first_wait_s=0, timeout_s=0.5)


def backbone_text() -> str:
    """The table as GBIF writes it."""
    lines = [HEADER]
    for row in ROWS.splitlines():
        key, accepted, *rest = row.split("\t")
        lines.append("\t".join([key, "", accepted, *rest]))
    return "\n".join(lines) + "\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A small backbone in a zip, as GBIF hands it out."""
    path = tmp_path / "backbone.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("backbone/Taxon.tsv", backbone_text())
    return path


@pytest.fixture
def backbone(table: Path) -> Iterator[Backbone]:
    """Its names."""
    with closing(Backbone(index_backbone(table))) as backbone:
        yield backbone


def find(
    resolver: Backbone | SpeciesMatch, name: str, *ranks: str, key: int | None = None
) -> NameMatch:
    """Look a name up."""
    return resolver.find(name, PublishedName(name, key=key, ranks=ranks or BIRD_RANKS))


def test_a_chain_of_synonyms_leads_to_the_accepted_name(backbone: Backbone) -> None:
    match = find(backbone, "Merula nigra")
    assert match.taxon is not None
    assert (match.taxon.name, match.taxon.key, match.how) == ("Turdus merula", 1, "synonym")
    assert match.taxon.ranks == (*BIRD_RANKS[:3], "Passeriformes", "Turdidae", "Turdus")


def test_an_accepted_name_goes_before_a_later_homonym(backbone: Backbone) -> None:
    match = find(backbone, "Turdus merula")
    assert match.taxon is not None
    assert (match.taxon.key, match.how) == (1, "accepted")


def test_homonyms_are_settled_by_kingdom_class_or_key_and_else_reported(backbone: Backbone) -> None:
    no_ranks = ("",) * 6
    assert (
        find(backbone, "Prunella modularis").taxon
        == find(backbone, "Prunella modularis", *no_ranks, key=7).taxon
    )
    assert find(backbone, "Gemina par", *BIRD_RANKS).taxon is not None
    open_match = find(backbone, "Gemina par", *no_ranks)
    assert open_match.taxon is None
    assert open_match.problem == "homonym, not settled by its ranks"
    assert open_match.near == (
        "Gemina par (13, Animalia: Familia)",
        "Gemina par (14, Animalia: Acrididae)",
    )
    by_key = find(backbone, "Gemina par", *no_ranks, key=14)
    assert by_key.taxon is not None
    assert by_key.taxon.ranks[2] == "Insecta"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Oenanthe javanica", r"only in another kingdom \(Plantae\)"),
        ("Rotunda alba", "missing from the backbone or circular"),
        ("Perdita vaga", "missing from the backbone or circular"),
        ("Divisa ambigua", "synonym of several species"),
        ("Nusquam visa", "not in the backbone"),
    ],
)
def test_what_leads_nowhere_says_why(backbone: Backbone, name: str, problem: str) -> None:
    match = find(backbone, name)
    assert match.taxon is None
    assert re.search(problem, match.problem)


def test_a_fuzzy_match_is_only_a_suggestion(backbone: Backbone) -> None:
    match = find(backbone, "Turdus merulla")
    assert match.taxon is None
    assert match.near[0] == "Turdus merula"


def test_the_index_is_made_once_and_anew_when_the_table_changes(table: Path) -> None:
    index = index_backbone(table)
    first = index.stat().st_mtime_ns, index.stat().st_ino
    assert (index_backbone(table).stat().st_mtime_ns, index.stat().st_ino) == first
    assert index_backbone(index) == index
    with zipfile.ZipFile(table, "w") as archive:
        archive.writestr("Taxon.tsv", backbone_text().replace("Merula nigra", "Merula atra"))
    with closing(Backbone(index_backbone(table))) as changed:
        assert find(changed, "Merula atra").taxon is not None


def test_a_simple_csv_is_a_backbone_too(tmp_path: Path) -> None:
    path = tmp_path / "my_names.csv"
    path.write_text(
        "taxonID,canonicalName,taxonRank,acceptedNameUsageID,kingdom\n"
        "1,Turdus merula,SPECIES,,Animalia\n2,Merula vulgaris,SPECIES,1,Animalia\n"
    )
    with closing(Backbone(index_backbone(path))) as backbone:
        match = find(backbone, "Merula vulgaris")
    assert match.taxon is not None
    assert match.taxon.name == "Turdus merula"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(TaskError, match="need columns taxonID"):
        index_backbone(path)


def labels(taxonomy: Taxonomy, *names: str) -> list[str | None]:
    """The labels of names of birds."""
    return [taxonomy.resolve(PublishedName(name, ranks=BIRD_RANKS)).label for name in names]


def test_synonyms_and_subspecies_merge_into_one_label(backbone: Backbone) -> None:
    names = (
        "Turdus merula Linnaeus, 1758",
        "Merula nigra Leach",
        "Turdus merula azorensis Hartert",
        "Turdus merula nusquamensis",  # a subspecies that is not listed
        "Turdus ater sparsus",
    )
    assert set(labels(Taxonomy(backbone), *names)) == {"Turdus merula"}
    apart = Taxonomy(backbone, subspecies=True)
    assert labels(apart, names[2]) == ["Turdus merula azorensis"]
    assert labels(apart, "Turdus merula nusquamensis") == [None]


def test_corrections_come_first_and_may_drop(backbone: Backbone, tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    path.write_text(
        "published,accepted,note\nTurdus merulla,Merula vulgaris,typing error\nPica pica,,wrong\n"
    )
    taxonomy = Taxonomy(backbone, corrections=path)
    assert labels(taxonomy, "Turdus merulla", "Pica pica", "Turdus merulla L.") == [
        "Turdus merula",
        None,
        "Turdus merula",
    ]
    path.write_text("published,accepted\nA,Turdus merula\nA,Pica pica\n")
    with pytest.raises(UsageError, match="line 3: 'A' is corrected in two ways"):
        read_corrections(path)
    path.write_text("published,accepted\nA,blackbird\n")
    with pytest.raises(UsageError, match="'blackbird' is not the name of a species"):
        read_corrections(path)


def test_without_a_resolver_the_publisher_is_believed() -> None:
    taxonomy = Taxonomy()
    published = PublishedName("Parus caeruleus L.", accepted="Cyanistes caeruleus", key=2487879)
    outcome = taxonomy.resolve(published)
    assert outcome.label == "Cyanistes caeruleus"
    assert outcome.match.taxon is not None
    assert outcome.match.taxon.key == 2487879
    assert labels(taxonomy, "Parus major excelsus Buvry", "Larus sp.") == ["Parus major", None]


def test_every_fate_is_in_the_report(backbone: Backbone, tmp_path: Path) -> None:
    taxonomy = Taxonomy(backbone, namespace="animal:")
    labels(taxonomy, "Turdus merula", "Merula nigra", "Merula nigra", "Larus sp.", "Turdus merulla")
    taxonomy.write_report(tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open(newline="") as file:
        rows = {row["published"]: row for row in csv.DictReader(file)}
    assert {name: row["outcome"] for name, row in rows.items()} == {
        "Larus sp.": "dropped",
        "Turdus merulla": "dropped",
        "Merula nigra": "merged",
        "Turdus merula": "kept",
    }
    assert rows["Merula nigra"]["n_rows"] == "2"
    assert rows["Merula nigra"]["label"] == "animal:Turdus merula"
    assert rows["Turdus merulla"]["near"] == "Turdus merula"
    assert rows["Larus sp."]["reason"] == "not named to the species"
    assert dict(taxonomy.counts()) == {"dropped": 2, "merged": 1, "kept": 1}


# the shapes are those of the service's version 1
EXACT = {
    "usageKey": 3,
    "acceptedUsageKey": 1,
    "scientificName": "Merula nigra Leach",
    "canonicalName": "Merula nigra",
    "rank": "SPECIES",
    "status": "SYNONYM",
    "confidence": 98,
    "matchType": "EXACT",
    "kingdom": "Animalia",
    "phylum": "Chordata",
    "order": "Passeriformes",
    "family": "Turdidae",
    "genus": "Turdus",
    "species": "Turdus merula",
    "speciesKey": 1,
    "synonym": True,
    "class": "Aves",
}
FUZZY = EXACT | {"matchType": "FUZZY", "status": "ACCEPTED", "canonicalName": "Turdus merula"}
HIGHER = {"canonicalName": "Turdus", "rank": "GENUS", "matchType": "HIGHERRANK", "genus": "Turdus"}
NONE = {"confidence": 100, "matchType": "NONE", "synonym": False}


@pytest.fixture
def server() -> Iterator[RudeServer]:
    """A rude server."""
    with rude_server() as server:
        yield server


def look_up(name: str, cache: Path, service: str | None = None) -> NameMatch:
    """Look a name up at the service, or offline."""
    where = {"offline": True} if service is None else {"service": service, "limits": QUICK}
    with closing(SpeciesMatch(cache, **where)) as resolver:  # type: ignore[arg-type]
        return find(resolver, name)


def test_the_match_service_is_asked_once_and_not_at_all_offline(
    server: RudeServer, tmp_path: Path
) -> None:
    service = server.says("/match", Answer(status=503), Answer(json.dumps(EXACT).encode()))
    cache = tmp_path / "matches.jsonl"
    match = look_up("Merula nigra", cache, service)
    assert match.taxon is not None
    assert (match.taxon.name, match.taxon.key, match.how) == ("Turdus merula", 1, "synonym")
    assert match.taxon.ranks[2] == "Aves"
    assert server.asked[-1].query == {
        "name": "Merula nigra",
        "kingdom": "Animalia",
        "class": "Aves",
        "strict": "true",
    }
    n_asked = server.n_asked("/match")
    assert look_up("Merula nigra", cache, service) == match
    assert look_up("Merula nigra", cache) == match
    assert look_up("Pica pica", cache).problem == "not looked up before, and offline"
    assert server.n_asked("/match") == n_asked


@pytest.mark.parametrize(
    ("answer", "problem"),
    [(FUZZY, "only a fuzzy match"), (HIGHER, "not in the backbone"), (NONE, "not in the backbone")],
)
def test_the_match_service_is_not_believed_when_it_guesses(
    answer: dict[str, object], problem: str, server: RudeServer, tmp_path: Path
) -> None:
    service = server.says("/match", Answer(json.dumps(answer).encode()))
    match = look_up("Turdus mrula", tmp_path / "m.jsonl", service)
    assert (match.taxon, match.problem) == (None, problem)
    assert match.near == (("Turdus merula",) if answer is FUZZY else ())


def test_a_cache_cut_by_a_kill_loses_its_last_line_only(server: RudeServer, tmp_path: Path) -> None:
    service = server.says("/match", Answer(json.dumps(EXACT).encode()))
    cache = tmp_path / "m.jsonl"
    for name in ("Merula nigra", "Merula vulgaris"):
        look_up(name, cache, service)
    cache.write_bytes(cache.read_bytes()[:-10])
    assert look_up("Merula nigra", cache).taxon is not None
    assert look_up("Merula vulgaris", cache).taxon is None
    look_up("Merula vulgaris", cache, service)
    assert look_up("Merula vulgaris", cache).taxon is not None


def test_a_service_that_is_down_is_an_error_that_says_what_to_do(
    server: RudeServer, tmp_path: Path
) -> None:
    service = server.says("/match", Answer(status=500))
    with pytest.raises(TaskError, match=r"HTTP 500 for 'Pica pica'.*try again later"):
        look_up("Pica pica", tmp_path / "m.jsonl", service)
