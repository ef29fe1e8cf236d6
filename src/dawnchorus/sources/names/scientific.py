"""Scientific names as publishers write them, and what becomes of one.

A published name may carry authors, a year, a subgenus, a rank or a doubt. Only its words are a
label: ``Turdus merula Linnaeus, 1758`` and ``Turdus merula`` are one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

RANKS: Final = ("kingdom", "phylum", "class", "order", "family", "genus")
# capital letter, then small ones, also with accents and a hyphen
GENUS: Final = re.compile(r"[A-ZÀ-Ý][a-zà-ÿ]+(?:-[A-Za-zà-ÿ]+)?")
EPITHET: Final = re.compile(r"[a-zà-ÿ][a-zà-ÿ-]*[a-zà-ÿ]")
SUBGENUS: Final = re.compile(r"\([A-Z][a-zà-ÿ-]+\)")
TIMES: Final = "\N{MULTIPLICATION SIGN}"
HYBRID: Final = {TIMES, "x", "X"}
DOUBT: Final = {"cf", "cf.", "aff", "aff.", "nr", "nr.", "?"}
UNNAMED: Final = {"sp", "sp.", "spp", "spp.", "ssp", "indet", "indet.", "undetermined"}
RANK_MARKS: Final = {"subsp.", "subsp", "ssp.", "var.", "var", "f.", "forma", "morph"}
# fmt: off
AUTHOR_PARTICLES: Final = {
    "de", "del", "den", "der", "des", "di", "da", "du", "la", "le", "van", "vander", "von", "zu",
    "ex", "in", "et", "and", "y", "auct", "sensu", "non", "nec",
}
# fmt: on
N_SPECIES_WORDS: Final = 2
N_WORDS: Final = 3


@dataclass(frozen=True, slots=True)
class ParsedName:
    """The words of a published name; with a ``problem`` it stands for no species."""

    words: tuple[str, ...]
    problem: str = ""

    @property
    def text(self) -> str:
        """All words: two of a species, three of a subspecies."""
        return " ".join(self.words)

    @property
    def species(self) -> str:
        """The first two words."""
        return " ".join(self.words[:N_SPECIES_WORDS])


def parse_name(text: str) -> ParsedName:
    """Split off authors, year, subgenus and marks of rank.

    Hybrids, doubts (``cf.``, ``aff.``), names without an epithet and what does not look like a name
    come back with a problem.
    """
    pieces = text.replace(TIMES, f" {TIMES} ").split()
    if not pieces:
        return ParsedName((), "no name")
    if not GENUS.fullmatch(pieces[0]):
        return ParsedName((), "not a scientific name")
    if HYBRID & set(pieces):
        return ParsedName((pieces[0],), "hybrid")
    words = [pieces[0]]
    # word by word, until an author, a year or anything else that is not an epithet begins
    for piece in pieces[1:]:
        plain = piece.strip("\"'[]")
        if plain.lower() in DOUBT:
            return ParsedName(tuple(words), "uncertain identification")
        if plain.lower() in UNNAMED:
            break
        if plain in RANK_MARKS or (len(words) == 1 and SUBGENUS.fullmatch(plain)):
            continue
        # "von Haast" is an author although "von" looks like an epithet
        if len(words) == N_WORDS or plain in AUTHOR_PARTICLES or not EPITHET.fullmatch(plain):
            break
        words.append(plain)
    return ParsedName(
        tuple(words), "" if len(words) >= N_SPECIES_WORDS else "not named to the species"
    )


@dataclass(frozen=True, slots=True)
class PublishedName:
    """What a source says of a taxon.

    Attributes:
        name: as published.
        accepted: the accepted species in the publisher's own view, if it gives one.
        key: of the GBIF backbone, if the publisher gives it.
        ranks: kingdom to genus, empty where not given.
    """

    name: str
    accepted: str = ""
    key: int | None = None
    ranks: tuple[str, ...] = ("",) * len(RANKS)

    def rank(self, name: str) -> str:
        """One of the higher ranks."""
        return self.ranks[RANKS.index(name)]


@dataclass(frozen=True, slots=True)
class Taxon:
    """An accepted taxon."""

    name: str
    key: int | None = None
    rank: str = "species"
    ranks: tuple[str, ...] = ("",) * len(RANKS)


@dataclass(frozen=True, slots=True)
class NameMatch:
    """What a published name stands for.

    Attributes:
        taxon: None if it stands for none with certainty.
        how: such as ``accepted``, ``synonym``, ``correction``; empty without a taxon.
        problem: why there is none.
        near: names that it might be, for a person to judge.
    """

    taxon: Taxon | None = None
    how: str = ""
    problem: str = ""
    near: tuple[str, ...] = field(default=())


class Resolver(Protocol):
    """Something that knows which names are accepted."""

    def find(self, name: str, published: PublishedName) -> NameMatch:
        """The accepted taxon of a name without authors; never a fuzzy match."""

    def close(self) -> None:
        """Let go of files and connections."""


def ranks_of(row: Mapping[str, str]) -> tuple[str, ...]:
    """Kingdom to genus from a row of a table that has such columns."""
    return tuple(row.get(rank, "") for rank in RANKS)
