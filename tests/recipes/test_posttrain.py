"""A small run from the command line: it learns, its export loads, the same command resumes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
import yaml

from dawnchorus import load_model
from dawnchorus.cli.app import main
from dawnchorus.configs import PosttrainConfig, PretrainConfig, read_yaml

RATE = 16_000
TONES = {"low": 500.0, "middle": 1500.0, "high": 4000.0}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    rows = []
    for split, count in (("train", 8), ("val", 3), ("test", 1)):
        for label, hz in TONES.items():
            for number in range(count):
                name = f"{split}_{label}_{number}"
                rng = np.random.default_rng(len(rows))
                tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(RATE) / RATE + rng.uniform(0, 6))
                samples = tone + 0.05 * rng.standard_normal(RATE)
                soundfile.write(tmp_path / f"{name}.wav", samples.astype(np.float32), RATE)
                rows.append(
                    {"id": name, "path": f"{name}.wav", "dataset": "tones", "level": "file",
                     "start_s": 0.0, "stop_s": 1.0, "labels": [label], "kind": "sound",
                     "split": split}
                )  # fmt: skip
    for row in rows:
        if row["split"] == "test":
            (tmp_path / row["path"]).unlink()  # a test file that is opened is an error
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "manifest.parquet")
    return tmp_path


def recipe(folder: Path, **changes: Any) -> Path:
    values = {
        "name": "tones",
        "steps": 80,
        "warmup_steps": 5,
        "learning_rate": 0.0005,
        "window_s": 1.0,
        "pooling": "valid",
        "device": "cpu",
        "buckets": [{"crop_s": 1.0, "batch_size": 12}],
        "data": {"root": str(folder), "label_kinds": ["sound"]},
        "noise": {"probability": 0.0},
        "mix_probability": 0.0,
        "label_weight": 30.0,
        "checkpoint_every": 20,
        "validate_every": 20,
        "log_every": 5,
        **changes,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_it_learns_and_its_export_names_what_it_heard(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["posttrain", str(recipe(corpus)), "--runs", str(corpus / "runs"), "--json"]
    assert main(command) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["steps"] == 80
    assert report["n_labels"] == 3
    assert report["best_score"] > 0.9
    model = load_model(report["export"], device="cpu")
    for label in TONES:
        samples, _ = soundfile.read(corpus / f"val_{label}_0.wav", dtype="float32")
        with torch.no_grad():
            logits = model(torch.from_numpy(samples)[None])
        assert model.labels[int(logits.argmax())] == label
    before = (Path(report["run"]) / "log.jsonl").read_text()
    assert main(command) == 0  # finished: nothing left to do
    steps = [line for line in before.splitlines() if '"loss"' in line]
    after = (Path(report["run"]) / "log.jsonl").read_text()
    assert [line for line in after.splitlines() if '"loss"' in line] == steps


def test_another_config_under_the_same_name_is_refused_by_key(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = str(corpus / "runs")
    assert (
        main(["posttrain", str(recipe(corpus, steps=2, warmup_steps=1)), "--runs", runs, "-q"]) == 0
    )
    assert (
        main(
            [
                "posttrain",
                str(recipe(corpus, steps=2, warmup_steps=1, seed=9)),
                "--runs",
                runs,
                "-q",
            ]
        )
        == 2
    )
    assert "seed" in capsys.readouterr().err


def test_an_unknown_key_is_refused_by_name(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["posttrain", str(recipe(corpus, learning_speed=1)), "-q"]) == 2
    assert "learning_speed" in capsys.readouterr().err


def test_the_recipes_that_we_ship_are_valid() -> None:
    found = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
    assert found
    for path in found:
        values = read_yaml(path)
        config = {"posttrain": PosttrainConfig, "pretrain": PretrainConfig}[values["kind"]]
        assert config(**values).name == path.stem
