"""What was read as what, and what was left out: the first of many, and how many more."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dawnchorus.failures import Failure

SHOWN: Final = 20


def say_notes(notes: Sequence[str]) -> None:
    """What was read as what, and what to mind."""
    for note in notes[:SHOWN]:
        say(note)
    if len(notes) > SHOWN:
        say(f"... and {len(notes) - SHOWN} more notes (all of them: --json)")


def say_left_out(messages: Sequence[str]) -> None:
    """Inputs that were left out, by their messages."""
    for message in messages[:SHOWN]:
        say(f"left out: {message}")
    if len(messages) > SHOWN:
        say(f"... and {len(messages) - SHOWN} more")


def failures_as_json(failures: Iterable[Failure]) -> list[dict[str, str]]:
    """Failures as JSON has them in all commands."""
    return [failure.to_json() for failure in failures]


def fields_of(report: Any) -> dict[str, Any]:
    """The fields of a dataclass as JSON takes them, without copying what they hold."""
    return {field.name: getattr(report, field.name) for field in fields(report)}


def report_as_json(report: Any) -> dict[str, Any]:
    """A report with ``failures`` as JSON has it; all commands call them ``bad`` there."""
    facts = asdict(report)
    del facts["failures"]
    return {**facts, "bad": failures_as_json(report.failures)}
