"""What a decoder written in C prints, kept from the terminal and given to whoever decodes.

mpg123 inside libsndfile prints its complaints, and no option turns that off. They go through C's
``stderr``, a variable of the C library: while a piece is decoded, that variable points to a pipe of
ours. File descriptor 2 is left alone, so Python's own output, other threads, processes started
meanwhile and the traceback of a crash all reach the terminal. What comes through the pipe and is
not mpg123's is passed on.

Several threads may listen at once, and the pipe does not say whose decoder printed. Where that is
not certain, nobody gets the message and each is told so: who needs to know decodes again, alone.

Only glibc and macOS let the variable be set. Elsewhere the decoder still prints to the terminal.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dawnchorus.audio.decode.together import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator

# How mpg123 begins its lines; the first group is the message.
MESSAGE: Final = re.compile(
    rb"^(?:\[\S*libmpg123\S*\] *(?:error|warning): *|Note: |Warning: )(.*)\n?", re.MULTILINE
)
MAX_BYTES: Final = 1 << 16  # of messages about one piece; a full pipe takes no more
VARIABLES: Final = {"linux": "stderr", "darwin": "__stderrp"}  # the C library's names
UNBUFFERED: Final = 2  # _IONBF on both

_lock = threading.Lock()
_gate = Gate()  # of all that listen


class _Pipe:
    """A pipe behind a C stream that can stand in for ``stderr``."""

    def __init__(self, library: ctypes.CDLL, variable: ctypes.c_void_p) -> None:
        self.variable = variable
        self._reader, writer = os.pipe()
        os.set_blocking(writer, False)  # rather lose messages than wait for a reader
        os.set_blocking(self._reader, False)
        library.fdopen.restype = ctypes.c_void_p
        library.setvbuf.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
        self.stream: int | None = library.fdopen(writer, b"w")
        library.setvbuf(self.stream, None, UNBUFFERED, 0)

    def read(self) -> bytes:
        """What came through."""
        try:
            return os.read(self._reader, MAX_BYTES)
        except BlockingIOError:
            return b""


@dataclass(eq=False, slots=True)
class Heard:
    """What one decoder printed; not all of it, unless ``is_sure``. Complete at the end."""

    messages: list[str] = field(default_factory=list)
    is_sure: bool = True


_pipe: _Pipe | None = None
_listeners: list[Heard] = []
_before: int | None = None  # the true stderr, while somebody listens


def _can_be_set() -> bool:
    # musl keeps the variable where it cannot be written
    return sys.platform == "darwin" or platform.libc_ver()[0] == "glibc"


def _ready() -> _Pipe | None:
    global _pipe  # noqa: PLW0603  one per process, as there is one stderr
    if _pipe is None and _can_be_set():
        library = ctypes.CDLL(None)
        variable = ctypes.c_void_p.in_dll(library, VARIABLES[sys.platform])
        _pipe = _Pipe(library, variable)
    return _pipe


@contextmanager
def decoder_messages(*, alone: bool = False) -> Iterator[Heard]:
    """What the decoder prints inside; ``alone``: no other thread listens meanwhile."""
    heard = Heard()
    with _gate.alone() if alone else _gate.together():
        _begin(heard)
        try:
            yield heard
        finally:
            _end(heard)


def _begin(heard: Heard) -> None:
    global _before  # noqa: PLW0603  of the process, as stderr is
    with _lock:
        pipe = _ready()
        if pipe is not None and not _listeners:
            _before = pipe.variable.value
            pipe.variable.value = pipe.stream
        _listeners.append(heard)


def _end(heard: Heard) -> None:
    with _lock:
        pipe = _ready()
        printed = b"" if pipe is None else pipe.read()
        messages = _sorted(printed)
        # what came since somebody last looked is of those that listen now
        if messages and len(_listeners) == 1:
            heard.messages += messages
        elif messages:
            for listener in _listeners:
                listener.is_sure = False
        _listeners.remove(heard)
        if pipe is not None and not _listeners:
            pipe.variable.value = _before


def _sorted(printed: bytes) -> list[str]:
    """The decoder's messages; the rest is passed on."""
    others = MESSAGE.sub(b"", printed)
    if others.strip():
        os.write(2, others)  # another library's, or Python's own from another thread
    return [text.decode("ascii", "replace").strip() for text in MESSAGE.findall(printed)]


def _in_child() -> None:
    """A forked process gets a pipe and a lock of its own, and the true ``stderr``."""
    global _pipe, _lock, _gate
    if _pipe is not None and _listeners:
        library = ctypes.CDLL(None)
        library.fdopen.restype = ctypes.c_void_p
        _pipe.variable.value = library.fdopen(2, b"w")
    _pipe, _lock, _gate = None, threading.Lock(), Gate()
    _listeners.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
