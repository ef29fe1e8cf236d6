"""Flags and subcommands that were renamed: the old name works for one version, and says so.

A command names its old flags beside the function that has the new ones::

    @renamed({"--at-once": "--downloads", "--label": "--column labels="})
    def download(...): ...

`current` then rewrites the arguments before they are parsed, so that neither the help nor the
function knows the old names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from dawnchorus.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    AnyCommand = TypeVar("AnyCommand", bound=Callable[..., Any])

OLD_FLAGS: Final = "__old_flags__"
DROPPED_FLAGS: Final = "__dropped_flags__"
NEW_COMMAND: Final = "__new_command__"


def renamed(
    flags: Mapping[str, str], *, dropped: Mapping[str, str] | None = None
) -> Callable[[AnyCommand], AnyCommand]:
    """Mark a command whose flags had other names.

    Args:
        flags: the old flag, and the new one. A new one of two words takes the value at its end:
            ``--label Species`` with ``--column labels=`` becomes ``--column labels=Species``.
        dropped: flags that are accepted and do nothing, and why. ``--prefix VALUE`` is one that
            has a value.
    """

    def mark(command: AnyCommand) -> AnyCommand:
        setattr(command, OLD_FLAGS, dict(flags))
        setattr(command, DROPPED_FLAGS, dict(dropped or {}))
        return command

    return mark


def renamed_command(new: str) -> Callable[[AnyCommand], AnyCommand]:
    """Mark a whole subcommand as an old name: hidden in the help, and it says what to call now."""

    def mark(command: AnyCommand) -> AnyCommand:
        setattr(command, NEW_COMMAND, new)
        return command

    return mark


def new_name(command: Callable[..., Any]) -> str | None:
    """What to call instead of a command that is an old name; None for all others."""
    name: str | None = getattr(command, NEW_COMMAND, None)
    return name


def current(command: Callable[..., Any], arguments: Sequence[str]) -> list[str]:
    """A command's arguments with today's names of flags; each old one is reported once."""
    new_flags: dict[str, str] = getattr(command, OLD_FLAGS, {})
    dropped: dict[str, str] = getattr(command, DROPPED_FLAGS, {})
    reasons = {flag.split()[0]: why for flag, why in dropped.items()}
    with_value = {flag.split()[0] for flag in dropped if len(flag.split()) > 1}
    result: list[str] = []
    reported: set[str] = set()
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word == "--":  # what follows are paths, whatever they look like
            return [*result, word, *words]
        flag, sign, value = word.partition("=")
        if flag in new_flags:
            result += _renamed(new_flags[flag], sign, value, words)
            _report(flag, f"{flag} is now {new_flags[flag]}", reported)
        elif flag in reasons:
            if flag in with_value and not sign:
                del words[:1]
            _report(
                flag, f"{flag} is no longer an option and is ignored: {reasons[flag]}", reported
            )
        else:
            result.append(word)
    return result


def _renamed(new: str, sign: str, value: str, words: list[str]) -> list[str]:
    """The new flag with its value; a flag of two words takes the value off ``words``."""
    flag, _, start = new.partition(" ")
    if not start:
        return [f"{flag}{sign}{value}"]
    if not sign and words:
        value = words.pop(0)
    return [flag, start + value]


def _report(flag: str, text: str, reported: set[str]) -> None:
    if flag not in reported:
        say(f"warning: {text}")
    reported.add(flag)
