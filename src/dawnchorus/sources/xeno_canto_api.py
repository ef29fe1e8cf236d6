"""Client of Xeno-canto's API, version 3: the pages of a query, kept in a folder.

Source: https://xeno-canto.org/explore/api. A key is free to members. It is sent and nothing else:
no file, message or log holds it. Pages that are there already are not requested again, so that a
stopped run resumes.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.configs.data import RequestLimits
from dawnchorus.configs.json_file import read_json
from dawnchorus.errors import TaskError, UsageError, shown
from dawnchorus.progress import NO_PROGRESS, Progress
from dawnchorus.sources.download.requests import FailedRequestError, LimitedClient, RateLimiter
from dawnchorus.store.files import write_whole

if TYPE_CHECKING:
    import threading
    from pathlib import Path

SERVICE: Final = "https://xeno-canto.org/api/3/recordings"
KEY_VARIABLE: Final = "XENO_CANTO_KEY"
PER_PAGE: Final = 500  # the most that is given
LIMITS: Final = RequestLimits(per_second=1.0)  # as the site asks for
# tag:value or tag:"two words"; version 3 takes no words without a tag
TERM: Final = re.compile(r'(?P<tag>[a-z][a-z_]*):(?:"[^"]+"|[^\s"]+)')
QUERY_FILE: Final = "query.json"


def check_query(query: str) -> str:
    """The query in its form, one space between terms.

    Raises:
        UsageError: There is no term, or one without a tag, which version 3 does not take.
    """
    rest = query.strip()
    terms = []
    while rest:
        found = TERM.match(rest)
        if found is None or (rest[found.end() :][:1] or " ") != " ":
            wrong = rest.split()[0]
            raise UsageError(
                f"query {query!r}: {wrong!r} has no tag; each term needs one, such as gen:Turdus "
                'sp:merula, grp:birds, cnt:Brazil, q:A, lic:by-nc; quote values: cnt:"Costa Rica"'
            )
        terms.append(found[0])
        rest = rest[found.end() :].lstrip()
    if not terms:
        raise UsageError("the query is empty; need terms such as gen:Turdus sp:merula")
    return " ".join(terms)


def find_key(given: str | None) -> str:
    """The user's key, as given or from the environment.

    Raises:
        UsageError: There is none.
    """
    key = (given or os.environ.get(KEY_VARIABLE, "")).strip()
    if not key:
        raise UsageError(
            f"the API of Xeno-canto needs your key: set the variable {KEY_VARIABLE}; members find "
            "it on their account page at xeno-canto.org"
        )
    return key


def fetch_pages(
    query: str,
    folder: Path,
    *,
    key: str | None = None,
    service: str = SERVICE,
    limits: RequestLimits = LIMITS,
    stop: threading.Event | None = None,
    progress: Progress = NO_PROGRESS,
) -> int:
    """Get all pages of a query into a folder, as ``page-00001.json`` and so on.

    Args:
        query: tagged terms.
        folder: made if missing; may hold pages of the same query already.
        key: None for that in the environment.
        service: where the API is.
        limits: of requests to it.
        stop: when set, the run ends after the page.
        progress: counts the recordings that came.

    Returns:
        Number of pages.

    Raises:
        UsageError: Key or query are wrong, or the folder holds another query's pages.
        TaskError: The service does not answer, or with an error.
        RunInterruptedError: The run was stopped.
    """
    query, key = check_query(query), find_key(key)
    _claim(folder, query)
    n_pages, number = 1, 1
    advance = progress.start("asking Xeno-canto", unit="recordings")
    rate_limiter = RateLimiter(limits.per_second, stop=stop)
    with LimitedClient(limits, rate_limiter) as client:
        while number <= n_pages:
            path = folder / f"page-{number:05}.json"
            # kept by an earlier run; the query is the same, as `_claim` has checked
            if path.exists():
                page = _page(_kept(path), str(path))
            else:
                asked = {"query": query, "page": str(number), "per_page": str(PER_PAGE)}
                page = _ask(client, service, asked, key)
                # whole or not at all: half a page would be read as a short one
                write_whole(path, json.dumps(page).encode())
            n_pages = int(page["numPages"])
            advance(len(page["recordings"]))
            number += 1
    return n_pages


def _claim(folder: Path, query: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / QUERY_FILE
    asked = {"query": query, "per_page": PER_PAGE}
    if not note.exists():
        if any(folder.glob("page-*.json")):
            raise UsageError(f"{folder}: holds pages of a query that is not known; use another")
        write_whole(note, json.dumps(asked).encode())
        return
    found = _kept(note)
    if found != asked:
        held = found.get("query") if isinstance(found, dict) else found
        raise UsageError(
            f"{folder}: holds pages of {shown(held)}, asked for {query!r}; use another folder"
        )


def _kept(path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise TaskError(f"{path}: cannot be read ({error}); remove it to ask again") from error


def _ask(client: LimitedClient, service: str, asked: dict[str, str], key: str) -> dict[str, Any]:
    where = f"{service}, page {asked['page']} of {asked['query']!r}"
    try:
        answer = client.get_json(service, asked | {"key": key})
    except FailedRequestError as failure:
        advice = "check the key and the query" if not failure.temporary else "resume later"
        said = f": {failure.body[:300]}" if failure.body else ""
        raise TaskError(
            f"{where}: {failure.reason}{said.replace(key, '(key)')}; pages so far are kept: "
            f"{advice} with the same command"
        ) from failure
    return _page(answer, where)


def _page(answer: Any, where: str) -> dict[str, Any]:
    if isinstance(answer, dict) and "error" in answer:
        raise TaskError(f"{where}: {answer['error']}: {answer.get('message', 'no message')}")
    if not isinstance(answer, dict) or not {"numPages", "recordings"} <= answer.keys():
        raise TaskError(f"{where}: need numPages and recordings, found {answer!r:.80}")
    return answer
