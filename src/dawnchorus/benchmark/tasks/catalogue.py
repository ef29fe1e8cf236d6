"""Published sets: their records in ``catalogue.yaml``, each joined with what reads its files."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from dawnchorus.benchmark.tasks.base import Download, Measures, Task
from dawnchorus.configs.yaml_file import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dawnchorus.benchmark.tasks.base import Protocol, TaskItems

FILE = "catalogue.yaml"


def tasks_of(builders: Mapping[str, Callable[[Path, Protocol], TaskItems]]) -> tuple[Task, ...]:
    """The tasks of a family, in the order of its builders.

    Args:
        builders: id of a task to what turns its folder into items.
    """
    return tuple(_task(id, _records()[id], build) for id, build in builders.items())


def _task(id: str, record: Mapping[str, Any], build: Callable[[Path, Protocol], TaskItems]) -> Task:
    strict = record.get("strict_measures")
    return Task(
        **{
            **record,
            "id": id,
            "build": build,
            "measures": Measures(**record["measures"]),
            "strict_measures": None if strict is None else Measures(**strict),
            "downloads": tuple(
                Download(**{"url": None, **download}) for download in record["downloads"]
            ),
            "native_rate_hz": record.get("native_rate_hz"),
            "crop_s": record.get("crop_s"),
        }
    )


@cache
def _records() -> dict[str, Any]:
    text = files("dawnchorus.benchmark.tasks").joinpath(FILE).read_text(encoding="utf-8")
    records: dict[str, Any] = parse_yaml(text, FILE)
    return records
