"""The clip behind a suggestion: its sound, its time, and where in its recording it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dawnchorus.audio.decode.read import read_audio, read_info
from dawnchorus.errors import AudioError
from dawnchorus.paths import from_stored_name, local_copy

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from dawnchorus.annotations.annotation_row import AnnotationRow
    from dawnchorus.audio.decode.recording import Channel

WIDTH: Final = 60  # of the line that is a recording
MINUTE_S, HOUR_S = 60, 3600


class JudgedClips:
    """Recordings that suggestions are of.

    Attributes:
        root: folder that their paths start at.
    """

    def __init__(self, root: Path, store: Path | None, time_zone: str | None = None) -> None:
        """Read what a store knows of its recordings.

        Args:
            root: folder that the paths of the suggestions start at.
            store: that knows when the recordings began; None: nothing does.
            time_zone: of recordings that do not say theirs.

        Raises:
            StoreError: The store is damaged.
        """
        self.root = root
        self._time_zone = time_zone
        self._recordings = None if store is None else _recordings(store)
        self._durations: dict[str, float | None] = {}

    def samples(
        self, row: AnnotationRow, context_s: float = 0.0
    ) -> tuple[NDArray[np.float32], int]:
        """The sound of a span ``(n,)``, and its rate.

        Args:
            row: the span.
            context_s: of sound before and after it, where there is some.

        Raises:
            AudioError: It cannot be read.
        """
        channel: Channel = "mean" if row.channel is None else row.channel
        start_s = max(row.start_s - context_s, 0.0)
        stop_s = None if row.end_s is None else row.end_s + context_s
        with local_copy(from_stored_name(row.path, self.root)) as path:
            rate = read_info(path).sample_rate
            return read_audio(path, start_s=start_s, stop_s=stop_s, channel=channel), rate

    def local_time(self, row: AnnotationRow) -> str:
        """When the span began, by the local clock; empty if nobody knows."""
        from dawnchorus.store.local import local_times

        if self._recordings is None or row.path not in self._recordings:
            return ""
        facts = self._recordings[row.path]
        clock = {"start_s": [row.start_s], **{n: [facts[n]] for n in ("recorded_at", "time_zone")}}
        time = local_times(_table(clock), self._time_zone)[0]
        return "" if time is None else time.isoformat(sep=" ", timespec="seconds")

    def line(self, row: AnnotationRow) -> str:
        """The recording as a line of text in which the span is marked; empty: of unknown length."""
        duration_s = self._duration_s(row.path)
        return "" if not duration_s else place_line(row.start_s, row.end_s, duration_s)

    def _duration_s(self, path: str) -> float | None:
        if path not in self._durations:
            self._durations[path] = self._found_duration_s(path)
        return self._durations[path]

    def _found_duration_s(self, path: str) -> float | None:
        facts = (self._recordings or {}).get(path, {})
        if facts.get("duration_s"):
            return float(facts["duration_s"])
        try:
            with local_copy(from_stored_name(path, self.root)) as file:
                info = read_info(file)
        except (AudioError, OSError):
            return None  # said where its sound is wanted
        return None if info.n_samples is None else info.n_samples / info.sample_rate


def place_line(start_s: float, end_s: float | None, duration_s: float, width: int = WIDTH) -> str:
    """A recording as a line, such as ``0:00 |-----#-------------| 10:00``.

    Args:
        start_s: where the span begins.
        end_s: where it ends; None: with the recording.
        duration_s: of the recording, above 0.
        width: characters between the two times.
    """
    stop_s = duration_s if end_s is None else end_s
    first = min(int(start_s / duration_s * width), width - 1)
    last = min(max(int(stop_s / duration_s * width - 1e-9), first), width - 1)
    marks = "-" * first + "#" * (last - first + 1) + "-" * (width - 1 - last)
    return f"0:00 |{marks}| {clock_text(duration_s)}"


def clock_text(seconds: float) -> str:
    """Minutes and seconds, with hours where there are some: ``2:05``, ``1:02:05``."""
    whole = round(seconds)
    minutes, rest = divmod(whole, MINUTE_S)
    if whole < HOUR_S:
        return f"{minutes}:{rest:02d}"
    return f"{minutes // MINUTE_S}:{minutes % MINUTE_S:02d}:{rest:02d}"


def _recordings(store: Path) -> dict[str, dict[str, Any]]:
    from dawnchorus.store.read import Store

    names = ("path", "duration_s", "recorded_at", "time_zone")
    table = Store(store).recordings().select(list(names))
    return {values["path"]: values for values in table.to_pylist()}


def _table(columns: dict[str, Any]) -> pa.Table:
    import pyarrow as pa

    return pa.table(columns)
