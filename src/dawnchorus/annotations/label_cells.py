"""What a cell of a column of labels says: one label, several, or that there is none."""

from __future__ import annotations

import ast
import re
from collections import Counter
from typing import TYPE_CHECKING

from dawnchorus.annotations.annotation import SHOWN
from dawnchorus.text_tables.values import is_missing

if TYPE_CHECKING:
    from pathlib import Path


class LabelCells:
    """Cells of one table to labels; counts those that say that there is none."""

    def __init__(self, table: Path, separator: str | None = None) -> None:
        """``separator``: between several labels in a cell; None: a cell is one label."""
        self.table = table
        self.separator = separator
        self._missing: Counter[str] = Counter()
        self._seen: set[str] = set()

    def labels(self, cell: str) -> tuple[str, ...]:
        """The labels of a cell, each once; a list as Python writes it is several."""
        parts = _python_list(cell)
        if parts is None:
            parts = [cell] if self.separator is None else cell.split(self.separator)
        parts = [part.strip() for part in parts]
        if not any(parts):
            self._missing[""] += 1
        self._missing.update(part for part in parts if part and is_missing(part))
        labels = tuple(dict.fromkeys(part for part in parts if not is_missing(part)))
        self._seen.update(labels)
        return labels

    def notes(self) -> list[str]:
        """Warnings: of cells without a label, and of those that look like several."""
        notes = []
        if self._missing:
            words = [f"{word!r} {n}" if word else f"empty {n}" for word, n in self._missing.items()]
            notes.append(
                f"{self.table}: rows without a label ({', '.join(words[:SHOWN])}) are clips in "
                "which no label holds; if one of these words is a name, spell it differently"
            )
        # only after the whole table: "a, b" is several if "a" and "b" are labels of other rows
        for sign in ";,|":
            several = [label for label in self._seen if self._looks_like_several(label, sign)]
            if several:
                notes.append(
                    f"{self.table}: {min(several)!r} is read as one label, and its parts are "
                    f"labels too; if it is several, say --separator {sign!r}"
                )
        return notes

    def _looks_like_several(self, label: str, sign: str) -> bool:
        parts = label.split(sign)
        return len(parts) > 1 and all(part.strip() in self._seen for part in parts)


def _python_list(cell: str) -> list[str] | None:
    """The texts of ``['wren', 'robin']``, as pandas writes a list into a cell."""
    # only brackets around quoted text: a label may begin with one
    if not re.fullmatch(r"\[\s*((['\"]).*\2)?\s*\]", cell):
        return None
    try:
        parts = ast.literal_eval(cell)
    except (ValueError, SyntaxError):
        return None
    return parts if all(isinstance(part, str) for part in parts) else None
