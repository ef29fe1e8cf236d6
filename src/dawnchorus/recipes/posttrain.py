"""Supervised post-training: labelled clips in, a model folder out that `load_model` takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save_file

from dawnchorus import metrics
from dawnchorus.audio import frontend
from dawnchorus.audio.augment import draw_stripes
from dawnchorus.configs import PosttrainConfig, read_yaml
from dawnchorus.data.batches import Batch, BatchSource
from dawnchorus.data.cache import SoundCache
from dawnchorus.data.manifest import Clip, read_manifest
from dawnchorus.data.teacher import Teacher
from dawnchorus.data.vocabulary import gather_vocabulary
from dawnchorus.errors import UsageError
from dawnchorus.labels import write_label_map
from dawnchorus.models.card import Card
from dawnchorus.models.eat import EAT, EATConfig
from dawnchorus.models.fingerprint import fingerprint
from dawnchorus.models.load import load_model
from dawnchorus.nn.patches import PATCH
from dawnchorus.objectives.classify import (
    ClassifyObjective,
    ClassifyWeights,
    draw_patches,
    expect_few,
)
from dawnchorus.training.loop import Task, train
from dawnchorus.training.run import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

N_VALIDATION_CLIPS = 600  # enough for a mAP to two digits, few enough to take seconds
VALIDATION_BATCH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PosttrainReport:
    """What a finished run left."""

    run: Path
    export: Path
    steps: int
    skipped_steps: int
    best_score: float | None
    n_parameters: int
    n_labels: int


def posttrain(
    config: PosttrainConfig | str | Path,
    *,
    runs: str | Path = "runs",
    say: Callable[[Mapping[str, Any]], None] = lambda _record: None,
) -> PosttrainReport:
    """Train a classifier and its encoder, or go on with a run that was stopped.

    Args:
        config: a config, or its YAML file.
        runs: folder that holds run folders; this run is ``runs/NAME``.
        say: called with each log record.

    Returns:
        Where the run and its export lie, and how it ended.

    Raises:
        UsageError: A config key is wrong, or the run folder holds another run.
        TaskError: The data do not fit the config.
        TrainingError: Training diverged or a checkpoint is damaged.
        RunInterruptedError: Ctrl-C; the same call resumes.
    """
    if not isinstance(config, PosttrainConfig):
        config = PosttrainConfig(**read_yaml(Path(config)))
    run = RunFolder(Path(runs) / config.name)
    run.open(config)
    source, validation = prepare_data(config, say)
    objective = build_objective(config, source)
    state = train(_task(objective, source, validation, config), config, run, say=say)
    export_model(objective.model, config, run.export)
    return PosttrainReport(
        run=run.path,
        export=run.export,
        steps=state["step"],
        skipped_steps=state["skipped"],
        best_score=state["best"],
        n_parameters=sum(p.numel() for p in objective.model.parameters()),
        n_labels=len(source.vocabularies[0]),
    )


def prepare_data(
    config: PosttrainConfig, say: Callable[[Mapping[str, Any]], None]
) -> tuple[BatchSource, list[Clip]]:
    """Training batches, and the clips to validate on; test clips are never touched."""
    root = Path(config.data.root)
    clips = read_manifest(root / config.data.manifest)
    training = [clip for clip in clips if clip.split == "train"]
    validation = [clip for clip in clips if clip.split == "val" and clip.labels]
    vocabularies = [gather_vocabulary(training, config.data.label_kinds)]
    vocabularies += [gather_vocabulary(training, [kind]) for kind in config.data.auxiliary_kinds]
    chosen = np.random.default_rng(config.seed).permutation(len(validation))[:N_VALIDATION_CLIPS]
    validation = sorted((validation[i] for i in chosen), key=lambda clip: clip.duration_s)
    sounds = SoundCache(root, 16_000)
    sounds.load([clip.path for clip in [*training, *validation]])
    teacher = Teacher(root / config.data.teacher.table) if config.data.teacher else None
    source = BatchSource(training, sounds, vocabularies, config, teacher)
    say(
        {
            "event": "data",
            "clips": len(training),
            "validation_clips": len(validation),
            "labels": len(vocabularies[0]),
            "label_hash": vocabularies[0].hash,
            "further_labels": sum(map(len, vocabularies[1:])),
        }
    )
    return source, validation


def build_objective(config: PosttrainConfig, source: BatchSource) -> ClassifyObjective:
    """The model, fresh or from given weights, with the heads that training needs."""
    torch.manual_seed(config.seed)
    labels = source.vocabularies[0].labels
    model = EAT(model_config(config, len(labels)), name=config.name, labels=labels)
    if model.head is not None:
        expect_few(model.head.linear)
    if config.init_from is not None:
        _start_from(model, config.init_from)
    soft = config.data.teacher
    return ClassifyObjective(
        model,
        weights=ClassifyWeights(
            labels=config.label_weight,
            label_smoothing=config.label_smoothing,
            teacher_embedding=soft.embedding_weight if soft else 0.0,
            teacher_logits=soft.logits_weight if soft else 0.0,
            band_statistics=config.band_statistics_weight,
        ),
        n_further=sum(map(len, source.vocabularies[1:])),
        teacher_dim=source.teacher.dim if source.teacher else 0,
        teacher_classes=source.teacher.n_logits if source.teacher else 0,
    )


def model_config(config: PosttrainConfig, n_labels: int) -> EATConfig:
    """Architecture of the model that a run trains."""
    return EATConfig.of_size(
        config.size,
        n_classes=n_labels,
        window_s=config.window_s,
        normalization=config.normalization,
        padded_frames=1024 if config.pad_to_window else None,
        stored_positions=config.pad_to_window,
        head_pooling=config.pooling,
        pooling=config.pooling,
        drop_path=config.drop_path,
    )


def _start_from(model: EAT, name: str) -> None:
    """Take the encoder's weights, and the head's where the labels are the same."""
    start = load_model(name, device="cpu")
    if not isinstance(start, EAT):
        raise UsageError(f"init_from: {name} is not an EAT; only an EAT can be trained further")
    shape = (start.config.dim, start.config.n_layers, start.config.n_heads)
    if shape != (model.config.dim, model.config.n_layers, model.config.n_heads):
        raise UsageError(
            f"init_from: {name} has dim, layers, heads {shape}; the run's size differs"
        )
    kept = {
        key: value
        for key, value in start.state_dict().items()
        if not key.startswith("head.") or start.labels == model.labels
    }
    model.load_state_dict({**model.state_dict(), **kept})


def _task(
    objective: ClassifyObjective,
    source: BatchSource,
    validation: Sequence[Clip],
    config: PosttrainConfig,
) -> Task[Batch]:
    return Task(
        module=objective,
        draw=lambda step, _part, _n_parts: source.draw(step),
        losses=lambda module, batch: _losses(module, batch, objective.model, config),
        describe=lambda batch: batch.ids,
        size=lambda batch: len(batch.ids),
        validate=lambda: _validate(objective, source, validation, config),
    )


def _losses(module: Any, batch: Batch, model: EAT, config: PosttrainConfig) -> dict[str, Tensor]:
    """The losses of a batch, with what is random about them drawn here, row by row."""
    rngs = batch.rng.spawn(len(batch.ids))
    n_frames = [frontend.n_frames(int(n)) for n in batch.lengths]
    total = model.config.padded_frames or (
        -(-frontend.n_frames(batch.waveforms.shape[1]) // PATCH) * PATCH
    )
    patches = blanks = None
    if batch.patch_keep < 1:
        patches = draw_patches(n_frames, total // PATCH, batch.patch_keep, rngs).to(
            model.cls_token.device
        )
    augment = config.spec_augment
    if augment.n_time_masks or augment.n_band_masks:
        frames, bands = draw_stripes(n_frames, (total, frontend.N_BANDS), augment, rngs)
        blanks = frames.to(model.cls_token.device), bands.to(model.cls_token.device)
    found = _forward(module, batch, model.cls_token.device, patches=patches, blanks=blanks)
    return {name: value for name, value in found.items() if name != "logits"}


def _forward(module: Any, batch: Batch, device: torch.device, **drawn: Any) -> dict[str, Tensor]:
    teacher = None
    if batch.teacher_embedding is not None and batch.teacher_logits is not None:
        teacher = {
            "embedding": batch.teacher_embedding.to(device),
            "logits": batch.teacher_logits.to(device),
            "there": batch.has_teacher.to(device),
        }
    found: dict[str, Tensor] = module(
        batch.waveforms.to(device),
        batch.lengths.to(device),
        batch.targets.to(device),
        teacher=teacher,
        **drawn,
    )
    return found


def _validate(
    objective: ClassifyObjective,
    source: BatchSource,
    clips: Sequence[Clip],
    config: PosttrainConfig,
) -> dict[str, float]:
    scores, targets, embedding_errors = [], [], []
    for first in range(0, len(clips), VALIDATION_BATCH):
        batch = source.fixed(clips[first : first + VALIDATION_BATCH], config.buckets[-1].crop_s)
        found = _forward(objective, batch, objective.model.cls_token.device)
        if "teacher_embedding" in found:
            embedding_errors.append(float(found["teacher_embedding"]))
        scores.append(found["logits"].cpu().numpy())
        targets.append(batch.targets.numpy())
    truth, guess = np.concatenate(targets), np.concatenate(scores)
    found_scores = {"map": metrics.mean_average_precision(truth, guess)}
    if embedding_errors:
        found_scores["teacher_embedding"] = float(np.mean(embedding_errors))
    return found_scores


def export_model(model: EAT, config: PosttrainConfig, folder: Path) -> None:
    """Write weights as float16, label map and card; `load_model(folder)` takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    write_label_map(folder / "label_map.json", model.labels or [])
    model.load_state_dict({name: value.float() for name, value in weights.items()})
    model.eval()
    card = Card(name=config.name, config=model.config, fingerprint=fingerprint(model))
    card.write(folder / "card.yaml")
