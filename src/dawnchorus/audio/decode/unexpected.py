"""Errors that nobody foresaw, as the failure of the one recording that they came with."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from dawnchorus.error_log import log_fault
from dawnchorus.errors import AudioError, DawnChorusError

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERNAL: Final = "internal"


@contextmanager
def unforeseen(named: object, *, system_errors: bool = True) -> Iterator[None]:
    """Whatever goes wrong inside is the fault of one recording; our own errors pass.

    Args:
        named: the recording, as the message calls it.
        system_errors: those are the recording's as well; False: they pass, since something else
            than a recording was written or read.

    Raises:
        AudioError: Its reason is ``missing`` or ``input-output`` for errors of the system, else
            ``internal``; its cause is what was raised. Nothing that a recording holds may end a
            run, nor a fault of ours that only this recording brings out.
    """
    try:
        yield
    except DawnChorusError:
        raise
    except FileNotFoundError as error:
        if not system_errors:
            raise
        raise AudioError(f"{named}: no such file", reason="missing") from error
    except OSError as error:
        if not system_errors:
            raise
        text = f"{named}: {error.strerror or error}"
        raise AudioError(text, reason="input-output") from error
    except Exception as error:
        raise internal_error(named, error) from error


def internal_error(named: object, error: Exception) -> AudioError:
    """What `unforeseen` raises; the traceback is in the log."""
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    log = log_fault(named, error)
    kept = f" (traceback in {log})" if log else ""
    return AudioError(
        f"{named}: an error that dawnchorus did not foresee: {text}{kept}", reason=INTERNAL
    )
