"""What there is in a source, what was kept of it, and why other recordings were not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

# of each reason; enough to look one up
N_EXAMPLES: Final = 3
N_BAD_LINES: Final = 1000


@dataclass(slots=True)
class SourceReport:
    """Counts; ``n_found`` is ``n_kept`` and all of ``dropped`` together.

    Attributes:
        source: name of the source.
        n_found: recordings in the source.
        n_kept: rows of the manifest.
        hours: of the kept ones whose duration is known.
        n_without_duration: kept ones whose duration is not.
        dropped: reason to number of recordings.
        examples: reason to the first few ids.
        noted: what is not a recording, or was corrected; to number.
        licences: of the kept ones.
        formats: of the kept ones, as published.
        names: published names that were kept, merged and dropped.
        n_labels: different labels in the manifest.
        n_bad_lines: malformed lines of the tables.
        bad_lines: the first of them: file, line, what is wrong.
    """

    source: str
    n_found: int = 0
    n_kept: int = 0
    hours: float = 0.0
    n_without_duration: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    noted: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    names: Counter[str] = field(default_factory=Counter)
    n_labels: int = 0
    n_bad_lines: int = 0
    bad_lines: list[tuple[str, int, str]] = field(default_factory=list)

    def drop(self, reason: str, example: str, n: int = 1) -> None:
        """Recordings that are found and left out."""
        self.n_found += n
        self.dropped[reason] += n
        examples = self.examples.setdefault(reason, [])
        if len(examples) < N_EXAMPLES:
            examples.append(example)

    def keep(self, *, duration_s: float | None, licence: str | None, form: str) -> None:
        """A recording that is found and kept."""
        self.n_found += 1
        self.n_kept += 1
        if duration_s is None:
            self.n_without_duration += 1
        else:
            self.hours += duration_s / 3600
        self.licences[licence or "not stated"] += 1
        self.formats[form or "not stated"] += 1

    def bad_line(self, file: str, line: int, problem: str) -> None:
        """A malformed line."""
        self.n_bad_lines += 1
        if len(self.bad_lines) < N_BAD_LINES:
            self.bad_lines.append((file, line, problem))
