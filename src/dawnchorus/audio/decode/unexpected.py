"""Unexpected errors, as the failure of the one recording that they came with."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from dawnchorus.error_log import log_error
from dawnchorus.errors import AudioError, DawnChorusError

if TYPE_CHECKING:
    from collections.abc import Iterator

Item = TypeVar("Item")
INTERNAL: Final = "internal"  # the reason of an error that is a bug of ours or of a library


@contextmanager
def recording_errors(name: object, *, system_errors: bool = True) -> Iterator[None]:
    """Any error inside becomes the failure of one recording; our own errors pass.

    Nothing that a recording holds may end a run, nor a bug of ours that only it brings out.

    Args:
        name: the recording, as messages call it.
        system_errors: those of the system are the recording's as well. False: they pass, because
            something else than a recording was written or read.

    Raises:
        AudioError: Its reason is ``missing`` or ``input-output`` for errors of the system, else
            ``internal``; its cause is what was raised.
    """
    try:
        yield
    except DawnChorusError:
        raise
    except OSError as error:
        if not system_errors:
            raise
        if isinstance(error, FileNotFoundError):
            raise AudioError(f"{name}: no such file", reason="missing") from error
        text = f"{name}: {error.strerror or error}"
        raise AudioError(text, reason="input-output") from error
    except Exception as error:
        raise internal_error(name, error) from error


def guarded(items: Iterator[Item], name: object) -> Iterator[Item]:
    """The same items; only what making them raises is the recording's, not what is done with them.

    Raises:
        AudioError: As `recording_errors`. Other errors of ours pass.
    """
    while True:
        with recording_errors(name):
            item = next(items, None)
        if item is None:
            return
        yield item


def internal_error(name: object, error: Exception) -> AudioError:
    """What `recording_errors` raises for an unexpected error; its traceback goes to the log."""
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    log = log_error(name, error)
    where = f" (traceback in {log})" if log else ""
    return AudioError(
        f"{name}: an error that dawnchorus did not foresee: {text}{where}", reason=INTERNAL
    )
