"""Self-supervised pretraining: unlabelled clips in, a model folder out that `load_model` takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from dawnchorus.configs import PretrainConfig
from dawnchorus.configs.readout import OUTPUT, Readout
from dawnchorus.errors import TaskError, TrainingError, UsageError
from dawnchorus.metrics import retrieval_roc_auc
from dawnchorus.models.card import Card
from dawnchorus.models.eat import EAT
from dawnchorus.models.eat_config import RELEASED_FRAMES, EATConfig
from dawnchorus.models.header import header_metadata
from dawnchorus.models.write import model_files
from dawnchorus.nn import ema
from dawnchorus.nn.decoder import Decoder
from dawnchorus.nn.masking import MaskShape
from dawnchorus.objectives.eat import EATObjective, EATOptions, effective_rank
from dawnchorus.recipes.dry_run import plan_and_try
from dawnchorus.recipes.export import export_model, scores_of
from dawnchorus.recipes.start import as_config, open_loader, take_weights
from dawnchorus.recipes.unlabelled import UnlabelledData, open_data
from dawnchorus.recipes.validation import in_shares
from dawnchorus.training import devices
from dawnchorus.training.loop import Task, train
from dawnchorus.training.run import RunFolder, TrainReport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.clips.manifest import Clip
    from dawnchorus.feed.batches import Batch

VALIDATION_BATCH: Final = 25
LOSSES: Final = ("loss", "frame", "utterance")
WATCH_EVERY: Final = 20  # steps; reading a number from a GPU makes it wait


def pretrain(
    config: PretrainConfig | str | Path,
    *,
    runs: str | Path = "runs",
    extend: bool = False,
    say: Callable[[Mapping[str, Any]], None] = lambda _record: None,
) -> TrainReport:
    """Pretrain an encoder without labels, or go on with a run that was stopped.

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
        TrainingError: Training collapsed or diverged, or a checkpoint is damaged.
        RunInterruptedError: Ctrl-C or SIGTERM; the same call resumes.
    """
    config = as_config(config, PretrainConfig)
    run = RunFolder(Path(runs) / config.name)
    run.open(config, extend=extend)
    fabric = devices.launch(config)
    data = open_data(config)
    if devices.is_first():
        say({"event": "data", **data.facts})
    objective = build_objective(config)
    card = make_card(config, objective.model)
    with open_loader(data.source, config) as loader:
        task = make_task(objective, data, config, card, draw=loader.draw)
        state = train(task, config, run, fabric=fabric, say=say)
    exported = objective.model if config.export == "student" else objective.teacher
    if devices.is_first():
        weights = {name: value.detach().cpu() for name, value in exported.state_dict().items()}
        training = f"{card.training}; the {config.export}'s weights after {state['step']} steps"
        scores = scores_of(run, [state["step"]], "retrieval") if state["best"] is not None else ""
        told = card.model_copy(update={"training": training, "scores": scores})
        export_model(told, None, weights, run.export, config.export_precision)
    devices.wait_for_all()
    return TrainReport(
        run=run.path,
        export=run.export,
        steps=state["step"],
        skipped_steps=state["skipped"],
        best_score=state["best"],
        n_parameters=sum(p.numel() for p in exported.parameters()),
    )


def pretrain_dry_run(
    config: PretrainConfig | str | Path,
    *,
    show: Callable[[Mapping[str, Any]], None] = lambda _found: None,
) -> dict[str, Any]:
    """What `pretrain` would do; see `plan_and_try`."""
    config = as_config(config, PretrainConfig)
    return plan_and_try(config, open_data=open_data, make_task=_fresh_task, show=show)


def _fresh_task(
    config: PretrainConfig, data: UnlabelledData, draw: Callable[[int, int, int], Batch]
) -> Task[Batch]:
    objective = build_objective(config)
    card = make_card(config, objective.model)
    return make_task(objective, data, config, card, draw=draw)


def build_objective(config: PretrainConfig) -> EATObjective:
    """Student, teacher and decoder with fresh weights, or the encoder's from a given model."""
    torch.manual_seed(config.seed)
    model = EAT(model_config(config), name=config.name)
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


def model_config(config: PretrainConfig) -> EATConfig:
    """Architecture of the model that a run trains; it has no head."""
    return EATConfig.of_size(
        config.size,
        window_s=config.window_s,
        normalization=config.normalization,
        padded_frames=RELEASED_FRAMES if config.pad_to_window else None,
        stored_positions=config.pad_to_window,
        readout=Readout.parse(OUTPUT, "mean" if config.pad_to_window else "valid"),
    )


def make_card(config: PretrainConfig, model: EAT) -> Card:
    """The card of a run's model, without what only its end can tell."""
    return Card(
        name=config.name,
        config=model.config,
        has_classifier=False,
        training=f"self-supervised (EAT) from {config.init_from or 'random weights'}",
    )


def make_task(
    objective: EATObjective,
    data: UnlabelledData,
    config: PretrainConfig,
    card: Card,
    *,
    draw: Callable[[int, int, int], Batch],
) -> Task[Batch]:
    """What the loop needs: batches, losses with a watch on collapse, scores, the teacher's step.

    Raises:
        TaskError: There are too few validation clips for the floor of their rank.
    """
    floor = config.collapse.min_rank
    if len(data.validation) < floor:
        raise TaskError(
            f"{config.data.root}: {len(data.validation)} clips to validate on cannot reach an "
            f"effective rank of {floor:g} (collapse.min_rank); lower it, or validate on more"
        )

    def losses(module: Any, batch: Batch) -> Mapping[str, Tensor]:
        found: Mapping[str, Tensor] = module(
            *_on_device(objective, batch), step=batch.step, first_row=batch.first_row
        )
        if batch.step >= config.collapse.after_steps and batch.step % WATCH_EVERY == 0:
            check_spread(found, batch.step, config)
        return found

    n_steps = 0

    def after_step(n_done: int) -> None:
        nonlocal n_steps
        n_steps = n_done
        schedule = config.ema
        objective.follow(
            ema.decay_at(n_done, start=schedule.start, end=schedule.end, n_steps=schedule.n_steps)
        )

    def scores() -> dict[str, float]:
        found = validate(objective, data, config)
        if found and n_steps >= config.collapse.after_steps:
            check_rank(found["rank"], n_steps, config)
        return found

    return Task(
        module=objective,
        draw=draw,
        losses=losses,
        describe=lambda batch: batch.ids,
        size=lambda batch: len(batch.ids),
        validate=scores,
        after_step=after_step,
        beside=model_files(card, None),
        metadata=header_metadata(card, None),
    )


def _on_device(objective: EATObjective, batch: Batch) -> tuple[Tensor, Tensor]:
    device = objective.model.cls_token.device
    return batch.waveforms.to(device, non_blocking=True), batch.lengths.to(device)


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


def check_rank(rank: float, step: int, config: PretrainConfig) -> None:
    """End training when a few directions carry all embeddings, which no deviation tells.

    Raises:
        TrainingError: The effective rank is under its floor.
    """
    floor = config.collapse.min_rank
    if rank < floor:
        raise TrainingError(
            f"{config.name}: training has collapsed: after step {step} the effective rank of the "
            f"validation clips' embeddings is {rank:.3g}, need at least {floor:g} "
            "(collapse.min_rank); use larger batches, lower learning_rate or raise ema.start"
        )


def validate(
    objective: EATObjective, data: UnlabelledData, config: PretrainConfig
) -> dict[str, float]:
    """Scores on validation clips; the first one, which chooses the best checkpoint, is retrieval.

    Labels are only looked at for this score, never trained on. Without labels the loss is the
    score, though it is no good measure of progress: the targets move.
    """
    clips = data.validation
    if not clips:
        return {}

    def piece(number: int) -> tuple[NDArray[np.float32], ...]:
        first = number * VALIDATION_BATCH
        batch = data.source.fixed(
            clips[first : first + VALIDATION_BATCH], config.buckets[-1].crop_s
        )
        waveforms, lengths = _on_device(objective, batch)
        pooled = objective.model.encode(waveforms, lengths).pool("valid")
        found = objective(waveforms, lengths, step=0, first_row=first)
        losses = np.array([[float(found[name]) for name in LOSSES]], np.float32)
        return pooled.float().cpu().numpy(), losses.repeat(len(batch.ids), axis=0)

    pieces = in_shares(-(-len(clips) // VALIDATION_BATCH), piece)
    embeddings, losses = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    means = dict(zip(LOSSES, losses.mean(axis=0).tolist(), strict=True))
    return {
        **(_retrieval(clips, embeddings) or {"score": -means["loss"]}),
        **means,
        "rank": effective_rank(torch.from_numpy(embeddings)),
        "teacher_distance": ema.distance(objective.teacher, objective.model),
    }


def _retrieval(clips: Sequence[Clip], embeddings: NDArray[np.float32]) -> dict[str, float]:
    """Whether neighbours share a label, where that can be asked of at least two labels."""
    counts: dict[str, int] = {}
    for label in (label for clip in clips for label in clip.labels):
        counts[label] = counts.get(label, 0) + 1
    shared = sorted(label for label, count in counts.items() if count > 1)
    named = [index for index, clip in enumerate(clips) if set(clip.labels) & set(shared)]
    if len(shared) < 2:
        return {}
    hot = np.array([[label in clips[index].labels for label in shared] for index in named])
    return {"retrieval": retrieval_roc_auc(embeddings[named], hot)}
