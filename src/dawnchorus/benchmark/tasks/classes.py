"""Published class lists, in the published order, which is that of every score matrix.

``classes.json`` holds them: of BEANS the order of its datasets.yml (ESC-50: of its target numbers),
of BirdSet its eBird codes in the order of resources/ebird_codes.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files


def classes_of(task: str) -> tuple[str, ...]:
    """The published classes of a task, such as ``beans/dogs``."""
    return tuple(_all()[task])


@cache
def _all() -> dict[str, list[str]]:
    held: dict[str, list[str]] = json.loads(
        files("dawnchorus.benchmark.tasks").joinpath("classes.json").read_text(encoding="utf-8")
    )
    return held
