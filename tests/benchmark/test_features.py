"""What an encoder is given of items, and what is kept of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from dawnchorus.audio.decode.read import read_audio
from dawnchorus.audio.frontend import log_mel
from dawnchorus.benchmark import features
from dawnchorus.benchmark.clips import Rules, as_tensors, batches, pieces_of, read_clips
from dawnchorus.benchmark.encoders import Entrant, LogMel, open_entrant
from dawnchorus.benchmark.features import FeatureCache, Work, encode_clips
from dawnchorus.benchmark.plan import Reading
from dawnchorus.benchmark.take import take
from dawnchorus.benchmark.tasks.base import Item
from dawnchorus.errors import TaskError
from dawnchorus.models.eat import EAT
from dawnchorus.models.encoder import POOLINGS

RATE = 16_000
READINGS = [Reading("output", how) for how in POOLINGS] + [Reading("0,output:cls", "valid")]


@pytest.fixture
def entrant(tiny_folder: Path) -> Entrant:
    return open_entrant(str(tiny_folder), "cpu")


def clips_of(*seconds: float) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.standard_normal(round(s * RATE)).astype(np.float32) * 0.1 for s in seconds]


def work_of(items: list[Item], folder: Path, protocol: Any = "strict", **rules: Any) -> Work:
    known = {"window_s": 1.0, "crop_s": None} | rules
    return Work(
        task="a/b", split="test", folder=folder, items=items,
        rules=Rules(protocol, **known), batch_s=80.0,
    )  # fmt: skip


def test_a_clip_gives_the_same_alone_and_among_others_by_every_pooling(
    entrant: Entrant, tmp_path: Path
) -> None:
    clips = clips_of(0.3, 0.95, 0.31, 0.5, 0.02, 2.3)
    work = work_of([], tmp_path)
    together = encode_clips(entrant, clips, work, READINGS)
    for index, clip in enumerate(clips):
        alone = encode_clips(entrant, [clip], work, READINGS)
        for reading in READINGS:
            np.testing.assert_allclose(together[reading][index], alone[reading][0], atol=2e-5)


def test_batches_mix_no_numbers_of_patches_and_hold_every_piece_once() -> None:
    pieces = pieces_of(clips_of(0.3, 0.95, 0.31, 0.5, 2.3), Rules("strict", 1.0, None), RATE)
    assert [piece.clip for piece in pieces] == [0, 1, 2, 3, 4, 4, 4]
    assert sum(piece.n_heard for piece in pieces if piece.clip == 4) == round(2.3 * RATE)
    found = list(batches(pieces, RATE))
    assert sorted(index for batch in found for index in batch) == list(range(7))
    for batch in found:
        _, lengths = as_tensors([pieces[i] for i in batch])
        assert len({(int(n) - 400) // 2560 for n in lengths}) == 1
        assert len(batch) == 1 or len(batch) * int(lengths.max()) <= RATE + 2560 * len(batch)


def test_a_long_clip_is_the_mean_of_its_windows_by_their_length(
    entrant: Entrant, tmp_path: Path
) -> None:
    [clip] = clips_of(1.5)
    work, reading = work_of([], tmp_path), Reading("output", "valid")
    whole = encode_clips(entrant, [clip], work, [reading])[reading][0]
    parts = encode_clips(entrant, [clip[:RATE], clip[RATE:]], work, [reading])[reading]
    np.testing.assert_allclose(whole, (2 * parts[0] + parts[1]) / 3, atol=1e-5)


def test_the_paper_hears_the_first_window_of_the_crop_and_silence_after_it(
    entrant: Entrant, tmp_path: Path
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, clips_of(3.0)[0], RATE, subtype="FLOAT")
    item = Item("a", "a.wav", 0.5, None, ("x",), "test", "a")
    rules = Rules("paper", 1.0, 0.6)
    [clip] = read_clips(tmp_path, [item], RATE, rules.longest_s)
    assert len(clip) == round(0.6 * RATE)
    reading = Reading("output", "cls")
    work = work_of([item], tmp_path, "paper", crop_s=0.6)
    found = encode_clips(entrant, [clip], work, [reading])[reading][0]
    padded = torch.zeros(1, RATE)
    padded[0, : len(clip)] = torch.from_numpy(clip)
    assert isinstance(entrant.source, EAT)
    with torch.inference_mode():
        by_hand = entrant.source.encode(padded).tokens[0, 0].numpy()
    np.testing.assert_allclose(found, by_hand, atol=1e-5)
    strict = encode_clips(entrant, [clip], work_of([], tmp_path), [reading])[reading][0]
    assert np.abs(strict - by_hand).max() > 1e-3


def test_other_encoders_are_told_under_paper_where_the_sound_ends() -> None:
    short, whole = np.ones(round(0.25 * RATE), np.float32), np.ones(2 * RATE, np.float32)
    waveforms, lengths = as_tensors(pieces_of([short, whole], Rules("paper", 1.0, None), RATE))
    assert waveforms.shape == (2, RATE)
    assert lengths.tolist() == [RATE // 4, RATE]


def test_items_of_one_file_are_cut_as_if_read_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, clips_of(5.0)[0] * 2, 22_050)
    spans = [(2.0, 2.5), (0.1, 0.4), (0.3, 1.7)]
    items = [Item(str(s), "a.flac", *s, ("x",), "test", "a") for s in spans]
    for clip, (start_s, stop_s) in zip(read_clips(tmp_path, items, RATE, None), spans, strict=True):
        alone = read_audio(path, start_s=start_s, stop_s=stop_s, sample_rate=RATE)
        np.testing.assert_array_equal(clip, alone)


def test_a_file_that_cannot_be_read_stops_the_task(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(TaskError, match=r"item 'x'.*fetch the file again"):
        read_clips(tmp_path, [Item("x", "a.wav", 0.0, None, (), "test", "a")], RATE, None)


def test_log_mel_is_mean_and_deviation_over_frames_that_hold_sound(tmp_path: Path) -> None:
    clips = clips_of(0.3, 0.7)
    reading = Reading("output", "valid")
    found = encode_clips(open_entrant("log-mel"), clips, work_of([], tmp_path), [reading])[reading]
    for clip, vector in zip(clips, found, strict=True):
        energies = log_mel(torch.from_numpy(clip[None]))[0].numpy()
        by_hand = np.concatenate([energies.mean(0), energies.std(0)])
        np.testing.assert_allclose(vector, by_hand, atol=2e-4)
    assert LogMel().dim == found.shape[1] == 256


def test_a_grid_averages_time_and_keeps_rows_apart(entrant: Entrant, tmp_path: Path) -> None:
    assert isinstance(entrant.source, EAT)
    [clip] = clips_of(0.95)  # six steps of eight rows
    with torch.inference_mode():
        out = entrant.source.encode(torch.from_numpy(clip[None]), layers=[0])
    grid = take(Reading("0,output", "grid3"), out)[0].reshape(3, 8, 128)
    patches = torch.cat([out.layers[0], out.tokens], dim=-1)[0, 1:].reshape(6, 8, 128)
    torch.testing.assert_close(grid, patches.reshape(3, 2, 8, 128).mean(1))
    short = encode_clips(entrant, clips_of(0.1), work_of([], tmp_path), [Reading("0", "grid3")])
    [tokens] = short[Reading("0", "grid3")]
    assert tokens.dtype == np.float16
    assert (tokens.reshape(3, 8, 64) == tokens.reshape(3, 8, 64)[:1]).all()


def test_features_depend_on_all_that_makes_them(entrant: Entrant, tmp_path: Path) -> None:
    for name in "ab":
        soundfile.write(tmp_path / f"{name}.wav", clips_of(0.3)[0], RATE)
    soundfile.write(tmp_path / "b.wav", clips_of(0.2)[0], RATE)
    item = Item("x", "a.wav", 0.0, None, ("l",), "test", "g")
    one = Reading("output", "valid")

    def key(item: Item = item, reading: Reading = one, by: Entrant = entrant, **more: Any) -> str:
        return FeatureCache(tmp_path / "cache").key(by, work_of([item], tmp_path, **more), reading)

    relabelled = Item("x", "a.wav", 0.0, None, ("m",), "train", "h")
    assert key() == key(relabelled)  # the sound is the same
    others = [
        key(Item("x", "b.wav", 0.0, None, ("l",), "test", "g")),
        key(Item("x", "a.wav", 0.1, None, ("l",), "test", "g")),
        key(reading=Reading("0", "valid")),
        key(reading=Reading("output", "cls")),
        key(protocol="paper"),
        key(protocol="paper", crop_s=0.2),
        key(by=open_entrant("log-mel")),
    ]
    assert len({key(), *others}) == 8


def test_one_pass_of_the_encoder_serves_all_readings(
    entrant: Entrant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "CHUNK_ITEMS", 2)
    items = []
    for number in range(5):
        soundfile.write(tmp_path / f"{number}.wav", clips_of(0.3 + number / 10)[0], RATE)
        items.append(Item(f"i{number}", f"{4 - number}.wav", 0.0, None, (), "test", "g"))
    calls = []
    encode = EAT.encode
    monkeypatch.setattr(EAT, "encode", lambda *given: calls.append(len(given[1])) or encode(*given))
    cache, work = FeatureCache(tmp_path / "cache"), work_of(items, tmp_path)
    cache.fill(entrant, work, READINGS)
    assert sum(calls) == 5
    cache.fill(entrant, work, READINGS)
    assert sum(calls) == 5
    clips = [read_audio(tmp_path / item.path) for item in items]
    wanted = encode_clips(entrant, clips, work, READINGS)
    for reading in READINGS:
        found = cache.load(cache.key(entrant, work, reading))
        np.testing.assert_allclose(found, wanted[reading], atol=2e-5)
    cache.fill(entrant, work, [*READINGS, Reading("1", "valid")])
    assert sum(calls[-5:]) == 5  # only for the new one; the clips above were encoded by hand
