"""The client of Xeno-canto's API against a server that misbehaves."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dawnchorus.configs.data import RequestLimits
from dawnchorus.errors import RunInterruptedError, TaskError, UsageError
from dawnchorus.sources.report import SourceReport
from dawnchorus.sources.xeno_canto import read
from dawnchorus.sources.xeno_canto_api import LIMITS, check_query, fetch_pages, find_key
from rude_server import Answer, RudeServer, rude_server

QUICK = RequestLimits(per_second=1000, n_tries=3, first_wait_s=0, timeout_s=0.3)
KEY = "0123secret456789"


@pytest.fixture
def server() -> Iterator[RudeServer]:
    """A rude server."""
    with rude_server() as server:
        yield server


def page(number: int, n_pages: int = 3) -> Answer:
    """One page with one recording."""
    record = {"id": str(number), "gen": "Pica", "sp": "pica", "file": f"https://x/{number}"}
    content = {
        "numRecordings": str(n_pages),
        "numSpecies": "1",
        "page": number,
        "numPages": n_pages,
        "recordings": [record],
    }
    return Answer(json.dumps(content).encode(), content_type="application/json")


def fetch(server: RudeServer, folder: Path, query: str = "gen:Pica q:A") -> int:
    """Get all pages."""
    return fetch_pages(query, folder, key=KEY, service=server.url + "/api", limits=QUICK)


def test_pages_come_in_spite_of_faults_and_are_read_like_an_archive(
    server: RudeServer, tmp_path: Path
) -> None:
    busy = Answer(status=429, headers={"Retry-After": "0"})
    cut = Answer(page(2).body, stop_after=20)
    silent = Answer(page(2).body, stop_after=20, stall=True)
    server.says("/api", busy, page(1), cut, silent, page(2), Answer(status=503), page(3))
    assert fetch(server, tmp_path / "xc") == 3
    asked = server.asked[0].query
    assert asked == {"query": "gen:Pica q:A", "page": "1", "per_page": "500", "key": KEY}
    rows = list(read(tmp_path / "xc", SourceReport("xeno-canto")))
    assert [row.id for row in rows] == [f"xeno-canto/XC{n}" for n in (1, 2, 3)]
    n_asked = len(server.asked)
    assert fetch(server, tmp_path / "xc") == 3
    assert len(server.asked) == n_asked  # nothing is fetched twice


def test_a_stopped_run_goes_on_where_it_was(server: RudeServer, tmp_path: Path) -> None:
    server.says("/api", page(1), Answer(status=500))
    with pytest.raises(TaskError, match="HTTP 500; pages so far are kept"):
        fetch(server, tmp_path)
    server.says("/api", page(2), page(3))
    assert fetch(server, tmp_path) == 3
    assert [one.query["page"] for one in server.asked[-2:]] == ["2", "3"]
    with pytest.raises(UsageError, match="holds pages of 'gen:Pica q:A'"):
        fetch(server, tmp_path, "gen:Corvus")
    stop = threading.Event()
    stop.set()
    with pytest.raises(RunInterruptedError):
        fetch_pages(
            "gen:Pica",
            tmp_path / "other",
            key=KEY,
            service=server.says("/api", Answer(status=500)),
            limits=QUICK,
            stop=stop,
        )


def test_the_key_is_in_no_file_message_or_log(
    server: RudeServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    complaint = json.dumps({"error": "client_error", "message": f"Key {KEY} is invalid"})
    server.says("/api", page(1), Answer(complaint.encode(), status=401))
    with caplog.at_level(logging.DEBUG), pytest.raises(TaskError, match="is invalid") as caught:
        fetch(server, tmp_path)
    assert "check the key and the query" in str(caught.value)
    assert KEY not in str(caught.value)
    assert KEY not in caplog.text
    assert all(KEY not in path.read_text() for path in tmp_path.iterdir())
    assert server.n_asked("/api") == 2  # a wrong key is not tried again


def test_an_error_with_status_200_is_no_page(server: RudeServer, tmp_path: Path) -> None:
    server.says("/api", Answer(b'{"error": "server_error", "message": "sorry"}'))
    with pytest.raises(TaskError, match="server_error: sorry"):
        fetch(server, tmp_path)
    assert not list(tmp_path.glob("page-*"))


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("Turdus merula", "'Turdus'"),
        ("gen:Turdus merula", "'merula'"),
        ('cnt:"Costa Rica', "'cnt:\"Costa'"),
        ("gen:", "'gen:'"),
        ("  ", "empty"),
    ],
)
def test_only_tagged_terms_are_sent(query: str, wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        check_query(query)


def test_tagged_terms_may_be_quoted_and_compared() -> None:
    query = ' gen:Turdus   cnt:"Costa Rica" len:">30" q:A lic:by-nc-sa '
    assert check_query(query) == 'gen:Turdus cnt:"Costa Rica" len:">30" q:A lic:by-nc-sa'


def test_the_key_comes_from_the_environment_and_a_missing_one_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XENO_CANTO_KEY", "from-there")
    assert find_key(None) == "from-there"
    assert find_key("given") == "given"
    monkeypatch.delenv("XENO_CANTO_KEY")
    with pytest.raises(UsageError, match="set the variable XENO_CANTO_KEY"):
        find_key(None)


def test_the_site_is_asked_once_a_second() -> None:
    assert LIMITS.per_second == 1.0
