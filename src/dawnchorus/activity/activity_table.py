"""Calls per recorded hour as a table: a row for each label and each site, date, hour or several."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from dawnchorus.activity.day_intervals import rate_interval
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dawnchorus.activity.density_file import DensityTable
    from dawnchorus.activity.grid import SiteHours

STRATA: Final = ("site", "date", "hour")
ACTIVITY_SCHEMA: Final = pa.schema(
    [
        ("label", pa.string()),
        ("site", pa.string()),  # null, as the two below: of all of them
        ("date", pa.string()),
        ("local_hour", pa.int32()),
        ("recorded_hours", pa.float64()),
        ("n_days", pa.int32()),  # with some recording
        ("n_calls", pa.int64()),  # null where nothing was recorded
        ("calls_per_hour", pa.float64()),
        ("low", pa.float64()),  # over days, see day_intervals
        ("high", pa.float64()),
        ("windows_per_hour", pa.float64()),  # that hold the call, by a density
        ("windows_low", pa.float64()),
        ("windows_high", pa.float64()),
    ]
)


@dataclass(frozen=True, slots=True)
class FlatHours:
    """The hours of all sites side by side, ``(hours,)`` each; sites and dates by their numbers."""

    sites: tuple[str, ...]
    site: NDArray[np.int64]
    date: NDArray[np.int64]
    hour: NDArray[np.int64]
    recorded: NDArray[np.float64]
    n_calls: dict[str, NDArray[np.int64]]

    def keys(self, by: Sequence[str]) -> NDArray[np.int64]:
        """Site, date and hour of each, ``(hours, 3)``; -1 where it is not asked for."""
        columns = {"site": self.site, "date": self.date, "hour": self.hour}
        nowhere = np.full(len(self.site), -1, np.int64)
        return np.stack([columns[name] if name in by else nowhere for name in STRATA], axis=1)


def flat_hours(sites: Sequence[SiteHours], labels: Sequence[str]) -> FlatHours:
    """Every hour of every site, of which there is one at least."""
    sizes = [one.hours.size for one in sites]
    days = [[day.toordinal() for day in one.dates] for one in sites]
    return FlatHours(
        sites=tuple(one.site for one in sites),
        site=np.repeat(np.arange(len(sites)), sizes).astype(np.int64),
        date=np.concatenate([np.repeat(np.array(one, np.int64), 24) for one in days]),
        hour=np.concatenate([np.tile(np.arange(24), len(one)) for one in days]).astype(np.int64),
        recorded=np.concatenate([one.hours.ravel() for one in sites]),
        n_calls={
            label: np.concatenate([one.n_calls[label].ravel() for one in sites]) for label in labels
        },
    )


def check_by(by: Sequence[str]) -> None:
    """Refuse strata that there are not.

    Raises:
        UsageError: One is unknown or there twice.
    """
    unknown = [name for name in by if name not in STRATA]
    if unknown or len(set(by)) < len(by):
        raise UsageError(
            f"by: need some of {', '.join(STRATA)}, each once, got {','.join(by) or 'nothing'}"
        )


def activity_table(
    flat: FlatHours, by: Sequence[str], density: DensityTable | None = None
) -> pa.Table:
    """Columns of `ACTIVITY_SCHEMA`, by label and then site, date and hour.

    Args:
        flat: recorded hours and calls.
        by: what rows are of, some of `STRATA`; none: a row for each label.
        density: how many windows hold the calls.

    Raises:
        UsageError: ``by`` is nonsense.
    """
    check_by(by)
    keys, group = np.unique(flat.keys(by), axis=0, return_inverse=True)
    group = group.reshape(-1)  # numpy 2.0 gives (n, 1)
    recorded = np.bincount(group, flat.recorded, len(keys))
    # each group's days, as pairs of group and date
    pairs, day = np.unique(np.stack([group, flat.date], axis=1), axis=0, return_inverse=True)
    day = day.reshape(-1)
    hours_of_day = np.bincount(day, flat.recorded, len(pairs)).astype(np.float64)
    was_recorded = hours_of_day > 0
    n_days = np.bincount(pairs[was_recorded, 0], minlength=len(keys))
    names = [_names(flat, key) for key in keys.tolist()]
    rows: list[dict[str, Any]] = []
    for label, calls in flat.n_calls.items():
        of_group = np.bincount(group, calls, len(keys)).astype(np.int64)
        of_day = np.bincount(day, calls, len(pairs)).astype(np.int64)
        # several days have an interval; hours of one date have none
        spans = (
            {}
            if "date" in by
            else _intervals(
                pairs[was_recorded, 0], of_day[was_recorded], hours_of_day[was_recorded]
            )
        )
        for at, name in enumerate(names):
            row = _row(label, name, float(recorded[at]), int(of_group[at]))
            row["n_days"] = int(n_days[at])
            row["low"], row["high"] = map(_number, spans.get(at) or (None, None))
            if density is not None:
                row |= density.per_hour(label, name, float(recorded[at]))
            rows.append(row)
    return pa.Table.from_pylist(rows, ACTIVITY_SCHEMA)


def _names(flat: FlatHours, key: Sequence[int]) -> tuple[str | None, str | None, int | None]:
    site, day, hour = key
    return (
        None if site < 0 else flat.sites[site],
        None if day < 0 else date.fromordinal(day).isoformat(),
        None if hour < 0 else hour,
    )


def _row(
    label: str, name: tuple[str | None, str | None, int | None], hours: float, n_calls: int
) -> dict[str, Any]:
    # nothing was recorded: nobody knows, which is not 0
    known = hours > 0
    return {
        "label": label,
        "site": name[0],
        "date": name[1],
        "local_hour": name[2],
        "recorded_hours": _number(hours),
        "n_calls": n_calls if known or n_calls else None,
        "calls_per_hour": _number(n_calls / hours) if known else None,
    }


def _intervals(
    group: NDArray[np.int64], n_calls: NDArray[np.int64], hours: NDArray[np.float64]
) -> dict[int, tuple[float, float] | None]:
    bounds = np.flatnonzero(np.diff(group)) + 1
    parts = (np.split(values, bounds) for values in (group, n_calls, hours))
    return {
        int(groups[0]): rate_interval(calls, recorded)
        for groups, calls, recorded in zip(*parts, strict=True)
        if len(groups)
    }


def _number(value: float | None) -> float | None:
    """With six significant digits, which is more than anybody knows."""
    return None if value is None else float(f"{value:.6g}")
