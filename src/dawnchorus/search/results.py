"""What a search found: as a table, and as sounds to listen to. Files: `result_files`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from dawnchorus.audio.decode.flac import encode_flac
from dawnchorus.audio.decode.read import read_audio, read_info
from dawnchorus.audio.spectrogram import png_bytes, spectrogram_shades
from dawnchorus.engine.exports.file_names import legal
from dawnchorus.errors import AudioError, UsageError
from dawnchorus.failures import Failure
from dawnchorus.paths import from_stored_name, local_copy
from dawnchorus.progress import NO_PROGRESS
from dawnchorus.search.merged import NO_ROW
from dawnchorus.store.files import write_whole
from dawnchorus.store.storage import stranger_in
from dawnchorus.text_tables.write import csv_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dawnchorus.progress import Progress
    from dawnchorus.search.archive import Archive
    from dawnchorus.search.exact import Neighbours

SHOWN_IF_THERE: Final = ("site", "local_time")
TIMES: Final = ("start_s", "stop_s")
CONTEXT_S: Final = 1.0  # of sound before and after a window, for the ear
RESULT_COLUMNS: Final = (
    "rank", "query", "path", "start_s", "stop_s", "score", "percentile", "recording_id", "window"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The windows that were found.

    Attributes:
        table: `RESULT_COLUMNS` and those that were asked for; one row a window, by query and rank.
        n_windows: that were searched.
        is_exact: all of them were scored.
        recall: of the sketch that chose them, None if `is_exact`.
    """

    table: pa.Table
    n_windows: int
    is_exact: bool
    recall: float | None


def result_of(
    archive: Archive, found: Neighbours, queries: Sequence[str], columns: Sequence[str]
) -> SearchResult:
    """Rows of a result from what `best_windows` found.

    Args:
        archive: that was searched.
        found: for each query.
        queries: what each is called.
        columns: further ones, of windows and recordings; `SHOWN_IF_THERE` come by themselves.
    """
    there = found.rows != NO_ROW
    query, place = np.nonzero(there)
    rows = found.rows[there]
    columns = [*columns, *_helpful(archive, rows)]
    windows = archive.describe(rows, columns)
    own = {
        "rank": pa.array(place + 1, pa.int32()),
        "query": pa.array([queries[at] for at in query.tolist()], pa.string()),
        "score": pa.array(found.scores[there], pa.float32()),
        "percentile": pa.array(found.percentiles[there], pa.float64()),
    }
    names = list(dict.fromkeys([*RESULT_COLUMNS, *columns]))
    if len(archive.stores) > 1:
        names.append("store")
        stores = [str(store.path) for store in archive.stores]
        of_window = [stores[number] for number in windows["store"].to_pylist()]
        own["store"] = pa.array(of_window, pa.string())
    table = pa.table({name: own[name] if name in own else windows[name] for name in names})
    return SearchResult(table, archive.n_windows, found.is_exact, found.recall)


def _helpful(archive: Archive, rows: NDArray[np.int64]) -> list[str]:
    """Those of `SHOWN_IF_THERE` that say something of these windows."""
    helpful = []
    for name in SHOWN_IF_THERE:
        try:
            values = archive.describe(rows, [name])[name]
        except UsageError:
            continue  # no recording of these stores has such a column
        if values.null_count < len(values):
            helpful.append(name)
    return helpful


def as_cell(value: Any, name: str) -> Any:
    """A value of a column of a result as CSV has it."""
    if not isinstance(value, float):
        return value
    # six digits of a time would be seconds at the end of a week
    return f"{value:.6f}".rstrip("0").rstrip(".") if name in TIMES else f"{value:.6g}"


def write_clips(
    table: pa.Table,
    folder: Path,
    audio_root: Path,
    *,
    spreadsheet_safe: bool = False,
    progress: Progress = NO_PROGRESS,
) -> list[Failure]:
    """Cut the windows of a result out of their recordings, each with a picture beside it.

    Writes ``RANK_RECORDING_STARTs.flac`` with a second of sound before and after, a spectrogram of
    the same name, and ``index.csv``.

    Args:
        table: `RESULT_COLUMNS` at least.
        folder: where to.
        audio_root: where the recordings lie.
        spreadsheet_safe: as in `CsvWriter`, for the index.
        progress: gets a stage that counts clips.

    Returns:
        What could not be cut; the others are there.

    Raises:
        StoreError: The folder cannot be written.
        UsageError: See `check_clips_folder`.
    """
    check_clips_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    failures, lines = [], []
    advance = progress.start("cutting clips", len(table), "clips")
    for row in table.to_pylist():
        stem = f"{row['rank']:04d}_{row['path'].rpartition('/')[2].rpartition('.')[0]}"
        name = legal(stem, behind=f"_{row['start_s']:.2f}s")
        try:
            lead_in_s = _write_clip(row, folder, name, audio_root)
        except (AudioError, OSError) as error:
            reason = error.reason if isinstance(error, AudioError) else "denied"
            failures.append(Failure(row["path"], reason, str(error)))
        else:
            lines.append({"file": f"{name}.flac", "starts_in_clip_s": lead_in_s, **row})
        advance(1)
    if lines:
        cells = ([as_cell(value, name) for name, value in line.items()] for line in lines)
        text = csv_text(list(lines[0]), cells, spreadsheet_safe=spreadsheet_safe)
        write_whole(folder / "index.csv", text.encode())
    return failures


def check_clips_folder(folder: Path) -> None:
    """Refuse a folder in which clips would lie among recordings; to be asked before a search.

    Raises:
        UsageError: It holds what `write_clips` does not write.
    """
    other = stranger_in(folder, r"index\.csv|\d{4,}_.*\.(flac|png)")
    if other is not None:
        raise UsageError(
            f"{folder}: holds other things, such as {other!r}; clips need a folder of their own"
        )


def _write_clip(row: dict[str, Any], folder: Path, name: str, audio_root: Path) -> float:
    """Write one window's sound and picture; returns the seconds of sound before the window."""
    lead_in_s = min(CONTEXT_S, float(row["start_s"]))
    with local_copy(from_stored_name(row["path"], audio_root)) as path:
        rate = read_info(path).sample_rate
        start_s, stop_s = row["start_s"] - lead_in_s, row["stop_s"] + CONTEXT_S
        samples = read_audio(path, start_s=start_s, stop_s=stop_s)
    if not len(samples):
        raise AudioError(f"{path}: no sound from {start_s:g} s on", reason="empty")
    write_whole(folder / f"{name}.flac", encode_flac(samples, rate))
    write_whole(folder / f"{name}.png", png_bytes(spectrogram_shades(samples, rate)))
    return lead_in_s
