"""Batches are a function of seed and step, and labels reach the crops they hold for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from dawnchorus.clips.manifest import Clip, Manifest
from dawnchorus.configs import AugmentConfig, BucketConfig, DataConfig, SpeedConfig
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.feed.batches import Batch, BatchSource
from dawnchorus.feed.cache import SoundCache
from dawnchorus.feed.crop_labels import CropLabels
from dawnchorus.feed.draws import CYCLE_STEPS, BucketOrder
from dawnchorus.feed.teacher import Teacher
from dawnchorus.feed.vocabulary import gather_vocabulary, unknown_labels

RATE = 16_000


def clip(name: str, start_s: float, stop_s: float, labels: list[str], **changes: Any) -> Clip:
    values = {
        "id": f"{name}:{start_s}-{stop_s}",
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


BUCKETS = ((2.0, 6), (4.0, 4))
PLAIN: dict[str, Any] = {"mix": {"probability": 0.0}, "noise": {"probability": 0.0}}
NOISE: dict[str, Any] = {"noise_sources": ["noise"]}


@pytest.fixture
def sounds() -> SoundCache:
    rng = np.random.default_rng(0)
    cache = SoundCache(Path(), RATE)
    seconds = {"a": 8, "b": 4, "scene": 6, "noise": 5}
    cache._sounds = {
        name: (rng.standard_normal(s * RATE) * 3000).astype(np.int16) for name, s in seconds.items()
    }
    return cache


def source(
    sounds: SoundCache,
    *,
    buckets: tuple[tuple[float, int], ...] = BUCKETS,
    seed: int = 0,
    data: dict[str, Any] = NOISE,
    **augment: Any,
) -> BatchSource:
    return BatchSource(
        CLIPS,
        sounds,
        [gather_vocabulary(CLIPS, ["species", "sound"])],
        data=DataConfig(root=".", strong_sources=("scenes",), **data),
        buckets=[BucketConfig(crop_s=crop_s, batch_size=size) for crop_s, size in buckets],
        augment=AugmentConfig(**augment),
        seed=seed,
    )


def same(ours: Batch, theirs: Batch) -> bool:
    return ours.ids == theirs.ids and all(
        torch.equal(getattr(ours, name), getattr(theirs, name))
        for name in ("waveforms", "lengths", "targets", "has_teacher")
    )


@pytest.mark.parametrize("per", ["clip", "batch"])
@pytest.mark.parametrize("n_parts", [2, 3, 6])
def test_the_parts_of_a_batch_joined_are_the_batch_bit_for_bit(
    sounds: SoundCache, per: str, n_parts: int
) -> None:
    buckets = ((2.0, 6), (4.0, 12))
    mix = {"per": per, "probability": 0.7, "beta": 0.4}
    for step in range(5):
        changes: dict[str, Any] = {"mix": mix, "gain_db": 6.0, "speed": {"probability": 0.5}}
        whole = source(sounds, buckets=buckets, **changes).draw(step)
        parts = [
            source(sounds, buckets=buckets, **changes).draw(step, part, n_parts)
            for part in reversed(range(n_parts))
        ][::-1]
        assert [name for part in parts for name in part.ids] == whole.ids
        for field in ("waveforms", "lengths", "targets", "has_teacher"):
            joined = torch.cat([getattr(part, field) for part in parts])
            assert torch.equal(joined, getattr(whole, field)), field
        size = len(whole.ids) // n_parts
        assert [part.first_row for part in parts] == [size * n for n in range(n_parts)]
        assert {part.step for part in parts} == {step}


def test_a_resumed_run_draws_what_an_uninterrupted_one_does(sounds: SoundCache) -> None:
    through = source(sounds, gain_db=6.0)
    batches = [through.draw(step) for step in range(8)]
    resumed = source(sounds, gain_db=6.0)
    assert all(same(resumed.draw(step), batches[step]) for step in range(5, 8))


def test_a_clip_played_faster_is_higher_and_as_long_as_its_crop() -> None:
    cache = SoundCache(Path(), RATE)
    tone = np.sin(2 * np.pi * 1000 * np.arange(8 * RATE) / RATE)
    cache._sounds = {
        name: (tone[: s * RATE] * 9000).astype(np.int16)
        for name, s in {"a": 8, "b": 4, "scene": 6, "noise": 5}.items()
    }
    heard = set()
    for step in range(6):
        speed = {"probability": 0.5, "factor": (1.25, 1.25)}
        batch = source(cache, data={}, speed=speed, **PLAIN).draw(step)
        plain = source(cache, data={}, **PLAIN).draw(step)
        assert batch.ids == plain.ids
        for line, as_it_was, length in zip(
            batch.waveforms, plain.waveforms, batch.lengths, strict=True
        ):
            sound = line[:length].numpy()
            hz = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))).argmax() * RATE / len(sound)
            heard.add(round(float(hz), -1))
            # a clip is over sooner if it is too short to fill the crop, and never longer than it
            assert length <= batch.waveforms.shape[1]
            if round(float(hz), -1) == 1000:
                assert torch.equal(line, as_it_was)
    assert heard == {1000, 1250}


def test_labels_of_a_faster_crop_are_those_of_all_that_it_holds(sounds: SoundCache) -> None:
    # the scene's first 2 s have a robin, its label; a crop of 4 s at half speed reads 2 s
    speed = {"probability": 1.0, "factor": (0.5, 0.5)}
    slow = source(sounds, data={}, buckets=((4.0, 64),), speed=speed, **PLAIN)
    batch = slow.draw(0)
    rows = [row for row, name in enumerate(batch.ids) if name.startswith("scene:0-2")]
    assert rows
    for row in rows:
        assert batch.lengths[row] == 4 * RATE
        # the first and the last half of each second are the same sound, stretched
        sound = batch.waveforms[row].numpy().astype(np.float64)
        power = np.abs(np.fft.rfft(sound)) ** 2
        assert power[len(power) // 2 :].sum() < 0.01 * power.sum()


@pytest.mark.parametrize("factor", [(1.2, 0.9), (0.3, 1.0), (1.0, 3.0)])
def test_speeds_that_are_no_speeds_are_refused(factor: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match=r"need 0.5 <= low <= high <= 2"):
        SpeedConfig(probability=0.5, factor=factor)


def test_a_batch_that_cannot_be_cut_evenly_is_refused(sounds: SoundCache) -> None:
    with pytest.raises(UsageError, match="batch of 6 clips cannot be cut into 4"):
        source(sounds, buckets=((2.0, 6), (4.0, 6))).draw(0, 0, 4)
    with pytest.raises(UsageError, match="part 2 of 2"):
        source(sounds).draw(0, 2, 2)


def test_buckets_come_in_proportion_to_their_weights_in_every_cycle() -> None:
    order = BucketOrder([0.25, 0.2, 0.55, 1e-9], seed=3)
    for first in (0, 5 * CYCLE_STEPS):
        drawn = [order.at(step)[0] for step in range(first, first + CYCLE_STEPS)]
        assert np.bincount(drawn).tolist() == [250, 200, 549, 1]
    assert drawn[:100] != sorted(drawn[:100])
    counts = [0, 0, 0, 0]
    for step in range(2 * CYCLE_STEPS):
        number, before = order.at(step)
        assert before == counts[number]
        counts[number] += 1


def test_mixing_a_batch_mixes_one_clip_and_mixing_clips_mixes_its_share(
    sounds: SoundCache,
) -> None:
    plain, per_batch, per_clip = (
        source(sounds, noise={"probability": 0.0}, mix={"probability": share, "per": per})
        for share, per in ((0.0, "clip"), (0.5, "batch"), (0.5, "clip"))
    )

    def n_changed(step: int, other: BatchSource) -> int:
        changed = plain.draw(step).waveforms != other.draw(step).waveforms
        return int(changed.any(dim=1).sum())

    counts = [n_changed(step, per_batch) for step in range(200)]
    assert set(counts) == {0, 1}
    assert 0.4 < np.mean(counts) < 0.6
    drawn = sum(len(plain.draw(step).ids) for step in range(100))
    assert 0.4 < sum(n_changed(step, per_clip) for step in range(100)) / drawn < 0.6


def test_a_step_gives_the_same_batch_again_and_another_step_another(sounds: SoundCache) -> None:
    first, second = source(sounds), source(sounds)
    for step in range(4):
        assert same(first.draw(step), second.draw(step))
    assert not torch.equal(first.draw(0).waveforms[:1, :9], first.draw(1).waveforms[:1, :9])
    other = source(sounds, seed=1).draw(0)
    assert not torch.equal(first.draw(0).waveforms[:1, :9], other.waveforms[:1, :9])


def test_a_crop_carries_its_own_labels_and_the_weak_ones_around_it() -> None:
    vocabulary = gather_vocabulary(CLIPS, ["species", "sound"])
    truth = CropLabels(Manifest.of(CLIPS, Path()), [vocabulary], ["scenes"])

    def found(row: int, start_s: float, stop_s: float) -> set[str]:
        target = truth.target(row, start_s, stop_s)
        return {label for label, value in zip(vocabulary.labels, target, strict=True) if value}

    assert found(0, 0.0, 2.0) == {"wren", "Troglodytidae"}  # in the labelled window
    assert found(0, 2.5, 4.5) == {"wren"}  # a quarter of the crop is in the window
    assert found(1, 0.0, 3.0) == {"wren", "Troglodytidae"}
    assert found(2, 0.0, 2.0) == {"robin"}
    assert found(4, 0.0, 2.0) == {"robin"}  # exact annotation: the file's labels say nothing


def test_a_label_counts_only_in_vocabularies_of_its_clips_kind() -> None:
    clips = [clip("x", 0, 1, ["a"]), clip("y", 0, 1, ["a"], kind="calltype")]
    species = gather_vocabulary(clips, ["species"])
    calls = gather_vocabulary(clips, ["calltype"])
    truth = CropLabels(Manifest.of(clips, Path()), [species, calls])
    assert truth.target(0, 0, 1).tolist() == [1, 0]
    assert truth.target(1, 0, 1).tolist() == [0, 1]
    assert unknown_labels([species], [clip("z", 0, 1, ["b", "a"]), clip("w", 0, 1, ["b"])]) == {
        "b": 2
    }


def test_whole_files_of_exactly_annotated_sources_are_never_drawn(sounds: SoundCache) -> None:
    drawn = [
        (name, len(batch.waveforms[0]))
        for step in range(40)
        for batch in [source(sounds, **PLAIN).draw(step)]
        for name in batch.ids
    ]
    assert {name for name, _ in drawn} == {"a:0-8", "a:0-3", "b:0-4", "scene:0-2", "noise:0-5"}
    assert all(n == 2 * RATE for name, n in drawn if name == "scene:0-2")


def test_mixing_joins_labels_and_noise_moves_samples(sounds: SoundCache) -> None:
    plain = source(sounds, **PLAIN).draw(3)
    mixed = source(sounds, mix={"probability": 1.0}, noise={"probability": 0.0}).draw(3)
    noisy = source(sounds, mix={"probability": 0.0}, noise={"probability": 1.0}).draw(3)
    assert mixed.ids == plain.ids == noisy.ids
    assert bool((mixed.targets >= plain.targets).all())
    assert float(mixed.targets.sum()) > float(plain.targets.sum())
    assert torch.equal(noisy.targets, plain.targets)
    assert not torch.equal(noisy.waveforms, plain.waveforms)


def test_a_bucket_without_clips_is_an_error(sounds: SoundCache) -> None:
    with pytest.raises(TaskError, match=r"no clip is between 0 s and 0\.5 s"):
        source(sounds, buckets=((0.5, 2), (4.0, 2)))


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


class Silence:
    """Sounds that nobody listens to."""

    sample_rate = RATE

    def read(self, _path: str, _start: int, n_samples: int) -> np.ndarray:
        return np.zeros(n_samples, np.float32)


SHORT_AND_LONG = [
    *(clip(f"call{k}", 0, 1, ["call"]) for k in range(20)),
    *(clip(f"both{k}", 0, 1, ["song 0"]) for k in range(10)),
    *(clip(f"song{k}", 0, 9, [f"song {k % 4}"], dataset=f"site {k % 2}") for k in range(200)),
]


def drawn(
    n_steps: int, *, weights: tuple[float | None, float | None] = (None, None), **data: Any
) -> list[Clip]:
    """Clips that so many steps draw, of a bucket of short ones and one of long ones."""
    by_id = {one.id: one for one in SHORT_AND_LONG}
    buckets = [
        BucketConfig(crop_s=crop_s, batch_size=size, weight=weight)
        for (crop_s, size), weight in zip(((2.0, 16), (10.0, 4)), weights, strict=True)
    ]
    made = BatchSource(
        Manifest.of(SHORT_AND_LONG, Path()),
        Silence(),
        [],
        data=DataConfig(root=".", **data),
        buckets=buckets,
        augment=AugmentConfig(),
        seed=4,
    )
    return [by_id[name] for step in range(n_steps) for name in made.draw(step).ids]


def test_each_label_is_drawn_as_often_over_all_buckets() -> None:
    clips = drawn(1500, sampling="class_balanced")
    labels = Counter(label for one in clips for label in one.labels)
    assert len(labels) == 5
    # five standard deviations of so many draws of one in five
    expected = len(clips) / 5
    assert all(abs(n - expected) < 5 * (0.8 * expected) ** 0.5 for n in labels.values())


def test_every_clip_is_drawn_equally_often_over_all_buckets() -> None:
    n_clips = len(SHORT_AND_LONG)
    clips = drawn(CYCLE_STEPS, sampling="shuffled")
    counts = Counter(one.id for one in clips)
    assert len(counts) == n_clips
    assert max(counts.values()) - min(counts.values()) <= 2  # shares are rounded to 1 in 1,000


def test_source_weights_hold_over_all_buckets() -> None:
    clips = drawn(1500, source_weights={"birds": 2.0, "site 0": 1.0, "site 1": 0.5})
    shares = Counter(one.dataset for one in clips)
    wanted = {"birds": 30 * 2.0, "site 0": 100.0, "site 1": 50.0}
    for name, weight in wanted.items():
        expected = len(clips) * weight / sum(wanted.values())
        assert abs(shares[name] - expected) < 5 * expected**0.5


def test_buckets_with_weights_of_their_own_keep_them_and_balance_inside() -> None:
    clips = drawn(1000, weights=(0.25, 0.75), sampling="class_balanced")
    short = [one for one in clips if one.duration_s == 1]
    assert len(short) == 250 * 16
    labels = Counter(one.labels[0] for one in short)
    assert abs(labels["call"] - labels["song 0"]) < 5 * len(short) ** 0.5
    with pytest.raises(UsageError, match="1 of 2 have a weight"):
        drawn(1, weights=(0.25, None))


def test_what_is_read_of_a_clip_is_what_its_row_says(sounds: SoundCache) -> None:
    made = source(sounds)
    assert len(made.manifest) == len(CLIPS)
    for place, one in enumerate(made.manifest):
        span = made._span(place)
        assert (span.id, span.path) == (one.id, one.path)
        assert (span.start_s, span.stop_s, span.duration_s) == (
            one.start_s, one.stop_s, one.duration_s,
        )  # fmt: skip


def test_without_a_vocabulary_there_is_nothing_to_look_up(sounds: SoundCache) -> None:
    made = BatchSource(
        CLIPS, sounds, [], data=DataConfig(root="x"),
        buckets=[BucketConfig(crop_s=2.0, batch_size=4)], augment=AugmentConfig(**PLAIN), seed=0,
    )  # fmt: skip
    batch = made.draw(0)
    assert batch.targets.shape == (4, 0)
    assert batch.targets.dtype == torch.float32
