"""Names looked up one by one at GBIF's species match service, and kept, so that it is once only.

For a few hundred names without the backbone's table. Each answer is a line of a file; with
``offline`` only that file is used.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.configs.data import RequestLimits
from dawnchorus.configs.json_file import parse_json
from dawnchorus.errors import TaskError
from dawnchorus.sources.download.requests import FailedRequestError, LimitedClient
from dawnchorus.sources.names.scientific import RANKS, NameMatch, PublishedName, Taxon

if TYPE_CHECKING:
    from pathlib import Path

SERVICE: Final = "https://api.gbif.org/v1/species/match"
HINTS: Final = ("kingdom", "class", "order", "family")


class SpeciesMatch:
    """Accepted taxa by the match service, version 1."""

    def __init__(
        self,
        cache: Path,
        *,
        offline: bool = False,
        service: str = SERVICE,
        limits: RequestLimits | None = None,
    ) -> None:
        """Read what was looked up before.

        Args:
            cache: JSON lines, made when missing.
            offline: ask nobody.
            service: where the service is.
            limits: of requests to it.

        Raises:
            TaskError: The cache holds something else.
            DependencyError: The HTTP library is not installed, and not ``offline``.
        """
        self._cache, self._service = cache, service
        self._client = None if offline else LimitedClient(limits or RequestLimits())
        self._known = _read(cache)

    def find(self, name: str, published: PublishedName) -> NameMatch:
        """The accepted taxon of a name without authors; a fuzzy match is only a suggestion.

        Raises:
            TaskError: The service does not answer, also not when asked again.
        """
        asked = {"name": name} | {
            rank: published.rank(rank) for rank in HINTS if published.rank(rank)
        }
        # name and ranks: a homonym of another kingdom is another question
        question = json.dumps(asked, sort_keys=True)
        if question not in self._known:
            if self._client is None:
                return NameMatch(problem="not looked up before, and offline")
            self._keep(question, self._ask(self._client, asked))
        return _match(self._known[question])

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()

    def _ask(self, client: LimitedClient, asked: dict[str, str]) -> dict[str, Any]:
        try:
            answer = client.get_json(self._service, asked | {"strict": "true"})
        except FailedRequestError as failure:
            raise TaskError(
                f"{self._service}: {failure.reason} for {asked['name']!r}; what was looked up so "
                f"far is in {self._cache}: try again later, or use the backbone's table"
            ) from failure
        if not isinstance(answer, dict) or "matchType" not in answer:
            raise TaskError(f"{self._service}: need an object with matchType, got {answer!r:.80}")
        return answer

    def _keep(self, question: str, answer: dict[str, Any]) -> None:
        self._known[question] = answer
        with self._cache.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"asked": question, "answer": answer}) + "\n")


def _read(cache: Path) -> dict[str, dict[str, Any]]:
    if not cache.exists():
        return {}
    known = {}
    lines = cache.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, start=1):
        try:
            entry = parse_json(line) if line else None
            if entry is not None:
                known[entry["asked"]] = entry["answer"]
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):  # a kill while it was written; it is looked up again
                cache.write_text("".join(f"{one}\n" for one in lines[:-1]), encoding="utf-8")
                break
            raise TaskError(f"{cache}: line {number} is no answer kept before: {error}") from error
    return known


def _match(answer: dict[str, Any]) -> NameMatch:
    kind = answer["matchType"]
    near = str(answer.get("canonicalName") or "")
    # the service guesses when it does not find; a guess must not become a label
    if kind != "EXACT":
        problem = "only a fuzzy match" if kind == "FUZZY" else "not in the backbone"
        return NameMatch(problem=problem, near=(near,) if near and kind == "FUZZY" else ())
    species, key = answer.get("species"), answer.get("speciesKey")
    if not species or key is None:
        return NameMatch(problem=f"matched as {answer.get('rank', 'another rank').lower()} only")
    ranks = tuple(str(answer.get(rank) or "") for rank in RANKS)
    how = "synonym" if answer.get("synonym") else str(answer.get("status", "accepted")).lower()
    return NameMatch(Taxon(str(species), int(key), "species", ranks), how)
