"""What comes of a job of the page."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from dawnchorus.serve.bodies import JobQuery, ListAnswer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job.

    Attributes:
        summary: in sentences.
        command: that does the same on the command line.
        result: sounds to look at.
    """

    summary: tuple[str, ...]
    command: str
    result: ListAnswer | None = None


def needed_label(query: JobQuery) -> str:
    """The label of a job.

    Raises:
        UsageError: There is none.
    """
    if not query.label:
        raise UsageError("which label? Choose one first")
    return query.label


def quoted(path: Path) -> str:
    """A path as on a command line."""
    return shlex.quote(str(path))
