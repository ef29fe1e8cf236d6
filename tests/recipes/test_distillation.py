"""Distillation: a live teacher hears what the student hears, and the run stays repeatable."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
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
from torch import Tensor

from dawnchorus import load_model
from dawnchorus.cli.app import main
from dawnchorus.configs import PosttrainConfig
from dawnchorus.configs.distilling import DistilConfig
from dawnchorus.errors import RunInterruptedError, TaskError, TrainingError, UsageError
from dawnchorus.models import plugins
from dawnchorus.models.card import Card
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.models.encoder import EncoderOutput
from dawnchorus.recipes.export import export_model
from dawnchorus.recipes.labelled import open_data
from dawnchorus.recipes.live_teacher import LiveTeacher, cut_windows, open_teacher
from dawnchorus.recipes.posttrain import Posttraining, posttrain
from dawnchorus.training.run import RunFolder

RATE = 16_000
N_CLIPS = 16
LABELS = ["owl", "frog", "rain"]


class Spectrum:
    """A teacher of another package: loudness in 8 bands, at a rate and in windows of its own."""

    n_layers, labels = 1, None
    dim = 8

    def __init__(
        self, name: str = "spectrum", rate: int = RATE, window_s: float = 1.0, scale: float = 1.0
    ) -> None:
        self.name, self.sample_rate, self.window_s, self.scale = name, rate, window_s, scale
        self.heard: list[tuple[Tensor, list[int]]] = []

    def encode(
        self,
        waveforms: Tensor,
        lengths: Tensor | None = None,
        layers: Sequence[int | str] | None = None,
    ) -> EncoderOutput:
        assert torch.is_inference_mode_enabled()
        counts = [waveforms.shape[1]] * len(waveforms) if lengths is None else lengths.tolist()
        self.heard.append((waveforms.clone(), counts))
        # bands of 1 kHz whatever the rate, so that a clip says the same at each
        rows = []
        for clip, count in zip(waveforms, counts, strict=True):
            spectrum = torch.fft.rfft(clip[:count]).abs() / count
            hz = torch.arange(len(spectrum)) * self.sample_rate / count
            rows.append([float(spectrum[(hz >= k * 1000) & (hz < k * 1000 + 1000)].sum())
                         for k in range(8)])  # fmt: skip
        tokens = self.scale * torch.tensor(rows)[:, None]
        return EncoderOutput(
            tokens=tokens,
            layers=dict.fromkeys(layers or (), tokens),
            time_span_s=torch.tensor([[0.0, self.window_s]]),
            band_span=torch.tensor([[0, 8]]),
            has_signal=torch.ones(len(rows), 1, dtype=torch.bool),
            n_cls=0,
        )


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("dawnchorus.training.loop.draw_curves", lambda *_: None)  # takes a second
    before = dict(plugins._registered)
    yield
    plugins._registered.clear()
    plugins._registered.update(before)


def teach(encoder: Any) -> Any:
    """Register an encoder under its name."""
    plugins.register(encoder.name, lambda _device: encoder)
    return encoder


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Tones of other pitches, without a label and without a split."""
    rows = []
    for number in range(N_CLIPS):
        rng = np.random.default_rng(number)
        hz = 300.0 + 460 * number
        t = np.arange(RATE) / RATE
        samples = 0.3 * np.sin(2 * np.pi * hz * t) + 0.01 * rng.standard_normal(RATE)
        soundfile.write(tmp_path / f"{number}.wav", samples.astype(np.float32), RATE)
        rows.append({"id": f"c{number}", "path": f"{number}.wav", "start_s": 0.0, "stop_s": 1.0})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "manifest.parquet")
    return tmp_path


@pytest.fixture
def random_model(tmp_path: Path) -> str:
    """A small model with a classifier, in a folder."""
    torch.manual_seed(3)
    config = EATConfig(
        dim=64, n_layers=2, n_heads=1, n_classes=3, window_s=1.0, padded_frames=None,
        stored_positions=False,
    )  # fmt: skip
    model = EAT(config, labels=LABELS)
    export_model(
        Card(name="small", config=config), LABELS, model.state_dict(), tmp_path / "small", "float32"
    )
    return str(tmp_path / "small")


def values(folder: Path, teacher: Any, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "posttrain",
        "name": "student",
        "steps": 4,
        "learning_rate": 0.0005,
        "window_s": 1.0,
        "device": "cpu",
        "buckets": [{"crop_s": 1.0, "batch_size": 4, "patch_keep": 0.7}],
        "data": {"root": str(folder), "label_kinds": []},
        "teacher": teacher,
        "drop_path": 0.1,
        "noise": {"probability": 0.0},
        "checkpoint_every": 2,
        "validate_every": 4,
        "log_every": 1,
        **changes,
    }


def config_of(folder: Path, teacher: Any, **changes: Any) -> PosttrainConfig:
    return PosttrainConfig(**values(folder, teacher, **changes))


def with_validation(folder: Path, split: Sequence[str]) -> None:
    table = pq.read_table(folder / "manifest.parquet")
    table = table.append_column("split", pa.array(split))
    pq.write_table(table, folder / "manifest.parquet")


def losses_of(run: Path) -> list[tuple[Any, ...]]:
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    kept = [record for record in records if "loss" in record]
    return [tuple(v for k, v in sorted(r.items()) if k in {"step", "loss", "grad_norm"} or
            k.endswith(("_embedding", "_cosine", "_logits"))) for r in kept]  # fmt: skip


def test_a_student_copies_a_fixed_teacher_to_a_cosine_of_0_98(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teach(Spectrum())
    rows = [{"id": f"v{n}", "path": f"{n}.wav", "start_s": 0.0, "stop_s": 1.0, "split": "val"}
            for n in range(N_CLIPS)]  # fmt: skip
    table = pq.read_table(corpus / "manifest.parquet").to_pylist()
    both = [{**row, "split": "train"} for row in table] + rows
    pq.write_table(pa.Table.from_pylist(both), corpus / "manifest.parquet")
    path = corpus / "recipe.yaml"
    changes: dict[str, Any] = {
        "steps": 30, "warmup_steps": 3, "learning_rate": 0.001, "mixing": "none", "drop_path": 0.0,
        "buckets": [{"crop_s": 0.3, "batch_size": 16}], "init_from": "dawnchorus_eat_tiny",
        "validate_every": 30, "checkpoint_every": 30, "log_every": 10,
    }  # fmt: skip
    path.write_text(yaml.safe_dump(values(corpus, {"model": "spectrum"}, **changes)))
    assert main(["posttrain", str(path), "--runs", str(corpus / "runs"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["best_score"] > 0.98
    assert report["n_labels"] == 0
    card = Card.read(Path(report["export"]) / "card.yaml")
    assert "taught by spectrum" in card.training
    assert card.scores.startswith("validation cosine to the teacher 0.9")
    model = load_model(report["export"], device="cpu")
    assert model.labels is None
    assert model.embed(torch.zeros(1, RATE)).shape == (1, 192)


def test_a_teacher_hears_the_waveform_that_the_student_hears(corpus: Path) -> None:
    teacher = teach(Spectrum())
    config = config_of(corpus, {"model": "spectrum"}, gain_db=6.0)
    data = open_data(config)
    recipe = Posttraining(config, data)
    batch = data.source.draw(1)
    plain = data.source.manifest[0]
    recipe.losses(recipe.objective, batch)
    waveforms, counts = teacher.heard[-1]
    assert torch.equal(waveforms, batch.waveforms)
    assert counts == batch.lengths.tolist()
    # mixed and louder or fainter: not what lies on disk
    clean = data.source.sounds.read(plain.path, 0, RATE)
    assert not any(np.allclose(row, clean) for row in waveforms.numpy())


@pytest.fixture
def two(random_model: str) -> list[dict[str, Any]]:
    teach(Spectrum(rate=24_000))
    return [{"model": random_model, "weight": 2.0}, {"model": "spectrum", "weight": 0.5}]


def test_two_teachers_each_have_their_losses_and_weights(
    corpus: Path, two: list[dict[str, Any]]
) -> None:
    config = config_of(corpus, two)
    data = open_data(config)
    recipe = Posttraining(config, data)
    parts = recipe.losses(recipe.objective, data.source.draw(0))
    assert set(parts) == {
        "loss", "small_embedding", "small_cosine", "small_logits", "spectrum_embedding",
        "spectrum_cosine",
    }  # fmt: skip
    total = (
        2 * (parts["small_embedding"] + parts["small_logits"]) + 0.5 * parts["spectrum_embedding"]
    )
    assert parts["loss"].item() == pytest.approx(total.item(), rel=1e-6)
    assert recipe.objective.distillation is not None
    parts["loss"].backward()
    unmoved = [n for n, p in recipe.objective.named_parameters() if p.grad is None]
    assert unmoved == []
    # the teachers are no part of what is trained, saved, or sent between processes
    heads = {n.split(".")[0] for n, _ in recipe.objective.named_parameters()}
    assert heads == {"model", "distillation"}
    assert sum(p.numel() for p in recipe.objective.distillation.parameters()) == 193 * (64 + 3 + 8)
    assert data.facts["teachers"]["spectrum"]["rate"] == 24_000


def test_a_run_with_live_teachers_resumes_bit_for_bit(
    corpus: Path, two: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(corpus, two)
    posttrain(config, runs=corpus / "whole")
    hear, calls = LiveTeacher.hear, 0

    def stopping(self: LiveTeacher, *args: Any) -> Any:
        nonlocal calls
        calls += 1
        if self.name == "small" and os.environ.get("STOP") and calls > 70:
            raise RunInterruptedError("killed")
        return hear(self, *args)

    monkeypatch.setattr(LiveTeacher, "hear", stopping)
    monkeypatch.setenv("STOP", "1")
    # 64 calls give the moments of 128 clips, two more a step: within the fourth one
    with pytest.raises(RunInterruptedError, match="killed"):
        posttrain(config, runs=corpus / "cut")
    monkeypatch.delenv("STOP")
    posttrain(config, runs=corpus / "cut")
    wanted = losses_of(corpus / "whole" / "student")
    assert [row[-1] for row in wanted] == [1, 2, 3, 4]
    assert losses_of(corpus / "cut" / "student") == wanted
    for name in ("export", "checkpoints/step-0000004"):
        files = [corpus / way / "student" / name / "model.safetensors" for way in ("whole", "cut")]
        assert files[0].read_bytes() == files[1].read_bytes()
    # heads and moments of teachers are not part of the model that a checkpoint is too
    student = load_model(corpus / "whole" / "student" / "checkpoints" / "step-0000004", "cpu")
    assert isinstance(student, EAT)
    weights = load_file(corpus / "whole" / "student" / "checkpoints/step-0000004/model.safetensors")
    assert torch.equal(student.cls_token, weights["model.cls_token"])


@pytest.mark.cli
def test_two_processes_distil_as_one(corpus: Path, random_model: str) -> None:
    path = corpus / "recipe.yaml"
    path.write_text(yaml.safe_dump(values(corpus, {"model": random_model, "name": "t"})))
    command = ["posttrain", str(path), "--quiet", "--runs"]
    assert main([*command, str(corpus / "one")]) == 0
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    program = [sys.executable, "-m", "dawnchorus", *command, str(corpus / "two"), "--devices", "2"]
    subprocess.run(program, env=env, check=True, timeout=300, stdout=subprocess.DEVNULL)
    one, two = losses_of(corpus / "one" / "student"), losses_of(corpus / "two" / "student")
    assert len(one) == len(two) == 4
    for ours, theirs in zip(two, one, strict=True):
        assert ours == pytest.approx(theirs, rel=2e-4)
    saved = "student/checkpoints/step-0000004/model.safetensors"
    moments = [load_file(corpus / way / saved)["distillation.heads.t.moments.variance"]
               for way in ("one", "two")]  # fmt: skip
    assert torch.allclose(*moments, rtol=1e-4)
    n_heard = load_file(corpus / "two" / saved)["distillation.heads.t.moments.n_rows"]
    assert int(n_heard) == 128 + 4 * 4


@pytest.mark.parametrize("rate", [8_000, 24_000, 44_100])
def test_a_teacher_at_another_rate_says_the_same(rate: int) -> None:
    t = torch.arange(RATE) / RATE
    sound = torch.stack([torch.sin(6.28318 * hz * t) for hz in (440.0, 2500.0)]) * 0.3
    lengths = torch.tensor([RATE, RATE // 2])
    same, other = (teach(Spectrum(f"at{r}", r)) for r in (RATE, rate))
    heard = [open_teacher(DistilConfig(model=t.name)).hear(sound, lengths, RATE).embedding
             for t in (same, other)]  # fmt: skip
    # a clip's beginning and end are cut off from the silence around it
    bands = 4 if rate == 8_000 else 8
    assert torch.allclose(heard[0][:, :bands], heard[1][:, :bands], atol=0.02, rtol=0.02)
    assert other.heard[-1][1] == [rate, rate // 2]


def test_a_longer_crop_is_heard_in_windows_and_they_are_averaged() -> None:
    teacher = teach(Spectrum(window_s=0.4))
    live = open_teacher(DistilConfig(model="spectrum"))
    sound = torch.randn(2, RATE, generator=torch.Generator().manual_seed(0))
    said = live.hear(sound, torch.tensor([RATE, 5000]), RATE)
    windows, counts = teacher.heard[-1]
    assert windows.shape == (4, 6400)
    assert counts == [6400, 6400, 6400, 5000]
    assert torch.equal(windows[1], sound[0, 4800:11200])
    assert torch.equal(windows[2], sound[0, -6400:])
    alone = [live.hear(w[None], torch.tensor([6400]), RATE).embedding[0] for w in windows[:3]]
    assert torch.allclose(said.embedding[0], torch.stack(alone).mean(0), atol=1e-6)
    note = live.windows_note([0.2, 1.0])
    assert note is not None
    assert "crops of 1 s are heard in windows of 0.4 s" in note
    assert "crops of 0.2 s are shorter" in note
    assert live.windows_note([0.4]) is None


def test_windows_follow_from_the_clip_not_from_its_batch() -> None:
    sound = torch.arange(30.0).expand(2, 30)
    windows, n_valid, owner = cut_windows(sound, [30, 11], 10)
    assert windows[:, 0].tolist() == [0, 10, 20, 0]
    assert n_valid.tolist() == [10, 10, 10, 10]  # a sample more is a rounded rate, not a window
    assert owner == [0, 0, 0, 1]
    narrow = cut_windows(sound[:, :12], [12], 10)
    assert narrow[0][:, 0].tolist() == [0, 2]


def test_a_readout_chooses_layers_and_a_model_in_bfloat16_is_near(random_model: str) -> None:
    sound = 0.1 * torch.randn(2, RATE, generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([RATE, 9000])
    whole = open_teacher(DistilConfig(model=random_model, readout="0:cls,-1:valid"))
    said = whole.hear(sound, lengths, RATE)
    model = load_model(random_model, device="cpu")
    with torch.no_grad():
        out = model.encode(sound, lengths, [0, -1])
    want = torch.cat([out.pool("cls", 0), out.pool("valid", -1)], dim=1)
    assert torch.allclose(said.embedding, want, atol=1e-6)
    assert said.logits is not None
    assert out.logits is not None
    assert torch.allclose(said.logits, out.logits, atol=1e-6)
    half = open_teacher(DistilConfig(model=random_model, precision="bfloat16"))
    full = open_teacher(DistilConfig(model=random_model))
    near, exact = (one.hear(sound, lengths, RATE).embedding for one in (half, full))
    assert near.dtype == torch.float32
    assert not torch.equal(near, exact)
    assert float(torch.nn.functional.cosine_similarity(near, exact).min()) > 0.999


def test_a_stored_table_teaches_with_the_same_losses(corpus: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [{"id": f"c{n}", "start_s": 0.0, "stop_s": 1.0,
             "embedding": rng.standard_normal(5).tolist(),
             "audioset_logits": rng.standard_normal(2).tolist()}
            for n in range(N_CLIPS)]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), corpus / "table.parquet")
    teacher = {"table": "table.parquet", "logits_weight": 3.0}
    config = config_of(corpus, teacher, mixing="none")
    data = open_data(config)
    recipe = Posttraining(config, data)
    parts = recipe.losses(recipe.objective, data.source.draw(0))
    assert set(parts) == {"loss", "table_embedding", "table_cosine", "table_logits"}
    total = parts["table_embedding"] + 3 * parts["table_logits"]
    assert parts["loss"].item() == pytest.approx(total.item(), rel=1e-6)


def test_an_unlabelled_split_is_kept_and_scored(corpus: Path) -> None:
    teach(Spectrum())
    with_validation(corpus, ["train"] * 12 + ["val"] * 3 + ["test"])
    (corpus / "15.wav").unlink()  # a test file that is opened is an error
    config = config_of(corpus, {"model": "spectrum"})
    data = open_data(config)
    assert (data.facts["clips"], data.facts["validation_clips"], data.facts["labels"]) == (12, 3, 0)
    recipe = Posttraining(config, data)
    recipe.losses(recipe.objective, data.source.draw(0))
    recipe.objective.eval()
    with torch.no_grad():
        scores = recipe.validate()
    assert list(scores) == ["cosine", "loss"]
    assert -1 <= scores["cosine"] <= 1


class Faulty(Spectrum):
    """Says NaN of the clip that it is asked about for the n-th time, or the same of all."""

    def __init__(self, *, nan_at: int = 10**9, same: bool = False) -> None:
        super().__init__("faulty")
        self.nan_at, self.same = nan_at, same

    def encode(self, *args: Any, **options: Any) -> EncoderOutput:
        out = super().encode(*args, **options)
        if self.same:
            out.tokens.fill_(0.5)
        if len(self.heard) >= self.nan_at:
            out.tokens[-1] = float("nan")
        return out


def fails(corpus: Path, teacher: Any, **changes: Any) -> str:
    with pytest.raises((UsageError, TrainingError, TaskError)) as caught:
        posttrain(config_of(corpus, teacher, **changes), runs=corpus / "runs")
    return str(caught.value)


def test_what_cannot_teach_is_refused_in_words(corpus: Path, random_model: str) -> None:
    assert "no_such_model" in fails(corpus, {"model": "no_such_model"})
    assert "gives no logits" in fails(
        corpus, {"model": str(teach(Spectrum()).name), "logits_weight": 1.0}
    )
    assert "nothing to learn from it" in fails(corpus, {"model": "spectrum", "embedding_weight": 0})
    assert "no layer 7" in fails(corpus, {"model": random_model, "readout": "7:mean"})
    assert "2 are called 'spectrum'" in fails(corpus, [{"model": "spectrum"}] * 2)
    assert "one of them" in fails(corpus, {"model": "spectrum", "table": "t.parquet"})
    assert "teaches nothing" in fails(
        corpus, {"model": "spectrum", "embedding_weight": 0, "logits_weight": 0}
    )
    assert "nothing to learn" in fails(corpus, None)
    assert "2 tables" in fails(corpus, [{"table": "a", "name": "a"}, {"table": "b", "name": "b"}])
    assert "no such teacher table" in fails(corpus, {"table": "a"})


def test_broken_outputs_of_a_teacher_end_the_run_with_the_clips_name(corpus: Path) -> None:
    teach(Faulty(nan_at=1))
    assert "NaN or infinite for 1 of 1 clips, the first is a second of noise" in fails(
        corpus, {"model": "faulty"}
    )
    teach(Faulty(nan_at=35))  # after what gives the moments
    said = fails(corpus, {"model": "faulty"})
    assert "teacher faulty: its outputs are NaN or infinite for 1 of 4 clips" in said
    assert "the first is c" in said
    teach(Faulty(same=True))
    assert "the same embedding for each of the first 128 clips" in fails(
        corpus, {"model": "faulty"}
    )


def test_a_run_does_not_teach_itself_nor_change_its_teacher(
    corpus: Path, random_model: str
) -> None:
    own = corpus / "runs" / "student"
    shutil.copytree(random_model, own / "export")
    for place in (own, own / "export"):
        assert "a run cannot teach itself" in fails(corpus, {"model": str(place)})
    shutil.rmtree(own)
    teach(Spectrum())
    posttrain(config_of(corpus, {"model": "spectrum"}), runs=corpus / "runs")
    assert RunFolder(own).records()[0]["teachers"]["spectrum"]["rate"] == RATE
    teach(Spectrum(rate=8000))
    said = fails(corpus, {"model": "spectrum"})
    assert "not the one that this run began with: rate was 16000, now 8000" in said
