"""Quirks of published code as named switches: True is as it was published, False mends it."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dawnchorus.benchmark.tasks.base import Protocol

Q = TypeVar("Q")  # a frozen dataclass of nothing but bools


def quirks_of(protocol: Protocol, kind: type[Q]) -> Q:
    """Everything as published under ``paper``, everything mended under ``strict``."""
    return kind() if protocol == "paper" else all_off(kind)


def all_off(kind: type[Q]) -> Q:
    """The quirks of the ``strict`` protocol."""
    return kind(**{field.name: False for field in fields(kind)})  # type: ignore[arg-type]


def switched_on(quirks: Any, among: Iterable[str]) -> tuple[str, ...]:
    """Names of those that are on, among those that mean something for a set."""
    return tuple(name for name in among if getattr(quirks, name))
