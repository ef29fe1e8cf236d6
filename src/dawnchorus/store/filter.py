"""Which windows of a store are wanted: by column, date, time of day, label and score."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from dawnchorus.configs import Config

if TYPE_CHECKING:
    from numpy.typing import NDArray

Value = str | int | float | bool


class WindowFilter(Config):
    """All that is given must hold.

    Times and dates are the recorder's own, as they were written; windows of a recording whose start
    is not known pass no filter on them.
    """

    where: dict[str, Value | tuple[Value, ...]] = Field(
        default={}, description="column of a window or recording to its value, or to several"
    )
    time_of_day: tuple[time, time] | None = Field(
        default=None, description="from and before, such as 04:00 and 07:00; may run over midnight"
    )
    dates: tuple[date, date] | None = Field(default=None, description="first and last day")
    label: str | None = Field(default=None, description="whose score reaches min_score")
    min_score: float = Field(default=0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _days_in_order(self) -> Self:
        if self.dates and self.dates[0] > self.dates[1]:
            raise ValueError(f"dates: need first <= last, got {self.dates[0]} and {self.dates[1]}")
        return self

    @property
    def is_open(self) -> bool:
        """Everything passes."""
        return not (self.where or self.time_of_day or self.dates or self.label is not None)

    def passes(self, windows: pa.Table) -> NDArray[np.bool_]:
        """Which pass all but the label; the table has ``recorded_at`` and the columns asked for."""
        keep = np.ones(len(windows), np.bool_)
        for column, value in self.where.items():
            wanted = value if isinstance(value, tuple) else (value,)
            texts = pa.array([str(item) for item in wanted])
            as_text = windows[column].cast(pa.string())
            keep &= pc.is_in(as_text, texts).to_numpy()
        if self.time_of_day or self.dates:
            keep &= self._in_time(windows)
        return keep

    def _in_time(self, windows: pa.Table) -> NDArray[np.bool_]:
        began = {
            text: datetime.fromisoformat(text).replace(tzinfo=None)
            for text in pc.unique(windows["recorded_at"]).to_pylist()
            if text
        }
        return np.fromiter(
            (
                text in began and self._holds(began[text] + timedelta(seconds=start_s))
                for text, start_s in zip(
                    windows["recorded_at"].to_pylist(), windows["start_s"].to_pylist(), strict=True
                )
            ),
            np.bool_,
            len(windows),
        )

    def _holds(self, moment: datetime) -> bool:
        if self.dates and not self.dates[0] <= moment.date() <= self.dates[1]:
            return False
        if self.time_of_day is None:
            return True
        first, before = self.time_of_day
        if first <= before:
            return first <= moment.time() < before
        return moment.time() >= first or moment.time() < before
