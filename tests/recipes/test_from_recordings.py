"""Recordings of any length become pieces that are drawn as often as they are long."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from dawnchorus.clips.manifest import read_manifest
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.recipes.from_recordings import manifest_of_recordings, recordings_run_values

RATE = 8_000


def recordings(folder: Path, lengths_s: dict[str, float]) -> Path:
    for name, seconds in lengths_s.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        noise = 0.1 * np.random.default_rng(0).standard_normal(round(seconds * RATE))
        soundfile.write(folder / name, noise, RATE)
    return folder


def test_pieces_cover_each_recording_once_and_are_alike(tmp_path: Path) -> None:
    folder = recordings(tmp_path, {"long.wav": 70.0, "short.wav": 4.0})
    clips = list(manifest_of_recordings(folder))
    of_long = [edge for clip in clips[:3] for edge in (clip.start_s, clip.stop_s)]
    assert of_long == pytest.approx([0, 70 / 3, 70 / 3, 140 / 3, 140 / 3, 70])
    assert [clip.path for clip in clips] == ["long.wav"] * 3 + ["short.wav"]
    assert [clip.level for clip in clips] == ["segment"] * 3 + ["file"]
    assert len({clip.id for clip in clips}) == 4
    assert all(clip.labels == () for clip in clips)


def test_whole_recordings_are_kept_for_validation(tmp_path: Path) -> None:
    folder = recordings(tmp_path, {f"{n}.wav": 31.0 + n for n in range(6)})
    clips = list(manifest_of_recordings(folder))
    sides = {clip.path: {c.split for c in clips if c.path == clip.path} for clip in clips}
    assert sorted(map(sorted, sides.values())) == [["train"]] * 5 + [["val"]]
    assert clips == list(manifest_of_recordings(folder))
    alone = recordings(tmp_path / "alone", {"a.wav": 40.0})
    assert {clip.split for clip in manifest_of_recordings(alone)} == {"train"}
    given = recordings(tmp_path / "given", {"train/a.wav": 2.0, "val/b.wav": 2.0, "c/d.wav": 2.0})
    assert [c.split for c in manifest_of_recordings(given)] == ["", "train", "val"]


def test_a_recipe_gets_the_folder_and_keeps_what_it_found(tmp_path: Path) -> None:
    folder = recordings(tmp_path / "mine", {"a.wav": 2.0, "b.wav": 2.0})
    recipe = {"name": "small", "steps": 3, "data": {"label_kinds": [], "sounds": "files"}}
    values = recordings_run_values(recipe, folder, runs=tmp_path / "runs")
    data = values["data"]
    assert (values["steps"], data["sounds"]) == (3, "files")
    manifest = read_manifest(Path(data["root"]) / data["manifest"])
    assert (manifest.folder / manifest[0].path).resolve() == (folder / "a.wav").resolve()
    before = list(manifest)
    recordings(folder, {"c.wav": 2.0})  # made once: a resumed run has the same clips
    recordings_run_values(recipe, folder, runs=tmp_path / "runs")
    assert list(read_manifest(Path(data["root"]) / data["manifest"])) == before


def test_labels_and_broken_files_are_refused_in_words(tmp_path: Path) -> None:
    folder = recordings(tmp_path / "mine", {"a.wav": 2.0})
    with pytest.raises(UsageError, match=r"needs data\.label_kinds: \[\] and a teacher"):
        recordings_run_values({"name": "labelled"}, folder)
    (folder / "b.wav").write_bytes(b"no sound")
    with pytest.raises(TaskError, match=r"1 files cannot be read, the first is b\.wav"):
        manifest_of_recordings(folder)
