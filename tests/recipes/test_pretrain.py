"""A small pretraining run from the command line: it learns, resumes, and its export goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
import yaml
from safetensors.torch import load_file

from dawnchorus import load_model
from dawnchorus.cli.app import main
from dawnchorus.configs import PretrainConfig
from dawnchorus.errors import TrainingError, UsageError
from dawnchorus.recipes.collapse import check_spread
from dawnchorus.recipes.pretrain import pretrain_dry_run
from dawnchorus.training import devices, estimate

RATE = 16_000
TONES = {"low": 500.0, "high": 4000.0}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Tones; whatever must not be trained on has no file, so that reading it is an error."""
    rows = []
    for split, count in (("train", 4), ("val", 3), ("test", 1)):
        for label, hz in TONES.items():
            for number in range(count):
                name = f"{split}_{label}_{number}"
                rng = np.random.default_rng(len(rows))
                length = RATE if number else RATE // 3  # some are shorter than a crop
                tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(length) / RATE)
                samples = tone + 0.05 * rng.standard_normal(length)
                if split != "test":
                    soundfile.write(tmp_path / f"{name}.wav", samples.astype(np.float32), RATE)
                rows.append(
                    {"id": name, "path": f"{name}.wav", "dataset": "tones", "level": "file",
                     "start_s": 0.0, "stop_s": length / RATE, "labels": [label],
                     "kind": "sound", "split": split}
                )  # fmt: skip
    last = {**rows[0], "stop_s": 0.5}
    rows.append({**last, "id": "part", "path": "no_part.wav", "level": "segment"})
    rows.append({**last, "id": "scene", "path": "no_scene.wav", "dataset": "scenes"})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "manifest.parquet")
    return tmp_path


def recipe(folder: Path, **changes: Any) -> Path:
    values = {
        "kind": "pretrain",
        "name": "tones",
        "steps": 12,
        "learning_rate": 0.0005,
        "window_s": 1.0,
        "device": "cpu",
        "buckets": [{"crop_s": 1.0, "batch_size": 4}],
        "data": {"root": str(folder)},
        "leave_out": ["scenes"],
        "n_clones": 2,
        "decoder": {"n_layers": 1},
        "ema": {"start": 0.9, "end": 0.95, "n_steps": 10},
        "checkpoint_every": 5,
        "validate_every": 12,
        "log_every": 1,
        **changes,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def steps(run: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [record for record in records if "loss" in record]


def test_it_learns_and_its_export_is_a_model(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pretrain", str(recipe(corpus)), "--runs", str(corpus / "runs"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    log = steps(Path(report["run"]))
    assert len(log) == 12
    assert log[-1]["loss"] < 0.8 * log[0]["loss"]
    assert {"frame", "utterance", "target_deviation", "prediction_deviation"} <= log[-1].keys()
    last = json.loads((Path(report["run"]) / "log.jsonl").read_text().splitlines()[-1])
    assert last["val_rank"] >= 1
    assert 0 < last["val_teacher_distance"] < 1
    assert 0 <= last["val_retrieval"] <= 1
    model = load_model(report["export"], device="cpu")
    assert model.labels is None
    with torch.no_grad():
        assert model(torch.randn(1, RATE)).shape[-1] == 192
    checkpoint = load_model(sorted((Path(report["run"]) / "checkpoints").iterdir())[-1])
    assert torch.allclose(checkpoint.cls_token, model.cls_token, atol=1e-3)


def test_post_training_starts_from_its_export(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = corpus / "runs"
    assert main(["pretrain", str(recipe(corpus, steps=1)), "--runs", str(runs), "-q"]) == 0
    values = {
        "kind": "posttrain", "name": "labels", "steps": 1, "learning_rate": 1e-9,
        "window_s": 1.0, "device": "cpu", "buckets": [{"crop_s": 1.0, "batch_size": 4}],
        "data": {"root": str(corpus), "label_kinds": ["sound"]},
        "init_from": str(runs / "tones"),
    }  # fmt: skip
    manifest = pq.read_table(corpus / "manifest.parquet").to_pylist()
    kept = [row for row in manifest if not row["path"].startswith("no_")]
    pq.write_table(pa.Table.from_pylist(kept), corpus / "manifest.parquet")
    (corpus / "post.yaml").write_text(yaml.safe_dump(values))
    command = ["posttrain", str(corpus / "post.yaml"), "--runs", str(runs), "--json"]
    assert main(command) == 0
    begun = load_model(runs / "tones", device="cpu")
    gone_on = load_model(json.loads(capsys.readouterr().out.splitlines()[-1])["export"])
    assert gone_on.labels == sorted(TONES)
    assert torch.allclose(
        begun.blocks[3].mlp.fc1.weight, gone_on.blocks[3].mlp.fc1.weight, atol=1e-4
    )


def test_a_run_that_was_cut_off_has_the_losses_of_one_that_was_not(corpus: Path) -> None:
    path = str(recipe(corpus, steps=8))
    assert main(["pretrain", path, "--runs", str(corpus / "whole"), "-q"]) == 0
    assert main(["pretrain", path, "--runs", str(corpus / "cut"), "-q"]) == 0
    cut = corpus / "cut" / "tones"
    newest = sorted((cut / "checkpoints").iterdir())[-1]
    (newest / "state.json").unlink()  # as if killed while it was written: back to step 5
    assert main(["pretrain", path, "--runs", str(corpus / "cut"), "-q"]) == 0
    names = ("step", "loss", "frame", "utterance", "grad_norm")
    whole, resumed = steps(corpus / "whole" / "tones"), steps(cut)
    assert [[one[name] for name in names] for one in whole] == [
        [one[name] for name in names] for one in resumed
    ]


@pytest.mark.cli
def test_two_processes_have_the_losses_of_one_step_by_step(corpus: Path) -> None:
    path = str(recipe(corpus, steps=3))
    env = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    for runs, options in (("one", []), ("two", ["--devices", "2"])):
        command = [sys.executable, "-m", "dawnchorus", "pretrain", path, *options]
        command += ["--runs", str(corpus / runs), "-q"]
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr
    one, two = steps(corpus / "one" / "tones"), steps(corpus / "two" / "tones")
    assert len(one) == len(two) == 3
    for ours, theirs in zip(one, two, strict=True):
        for name in ("loss", "frame", "utterance", "grad_norm"):
            assert theirs[name] == pytest.approx(ours[name], rel=1e-4), name
    weights = [
        load_file(corpus / runs / "tones/export/model.safetensors") for runs in ("one", "two")
    ]
    for name, value in weights[0].items():
        assert torch.allclose(value.float(), weights[1][name].float(), atol=2e-3), name


def test_a_dry_run_says_what_it_would_be_and_leaves_nothing(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = corpus / "runs"
    command = ["pretrain", str(recipe(corpus)), "--runs", str(runs), "--dry-run", "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["data"]["clips"] == 8
    assert found["batch"]["clips a step"] == [4]
    assert found["tried"]["steps"] == 2
    assert not runs.exists()


def test_a_dry_run_of_what_cannot_fit_says_so_and_starts_nothing(
    corpus: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []
    monkeypatch.setattr(devices, "launch", started.append)
    monkeypatch.setattr(estimate, "free_memory", lambda: 50 * 2**20)
    for sound in corpus.glob("*.wav"):
        sound.unlink()  # sizes are known without decoding anything
    assert main(["pretrain", str(recipe(corpus)), "--dry-run"]) == 2
    out, err = capsys.readouterr()
    assert "free in the machine  50" in out
    assert "a run needs some" in err
    assert "50 MB are free" in err
    assert not started


def test_a_dry_run_measures_what_the_largest_piece_keeps(corpus: Path) -> None:
    whole, halves = (
        pretrain_dry_run(recipe(corpus, accumulate=parts))["memory_mb"]["activations"]
        for parts in (1, 2)
    )
    assert whole == pytest.approx(2 * halves, abs=1)
    assert whole > 5


def test_a_collapse_ends_training_and_says_where() -> None:
    config = PretrainConfig(name="flat", steps=1, learning_rate=0.1, data={"root": "."})
    lively = {"target_deviation": 0.9, "prediction_deviation": 0.5}
    check_spread(lively, 3, config)
    for name in lively:
        with pytest.raises(TrainingError, match=f"collapsed: at step 3 the {name}"):
            check_spread({**lively, name: 0.001}, 3, config)


def test_training_ends_when_the_embeddings_of_validation_clips_lose_their_rank(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    floor = {"after_steps": 5, "min_rank": 5.99}  # of six clips
    path = str(recipe(corpus, validate_every=3, collapse=floor))
    assert main(["pretrain", path, "--runs", str(corpus / "runs"), "-q"]) == 1
    assert "collapsed: after step 6 the effective rank" in capsys.readouterr().err


def test_a_floor_that_no_rank_can_reach_is_refused(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(recipe(corpus, collapse={"min_rank": 7.0}))
    assert main(["pretrain", path, "--runs", str(corpus / "runs"), "-q"]) == 1
    assert "6 clips to validate on cannot reach" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"collapse": {"min_rank": 4.0}, "validation_clips": 3}, "min_rank"),
        ({"strategy": "fsdp"}, "ddp"),
        ({"drop_path": 0.1}, "drop_path"),
        ({"buckets": [{"crop_s": 1.0, "batch_size": 4, "patch_keep": 0.5}]}, "mask.ratio"),
        ({"data": {"root": ".", "label_kinds": ["sound"]}}, "label_kinds"),
        ({"mask": {"block": 4}}, "odd"),
        ({"decoder": {"kernel": 2}}, "odd"),
        ({"label_smoothing": 0.1}, "label_smoothing"),
    ],
)
def test_an_option_that_would_not_be_read_is_refused(changes: dict[str, Any], named: str) -> None:
    values = {"name": "x", "steps": 1, "learning_rate": 0.1, "data": {"root": "."}}
    with pytest.raises(UsageError, match=named):
        PretrainConfig(**{**values, **changes})


def test_data_without_a_clip_to_train_on_are_refused(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(recipe(corpus, leave_out=["scenes", "tones"]))
    assert main(["pretrain", path, "--runs", str(corpus / "runs"), "-q"]) == 1
    assert "no clip to train on" in capsys.readouterr().err
