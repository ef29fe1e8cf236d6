"""What an encoder is given of a task's items, and what is kept of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from dawnchorus.audio.decode.read import read_audio
from dawnchorus.audio.frontend import log_mel
from dawnchorus.benchmark.competitors import Competitor, open_competitor
from dawnchorus.benchmark.features import EncodedFeatures, has_features, load_features
from dawnchorus.benchmark.log_mel import LogMel
from dawnchorus.benchmark.plan import FeatureSpec
from dawnchorus.benchmark.task_data import TaskData
from dawnchorus.benchmark.tasks.base import Item, task_items
from dawnchorus.benchmark.tasks.registry import all_tasks
from dawnchorus.configs.benchmark import BenchmarkConfig
from dawnchorus.configs.readout import POOLINGS
from dawnchorus.embedding import clips as embedding_clips
from dawnchorus.errors import TaskError
from dawnchorus.models.eat import EAT

RATE = 16_000
SPECS = [FeatureSpec("output", how) for how in POOLINGS] + [FeatureSpec("0,output:cls", "valid")]
VALID = FeatureSpec("output", "valid")


@pytest.fixture
def tiny(tiny_folder: Path) -> Competitor:
    return open_competitor(str(tiny_folder), "cpu")


def sounds(*seconds: float) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.standard_normal(round(s * RATE)).astype(np.float32) * 0.1 for s in seconds]


def write(folder: Path, clips: list[np.ndarray]) -> list[Item]:
    """Each clip as a file, and the items of all of them."""
    for number, clip in enumerate(clips):
        soundfile.write(folder / f"{number}.wav", clip, RATE, subtype="FLOAT")
    paths = [f"{number}.wav" for number in range(len(clips))]
    return [Item(path, path, 0.0, None, ("x",), "test", "g") for path in paths]


def features_of(
    competitor: Competitor, folder: Path, items: list[Item], **changes: Any
) -> EncodedFeatures:
    """Features of items under a plan; ``crop_s`` is the task's."""
    task = replace(all_tasks()["local/digits"], crop_s=changes.pop("crop_s", None))
    data = TaskData(task, task_items(task.id, "strict", items, Counter()), folder)
    config = BenchmarkConfig(models=("m",), tasks=(task.id,), **changes)
    return EncodedFeatures.of(competitor, data, config, folder / "cache")


def encoded(features: EncodedFeatures, *specs: FeatureSpec) -> list[np.ndarray]:
    features.encode("test", specs)
    return [np.asarray(features.load(spec, "test")) for spec in specs]


def test_a_clip_gives_the_same_alone_and_among_others_by_every_pooling(
    tiny: Competitor, tmp_path: Path
) -> None:
    items = write(tmp_path, sounds(0.3, 0.95, 0.31, 0.5, 0.02, 2.3))
    together = encoded(features_of(tiny, tmp_path, items), *SPECS)
    for index, item in enumerate(items):
        alone = features_of(tiny, tmp_path, [item])
        alone = replace(alone, folder=tmp_path / f"alone{index}")
        for whole, single in zip(together, encoded(alone, *SPECS), strict=True):
            np.testing.assert_allclose(whole[index], single[0], atol=2e-5)


def test_the_paper_hears_the_first_window_of_the_crop_and_silence_after_it(
    tiny: Competitor, tmp_path: Path
) -> None:
    [item] = write(tmp_path, sounds(3.0))
    item = replace(item, start_s=0.5)
    cls = FeatureSpec("output", "cls")
    paper = features_of(tiny, tmp_path, [item], protocol="paper", crop_s=0.6)
    [found] = encoded(paper, cls)
    padded = torch.zeros(1, RATE)
    clip = read_audio(tmp_path / item.path, start_s=0.5, stop_s=1.1)
    padded[0, : len(clip)] = torch.from_numpy(clip)
    assert isinstance(tiny.source, EAT)
    with torch.inference_mode():
        by_hand = tiny.source.encode(padded).tokens[0, 0].numpy()
    np.testing.assert_allclose(found[0], by_hand, atol=1e-5)
    [strict] = encoded(features_of(tiny, tmp_path, [item], crop_s=0.6), cls)
    assert np.abs(strict[0] - by_hand).max() > 1e-3


def test_a_file_that_cannot_be_read_stops_the_task(tiny: Competitor, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no sound")
    broken = Item("x", "a.wav", 0.0, None, (), "test", "a")
    with pytest.raises(TaskError, match=r"item 'x'.*fetch the file again"):
        encoded(features_of(tiny, tmp_path, [broken]), VALID)
    with pytest.raises(TaskError, match=r"item 'y'.*no such file.*fetch the file again"):
        encoded(features_of(tiny, tmp_path, [replace(broken, id="y", path="b.wav")]), VALID)


def test_log_mel_is_mean_and_std_over_frames_that_hold_sound(tmp_path: Path) -> None:
    clips = sounds(0.3, 0.7)
    [found] = encoded(
        features_of(open_competitor("log-mel"), tmp_path, write(tmp_path, clips)), VALID
    )
    for clip, vector in zip(clips, found, strict=True):
        energies = log_mel(torch.from_numpy(clip[None]))[0].numpy()
        by_hand = np.concatenate([energies.mean(0), energies.std(0)])
        np.testing.assert_allclose(vector, by_hand, atol=2e-4)
    assert LogMel().dim == found.shape[1] == 256


def test_a_grid_averages_time_and_keeps_rows_apart(tiny: Competitor, tmp_path: Path) -> None:
    assert isinstance(tiny.source, EAT)
    clips = sounds(0.95, 0.1, 1.95)  # six steps of eight rows, fewer than the grid has, two pieces
    grid = FeatureSpec("0,output", "grid3")
    [found] = encoded(features_of(tiny, tmp_path, write(tmp_path, clips)), grid)
    assert found.dtype == np.float16
    with torch.inference_mode():
        out = tiny.source.encode(torch.from_numpy(clips[0][None]), layers=[0])
    patches = torch.cat([out.layers[0], out.tokens], dim=-1)[0, 1:].reshape(6, 8, 128)
    by_hand = patches.reshape(3, 2, 8, 128).mean(1).flatten(0, 1).numpy()
    np.testing.assert_allclose(found[0], by_hand, atol=2e-3)
    short = found[1].reshape(3, 8, 128)
    assert (short == short[:1]).all()
    [halves] = encoded(
        features_of(tiny, tmp_path, write(tmp_path, [clips[2][:RATE], clips[2][RATE:]])), grid
    )
    first, last = found[2].reshape(3, 8, 128)[[0, 2]].astype(np.float32)
    whole = halves.astype(np.float32).reshape(2, 3, 8, 128)
    # thirds of six equal steps: two of the first piece, one of each, two of the second
    np.testing.assert_allclose(first, whole[0, :2].mean(0), atol=2e-3)
    np.testing.assert_allclose(last, whole[1, 1:].mean(0), atol=2e-3)


def test_features_depend_on_all_that_makes_them(tiny: Competitor, tmp_path: Path) -> None:
    item, other = write(tmp_path, sounds(0.3, 0.2))

    def key(
        item: Item = item, spec: FeatureSpec = VALID, by: Competitor = tiny, **more: Any
    ) -> str:
        return features_of(by, tmp_path, [item], **more).sha256(spec, "test")

    relabelled = replace(item, labels=("y",), group="h")
    assert key() == key(relabelled)  # the sound is the same
    others = [
        key(other),
        key(replace(item, start_s=0.1)),
        key(spec=FeatureSpec("0", "valid")),
        key(spec=FeatureSpec("output", "cls")),
        key(protocol="paper"),
        key(protocol="paper", crop_s=0.2),
        key(by=open_competitor("log-mel")),
        key(by=replace(tiny, weights_sha256="other")),
        key(by=replace(tiny, precision="bfloat16")),
    ]
    assert len({key(), *others}) == 10


def test_one_pass_of_the_encoder_serves_all_features_and_each_clip_once(
    tiny: Competitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_clips, "CHUNK_CLIPS", 2)
    items = write(tmp_path, sounds(0.3, 0.4, 0.5, 0.6, 0.7))
    n_encoded = []
    encode = EAT.encode
    monkeypatch.setattr(
        EAT, "encode", lambda *given: n_encoded.append(len(given[1])) or encode(*given)
    )
    features = features_of(tiny, tmp_path, items)
    encoded(features, *SPECS)
    assert sum(n_encoded) == 5
    again = features_of(tiny, tmp_path, [*items[::-1], replace(items[0], id="the same sound")])
    assert again.n_missing("test", SPECS) == 0
    found = encoded(again, *SPECS)
    assert sum(n_encoded) == 5
    for spec, vectors in zip(SPECS, found, strict=True):
        np.testing.assert_array_equal(vectors[4::-1], features.load(spec, "test"))
    encoded(features_of(tiny, tmp_path, items), *SPECS, FeatureSpec("1", "valid"))
    assert sum(n_encoded) == 10  # for the new one


def test_vectors_are_found_by_the_name_that_results_give_them(
    tiny: Competitor, tmp_path: Path
) -> None:
    features = features_of(tiny, tmp_path, write(tmp_path, sounds(0.3, 1.4)))
    name = features.sha256(VALID, "test")
    assert not has_features(tmp_path / "cache", name)
    [vectors] = encoded(features, VALID)
    assert has_features(tmp_path / "cache", name)
    np.testing.assert_array_equal(load_features(tmp_path / "cache", name), vectors)
    for part in (tmp_path / "cache" / "clips").rglob("*.safetensors"):
        part.unlink()
    with pytest.raises(TaskError, match="2 of 2 clips are not in it; run again"):
        load_features(tmp_path / "cache", name)
