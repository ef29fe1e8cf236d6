"""Local times and filters on them for a large archive: all windows at once, and one by one.

    python benchmarks/local_times.py

Prints seconds and the ratio within this run; the answers of both are compared.
"""

from __future__ import annotations

import argparse
import time
from datetime import date, datetime, timedelta
from datetime import time as clock_time

import numpy as np
import pyarrow as pa

from dawnchorus.local_time import iso_text
from dawnchorus.store.filter import WindowFilter
from dawnchorus.store.local import local_column, local_times

DAWN = (clock_time(4), clock_time(7))
MAY = (date(2026, 5, 1), date(2026, 5, 31))


def archive(n_windows: int, per_recording: int) -> pa.Table:
    """Windows of 3 s of hourly recordings from the first of April on, in UTC."""
    n_recordings = -(-n_windows // per_recording)
    first = datetime(2026, 4, 1)
    began = [f"{(first + timedelta(hours=at)).isoformat()}+00:00" for at in range(n_recordings)]
    owner = pa.array(np.repeat(np.arange(n_recordings), per_recording)[:n_windows])
    return pa.table(
        {
            "start_s": np.tile(3.0 * np.arange(per_recording), n_recordings)[:n_windows],
            "recorded_at": pa.array(began).take(owner),
            "time_zone": pa.array(["Europe/Berlin"] * n_recordings).take(owner),
        }
    )


def passes(moment: datetime) -> bool:
    """The filter for one window."""
    return MAY[0] <= moment.date() <= MAY[1] and DAWN[0] <= moment.time() < DAWN[1]


def main() -> None:
    """Print what both ways take."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=1_000_000)
    parser.add_argument("--per-recording", type=int, default=1200, help="an hour of 3 s windows")
    options = parser.parse_args()
    windows = archive(options.windows, options.per_recording)
    rule = WindowFilter(dates=MAY, time_of_day=DAWN)
    began = time.perf_counter()
    kept = [passes(moment) for moment in local_times(windows, None) if moment is not None]
    one_by_one = time.perf_counter() - began
    began = time.perf_counter()
    at_once = rule.passes(windows)
    together = time.perf_counter() - began
    same = at_once.tolist() == kept
    print(f"{len(windows):,} windows, filter on date and time of day, {at_once.sum():,} pass")
    print(f"one by one {one_by_one:.2f} s, at once {together:.3f} s: {one_by_one / together:.0f} x")
    began = time.perf_counter()
    texts = [iso_text(moment) for moment in local_times(windows, None) if moment is not None]
    one_by_one = time.perf_counter() - began
    began = time.perf_counter()
    column = local_column(windows, None)
    together = time.perf_counter() - began
    same &= column.to_pylist() == texts
    print(
        f"local times as texts: one by one {one_by_one:.2f} s, at once {together:.3f} s: "
        f"{one_by_one / together:.0f} x"
    )
    print("the answers are the same" if same else "THE ANSWERS DIFFER")


if __name__ == "__main__":
    main()
