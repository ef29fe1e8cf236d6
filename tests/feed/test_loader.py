"""Batches drawn ahead are those drawn one by one; what fails says so; noise comes from its pool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from conftest import make_sound
from dawnchorus.clips.folders import manifest_of_folder
from dawnchorus.clips.manifest import Manifest, write_manifest
from dawnchorus.clips.sounds import FileSounds
from dawnchorus.configs import AugmentConfig, BucketConfig, DataConfig
from dawnchorus.errors import AudioError, TaskError, UsageError
from dawnchorus.feed.batches import Batch, BatchSource
from dawnchorus.feed.cache import SoundCache, open_sounds
from dawnchorus.feed.loader import Loader
from dawnchorus.feed.noise import NoisePool, add_noise
from dawnchorus.feed.vocabulary import gather_vocabulary

RATE = 16_000


@pytest.fixture
def clips(tmp_path: Path) -> Manifest:
    for number in range(6):
        name = f"train/{'wren' if number % 2 else 'robin'}/{number}.wav"
        make_sound(
            tmp_path / name, 1.5 + number / 8, rate=(16_000, 22_050)[number % 2], seed=number
        )
    make_sound(tmp_path / "train/wind/w.wav", 0.7, seed=9)
    make_sound(tmp_path / "val/wind/v.wav", 0.7, seed=10)
    return manifest_of_folder(tmp_path).manifest


def source(clips: Manifest, how: Any = "files", **data: Any) -> BatchSource:
    training = clips.where(split="train")
    return BatchSource(
        training,
        open_sounds(training, how, RATE),
        [gather_vocabulary(training, ["species"])],
        data=DataConfig(root=str(clips.folder), **data),
        buckets=[BucketConfig(crop_s=1.0, batch_size=4)],
        augment=AugmentConfig(gain_db=3.0),
        seed=5,
    )


def same(ours: Batch, theirs: Batch) -> bool:
    return (
        ours.ids == theirs.ids
        and (ours.step, ours.first_row) == (theirs.step, theirs.first_row)
        and torch.equal(ours.waveforms, theirs.waveforms)
        and torch.equal(ours.targets, theirs.targets)
    )


@pytest.mark.parametrize("parts", [[(0, 1)], [(0, 2), (1, 2)], [(2, 4), (3, 4)]])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_loader_gives_what_its_source_gives(
    clips: Manifest, parts: list[tuple[int, int]], workers: int
) -> None:
    plain = source(clips)
    with Loader(source(clips), workers=workers) as loader:
        for step in [0, 1, 2, 3, 7, 8, 2]:  # also after a jump ahead, or back
            for part, n_parts in parts:
                assert same(loader.draw(step, part, n_parts), plain.draw(step, part, n_parts))
        assert len(loader._waiting) <= loader.ahead


def test_next_batches_are_begun_before_they_are_asked_for(clips: Manifest) -> None:
    with Loader(source(clips), workers=2, ahead=2) as loader:
        loader.draw(4)
        assert set(loader._waiting) == {(5, 0, 1), (6, 0, 1)}


def test_sound_in_memory_is_the_sound_of_the_files(clips: Manifest) -> None:
    files = source(clips).fixed(list(clips), 1.0)
    memory = source(clips, "memory").fixed(list(clips.where(split="train")), 1.0)
    rows = [files.ids.index(name) for name in memory.ids]
    # at the end a stretch of a file is resampled without what follows it
    inside = slice(0, round(0.9 * RATE))
    difference = (files.waveforms[rows] - memory.waveforms)[:, inside].abs()
    assert difference.max() < 1e-4
    assert memory.waveforms.abs().max() > 0.1


def test_a_clip_that_cannot_be_read_is_named_in_its_turn(clips: Manifest) -> None:
    drawn = source(clips)
    (clips.folder / "train/robin/2.wav").write_bytes(b"no sound at all" * 9)
    with (
        Loader(drawn, workers=2) as loader,
        pytest.raises(AudioError, match=r"robin/2\.wav: not a sound file"),
    ):
        _ = [loader.draw(step) for step in range(10)]
    with Loader(drawn, workers=2) as loader, pytest.raises(UsageError, match="cannot be cut"):
        loader.draw(0, 0, 3)


def test_a_file_that_ends_early_gives_what_it_has_and_beyond_its_end_an_error(
    tmp_path: Path,
) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(RATE, 0.25, np.float32), RATE)
    sounds = FileSounds(tmp_path, RATE)
    assert len(sounds.read("a.wav", RATE - 100, 500)) == 100
    for kind in (sounds, open_sounds(manifest_of_folder(tmp_path).manifest, "memory", RATE)):
        with pytest.raises(AudioError, match="nothing"):
            kind.read("a.wav", RATE + 5, 500)
    with pytest.raises(AudioError, match="no such file"):
        sounds.read("b.wav", 0, 10)


def test_silence_stays_silent_and_silent_noise_adds_nothing() -> None:
    sound = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
    silent = np.zeros_like(sound)
    np.testing.assert_array_equal(add_noise(silent, sound, 0.0), silent)
    np.testing.assert_array_equal(add_noise(sound, silent, 0.0), sound)


def test_noise_never_comes_from_validation_and_a_pool_may_lie_elsewhere(
    clips: Manifest, tmp_path: Path
) -> None:
    sounds = FileSounds(clips.folder, RATE)
    windy = Manifest(
        clips.table.set_column(
            clips.table.column_names.index("dataset"),
            "dataset",
            [["wind" if "wind" in clip.path else "birds" for clip in clips]],
        ),
        clips.folder,
    )

    def paths(**data: Any) -> set[str]:
        pool = NoisePool.of(DataConfig(root=str(clips.folder), **data), windy, sounds)
        return {clip.path for clip, _ in pool.clips}

    assert paths(noise_sources=["wind"]) == {"train/wind/w.wav"}
    assert paths(noise_pool="train/wind") == {"w.wav"}
    write_manifest(clips, tmp_path / "all.parquet")
    assert paths(noise_pool="all.parquet") == {clip.path for clip in clips if clip.split == "train"}
    with pytest.raises(TaskError, match="no training clip is of dataset 'rain'"):
        paths(noise_sources=["rain"])
    pool = NoisePool.of(DataConfig(root=str(clips.folder), noise_sources=["wind"]), windy, sounds)
    piece = pool.piece(3 * RATE, np.random.default_rng(0))
    assert len(piece) == 3 * RATE
    np.testing.assert_array_equal(piece[: round(0.7 * RATE)], piece[round(0.7 * RATE) :][:11_200])


def test_sounds_that_memory_cannot_hold_are_refused_before_one_is_decoded(clips: Manifest) -> None:
    ends = {clip.path: clip.stop_s for clip in clips}
    needed = round(sum(ends.values()) * RATE) * 2
    with pytest.raises(UsageError, match=r"set data.sounds: files"):
        open_sounds(clips, "memory", RATE, free_bytes=lambda: needed - 1)
    with pytest.raises(UsageError, match="in each of 3 processes"):
        open_sounds(clips, "memory", RATE, n_processes=3, free_bytes=lambda: needed)
    held = open_sounds(clips, "memory", RATE, free_bytes=lambda: needed)
    assert isinstance(held, SoundCache)
    arrays = held._sounds.values()
    assert sum(array.nbytes for array in arrays) == pytest.approx(needed, abs=4 * len(ends))
