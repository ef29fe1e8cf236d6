"""One contract for all readers of labels: the same annotations, the same clips in every form."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import make_sound
from dawnchorus.clips.build import ImportedClips
from dawnchorus.clips.imports import FORMS, form_of, read_labels
from dawnchorus.errors import UsageError
from label_writers import RECORDINGS, WRITERS, Heard

LENGTH_S = 8.0
LABEL = st.sampled_from(["Turdus merula", "Zaunkönig", "wren", "a, b", 'the "great" tit', "Зяблик"])
HEARD = st.tuples(
    st.sampled_from(RECORDINGS), st.integers(0, 6000), st.integers(100, 1900), LABEL
).map(lambda row: (row[0], row[1] / 1000, (row[1] + row[2]) / 1000, row[3]))
FREELY = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8, deadline=None
)
SOME: list[Heard] = [
    ("rec1.wav", 1.5, 3.5, "wren"),
    ("rec1.wav", 1.5, 3.5, "Zaunkönig"),  # two labels of one span
    ("rec2.wav", 4.0, 5.0, "wren"),
    ("sub/rec3.wav", 0.0, 0.25, "Turdus merula"),
]


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audio")
    for path in RECORDINGS:
        make_sound(folder / path, LENGTH_S, rate=8000)
    return folder


def clips_of(heard: Sequence[Heard]) -> set[tuple[str, float, float, frozenset[str]]]:
    """What any form should give: a clip a span, with all labels of it."""
    spans = {one[:3] for one in heard}
    return {(*span, frozenset(one[3] for one in heard if one[:3] == span)) for span in spans}


def read_clips(imported: ImportedClips) -> set[tuple[str, float, float, frozenset[str]]]:
    return {
        (clip.path, round(clip.start_s, 6), round(clip.stop_s, 6), frozenset(clip.labels))
        for clip in imported.manifest
    }


@pytest.mark.parametrize("layout", WRITERS)
@FREELY
@given(heard=st.lists(HEARD, min_size=1, max_size=5))
def test_any_form_gives_the_same_clips(audio: Path, layout: str, heard: list[Heard]) -> None:
    form, write = WRITERS[layout]
    path = write(audio, heard)
    assert form_of([path]) == form
    imported = read_labels(path, audio=audio)
    assert read_clips(imported) == clips_of(heard)
    assert imported.failures == ()


@pytest.mark.parametrize("layout", WRITERS)
def test_ids_name_the_span_and_are_the_same_in_every_form(audio: Path, layout: str) -> None:
    imported = read_labels(WRITERS[layout][1](audio, SOME), audio=audio)
    assert sorted(clip.id for clip in imported.manifest) == [
        "rec1.wav:1.500-3.500",
        "rec2.wav:4.000-5.000",
        "sub/rec3.wav:0.000-0.250",
    ]


# These tables name no recording, and nothing in them says that they belong to one.
NAMELESS = {"BirdNET, a table a recording", "crowsetta simple-seq"}


# a manifest is believed; the others have their recordings measured
@pytest.mark.parametrize("layout", sorted(set(WRITERS) - NAMELESS - {"manifest"}))
def test_a_recording_that_is_gone_is_left_out_by_name(
    audio: Path, tmp_path: Path, layout: str
) -> None:
    for path in RECORDINGS[:2]:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        shutil.copy(audio / path, tmp_path / path)
    imported = read_labels(WRITERS[layout][1](tmp_path, SOME), audio=tmp_path)
    assert {clip.path for clip in imported.manifest} == set(RECORDINGS[:2])
    assert {failure.reason for failure in imported.failures} == {"missing"}
    assert all("rec3" in failure.path for failure in imported.failures)


@pytest.mark.parametrize("layout", sorted(NAMELESS))
def test_a_table_that_may_be_of_any_recording_is_refused_without_its_own(
    audio: Path, tmp_path: Path, layout: str
) -> None:
    shutil.copy(audio / "rec2.wav", tmp_path / "rec2.wav")
    with pytest.raises(UsageError, match="which column is the path"):
        read_labels(WRITERS[layout][1](tmp_path, SOME), audio=tmp_path)


@pytest.mark.parametrize("layout", [name for name in WRITERS if name != "manifest"])
def test_what_was_read_as_what_is_said_or_fixed_by_the_form(audio: Path, layout: str) -> None:
    form, write = WRITERS[layout]
    notes = read_labels(write(audio, SOME), audio=audio).notes
    assert any(": read: path = " in note for note in notes) == (form != "audacity")


def test_every_form_has_a_writer_or_is_the_folder() -> None:
    assert {form for form, _ in WRITERS.values()} == set(FORMS) - {"folder"}


def test_folders_a_table_and_a_manifest_of_whole_recordings_agree(tmp_path: Path) -> None:
    for label in ("wren", "robin"):
        make_sound(tmp_path / "calls" / label / "a.wav", 1.0, rate=8000)
    folder = read_labels(tmp_path / "calls").manifest
    (tmp_path / "calls" / "t.csv").write_text(
        "path,label\nrobin/a.wav,robin\nwren/a.wav,wren\n", encoding="utf-8"
    )
    table = read_labels(tmp_path / "calls" / "t.csv").manifest
    assert list(table) == list(folder)
    assert [clip.labels for clip in folder] == [("robin",), ("wren",)]
