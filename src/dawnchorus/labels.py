"""Label maps: which logit is which name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dawnchorus.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def read_label_map(path: Path) -> list[str]:
    """Read ``label_map.json``: a flat object, label to index of its logit.

    Returns:
        Labels in the order of the logits.

    Raises:
        WeightsError: Not such a file, or the indices are not 0 to n - 1, each once.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: not a readable label map: {error}") from error
    if not isinstance(content, dict) or not content:
        raise WeightsError(
            f"{path}: need a JSON object of label to index, found {str(content)[:60]}"
        )
    wrong = [(label, index) for label, index in content.items() if type(index) is not int]
    if wrong:
        raise WeightsError(
            f"{path}: label {wrong[0][0]!r} has index {wrong[0][1]!r}, need a number"
        )
    if sorted(content.values()) != list(range(len(content))):
        raise WeightsError(
            f"{path}: {len(content)} labels need the indices 0 to {len(content) - 1}, each once; "
            f"found {min(content.values())} to {max(content.values())}"
        )
    return sorted(content, key=lambda label: int(content[label]))


def label_map_text(labels: Sequence[str]) -> str:
    """Labels in the order of the logits, in the form that `read_label_map` reads."""
    return json.dumps({label: index for index, label in enumerate(labels)}, indent=0) + "\n"


def write_label_map(path: Path, labels: Sequence[str]) -> None:
    """Write `label_map_text`."""
    path.write_text(label_map_text(labels), encoding="utf-8")
