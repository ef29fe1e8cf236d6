"""A small run from the command line: it learns, its export loads, the same command resumes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
import yaml
from safetensors.torch import load_file, save_file

from dawnchorus import load_model
from dawnchorus.cli.app import main
from dawnchorus.configs import PosttrainConfig, PretrainConfig, read_recipe
from dawnchorus.errors import TrainingError
from dawnchorus.models.card import Card
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.models.write import FilePrecision
from dawnchorus.recipes.export import Which, chosen_weights, export_model, scores_of
from dawnchorus.recipes.posttrain import Posttraining
from dawnchorus.training.run import RunFolder

RATE = 16_000
KEPT = {".safetensors", ".yaml", ".json"}
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
        "kind": "posttrain",
        "name": "tones",
        "steps": 6,
        "head_steps": 3,
        "warmup_steps": 1,
        "learning_rate": 0.0005,
        "head_learning_rate": 0.003,
        "window_s": 1.0,
        "pooling": "valid",
        "device": "cpu",
        "drop_path": 0.1,
        "buckets": [{"crop_s": 1.0, "batch_size": 4, "patch_keep": 0.7}],
        "data": {"root": str(folder), "label_kinds": ["sound"]},
        "spec_augment": {"n_time_masks": 1, "n_band_masks": 1},
        "label_weight": 30.0,
        "checkpoint_every": 2,
        "validate_every": 4,
        "log_every": 1,
        **changes,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dawnchorus.training.loop.draw_curves", lambda *_: None)  # takes a second


PLAIN: dict[str, Any] = {
    "spec_augment": {}, "mixing": "none", "drop_path": 0.0,
    "buckets": [{"crop_s": 1.0, "batch_size": 8}],
}  # fmt: skip


def test_it_learns_and_its_export_names_what_it_heard(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recipe(corpus, steps=50, head_steps=0, validate_every=25, checkpoint_every=25, **PLAIN)
    command = ["posttrain", str(path), "--runs", str(corpus / "runs"), "--json"]
    assert main(command) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["steps"] == 50
    assert report["n_labels"] == 3
    assert report["best_score"] > 0.9
    run = Path(report["run"])
    model = load_model(report["export"], device="cpu")
    for label in TONES:
        samples, _ = soundfile.read(corpus / f"val_{label}_0.wav", dtype="float32")
        with torch.no_grad():
            logits = model(torch.from_numpy(samples)[None])
        assert model.labels[int(logits.argmax())] == label
    table = (run / "validation" / "step-0000050.csv").read_text().splitlines()
    assert table[0] == "kind,label,n_positive,average_precision,roc_auc,accuracy"
    assert [line.split(",")[:3] for line in table[1:]] == [
        ["sound", label, "3"] for label in sorted(TONES)
    ]
    for folder in (run, run / "best", max((run / "checkpoints").iterdir())):
        assert load_model(folder, device="cpu").labels == sorted(TONES)
    before = (run / "log.jsonl").read_text()
    assert main(command) == 0  # finished: nothing left to do
    assert (run / "log.jsonl").read_text() == before


def log_of(folder: Path) -> list[tuple[Any, ...]]:
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    names = ("step", "loss", "labels", "grad_norm", "lr", "val_map", "val_loss")
    return [tuple(r.get(name, 0.0) for name in names) for r in records if "event" not in r]


# Kills itself with SIGKILL at the n-th call of one function of a run.
KILLED = """
import os, signal, sys
from importlib import import_module
module, owner, name, at = sys.argv.pop(1), sys.argv.pop(1), sys.argv.pop(1), int(sys.argv.pop(1))
holder = getattr(import_module(module), owner) if owner else import_module(module)
original, calls = getattr(holder, name), 0
def counted(*arguments, **options):
    global calls
    calls += 1
    if calls == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **options)
setattr(holder, name, counted)
from dawnchorus.cli.app import main
raise SystemExit(main())
"""
STEP = ("torch.optim", "AdamW", "step")
FLUSH = ("dawnchorus.training.checkpoint", "", "_flush")
RENAMED = ("dawnchorus.training.checkpoint", "", "sync_folder")
PRUNE = ("dawnchorus.training.loop", "", "prune_checkpoints")


def command(path: Path, runs: Path) -> list[str]:
    return ["posttrain", str(path), "--runs", str(runs), "--quiet"]


def check_kill(corpus: Path, place: tuple[str, str, str], at: int) -> None:
    path = recipe(corpus)
    whole, killed = corpus / "whole", corpus / "killed"
    if not whole.exists():
        assert main(command(path, whole)) == 0
    env = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    program = [sys.executable, "-c", KILLED, *place, str(at), *command(path, killed)]
    assert subprocess.run(program, env=env, check=False).returncode == -signal.SIGKILL
    assert main(command(path, killed)) == 0
    wanted = log_of(whole / "tones")
    assert [record[0] for record in wanted] == [1, 2, 3, 4, 4, 5, 6, 6]
    assert log_of(killed / "tones") == wanted
    for name in ("export/model.safetensors", "best/model.safetensors", "export/card.yaml"):
        assert (killed / "tones" / name).read_bytes() == (whole / "tones" / name).read_bytes()
    assert not list((killed / "tones" / "checkpoints").glob(".*"))


@pytest.mark.cli
@pytest.mark.parametrize(("place", "at"), [(STEP, 6), (FLUSH, 8)])
def test_a_killed_run_goes_on_bit_for_bit(
    corpus: Path, place: tuple[str, str, str], at: int
) -> None:
    check_kill(corpus, place, at)


@pytest.mark.long
@pytest.mark.parametrize(
    ("place", "ats"),
    [
        (STEP, range(1, 7)),
        (FLUSH, (1, 3, 5, 6, 7, 9, 12, 15)),
        (RENAMED, range(1, 7)),
        (PRUNE, (1, 2, 3)),
    ],
)
def test_a_run_killed_anywhere_goes_on_bit_for_bit(
    corpus: Path, place: tuple[str, str, str], ats: Sequence[int]
) -> None:
    for at in ats:
        check_kill(corpus, place, at)
        shutil.rmtree(corpus / "killed")


@pytest.mark.cli
def test_a_run_that_is_told_to_stop_leaves_a_checkpoint_and_130(corpus: Path) -> None:
    path = recipe(corpus, steps=2000, log_every=1, validate_every=2000, checkpoint_every=2000)
    program = [sys.executable, "-m", "dawnchorus", *command(path, corpus / "runs")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    running = subprocess.Popen([*program[:-1]], env=env, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    said = next(line for line in running.stderr if line.startswith("step 2/2000"))
    running.send_signal(signal.SIGTERM)
    _, rest = running.communicate(timeout=120)
    assert said
    assert running.returncode == 130
    assert "the same command resumes" in rest
    kept = list((corpus / "runs" / "tones" / "checkpoints").glob("step-*"))
    assert len(kept) == 1
    assert int(kept[0].name.removeprefix("step-")) >= 2


@pytest.mark.cli
def test_two_processes_post_train_as_one(corpus: Path) -> None:
    path = recipe(corpus)
    assert main(command(path, corpus / "one")) == 0
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    program = [sys.executable, "-m", "dawnchorus", *command(path, corpus / "two")]
    done = subprocess.run(
        [*program, "--devices", "2", "--json"],
        env=env,
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["steps"] == 6  # printed once
    one, two = log_of(corpus / "one" / "tones"), log_of(corpus / "two" / "tones")
    assert len(one) == len(two) == 8
    for ours, theirs in zip(two, one, strict=True):
        assert ours == pytest.approx(theirs, rel=2e-4)
    assert len({record[1] for record in one}) == 7  # six losses; records of validation have none


def test_a_dry_run_says_what_would_be_and_leaves_nothing(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(corpus.iterdir())
    path = recipe(corpus, accumulate=2)
    assert (
        main(["posttrain", str(path), "--runs", str(corpus / "runs"), "--dry-run", "--json"]) == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert sorted(corpus.iterdir()) == sorted({*before, path})
    assert found["parameters"]["trained in stage heads"] == 192 * 3 + 3
    assert found["parameters"]["trained in stage all"] == found["parameters"]["all"]
    assert found["memory_mb"]["moments"] == 41  # two moments of 5.4 M
    assert found["batch"]["clips a piece"] == [2]
    assert found["schedule"]["step 1"] == 0.003
    assert found["data"]["clips"] == 24
    assert found["tried"]["steps"] == 4
    assert all(loss > 0 for loss in found["tried"]["losses"])


def test_labels_that_are_not_in_the_label_map_are_an_error_or_counted(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (corpus / "map.json").write_text(json.dumps({"owl": 2, "low": 1, "high": 0}))
    path = recipe(corpus, label_map="map.json")
    assert main(command(path, corpus / "runs")) == 1
    message = capsys.readouterr().err
    assert "'middle' on 8" in message
    assert "unknown_labels: skip" in message
    path = recipe(corpus, label_map="map.json", unknown_labels="skip")
    assert main(command(path, corpus / "runs")[:-1]) == 0
    assert "clips 16, validation_clips 6, labels 3" in capsys.readouterr().err
    assert load_model(corpus / "runs" / "tones", device="cpu").labels == ["high", "low", "owl"]
    data = json.loads((corpus / "runs" / "tones" / "log.jsonl").read_text().splitlines()[0])
    assert data["skipped_labels"] == {"middle": 8}
    assert data["clips_left_out"] == 8


def test_the_export_is_the_best_the_last_or_the_mean_of_what_is_kept(corpus: Path) -> None:
    run = RunFolder(corpus / "run")
    values = {"step-0000002": 1.0, "step-0000004": 5.0}
    for name, value in values.items():
        (run.checkpoints / name).mkdir(parents=True)
        tensors = {"model.w": torch.tensor([value]), "further.w": torch.zeros(1)}
        save_file(tensors, run.checkpoints / name / "model.safetensors")
    none_validated = chosen_weights(run, "best")
    assert (none_validated.weights, none_validated.steps) == ({"w": torch.tensor([5.0])}, (4,))
    run.best.mkdir()
    save_file({"model.w": torch.tensor([2.0])}, run.best / "model.safetensors")
    found: dict[Which, tuple[float, tuple[int, ...]]] = {
        "best": (2.0, (3,)),
        "last": (5.0, (4,)),
        "average": (3.0, (2, 4)),
    }
    for which, (value, steps) in found.items():
        chosen = chosen_weights(run, which, best_step=3)
        assert (chosen.weights, chosen.steps) == ({"w": torch.tensor([value])}, steps)


def test_an_average_of_the_weights_is_what_is_validated_exported_and_resumed(corpus: Path) -> None:
    path = recipe(
        corpus, steps=5, ema_decay=0.25, checkpoint_every=1, keep_checkpoints=9, validate_every=5,
        export_precision="float32", export="last",
    )  # fmt: skip
    assert main(command(path, corpus / "runs")) == 0
    run = corpus / "runs" / "tones"
    kept = [load_file(run / f"checkpoints/step-000000{n}/model.safetensors") for n in range(1, 6)]
    average = {
        name.removeprefix("averaged."): value.double()
        for name, value in kept[0].items()
        if name.startswith("averaged.")
    }
    for step, tensors in enumerate(kept[1:], 2):
        decay = min(0.25, (1 + step) / (10 + step))
        for name, value in average.items():
            average[name] = decay * value + (1 - decay) * tensors[f"model.{name}"]
    exported = load_file(run / "export" / "model.safetensors")
    assert exported.keys() == average.keys()
    for name, value in exported.items():
        torch.testing.assert_close(value.double(), average[name], rtol=1e-6, atol=1e-7)
    assert not torch.equal(exported["head.linear.weight"], kept[-1]["model.head.linear.weight"])
    # the average is the model of a checkpoint too, and what validation hears
    for folder in (run / "checkpoints" / "step-0000005", run / "best"):
        state = load_model(folder, device="cpu").state_dict()
        assert torch.equal(state["head.linear.weight"], exported["head.linear.weight"])
    for step in (4, 5):
        shutil.rmtree(run / "checkpoints" / f"step-000000{step}")
    whole = (run / "export" / "model.safetensors").read_bytes()
    shutil.rmtree(run / "export")
    assert main(command(path, corpus / "runs")) == 0
    assert (run / "export" / "model.safetensors").read_bytes() == whole


def test_validation_scores_the_average(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[bool] = []
    score = Posttraining._score

    def watched(self: Posttraining, *given: Any) -> Any:
        scored.append(self.objective.model is self.objective.averaged)
        return score(self, *given)

    monkeypatch.setattr(Posttraining, "_score", watched)
    path = recipe(corpus, steps=1, warmup_steps=0, head_steps=0, ema_decay=0.9)
    assert main(command(path, corpus / "runs")) == 0
    assert scored
    assert all(scored)


def test_a_card_states_the_score_of_the_weights_that_it_lies_with(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for step, score in ((2, 0.9), (4, 0.5), (6, 0.7)):
        run.log({"step": step, "val_map": score})
    assert scores_of(run, [2], "map") == "validation mAP 0.9000 at step 2"
    assert scores_of(run, [4], "map") == "validation mAP 0.5000 at step 4"
    assert scores_of(run, [5], "map") == "not validated at step 5"
    mean = scores_of(run, [4, 6], "map")
    assert mean.startswith("not validated: mean of steps 4, 6;")
    assert "0.5000 at step 4, 0.7000 at step 6" in mean
    assert scores_of(RunFolder(tmp_path / "unvalidated"), [2], "map") == ""


def test_an_export_is_written_in_the_precision_asked_for(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = EATConfig(dim=64, n_layers=1, n_heads=1, padded_frames=None, stored_positions=False)
    model = EAT(config)
    card = Card(name="tones", config=config)
    precisions: dict[FilePrecision, torch.dtype] = {
        "float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32
    }  # fmt: skip
    for precision, dtype in precisions.items():
        folder = tmp_path / precision
        written = export_model(card, None, model.state_dict(), folder, precision)
        assert written.precision == Card.read(folder / "card.yaml").precision == precision
        assert {value.dtype for value in load_file(folder / "model.safetensors").values()} == {
            dtype
        }
    exact = load_model(tmp_path / "float32", device="cpu").state_dict()
    assert all(torch.equal(value, exact[name]) for name, value in model.state_dict().items())
    large = {**model.state_dict(), "cls_token": torch.full((1, 1, 64), 1e5)}
    with pytest.raises(TrainingError, match=r"not finite in float16.*export_precision: float32"):
        export_model(card, None, large, tmp_path / "large", "float16")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_what_a_run_leaves_can_be_read_by_the_group(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short: dict[str, Any] = {"steps": 1, "warmup_steps": 0, "head_steps": 0}
    before = os.umask(0o022)
    try:
        assert main(command(recipe(corpus, **short), corpus / "runs")) == 0
    finally:
        os.umask(before)
    capsys.readouterr()
    kept = [path for path in (corpus / "runs").rglob("*") if path.suffix in KEPT]
    assert len({path.parent for path in kept}) >= 3  # checkpoint, best, export
    for number, path in enumerate(kept):
        if path.name == "model.safetensors":  # a copy of it alone is the model too
            copy = corpus / f"copy {number}.safetensors"
            shutil.copyfile(path, copy)
            assert load_model(copy, device="cpu").labels == sorted(TONES)
    assert {oct(path.stat().st_mode & 0o777) for path in kept} == {"0o644"}


def test_training_starts_from_weights_that_saw_the_same_input(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recipe(corpus, init_from="dawnchorus_eat_tiny", normalization=[-4.268, 4.569])
    assert main(command(path, corpus / "runs")) == 2
    said = capsys.readouterr().err
    assert "normalization: [-5.553, 4.606]" in said


def test_a_folder_of_sounds_is_fine_tuned_from_a_model(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = corpus / "my tones"
    for label in TONES:
        (mine / label).mkdir(parents=True)
        for number in range(5):
            shutil.copy(corpus / f"train_{label}_{number}.wav", mine / label / f"{number}.wav")
    line = ["posttrain", "--folder", str(mine), "--steps", "4", "--runs", str(corpus / "runs")]
    line += ["--device", "cpu"]
    assert main([*line, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert Path(report["run"]).name == "my_tones"
    assert report["n_labels"] == 3
    log = (corpus / "runs" / "my_tones" / "log.jsonl").read_text()
    assert json.loads(log.splitlines()[0])["validation_clips"] == 3
    model = load_model(report["export"], device="cpu")
    assert model.labels == sorted(TONES)
    assert model.window_s == load_model("dawnchorus_eat_tiny", device="cpu").window_s


def test_another_config_under_the_same_name_is_refused_by_key(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short: dict[str, Any] = {"steps": 1, "warmup_steps": 0, "head_steps": 0}
    assert main(command(recipe(corpus, **short), corpus / "runs")) == 0
    assert main(command(recipe(corpus, **short, seed=9), corpus / "runs")) == 2
    assert "seed (0 then, 9 now)" in capsys.readouterr().err


def test_an_unknown_key_is_refused_by_name(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["posttrain", str(recipe(corpus, learning_speed=1)), "-q"]) == 2
    assert "learning_speed" in capsys.readouterr().err


def test_the_recipes_that_we_ship_are_valid() -> None:
    found = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
    assert found
    for path in found:
        values = read_recipe(path)
        config = {"posttrain": PosttrainConfig, "pretrain": PretrainConfig}[values["kind"]]
        assert config(**values).name == path.stem
