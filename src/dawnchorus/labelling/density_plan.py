"""What was drawn for a density: a file beside the annotations, so that nobody has to remember.

Windows were drawn at random *within bins of some scores*. In bins of other scores they are no
random sample, so the plan keeps the scores of the windows drawn, and is only used with them. There
is a plan for each label and scores: ``density-wren.json``, ``density-wren-2.json`` and so on.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.configs import Config
from dawnchorus.configs.json_file import read_json
from dawnchorus.errors import StoreError, UsageError
from dawnchorus.paths import remote_errors
from dawnchorus.store.files import write_whole
from dawnchorus.store.schema import recording_id
from dawnchorus.store.storage import names_in

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

VERSION: Final = 1
PREFIX: Final = "density-"
LONGEST_NAME: Final = 60  # characters of the label in the name of the file
# the same probe on another machine differs in the last digits
RELATIVE, ABSOLUTE = 1e-3, 1e-5


class DrawnWindow(Config):
    """A window that was drawn: where it is, the id of its annotation, its score then."""

    path: str
    window: int
    id: str
    score: float


class DensityPlan(Config):
    """Bins of scores and the windows that were drawn of each.

    Attributes:
        label: that is judged.
        scored_by: what made the scores, in words.
        edges: scores at which bins begin, from the second on.
        n_windows: of the archive at the first draw.
        seed: of the next draw.
        drawn: every window that was drawn.
    """

    format_version: int = VERSION
    label: str
    scored_by: str
    edges: tuple[float, ...]
    n_windows: int
    seed: int
    drawn: tuple[DrawnWindow, ...]

    def places(self) -> list[tuple[str, int]]:
        """Recording and number of each window drawn."""
        return [(recording_id(drawn.path), drawn.window) for drawn in self.drawn]

    def is_of(self, scores: NDArray[np.floating], rows: NDArray[np.int64]) -> bool:
        """Whether the windows were drawn by these scores.

        Args:
            scores: ``(windows,)`` of the archive now.
            rows: ``(drawn,)`` of the windows drawn; -1: no longer in the archive.
        """
        then = np.array([drawn.score for drawn in self.drawn])
        there = rows >= 0
        same = np.isclose(scores[rows[there]], then[there], rtol=RELATIVE, atol=ABSOLUTE)
        return bool(same.all())


def read_plans(folder: Path, label: str) -> dict[Path, DensityPlan]:
    """All plans of a label in a folder of annotations, oldest first.

    Raises:
        StoreError: A plan is damaged.
    """
    names = [name for name in names_in(folder) if re.fullmatch(r"density-.*\.json", name)]
    plans = {folder / name: _read(folder / name) for name in names}
    mine = [(path, plan) for path, plan in plans.items() if plan.label == label]
    return dict(sorted(mine, key=lambda item: (len(item[0].name), item[0].name)))


def new_plan_path(folder: Path, label: str) -> Path:
    """A name that no plan has yet."""
    # labels may hold anything; the plan itself says which label it is of
    slug = re.sub(r"[^0-9A-Za-z]+", "_", label).strip("_")[:LONGEST_NAME] or "label"
    taken, number = set(names_in(folder)), 1
    while (name := f"{PREFIX}{slug}{f'-{number}' if number > 1 else ''}.json") in taken:
        number += 1
    return folder / name


def write_plan(path: Path, plan: DensityPlan) -> None:
    """Write a plan, whole or not at all.

    Raises:
        StoreError: It cannot be written.
    """
    text = json.dumps(plan.model_dump(), indent=1, ensure_ascii=False)
    write_whole(path, f"{text}\n".encode("utf-8", "surrogateescape"))


def _read(path: Path) -> DensityPlan:
    try:
        with remote_errors(path):
            values = read_json(path)
        plan = DensityPlan(**values)
    except (OSError, ValueError, TypeError, UsageError) as error:
        raise StoreError(
            f"{path}: this plan of a density cannot be read: {error}. Take it back from a backup; "
            "without it nobody knows which windows were drawn at random"
        ) from error
    if plan.format_version != VERSION:
        raise StoreError(f"{path}: plan of format {plan.format_version}, this version reads 1")
    return plan
