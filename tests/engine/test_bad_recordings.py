"""Whatever one recording does is its own failure: embed and predict go on, and name it."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dawnchorus.cli.app import main
from dawnchorus.engine import embed as embed_module
from dawnchorus.engine.embed import embed
from dawnchorus.engine.pipeline.events import EncodedWindows
from dawnchorus.engine.predict import predict
from dawnchorus.models.eat import EAT
from dawnchorus.store.merge import merge_stores
from dawnchorus.store.read import Store

WriteSound = Callable[..., Path]
CAFE = os.fsdecode(b"caf\xe9.wav")


@pytest.fixture
def folder(tmp_path: Path, write_sound: WriteSound) -> Path:
    """Three good recordings, one with a name that is not UTF-8, among what is none."""
    folder = tmp_path / "in"
    write_sound(folder / "good.wav", 2.0)
    write_sound(folder / "x.wav", 2.0, seed=1).rename(folder / CAFE)
    write_sound(folder / ("n" * 231 + ".wav"), 1.0, seed=2)
    os.mkfifo(folder / "pipe.wav")
    (folder / "loop.wav").symlink_to("loop.wav")
    (folder / "gone.wav").symlink_to("nowhere.wav")
    return folder


def test_embed_does_the_good_ones_and_names_the_others(
    folder: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    report = embed(folder, store=tmp_path / "s", model=tiny_encoder)
    assert (report.n_done, report.n_failed) == (3, 3)
    reasons = {Path(failure.path).name: failure.reason for failure in report.failures}
    assert reasons == {"pipe.wav": "not-a-file", "loop.wav": "denied", "gone.wav": "missing"}
    assert any("names that are not UTF-8" in warning for warning in report.warnings)
    paths = Store(tmp_path / "s").recordings()["path"].to_pylist()
    assert r"caf\xe9.wav" in paths
    again = embed(folder, store=tmp_path / "s", model=tiny_encoder)
    assert (again.n_done, again.n_skipped, again.n_failed) == (0, 3, 3)


def test_two_names_that_look_alike_are_two_recordings(
    tmp_path: Path, write_sound: WriteSound, tiny_encoder: EAT
) -> None:
    write_sound(tmp_path / "in" / "x.wav", 1.0).rename(tmp_path / "in" / CAFE)
    write_sound(tmp_path / "in" / r"caf\xe9.wav", 1.0, seed=1)
    embed(tmp_path / "in", store=tmp_path / "s", model=tiny_encoder)
    assert sorted(Store(tmp_path / "s").recordings()["path"].to_pylist()) == [
        r"caf\x5cxe9.wav",
        r"caf\xe9.wav",
    ]


def test_a_folder_whose_name_is_not_utf8_keeps_its_store_useful(
    tmp_path: Path, write_sound: WriteSound, tiny_encoder: EAT
) -> None:
    root = tmp_path / os.fsdecode(b"r\xfcgen")
    write_sound(tmp_path / "plain" / "in" / "x.wav", 1.0)
    (tmp_path / "plain").rename(root)
    embed(root / "in", store=tmp_path / "s", model=tiny_encoder, predict=True)
    assert Store(tmp_path / "s").header.audio_root.endswith(r"/r\xfcgen/in")
    again = embed(root / "in", store=tmp_path / "s", model=tiny_encoder, predict=True)
    assert again.n_skipped == 1
    report = predict(tmp_path / "s", output=tmp_path / "p.csv", top_k=1, segments=1)
    assert report.n_rows
    assert list((tmp_path / "p.segments").rglob("*.flac"))
    merge_stores([tmp_path / "s"], tmp_path / "merged")
    assert Store(tmp_path / "merged").recordings()["path"].to_pylist() == ["x.wav"]


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl", "txt"])
def test_predict_writes_rows_of_every_name(
    folder: Path, tmp_path: Path, tiny_encoder: EAT, kind: str
) -> None:
    report = predict(folder, output=tmp_path / f"p.{kind}", model=tiny_encoder, top_k=1)
    assert (report.n_done, report.n_failed) == (3, 3)
    content = (tmp_path / f"p.{kind}").read_bytes()
    assert b"good" in content
    assert rb"caf\xe9" in content or rb"caf\\xe9" in content


def test_a_table_a_recording_is_written_for_every_name(
    folder: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    predict(folder, output=tmp_path / "out", format="raven", model=tiny_encoder, top_k=1)
    tables = sorted((tmp_path / "out").rglob("*.txt"))
    assert len(tables) == 3


def test_json_of_a_run_can_be_read_by_any_program(
    folder: Path, tmp_path: Path, tiny_folder: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (folder / "good.wav").rename(folder / os.fsdecode(b"\xff.wav"))
    (folder / os.fsdecode(b"\xff.wav")).write_bytes(b"no sound")
    code = main(["embed", str(folder), "-o", str(tmp_path / "s"), "--model", str(tiny_folder),
                 "--json"])  # fmt: skip
    assert code == 3
    facts = json.loads(capsysbinary.readouterr().out.decode("utf-8"))
    assert any(failure["path"].endswith(r"/\xff.wav") for failure in facts["failures"])


@pytest.mark.parametrize("value", [1e19, -1e20, 3e38])
def test_one_absurd_sample_ends_nothing_and_is_marked(
    tmp_path: Path, write_sound: WriteSound, tiny_encoder: EAT, value: float
) -> None:
    write_sound(tmp_path / "in" / "good.wav", 2.0)
    sound = soundfile.read(write_sound(tmp_path / "in" / "bad.wav", 2.0, seed=1))[0]
    sound[500] = value
    soundfile.write(tmp_path / "in" / "bad.wav", sound, 16_000, subtype="FLOAT")
    report = embed(tmp_path / "in", store=tmp_path / "s", model=tiny_encoder, window_s=1.0)
    assert (report.n_done, report.n_failed) == (2, 0)
    vectors, windows = Store(tmp_path / "s").read(["path", "nonfinite"])
    assert np.isfinite(vectors).all()
    flagged = [path for path, bad in zip(*windows.to_pydict().values(), strict=True) if bad]
    assert flagged == ["bad.wav"]


def test_sound_that_cannot_be_right_is_said_in_store_and_report(
    tmp_path: Path, tiny_encoder: EAT
) -> None:
    (tmp_path / "in").mkdir()
    noise = np.random.default_rng(0).standard_normal(32_000) / 10
    soundfile.write(tmp_path / "in" / "a.wav", np.stack([noise, -noise], 1), 16_000)
    soundfile.write(tmp_path / "in" / "b.wav", 9_000 * noise, 16_000, subtype="FLOAT")
    report = embed(tmp_path / "in", store=tmp_path / "s", model=tiny_encoder)
    rows = Store(tmp_path / "s").recordings().to_pylist()
    assert [row["reason"] for row in rows] == ["opposite-channels", "beyond-full-scale"]
    windows = Store(tmp_path / "s").read(["silent"])[1]
    assert windows["silent"].to_pylist() == [True, True, False, False]
    said = " ".join(report.warnings)
    assert "choose one with --channel 0 (1 recordings)" in said
    assert "scale the files to between -1 and 1 (1 recordings)" in said


def test_an_error_while_one_recording_is_stored_is_its_own(
    tmp_path: Path,
    write_sound: WriteSound,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in "abc":
        write_sound(tmp_path / "in" / f"{name}.wav", 2.0)
    window_rows = embed_module.window_rows

    def fault(event: EncodedWindows, header: object) -> object:
        if event.job.name == "b.wav":
            raise KeyError("column")
        return window_rows(event, header)

    monkeypatch.setattr(embed_module, "window_rows", fault)
    store = tmp_path / "s.store"
    assert main(["embed", str(tmp_path / "in"), "-o", str(store), "--model", str(tiny_folder)]) == 3
    said = capsys.readouterr().err
    log = tmp_path / "s.store.faults.log"
    assert f"KeyError: 'column' (traceback in {log})" in said
    assert "failed (internal): " in said
    assert "please report it" in said
    assert "Traceback" in log.read_text()
    rows = {row["path"]: row["status"] for row in Store(store).recordings().to_pylist()}
    assert rows == {"a.wav": "done", "b.wav": "failed", "c.wav": "done"}
    monkeypatch.undo()
    assert main(["embed", str(tmp_path / "in"), "-o", str(store), "--model", str(tiny_folder)]) == 0
    assert Store(store).check().damages == ()


def test_a_csv_of_predictions_names_the_recording_as_the_store_would(
    folder: Path, tmp_path: Path, tiny_encoder: EAT
) -> None:
    predict(folder, output=tmp_path / "p.csv", model=tiny_encoder, top_k=1)
    with (tmp_path / "p.csv").open(encoding="utf-8", newline="") as file:
        paths = {row["path"] for row in csv.DictReader(file)}
    assert r"caf\xe9.wav" in {Path(path).name for path in paths}
