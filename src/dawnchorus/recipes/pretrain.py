"""Self-supervised pretraining: unlabelled clips in, a model folder out that `load_model` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from dawnchorus.configs import PretrainConfig
from dawnchorus.configs.readout import OUTPUT, Readout
from dawnchorus.errors import TaskError, UsageError
from dawnchorus.metrics import retrieval_roc_auc
from dawnchorus.models.card import Card
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import RELEASED_FRAMES, EATConfig
from dawnchorus.nn import ema
from dawnchorus.nn.decoder import Decoder
from dawnchorus.nn.masking import MaskShape
from dawnchorus.objectives.eat import EATObjective, EATOptions, effective_rank
from dawnchorus.recipes.collapse import check_rank, check_spread
from dawnchorus.recipes.dry_run import plan_and_try
from dawnchorus.recipes.export import scores_of
from dawnchorus.recipes.initial_weights import take_weights
from dawnchorus.recipes.run import RunKind, train_and_export
from dawnchorus.recipes.unlabelled import open_data
from dawnchorus.recipes.validation import over_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.clips.manifest import Clip
    from dawnchorus.feed.batches import Batch
    from dawnchorus.recipes.training_data import TrainingData
    from dawnchorus.training.run import RunFolder, TrainReport
    from dawnchorus.training.schedule import Stage

VALIDATION_BATCH: Final = 25  # clips; each is seen in several masked clones, which take memory
LOSSES: Final = ("loss", "frame", "utterance")


def pretrain(
    config: PretrainConfig | str | Path,
    *,
    runs: str | Path = "runs",
    extend: bool = False,
    say: Callable[[Mapping[str, Any]], None] = lambda _record: None,
) -> TrainReport:
    """Pretrain an encoder without labels, or continue a run that was stopped.

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
        TrainingError: Training collapsed or diverged, or a checkpoint is damaged.
        RunInterruptedError: Ctrl-C or SIGTERM; the same call resumes.
    """
    return train_and_export(PRETRAINING, config, runs=runs, extend=extend, say=say)


def pretrain_dry_run(
    config: PretrainConfig | str | Path,
    *,
    show: Callable[[Mapping[str, Any]], None] = lambda _section: None,
) -> dict[str, Any]:
    """What `pretrain` would do; see `plan_and_try`."""
    return plan_and_try(PRETRAINING, config, show=show)


class Pretraining:
    """What a run of pretraining trains: a student, the teacher that follows it, and a decoder."""

    stages: Sequence[Stage] = ()  # one, with the config's schedule

    def __init__(
        self, config: PretrainConfig, data: TrainingData, run: RunFolder | None = None
    ) -> None:
        """Make fresh weights, or take the encoder's from ``init_from``.

        Raises:
            TaskError: There are too few validation clips for the floor of their rank.
        """
        del run  # nothing but the log is left there
        floor = config.collapse.min_rank
        if len(data.validation) < floor:
            raise TaskError(
                f"{config.data.root}: {len(data.validation)} clips to validate on cannot reach an "
                f"effective rank of {floor:g} (collapse.min_rank); lower it, or validate on more"
            )
        self.config = config
        self.data = data
        self.objective = build_objective(config)
        # the teacher is smoother, the student has seen masked input; EAT releases the student
        is_student = config.export == "student"
        self.model = self.objective.model if is_student else self.objective.teacher
        self.card = Card(
            name=config.name,
            config=self.objective.model.config,
            has_classifier=False,
            training=f"self-supervised (EAT) from {config.init_from or 'random weights'}",
        )
        self._n_steps_done = 0

    def losses(self, module: Any, batch: Batch) -> Mapping[str, Tensor]:
        """Losses of a part of a batch."""
        losses: Mapping[str, Tensor] = module(
            *self._on_device(batch), step=batch.step, first_row=batch.first_row
        )
        return losses

    def watch(self, step: int, losses: Mapping[str, float]) -> None:
        """Whether training has collapsed."""
        if step >= self.config.collapse.after_steps:
            check_spread(losses, step, self.config)

    def after_step(self, n_done: int) -> None:
        """Move the teacher towards the student, the more slowly the longer the run is."""
        self._n_steps_done = n_done
        schedule = self.config.ema
        self.objective.follow(
            ema.decay_at(n_done, start=schedule.start, end=schedule.end, n_steps=schedule.n_steps)
        )

    def validate(self) -> dict[str, float]:
        """Scores on validation clips; retrieval comes first and chooses the best checkpoint.

        Labels are only used for this score, never trained on. Without labels the loss is the score,
        though it is no good measure of progress: the targets move.

        Raises:
            TrainingError: The clips' embeddings have collapsed.
        """
        clips = self.data.validation
        if not clips:
            return {}
        embeddings, losses = over_batches(
            self.data, VALIDATION_BATCH, self.config.buckets[-1].crop_s, self._embed_and_score
        )
        means = dict(zip(LOSSES, losses.mean(axis=0).tolist(), strict=True))
        rank = effective_rank(torch.from_numpy(embeddings))
        if self._n_steps_done >= self.config.collapse.after_steps:
            check_rank(rank, self._n_steps_done, self.config)
        return {
            **(_retrieval(clips, embeddings) or {"score": -means["loss"]}),
            **means,
            "rank": rank,
            "teacher_distance": ema.distance(self.objective.teacher, self.objective.model),
        }

    def result(self, run: RunFolder, state: Mapping[str, Any]) -> tuple[Card, Mapping[str, Tensor]]:
        """The last weights: without labels no score says which are better."""
        training = (
            f"{self.card.training}; the {self.config.export}'s weights after {state['step']} steps"
        )
        scores = scores_of(run, [state["step"]], "retrieval")
        card = self.card.model_copy(update={"training": training, "scores": scores})
        return card, {name: value.cpu() for name, value in self.model.state_dict().items()}

    def _on_device(self, batch: Batch) -> tuple[Tensor, ...]:
        device = self.objective.model.cls_token.device
        # from pinned memory, where the loader puts it for a GPU, neither copy is waited for
        return tuple(x.to(device, non_blocking=True) for x in (batch.waveforms, batch.lengths))

    def _embed_and_score(self, batch: Batch, first: int) -> tuple[NDArray[np.float32], ...]:
        """Embeddings ``(clips, dim)`` and losses ``(clips, losses)`` of a validation batch."""
        waveforms, lengths = self._on_device(batch)
        pooled = self.objective.model.encode(waveforms, lengths).pool("valid")
        # step 0 and the row: every validation draws the same masks, so that scores compare
        losses = self.objective(waveforms, lengths, step=0, first_row=first)
        row = np.array([[float(losses[name]) for name in LOSSES]], np.float32)
        return pooled.float().cpu().numpy(), row.repeat(len(batch.ids), axis=0)


PRETRAINING: Final = RunKind(config=PretrainConfig, open_data=open_data, make=Pretraining)


def build_objective(config: PretrainConfig) -> EATObjective:
    """Student, teacher and decoder with fresh weights, or the encoder's from a given model."""
    torch.manual_seed(config.seed)  # of fresh weights: every process must have the same
    model = EAT(_model_config(config), name=config.name)
    if config.init_from is not None:
        take_weights(model, config.init_from)
    options = EATOptions(
        n_clones=config.n_clones,
        mask=MaskShape(**config.mask.model_dump()),
        noise_std=config.mask_noise_std,
        frame_weight=config.frame_weight,
        utterance_weight=config.utterance_weight,
        utterance_reduction=config.utterance_reduction,
        checkpoint=config.gradient_checkpointing,
    )
    objective = EATObjective(model, _decoder(config, model.dim), options, seed=config.seed)
    if config.compile:
        objective.compile()
    return objective


def _decoder(config: PretrainConfig, dim: int) -> Decoder:
    width, n_groups = config.decoder.width or dim, config.decoder.n_groups
    # checked here: the encoder's dimension follows from its size, which the config cannot see
    if dim % n_groups or width % n_groups:
        raise UsageError(
            f"decoder.n_groups: {n_groups} must divide the encoder's dimension {dim} and the "
            f"decoder's width {width}"
        )
    return Decoder(
        dim,
        n_layers=config.decoder.n_layers,
        kernel=config.decoder.kernel,
        width=width,
        n_groups=n_groups,
    )


def _model_config(config: PretrainConfig) -> EATConfig:
    """Architecture of the model that a run trains; it has no head."""
    return EATConfig.of_size(
        config.size,
        window_s=config.window_s,
        normalization=config.normalization,
        padded_frames=RELEASED_FRAMES if config.pad_to_window else None,
        stored_positions=config.pad_to_window,
        readout=Readout.parse(OUTPUT, "mean" if config.pad_to_window else "valid"),
    )


def _retrieval(clips: Sequence[Clip], embeddings: NDArray[np.float32]) -> dict[str, float]:
    """Whether neighbours share a label, where that can be asked of at least two labels."""
    counts: dict[str, int] = {}
    for label in (label for clip in clips for label in clip.labels):
        counts[label] = counts.get(label, 0) + 1
    # a label on one clip has no neighbour that could share it
    shared = sorted(label for label, count in counts.items() if count > 1)
    named = [index for index, clip in enumerate(clips) if set(clip.labels) & set(shared)]
    if len(shared) < 2:
        return {}
    hot = np.array([[label in clips[index].labels for label in shared] for index in named])
    return {"retrieval": retrieval_roc_auc(embeddings[named], hot)}
