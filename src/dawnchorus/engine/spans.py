"""Long recordings in spans: many processes embed one recording, one commits it.

A span is a run of windows. Whoever embeds it writes parts that no row names yet, and says which;
`SpanJoiner` names them in the recording's row, in order, so that the store's commit rule holds and
a run that is stopped continues behind the last span that was joined. Each span is decoded from the
recording's start: its windows are then those of the whole recording, and the last span knows all
that a single run would have known.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from dawnchorus.audio.decode.read import read_info
from dawnchorus.audio.resample import resampled_length
from dawnchorus.audio.windows import n_windows
from dawnchorus.engine.encoding.embedder import ready_embedder
from dawnchorus.engine.options import continuing
from dawnchorus.engine.pipeline.events import EncodedWindows, FailedRecording, FinishedRecording
from dawnchorus.engine.pipeline.read import StageClock
from dawnchorus.engine.pipeline.stream import run_windows
from dawnchorus.engine.store_rows import done_row, failed_row, opened_row, window_rows
from dawnchorus.errors import AudioError, DawnChorusError
from dawnchorus.failures import Failure
from dawnchorus.paths import as_path, is_remote, stored_name
from dawnchorus.store.buffer import WindowBuffer
from dawnchorus.store.parts import write_part
from dawnchorus.store.schema import EMBEDDINGS, Part, read_header
from dawnchorus.store.write import PART_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dawnchorus.configs import EmbedConfig
    from dawnchorus.engine.recordings.jobs import RecordingJob
    from dawnchorus.store.schema import RecordingRow, StoreHeader
    from dawnchorus.store.write import StoreWriter

SPAN_S: Final = 1800.0  # of sound; a minute's work or so, which is what a kill may cost
LONG_BYTES: Final = 20_000_000  # smaller files are not looked into: half an hour has more
# containers that decode so fast that decoding what lies before a span costs little
QUICK: Final = frozenset({"WAV", "WAVEX", "W64", "RF64", "FLAC", "AIFF"})


@dataclass(frozen=True, slots=True)
class SpanDone:
    """A span with all its windows on disk, or a recording that cannot be read.

    Attributes:
        row: the recording as far as this span knows it; ``done`` from the last one.
        parts: that hold its windows and are named by no row yet.
        first_window: of the span.
        n_windows: in it; 0 behind the end of a recording, where its header promised more.
    """

    # set by the first event: a recording with windows or an end
    row: RecordingRow
    parts: tuple[Part, ...]
    first_window: int
    n_windows: int


def may_be_long(path: Path) -> bool:
    """Whether a recording is worth a look; behind a URL it is not: each span would fetch it."""
    try:
        return not is_remote(path) and path.stat().st_size >= LONG_BYTES
    except OSError:
        return False


def spans_of(job: RecordingJob, header: StoreHeader, n_workers: int) -> list[RecordingJob]:
    """A long recording's spans, none for a recording that is better embedded in one go.

    Two spans a worker at most: what lies before a span is decoded for nothing.
    """
    if job.skip is not None or job.known_hash or not may_be_long(job.path):
        return []
    try:
        # the header alone; a wrong one is found out by the worker of the last span
        info = read_info(job.path)
    except (AudioError, DawnChorusError, OSError):
        return []  # the share that reads it will say what is wrong
    if info.container not in QUICK or info.n_samples is None:
        return []
    length = resampled_length(info.n_samples, info.sample_rate, header.sample_rate)
    last = n_windows(length, header.window_samples, header.hop_samples)
    left = last - job.first_window  # a stopped run has some windows already
    # windows
    least = max(1, round(SPAN_S / header.hop_s))
    n_spans = min(-(-left // least), 2 * n_workers)
    if n_spans < 2:
        return []
    size = -(-left // n_spans)
    starts = range(job.first_window, last, size)
    return [
        replace(job, first_window=start, stop_window=start + size if start + size < last else None)
        for start in starts
    ]


def embed_span(store: str, model: str, config: EmbedConfig, span: RecordingJob) -> SpanDone:
    """Embed the windows of a span into parts of the store, which no row names yet.

    Raises:
        DawnChorusError: The model cannot be loaded, or the disk refuses.
    """
    header = read_header(as_path(store))
    config = continuing(config, as_path(store))
    buffer, count = WindowBuffer(header), 0
    parts: list[Part] = []
    folder = as_path(store) / EMBEDDINGS
    with ready_embedder(model, config, workers=1) as embedder:
        # the bytes are hashed once, by the worker of the last span
        hashed = config.content_hash and span.stop_window is None
        settings = replace(embedder.settings, content_hash=hashed, n_readers=1)
        row: RecordingRow
        for event in run_windows(
            [span],
            settings,
            embedder.encode,
            batch_size=embedder.batch_size,
            clock=StageClock(),
        ):
            if isinstance(event, EncodedWindows):
                row = opened_row(event.recording)
                buffer.add(row, window_rows(event, header), span.first_window + count)
                count += len(event.window)
                # as `embed` does, so that parts are no larger than its own
                if buffer.n_bytes >= PART_BYTES:
                    parts.append(write_part(folder, buffer.table()))
                    buffer.clear()
            elif isinstance(event, FinishedRecording):
                row = done_row(event) if span.stop_window is None else opened_row(event.recording)
            elif isinstance(event, FailedRecording):
                return SpanDone(failed_row(event), (), span.first_window, 0)
    if len(buffer):
        parts.append(write_part(folder, buffer.table()))
    return SpanDone(row, tuple(parts), span.first_window, count)


@dataclass(slots=True)
class SpanJoiner:
    """Commits the spans of one recording in order, as they come."""

    writer: StoreWriter
    spans: Sequence[RecordingJob]
    failure: Failure | None = None
    done: RecordingRow | None = None
    n_windows: int = 0
    _waiting: dict[int, SpanDone] = field(default_factory=dict)
    _n_joined: int = 0

    def join(self, span: SpanDone) -> None:
        """Commit a span, and those behind it that came earlier.

        Raises:
            StoreError: The disk refuses.
        """
        if self.failure:
            return
        if span.row.status == "failed":
            self.writer.fail(span.row)
            self.writer.flush()
            self.failure = Failure(
                stored_name(self.spans[0].path), span.row.reason or "", span.row.message or ""
            )
            return
        self._waiting[span.first_window] = span
        while self._n_joined < len(self.spans):
            ready = self._waiting.pop(self.spans[self._n_joined].first_window, None)
            if ready is None:
                return
            self.writer.add_parts(ready.row, ready.parts, ready.n_windows)
            self._n_joined += 1
            self.n_windows += ready.n_windows
            if ready.row.status == "done":
                self.done = ready.row
