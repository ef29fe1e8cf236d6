"""Requests that spare a server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from dawnchorus.configs.data import RequestLimits
from dawnchorus.errors import RunInterruptedError
from dawnchorus.sources.download.requests import (
    FailedRequestError,
    LimitedClient,
    RateLimiter,
    retry_after_s,
)
from rude_server import Answer, RudeServer, rude_server

QUICK = RequestLimits(per_second=1000, n_tries=3, first_wait_s=0, timeout_s=0.2)


@pytest.fixture
def server() -> Iterator[RudeServer]:
    """A rude server."""
    with rude_server() as server:
        yield server


class Clock:
    """Time that goes on only by waiting."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def wait(self, wait_s: float) -> bool:
        """Let the time pass at once."""
        self.waits.append(wait_s)
        self.now += wait_s
        return False


def test_requests_to_a_host_are_spaced_and_other_hosts_do_not_wait() -> None:
    clock = Clock()
    rate_limiter = RateLimiter(4, clock=lambda: clock.now, wait=clock.wait)
    for _ in range(5):
        rate_limiter.wait_turn("a")
    assert clock.now == pytest.approx(1.0)  # four gaps of a quarter second
    rate_limiter.wait_turn("b")
    assert clock.now == pytest.approx(1.0)


def test_a_host_that_asks_for_rest_gets_it_from_all() -> None:
    clock = Clock()
    rate_limiter = RateLimiter(100, clock=lambda: clock.now, wait=clock.wait)
    rate_limiter.hold("a", 30)
    rate_limiter.wait_turn("b")
    assert clock.now == 0
    rate_limiter.wait_turn("a")
    assert clock.now == pytest.approx(30)


def test_a_stop_ends_a_wait() -> None:
    stop = threading.Event()
    stop.set()
    rate_limiter = RateLimiter(1, stop=stop)
    rate_limiter.hold("a", 1000)
    with pytest.raises(RunInterruptedError):
        rate_limiter.wait_turn("a")


def test_waits_double_and_retry_after_comes_first(server: RudeServer) -> None:
    clock = Clock()
    busy = Answer(status=503)
    url = server.says(
        "/x", busy, busy, Answer(status=429, headers={"Retry-After": "40"}), Answer(b"[1]")
    )
    limits = RequestLimits(per_second=1000, n_tries=5, first_wait_s=1)
    rate_limiter = RateLimiter(1000, clock=lambda: clock.now, wait=clock.wait)
    with LimitedClient(limits, rate_limiter) as client:
        assert client.get_json(url, {}) == [1]
    assert clock.waits == pytest.approx([1, 2, 40], abs=0.01)


def test_what_cannot_be_mended_is_not_tried_again(server: RudeServer) -> None:
    url = server.says("/gone", Answer(status=404))
    with LimitedClient(QUICK) as client, pytest.raises(FailedRequestError, match="HTTP 404"):
        client.get_json(url, {})
    assert server.n_asked("/gone") == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(status=500), "HTTP 500"),
        (Answer(b'{"a": 1}', stop_after=3), "broke off"),
        (Answer(b'{"a": 1}', stop_after=3, stall=True), "stalled"),
        (Answer(b"<html>"), "not JSON"),
    ],
)
def test_passing_faults_are_tried_again_and_then_named(
    answer: Answer, reason: str, server: RudeServer
) -> None:
    url = server.says("/x", answer, Answer(b'{"a": 1}'))
    with LimitedClient(QUICK) as client:
        assert client.get_json(url, {}) == {"a": 1}
        server.says("/x", answer)
        with pytest.raises(FailedRequestError, match=reason):
            client.get_json(url, {})
    assert server.n_asked("/x") == 2 + QUICK.n_tries


def test_a_server_that_is_not_there_is_named() -> None:
    with LimitedClient(QUICK) as client:
        with pytest.raises(FailedRequestError, match="unreachable"):
            client.get_json("http://127.0.0.1:9/x", {})
        with pytest.raises(FailedRequestError, match="not a URL"):
            client.get_json("nonsense", {})


def test_a_key_in_a_query_is_not_logged(
    server: RudeServer, caplog: pytest.LogCaptureFixture
) -> None:
    url = server.says("/x", Answer(b"1"))
    with caplog.at_level(logging.DEBUG), LimitedClient(QUICK) as client:
        client.get_json(url, {"key": "secret-key"})
    assert server.asked[0].query == {"key": "secret-key"}
    assert "secret-key" not in caplog.text


def test_retry_after_may_be_seconds_or_a_date() -> None:
    now = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
    assert retry_after_s("7", now) == 7
    assert retry_after_s("Thu, 01 Jan 2026 12:00:30 GMT", now) == 30
    assert retry_after_s("Thu, 01 Jan 2026 11:00:30 GMT", now) == 0
    assert retry_after_s("soon", now) is None
    assert retry_after_s(None, now) is None
