"""Requests that spare a server: spaced per host, tried again with growing waits, never in vain.

A server that answers "too many requests" or "not now" is left alone for as long as it says, by all
threads. What a second try cannot mend (no such file, not allowed) is not tried again.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from dawnchorus.configs.json_file import parse_json
from dawnchorus.errors import DependencyError, RunInterruptedError
from dawnchorus.sources.download.redirects import is_inside
from dawnchorus.url_secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    import httpx2

    from dawnchorus.configs.data import MannersConfig

Result = TypeVar("Result")
PASSING: Final = {408, 425, 429, 500, 502, 503, 504}  # answers that may be others later
LONGEST_WAIT_S: Final = 3600.0
LOGGERS: Final = ("httpx2", "httpcore2.http11", "httpcore2.http2", "httpcore2.connection")
MOST_JSON_BYTES: Final = 64 << 20
BODY_BYTES: Final = 1000  # of an error's explanation
OK, PARTIAL = 200, 206


class FailedRequestError(Exception):
    """A request came to nothing; callers turn this into an error that a user sees.

    Attributes:
        reason: in two or three words, for tables.
        passing: whether trying again may help.
        wait_s: how long the server asked to be left alone.
        body: the beginning of what it said.
    """

    def __init__(
        self, reason: str, *, passing: bool, wait_s: float | None = None, body: str = ""
    ) -> None:
        """Keep the verdict."""
        super().__init__(reason)
        self.reason, self.passing, self.wait_s, self.body = reason, passing, wait_s, body


class Turnstile:
    """Lets requests to a host through at a fixed rate, and none while the host is left alone."""

    def __init__(
        self,
        per_second: float,
        *,
        stop: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """Start with every host free.

        Args:
            per_second: requests a second to one host.
            stop: ends every wait.
            clock: seconds, never going back.
            wait: waits for some seconds; true if told to stop. None: until ``stop`` is set.
        """
        self._gap_s = 1 / per_second
        self._clock = clock
        self._wait = wait or (stop or threading.Event()).wait
        self._due: dict[str, float] = {}
        self._lock = threading.Lock()

    def pass_through(self, host: str) -> None:
        """Wait for one's turn.

        Raises:
            RunInterruptedError: Told to stop.
        """
        while True:
            with self._lock:
                now = self._clock()
                due = self._due.get(host, now)
                if due <= now:
                    self._due[host] = now + self._gap_s
                    return
            self.pause(due - now)

    def hold(self, host: str, wait_s: float) -> None:
        """Nobody asks this host before so many seconds have gone."""
        with self._lock:
            until = self._clock() + min(wait_s, LONGEST_WAIT_S)
            self._due[host] = max(self._due.get(host, 0.0), until)

    def pause(self, wait_s: float) -> None:
        """Wait.

        Raises:
            RunInterruptedError: Told to stop.
        """
        if self._wait(wait_s):
            raise RunInterruptedError("stopped; what was finished is kept")


class PoliteClient:
    """An HTTP client with manners; may be used by many threads."""

    def __init__(self, manners: MannersConfig, turnstile: Turnstile | None = None) -> None:
        """Open no connection yet.

        Raises:
            DependencyError: The HTTP library is not installed.
        """
        try:
            import httpx2  # noqa: PLC0415  slow to import
        except ImportError as missing:
            raise DependencyError("httpx2", "data", "downloading") from missing
        self.manners = manners
        self.turnstile = turnstile or Turnstile(manners.per_second)
        self._http = httpx2
        self._client = httpx2.Client(
            timeout=manners.timeout_s,
            follow_redirects=True,
            headers={"User-Agent": manners.user_agent, "Accept-Encoding": "identity"},
            event_hooks={"request": [self._check_redirect]},
        )
        self._asked = threading.local()  # the host that a thread's request began with
        mask_logs()

    def __enter__(self) -> PoliteClient:
        """To be closed at the end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every connection."""
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _check_redirect(self, request: httpx2.Request) -> None:
        host, first = request.url.host, self._asked.host
        if host != first and is_inside(host) and not is_inside(first):
            raise FailedRequestError("redirected into a private network", passing=False)

    @contextmanager
    def ask(
        self,
        url: str,
        *,
        method: str = "GET",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[httpx2.Response]:
        """One request, in its turn; the answer's body is read by the caller as it comes.

        Raises:
            FailedRequestError: No answer, one that is not 200 or 206, or one that breaks off.
            RunInterruptedError: Told to stop.
        """
        try:
            host, self._asked.host = host_of(url), self._http.URL(url).host
        except (ValueError, self._http.InvalidURL) as error:
            raise FailedRequestError("not a URL", passing=False) from error
        self.turnstile.pass_through(host)
        try:
            with self._client.stream(method, url, params=query, headers=headers) as answer:
                if answer.status_code not in {OK, PARTIAL}:
                    raise self._refused(host, answer)
                yield answer
        except (self._http.InvalidURL, self._http.UnsupportedProtocol, UnicodeError) as error:
            raise FailedRequestError("not a URL", passing=False) from error
        except self._http.TimeoutException as error:
            raise FailedRequestError("stalled", passing=True) from error
        except self._http.RemoteProtocolError as error:
            raise FailedRequestError("broke off", passing=True) from error
        except self._http.TransportError as error:
            raise FailedRequestError("unreachable", passing=True) from error
        except self._http.TooManyRedirects as error:
            raise FailedRequestError("redirects in a circle", passing=False) from error

    def _refused(self, host: str, answer: httpx2.Response) -> FailedRequestError:
        wait_s = retry_after_s(answer.headers.get("Retry-After"), datetime.now(UTC))
        status = answer.status_code
        if status in PASSING and wait_s is not None:
            self.turnstile.hold(host, wait_s)
        # as it came: what is packed may be very large
        body = next(answer.iter_raw(BODY_BYTES), b"").decode(errors="replace")
        return FailedRequestError(
            f"HTTP {status}", passing=status in PASSING, wait_s=wait_s, body=body
        )

    def persist(self, attempt: Callable[[], Result]) -> Result:
        """Call until it succeeds, waiting longer each time, or until that is in vain.

        Raises:
            FailedRequestError: The last failure.
            RunInterruptedError: Told to stop.
        """
        wait_s = self.manners.first_wait_s
        for left in reversed(range(self.manners.n_tries)):
            try:
                return attempt()
            except FailedRequestError as failure:
                if not failure.passing or not left:
                    raise
                if failure.wait_s is None:  # else the host is held already
                    self.turnstile.pause(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
        raise AssertionError("n_tries is at least one")

    def get_json(self, url: str, query: Mapping[str, str]) -> Any:
        """An answer in JSON, whole.

        Raises:
            FailedRequestError: None came, also not when tried again.
        """

        def attempt() -> Any:
            with self.ask(url, query=query) as answer:
                try:
                    return parse_json(_whole(answer))
                except ValueError as error:
                    raise FailedRequestError("not JSON", passing=True) from error

        return self.persist(attempt)


def host_of(url: str) -> str:
    """Host and port of a URL, without the name and password that may stand before them.

    Raises:
        ValueError: It is not a URL.
    """
    return urlsplit(url).netloc.rpartition("@")[2]


def _whole(answer: httpx2.Response) -> bytes:
    content = bytearray()
    for chunk in answer.iter_bytes():
        content += chunk
        if len(content) > MOST_JSON_BYTES:
            raise FailedRequestError(f"larger than {MOST_JSON_BYTES >> 20} MB", passing=False)
    return bytes(content)


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """The header ``Retry-After``, seconds or a date, as seconds from now; None if there is none."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):  # TypeError: a date without zone
        return None


def mask_logs() -> None:
    """Keep the HTTP library from logging the secrets that URLs hold."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if _masked not in logger.filters:
            logger.addFilter(_masked)


def _masked(record: logging.LogRecord) -> bool:
    record.msg, record.args = without_secrets(record.getMessage()), ()
    return True
