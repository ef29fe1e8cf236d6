"""Detections that we write, read back as labels, say where and what as they did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import make_sound
from dawnchorus.engine.exports.detection_table import (
    DETECTION_SCHEMA,
    RecordingDetections,
    detection_table,
)
from dawnchorus.engine.exports.formats import FORMATS
from dawnchorus.engine.exports.output import OutputFile
from dawnchorus.probing.labels import read_labels
from dawnchorus.text_tables.values import is_missing

if TYPE_CHECKING:
    from pathlib import Path

LENGTH_S = 8.0
PATHS = ("north/rec 1.wav", "south/rec 1.wav", "rec2.wav")  # two of one name
NAMES = {"csv": "d.csv", "raven": "d.txt", "kaleidoscope": "k.csv"}
Heard = list[tuple[int, float, float, str]]

LABEL = st.one_of(
    st.sampled_from(["Turdus merula", 'the "great" tit', "a, b; c", "x\ty", "12", "0", "Зяблик"]),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=9),
).filter(lambda text: not is_missing(" ".join(text.split())))
SPAN = st.tuples(
    st.integers(0, len(PATHS) - 1), st.integers(0, 6000), st.integers(1, 2000), LABEL
).map(lambda row: (row[0], row[1] / 1000, (row[1] + row[2]) / 1000, row[3]))
FREELY = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audio")
    for path in PATHS:
        make_sound(folder / path, LENGTH_S, rate=8000)
    return folder


def of_recording(audio: Path, number: int, heard: Heard) -> RecordingDetections:
    rows = [row for row in heard if row[0] == number]
    start = np.array([row[1] for row in rows])
    stop = np.array([row[2] for row in rows])
    n = len(rows)
    columns = {
        "path": [PATHS[number]] * n,
        "window": range(n),
        "start_s": start,
        "stop_s": stop,
        "start_sample": np.round(start * 8000).astype(int),
        "stop_sample": np.round(stop * 8000).astype(int),
        "sample_rate": [8000] * n,
        "label": [row[3] for row in rows],
        "probability": [0.123] * n,
        "rank": [1] * n,
        "n_windows": [1] * n,
    }
    return RecordingDetections(
        path=audio / PATHS[number],
        duration_s=LENGTH_S,
        highest_hz=4000.0,
        table=detection_table(columns),
    )


def write(audio: Path, path: Path, kind: str, numbers: range, heard: Heard) -> None:
    with OutputFile(path, FORMATS[kind], DETECTION_SCHEMA, overwrite=True) as file:
        for number in numbers:
            file.write(of_recording(audio, number, heard))
        file.close()


def read(place: Path, audio: Path) -> set[tuple[str, float, float, str]]:
    made = read_labels(place, audio=audio)
    assert not made.failures
    return {
        (clip.path, round(clip.start_s, 6), round(clip.stop_s, 6), label)
        for clip in made.manifest
        for label in clip.labels
    }


def spaced(text: str) -> str:
    """With one space between words: line ends and tabs are none in a table."""
    return " ".join(text.split())


@FREELY
@given(heard=st.lists(SPAN, min_size=1, max_size=6), kind=st.sampled_from(sorted(NAMES)))
def test_a_table_of_detections_comes_back(
    audio: Path, tmp_path: Path, heard: Heard, kind: str
) -> None:
    table = tmp_path / NAMES[kind]
    write(audio, table, kind, range(len(PATHS)), heard)
    want = {(PATHS[number], start, stop, label.strip()) for number, start, stop, label in heard}
    assert read(table, audio) == want


@FREELY
@given(heard=st.lists(SPAN, min_size=1, max_size=6))
def test_an_audacity_track_of_a_recording_comes_back(
    audio: Path, tmp_path: Path, heard: Heard
) -> None:
    heard = [(2, start, stop, label) for _, start, stop, label in heard]
    write(audio, tmp_path / "rec2.labels.txt", "audacity", range(2, 3), heard)
    want = {("rec2.wav", start, stop, spaced(label)) for _, start, stop, label in heard}
    assert read(tmp_path / "rec2.labels.txt", audio) == want
