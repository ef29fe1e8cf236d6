"""A score that may be undefined, and then says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec

from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Callable

Arguments = ParamSpec("Arguments")


@dataclass(frozen=True, slots=True)
class Score:
    """A number, or nan with a reason.

    Attributes:
        reason: empty where the value is defined.
    """

    value: float
    reason: str = ""


def scored(
    function: Callable[Arguments, float], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Score:
    """Call a metric; where it is undefined the score is nan with what the metric said."""
    try:
        return Score(float(function(*args, **kwargs)))
    except TaskError as error:
        return Score(float("nan"), str(error))
