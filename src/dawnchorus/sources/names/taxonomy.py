"""Labels from published names: one accepted name per species, and a report of every other fate.

A table of corrections, written by a person, comes first; then the backbone or the match service;
without either, the publisher's own accepted name, or the published one without authors.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from dawnchorus.errors import TaskError, UsageError
from dawnchorus.sources.names.scientific import (
    NameMatch,
    ParsedName,
    PublishedName,
    Resolver,
    Taxon,
    parse_name,
)
from dawnchorus.store.files import write_whole
from dawnchorus.text_tables.read import open_table
from dawnchorus.text_tables.write import csv_text

if TYPE_CHECKING:
    from pathlib import Path

REPORT_COLUMNS: Final = (
    "published", "outcome", "label", "how", "reason", "near", "species_key", "kingdom", "n_rows"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NameOutcome:
    """What became of a published name: its label, or why it has none."""

    published: PublishedName
    match: NameMatch
    namespace: str = ""

    @property
    def label(self) -> str | None:
        """None where rows of this name are dropped."""
        return None if self.match.taxon is None else self.namespace + self.match.taxon.name

    @property
    def outcome(self) -> str:
        """``kept``, ``merged`` into a label that is written otherwise, or ``dropped``."""
        if self.label is None:
            return "dropped"
        given = self.published.name
        same = self.match.taxon is not None and self.match.taxon.name in {
            given,
            parse_name(given).text,
        }
        return "kept" if same else "merged"


class Taxonomy:
    """Resolves published names and keeps what became of each."""

    def __init__(
        self,
        resolver: Resolver | None = None,
        *,
        corrections: Path | None = None,
        subspecies: bool = False,
        namespace: str = "",
    ) -> None:
        """Nothing resolved yet.

        Args:
            resolver: knows which names are accepted; None to use the publisher's names.
            corrections: CSV with columns ``published`` and ``accepted``; an empty ``accepted``
                drops the name.
            subspecies: keep subspecies apart; otherwise they count as their species.
            namespace: put before each label.

        Raises:
            UsageError: The corrections are not such a table.
        """
        self._resolver = resolver
        self._corrections = {} if corrections is None else read_corrections(corrections)
        self._subspecies = subspecies
        self._namespace = namespace
        self._outcomes: dict[PublishedName, NameOutcome] = {}
        self._n_rows: Counter[PublishedName] = Counter()

    def resolve(self, published: PublishedName) -> NameOutcome:
        """What becomes of a row with this name; each call counts as one row."""
        # a name is resolved once, however many recordings have it
        if published not in self._outcomes:
            self._outcomes[published] = NameOutcome(
                published, self._match(published), self._namespace
            )
        self._n_rows[published] += 1
        return self._outcomes[published]

    def _match(self, published: PublishedName) -> NameMatch:
        given = published.name or published.accepted
        name = parse_name(given)
        # as it is written, or without authors
        corrected = self._corrections.get(given, self._corrections.get(name.text))
        if corrected == "":
            return NameMatch(problem="dropped by the corrections")
        if corrected is not None:
            # the publisher's key belongs to the name that was wrong
            found = self._accepted(parse_name(corrected), replace(published, accepted="", key=None))
            return found if found.taxon is None else replace(found, how="correction")
        if name.problem:
            return NameMatch(problem=name.problem)
        return self._accepted(name, published)

    def _accepted(self, name: ParsedName, published: PublishedName) -> NameMatch:
        wanted = name.text if self._subspecies else name.species
        if self._resolver is None:
            return _as_published(wanted, published)
        found = self._resolver.find(name.text, published)
        if found.taxon is None and name.text != name.species and not self._subspecies:
            # a subspecies that is not listed still is one of its species
            found = self._resolver.find(name.species, replace(published, key=None))
        if found.taxon is None or self._subspecies or found.taxon.rank == "species":
            return found
        species = parse_name(found.taxon.name).species
        # a subspecies counts as its species
        above = self._resolver.find(species, replace(published, name=species, key=None))
        return above if above.taxon is None else replace(above, how=f"{found.how}, subspecies")

    def write_report(self, path: Path) -> None:
        """Write every published name with its outcome, the dropped ones first, most rows first."""
        order = {"dropped": 0, "merged": 1, "kept": 2}
        outcomes = sorted(
            self._outcomes.values(),
            key=lambda outcome: (
                order[outcome.outcome],
                -self._n_rows[outcome.published],
                outcome.published.name,
            ),
        )
        write_whole(path, csv_text(REPORT_COLUMNS, map(self._line, outcomes)).encode())

    def _line(self, outcome: NameOutcome) -> tuple[object, ...]:
        match, taxon = outcome.match, outcome.match.taxon or Taxon("")
        return (
            outcome.published.name or outcome.published.accepted,
            outcome.outcome,
            outcome.label or "",
            match.how,
            match.problem,
            "; ".join(match.near),
            "" if taxon.key is None else taxon.key,
            outcome.published.rank("kingdom"),
            self._n_rows[outcome.published],
        )

    def counts(self) -> Counter[str]:
        """How many names were kept, merged and dropped."""
        return Counter(outcome.outcome for outcome in self._outcomes.values())


def _as_published(name: str, published: PublishedName) -> NameMatch:
    accepted = parse_name(published.accepted)
    if published.accepted and not accepted.problem and name == parse_name(name).species:
        return NameMatch(
            Taxon(accepted.species, published.key, "species", published.ranks), "publisher's"
        )
    return NameMatch(Taxon(name, published.key, "species", published.ranks), "as published")


def read_corrections(path: Path) -> dict[str, str]:
    """Published name to accepted name, as a person wrote them.

    Raises:
        UsageError: Not such a table, or one name is corrected in two ways.
    """
    try:
        table = open_table(path)
        rows = list(table.rows())
    except TaskError as error:
        raise UsageError(f"table of corrections {error}") from error
    if not {"published", "accepted"} <= set(table.names):
        raise UsageError(
            f"{path}: need columns 'published' and 'accepted', found {', '.join(table.names)}"
        )
    corrections: dict[str, str] = {}
    for number, row in rows:
        published, accepted = row["published"], row["accepted"]
        if accepted and parse_name(accepted).problem:
            raise UsageError(f"{path}: line {number}: {accepted!r} is not the name of a species")
        if corrections.setdefault(published, accepted) != accepted:
            raise UsageError(f"{path}: line {number}: {published!r} is corrected in two ways")
    return corrections
