"""The real program: it says its address once, ends by Ctrl-C, and a kill loses no judgement."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from dawnchorus.annotations.annotation_table import AnnotationTable
from dawnchorus.cli.serve import STORE_HEADER
from dawnchorus.errors import UsageError
from dawnchorus.serve.server import Address, _listener, run_server
from dawnchorus.serve.session import Session
from dawnchorus.store.schema import HEADER_NAME
from serve.test_judgements import said


class Program:
    """``dawnchorus serve`` in a process of its own, and a browser that opened its address."""

    def __init__(self, home: Path) -> None:
        words = ["-m", "dawnchorus", "serve", str(home / "x.store"), "--port", "0", "--no-browser"]
        self.process = subprocess.Popen(
            [sys.executable, *words, "--author", "ann"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        self.base = self.address.partition("/?token=")[0]
        cookies = urllib.request.HTTPCookieProcessor(CookieJar())
        # no proxy of the machine that tests run on
        self._browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)
        with self._browser.open(self.address) as answer:
            assert answer.status == 200

    def write(self, route: str, **body: object) -> dict:
        request = urllib.request.Request(  # noqa: S310  our own server
            f"{self.base}{route}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Origin": self.base},
        )
        with self._browser.open(request) as answer:
            return json.load(answer)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGKILL)

    def end(self, number: int) -> tuple[int, str]:
        self.process.send_signal(number)
        _, told = self.process.communicate(timeout=30)
        return self.process.returncode, told


@pytest.mark.cli
def test_what_was_acknowledged_survives_a_kill(home: Path) -> None:
    acknowledged: list[str] = []
    for begin in (0, 6):
        with Program(home) as program:
            items = program.write("/api/lists", place="windows", label="wren")["items"]
            for item in items[begin : begin + 6]:
                body = {"author": "ann", "judgements": [said(item)]}
                acknowledged += program.write("/api/judgements", **body)["keys"]
            program.end(signal.SIGKILL)
    rows = AnnotationTable(home / "x.annotations").rows("wren", "present")
    assert len(rows) == len(acknowledged) == 12
    assert {f"key-0-{row.recording_id}-{row.start_s}" for row in rows} == set(acknowledged)


@pytest.mark.cli
def test_ctrl_c_ends_it_without_a_traceback(home: Path) -> None:
    with Program(home) as program:
        assert program.address.startswith("http://127.0.0.1:")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with pytest.raises(urllib.error.HTTPError, match="403") as refused:
            opener.open(program.address)  # somebody who read it over a shoulder
        refused.value.close()
        code, told = program.end(signal.SIGINT)
    assert code in {0, 130}
    assert "Traceback" not in told
    assert "For another browser: http://127.0.0.1:" in told
    assert "works once" in told


def test_other_machines_are_let_in_on_purpose_only() -> None:
    with pytest.raises(UsageError, match="say --allow-remote if that is meant"):
        Address("0.0.0.0")  # noqa: S104
    assert Address("0.0.0.0", allow_remote=True).host == "0.0.0.0"  # noqa: S104
    with pytest.raises(UsageError, match="need 0 to 65535"):
        Address(port=70_000)


def test_an_answer_does_not_wait_for_the_browser_to_acknowledge_its_head() -> None:
    """asyncio switches the delay off for sockets that say TCP, and for no others."""
    listener = _listener(Address())
    try:
        assert listener.proto == socket.IPPROTO_TCP
    finally:
        listener.close()


def test_a_port_that_is_taken_is_said() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match="name another --port"):
            _listener(Address(port=port))


def test_the_browser_starts_while_the_stores_are_opened() -> None:
    told: list[str] = []

    def make_session() -> Session:
        told.append("stores")
        raise UsageError("they are damaged")

    with pytest.raises(UsageError, match="damaged"):
        run_server(make_session, Address(), show=told.append, say=str, open_browser=False)
    assert told[0].startswith("http://127.0.0.1:")
    assert told[1:] == ["stores"]
    # and none is opened for a folder that is no store
    assert STORE_HEADER == HEADER_NAME
