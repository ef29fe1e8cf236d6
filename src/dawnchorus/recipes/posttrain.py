"""Supervised post-training: labelled clips in, a model folder out that `load_model` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from dawnchorus.configs import PosttrainConfig
from dawnchorus.configs.readout import OUTPUT, Readout
from dawnchorus.feed.draws import generator
from dawnchorus.models.card import Card
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import RELEASED_FRAMES, EATConfig
from dawnchorus.models.weights_file import AVERAGED
from dawnchorus.nn import ema
from dawnchorus.objectives.classify import (
    ClassifyObjective,
    ClassifyWeights,
    draw_choices,
    expect_few,
)
from dawnchorus.objectives.distil import Distillation
from dawnchorus.recipes.dry_run import plan_and_try
from dawnchorus.recipes.export import PREFIX, chosen_weights, scores_of
from dawnchorus.recipes.initial_weights import take_weights
from dawnchorus.recipes.labelled import open_data
from dawnchorus.recipes.run import RunKind, train_and_export
from dawnchorus.recipes.teaching import Teaching
from dawnchorus.recipes.validation import as_csv, macro, over_batches, per_class
from dawnchorus.store.files import write_whole
from dawnchorus.training import devices
from dawnchorus.training.schedule import Stage, config_rate, warmup_cosine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.feed.batches import Batch
    from dawnchorus.recipes.training_data import TrainingData
    from dawnchorus.training.run import RunFolder, TrainReport

VALIDATION_BATCH: Final = 50
CHOICES: Final = 0  # stream of the generators of a row that the feed leaves to us


def posttrain(
    config: PosttrainConfig | str | Path,
    *,
    runs: str | Path = "runs",
    extend: bool = False,
    say: Callable[[Mapping[str, Any]], None] = lambda _record: None,
) -> TrainReport:
    """Train a classifier and its encoder, or continue a run that was stopped.

    Args:
        config: a config, or its YAML file.
        runs: folder that holds run folders; this run is ``runs/NAME``.
        extend: continue a run for more steps than it was started with; the rest of its schedule is
            drawn again.
        say: called with each log record, in the first process.

    Returns:
        Where the run and its export are, and how it ended.

    Raises:
        UsageError: A config key is wrong, or the run folder holds another run.
        TaskError: The data do not fit the config.
        TrainingError: Training diverged or a checkpoint is damaged.
        RunInterruptedError: Ctrl-C or SIGTERM; the same call resumes.
    """
    return train_and_export(POSTTRAINING, config, runs=runs, extend=extend, say=say)


def posttrain_dry_run(
    config: PosttrainConfig | str | Path,
    *,
    show: Callable[[Mapping[str, Any]], None] = lambda _section: None,
) -> dict[str, Any]:
    """What `posttrain` would do; see `plan_and_try`."""
    return plan_and_try(POSTTRAINING, config, show=show)


class Posttraining:
    """What a run of post-training trains: a model with its head, and heads for training only."""

    def __init__(
        self, config: PosttrainConfig, data: TrainingData, run: RunFolder | None = None
    ) -> None:
        """Make fresh weights, or take those of ``init_from``.

        Args:
            config: the run's.
            data: the run's.
            run: where tables of scores per class are written; None: nowhere.
        """
        self.config = config
        self.data = data
        self.run = run
        self.teaching = Teaching(config, data, run)
        self.objective = _objective(config, data, self.teaching)
        self.model = self.objective.model
        start = f", from {config.init_from}" if config.init_from else ""
        taught = f", taught by {self.teaching.names}" if self.teaching.names else ""
        self.card = Card(
            name=config.name,
            title=f"EAT {config.size}, post-trained on {config.data.root}",
            config=self.model.config,
            training=f"dawnchorus posttrain, {config.steps} steps, seed {config.seed}{start}"
            f"{taught}",
            has_classifier=self.model.head is not None,
        )
        self.stages = stages_of(config, self.objective)
        self._n_steps_done = 0

    def losses(self, module: Any, batch: Batch) -> dict[str, Tensor]:
        """Losses of a part of a batch; what is random in them follows from seed, step and row."""
        # not in `after_step`, which a skipped step does not reach: it names the table of scores
        self._n_steps_done = batch.step + 1
        rows = range(batch.first_row, batch.first_row + len(batch.ids))
        choices = draw_choices(
            self.model,
            batch.lengths,
            batch.waveforms.shape[1],
            [generator(self.config.seed, batch.step, row, CHOICES) for row in rows],
            patch_keep=batch.patch_keep,
            augment=self.config.spec_augment,
        )
        # from pinned memory, where the loader puts it for a GPU, the copy is not waited for
        waveforms = batch.waveforms.to(self.model.cls_token.device, non_blocking=True)
        said = None
        if self.objective.distillation is not None:
            said = self.teaching.hear_for_training(batch, waveforms, self.objective.distillation)
        parts = self._forward(module, batch, waveforms, said=said, **choices)
        return {name: value for name, value in parts.items() if name != "logits"}

    def after_step(self, n_done: int) -> None:
        """Count what the teachers said in the step, and move the average of the weights."""
        self.objective.follow(ema.warm_decay(n_done, self.config.ema_decay))
        if self.objective.distillation is not None:
            self.teaching.after_step(self.objective.distillation)

    def watch(self, step: int, losses: Mapping[str, float]) -> None:
        """A classifier does not collapse."""

    def validate(self) -> dict[str, float]:
        """Macro scores on the validation clips; none without clips. The table goes to the run."""
        if not self.data.validation:
            return {}
        with self.objective.with_average():
            truth, logits, losses = over_batches(
                self.data, VALIDATION_BATCH, self.config.buckets[-1].crop_s, self._score
            )
        rows = per_class(truth, logits, self.data.source.vocabularies)
        if rows and self.run is not None and devices.is_first():
            folder = self.run.path / "validation"
            folder.mkdir(exist_ok=True)
            write_whole(folder / f"step-{self._n_steps_done:07d}.csv", as_csv(rows))
        loss, *cosines = losses.mean(axis=0).tolist()
        scores = macro(rows) | ({"cosine": cosines[0]} if cosines else {})
        # the first score chooses the best weights: it must be one that rises
        rises = "map" in scores or (not rows and "cosine" in scores)
        return {**({} if rises else {"score": -loss}), **scores, "loss": loss}

    def result(self, run: RunFolder, state: Mapping[str, Any]) -> tuple[Card, Mapping[str, Tensor]]:
        """The weights that the config chooses, and their scores on the card."""
        prefix = PREFIX if self.objective.averaged is None else AVERAGED
        chosen = chosen_weights(run, self.config.export, state["best_step"], prefix=prefix)
        metric = "map" if self.data.source.vocabularies else "cosine"
        scores = scores_of(run, chosen.steps, metric)
        return self.card.model_copy(update={"scores": scores}), chosen.weights

    def _score(self, batch: Batch, first: int) -> tuple[NDArray[np.float32], ...]:
        """Targets, logits ``(clips, labels)``, and of a validation batch ``(clips, 1 or 2)``.

        These are its loss, and its mean cosine to the embeddings of the teachers that have some.
        """
        waveforms = batch.waveforms.to(self.model.cls_token.device)
        said = self.teaching.hear_for_validation(batch, waveforms, first)
        parts = self._forward(self.objective, batch, waveforms, said=said)
        cosines = [float(parts[name]) for name in parts if name.endswith("_cosine")]
        # the mean of the batch for each clip, so that the mean over all clips is right
        row = [float(parts["labels" if "labels" in parts else "loss"])]
        row += [float(np.mean(cosines))] if cosines else []
        logits = parts["logits"].float().cpu().numpy()
        return (
            batch.targets.numpy(),
            logits,
            np.tile(np.array(row, np.float32), (len(batch.ids), 1)),
        )

    def _forward(
        self, module: Any, batch: Batch, waveforms: Tensor, **choices: Any
    ) -> dict[str, Tensor]:
        device = waveforms.device
        teacher = None
        stored = self.config.data.teacher is not None
        if stored and batch.teacher_embedding is not None and batch.teacher_logits is not None:
            teacher = {
                "embedding": batch.teacher_embedding.to(device),
                "logits": batch.teacher_logits.to(device),
                "there": batch.has_teacher.to(device),
            }
        parts: dict[str, Tensor] = module(
            waveforms,
            batch.lengths,  # of the host: the model looks at them, and waits for those on a GPU
            batch.targets.to(device, non_blocking=True),
            teacher=teacher,
            **choices,
        )
        return parts


POSTTRAINING: Final = RunKind(config=PosttrainConfig, open_data=open_data, make=Posttraining)


def _objective(
    config: PosttrainConfig, data: TrainingData, teaching: Teaching
) -> ClassifyObjective:
    """The model, fresh or from given weights, with the heads that training needs."""
    torch.manual_seed(config.seed)  # of fresh weights: every process must have the same
    vocabularies = data.source.vocabularies
    labels = vocabularies[0].labels if vocabularies else None
    model = EAT(_model_config(config, len(labels or ())), name=config.name, labels=labels)
    # before weights are taken, which may bring a trained head
    if model.head is not None:
        expect_few(model.head.linear)
    if config.init_from is not None:
        take_weights(model, config.init_from)
    if config.train_positions:
        model.train_positions()
    soft = config.data.teacher
    teacher = data.source.teacher if soft else None
    return ClassifyObjective(
        model,
        weights=ClassifyWeights(
            labels=config.label_weight,
            label_smoothing=config.label_smoothing,
            teacher_embedding=soft.embedding_weight if soft else 0.0,
            teacher_logits=soft.logits_weight if soft else 0.0,
            band_statistics=config.band_statistics_weight,
        ),
        n_further=sum(map(len, vocabularies[1:])),
        teacher_dim=teacher.dim if teacher else 0,
        teacher_classes=teacher.n_logits if teacher else 0,
        distillation=Distillation(model.dim, teaching.specs) if teaching.specs else None,
        is_averaged=config.ema_decay > 0,
    )


def _model_config(config: PosttrainConfig, n_labels: int) -> EATConfig:
    """Architecture of the model that a run trains."""
    return EATConfig.of_size(
        config.size,
        n_classes=n_labels,
        window_s=config.window_s,
        normalization=config.normalization,
        padded_frames=RELEASED_FRAMES if config.pad_to_window else None,
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
