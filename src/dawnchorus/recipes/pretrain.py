"""Self-supervised pretraining: unlabelled clips in, a model folder out that `load_model` takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from safetensors.torch import save_file

from dawnchorus.audio.frontend import SAMPLE_RATE
from dawnchorus.configs import PretrainConfig, read_yaml
from dawnchorus.data.batches import Batch, BatchSource
from dawnchorus.data.cache import SoundCache
from dawnchorus.data.manifest import Clip, Manifest, read_manifest, texts
from dawnchorus.data.sounds import FileSounds, Sounds
from dawnchorus.errors import TaskError, TrainingError, UsageError
from dawnchorus.metrics import retrieval_roc_auc
from dawnchorus.models.card import CARD_FILE, WEIGHTS_FILE, Card
from dawnchorus.models.eat import EAT, EATConfig
from dawnchorus.models.fingerprint import fingerprint
from dawnchorus.models.load import load_model
from dawnchorus.nn import ema
from dawnchorus.nn.decoder import Decoder
from dawnchorus.nn.masking import MaskShape
from dawnchorus.objectives.eat import EATObjective, EATOptions, effective_rank
from dawnchorus.places import as_place
from dawnchorus.training import devices
from dawnchorus.training.loop import Task, train
from dawnchorus.training.run import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

N_VALIDATION_CLIPS: Final = 200  # enough for an effective rank and a retrieval score
VALIDATION_BATCH: Final = 25
LOSS_EVERY: Final = 4  # of these batches one is masked: the clones cost most of the time
WATCH_EVERY: Final = 20  # steps; reading a number from a GPU makes it wait


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainReport:
    """What a finished run left."""

    run: Path
    export: Path
    steps: int
    skipped_steps: int
    best_score: float | None
    n_parameters: int  # of the exported model


def pretrain(
    config: PretrainConfig | str | Path,
    *,
    runs: str | Path = "runs",
    say: Callable[[Mapping[str, Any]], None] = lambda _record: None,
) -> PretrainReport:
    """Pretrain an encoder without labels, or go on with a run that was stopped.

    Args:
        config: a config, or its YAML file.
        runs: folder that holds run folders; this run is ``runs/NAME``.
        say: called with each log record.

    Returns:
        Where the run and its export lie, and how it ended.

    Raises:
        UsageError: A config key is wrong, or the run folder holds another run.
        TaskError: The data do not fit the config.
        TrainingError: Training collapsed or diverged, or a checkpoint is damaged.
        RunInterruptedError: Ctrl-C; the same call resumes.
    """
    if not isinstance(config, PretrainConfig):
        config = PretrainConfig(**read_yaml(Path(config)))
    run = RunFolder(Path(runs) / config.name)
    run.open(config)
    source, validation = prepare_data(config, say)
    objective = build_objective(config)
    state = train(make_task(objective, source, validation, config), config, run, say=say)
    exported = objective.model if config.export == "student" else objective.teacher
    export_model(exported, config, run.export)
    return PretrainReport(
        run=run.path,
        export=run.export,
        steps=state["step"],
        skipped_steps=state["skipped"],
        best_score=state["best"],
        n_parameters=sum(p.numel() for p in exported.parameters()),
    )


def prepare_data(
    config: PretrainConfig, say: Callable[[Mapping[str, Any]], None]
) -> tuple[BatchSource, list[Clip]]:
    """Training batches, and the clips to look at while it trains; test clips are never touched."""
    root = as_place(config.data.root)
    clips = _chosen(read_manifest(root / config.data.manifest), config)
    training, validation = clips.where(split="train"), clips.where(split="val")
    if not len(training):
        raise TaskError(
            f"{root / config.data.manifest}: no clip to train on: need split train, level "
            f"{' or '.join(config.levels)}, dataset not among {list(config.leave_out)}"
        )
    chosen = np.random.default_rng(config.seed).permutation(len(validation))[:N_VALIDATION_CLIPS]
    few = sorted(validation.take(chosen), key=lambda clip: clip.duration_s)
    sounds: Sounds = FileSounds(root, SAMPLE_RATE)
    if config.data.sounds == "memory":
        sounds = SoundCache(root, SAMPLE_RATE)
        sounds.load(clip.path for clip in [*training, *few])
    source = BatchSource(
        training,
        sounds,
        [],
        data=config.data,
        buckets=config.buckets,
        augment=config.augment,
        seed=config.seed,
    )
    seconds = training.seconds("stop_s") - training.seconds("start_s")
    say(
        {
            "event": "data",
            "clips": len(training),
            "hours": round(float(seconds.sum()) / 3600, 2),
            "validation_clips": len(few),
        }
    )
    return source, few


def _chosen(clips: Manifest, config: PretrainConfig) -> Manifest:
    levels = np.isin(texts(clips.table["level"]).to_pylist(), config.levels)
    left_out = np.isin(texts(clips.table["dataset"]).to_pylist(), config.leave_out)
    return clips.filter(levels & ~left_out)


def build_objective(config: PretrainConfig) -> EATObjective:
    """Student, teacher and decoder with fresh weights, or the encoder's from a given model."""
    torch.manual_seed(config.seed)
    model = EAT(model_config(config), name=config.name)
    if config.init_from is not None:
        _start_from(model, config.init_from)
    width = config.decoder.width or model.dim
    if width % config.decoder.n_groups or model.dim % config.decoder.n_groups:
        raise UsageError(
            f"decoder: n_groups {config.decoder.n_groups} must divide the encoder's dimension "
            f"{model.dim} and the width {width}"
        )
    decoder = Decoder(
        model.dim,
        n_layers=config.decoder.n_layers,
        kernel=config.decoder.kernel,
        width=width,
        n_groups=config.decoder.n_groups,
    )
    options = EATOptions(
        n_clones=config.n_clones,
        mask=MaskShape(**config.mask.model_dump()),
        noise_std=config.mask_noise_std,
        frame_weight=config.frame_weight,
        utterance_weight=config.utterance_weight,
        utterance_reduction=config.utterance_reduction,
        checkpoint=config.gradient_checkpointing,
    )
    objective = EATObjective(model, decoder, options, seed=config.seed)
    if config.compile:
        objective.compile()
    return objective


def model_config(config: PretrainConfig) -> EATConfig:
    """Architecture of the model that a run trains; it has no head."""
    return EATConfig.of_size(
        config.size,
        window_s=config.window_s,
        normalization=config.normalization,
        padded_frames=1024 if config.pad_to_window else None,
        stored_positions=config.pad_to_window,
        pooling="mean" if config.pad_to_window else "valid",
        drop_path=config.drop_path,
    )


def _start_from(model: EAT, name: str) -> None:
    start = load_model(name, device="cpu")
    if not isinstance(start, EAT):
        raise UsageError(f"init_from: {name} is not an EAT; only an EAT can be trained further")
    shape = (start.config.dim, start.config.n_layers, start.config.n_heads)
    if shape != (model.config.dim, model.config.n_layers, model.config.n_heads):
        raise UsageError(
            f"init_from: {name} has dim, layers, heads {shape}; the run's size differs"
        )
    kept = {key: value for key, value in start.state_dict().items() if key in model.state_dict()}
    model.load_state_dict({**model.state_dict(), **kept})


def make_task(
    objective: EATObjective,
    source: BatchSource,
    validation: Sequence[Clip],
    config: PretrainConfig,
) -> Task[Batch]:
    """What the loop needs: batches, losses with a watch on collapse, scores, the teacher's step."""

    def losses(module: Any, batch: Batch) -> Mapping[str, Tensor]:
        device = objective.model.cls_token.device
        found: Mapping[str, Tensor] = module(
            batch.waveforms.to(device, non_blocking=True),
            batch.lengths.to(device),
            step=batch.step,
            first_row=batch.first_row,
        )
        if batch.step >= config.collapse.after_steps and batch.step % WATCH_EVERY == 0:
            check_spread(found, batch.step, config)
        return found

    def after_step(n_done: int) -> None:
        rate = ema.decay_at(
            n_done, start=config.ema.start, end=config.ema.end, n_steps=config.ema.n_steps
        )
        objective.follow(rate)

    return Task(
        module=objective,
        draw=source.draw,
        losses=losses,
        describe=lambda batch: batch.ids,
        size=lambda batch: len(batch.ids),
        validate=lambda: validate(objective, source, validation, config),
        after_step=after_step,
        beside={CARD_FILE: _card(objective.model, config).text().encode()},
    )


def check_spread(found: Mapping[str, Tensor], step: int, config: PretrainConfig) -> None:
    """End training when all patches are alike, to the teacher or to the decoder.

    Raises:
        TrainingError: A deviation is under its floor, in the mean of all processes.
    """
    floors = {
        "target_deviation": config.collapse.min_target_deviation,
        "prediction_deviation": config.collapse.min_prediction_deviation,
    }
    means = devices.mean_over_processes(torch.stack([found[name] for name in floors])).tolist()
    for (name, floor), value in zip(floors.items(), means, strict=True):
        if value < floor:
            raise TrainingError(
                f"{config.name}: training has collapsed: at step {step} the {name} over patches is "
                f"{value:.3g}, need at least {floor:g} (collapse.min_{name}); lower learning_rate, "
                "lengthen warmup_steps or raise ema.start"
            )


def validate(
    objective: EATObjective,
    source: BatchSource,
    clips: Sequence[Clip],
    config: PretrainConfig,
) -> dict[str, float]:
    """Scores on validation clips; the first one, which chooses the best checkpoint, is retrieval.

    Labels are only looked at for this score, never trained on. Without labels the loss is the
    score, though it is no good measure of progress: the targets move.
    """
    embeddings, found = [], []
    for number, first in enumerate(range(0, len(clips), VALIDATION_BATCH)):
        batch = source.fixed(clips[first : first + VALIDATION_BATCH], config.buckets[-1].crop_s)
        output = objective.model.encode(batch.waveforms, batch.lengths)
        embeddings.append(output.pool("valid").float().cpu())
        if number % LOSS_EVERY == 0:
            found.append(objective(batch.waveforms, batch.lengths, step=0, first_row=first))
    scores = {
        name: float(torch.stack([losses[name] for losses in found]).mean())
        for name in ("loss", "frame", "utterance")
    }
    scores |= {
        "rank": effective_rank(torch.cat(embeddings)),
        "teacher_distance": ema.distance(objective.teacher, objective.model),
    }
    names = sorted({label for clip in clips for label in clip.labels})
    named = [index for index, clip in enumerate(clips) if clip.labels]
    if len(names) < 2 or len(named) < 3:
        return {"score": -scores["loss"], **scores}
    hot = np.array([[name in clips[index].labels for name in names] for index in named])
    return {"retrieval": retrieval_roc_auc(torch.cat(embeddings).numpy()[named], hot), **scores}


def export_model(model: EAT, config: PretrainConfig, folder: Path) -> None:
    """Write weights as float16 and the card; `load_model(folder)` takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / WEIGHTS_FILE)
    model.load_state_dict({name: value.float() for name, value in weights.items()})
    model.cpu().eval()
    card = _card(model, config).model_copy(update={"fingerprint": fingerprint(model)})
    card.write(folder / CARD_FILE)


def _card(model: EAT, config: PretrainConfig) -> Card:
    return Card(
        name=config.name,
        config=model.config,
        has_classifier=False,
        training=f"self-supervised (EAT), {config.steps} steps",
    )
