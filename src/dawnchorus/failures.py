"""An input that could not be used: which one, a one-word verdict, and the whole sentence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failure:
    """One bad input of a run that went on without it.

    Attributes:
        path: the recording or table, as the user named it or as it stands in the manifest.
        reason: a one-word verdict for tables, such as ``missing`` or ``truncated``.
        message: what was found, what is needed and what to do.
    """

    path: str
    reason: str
    message: str

    def to_json(self) -> dict[str, str]:
        """As ``--json`` of all commands has it."""
        return {"path": self.path, "verdict": self.reason, "message": self.message}
