"""What the classification and the detection sets of BEANS share: labels are of its classes.

Source: Hagiwara et al., BEANS: the benchmark of animal sounds, 2022, arXiv 2210.12300.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dawnchorus.benchmark.tasks.checks import named
from dawnchorus.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Iterable


def check_labels(task: str, labels: Iterable[str], classes: Iterable[str]) -> None:
    """Refuse labels that are none of the published classes.

    Raises:
        TaskError: It names them.
    """
    unknown = set(labels) - set(classes)
    if unknown:
        raise TaskError(f"{task}: labels that are no class of BEANS: {named(sorted(unknown))}")
