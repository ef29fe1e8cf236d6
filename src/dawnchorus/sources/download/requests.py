"""Requests within limits: spaced per host, repeated with growing waits, and only where it may help.

A server that answers "too many requests" or "not now" is left alone for as long as it says, by all
threads. What a second try cannot change (no such file, not allowed) is not tried again.

`RateLimiter` spaces requests, `LimitedClient.request` makes one, `LimitedClient.retry` repeats
whatever makes one. Errors of the HTTP library end here, as `FailedRequestError`.
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

    from dawnchorus.configs.data import RequestLimits

Result = TypeVar("Result")
# Answers that may be different later. Source: RFC 9110; 425 is of RFC 8470, 429 of RFC 6585.
TEMPORARY: Final = {408, 425, 429, 500, 502, 503, 504}
LONGEST_WAIT_S: Final = 3600.0  # a server that asks for more is asked again after an hour
# Loggers that write out URLs, with the keys that are in their queries.
LOGGERS: Final = ("httpx2", "httpcore2.http11", "httpcore2.http2", "httpcore2.connection")
MOST_JSON_BYTES: Final = 64 << 20
BODY_BYTES: Final = 1000  # of an error's explanation
OK, PARTIAL = 200, 206


class FailedRequestError(Exception):
    """A request failed; callers turn this into an error that a user sees.

    Attributes:
        reason: in two or three words, for tables.
        temporary: whether trying again may help.
        wait_s: how long the server asks to be left alone.
        body: the beginning of its answer.
    """

    def __init__(
        self, reason: str, *, temporary: bool, wait_s: float | None = None, body: str = ""
    ) -> None:
        """Keep all of it."""
        super().__init__(reason)
        self.reason, self.temporary, self.wait_s, self.body = reason, temporary, wait_s, body


class RateLimiter:
    """Lets requests to a host through at a fixed rate, and none while the host is on hold."""

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
            wait: waits for some seconds; true if it was stopped. None: waits for ``stop``.
        """
        # evenly spaced, not in bursts: some servers count over a second, some over a minute
        self._gap_s = 1 / per_second
        self._clock = clock
        self._wait = wait or (stop or threading.Event()).wait
        self._due: dict[str, float] = {}  # when the next request to a host may start
        self._lock = threading.Lock()

    def wait_turn(self, host: str) -> None:
        """Wait until a request to the host may start.

        Raises:
            RunInterruptedError: The run was stopped.
        """
        while True:  # another thread may take the turn in the meantime
            with self._lock:
                now = self._clock()
                # one after the other: the next turn is taken under the lock, the wait is outside
                due = self._due.get(host, now)
                if due <= now:
                    self._due[host] = now + self._gap_s
                    return
            self.pause(due - now)

    def hold(self, host: str, wait_s: float) -> None:
        """Let no request to the host start for so many seconds."""
        with self._lock:
            until = self._clock() + min(wait_s, LONGEST_WAIT_S)
            self._due[host] = max(self._due.get(host, 0.0), until)

    def pause(self, wait_s: float) -> None:
        """Wait.

        Raises:
            RunInterruptedError: The run was stopped.
        """
        if self._wait(wait_s):
            raise RunInterruptedError("stopped; what was finished is kept")


class LimitedClient:
    """An HTTP client that keeps to limits; many threads may share it."""

    def __init__(self, limits: RequestLimits, rate_limiter: RateLimiter | None = None) -> None:
        """Open no connection yet.

        Raises:
            DependencyError: The HTTP library is not installed.
        """
        try:
            import httpx2  # noqa: PLC0415  slow to import
        except ImportError as missing:
            raise DependencyError("httpx2", "data", "downloading") from missing
        self.limits = limits
        self.rate_limiter = rate_limiter or RateLimiter(limits.per_second)
        self._http = httpx2
        # the hook sees every request, those that follow a redirect too
        self._client = httpx2.Client(
            timeout=limits.timeout_s,
            follow_redirects=True,
            # uncompressed: sound does not shrink, and a bomb cannot unpack
            headers={"User-Agent": limits.user_agent, "Accept-Encoding": "identity"},
            event_hooks={"request": [self._check_redirect]},
        )
        self._first = threading.local()  # the host that a thread's request was made to
        mask_logs()

    def __enter__(self) -> LimitedClient:
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
        host, first = request.url.host, self._first.host
        if host != first and is_inside(host) and not is_inside(first):
            raise FailedRequestError("redirected into a private network", temporary=False)

    @contextmanager
    def request(
        self,
        url: str,
        *,
        method: str = "GET",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[httpx2.Response]:
        """One request, in its turn; the caller reads the body of the answer as it comes.

        Raises:
            FailedRequestError: No answer, one that is not 200 or 206, or one that breaks off.
            RunInterruptedError: The run was stopped.
        """
        try:
            host, self._first.host = host_of(url), self._http.URL(url).host
        except (ValueError, self._http.InvalidURL) as error:
            raise FailedRequestError("not a URL", temporary=False) from error
        self.rate_limiter.wait_turn(host)
        try:
            with self._client.stream(method, url, params=query, headers=headers) as answer:
                if answer.status_code not in {OK, PARTIAL}:
                    raise self._refusal(host, answer)
                yield answer
        except (self._http.InvalidURL, self._http.UnsupportedProtocol, UnicodeError) as error:
            raise FailedRequestError("not a URL", temporary=False) from error
        except self._http.TimeoutException as error:
            raise FailedRequestError("stalled", temporary=True) from error
        except self._http.RemoteProtocolError as error:
            raise FailedRequestError("broke off", temporary=True) from error
        except self._http.TransportError as error:
            raise FailedRequestError("unreachable", temporary=True) from error
        except self._http.TooManyRedirects as error:
            raise FailedRequestError("redirects in a circle", temporary=False) from error

    def _refusal(self, host: str, answer: httpx2.Response) -> FailedRequestError:
        wait_s = retry_after_s(answer.headers.get("Retry-After"), datetime.now(UTC))
        status = answer.status_code
        if status in TEMPORARY and wait_s is not None:
            self.rate_limiter.hold(host, wait_s)
        # as it was sent: what is compressed may unpack to any size
        body = next(answer.iter_raw(BODY_BYTES), b"").decode(errors="replace")
        return FailedRequestError(
            f"HTTP {status}", temporary=status in TEMPORARY, wait_s=wait_s, body=body
        )

    def retry(self, attempt: Callable[[], Result]) -> Result:
        """Call until it succeeds, with twice the wait before each further try.

        Raises:
            FailedRequestError: The last failure, or the first that is not temporary.
            RunInterruptedError: The run was stopped.
        """
        wait_s = self.limits.first_wait_s
        for left in reversed(range(self.limits.n_tries)):
            try:
                return attempt()
            except FailedRequestError as failure:
                if not failure.temporary or not left:
                    raise
                if failure.wait_s is None:  # otherwise the rate limiter holds the host already
                    self.rate_limiter.pause(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
        raise AssertionError("n_tries is at least one")

    def get_json(self, url: str, query: Mapping[str, str]) -> Any:
        """An answer in JSON, whole.

        Raises:
            FailedRequestError: There is none, also not after all tries.
        """

        def attempt() -> Any:
            with self.request(url, query=query) as answer:
                try:
                    return parse_json(_whole(answer))
                except ValueError as error:
                    raise FailedRequestError("not JSON", temporary=True) from error

        return self.retry(attempt)


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
            raise FailedRequestError(f"larger than {MOST_JSON_BYTES >> 20} MB", temporary=False)
    return bytes(content)


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """The header ``Retry-After``, seconds or a date, as seconds from now; None if there is none."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):  # TypeError: a date without a zone
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
