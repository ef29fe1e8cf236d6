"""Input statistics are those of all values at once; summaries count what is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
import torch

from conftest import make_sound
from dawnchorus.audio.frontend import log_mel
from dawnchorus.clips.folders import manifest_of_folder
from dawnchorus.clips.manifest import Manifest
from dawnchorus.clips.summary import summarise
from dawnchorus.clips.summary_plot import plot_summary
from dawnchorus.errors import TaskError
from dawnchorus.feed.statistics import input_statistics


def test_mean_and_deviation_are_those_of_every_band_of_every_frame(tmp_path: Path) -> None:
    for number in range(4):
        make_sound(tmp_path / f"wren/{number}.wav", 0.6 + number / 5, seed=number)
    values = []
    for path in sorted(tmp_path.rglob("*.wav")):
        samples, _ = soundfile.read(path, dtype="float32")
        values.append(log_mel(torch.from_numpy(samples)[None]).double().flatten())
    joined = torch.cat(values)
    found = input_statistics(manifest_of_folder(tmp_path).manifest, n_clips=None, threads=2)
    assert found.mean == pytest.approx(float(joined.mean()), abs=1e-6)
    assert found.std == pytest.approx(float(joined.std(correction=0)), abs=1e-6)
    assert found.n_frames == len(joined) / 128
    assert found.n_clips == 4
    assert found.config_line == f"normalization: [{joined.mean():.3f}, {found.std:.3f}]"


def test_long_clips_are_cropped_and_a_sample_is_the_same_again(tmp_path: Path) -> None:
    for number in range(6):
        make_sound(tmp_path / f"{number}.wav", 2.0, seed=number)
    manifest = manifest_of_folder(tmp_path).manifest
    first, again, other = (
        input_statistics(manifest, n_clips=3, crop_s=0.5, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again != other
    places = [input_statistics(manifest, crop_s=0.5, seed=seed).mean for seed in (1, 2)]
    assert places[0] != places[1]  # the same clips, from another place in each
    assert (first.n_clips, first.n_frames) == (3, 3 * 48)
    assert first.hours == pytest.approx(1.5 / 3600)


def test_clips_that_cannot_be_read_are_left_out_and_named(tmp_path: Path) -> None:
    make_sound(tmp_path / "a.wav", 1.0)
    make_sound(tmp_path / "b.wav", 1.0)
    manifest = manifest_of_folder(tmp_path).manifest
    (tmp_path / "b.wav").unlink()
    found = input_statistics(manifest)
    assert (found.n_clips, [failure.path for failure in found.failures]) == (1, ["b.wav"])
    (tmp_path / "a.wav").unlink()
    with pytest.raises(TaskError, match=r"none of 2 clips can be read: .*no such file"):
        input_statistics(manifest)


@pytest.fixture
def manifest() -> Manifest:
    table = pa.table(
        {
            "id": list("abcde"),
            "path": ["1", "1", "2", "3", "4"],
            "start_s": [0.0, 1.0, 0.0, 0.0, 0.0],
            "stop_s": [1.0, 3.0, 3600.0, 10.0, None],
            "labels": [["wren"], ["wren", "robin"], [], ["wren"], ["tit"]],
            "split": ["train", "train", "test", None, None],
            "source": ["xc", "xc", "inat", None, "inat"],
            "licence": ["CC0", "CC0", "CC BY 4.0", None, ""],
            "sample_rate": [48_000, 48_000, 16_000, None, 16_000],
        }
    )
    return Manifest(table, Path())


def test_a_summary_counts_clips_files_hours_labels_and_what_is_unknown(manifest: Manifest) -> None:
    found = summarise(manifest)
    assert (found.total.n_clips, found.total.n_files, found.total.n_labels) == (5, 4, 3)
    assert (found.total.n_unlabelled, found.total.n_unknown_length) == (1, 1)
    assert found.total.hours == pytest.approx(3613 / 3600, abs=1e-4)
    assert [(part.name, part.n_clips) for part in found.datasets] == [
        ("inat", 2), ("unknown", 1), ("xc", 2)
    ]  # fmt: skip
    assert {part.name: part.n_clips for part in found.splits} == {
        "unknown": 2, "test": 1, "train": 2
    }  # fmt: skip
    assert found.licences == {"CC0": 2, "unknown": 2, "CC BY 4.0": 1}
    assert found.rates == {"16000": 2, "48000": 1, "unknown": 1}
    assert next(iter(found.labels.items())) == ("wren", 3)
    assert (found.n_rare_labels, found.n_single_labels) == (3, 2)
    assert found.length_s[0] == 1.0


def test_a_picture_is_drawn_of_any_manifest(manifest: Manifest, tmp_path: Path) -> None:
    plot_summary(manifest, tmp_path / "pictures" / "all.png")
    empty = manifest.filter(np.zeros(5, bool))
    plot_summary(empty, tmp_path / "empty.png")
    assert (tmp_path / "pictures" / "all.png").stat().st_size > 10_000
    assert summarise(empty).total.n_clips == 0
