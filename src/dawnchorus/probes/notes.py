"""What is kept in a probe about how it was fitted."""

from __future__ import annotations

import warnings
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field

from dawnchorus.configs.base import Config

Finite = Annotated[float, Field(allow_inf_nan=False)]


class ProbeNotes(Config):
    """Notes on a fit, a frozen record.

    The fields below are those that code reads again, so they are checked when a probe is loaded.
    Everything else (scores, thresholds with their intervals, whatever a user of `save_online` adds)
    is kept for people and programs outside, as plain JSON, and reached through ``model_extra``.
    """

    model_config = ConfigDict(extra="allow")

    chosen: dict[str, Finite] | None = Field(
        default=None, description="hyper-parameter to the value that was chosen"
    )
    chosen_on: str | None = Field(
        default=None, description="on which clips, in words; 'validation' or the folds"
    )
    score: Any = Field(  # Any: a user of `save_online` may keep a plain number here
        default=None, description="measure, value and loss that the choice was made by"
    )
    n_train: int | None = Field(default=None, description="items it was trained on")
    n_validation: int | None = Field(default=None, description="items that choices were made on")
    not_trained: tuple[str, ...] = Field(
        default=(), description="classes without training items, which always rank last"
    )
    model: str | None = Field(
        default=None, description="name, file or folder of the encoder, as the user gave it"
    )
    window_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        default=None, description="length of the windows it was fitted on; predict cuts the same"
    )
    files: tuple[str, ...] = Field(
        default=(), description="first digits of the SHA-256 of each file it was fitted on"
    )
    background: tuple[str, ...] = Field(
        default=(), description="labels that mean: none of the classes is heard"
    )

    def to_json(self) -> dict[str, Any]:
        """What was set, as plain values."""
        return self.model_dump(mode="json", exclude_unset=True)

    def with_(self, **values: Any) -> Self:
        """The same with other values, checked."""
        return type(self)(**{**self.to_json(), **values})

    def __getitem__(self, name: str) -> Any:
        """Read a note by its key, as when notes were a dict."""
        warnings.warn(
            f"notes of a probe are a record now: read notes.{name} instead of notes[{name!r}]",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.to_json()[{"not_taught": "not_trained"}.get(name, name)]
