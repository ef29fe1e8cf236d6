"""Copies are found whatever was done to them, and sounds that are no copies are not."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from dawnchorus.audio.resample import resample
from dawnchorus.clips.duplicates import (
    best_correlation,
    find_duplicates,
    without_duplicates,
    write_duplicates,
)
from dawnchorus.clips.fingerprints import landmarks
from dawnchorus.clips.manifest import Manifest

RATE = 16_000


def song(seed: int, seconds: float = 4.0) -> np.ndarray:
    """Chirps in noise, all drawn at random."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * RATE)) / RATE
    sound = 0.01 * rng.standard_normal(len(time_s))
    for _ in range(round(6 * seconds)):
        start_s, length_s = rng.uniform(0, seconds), rng.uniform(0.05, 0.3)
        low, high = rng.uniform(800, 6500, 2)
        inside = (time_s >= start_s) & (time_s < start_s + length_s)
        since = time_s[inside] - start_s
        phase = 2 * np.pi * (low + (high - low) / (2 * length_s) * since) * since
        sound[inside] += 0.2 * np.sin(phase) * np.hanning(len(since))
    return sound.astype(np.float32)


def manifest(folder: Path, files: dict[str, str], dataset: str = "songs") -> Manifest:
    table = pa.table(
        {
            "id": list(files),
            "path": list(files),
            "labels": [["wren"]] * len(files),
            "split": [split or None for split in files.values()],
            "dataset": [dataset] * len(files),
        }
    )
    return Manifest(table, folder)


@pytest.fixture
def copies(tmp_path: Path) -> dict[str, str]:
    """One song in many guises, and ten others."""
    original = song(0)
    soundfile.write(tmp_path / "original.wav", original, RATE)
    soundfile.write(tmp_path / "softer.flac", -0.05 * original, RATE)
    soundfile.write(tmp_path / "encoded.mp3", resample(original, RATE, 22_050), 22_050)
    soundfile.write(tmp_path / "encoded.opus", original, RATE, format="OGG", subtype="OPUS")
    soundfile.write(tmp_path / "trimmed.ogg", original[20_011:50_000], RATE)
    shifted = np.concatenate([song(99, 1.3), original[: 3 * RATE]])
    soundfile.write(tmp_path / "shifted.wav", resample(shifted, RATE, 44_100), 44_100)
    for number in range(1, 11):
        soundfile.write(tmp_path / f"other{number}.wav", song(number), RATE)
    return {path.name: "train" for path in sorted(tmp_path.iterdir())}


def test_every_copy_is_found_and_nothing_else(copies: dict[str, str], tmp_path: Path) -> None:
    guises = {name for name in copies if not name.startswith("other")}
    report = find_duplicates(manifest(tmp_path, {**copies, "trimmed.ogg": "test"}))
    assert (report.n_files, report.n_pairs) == (16, 16 * 15 // 2)
    found = {frozenset((pair.path, pair.other)) for pair in report.found}
    with_original = {name for pair in found if "original.wav" in pair for name in pair}
    assert with_original == guises
    assert all(pair <= guises for pair in found)
    assert report.n_between_splits == sum("trimmed.ogg" in pair for pair in found) >= 3
    assert report.found[0].crosses_splits  # what leaks comes first
    assert report.n_verified < 60


@pytest.mark.usefixtures("copies")
def test_where_one_lies_in_the_other_is_said_to_the_sample(
    tmp_path: Path,
) -> None:
    chosen = dict.fromkeys(("original.wav", "trimmed.ogg", "softer.flac"), "train")
    report = find_duplicates(manifest(tmp_path, chosen))
    pairs = {(pair.path, pair.other): pair for pair in report.found}
    trimmed = pairs["original.wav", "trimmed.ogg"]
    assert trimmed.offset_s == pytest.approx(20_011 / RATE, abs=2e-4)
    assert trimmed.overlap_s == pytest.approx(29_989 / RATE, abs=0.01)
    assert pairs["original.wav", "softer.flac"].correlation > 0.99
    write_duplicates(report, tmp_path / "pairs.csv")
    with (tmp_path / "pairs.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(report.found) == 3


def test_files_that_cannot_be_compared_are_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", song(1), RATE)
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE, np.float32), RATE)
    (tmp_path / "bad.wav").write_bytes(b"no sound at all" * 9)
    files = {"a.wav": "", "silent.wav": "", "bad.wav": ""}
    report = find_duplicates(manifest(tmp_path, files))
    assert [failure.path for failure in report.failures] == ["bad.wav"]
    assert report.without == ("silent.wav",)
    assert (report.n_files, report.n_pairs, report.found) == (2, 1, ())


def test_steady_tones_of_one_pitch_are_no_copies(tmp_path: Path) -> None:
    time_s = np.arange(3 * RATE) / RATE
    for number in range(4):
        noise = 0.02 * np.random.default_rng(number).standard_normal(len(time_s))
        tone = 0.3 * np.sin(2 * np.pi * 1000 * time_s + number) + noise
        soundfile.write(tmp_path / f"{number}.wav", tone.astype(np.float32), RATE)
    report = find_duplicates(manifest(tmp_path, {f"{n}.wav": "" for n in range(4)}))
    assert report.found == ()


@pytest.mark.usefixtures("copies")
def test_dropping_keeps_the_test_and_one_of_each_pair(
    tmp_path: Path,
) -> None:
    files = {"softer.flac": "train", "trimmed.ogg": "test", "original.wav": "val", "other1.wav": ""}
    clips = manifest(tmp_path, files)
    left = without_duplicates(clips, find_duplicates(clips))
    assert [clip.path for clip in left] == ["trimmed.ogg", "other1.wav"]


def test_correlation_is_that_of_a_plain_search() -> None:
    rng = np.random.default_rng(0)
    first = rng.standard_normal(3000).astype(np.float32)
    second = np.concatenate([0.3 * first[1000:], 0.1 * rng.standard_normal(500)]).astype(np.float32)
    found, lag = best_correlation(first, second, 0.0)
    assert lag == 1000
    assert found == pytest.approx(1.0, abs=0.02)
    other, _ = best_correlation(first, rng.standard_normal(3000).astype(np.float32), 0.0)
    assert other < 0.2


def test_landmarks_are_relative_in_time_and_level() -> None:
    sound = song(3)
    keys, times = landmarks(sound)
    louder, _ = landmarks(8 * sound)
    np.testing.assert_array_equal(keys, louder)
    moved = np.concatenate([np.zeros(128 * 50, np.float32), sound])
    later, later_times = landmarks(moved)
    shared = {(key, time + 50) for key, time in zip(keys, times, strict=True)}
    found = set(zip(later.tolist(), later_times.tolist(), strict=True))
    assert len(shared & found) > 0.9 * len(shared)
    assert len(landmarks(np.zeros(RATE, np.float32))[0]) == 0
    assert len(landmarks(sound[:100])[0]) == 0


def test_pairs_within_a_split_can_be_left_out(copies: dict[str, str], tmp_path: Path) -> None:
    clips = manifest(tmp_path, {**copies, "trimmed.ogg": "test"})
    every, between = find_duplicates(clips), find_duplicates(clips, between_splits=True)
    assert any(not pair.crosses_splits for pair in every.found)
    assert between.found == tuple(pair for pair in every.found if pair.crosses_splits)
    assert between.found
    assert between.n_pairs == 15  # of the one test file with every other
