"""`embed`: the vectors of a recording alone, every recording accounted for, and runs that go on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from dawnchorus.audio.decode.read import read_audio
from dawnchorus.audio.windows import cut
from dawnchorus.configs import EmbedConfig, WindowConfig
from dawnchorus.engine.embed import embed
from dawnchorus.errors import RunInterruptedError, StoreError, UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.store.read import Store
from dawnchorus.store.schema import recording_id
from dawnchorus.store.write import StoreWriter
from watched_progress import WatchedProgress

WriteSound = Callable[..., Path]
ATOL = 2e-5  # float32, other batches; the vectors are of order 1


@pytest.fixture
def mixed(tmp_path: Path, write_sound: WriteSound) -> Path:
    """Recordings of several formats, rates, channels and lengths."""
    folder = tmp_path / "recordings"
    write_sound(folder / "a.wav", 3.4, 16_000, seed=1)
    write_sound(folder / "b.flac", 2.0, 44_100, 2, seed=2)
    write_sound(folder / "site" / "c.ogg", 4.7, 22_050, seed=3)
    write_sound(folder / "site" / "d.wav", 0.3, 8_000, seed=4)
    write_sound(folder / "site" / "e.aiff", 1.0, 48_000, seed=5)
    return folder


def read(store: Path) -> tuple[np.ndarray, dict[str, list[object]]]:
    vectors, table = Store(store).read(["path", "window", "start_sample", "valid_samples"])
    return vectors, table.to_pydict()


def assert_same(one: Path, other: Path, atol: float = ATOL) -> None:
    (vectors, table), (other_vectors, other_table) = read(one), read(other)
    assert table == other_table
    np.testing.assert_allclose(vectors, other_vectors, atol=atol)


def alone(model: EAT, path: Path, hop: int = 16_000) -> np.ndarray:
    """The vectors of one recording, read whole, window by window, without the engine."""
    samples = read_audio(path, sample_rate=16_000)
    vectors = []
    for window, valid in zip(*cut(samples, 16_000, hop), strict=True):
        with torch.no_grad():
            out = model.encode(torch.from_numpy(window)[None, :valid])
        vectors.append(out.pool("valid")[0].numpy())
    return np.stack(vectors)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_a_window_has_the_vector_that_its_recording_alone_would_give(
    mixed: Path, tmp_path: Path, tiny_encoder: EAT, batch_size: int
) -> None:
    store = tmp_path / "a.store"
    report = embed(
        mixed, model=tiny_encoder, store=store, batch_size=batch_size, hop_s=0.5, dtype="float32"
    )
    vectors, table = read(store)
    assert report.n_windows == len(vectors)
    for name in dict.fromkeys(table["path"]):
        rows = [i for i, path in enumerate(table["path"]) if path == name]
        wanted = alone(tiny_encoder, mixed / str(name), 8_000)
        np.testing.assert_allclose(vectors[rows], wanted, atol=ATOL)


@pytest.mark.parametrize("pooling", ["mean", "max", "patches", "cls"])
def test_a_vector_does_not_depend_on_its_batch_for_any_pooling(
    mixed: Path, tmp_path: Path, tiny_encoder: EAT, pooling: str
) -> None:
    for size in (1, 64):
        embed(
            mixed,
            model=tiny_encoder,
            store=tmp_path / f"{size}.store",
            batch_size=size,
            readout=f"output:{pooling}",
            dtype="float32",
        )
    assert_same(tmp_path / "1.store", tmp_path / "64.store")


def test_several_layers_are_pooled_and_joined(
    mixed: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    embed(
        mixed / "a.wav", model=tiny_encoder, store=tmp_path / "s", readout=(0, -1), dtype="float32"
    )
    vectors, _ = read(tmp_path / "s")
    assert vectors.shape == (4, 128)
    np.testing.assert_allclose(vectors[:, 64:], alone(tiny_encoder, mixed / "a.wav"), atol=ATOL)
    assert str(Store(tmp_path / "s").header.readout) == "0:valid,-1:valid"


def test_windows_tile_the_recording_and_say_how_much_of_them_is_sound(
    mixed: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    embed(mixed, model=tiny_encoder, store=tmp_path / "s")
    _, table = Store(tmp_path / "s").read()
    rows = [row for row in table.to_pylist() if row["path"] == "a.wav"]
    assert [row["start_sample"] for row in rows] == [0, 16_000, 32_000, 48_000]
    assert [row["valid_samples"] for row in rows] == [16_000, 16_000, 16_000, 6_400]
    assert rows[-1]["stop_s"] == pytest.approx(3.4)


def test_one_sample_is_a_window(tmp_path: Path, tiny_encoder: EAT) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.5]), 16_000)
    report = embed(tmp_path / "a.wav", model=tiny_encoder, store=tmp_path / "s")
    assert (report.n_done, report.n_windows) == (1, 1)
    assert Store(tmp_path / "s").read()[1]["valid_samples"].to_pylist() == [1]


def test_bad_recordings_are_listed_and_the_others_done(
    mixed: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    (mixed / "empty.wav").touch()
    (mixed / "text.wav").write_text("not sound")
    (mixed / "gone.wav").symlink_to(mixed / "nowhere.wav")
    report = embed(mixed, model=tiny_encoder, store=tmp_path / "s", batch_size=2)
    assert (report.n_found, report.n_done, report.n_failed) == (8, 5, 3)
    assert {Path(f.path).name for f in report.failures} == {"empty.wav", "text.wav", "gone.wav"}
    rows = Store(tmp_path / "s").recordings().to_pylist()
    assert len(rows) == 8
    assert all(row["reason"] and row["message"] for row in rows if row["status"] == "failed")


def test_a_damaged_recording_gives_its_good_part_and_says_what_is_wrong(
    tmp_path: Path, tiny_encoder: EAT, write_sound: WriteSound
) -> None:
    folder = tmp_path / "recordings"
    whole = write_sound(folder / "half.flac", 30.0).read_bytes()
    (folder / "half.flac").write_bytes(whole[: len(whole) // 2])
    holed = bytearray(whole)
    holed[len(whole) // 2 : len(whole) // 2 + 4096] = bytes(4096)
    (folder / "holed.flac").write_bytes(holed)
    unpatched = bytearray(write_sound(folder / "unpatched.wav", 3.0).read_bytes())
    unpatched[4:8] = unpatched[40:44] = bytes(4)
    (folder / "unpatched.wav").write_bytes(unpatched)
    report = embed(folder, model=tiny_encoder, store=tmp_path / "s")
    assert (report.n_found, report.n_done) == (3, 3)
    assert "damaged, and read as far as they go: damaged (2 recordings)" in report.warnings
    rows = {row["path"]: row for row in Store(tmp_path / "s").recordings().to_pylist()}
    assert {path: row["reason"] for path, row in rows.items()} == {
        "half.flac": "damaged",
        "holed.flac": "damaged",
        "unpatched.wav": "header-unpatched",
    }
    assert rows["half.flac"]["n_windows"] in range(13, 17)
    assert (rows["holed.flac"]["n_windows"], rows["unpatched.wav"]["n_windows"]) == (30, 3)
    ((gap),) = rows["holed.flac"]["gaps"]
    _, table = Store(tmp_path / "s").read(["path", "window", "gap", "silent"])
    marked = [row["window"] for row in table.to_pylist() if row["gap"]]
    first, last = gap["start_sample"] // 16_000, (gap["stop_sample"] - 1) // 16_000
    assert marked == list(range(first, last + 1))


def test_windows_that_are_silent_clipped_or_not_numbers_are_marked(
    tmp_path: Path, tiny_encoder: EAT
) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal(5 * 48_000).astype(np.float32)
    samples[48_000 : 2 * 48_000] = 0.0
    samples[2 * 48_000 : 3 * 48_000] = np.clip(20 * samples[2 * 48_000 : 3 * 48_000], -1, 1)
    samples[4 * 48_000 + 100 : 4 * 48_000 + 105] = np.inf
    soundfile.write(tmp_path / "a.wav", samples, 48_000, subtype="FLOAT")
    embed(tmp_path / "a.wav", model=tiny_encoder, store=tmp_path / "s")
    _, table = Store(tmp_path / "s").read()
    marks = {name: table[name].to_pylist().index(True) for name in ("clipped", "nonfinite")}
    assert marks == {"clipped": 2, "nonfinite": 4}
    soundfile.write(tmp_path / "b.wav", np.zeros(24_000), 16_000)
    embed(tmp_path / "b.wav", model=tiny_encoder, store=tmp_path / "t")
    assert Store(tmp_path / "t").read()[1]["silent"].to_pylist() == [True, True]
    assert [sum(table[name].to_pylist()) for name in ("clipped", "nonfinite", "gap")] == [1, 1, 0]


def test_a_second_run_skips_what_is_done_and_tries_again_what_failed(
    mixed: Path, tmp_path: Path, tiny_encoder: EAT, write_sound: WriteSound
) -> None:
    (mixed / "late.wav").write_text("still being copied")
    embed(mixed, model=tiny_encoder, store=tmp_path / "s")
    before = read(tmp_path / "s")[0]
    report = embed(mixed, model=tiny_encoder, store=tmp_path / "s")
    assert (report.n_done, report.n_skipped, report.n_failed) == (0, 5, 1)
    np.testing.assert_array_equal(read(tmp_path / "s")[0], before)
    write_sound(mixed / "late.wav", 2.0)
    report = embed(mixed, model=tiny_encoder, store=tmp_path / "s")
    assert (report.n_done, report.n_skipped, report.n_failed) == (1, 5, 0)
    assert len(read(tmp_path / "s")[0]) == len(before) + 2


def test_a_new_date_alone_reads_nothing_anew_and_new_content_does(
    mixed: Path, tmp_path: Path, tiny_encoder: EAT, write_sound: WriteSound
) -> None:
    embed(mixed, model=tiny_encoder, store=tmp_path / "s")
    os.utime(mixed / "a.wav", ns=(0, 0))
    assert embed(mixed, model=tiny_encoder, store=tmp_path / "s").n_skipped == 5
    old = read(tmp_path / "s")[0]
    write_sound(mixed / "a.wav", 3.4, seed=9)  # the same size
    report = embed(mixed, model=tiny_encoder, store=tmp_path / "s")
    assert (report.n_done, report.n_skipped) == (1, 4)
    new, table = read(tmp_path / "s")
    assert len(new) == len(old)
    of_a = [path == "a.wav" for path in table["path"]]
    assert (new[of_a] != old[of_a]).any(axis=1).all()
    np.testing.assert_array_equal(new[np.invert(of_a)], old[np.invert(of_a)])


def test_a_part_that_was_lost_is_made_anew(mixed: Path, tmp_path: Path, tiny_encoder: EAT) -> None:
    embed(mixed, model=tiny_encoder, store=tmp_path / "s")
    before = read(tmp_path / "s")[0]
    for part in (tmp_path / "s" / "embeddings").iterdir():
        part.unlink()
    assert embed(mixed, model=tiny_encoder, store=tmp_path / "s").n_done == 5
    np.testing.assert_array_equal(read(tmp_path / "s")[0], before)


def test_other_settings_are_refused_and_the_store_is_as_it_was(
    mixed: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    embed(mixed, model=tiny_encoder, store=tmp_path / "s")
    with pytest.raises(StoreError, match=r"window_s: 1\.0 in the store, 0\.5 asked for"):
        embed(mixed, model=tiny_encoder, store=tmp_path / "s", window_s=0.5)
    torch.manual_seed(1)
    other = EAT(tiny_encoder.config, name="tiny", labels=tiny_encoder.labels)
    with pytest.raises(StoreError, match="weights_sha256"):
        embed(mixed, model=other, store=tmp_path / "s")
    assert Store(tmp_path / "s").check().damages == ()


def test_a_channel_that_a_recording_lacks_fails_that_recording_only(
    mixed: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    report = embed(mixed, model=tiny_encoder, store=tmp_path / "s", channel=1)
    assert (report.n_done, report.n_failed) == (1, 4)
    assert {failure.reason for failure in report.failures} == {"channel"}


def test_samples_that_are_not_numbers_never_reach_the_store(
    tmp_path: Path, tiny_encoder: EAT
) -> None:
    samples = np.random.default_rng(0).standard_normal(40_000).astype(np.float32) * 0.1
    samples[9_000:9_010] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 48_000, subtype="FLOAT")
    report = embed(tmp_path / "a.wav", model=tiny_encoder, store=tmp_path / "s")
    assert np.isfinite(Store(tmp_path / "s").read()[0]).all()
    assert Store(tmp_path / "s").recordings()["n_nonfinite"].to_pylist() == [10]
    assert any("not numbers" in warning for warning in report.warnings)


def test_a_band_warning_comes_once_however_many_recordings_it_holds_for(
    tmp_path: Path, tiny_encoder: EAT, write_sound: WriteSound
) -> None:
    for index in range(3):
        write_sound(tmp_path / "in" / f"{index}.wav", 0.5, 8_000)
    report = embed(tmp_path / "in", model=tiny_encoder, store=tmp_path / "s")
    (warning,) = report.warnings
    assert "8000 Hz" in warning
    assert "(3 recordings)" in warning


def test_options_and_config_are_one_and_nonsense_is_refused_before_anything_is_made(
    mixed: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    config = EmbedConfig(windows=WindowConfig(window_s=0.5), readout="output:cls")
    embed(mixed, model=tiny_encoder, store=tmp_path / "s", config=config, hop_s=0.25)
    header = Store(tmp_path / "s").header
    assert (header.window_s, header.hop_s, str(header.readout)) == (0.5, 0.25, "output:cls")
    for options, words in [
        ({"poling": "cls"}, "poling"),
        ({"hop_s": 3.0}, "hop of 3 s and a window of 1 s"),
        ({"window_s": 0.01}, "160 samples"),
        ({"window_s": 200.0}, "at most"),
        ({"readout": (5,)}, "no layer 5"),
    ]:
        with pytest.raises(UsageError, match=words):
            embed(mixed, model=tiny_encoder, store=tmp_path / "never", **options)
    assert not (tmp_path / "never").exists()


def test_progress_adds_up_to_the_bytes_that_were_there(
    mixed: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    (mixed / "bad.wav").write_text("not sound")
    progress = WatchedProgress()
    embed(mixed, model=tiny_encoder, store=tmp_path / "s", batch_size=2, progress=progress)
    size = sum(path.stat().st_size for path in mixed.rglob("*.*"))
    assert progress.stages == [("embedding", size, "bytes")]
    assert sum(progress.steps) == size
    assert min(progress.steps) >= 0


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commit after every batch, not every half minute."""
    defaults = {**StoreWriter.__init__.__kwdefaults__, "part_seconds": 0.0}
    monkeypatch.setattr(StoreWriter.__init__, "__kwdefaults__", defaults)


def signalled(function: Callable[..., Any]) -> Callable[..., Any]:
    """What ``function`` does, and Ctrl-C the moment after."""

    def then(*args: Any, **named: Any) -> Any:
        result = function(*args, **named)
        signal.raise_signal(signal.SIGINT)
        return result

    return then


def test_ctrl_c_at_the_moment_the_store_is_made_is_answered_too(
    mixed: Path, tmp_path: Path, tiny_encoder: EAT, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(StoreWriter, "__enter__", signalled(StoreWriter.__enter__))
        with pytest.raises(RunInterruptedError, match="same command continues"):
            embed(mixed, model=tiny_encoder, store=tmp_path / "s")
    assert (tmp_path / "s" / "store.json").exists()
    report = embed(mixed, model=tiny_encoder, store=tmp_path / "s")
    assert report.n_found == report.n_done + report.n_skipped


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_was_finished_and_the_next_run_goes_on(
    mixed: Path,
    tmp_path: Path,
    tiny_encoder: EAT,
    number: signal.Signals,
    write_sound: WriteSound,
) -> None:
    write_sound(mixed / "0.wav", 60.0)  # far more than is encoded ahead of what is committed
    handler = signal.getsignal(number)

    def interrupt(_n: int) -> None:
        if len(progress.steps) == 2:
            signal.raise_signal(number)

    progress = WatchedProgress(interrupt)
    with pytest.raises(RunInterruptedError, match="same command continues"):
        embed(
            mixed,
            model=tiny_encoder,
            store=tmp_path / "s",
            batch_size=2,
            workers=2,
            progress=progress,
        )
    assert signal.getsignal(number) is handler
    statuses = set(Store(tmp_path / "s").recordings()["status"].to_pylist())
    assert "partial" in statuses
    report = embed(mixed, model=tiny_encoder, store=tmp_path / "s", batch_size=2)
    assert report.n_found == report.n_done + report.n_skipped
    embed(mixed, model=tiny_encoder, store=tmp_path / "whole", batch_size=2)
    assert_same(tmp_path / "s", tmp_path / "whole", atol=2e-3)
    n_windows = len(read(tmp_path / "whole")[0])
    assert report.n_windows < n_windows  # nothing that was there was encoded again


def test_it_runs_in_a_thread_where_no_signal_can_be_handled(
    mixed: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    reports = []
    thread = threading.Thread(
        target=lambda: reports.append(embed(mixed, model=tiny_encoder, store=tmp_path / "s"))
    )
    thread.start()
    thread.join()
    assert reports[0].n_done == 5


def test_an_encoder_is_given_back_as_it_was(mixed: Path, tmp_path: Path, tiny_encoder: EAT) -> None:
    tiny_encoder.train()
    try:
        embed(mixed, model=tiny_encoder, store=tmp_path / "s")
        assert tiny_encoder.training
    finally:
        tiny_encoder.eval()


def test_a_model_from_a_folder_gives_the_same_and_is_named_in_the_store(
    mixed: Path, tmp_path: Path, tiny_encoder: EAT, tiny_folder: Path
) -> None:
    embed(mixed, model=tiny_encoder, store=tmp_path / "a", device="cpu")
    embed(mixed, model=tiny_folder, store=tmp_path / "b", device="cpu")
    assert_same(tmp_path / "a", tmp_path / "b", atol=1e-3)
    header = Store(tmp_path / "b").header
    assert header.model == "tiny"
    assert header.weights_sha256 is not None
    assert len(header.weights_sha256) == 64
    assert header.licence == "CC0-1.0"


def test_shards_make_one_store_together(mixed: Path, tmp_path: Path, tiny_encoder: EAT) -> None:
    embed(mixed, model=tiny_encoder, store=tmp_path / "whole")
    reports = [
        embed(mixed, model=tiny_encoder, store=tmp_path / "s", shard=(i, 2)) for i in range(2)
    ]
    assert sum(report.n_done for report in reports) == 5
    assert all(report.n_found == report.n_done > 0 for report in reports)
    assert_same(tmp_path / "s", tmp_path / "whole", atol=2e-3)


def test_recordings_that_moved_are_the_same_with_a_new_root(
    mixed: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    embed(mixed, model=tiny_encoder, store=tmp_path / "s")
    moved = mixed.rename(tmp_path / "other disk")
    (tmp_path / "s").rename(tmp_path / "t")
    report = embed(moved, model=tiny_encoder, store=tmp_path / "t", audio_root=moved)
    assert (report.n_done, report.n_skipped) == (0, 5)


def test_a_recording_that_another_run_is_doing_is_left_to_it(
    mixed: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    embed(mixed / "b.flac", model=tiny_encoder, store=tmp_path / "s", audio_root=mixed)
    header = Store(tmp_path / "s").header
    with StoreWriter(tmp_path / "s", header) as other:
        other.claim(recording_id("a.wav"))
        report = embed(mixed, model=tiny_encoder, store=tmp_path / "s", audio_root=mixed)
    assert (report.n_done, report.n_skipped) == (3, 2)
    assert "another run is doing them (1 recordings)" in report.warnings
