"""Batches are a function of seed and step, and labels reach the crops they hold for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from dawnchorus.configs import PosttrainConfig
from dawnchorus.data.batches import BatchSource
from dawnchorus.data.cache import SoundCache
from dawnchorus.data.manifest import Clip, read_manifest
from dawnchorus.data.teacher import Teacher
from dawnchorus.data.vocabulary import gather_vocabulary
from dawnchorus.errors import TaskError

RATE = 16_000


def clip(name: str, start_s: float, stop_s: float, labels: list[str], **changes: Any) -> Clip:
    values = {
        "id": f"{name}:{start_s}",
        "path": name,
        "dataset": "birds",
        "level": "segment",
        "start_s": start_s,
        "stop_s": stop_s,
        "labels": tuple(labels),
        "kind": "species",
        "split": "train",
    }
    return Clip(**{**values, **changes})


CLIPS = [
    clip("a", 0, 8, ["wren"], level="file"),
    clip("a", 0, 3, ["Troglodytidae"]),
    clip("b", 0, 4, ["robin"], level="file"),
    clip("scene", 0, 6, ["wren", "robin"], level="file", dataset="scenes"),
    clip("scene", 0, 2, ["robin"], dataset="scenes"),
    clip("noise", 0, 5, ["wind"], level="file", dataset="noise", kind="sound"),
]


def config(**changes: Any) -> PosttrainConfig:
    values: dict[str, Any] = {
        "name": "toy",
        "steps": 10,
        "learning_rate": 0.1,
        "buckets": [{"crop_s": 2.0, "batch_size": 6}, {"crop_s": 4.0, "batch_size": 4}],
        "data": {"root": ".", "noise_sources": ["noise"], "strong_sources": ["scenes"]},
    }
    return PosttrainConfig(**{**values, **changes})


PLAIN: dict[str, Any] = {"mix_probability": 0.0, "noise": {"probability": 0.0}}


@pytest.fixture
def sounds() -> SoundCache:
    rng = np.random.default_rng(0)
    cache = SoundCache(Path(), RATE)
    seconds = {"a": 8, "b": 4, "scene": 6, "noise": 5}
    cache._sounds = {
        name: (rng.standard_normal(s * RATE) * 3000).astype(np.int16) for name, s in seconds.items()
    }
    return cache


def source(sounds: SoundCache, **changes: Any) -> BatchSource:
    vocabularies = [gather_vocabulary(CLIPS, ["species", "sound"])]
    return BatchSource(CLIPS, sounds, vocabularies, config(**changes))


def test_a_step_gives_the_same_batch_again_and_another_step_another(sounds: SoundCache) -> None:
    first, second = source(sounds), source(sounds)
    for step in range(4):
        ours, theirs = first.draw(step), second.draw(step)
        assert ours.ids == theirs.ids
        assert torch.equal(ours.waveforms, theirs.waveforms)
        assert torch.equal(ours.targets, theirs.targets)
    assert not torch.equal(first.draw(0).waveforms[:1, :9], first.draw(1).waveforms[:1, :9])
    other = source(sounds, seed=1).draw(0)
    assert not torch.equal(first.draw(0).waveforms[:1, :9], other.waveforms[:1, :9])


def test_a_crop_carries_its_own_labels_and_the_weak_ones_around_it(sounds: SoundCache) -> None:
    labels = gather_vocabulary(CLIPS, ["species", "sound"]).labels
    wanted = {
        "a:0": {"wren", "Troglodytidae"},  # the file's beginning lies in the labelled window
        "b:0": {"robin"},
        "scene:0": {"robin"},  # exact annotation: the file's labels say nothing of a part
    }
    chosen = [
        c for c in CLIPS if c.id in wanted and not (c.dataset == "scenes" and c.level == "file")
    ]
    batch = source(sounds, **PLAIN).fixed(chosen, 2.0)
    for name, target in zip(batch.ids, batch.targets, strict=True):
        found = {label for label, value in zip(labels, target, strict=True) if value}
        assert found == wanted[name], name


def test_whole_files_of_exactly_annotated_sources_are_never_drawn(sounds: SoundCache) -> None:
    drawn = [
        (name, len(batch.waveforms[0]))
        for step in range(40)
        for batch in [source(sounds, **PLAIN).draw(step)]
        for name in batch.ids
    ]
    assert {name for name, _ in drawn} == {"a:0", "b:0", "scene:0", "noise:0"}
    assert all(n == 2 * RATE for name, n in drawn if name == "scene:0")


def test_mixing_joins_labels_and_noise_moves_samples(sounds: SoundCache) -> None:
    plain = source(sounds, **PLAIN).draw(3)
    mixed = source(sounds, mix_probability=1.0, noise={"probability": 0.0}).draw(3)
    noisy = source(sounds, mix_probability=0.0, noise={"probability": 1.0}).draw(3)
    assert mixed.ids == plain.ids == noisy.ids
    assert bool((mixed.targets >= plain.targets).all())
    assert float(mixed.targets.sum()) > float(plain.targets.sum())
    assert torch.equal(noisy.targets, plain.targets)
    assert not torch.equal(noisy.waveforms, plain.waveforms)


def test_a_bucket_without_clips_is_an_error(sounds: SoundCache) -> None:
    with pytest.raises(TaskError, match=r"no clip is between 0 s and 0\.5 s"):
        source(sounds, buckets=[{"crop_s": 0.5, "batch_size": 2}, {"crop_s": 4, "batch_size": 2}])


def write_teacher(path: Path) -> Path:
    table = pa.table(
        {
            "id": ["f", "f", "f", "g"],
            "start_s": [0.0, 2.0, 4.0, 0.0],
            "stop_s": [4.0, 6.0, 8.0, 1.0],
            "embedding": [[0.0, 1.0], [1.0, 1.0], [2.0, 0.0], [5.0, 0.0]],
            "audioset_logits": [[-4.0], [0.0], [4.0], [1.0]],
        }
    )
    pq.write_table(table, path)
    return path


def test_the_teacher_is_interpolated_between_its_windows(tmp_path: Path) -> None:
    teacher = Teacher(write_teacher(tmp_path / "t.parquet"))

    def logit(start_s: float, stop_s: float, name: str = "f") -> float | None:
        found = teacher.at(name, start_s, stop_s)
        return None if found is None else float(found[1][0])

    assert logit(0, 4) == -4.0
    assert logit(1, 5) == pytest.approx(-2.0)
    assert logit(2, 6) == 0.0
    assert logit(6, 8) == 4.0  # past the last centre: the last window
    assert logit(0, 1) is None  # too short for what the window says
    assert logit(0, 1, "g") == 1.0
    assert logit(0, 4, "unknown") is None


def test_a_manifest_without_a_column_or_with_a_bad_row_is_refused(tmp_path: Path) -> None:
    rows = {
        "id": ["x"],
        "path": ["x.wav"],
        "dataset": ["d"],
        "level": ["file"],
        "start_s": [2.0],
        "stop_s": [1.0],
        "labels": [["wren"]],
        "kind": ["species"],
        "split": ["train"],
    }
    path = tmp_path / "m.parquet"
    pq.write_table(pa.table(rows), path)
    with pytest.raises(TaskError, match=r"row 0 \(x\).*0 <= start_s < stop_s"):
        read_manifest(path)
    pq.write_table(pa.table({**rows, "stop_s": [3.0], "split": ["dev"]}), path)
    with pytest.raises(TaskError, match="'dev'"):
        read_manifest(path)
    del rows["kind"]
    pq.write_table(pa.table(rows), path)
    with pytest.raises(TaskError, match="kind"):
        read_manifest(path)
    with pytest.raises(TaskError, match="no such manifest"):
        read_manifest(tmp_path / "none.parquet")
