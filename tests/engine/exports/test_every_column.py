"""What a detection says comes back from every format, read by other programs' readers."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dawnchorus.engine.exports.detection_table import (
    DETECTION_SCHEMA,
    RecordingDetections,
    window_rows,
)
from dawnchorus.engine.exports.formats import FORMATS, format_of
from dawnchorus.engine.exports.output import open_output
from dawnchorus.engine.exports.raven import COLUMNS as RAVEN
from dawnchorus.errors import UsageError
from dawnchorus.filename_text import unescaped_name
from made_detections import detections, row

ROOT = Path("/recordings")
# columns of a user's list: names that mean something to Raven, to Kaleidoscope or to a reader
LISTED = ("site", "Label", "View", "INDIR", "a,b", "Näme", "note")
SCHEMA = pa.schema([*DETECTION_SCHEMA, *((name, pa.string()) for name in LISTED)])
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")))
said = st.fixed_dictionaries(
    {
        "start_s": st.integers(0, 3_000_000_000).map(lambda us: us / 1e6),
        "label": texts.filter(bool),
        "probability": st.floats(0, 1, width=32),
        "listed": st.lists(texts, min_size=len(LISTED), max_size=len(LISTED)),
    }
)


def made(path: Path, rows: Iterable[dict[str, Any]], duration_s: float = 60.0) -> Any:
    whole = [
        {**row(path, r["start_s"], r["label"], r["probability"]),
         **dict(zip(LISTED, r["listed"], strict=True))}
        for r in rows
    ]  # fmt: skip
    table = pa.Table.from_pylist(whole, SCHEMA)
    return RecordingDetections(path=path, duration_s=duration_s, highest_hz=8000.0, table=table)


def write(path: Path, name: str, recordings: Iterable[RecordingDetections], **more: Any) -> None:
    with open_output(path, format_name=name, root=ROOT, schema=SCHEMA, **more) as output:
        for recording in recordings:
            output.write(recording)
        output.close()


def by_pandas(path: Path) -> list[dict[str, Any]]:
    frame = pd.read_csv(path, keep_default_na=False, na_filter=False)
    records: list[dict[str, Any]] = frame.to_dict("records")
    return records


def by_arrow(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def by_json(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


WHOLE_ROWS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    "csv": by_pandas, "parquet": by_arrow, "jsonl": by_json,
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE_ROWS)
@given(rows=st.lists(said, max_size=4))
def test_every_column_comes_back_with_its_value(
    tmp_path_factory: pytest.TempPathFactory, name: str, rows: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("whole") / "out"
    recording = made(ROOT / "Wald" / "a.wav", rows)
    write(path, name, [recording])
    back = WHOLE_ROWS[name](path)
    assert len(back) == len(rows)
    for found, wanted in zip(back, recording.table.to_pylist(), strict=True):
        assert list(found) == SCHEMA.names
        for column in SCHEMA.names:
            if isinstance(wanted[column], float):
                assert math.isclose(found[column], wanted[column], abs_tol=6e-7), column
            elif name == "csv" and isinstance(wanted[column], str):
                # pandas may take a column of digits for numbers, which text alone cannot tell
                same = str(found[column]) == wanted[column]
                assert same or _as_float(wanted[column]) == found[column], column
            else:
                assert found[column] == wanted[column], column


def _as_float(text: str) -> float | None:
    try:
        return float(text)
    except (ValueError, OverflowError):
        return None


def selections(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


durations = st.lists(st.integers(1, 3_600_000).map(lambda ms: ms / 1000), min_size=1, max_size=4)


@given(lengths=durations, per_recording=st.integers(0, 3))
def test_a_raven_table_of_several_recordings_runs_on_from_one_to_the_next(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[float], per_recording: int
) -> None:
    path = tmp_path_factory.mktemp("raven") / "all.txt"
    rows = [
        {"start_s": float(n), "label": "wren", "probability": 0.5, "listed": list(LISTED)}
        for n in range(per_recording)
    ]
    names = [f"{at}.wav" for at in range(len(lengths))]
    write(
        path,
        "raven",
        [made(ROOT / name, rows, length) for name, length in zip(names, lengths, strict=True)],
    )
    lines = selections(path)
    assert [int(line["Selection"]) for line in lines] == [*range(1, len(lines) + 1)]
    assert [line["Begin File"] for line in lines] == [n for n in names for _ in rows]
    before = [sum(lengths[:at]) for at in range(len(lengths)) for _ in rows]
    for line, offset_s in zip(lines, before, strict=True):
        begin, end, inside = (
            float(line[c]) for c in ("Begin Time (s)", "End Time (s)", "File Offset (s)")
        )
        assert begin == pytest.approx(offset_s + inside, abs=2e-6)
        assert end - begin == pytest.approx(1.5, abs=2e-6)
        assert (line["Low Freq (Hz)"], line["High Freq (Hz)"]) == ("0.0", "8000.0")
        assert line["Begin Path"] == f"/recordings/{line['Begin File']}"


def test_columns_of_the_list_stand_behind_ravens_own_under_names_that_differ(
    tmp_path: Path,
) -> None:
    values = [f"mine {name}" for name in LISTED]
    line = {"start_s": 1.0, "label": "wren", "probability": 0.5, "listed": values}
    write(tmp_path / "a.txt", "raven", [made(ROOT / "a.wav", [line])])
    (found,) = selections(tmp_path / "a.txt")
    assert list(found)[: len(RAVEN)] == list(RAVEN)
    assert len({name.casefold() for name in found}) == len(found)
    assert (found["Label"], found["View"]) == ("wren", "Spectrogram 1")
    assert (found["list_Label"], found["list_View"]) == ("mine Label", "mine View")
    assert found["local_time"] == "2024-05-01T04:30:12.250+02:00"


@pytest.mark.parametrize(
    "name",
    ["a.wav", "deep/er/a.wav", "Зяблик/ä.wav", "caf\udce9.wav", "r\udcfcgen/x y.wav", "a,b.wav"],
)
def test_kaleidoscope_finds_the_recording_by_its_three_columns(tmp_path: Path, name: str) -> None:
    write(
        tmp_path / "k.csv",
        "kaleidoscope",
        [detections(ROOT / "in" / name, (2.25, "wren", 0.125))],
    )
    with (tmp_path / "k.csv").open(encoding="utf-8", newline="") as file:
        (line,) = csv.DictReader(file)
    text = f"{line['INDIR']}/{line['FOLDER']}/{line['IN FILE']}"
    assert Path(unescaped_name(text)) == ROOT / "in" / name
    assert (line["OFFSET"], line["DURATION"]) == ("2.250000", "1.500000")
    assert (line["CHANNEL"], line["MANUAL ID"]) == ("0", "")
    assert float(line["PROBABILITY"]) == 0.125


@pytest.mark.parametrize("name", [n for n, f in FORMATS.items() if f.for_spreadsheets])
def test_what_a_spreadsheet_would_run_is_text_when_asked_and_as_it_is_when_not(
    tmp_path: Path, name: str
) -> None:
    labels = ["=1+1", "+x", "-x", "@x", "plain", "-3"]
    heard = [detections(ROOT / "a.wav", *((1.0, label, 0.5) for label in labels))]
    for safe in (False, True):
        path = tmp_path / f"{safe}.txt"
        with open_output(path, format_name=name, root=ROOT, spreadsheet_safe=safe) as output:
            output.write(heard[0])
            output.close()
        delimiter = "\t" if name == "raven" else ","
        column = {"csv": "label", "raven": "Label", "kaleidoscope": "TOP1MATCH"}[name]
        with path.open(encoding="utf-8", newline="") as file:
            found = [line[column] for line in csv.DictReader(file, delimiter=delimiter)]
        wanted = ["'=1+1", "'+x", "'-x", "'@x", "plain", "-3"] if safe else labels
        assert found == wanted


@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.parametrize("folder", ["plain", "Ordner mit Ümläuten", "日本 語", "caf\udce9"])
def test_an_output_may_lie_under_any_name(tmp_path: Path, name: str, folder: str) -> None:
    path = tmp_path / folder / "new" / f"aus gäbe{FORMATS[name].suffix or ''}"
    with open_output(path, format_name=name, root=ROOT) as output:
        output.write(detections(ROOT / "a.wav", (1.0, "wren", 0.5)))
        output.close()
    files = [path] if path.is_file() else list(path.rglob("*.txt"))
    assert len(files) == 1
    assert b"wren" in files[0].read_bytes()
    assert [item.name for item in path.parent.iterdir()] == [path.name]


@given(st.lists(st.sampled_from(["a", "A", "ä", "a\u0308", "b.c"]), min_size=1, unique=True))
def test_recordings_of_names_that_a_disk_may_take_for_one_have_a_table_each(
    tmp_path_factory: pytest.TempPathFactory, stems: list[str]
) -> None:
    path = tmp_path_factory.mktemp("names") / "tables"
    write(path, "audacity", [
        detections(ROOT / f"{stem}.wav", (float(at), f"label {at}", 0.5))
        for at, stem in enumerate(stems)
    ])  # fmt: skip
    texts = [file.read_text("utf-8") for file in path.iterdir()]
    assert sorted(text.split("\t")[2] for text in texts) == [
        f"label {at} 0.500\n" for at in range(len(stems))
    ]


@pytest.mark.parametrize("file", ["x.CSV", "x.csv", "x.Parquet", "x.JSONL", "x.txt"])
def test_a_suffix_in_any_case_names_its_format(file: str) -> None:
    assert format_of(Path(file), None).suffix == Path(file).suffix.lower()


@pytest.mark.parametrize(
    ("file", "name", "said_is"),
    [
        ("x", None, "no format ends in ''"),
        ("x.xlsx", None, "no format ends in '.xlsx'"),
        ("x.csv", "excel", "no format is called 'excel'"),
    ],
)
def test_a_format_that_there_is_not_is_refused_with_all_that_there_are(
    file: str, name: str | None, said_is: str
) -> None:
    with pytest.raises(UsageError) as caught:
        format_of(Path(file), name)
    assert said_is in str(caught.value)
    assert all(each in str(caught.value) for each in FORMATS)


rates = st.sampled_from([8_000, 16_000, 22_050, 32_000, 44_100, 48_000, 250_000])


@given(rates, rates, st.integers(1, 10**9), st.integers(1, 20))
def test_rows_lie_inside_their_recording_and_agree_in_seconds_and_samples(
    rate: int, model_rate: int, n_samples: int, n_windows: int
) -> None:
    length = -(-n_samples * model_rate // rate)  # after resampling, rounded up
    hop = max(1, length // n_windows)
    start = np.arange(0, length, hop)[:n_windows]
    valid = np.minimum(hop, length - start)
    table = window_rows(
        "a.wav", rate=rate, n_samples=n_samples, model_rate=model_rate,
        columns={
            "window": np.arange(len(start)), "start_sample": start, "valid_samples": valid,
            "label": ["wren"] * len(start), "level": ["species"] * len(start),
            "probability": np.full(len(start), 0.5), "rank": np.ones(len(start), int),
        },
    )  # fmt: skip
    assert table.schema == DETECTION_SCHEMA
    for found in table.to_pylist():
        assert 0 <= found["start_sample"] <= found["stop_sample"] <= n_samples
        assert found["stop_s"] <= n_samples / rate
        assert found["start_sample"] / rate == pytest.approx(found["start_s"], abs=0.51 / rate)
        assert found["stop_sample"] / rate == pytest.approx(found["stop_s"], abs=1.01 / rate)
    starts, stops = table["start_sample"].to_pylist(), table["stop_sample"].to_pylist()
    assert all(stop == start for stop, (_, start) in zip(stops, pairwise(starts), strict=False))
