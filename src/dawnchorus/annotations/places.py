"""Where the recordings of annotations lie, and how long they are: what foreign tables need."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dawnchorus.errors import UsageError
from dawnchorus.paths import absolute, from_stored_name, stored_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dawnchorus.annotations.annotation_row import AnnotationRow


@dataclass(frozen=True, slots=True)
class Places:
    """Folder and lengths of recordings.

    Attributes:
        folder: that the paths of the rows start at.
        length_s: length of a recording by its path, None where it is not known; asked for only
            where a form needs it.
    """

    folder: Path = field(default_factory=Path)
    length_s: Callable[[str], float | None] = lambda _path: None

    def whole(self, path: str) -> str:
        """The path from the root, which other programs need; URLs stay."""
        return stored_name(absolute(from_stored_name(path, self.folder)))

    def end_s(self, row: AnnotationRow) -> float:
        """Where a row ends: where its recording does, if it says nothing.

        Raises:
            UsageError: The length of the recording is not known.
        """
        return self._duration_s(row.path) if row.end_s is None else row.end_s

    def begin_s(self, rows: Sequence[AnnotationRow]) -> dict[str, float]:
        """When each recording begins, if they follow each other in the order of the rows.

        Raises:
            UsageError: The length of one that another follows is not known.
        """
        begins, clock_s = {}, 0.0
        paths = list(dict.fromkeys(row.path for row in rows))
        for path in paths:
            begins[path] = clock_s
            if path != paths[-1]:
                clock_s += self._duration_s(path)
        return begins

    def _duration_s(self, path: str) -> float:
        length_s = self.length_s(path)
        if length_s is None:
            raise UsageError(
                f"{path}: this format needs the length of the recording, and it cannot be read "
                f"below {self.folder}; say where the recordings are with --audio, or name a folder "
                "to write a table for each"
            )
        return length_s
