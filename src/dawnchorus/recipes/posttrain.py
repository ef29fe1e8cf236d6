"""Supervised post-training: labelled clips in, a model folder out that `load_model` takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from dawnchorus.configs import PosttrainConfig
from dawnchorus.configs.readout import OUTPUT, Readout
from dawnchorus.feed.draws import generator
from dawnchorus.models.card import Card
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import EATConfig
from dawnchorus.models.header import header_metadata
from dawnchorus.models.write import model_files
from dawnchorus.objectives.classify import (
    ClassifyObjective,
    ClassifyWeights,
    draw_choices,
    expect_few,
)
from dawnchorus.recipes.dry_run import plan_and_try
from dawnchorus.recipes.export import chosen_weights, export_model, scores_of
from dawnchorus.recipes.labelled import LabelledData, open_data
from dawnchorus.recipes.start import as_config, open_loader, take_weights
from dawnchorus.recipes.validation import as_csv, in_shares, macro, per_class
from dawnchorus.store.files import write_whole
from dawnchorus.training import devices
from dawnchorus.training.loop import Task, train
from dawnchorus.training.run import RunFolder, TrainReport
from dawnchorus.training.schedule import Stage, config_rate, warmup_cosine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.feed.batches import Batch

VALIDATION_BATCH: Final = 50
CHOICES: Final = 0  # what row generators are for that batches leave to us


@dataclass(frozen=True, slots=True, kw_only=True)
class PosttrainReport(TrainReport):
    """What a finished run left."""

    n_labels: int


def posttrain(
    config: PosttrainConfig | str | Path,
    *,
    runs: str | Path = "runs",
    extend: bool = False,
    say: Callable[[Mapping[str, Any]], None] = lambda _record: None,
) -> PosttrainReport:
    """Train a classifier and its encoder, or go on with a run that was stopped.

    Args:
        config: a config, or its YAML file.
        runs: folder that holds run folders; this run is ``runs/NAME``.
        extend: go on with a run for more steps than it was begun with; the rest of its schedule is
            drawn anew.
        say: called with each log record, in the first process.

    Returns:
        Where the run and its export lie, and how it ended.

    Raises:
        UsageError: A config key is wrong, or the run folder holds another run.
        TaskError: The data do not fit the config.
        TrainingError: Training diverged or a checkpoint is damaged.
        RunInterruptedError: Ctrl-C or SIGTERM; the same call resumes.
    """
    config = as_config(config, PosttrainConfig)
    run = RunFolder(Path(runs) / config.name)
    run.open(config, extend=extend)
    fabric = devices.launch(config)
    data = open_data(config)
    _tell_data(run, data, say)
    objective = build_objective(config, data)
    card = make_card(config, objective.model)
    with open_loader(data.source, config) as loader:
        task = Posttraining(objective, data, config, run).task(card, loader.draw)
        state = train(task, config, run, fabric=fabric, say=say)
    if devices.is_first():
        chosen = chosen_weights(run, config.export, state["best_step"])
        scored = card
        if state["best"] is not None:  # there were clips to validate on
            scored = card.model_copy(update={"scores": scores_of(run, chosen.steps, "map")})
        labels = objective.model.labels
        export_model(scored, labels, chosen.weights, run.export, config.export_precision)
    devices.wait_for_all()
    return PosttrainReport(
        run=run.path,
        export=run.export,
        steps=state["step"],
        skipped_steps=state["skipped"],
        best_score=state["best"],
        n_parameters=sum(p.numel() for p in objective.model.parameters()),
        n_labels=len(data.vocabularies[0]),
    )


def _tell_data(
    run: RunFolder, data: LabelledData, say: Callable[[Mapping[str, Any]], None]
) -> None:
    """Say what there is to train on, and log it once."""
    record = {"event": "data", **data.facts}
    if devices.is_first():
        say(record)
        if record not in run.records():
            run.log(record)


def posttrain_dry_run(
    config: PosttrainConfig | str | Path,
    *,
    show: Callable[[Mapping[str, Any]], None] = lambda _found: None,
) -> dict[str, Any]:
    """What `posttrain` would do; see `plan_and_try`."""
    config = as_config(config, PosttrainConfig)
    return plan_and_try(config, open_data=open_data, make_task=_fresh_task, show=show)


def _fresh_task(
    config: PosttrainConfig, data: LabelledData, draw: Callable[[int, int, int], Batch]
) -> Task[Batch]:
    objective = build_objective(config, data)
    return Posttraining(objective, data, config).task(make_card(config, objective.model), draw)


def build_objective(config: PosttrainConfig, data: LabelledData) -> ClassifyObjective:
    """The model, fresh or from given weights, with the heads that training needs."""
    torch.manual_seed(config.seed)
    labels = data.vocabularies[0].labels
    model = EAT(model_config(config, len(labels)), name=config.name, labels=labels)
    if model.head is not None:
        expect_few(model.head.linear)
    if config.init_from is not None:
        take_weights(model, config.init_from)
    if config.train_positions:
        model.train_positions()
    soft, teacher = config.data.teacher, data.source.teacher
    return ClassifyObjective(
        model,
        weights=ClassifyWeights(
            labels=config.label_weight,
            label_smoothing=config.label_smoothing,
            teacher_embedding=soft.embedding_weight if soft else 0.0,
            teacher_logits=soft.logits_weight if soft else 0.0,
            band_statistics=config.band_statistics_weight,
        ),
        n_further=sum(map(len, data.vocabularies[1:])),
        teacher_dim=teacher.dim if teacher else 0,
        teacher_classes=teacher.n_logits if teacher else 0,
    )


def model_config(config: PosttrainConfig, n_labels: int) -> EATConfig:
    """Architecture of the model that a run trains."""
    return EATConfig.of_size(
        config.size,
        n_classes=n_labels,
        window_s=config.window_s,
        normalization=config.normalization,
        padded_frames=1024 if config.pad_to_window else None,
        stored_positions=config.pad_to_window or config.train_positions,
        head_pooling=config.pooling,
        readout=Readout.parse(OUTPUT, config.pooling),
        drop_path=config.drop_path,
    )


def stages_of(config: PosttrainConfig, objective: ClassifyObjective) -> list[Stage]:
    """Heads alone on a frozen encoder, then everything with a fresh optimiser and schedule.

    The first stage's schedule is laid out over the whole run and left when the stage ends, as the
    released code does it. Source: AVES2 training code.
    """
    whole = Stage(
        name="all",
        n_steps=config.steps - config.head_steps,
        rate=lambda step: config_rate(config, step, total=config.steps - config.head_steps),
        prepare=objective.train_everything,
        scale=lambda name: objective.layer_scale(name, config.layer_decay),
    )
    if not config.head_steps:
        return [whole]
    heads = Stage(
        name="heads",
        n_steps=config.head_steps,
        rate=lambda step: warmup_cosine(
            step,
            peak=config.head_learning_rate or config.learning_rate,
            final=config.final_learning_rate,
            warmup=config.head_warmup_steps,
            total=config.steps,
            start=config.warmup_from,
        ),
        prepare=objective.train_heads,
    )
    return [heads, whole] if whole.n_steps else [heads]


class Posttraining:
    """Losses and validation of a run, which the loop calls; it holds the step that it is at."""

    def __init__(
        self,
        objective: ClassifyObjective,
        data: LabelledData,
        config: PosttrainConfig,
        run: RunFolder | None = None,
    ) -> None:
        """``run``: where tables of per-class scores go; None: nowhere."""
        self.objective = objective
        self.data = data
        self.config = config
        self.run = run
        self.n_steps_done = 0

    def task(self, card: Card, draw: Callable[[int, int, int], Batch]) -> Task[Batch]:
        """What the loop needs to know."""
        return Task(
            module=self.objective,
            draw=draw,
            losses=self.losses,
            describe=_ids,
            size=_size,
            validate=self.validate,
            stages=stages_of(self.config, self.objective),
            beside=model_files(card, self.objective.model.labels),
            metadata=header_metadata(card, self.objective.model.labels),
        )

    def losses(self, module: Any, batch: Batch) -> dict[str, Tensor]:
        """Losses of a part of a batch; what is random in them follows from seed, step and row."""
        self.n_steps_done = batch.step + 1
        rows = range(batch.first_row, batch.first_row + len(batch.ids))
        choices = draw_choices(
            self.objective.model,
            batch.lengths,
            batch.waveforms.shape[1],
            [generator(self.config.seed, batch.step, row, CHOICES) for row in rows],
            patch_keep=batch.patch_keep,
            augment=self.config.spec_augment,
        )
        found = self._forward(module, batch, **choices)
        return {name: value for name, value in found.items() if name != "logits"}

    def validate(self) -> dict[str, float]:
        """Macro scores on the validation clips; none without clips. The table goes to the run."""
        clips = self.data.validation
        if not clips:
            return {}
        n_pieces = -(-len(clips) // VALIDATION_BATCH)
        truth, logits, losses = (
            np.concatenate(parts)
            for parts in zip(*in_shares(n_pieces, self._validate_piece), strict=True)
        )
        rows = per_class(truth, logits, self.data.vocabularies)
        if self.run is not None and devices.is_first():
            folder = self.run.path / "validation"
            folder.mkdir(exist_ok=True)
            write_whole(folder / f"step-{self.n_steps_done:07d}.csv", as_csv(rows))
        loss, found = float(losses.mean()), macro(rows)
        # the first score chooses the best weights: it must be one that rises
        return {**({} if "map" in found else {"score": -loss}), **found, "loss": loss}

    def _validate_piece(self, number: int) -> tuple[NDArray[np.float32], ...]:
        """Targets, logits and the loss of the labels, of each clip."""
        first = number * VALIDATION_BATCH
        clips = self.data.validation[first : first + VALIDATION_BATCH]
        batch = self.data.source.fixed(clips, self.config.buckets[-1].crop_s)
        found = self._forward(self.objective, batch)
        logits = found["logits"].float().cpu().numpy()
        return batch.targets.numpy(), logits, np.full(len(clips), float(found["labels"]))

    def _forward(self, module: Any, batch: Batch, **choices: Any) -> dict[str, Tensor]:
        device = self.objective.model.cls_token.device
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
            **choices,
        )
        return found


def _ids(batch: Batch) -> list[str]:
    return batch.ids


def _size(batch: Batch) -> int:
    return len(batch.ids)


def make_card(config: PosttrainConfig, model: EAT) -> Card:
    """What is known of the model before it is trained."""
    start = f", from {config.init_from}" if config.init_from else ""
    return Card(
        name=config.name,
        title=f"EAT {config.size}, post-trained on {config.data.root}",
        config=model.config,
        training=f"dawnchorus posttrain, {config.steps} steps, seed {config.seed}{start}",
    )
