"""Who may ask the server for what: one door in front of every route.

The page shows recordings that may be secret (where a rare bird breeds) and writes annotations. So
a program on another machine, and a page of another site in the same browser, must get nothing:

* whoever has no cookie gets nothing; the cookie comes once, for the token in the printed address;
* a request for another host's name is refused, so that a foreign site cannot have its own name
  point here (DNS rebinding);
* what writes must be JSON and come from this very page; a form of another site can be neither;
* bodies are bounded in size and time, and so are requests at once.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import secrets
import threading
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from dawnchorus.publication import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BODY_BYTES: Final = 32_000_000  # a dropped clip as base64
MOST_JSON_BYTES: Final = 4_000_000  # anything else
BODY_WITHIN_S: Final = 20.0
MOST_AT_ONCE: Final = 32
MOST_WAITING: Final = 256
LONGEST_QUERY: Final = 4_096
WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
READS: Final = frozenset({"GET", "HEAD"})
JSON: Final = "application/json"
LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
CSP: Final = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = (
    ("Content-Security-Policy", CSP),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("X-Dawnchorus-Version", VERSION),
)


class RefusedError(Exception):
    """A request that is answered with a refusal."""

    def __init__(self, status: int, text: str) -> None:
        """The status and what is said."""
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass
class Door:
    """Tokens and names of one run of the server.

    Attributes:
        hosts: names by which the server may be called, in lower case, beside any IP address that
            it listens at on purpose.
        any_address: it listens beyond this machine, so its own addresses are names too.
        read_only: nothing may be written.
        on_new_token: told of the next token when one was used, so that another browser can come in.
    """

    hosts: frozenset[str] = LOOPBACK_NAMES
    any_address: bool = False
    read_only: bool = False
    body_within_s: float = BODY_WITHIN_S
    on_new_token: Callable[[str], object] = lambda _token: None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    cookie: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    # cookies of one host are shared by all its ports: another server's must not be replaced
    cookie_name: str = field(default_factory=lambda: f"dawnchorus_{secrets.token_hex(4)}")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admits(self, given: str) -> bool:
        """Whether this is the token; it is used up by that."""
        with self._lock:
            if not hmac.compare_digest(given.encode(), self.token.encode()):
                return False
            self.token = secrets.token_urlsafe(32)
        self.on_new_token(self.token)
        return True

    def knows(self, headers: dict[str, str]) -> bool:
        """Whether a request has the cookie."""
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        found = cookies.get(self.cookie_name)
        return found is not None and hmac.compare_digest(found.value.encode(), self.cookie.encode())

    def is_named(self, host: str) -> bool:
        """Whether a Host header names this server."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self.hosts:
            return True
        if not self.any_address:
            return False
        try:
            ipaddress.ip_address(name)  # an address cannot be pointed elsewhere, a name can
        except ValueError:
            return False
        return True


class Guard:
    """ASGI middleware: checks each request before any route sees it."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        """Stand in front of an app."""
        self._app = app
        self._door = door
        self._slots: asyncio.Semaphore | None = None
        self._n_waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            await self._checked(scope, receive, _with_headers(send))
        except RefusedError as refused:
            accepts = dict(scope["headers"]).get(b"accept", b"")
            kind = "text/plain; charset=utf-8" if b"text/html" in accepts else JSON
            await _answer(_with_headers(send), refused.status, refused.text, kind=kind)

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1")
                   for name, value in scope["headers"]}  # fmt: skip
        self._check_host(scope, headers)
        token = _token(scope)
        if token is not None and scope["path"] == "/":
            await self._enter(token, headers, send)
            return
        if not self._door.knows(headers):
            raise RefusedError(
                401,
                "This page needs the address that 'dawnchorus serve' printed on the terminal; each "
                "opens one browser, and a new one is printed when it was used.",
            )
        if scope["method"] in WRITES:
            self._check_write(scope, headers)
            receive = await self._whole_body(scope, receive, headers)
        elif scope["method"] not in READS:
            raise RefusedError(405, f"{scope['method']}: not answered here")
        await self._in_turn(scope, receive, send)

    def _check_host(self, scope: Scope, headers: dict[str, str]) -> None:
        names = [value for name, value in scope["headers"] if name.lower() == b"host"]
        if len(names) != 1 or not self._door.is_named(headers.get("host", "")):
            raise RefusedError(
                421, "This server is not called so; open the address that it printed."
            )
        if len(scope.get("query_string", b"")) > LONGEST_QUERY:
            raise RefusedError(414, "The address is too long.")

    async def _enter(self, token: str, headers: dict[str, str], send: Send) -> None:
        """Give the cookie for the token, and take the token out of the address."""
        door = self._door
        if door.knows(headers):  # the tab was loaded again
            await _answer(send, 303, "", (("Location", "/"),))
            return
        if not door.admits(token):
            raise RefusedError(
                403,
                "This address was used already, or is not whole. The terminal of 'dawnchorus "
                "serve' shows a new one.",
            )
        cookie = f"{door.cookie_name}={door.cookie}; Path=/; HttpOnly; SameSite=Strict"
        await _answer(send, 303, "", (("Set-Cookie", cookie), ("Location", "/")))

    def _check_write(self, scope: Scope, headers: dict[str, str]) -> None:
        origin = urlsplit(headers.get("origin", ""))
        same = origin.scheme in {"http", "https"} and origin.netloc == headers.get("host")
        if not same or headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise RefusedError(403, "Only the page of this server may write.")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RefusedError(415, "Need JSON (Content-Type: application/json).")
        # a list is asked for by POST, and writes nothing
        if self._door.read_only and scope["path"] not in READ_BY_POST:
            raise RefusedError(403, "This server was started with --read-only.")

    async def _whole_body(self, scope: Scope, receive: Receive, headers: dict[str, str]) -> Receive:
        """Take in the body first: within its bounds, and before a thread is bound by it."""
        most = MOST_BODY_BYTES if scope["path"] == "/api/clips" else MOST_JSON_BYTES
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdecimal() or int(length) > most:
            raise RefusedError(413, f"The request is too large; at most {most:,} bytes.")
        try:
            body = await asyncio.wait_for(_read(receive, most), self._door.body_within_s)
        except TimeoutError as error:
            raise RefusedError(
                408, f"The request did not come whole within {self._door.body_within_s:g} s."
            ) from error
        return _given(body, receive)

    async def _in_turn(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._slots is None:
            self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        if self._slots.locked() and self._n_waiting >= MOST_WAITING:
            raise RefusedError(503, "Too many requests at once; try again in a moment.")
        self._n_waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._n_waiting -= 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._slots.release()


READ_BY_POST: Final = frozenset({"/api/lists", "/api/clips"})


def _token(scope: Scope) -> str | None:
    values = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token")
    return values[0] if values else None


async def _read(receive: Receive, most: int) -> bytes:
    pieces: list[bytes] = []
    n_bytes = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise RefusedError(400, "The request ended too early.")
        pieces.append(message.get("body", b""))
        n_bytes += len(pieces[-1])
        if n_bytes > most:
            raise RefusedError(413, f"The request is too large; at most {most:,} bytes.")
        if not message.get("more_body", False):
            return b"".join(pieces)


def _given(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return messages.pop() if messages else await receive()

    return next_message


def _with_headers(send: Send) -> Send:
    """Every answer carries the same rules for the browser, whoever made it."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message["headers"]}
            more = [
                (name.encode(), value.encode())
                for name, value in HEADERS
                if name.lower().encode() not in there
            ]
            if b"cache-control" not in there:
                more.append((b"Cache-Control", b"no-store"))
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return sent


async def _answer(
    send: Send,
    status: int,
    text: str,
    headers: tuple[tuple[str, str], ...] = (),
    *,
    kind: str = JSON,
) -> None:
    body = json.dumps({"error": text}).encode() if text and kind == JSON else text.encode()
    pairs = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    pairs += [(name.lower().encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
