"""A clip has one embedding: by the classifier, the benchmark, probe fitting and a store alike."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import soundfile
import torch

from dawnchorus import Store, embed
from dawnchorus.benchmark.clips import Rules
from dawnchorus.benchmark.features import Work, encode_clips
from dawnchorus.benchmark.plan import Reading
from dawnchorus.configs import EmbedConfig, Pooling, ProbeRunConfig, Readout
from dawnchorus.embedding.pieces import cut_clip, embed_clip, pooled, without_short_end
from dawnchorus.errors import UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.probing.embed import embed_clips
from dawnchorus.probing.estimator import DawnChorusClassifier
from dawnchorus.probing.labels import read_labels
from dawnchorus.probing.select import usable

RATE = 16_000
LENGTHS_S = (0.4, 1.0, 1.1, 2.6)  # the window has 1 s


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
        "benchmark": of_benchmark(tiny_encoder, clip, how),
        "store": of_store(tiny_encoder, tmp_path, how),
    }
    for way, vector in found.items():
        # stores keep float16
        close = {"atol": 1e-3, "rtol": 1e-3} if way == "store" else {"atol": 2e-5}
        np.testing.assert_allclose(vector, want, err_msg=way, **close)


def of_classifier(encoder: EAT, clip: np.ndarray, how: Pooling) -> np.ndarray:
    classifier = DawnChorusClassifier(encoder=encoder, readout=f"output:{how}")
    return classifier._features([clip])[0]


def of_benchmark(encoder: EAT, clip: np.ndarray, how: Pooling) -> np.ndarray:
    rules = Rules("strict", encoder.window_s, None)
    work = Work(task="a/b", split="test", folder=Path(), items=[], rules=rules, batch_s=80.0)
    entrant = SimpleNamespace(name="tiny", source=encoder)
    reading = Reading("output", how)
    found: np.ndarray = encode_clips(entrant, [clip], work, [reading])[reading][0]  # type: ignore[arg-type]
    return found


def of_store(encoder: EAT, folder: Path, how: Pooling) -> np.ndarray:
    config = EmbedConfig(readout=f"output:{how}", device="cpu", workers=1)
    embed(folder / "clip.wav", model=encoder, store=folder / "one.store", config=config)
    vectors, table = Store(folder / "one.store").read(["valid_samples"])
    return pooled(np.float32(vectors), table["valid_samples"].to_pylist())


@pytest.mark.parametrize("seconds", LENGTHS_S)
def test_items_of_a_probe_lose_no_sound_of_a_clip(
    tiny_encoder: EAT, seconds: float, tmp_path: Path
) -> None:
    clip = call(seconds)
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for n in range(2):
            soundfile.write(tmp_path / label / f"{n}.wav", clip, RATE)
    config = ProbeRunConfig(device="cpu", window_s=1.0, workers=1)
    clips = usable(read_labels(tmp_path), config).clips
    found = embed_clips(clips, tiny_encoder, config, cache=tmp_path / "cache").windows
    own = found.vectors[found.clip == 0]
    lengths = {0.4: [4], 1.0: [10], 1.1: [11], 2.6: [10, 10, 6]}[seconds]
    assert len(own) == len(lengths)
    want = by_hand(tiny_encoder, clip, tiny_encoder.config.readout.parts[0].pooling)
    np.testing.assert_allclose(pooled(own, lengths), want, atol=2e-5)


def test_a_short_end_joins_the_piece_before_it_by_its_length() -> None:
    vectors = np.float32([[1.0], [3.0], [9.0]])
    np.testing.assert_allclose(without_short_end(vectors, [100, 100, 20], 100), [[1], [4]])
    np.testing.assert_allclose(without_short_end(vectors, [100, 100, 25], 100), vectors)
    np.testing.assert_allclose(without_short_end(vectors[:1], [3], 100), vectors[:1])


def test_a_clip_without_sound_is_refused() -> None:
    with pytest.raises(UsageError, match="holds no samples"):
        cut_clip(np.zeros(0, np.float32), 100)


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
