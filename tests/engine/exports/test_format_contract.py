"""What every format promises, through one table: a new format joins by one line in `READERS`."""

from __future__ import annotations

import csv
import errno
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dawnchorus.engine.exports.detection_table import DETECTION_SCHEMA, RecordingDetections
from dawnchorus.engine.exports.formats import FORMATS
from dawnchorus.engine.exports.output import OutputFile, open_output
from dawnchorus.errors import DawnChorusError, UsageError
from made_detections import detections

ROOT = Path("/recordings")
Row = tuple[str, float, float]  # label, start and stop in seconds


def dict_rows(path: Path, delimiter: str = ",") -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, delimiter=delimiter)


def read_csv(path: Path) -> list[Row]:
    return [(r["label"], float(r["start_s"]), float(r["stop_s"])) for r in dict_rows(path)]


def read_parquet(path: Path) -> list[Row]:
    return [(r["label"], r["start_s"], r["stop_s"]) for r in pq.read_table(path).to_pylist()]


def read_json_lines(path: Path) -> list[Row]:
    # by line feeds: str.splitlines would split at letters such as U+2028, which JSON leaves alone
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    return [(row["label"], row["start_s"], row["stop_s"]) for row in rows]


def read_raven(path: Path) -> list[Row]:
    rows = []
    for line in dict_rows(path, "\t"):
        length_s = float(line["End Time (s)"]) - float(line["Begin Time (s)"])
        start_s = float(line["File Offset (s)"])
        rows.append((line["Label"], start_s, start_s + length_s))
    return rows


def read_audacity(path: Path) -> list[Row]:
    rows = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line:
            start, stop, text = line.split("\t")
            rows.append((text.rpartition(" ")[0], float(start), float(stop)))
    return rows


def read_kaleidoscope(path: Path) -> list[Row]:
    rows = []
    for line in dict_rows(path):
        start_s = float(line["OFFSET"])
        rows.append((line["TOP1MATCH"], start_s, start_s + float(line["DURATION"])))
    return rows


READERS: dict[str, Callable[[Path], list[Row]]] = {
    "csv": read_csv,
    "parquet": read_parquet,
    "jsonl": read_json_lines,
    "raven": read_raven,
    "audacity": read_audacity,
    "kaleidoscope": read_kaleidoscope,
}
EVERY_FORMAT = pytest.mark.parametrize("name", sorted(FORMATS))
LABELS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), min_size=1)
HEARD = st.lists(st.tuples(st.integers(0, 59_000), LABELS), max_size=5)


def write(path: Path, name: str, recordings: list[RecordingDetections]) -> None:
    with open_output(path, format_name=name, root=ROOT) as output:
        for recording in recordings:
            output.write(recording)
        output.close()


def read(path: Path, name: str) -> list[Row]:
    """Rows of a file, or of all files of a folder."""
    files = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    return [row for file in files for row in READERS[name](file)]


def rounded(rows: list[Row], name: str) -> list[Row]:
    """To microseconds, and with one space between words where the format has lines of fields."""
    joined = (lambda text: " ".join(text.split())) if name == "audacity" else str
    return sorted((joined(label), round(start, 5), round(stop, 5)) for label, start, stop in rows)


def test_every_format_has_a_reader_here() -> None:
    assert set(READERS) == set(FORMATS)


@EVERY_FORMAT
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(heard=st.lists(HEARD, min_size=1, max_size=3))
def test_every_format_gives_back_labels_and_times(
    tmp_path_factory: pytest.TempPathFactory, name: str, heard: list[list[tuple[int, str]]]
) -> None:
    path = tmp_path_factory.mktemp("export") / "out"
    recordings = [
        detections(ROOT / f"{number}.wav", *((ms / 1000, label, 0.5) for ms, label in rows))
        for number, rows in enumerate(heard)
    ]
    write(path, name, recordings)
    want = [(label, ms / 1000, ms / 1000 + 1.5) for rows in heard for ms, label in rows]
    assert rounded(read(path, name), name) == rounded(want, name)


@EVERY_FORMAT
def test_a_run_without_detections_is_read_as_none(tmp_path: Path, name: str) -> None:
    write(tmp_path / "out", name, [detections(ROOT / "a.wav"), detections(ROOT / "b.wav")])
    assert (tmp_path / "out").exists()
    assert read(tmp_path / "out", name) == []


@EVERY_FORMAT
def test_recordings_of_any_name_are_kept_apart(tmp_path: Path, name: str) -> None:
    names = ['a "b",c.wav', "tab\there.wav", "line\nend.wav", "caf\udce9.wav", "Зяблик.wav"]
    names += [f"{'x' * 240}.wav", "con.wav", "dawn.wav", "DAWN.wav"]
    recordings = [detections(ROOT / each, (1.0, "wren", 0.5)) for each in names]
    write(tmp_path / "out", name, recordings)
    assert read(tmp_path / "out", name) == [("wren", 1.0, 2.5)] * len(names)


@EVERY_FORMAT
def test_many_recordings_are_all_there(tmp_path: Path, name: str) -> None:
    recordings = [detections(ROOT / f"{n:03}.wav", (1.0, f"label {n}", 0.5)) for n in range(300)]
    write(tmp_path / "out", name, recordings)
    assert [label for label, _, _ in read(tmp_path / "out", name)] == [
        f"label {n}" for n in range(300)
    ]


@EVERY_FORMAT
def test_an_error_half_way_leaves_no_file_and_a_stop_one_that_says_so(
    tmp_path: Path, name: str
) -> None:
    first, second = (detections(ROOT / f"{n}.wav", (1.0, "wren", 0.5)) for n in "ab")
    with (
        suppress(RuntimeError),
        open_output(tmp_path / "failed.out", format_name=name, root=ROOT) as output,
    ):
        output.write(first)
        raise RuntimeError
    if not FORMATS[name].has_a_file_each(tmp_path / "failed.out"):
        assert list(tmp_path.iterdir()) == []
    with open_output(tmp_path / "stopped.out", format_name=name, root=ROOT) as output:
        output.write(first)
        output.write(second)
        partial = output.keep_partial()
    assert partial is not None
    assert len(read(partial, name)) == 2
    assert not list(tmp_path.rglob(".*"))  # nothing hidden stays


@EVERY_FORMAT
def test_what_exists_is_replaced_only_when_asked(tmp_path: Path, name: str) -> None:
    path = tmp_path / "out"
    write(path, name, [detections(ROOT / "a.wav", (1.0, "wren", 0.5))])
    with pytest.raises(UsageError, match="--overwrite"):
        open_output(path, format_name=name, root=ROOT)
    with open_output(path, format_name=name, root=ROOT, overwrite=True) as output:
        output.write(detections(ROOT / "a.wav", (2.0, "robin", 0.5)))
        output.close()
    assert read(path, name) == [("robin", 2.0, 3.5)]


@EVERY_FORMAT
def test_a_full_disk_is_reported_with_the_file_and_leaves_nothing(
    tmp_path: Path, name: str
) -> None:
    class Full:
        def write(self, _detections: RecordingDetections) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None: ...

    def start(path: Path, _schema: pa.Schema, **_options: bool) -> Full:
        path.touch()
        return Full()

    full = replace(FORMATS[name], start=start)
    path = tmp_path / "full.out"
    with (
        pytest.raises(DawnChorusError, match=r"full\.out: cannot be written: No space left"),
        OutputFile(path, full, DETECTION_SCHEMA) as file,
    ):
        file.write(detections(ROOT / "a.wav", (1.0, "wren", 0.5)))
    assert list(tmp_path.iterdir()) == []


@EVERY_FORMAT
def test_a_label_with_a_tab_or_a_line_end_is_still_one_row(tmp_path: Path, name: str) -> None:
    write(tmp_path / "out", name, [detections(ROOT / "a.wav", (1.0, "x\ty\nz", 0.5))])
    ((label, start_s, stop_s),) = read(tmp_path / "out", name)
    assert (" ".join(label.split()), start_s, stop_s) == ("x y z", 1.0, 2.5)
