"""A clip has one embedding: by the classifier, the benchmark, probe fitting and a store alike."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile
import torch

from conftest import TINY
from dawnchorus import Store, embed
from dawnchorus.benchmark.competitors import Competitor
from dawnchorus.benchmark.features import EncodedFeatures
from dawnchorus.benchmark.plan import FeatureSpec
from dawnchorus.benchmark.task_data import TaskData
from dawnchorus.benchmark.tasks.base import Item, task_items
from dawnchorus.benchmark.tasks.registry import all_tasks
from dawnchorus.configs import EmbedConfig, Pooling, ProbeRunConfig, Readout
from dawnchorus.configs.benchmark import BenchmarkConfig
from dawnchorus.embedding.encode import embed_clip
from dawnchorus.embedding.pieces import PieceRule
from dawnchorus.embedding.pool import mean_by_length, without_short_end
from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.probing.embed import embed_clips
from dawnchorus.probing.estimator import DawnChorusClassifier
from dawnchorus.probing.labels import read_labels
from dawnchorus.probing.select import training_clips

RATE = 16_000
LENGTHS_S = (0.4, 1.0, 1.1, 2.6, 7.3)  # the window has 1 s


def call(seconds: float) -> np.ndarray:
    """A rising tone in noise, as 16-bit samples come back from a file."""
    time_s = np.arange(round(seconds * RATE)) / RATE
    noise = 0.02 * np.random.default_rng(0).standard_normal(len(time_s))
    tone = 0.3 * np.sin(2 * np.pi * (300 + 400 * time_s) * time_s)
    return (np.round((tone + noise) * 2**15) / 2**15).astype(np.float32)


def by_hand(encoder: EAT, clip: np.ndarray, how: Pooling) -> np.ndarray:
    pieces = [clip[at : at + RATE] for at in range(0, len(clip), RATE)]
    with torch.inference_mode():
        vectors = [encoder.encode(torch.from_numpy(piece)[None]).pool(how)[0] for piece in pieces]
    weights = [len(piece) for piece in pieces]
    return np.average(np.stack([v.double().numpy() for v in vectors]), axis=0, weights=weights)


@pytest.mark.parametrize("how", get_args(Pooling))
@pytest.mark.parametrize("seconds", LENGTHS_S)
def test_every_way_gives_the_mean_of_the_pieces_by_their_length(
    tiny_encoder: EAT, how: Pooling, seconds: float, tmp_path: Path
) -> None:
    clip = call(seconds)
    soundfile.write(tmp_path / "clip.wav", clip, RATE)
    want = by_hand(tiny_encoder, clip, how)
    found = {
        "shared": embed_clip(tiny_encoder, clip, Readout.parse("output", how)),
        "classifier": of_classifier(tiny_encoder, clip, how),
        "benchmark": of_benchmark(tiny_encoder, tmp_path, how),
        "store": of_store(tiny_encoder, tmp_path, how),
    }
    for way, vector in found.items():
        # stores keep float16
        close = {"atol": 1e-3, "rtol": 1e-3} if way == "store" else {"atol": 2e-5}
        np.testing.assert_allclose(vector, want, err_msg=way, **close)


def of_classifier(encoder: EAT, clip: np.ndarray, how: Pooling) -> np.ndarray:
    classifier = DawnChorusClassifier(encoder=encoder, readout=f"output:{how}")
    return classifier._features([clip])[0]


def of_benchmark(encoder: EAT, folder: Path, how: Pooling, n_items: int = 1) -> np.ndarray:
    items = [Item(str(n), "clip.wav", 0.0, None, ("x",), "test", "g") for n in range(n_items)]
    task = next(iter(all_tasks().values()))
    data = TaskData(task, task_items(task.id, "strict", items, Counter()), folder)
    competitor = Competitor(name="tiny", weights_sha256="none", source=encoder)
    config = BenchmarkConfig(models=("tiny",), tasks=(task.id,))
    features = EncodedFeatures.of(competitor, data, config, folder / "cache")
    spec = FeatureSpec("output", how)
    features.encode("test", [spec])
    return np.asarray(features.load(spec, "test"))[0]


def of_store(encoder: EAT, folder: Path, how: Pooling) -> np.ndarray:
    config = EmbedConfig(readout=Readout.parse("output", how), device="cpu", workers=1)
    embed(folder / "clip.wav", model=encoder, store=folder / "one.store", config=config)
    vectors, table = Store(folder / "one.store").read(["valid_samples"])
    return mean_by_length(np.float32(vectors), table["valid_samples"].to_pylist())


def probe_items(encoder: EAT, folder: Path, sound: Path, window_s: float) -> np.ndarray:
    """Items that probe fitting makes of the first of four copies of a file."""
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for n in range(2):
            shutil.copy(sound, folder / label / f"{n}.wav")
    config = ProbeRunConfig(device="cpu", window_s=window_s, workers=1)
    clips = training_clips(read_labels(folder), config)
    found = embed_clips(clips, encoder, config, cache=folder / "cache")
    return found.vectors[found.clip == 0]


@pytest.mark.parametrize("seconds", LENGTHS_S)
def test_items_of_a_probe_lose_no_sound_of_a_clip(
    tiny_encoder: EAT, seconds: float, tmp_path: Path
) -> None:
    clip = call(seconds)
    soundfile.write(tmp_path / "clip.wav", clip, RATE)
    items = probe_items(tiny_encoder, tmp_path / "probe", tmp_path / "clip.wav", 1.0)
    tenths = {0.4: [4], 1.0: [10], 1.1: [11], 2.6: [10, 10, 6], 7.3: [*[10] * 7, 3]}[seconds]
    assert len(items) == len(tenths)
    want = by_hand(tiny_encoder, clip, tiny_encoder.config.readout.parts[0].pooling)
    np.testing.assert_allclose(mean_by_length(items, tenths), want, atol=2e-5)


@pytest.mark.parametrize("rate", [16_000, 22_050, 48_000])
def test_a_clip_of_5_s_and_a_half_is_one_vector_whoever_embeds_it(
    rate: int, tmp_path: Path
) -> None:
    """Every front door on one file, with windows of 5 s: the tail is a tenth of a window."""
    torch.manual_seed(0)
    config = TINY.model_copy(update={"window_s": 5.0, "max_time_steps": 32})
    encoder = EAT(config, name="tiny").eval()
    time_s = np.arange(round(5.5 * rate)) / rate
    noise = 0.02 * np.random.default_rng(0).standard_normal(len(time_s))
    tone = 0.3 * np.sin(2 * np.pi * (300 + 400 * time_s) * time_s)
    soundfile.write(tmp_path / "clip.wav", tone + noise, rate)
    classifier = DawnChorusClassifier(encoder=encoder, readout="output:valid")
    want = classifier._features([tmp_path / "clip.wav"])[0]
    [item] = probe_items(encoder, tmp_path / "probe", tmp_path / "clip.wav", 5.0)
    np.testing.assert_allclose(item, want, atol=2e-5)
    np.testing.assert_allclose(of_benchmark(encoder, tmp_path, "valid"), want, atol=2e-5)
    stored = of_store(encoder, tmp_path, "valid")  # float16, and resampled as a stream
    np.testing.assert_allclose(stored, want, atol=2e-3)


def test_a_short_end_joins_the_piece_before_it_by_its_length() -> None:
    vectors = np.float32([[1.0], [3.0], [9.0]])
    np.testing.assert_allclose(without_short_end(vectors, [100, 100, 20], 100), [[1], [4]])
    np.testing.assert_allclose(without_short_end(vectors, [100, 100, 25], 100), vectors)
    np.testing.assert_allclose(without_short_end(vectors[:1], [3], 100), vectors[:1])


def test_a_clip_without_sound_is_refused() -> None:
    with pytest.raises(UsageError, match="holds no samples"):
        PieceRule(window_s=1.0, sample_rate=RATE).cut(np.zeros(0, np.float32))


def test_a_classifier_takes_integers_and_refuses_what_is_not_one_clip(tiny_encoder: EAT) -> None:
    classifier = DawnChorusClassifier(encoder=tiny_encoder, readout="output:valid")
    clip = call(1.1)
    whole = (clip * 2**15).astype(np.int16)
    np.testing.assert_allclose(
        classifier._features([whole]),
        classifier._features([clip]),
        atol=1e-5,
    )
    clip[40] = np.nan
    with pytest.raises(UsageError, match="item 1: clip 0 holds 1 samples that are NaN"):
        classifier._features([whole, clip])
    with pytest.raises(UsageError, match="item 0: 2 channels or clips"):
        classifier._features([np.stack([whole, whole])])
