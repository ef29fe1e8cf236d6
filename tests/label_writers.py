"""The same annotations as every program of the field writes them: one function a form.

Each writes into a folder and gives the path to read. A new layout joins the contract of all readers
(``tests/clips/test_label_readers.py``) by one line of `WRITERS`.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

Heard = tuple[str, float, float, str]  # recording, start, end in seconds, label
RECORDINGS = ("rec1.wav", "rec2.wav", "sub/rec3.wav")


def text(header: Sequence[str], rows: Iterable[Sequence[object]], *, separator: str = ",") -> str:
    """A table as the csv module writes it."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def _csv(
    header: Sequence[str],
    row: Callable[[Heard], Sequence[object]],
    *,
    name: str = "labels.csv",
    separator: str = ",",
    encoding: str = "utf-8",
) -> Callable[[Path, Sequence[Heard]], Path]:
    def write(folder: Path, heard: Sequence[Heard]) -> Path:
        content = text(header, map(row, heard), separator=separator).encode(encoding)
        path = folder / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


def _each_recording(
    suffix: str, write: Callable[[Path, Sequence[Heard]], None]
) -> Callable[[Path, Sequence[Heard]], Path]:
    """A table for each recording that has annotations, called after it."""

    def write_all(folder: Path, heard: Sequence[Heard]) -> Path:
        tables = folder / "tables"
        tables.mkdir(exist_ok=True)
        for old in tables.iterdir():
            old.unlink()
        for recording in dict.fromkeys(one[0] for one in heard):
            name = Path(recording).stem + suffix
            write(tables / name, [one for one in heard if one[0] == recording])
        return tables

    return write_all


RAVEN = ("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)",
         "High Freq (Hz)")  # fmt: skip


def _raven(path: Path, heard: Sequence[Heard]) -> None:
    rows = [
        (n, "Spectrogram 1", 1, start, end, 500, 4000, label)
        for n, (_, start, end, label) in enumerate(heard, 1)
    ]
    path.write_text(text((*RAVEN, "Species"), rows, separator="\t"), encoding="utf-8")


def _raven_together(folder: Path, heard: Sequence[Heard]) -> Path:
    """Recordings that were open together: their times run on, the offset in each stands apart."""
    before = {recording: 10.0 * n for n, recording in enumerate(RECORDINGS)}
    rows = [
        (n, "Spectrogram 1", 1, before[path] + start, before[path] + end, 500, 4000, label,
         Path(path).name, start)
        for n, (path, start, end, label) in enumerate(heard, 1)
    ]  # fmt: skip
    header = (*RAVEN, "Species", "Begin File", "File Offset (s)")
    table = folder / "all.selections.txt"
    table.write_text(text(header, rows, separator="\t"), encoding="utf-16")
    return table


def _audacity(path: Path, heard: Sequence[Heard]) -> None:
    lines = [f"{start:.6f}\t{end:.6f}\t{label}\n" for _, start, end, label in heard]
    path.write_text("".join(lines), encoding="utf-8")


def _audacity_bands(path: Path, heard: Sequence[Heard]) -> None:
    lines = [f"{s:.6f}\t{e:.6f}\t{label}\n\\\t500.0\t4000.0\n" for _, s, e, label in heard]
    path.write_text("".join(lines), encoding="utf-8-sig")


def _audacity_scores(path: Path, heard: Sequence[Heard]) -> None:
    lines = [f"{start}\t{end}\t{label}\t0.9123\n" for _, start, end, label in heard]
    path.write_text("".join(lines), encoding="utf-8")


def _simple_seq(path: Path, heard: Sequence[Heard]) -> None:
    rows = [(start, end, label) for _, start, end, label in heard]
    path.write_text(text(("onset_s", "offset_s", "label"), rows), encoding="utf-8")


def _birdnet_single(path: Path, heard: Sequence[Heard]) -> None:
    rows = [(start, end, label, "Bird", 0.9) for _, start, end, label in heard]
    header = ("Start (s)", "End (s)", "Scientific name", "Common name", "Confidence")
    path.write_text(text(header, rows), encoding="utf-8")


def _one_hot(folder: Path, heard: Sequence[Heard]) -> Path:
    labels = sorted({one[3] for one in heard})
    rows = [(p, s, e, *(int(label == one) for one in labels)) for p, s, e, label in heard]
    table = folder / "labels.csv"
    table.write_text(text(("file", "start_time", "end_time", *labels), rows), encoding="utf-8")
    return table


def _manifest(folder: Path, heard: Sequence[Heard]) -> Path:
    spans: dict[tuple[str, float, float], list[str]] = {}
    for path, start, end, label in heard:
        labels = spans.setdefault((path, start, end), [])
        labels += [label] if label not in labels else []
    columns = {
        "id": [f"{p}:{s:.3f}-{e:.3f}" for p, s, e in spans],
        "path": [p for p, _, _ in spans],
        "start_s": [s for _, s, _ in spans],
        "stop_s": [e for _, _, e in spans],
        "labels": list(spans.values()),
    }
    pq.write_table(pa.table(columns), folder / "clips.parquet")
    return folder / "clips.parquet"


def _decimal_comma(number: float) -> str:
    # four decimals: 1,500 may also be a thousand and a half, and is refused
    return f"{number:.4f}".replace(".", ",")


OURS = ("path", "start_s", "stop_s", "label")
# Form that is detected, and the function that writes it.
WRITERS: dict[str, tuple[str, Callable[[Path, Sequence[Heard]], Path]]] = {
    "ours": ("csv", _csv(OURS, lambda h: h)),
    "ours, packed": ("csv", _csv(OURS, lambda h: h, name="labels.csv.gz")),
    "tabs, UTF-16": ("csv", _csv(OURS, lambda h: h, name="labels.tsv", separator="\t",
                                 encoding="utf-16")),
    "semicolons, decimal commas": ("csv", _csv(
        ("file", "start", "end", "species"),
        lambda h: (h[0], _decimal_comma(h[1]), _decimal_comma(h[2]), h[3]),
        separator=";", encoding="utf-8-sig")),
    "milliseconds": ("csv", _csv(
        ("file", "start_ms", "end_ms", "label"),
        lambda h: (h[0], round(h[1] * 1000), round(h[2] * 1000), h[3]))),
    "BirdNET": ("csv", _csv(
        ("Start (s)", "End (s)", "Scientific name", "Common name", "Confidence", "File"),
        lambda h: (h[1], h[2], h[3], "Bird", 0.9, h[0]))),
    "BirdNET for R": ("csv", _csv(
        ("filepath", "start", "end", "scientific_name", "common_name", "confidence", "lat", "lon"),
        lambda h: (h[0], h[1], h[2], h[3], "Bird", 0.9, -1, -1))),
    "BirdNET for Kaleidoscope": ("csv", _csv(
        ("INDIR", "FOLDER", "IN FILE", "OFFSET", "DURATION", "scientific_name", "confidence"),
        lambda h: ("/elsewhere", "x", Path(h[0]).name, h[1], round(h[2] - h[1], 6), h[3], 0.9))),
    "BirdNET for Raven": ("csv", _csv(
        (*RAVEN, "Common Name", "Confidence", "Begin Path", "File Offset (s)"),
        lambda h: (1, "Spectrogram 1", 1, 99.0, 99.0 + h[2] - h[1], 0, 4000, h[3], 0.9,
                   f"/elsewhere/{h[0]}", h[1]))),
    "BirdNET, a table a recording": ("csv", _each_recording(
        ".BirdNET.results.csv", _birdnet_single)),
    "Kaleidoscope": ("csv", _csv(
        ("INDIR", "FOLDER", "IN FILE", "CHANNEL", "OFFSET", "DURATION", "AUTO ID", "MANUAL ID"),
        lambda h: ("/elsewhere", "", Path(h[0]).name, 0, h[1], round(h[2] - h[1], 6), "NoID",
                   h[3]))),
    "OpenSoundscape": ("csv", _one_hot),
    "crowsetta generic-seq": ("csv", _csv(
        ("label", "onset_s", "offset_s", "onset_sample", "offset_sample", "notated_path",
         "annot_path", "sequence", "annotation"),
        lambda h: (h[3], h[1], h[2], "", "", f"./{h[0]}", "a.xml", 0, 0))),
    "crowsetta simple-seq": ("csv", _each_recording(".csv", _simple_seq)),
    "warbleR": ("csv", _csv(
        ("sound.files", "channel", "selec", "start", "end", "bottom.freq", "top.freq", "species"),
        lambda h: (h[0], 1, 1, h[1], h[2], 0, 1, h[3]))),
    "Raven": ("raven", _each_recording(".Table.1.selections.txt", _raven)),
    "Raven, recordings together": ("raven", _raven_together),
    "Audacity": ("audacity", _each_recording(".txt", _audacity)),
    "Audacity, bands": ("audacity", _each_recording(".labels.txt", _audacity_bands)),
    "Audacity of BirdNET": ("audacity", _each_recording(".txt", _audacity_scores)),
    "manifest": ("manifest", _manifest),
}  # fmt: skip
