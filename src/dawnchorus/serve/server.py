"""Running the server: address, token, browser, and an end that loses nothing."""

from __future__ import annotations

import socket
import threading
import webbrowser
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.errors import DependencyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from dawnchorus.serve.guard import Door
    from dawnchorus.serve.session import Session

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
RISK: Final = (
    "Other machines can reach this server. Whoever sees the printed address, or the traffic, hears "
    "the recordings and can judge: the connection is not encrypted. Over an ssh tunnel it is: ssh "
    "-L 8765:localhost:8765 THIS-MACHINE, and no --allow-remote."
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen.

    Attributes:
        host: of this machine alone, unless ``allow_remote``.
        port: 0: any that is free.
        allow_remote: another host than loopback is meant.
    """

    host: str = "127.0.0.1"
    port: int = 0
    allow_remote: bool = False

    def __post_init__(self) -> None:
        """Refuse to listen to other machines by mistake.

        Raises:
            UsageError: As the line above says.
        """
        if self.host not in LOOPBACK and not self.allow_remote:
            raise UsageError(
                f"--host {self.host}: other machines could reach it; say --allow-remote if that is "
                f"meant. {RISK}"
            )
        if not 0 <= self.port <= 65_535:
            raise UsageError(f"--port {self.port}: need 0 to 65535; 0 takes any that is free")


def run_server(
    make_session: Callable[[], Session],
    address: Address,
    *,
    show: Callable[[str], object],
    say: Callable[[str], object],
    open_browser: bool = True,
    read_only: bool = False,
) -> None:
    """Serve until Ctrl-C.

    The browser is opened first: it takes its time too, and its question waits at the socket until
    stores and libraries are there.

    Args:
        make_session: opens what is shown.
        address: where to listen.
        show: gets the address with its token.
        say: gets what else is to be said, and the address for another browser.
        open_browser: open it in the browser of this machine.
        read_only: refuse everything that writes.

    Raises:
        DependencyError: starlette or uvicorn is not installed.
        UsageError: The port is taken.
    """
    try:
        import uvicorn  # noqa: PLC0415  an extra

        from dawnchorus.serve.guard import LOOPBACK_NAMES, Door  # noqa: PLC0415  needs it too
    except ImportError as error:
        raise DependencyError("starlette and uvicorn", "serve", "the page") from error
    listener = _listener(address)
    try:
        base = _base(address, listener)
        names = {*LOOPBACK_NAMES, address.host.lower()}
        if address.allow_remote:
            names.add(socket.gethostname().lower())
            say(RISK)
        door = Door(
            hosts=frozenset(names),
            any_address=address.allow_remote,
            read_only=read_only,
            on_new_token=lambda token: say(f"For another browser: {base}?token={token}"),
        )
        first = f"{base}?token={door.token}"
        show(first)
        say("Open this address; it works once. Ctrl-C ends the server.")
        if open_browser:
            # a thread: some systems' openers do not return at once
            threading.Thread(target=webbrowser.open, args=[first], daemon=True).start()
        _serve_session(uvicorn, make_session, door, listener)
    finally:
        listener.close()


def _base(address: Address, listener: socket.socket) -> str:
    here = address.host in {*LOOPBACK, "0.0.0.0", "::"}  # noqa: S104
    return f"http://{'127.0.0.1' if here else address.host}:{listener.getsockname()[1]}/"


def _serve_session(
    uvicorn: Any, make_session: Callable[[], Session], door: Door, listener: socket.socket
) -> None:
    session = make_session()
    try:
        from dawnchorus.serve.app import make_app  # noqa: PLC0415  needs starlette, an extra

        _serve(uvicorn, make_app(session, door), listener)
    finally:
        session.close()


def _listener(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only for sockets that say TCP: with it the body of an
    # answer waits up to 40 ms for the browser to acknowledge the head
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
        # from now on a browser is answered, if only when the server has begun
        listener.listen()
    except OSError as error:
        listener.close()
        raise UsageError(
            f"{address.host}, port {address.port}: cannot be listened at: {error.strerror}; "
            "another server may run there: name another --port, or 0 for any"
        ) from error
    return listener


def _serve(uvicorn: Any, app: ASGIApp, listener: socket.socket) -> None:
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # addresses hold labels and tokens
        lifespan="off",
        server_header=False,
        limit_concurrency=512,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=3,
        ws="none",
    )
    with suppress(KeyboardInterrupt):  # what was judged is on the disk already
        uvicorn.Server(config).run(sockets=[listener])
