"""Every error that dawnchorus raises on purpose, each with the exit code of the command line.

::

    DawnChorusError            1  something failed
    ├── UsageError             2  an argument, option or config key is wrong
    │   └── DependencyError    2  an optional extra is not installed
    ├── AudioError             1  a recording cannot be read
    ├── DeviceError            1  a device that was asked for is missing or out of memory
    ├── WeightsError           1  weights do not fit the model, or are not what the card says
    │   └── DownloadError      1  weights are neither on disk nor reachable
    ├── StoreError             1  an embedding store is damaged, foreign or of other settings
    ├── TaskError              1  a task or dataset cannot be scored
    ├── TrainingError          1  training cannot start or continue
    └── RunInterruptedError  130 the user or the scheduler stopped the run
    DawnChorusWarning          -  nothing failed, something was assumed or left out

A message says where, what was found, what is needed and what to do. Foreign errors are caught only
at the border where a foreign library is called, by name, and one of these is raised from them.

A value out of a file is put into a message by `shown`, never by ``repr``: what a file of 500 bytes
stands for may be gigabytes when it is written out.
"""

from __future__ import annotations

import warnings
from reprlib import Repr
from typing import Final

from dawnchorus.filename_text import printable
from dawnchorus.url_secrets import without_secrets

LONGEST_VALUE: Final = 120  # characters of one value in a message
LONGEST_MESSAGE: Final = 4000

_SHORT: Final = Repr()
_SHORT.maxlevel = 3
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = _SHORT.maxfrozenset = _SHORT.maxdict = 4
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


def shown(value: object) -> str:
    """A value as Python writes it, but never more than `LONGEST_VALUE` characters of it."""
    return shortened(_SHORT.repr(value), LONGEST_VALUE)


def shortened(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """A text with its middle left out if it is longer than ``longest`` characters."""
    if len(text) <= longest:
        return text
    half = (longest - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"


class DawnChorusError(Exception):
    """Base of all errors raised on purpose."""

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        """Keep the message: printable, without passwords of URLs, the middle left out if long."""
        super().__init__(shortened(without_secrets(printable(message))))


class UsageError(DawnChorusError):
    """An argument, option or config key is wrong; nothing was started."""

    exit_code = 2


class DependencyError(UsageError):
    """An optional dependency is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        """Name the package, the extra that brings it and what it is needed for."""
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed; "
            f"run: pip install 'dawnchorus[{extra}]'"
        )


class AudioError(DawnChorusError):
    """A recording cannot be read; ``reason`` is a one-word verdict for tables."""

    def __init__(self, message: str, *, reason: str = "unreadable") -> None:
        """Keep the one-word verdict beside the message."""
        super().__init__(message)
        self.reason = reason


class DeviceError(DawnChorusError):
    """A device that was asked for is missing, or it ran out of memory."""


class WeightsError(DawnChorusError):
    """Weights do not fit the model exactly, or are not the ones that the card names."""


class DownloadError(WeightsError):
    """Weights are neither on disk nor reachable."""


class StoreError(DawnChorusError):
    """An embedding store is damaged, is not ours, or was made with other settings."""


class TaskError(DawnChorusError):
    """A task or dataset cannot be prepared or scored."""


class TrainingError(DawnChorusError):
    """Training cannot start, resume or continue."""


class RunInterruptedError(DawnChorusError):
    """The user or the scheduler stopped the run; what was finished is kept."""

    exit_code = 130


class DawnChorusWarning(UserWarning):
    """Something was assumed or left out, and the result has to be read with that in mind."""

    def __init__(self, message: str = "") -> None:
        """Keep the message as an error of ours does."""
        super().__init__(shortened(without_secrets(printable(message))))


# each time, not once a process: the second of two models may be the one that matters. Appended, so
# that a filter of the user's counts before it.
warnings.simplefilter("always", DawnChorusWarning, append=True)


def __getattr__(name: str) -> object:
    """The names of before 0.2, for one version, with a warning."""
    renamed = {"DawnchorusError": DawnChorusError, "DawnchorusWarning": DawnChorusWarning}
    if name not in renamed:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    new = renamed[name]
    warnings.warn(f"{name} is now called {new.__name__}", DeprecationWarning, stacklevel=2)
    return new
