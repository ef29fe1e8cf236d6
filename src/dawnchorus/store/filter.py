"""Which windows of a store are wanted: by column, date, time of day, label and score."""

from __future__ import annotations

from datetime import date, time  # noqa: TC003  pydantic resolves them at run time
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from dawnchorus.configs import Config
from dawnchorus.local_time import parse_zone
from dawnchorus.store.local import wall_clock

if TYPE_CHECKING:
    from numpy.typing import NDArray

Value = str | int | float | bool


class WindowFilter(Config):
    """All that is given must hold.

    Times of day and dates are local: what a recording says of its zone is kept, ``time_zone`` holds
    for those that say UTC or nothing (see `dawnchorus.local_time`). If the start of a recording is
    not known, its windows pass no filter on times.
    """

    where: dict[str, Value | tuple[Value, ...]] = Field(
        default={}, description="column of a window or recording to its value, or to several"
    )
    time_of_day: tuple[time, time] | None = Field(
        default=None, description="from and before, such as 04:00 and 07:00; may run over midnight"
    )
    dates: tuple[date, date] | None = Field(default=None, description="first and last day")
    time_zone: str | None = Field(
        default=None,
        description="IANA name or offset, before the one that the store has for a recording",
    )
    label: str | None = Field(
        default=None, description="only windows in which the score of this label reaches min_score"
    )
    min_score: float = Field(
        default=0.5, ge=0, le=1, description="lowest score of label, a probability"
    )

    @model_validator(mode="after")
    def _days_in_order(self) -> Self:
        if self.dates and self.dates[0] > self.dates[1]:
            raise ValueError(f"dates: need first <= last, got {self.dates[0]} and {self.dates[1]}")
        return self

    @model_validator(mode="after")
    def _zone_exists(self) -> Self:
        if self.time_zone is not None:
            parse_zone(self.time_zone)
        return self

    @property
    def needs_clock(self) -> bool:
        """It asks when something was heard."""
        return bool(self.time_of_day or self.dates)

    @property
    def is_open(self) -> bool:
        """Everything passes."""
        return not (self.where or self.needs_clock or self.label is not None)

    def passes(self, windows: pa.Table) -> NDArray[np.bool_]:
        """Which pass all but the label.

        Args:
            windows: has the columns asked for, and `RECORDING_CLOCK` where `needs_clock`.
        """
        keep = np.ones(len(windows), np.bool_)
        for column, value in self.where.items():
            wanted = value if isinstance(value, tuple) else (value,)
            # as text: the command line has no other type, and 1 must find the integer 1
            texts = pa.array([str(item) for item in wanted])
            as_text = windows[column].cast(pa.string())
            keep &= pc.is_in(as_text, texts).to_numpy()
        if self.needs_clock:
            keep &= self._holds(wall_clock(windows, self.time_zone).shown)
        return keep

    def _holds(self, shown: NDArray[np.datetime64]) -> NDArray[np.bool_]:
        """Which moments, as the clock on the wall shows them, are asked for; NaT never is."""
        days = shown.astype("datetime64[D]")
        keep = ~np.isnat(shown)
        if self.dates:
            first_day, last_day = (np.datetime64(day, "D") for day in self.dates)
            keep &= (first_day <= days) & (days <= last_day)
        if self.time_of_day is None:
            return keep
        first, before = (_since_midnight(moment) for moment in self.time_of_day)
        of_day = shown - days
        if first <= before:  # otherwise the span runs over midnight
            keep &= (first <= of_day) & (of_day < before)
        else:
            keep &= (of_day >= first) | (of_day < before)
        return keep


def _since_midnight(moment: time) -> np.timedelta64:
    seconds = (moment.hour * 60 + moment.minute) * 60 + moment.second
    return np.timedelta64(seconds * 1_000_000 + moment.microsecond, "us")
