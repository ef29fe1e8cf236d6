"""The tree drawn in ``errors`` is the tree that is there."""

from __future__ import annotations

import re

from dawnchorus import errors
from dawnchorus.errors import (
    LONGEST_MESSAGE,
    LONGEST_VALUE,
    DawnChorusError,
    DependencyError,
    UsageError,
    shown,
)


def test_every_error_stands_in_the_drawing_with_its_exit_code() -> None:
    drawn = dict(re.findall(r"(\w+Error)\s+(\d+)", errors.__doc__ or ""))
    made = {
        name: str(kind.exit_code)
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, DawnChorusError)
    }
    assert drawn == made


def test_a_missing_package_is_named_with_the_command_that_brings_it() -> None:
    error = DependencyError("av", "av", "reading M4A")
    assert "reading M4A needs the package 'av'" in str(error)
    assert "pip install 'dawnchorus[av]'" in str(error)


def test_a_value_or_a_message_of_any_size_is_cut_short() -> None:
    value: object = "x" * 1000
    for _ in range(12):  # 10^12 items when written out
        value = [value] * 10
    assert len(shown(value)) <= LONGEST_VALUE
    assert shown({"a": (1, None)}) == "{'a': (1, None)}"
    message = str(UsageError("begin" + "x" * 10**6 + "end"))
    assert len(message) <= LONGEST_MESSAGE
    assert message.startswith("begin")
    assert message.endswith("end")
