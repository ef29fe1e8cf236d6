"""A web server on this machine that misbehaves as told, and remembers what it was asked."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass
class Answer:
    """One answer; after ``stop_after`` bytes it breaks off, or falls silent with ``stall``."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "audio/mpeg"
    etag: str | None = '"v1"'
    ranges: bool = True  # False: the header Range is ignored
    stop_after: int | None = None
    stall: bool = False


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


class RudeServer:
    """Answers per path, in turn; the last one again and again."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[Asked] = []
        self.over = threading.Event()
        self.n_open = self.n_open_at_most = 0
        self._lock = threading.Lock()
        self.url = ""

    def says(self, path: str, *answers: Answer) -> str:
        """Set the answers of a path; its URL."""
        self.answers[path] = list(answers)
        return self.url + path

    def n_asked(self, path: str, method: str = "GET") -> int:
        """How often a path was asked for."""
        return sum(one.path == path and one.method == method for one in self.asked)

    def answer(self, handler: BaseHTTPRequestHandler, method: str) -> None:
        """Answer one request."""
        parts = urlsplit(handler.path)
        with self._lock:
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            self.asked.append(Asked(method, parts.path, query, dict(handler.headers)))
            turns = self.answers.get(parts.path, [Answer(status=404)])
            answer = turns.pop(0) if len(turns) > 1 and method == "GET" else turns[0]
            self.n_open += 1
            self.n_open_at_most = max(self.n_open, self.n_open_at_most)
        try:
            self._send(handler, answer, method)
        finally:
            with self._lock:
                self.n_open -= 1

    def _send(self, handler: BaseHTTPRequestHandler, answer: Answer, method: str) -> None:
        body, status, headers = answer.body, answer.status, dict(answer.headers)
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        same = handler.headers.get("If-Range", answer.etag) == answer.etag
        if wanted and answer.ranges and same and status == 200:
            first = int(wanted[1])
            if first >= len(body):
                status, body = 416, b""
            else:
                headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
                status, body = 206, body[first:]
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("Content-Type", answer.content_type)
        if answer.etag:
            handler.send_header("ETag", answer.etag)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        if method == "HEAD":
            return
        handler.wfile.write(body[: answer.stop_after])
        handler.wfile.flush()
        if answer.stall:
            self.over.wait(20)
        if answer.stop_after is not None:
            handler.close_connection = True


@contextmanager
def rude_server() -> Iterator[RudeServer]:
    """Serve until the end of the block."""
    server = RudeServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server.answer(self, "GET")

        def do_HEAD(self) -> None:
            server.answer(self, "HEAD")

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # clients that hang up are what is tested

    with Quiet(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            http.shutdown()
            thread.join()
