"""All tasks by id, and those that patterns name."""

from __future__ import annotations

from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING

from dawnchorus.benchmark.tasks import (
    beans_classification,
    beans_detection,
    birdset,
    individual,
    local,
    repertoire,
)
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.benchmark.tasks.base import Task

FAMILIES = (beans_classification, beans_detection, birdset, individual, repertoire, local)


@cache
def all_tasks() -> dict[str, Task]:
    """Every task by its id, in the order of the families' own lists."""
    return {task.id: task for family in FAMILIES for task in family.TASKS}


def find_tasks(patterns: Sequence[str]) -> list[Task]:
    """The tasks whose ids match any of the patterns, such as ``beans/*``, each once.

    Raises:
        UsageError: A pattern matches no task.
    """
    tasks = all_tasks()
    wanted: set[str] = set()
    for pattern in patterns:
        found = [id for id in tasks if fnmatchcase(id, pattern)]
        if not found:
            raise UsageError(_unknown(pattern, list(tasks)))
        wanted.update(found)
    return [task for id, task in tasks.items() if id in wanted]


def _unknown(pattern: str, ids: list[str]) -> str:
    names = {id.partition("/")[2]: id for id in ids}
    near = get_close_matches(pattern, ids, cutoff=0.5)
    near += [names[name] for name in get_close_matches(pattern.partition("/")[2] or pattern, names)]
    families = sorted({id.partition("/")[0] + "/*" for id in ids})
    hint = ", ".join(dict.fromkeys(near)) or ", ".join(families)
    return (
        f"no task is called {pattern!r}; did you mean {hint}? `dawnchorus benchmark tasks` has all"
    )
