"""What a detection is: one row of a table, with its place in the recording and its score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

DETECTION_SCHEMA: Final = pa.schema(
    [
        ("path", pa.string()),  # from the audio root, unless whole paths were asked for
        ("window", pa.int32()),  # of the recording, from 0
        ("start_s", pa.float64()),
        ("stop_s", pa.float64()),
        ("start_sample", pa.int64()),  # at the recording's own rate, as the two below
        ("stop_sample", pa.int64()),  # the one after the last
        ("sample_rate", pa.int32()),
        ("label", pa.string()),
        ("level", pa.string()),  # what kind of name the label is, such as species
        ("probability", pa.float32()),
        ("rank", pa.int32()),  # among the wanted labels of the window, from 1
        ("n_windows", pa.int32()),  # that were merged into this row
        ("recorded_at", pa.string()),  # start of the recording, ISO 8601
        ("local_time", pa.string()),  # start of the detection, ISO 8601
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingDetections:
    """What was detected in one recording.

    Attributes:
        path: as the user's arguments lead to it.
        duration_s: of the recording.
        highest_hz: the highest frequency that the model can have seen of it.
        table: columns of `DETECTION_SCHEMA`, then those of the user's list.
    """

    path: Path
    duration_s: float
    highest_hz: float
    table: pa.Table


def detection_table(columns: Mapping[str, Iterable[Any]]) -> pa.Table:
    """A table of `DETECTION_SCHEMA` from columns of any kind; one that is not given is empty."""
    n_rows = len(list(columns["path"]))
    arrays = [
        pa.array(columns.get(field.name, [None] * n_rows), field.type) for field in DETECTION_SCHEMA
    ]
    return pa.Table.from_arrays(arrays, schema=DETECTION_SCHEMA)


def window_rows(
    path: str, *, rate: int, n_samples: int, model_rate: int, columns: Mapping[str, Any]
) -> pa.Table:
    """A table of `DETECTION_SCHEMA` from windows of one recording.

    Args:
        path: as it is to be written.
        rate: of the recording, in Hz.
        n_samples: of the recording.
        model_rate: at which the windows count.
        columns: ``window``, ``start_sample``, ``valid_samples`` at the model's rate, ``label``,
            ``level``, ``probability`` and ``rank``, each ``(rows,)``.
    """
    first = columns["start_sample"]
    after = first + columns["valid_samples"]
    return detection_table(
        {
            "path": [path] * len(first),
            "window": columns["window"],
            "start_s": first / model_rate,
            # a resampled recording may be longer than itself by part of a sample
            "stop_s": np.minimum(after / model_rate, n_samples / rate),
            "start_sample": _at_rate(first, model_rate, rate),
            "stop_sample": np.minimum(_at_rate(after, model_rate, rate), n_samples),
            "sample_rate": np.full(len(first), rate),
            "label": columns["label"],
            "level": columns["level"],
            "probability": columns["probability"],
            "rank": columns["rank"],
            "n_windows": np.ones(len(first), np.int32),
        }
    )


def _at_rate(samples: NDArray[np.int64], from_hz: int, to_hz: int) -> NDArray[np.int64]:
    """Sample positions at another rate, the nearest ones."""
    # in integers: after a month at 48 kHz a float32 would be off by thousands of samples
    return (2 * samples * to_hz + from_hz) // (2 * from_hz)
