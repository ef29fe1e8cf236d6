"""What a decoder written in C prints, kept from the terminal and given to whoever decodes.

mpg123 inside libsndfile prints its complaints, and no option turns that off. They go through C's
``stderr``, a variable of the C library: while a piece is decoded, that variable points to a pipe of
ours. File descriptor 2 is left alone, so Python's own output, other threads, processes started
meanwhile and the traceback of a crash all reach the terminal. What comes through the pipe and is
not mpg123's is passed on.

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
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# How mpg123 begins its lines; the first group is the message.
MESSAGE: Final = re.compile(
    rb"^(?:\[\S*libmpg123\S*\] *(?:error|warning): *|Note: |Warning: )(.*)\n?", re.MULTILINE
)
MAX_BYTES: Final = 1 << 16  # of messages about one piece; a full pipe takes no more
VARIABLES: Final = {"linux": "stderr", "darwin": "__stderrp"}  # the C library's names
UNBUFFERED: Final = 2  # _IONBF on both

_lock = threading.Lock()  # one piece at a time, so that messages belong to its recording


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


_pipe: _Pipe | None = None


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
def decoder_messages() -> Iterator[list[str]]:
    """What the decoder prints inside; the list is filled at the end. Other threads wait."""
    messages: list[str] = []
    with _lock:
        pipe = _ready()
        if pipe is None or pipe.stream is None:
            yield messages
            return
        before = pipe.variable.value
        pipe.variable.value = pipe.stream
        try:
            yield messages
        finally:
            pipe.variable.value = before
            _sort(pipe.read(), messages)


def _sort(printed: bytes, messages: list[str]) -> None:
    messages += [text.decode("ascii", "replace").strip() for text in MESSAGE.findall(printed)]
    others = MESSAGE.sub(b"", printed)
    if others.strip():
        os.write(2, others)  # another library's, or Python's own from another thread


def _in_child() -> None:
    """A forked process gets a pipe and a lock of its own, and the true ``stderr``."""
    global _pipe, _lock
    if _pipe is not None and _lock.locked():
        library = ctypes.CDLL(None)
        library.fdopen.restype = ctypes.c_void_p
        _pipe.variable.value = library.fdopen(2, b"w")
    _pipe, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
