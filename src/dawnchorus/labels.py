"""Label maps: which logit is which name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dawnchorus.configs.json_file import read_json
from dawnchorus.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class LabelMapping(dict[str, Any]):  # Any: one dictionary each way
    """Labels of a model in both forms that code for the released library reads.

    The dictionary is the released library's: ``["index_to_label"][7]`` and
    ``["label_to_index"]["robin"]``. An index finds its label too, as text or as a number:
    ``.get("7")``, ``["7"]``, ``[7]``, ``"7" in mapping``.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        """``labels``: in the order of the logits."""
        super().__init__(
            label_to_index={label: index for index, label in enumerate(labels)},
            index_to_label=dict(enumerate(labels)),
        )

    def __missing__(self, key: object) -> str:
        """The label of an index."""
        label = self._label(key)
        if label is None:
            last = len(self["index_to_label"]) - 1
            raise KeyError(
                f"{key!r}: need label_to_index, index_to_label, or an index from 0 to {last}"
            )
        return label

    def __contains__(self, key: object) -> bool:
        """Whether it is one of the two names, or an index."""
        return super().__contains__(key) or self._label(key) is not None

    def get(self, key: object, default: Any = None) -> Any:
        """As of a dictionary, with indices among the keys."""
        label = self._label(key)
        return super().get(str(key), default) if label is None else label

    def _label(self, key: object) -> str | None:
        text = str(key)
        # ascii: int() would take digits of other scripts, and code of the released library does not
        if isinstance(key, bool) or not (text.isascii() and text.isdecimal()):
            return None
        label: str | None = self["index_to_label"].get(int(text))
        return label


def read_label_map(path: Path) -> list[str]:
    """Read ``label_map.json``: an object of label to index of its logit.

    The released library's forms are read too: ``{"label_to_index": {...}, ...}``, and index (as
    text) to label.

    Returns:
        Labels in the order of the logits.

    Raises:
        WeightsError: Not such a file, or the indices are not 0 to n - 1, each once.
    """
    try:
        content = _label_to_index(read_json(path))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: not a readable label map: {error}") from error
    if not isinstance(content, dict) or not content:
        raise WeightsError(
            f"{path}: need a JSON object of label to index, found {str(content)[:60]}"
        )
    # type() and not isinstance: true is an int to Python and no index
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


def _label_to_index(content: Any) -> Any:
    """One form of the three that label maps come in; anything else stays as it is."""
    if not isinstance(content, dict):
        return content
    inner = content.get("label_to_index")
    if isinstance(inner, dict):
        return inner
    by_index = content and all(k.isdecimal() and isinstance(v, str) for k, v in content.items())
    if not by_index:
        return content
    inverted = {label: int(index) for index, label in content.items()}
    if len(inverted) < len(content):
        raise ValueError("two indices have one label")
    return inverted


def label_map_text(labels: Sequence[str]) -> str:
    """Labels in the order of the logits, in the form that `read_label_map` reads."""
    return json.dumps({label: index for index, label in enumerate(labels)}, indent=0) + "\n"


def write_label_map(path: Path, labels: Sequence[str]) -> None:
    """Write `label_map_text`."""
    path.write_text(label_map_text(labels), encoding="utf-8")
