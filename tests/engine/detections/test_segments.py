"""The best detections of each label, cut out for review, and nothing of the user's lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from dawnchorus.engine.detections.segments import Segments
from made_detections import detections

WriteSound = Callable[..., Path]


def test_the_best_of_each_label_are_cut_out_for_review(
    tmp_path: Path, write_sound: WriteSound
) -> None:
    path = write_sound(tmp_path / "a.wav", 20.0, 48_000)
    segments = Segments(tmp_path / "x.segments", 2)
    segments.add(
        detections(
            path, (0.0, "wren", 0.2), (5.0, "wren", 0.9), (9.0, "wren", 0.4), (9.0, "a/b", 1)
        )
    )
    gone = detections(tmp_path / "gone.wav", (0.0, "robin", 0.5))
    segments.add(gone)
    (problem,) = segments.write()
    assert "gone.wav" in problem
    found = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.flac")}
    assert found == {
        "x.segments/wren/0.900_a_5.00s.flac",
        "x.segments/wren/0.400_a_9.00s.flac",
        "x.segments/a_b/1.000_a_9.00s.flac",
    }
    samples, rate = soundfile.read(tmp_path / "x.segments/wren/0.900_a_5.00s.flac")
    whole, _ = soundfile.read(path)
    assert (rate, len(samples)) == (48_000, round(3.5 * 48_000))
    np.testing.assert_allclose(samples, whole[4 * 48_000 : 4 * 48_000 + len(samples)], atol=4e-5)


def test_segments_of_recordings_with_one_name_are_a_file_each_and_an_index_tells_them_apart(
    tmp_path: Path, write_sound: WriteSound
) -> None:
    sites = [write_sound(tmp_path / site / "dawn.wav", 4.0) for site in "AB"]
    segments = Segments(tmp_path / "x.segments", 9)
    for path in sites:
        segments.add(detections(path, (0.0, "wren", 0.9), (2.0, "Wren", 0.5)))
    assert segments.write() == []
    index = pd.read_csv(tmp_path / "x.segments/index.csv")
    assert len(index) == len(set(index["file"].str.casefold())) == 4
    for line in index.to_dict("records"):
        samples, rate = soundfile.read(tmp_path / "x.segments" / line["file"])
        whole, _ = soundfile.read(line["path"])
        start, stop = (line[f"{end}_in_segment_s"] for end in ("start", "stop"))
        assert (stop - start, start) == (1.5, min(1.0, line["start_s"]))
        assert line["segment_s"] == len(samples) / rate
        heard = samples[round(start * rate) : round(stop * rate)]
        there = whole[round(line["start_s"] * rate) : round(line["stop_s"] * rate)]
        np.testing.assert_allclose(heard, there, atol=4e-5)


def test_segments_of_an_earlier_run_go_and_the_users_own_files_stay(
    tmp_path: Path, write_sound: WriteSound
) -> None:
    path = write_sound(tmp_path / "a.wav", 4.0)
    folder = tmp_path / "x.segments"
    for start_s in (0.0, 2.0):
        segments = Segments(folder, 1)
        segments.add(detections(path, (start_s, "wren", 0.9)))
        segments.write()
        (folder / "wren" / "mine.txt").write_text("heard well")
        (tmp_path / "precious.flac").touch()
        index = (folder / "index.csv").read_text()
        (folder / "index.csv").write_text(index + "../precious.flac\n")
    found = sorted(path.name for path in folder.rglob("*.*") if path.is_file())
    assert found == ["0.900_a_2.00s.flac", "index.csv", "mine.txt"]
    assert (tmp_path / "precious.flac").exists()
