"""A probe on an annotation table: the same as on the same labels as CSV, and what is left out."""

import csv
from pathlib import Path

import numpy as np
import pytest

from dawnchorus.annotations.annotation_table import AnnotationTable, new_row
from dawnchorus.annotations.imported import add_new, rows_of
from dawnchorus.annotations.row_reader import ReadOptions
from dawnchorus.cli.app import main
from dawnchorus.clips.imports import read_tables
from dawnchorus.errors import UsageError
from dawnchorus.probing.annotated import annotated_clips
from dawnchorus.probing.fit import probe_fit
from dawnchorus.store.read import Store
from program_inputs import Inputs


def row(start_s, label="wren", state="present", path="a.wav", **columns):
    return new_row(path, start_s, start_s + 2.0, label, author="ann", state=state, **columns)


def clips_of(tmp_path: Path, rows, **options):
    table = AnnotationTable(tmp_path / "x.annotations", create=True)
    table.append(rows)
    clips = annotated_clips(table, tmp_path, **options)
    said = {(c.path, c.start_s): (set(c.labels), c.split) for c in clips.manifest}
    return said, " ".join(clips.notes)


def test_present_labels_of_a_span_are_its_labels_and_absent_is_none(tmp_path: Path) -> None:
    rows = [row(0), row(0, "robin"), row(5, state="absent"), row(10, "")]
    said, notes = clips_of(tmp_path, rows)
    assert said == {
        ("a.wav", 0.0): ({"wren", "robin"}, ""),
        ("a.wav", 5.0): (set(), ""),
        ("a.wav", 10.0): (set(), ""),
    }
    assert "1 spans were judged for some of 2 labels only" in notes


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    rows = [
        row(0),
        row(20, state="unsure"),
        row(30, state=None),
        row(41, state="absent"),
        row(40, purpose="estimate"),  # touches the one before, whatever it is for
        row(42, state="absent"),
        row(43, "robin", state="absent"),
    ]
    said, notes = clips_of(tmp_path, rows)
    assert set(said) == {("a.wav", 0.0), ("a.wav", 42.0), ("a.wav", 43.0)}
    assert "2 spans are left out" in notes
    assert "1 annotations are of another purpose" in notes


def test_people_who_contradict_each_other_teach_nothing(tmp_path: Path) -> None:
    other = new_row("a.wav", 0, 2, "wren", author="bob", state="absent")
    with pytest.raises(UsageError, match=r"label list --conflicts"):
        clips_of(tmp_path, [row(0), other])


def test_labels_to_estimate_are_never_trained_on_unless_asked(tmp_path: Path) -> None:
    rows = [row(0), row(5, purpose="estimate"), row(10, state="absent", purpose="estimate")]
    train, _ = clips_of(tmp_path / "1", rows)
    estimate, _ = clips_of(tmp_path / "2", rows, purpose="estimate")
    everything, _ = clips_of(tmp_path / "3", rows, purpose=None)
    assert set(train) == {("a.wav", 0.0)}
    assert set(estimate) == {("a.wav", 5.0), ("a.wav", 10.0)}
    assert set(everything) == {*train, *estimate}
    with pytest.raises(UsageError, match=r"none of 1 .* is of purpose estimate.*--any-purpose"):
        clips_of(tmp_path / "4", rows[:1], purpose="estimate")


def test_one_label_can_be_asked_for(tmp_path: Path) -> None:
    said, _ = clips_of(tmp_path, [row(0), row(5, "robin"), row(10, "")], label="wren")
    assert {start: labels for (_, start), (labels, _) in said.items()} == {0: {"wren"}, 10: set()}


def test_a_split_of_the_foreign_table_is_kept(tmp_path: Path) -> None:
    rows = [row(0, extra=(("split", "test"), ("group", "g"))), row(5, extra=(("split", "odd"),))]
    said, _ = clips_of(tmp_path, rows)
    assert [split for _, split in said.values()] == ["test", ""]


@pytest.fixture(scope="module")
def inputs(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return Inputs(tmp_path_factory.mktemp("inputs") / "given", tiny_folder)


@pytest.fixture
def labels(inputs: Inputs, tmp_path: Path) -> Path:
    """The clips of the inputs as CSV: some half, some of no label, with a span each."""
    path = tmp_path / "labels.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "start_s", "end_s", "label"])
        for wav in sorted(inputs["calls"].rglob("*.wav")):
            label = wav.parent.name
            writer.writerow([wav.relative_to(inputs["calls"]), 0, 0.5, label])
    return path


@pytest.mark.long
def test_a_fit_on_annotations_is_the_fit_on_the_same_csv(
    inputs: Inputs, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio = inputs["calls"]
    listed = read_tables([labels], "csv", audio, ReadOptions(keep=True))
    table = AnnotationTable(tmp_path / "x.annotations", create=True)
    rows, _ = rows_of(listed, "ann")
    add_new(table, rows)
    common = ["--audio", str(audio), "-m", str(inputs["model"]), "--no-cache", "-q"]
    fit = ["probe", "fit", *common, "-o"]
    assert main([*fit, str(tmp_path / "csv"), str(labels)]) == 0
    annotations = ["--annotations", str(table.folder)]
    assert main([*fit, str(tmp_path / "table"), *annotations]) == 0
    one, other = ((tmp_path / name / "probe.safetensors").read_bytes() for name in ("csv", "table"))
    assert len(one) > 0
    assert one == other
    capsys.readouterr()
    evaluate = ["probe", "evaluate", str(tmp_path / "table"), *annotations, *common, "--seen"]
    assert main(evaluate) == 2
    assert "purpose estimate" in capsys.readouterr().err
    assert main([*evaluate, "--any-purpose"]) == 0
    by_table = capsys.readouterr().out
    assert main(["probe", "evaluate", str(tmp_path / "csv"), str(labels), *common, "--seen"]) == 0
    assert capsys.readouterr().out == by_table


def test_annotations_and_clips_exclude_each_other(
    labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = AnnotationTable(tmp_path / "x.annotations", create=True)
    fit = ["probe", "fit", "-o", str(tmp_path / "p")]
    assert main([*fit, str(labels), "--annotations", str(table.folder)]) == 2
    assert "exclude each other" in capsys.readouterr().err
    assert main(fit) == 2
    assert "or --annotations" in capsys.readouterr().err
    assert not (tmp_path / "p").exists()


def test_a_fit_from_a_store_needs_no_recordings(inputs: Inputs, tmp_path: Path) -> None:
    store = Store(inputs["store"])
    windows = store.windows(["path", "start_s", "stop_s"]).to_pylist()
    half = len(windows) // 2
    rows = [
        new_row(w["path"], w["start_s"], w["stop_s"], "owl", author="ann", state=state)
        for k, w in enumerate(windows)
        for state in ["present" if k < half else "absent"]
    ]
    table = AnnotationTable(tmp_path / "x.annotations", create=True)
    table.append(rows)
    clips = annotated_clips(table, Path(store.header.audio_root))
    assert np.sum([len(c.labels) for c in clips.manifest]) == half
    report = probe_fit(clips, tmp_path / "p", store=inputs["store"])
    assert (report.n_clips, report.probe.classes) == (len(windows), ("owl",))
