"""Train a probe on waveforms, and through it its encoder.

Everything else in this package learns from stored features of an encoder that stays as it is. Here
the encoder may be trained too, slowly (`ProbeConfig.freeze_backbone` is False), so it is saved as
well.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from dawnchorus.configs.readout import Pooling, Readout
from dawnchorus.errors import DawnChorusWarning, TrainingError, UsageError
from dawnchorus.models.card import Card
from dawnchorus.models.eat import EAT
from dawnchorus.models.weights_file import forget_file
from dawnchorus.models.write import write_model
from dawnchorus.nn.seeding import seeded
from dawnchorus.probes.choose import Trial, mean_loss, measure_of
from dawnchorus.probes.fitted import EncoderMark, FittedProbe
from dawnchorus.probes.linear import item_losses
from dawnchorus.probes.net import Net
from dawnchorus.probes.notes import ProbeNotes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.configs import FinetuneConfig
    from dawnchorus.probes.build import Probe

    Batch = tuple[Tensor, Tensor]  # waveforms (batch, samples), labels (batch, classes) of 0 and 1

# the released library's aggregation of tokens, as a pooling of ours; heads on tokens pool nothing
POOLING_OF: Final[dict[str, Pooling]] = {
    "mean": "mean",
    "max": "max",
    "cls_token": "cls",
    "none": "mean",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineFit:
    """What happened, epoch by epoch.

    Attributes:
        measure: name of what ``scores`` holds.
        scores: of the validation items.
        losses: likewise.
        best_epoch: whose weights the probe has now, from 0.
    """

    measure: str
    scores: tuple[float, ...]
    losses: tuple[float, ...]
    best_epoch: int


@torch.inference_mode(mode=False)  # wherever it is called, it has to be able to learn
def fit_online(
    probe: Probe,
    train: Iterable[Batch],
    validation: Iterable[Batch],
    config: FinetuneConfig,
    *,
    multi_label: bool,
    on_epoch: Callable[[int, float], None] | None = None,
    told: Callable[[int, float], None] | None = None,
) -> OnlineFit:
    """Train a probe on waveforms and leave it with the weights of its best epoch.

    Args:
        probe: of `build_probe_from_config` with ``online_training``; it is changed.
        train: batches of waveforms and labels, gone through once an epoch: a list, or an object
            that starts again, and may shuffle, each time.
        validation: likewise; it is only scored, in evaluation mode.
        config: rates, epochs.
        multi_label: whether a clip may have any number of classes.
        on_epoch: is called with each epoch, from 0, and its score.
        told: the name of ``on_epoch`` until 0.2.

    Raises:
        UsageError: The probe takes stored features, or the batches can be read only once.
        TrainingError: The loss is not a number any more.
    """
    if not probe.reads_waveforms:
        raise UsageError(
            "this probe takes stored features: build it with base_model= and online_training=True"
        )
    if told is not None:
        warnings.warn(DawnChorusWarning("fit_online: told is now called on_epoch"), stacklevel=3)
        on_epoch = told
    measure, score = measure_of(config, multi_label=multi_label)
    # counted twice: a generator is empty the second time, and every epoch after the first would be
    n_batches = sum(1 for _ in train)
    if not n_batches or sum(1 for _ in train) != n_batches:
        raise UsageError("train: no batches, or fewer the second time; give a list of batches")
    optimizer = _optimizer(probe, config)
    trial, best = Trial({}), _weights(probe)
    rates = _rates(config, n_batches)
    with seeded(config.seed, next(probe.parameters()).device):
        for epoch in range(config.n_epochs):
            probe.train()
            for batch in train:
                _step(probe, optimizer, batch, next(rates), config, multi_label=multi_label)
            y, logits = predict_online(probe, validation)
            trial.scores.append(score(y, logits))
            trial.losses.append(mean_loss(y, logits, multi_label=multi_label))
            if trial.best("loss")[2] == epoch:
                best = _weights(probe)
            if on_epoch is not None:
                on_epoch(epoch, trial.scores[-1])
    probe.load_state_dict(best)
    probe.eval()
    if not probe.config.freeze_backbone:
        forget_file(probe.encoder)
    return OnlineFit(
        measure=measure,
        scores=tuple(trial.scores),
        losses=tuple(trial.losses),
        best_epoch=trial.best("loss")[2],
    )


def predict_online(
    probe: Probe, batches: Iterable[Batch]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Labels and logits of batches, each ``(items, classes)``, in evaluation mode."""
    probe.eval()
    device = next(probe.classifier.parameters()).device
    with torch.inference_mode():
        rows = [(y.double(), probe(waves.to(device)).double().cpu()) for waves, y in batches]
    if not rows:
        raise UsageError("there are no batches to score")
    return (
        np.concatenate([y.numpy() for y, _ in rows]),
        np.concatenate([logits.numpy() for _, logits in rows]),
    )


def _optimizer(probe: Probe, config: FinetuneConfig) -> torch.optim.AdamW:
    head: list[torch.nn.Parameter] = []
    encoder: list[torch.nn.Parameter] = []
    for name, parameter in probe.named_parameters():
        if parameter.requires_grad:
            (encoder if name.startswith("encoder.") else head).append(parameter)
    groups = [
        {"params": parameters, "peak": rate}
        for parameters, rate in ((head, config.learning_rate), (encoder, config.encoder_rate))
        if parameters
    ]
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay)


def _rates(config: FinetuneConfig, n_batches: int) -> Iterator[float]:
    """Share of the full rate at each step: linear warm-up, then half a cosine down to 0."""
    n_steps = config.n_epochs * n_batches
    n_warmup = round(config.warmup * n_steps)
    for step in range(n_steps):
        if step < n_warmup:
            yield (step + 1) / n_warmup
        else:
            yield 0.5 * (1 + math.cos(math.pi * (step - n_warmup) / (n_steps - n_warmup)))


def _step(
    probe: Probe,
    optimizer: torch.optim.AdamW,
    batch: Batch,
    share: float,
    config: FinetuneConfig,
    *,
    multi_label: bool,
) -> None:
    for group in optimizer.param_groups:
        group["lr"] = share * group["peak"]
    device = next(probe.classifier.parameters()).device
    waves, y = batch[0].to(device), batch[1].to(device, torch.float32)
    losses = item_losses(probe(waves), y, torch.ones_like(y), multi_label=multi_label)
    # the mean over classes too, as for probes on stored features, so that a rate means the same
    loss = losses.mean() / (y.shape[1] if multi_label else 1)
    if not bool(loss.isfinite()):
        raise TrainingError(
            f"the loss is {float(loss.detach())}: lower learning_rate ({config.learning_rate:g}) "
            f"or encoder_rate ({config.encoder_rate:g}), and look for broken clips"
        )
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
    torch.nn.utils.clip_grad_norm_(probe.parameters(), config.clip_gradient)
    optimizer.step()


def _weights(probe: Probe) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in probe.state_dict().items()}


def fitted_of(
    probe: Probe,
    classes: Sequence[str],
    *,
    multi_label: bool,
    notes: dict[str, Any] | None = None,  # Any: plain JSON
) -> FittedProbe:
    """The probe without its encoder, as one that was fitted on stored features.

    Raises:
        UsageError: The number of classes is another, or the probe reads what no store holds.
    """
    n_classes = len(classes)
    _check_storable(probe)
    if probe.encoder is None:
        raise UsageError("a probe without an encoder (input_dim) does not say what it reads")
    encoder, head = probe.encoder, probe.head_config
    # of one item's features, as stores hold them; 0 stands for any number of tokens
    tokens = [0] if probe.joining.reads_tokens else []
    shape = [len(probe.layers), *tokens, probe.widths[0]] if probe.mix else None
    net = Net(head, shape or [*tokens, probe.n_features], n_classes)
    state = {f"head.{name}": value for name, value in probe.classifier.state_dict().items()}
    if probe.mix is not None:
        state |= {f"mix.{name}": value for name, value in probe.mix.state_dict().items()}
    state |= {"mean": net.mean, "scale": net.scale}  # waveforms' features are not standardised
    try:
        net.load_state_dict({name: value.detach().cpu().clone() for name, value in state.items()})
    except RuntimeError as error:
        raise UsageError(f"{n_classes} names for the classes of this probe: {error}") from error
    return FittedProbe(
        config=head,
        classes=tuple(classes),
        multi_label=multi_label,
        encoder=EncoderMark.of(encoder),
        readout=Readout.parse(probe.layers, POOLING_OF[probe.config.aggregation]),
        net=net.eval(),
        trained=tuple(range(n_classes)),
        notes=ProbeNotes(**notes or {}),
    )


def _check_storable(probe: Probe) -> None:
    """Refuse what stores do not hold: layers of other widths to weigh, tokens flattened or none."""
    joining = probe.joining
    if joining.weighs and len(set(probe.widths)) > 1:
        raise UsageError(
            f"layers {probe.layers} are {probe.widths} wide; a probe that weighs layers of "
            f"different widths cannot be saved without its encoder"
        )
    if joining.n_tokens is not None or joining.reads_numbers:
        raise UsageError(
            f"a probe of type {probe.config.probe_type!r} with aggregation "
            f"{probe.config.aggregation!r} reads what no store holds, and cannot be saved"
        )


def save_online(
    probe: Probe,
    folder: str | Path,
    classes: Sequence[str],
    *,
    multi_label: bool,
    notes: dict[str, Any] | None = None,  # Any: plain JSON
) -> FittedProbe:
    """Write a probe that was trained on waveforms, with its encoder where that was trained too.

    The folder then is both a model, for `load_model`, and a probe, for `FittedProbe.load`. The
    encoder takes the folder's name, and loses a classifier that it came with: that one was not
    trained along.

    Raises:
        UsageError: The encoder is not an EAT and cannot be written.
        WeightsError: The folder cannot be written.
    """
    target = Path(folder)
    if not probe.config.freeze_backbone:
        _save_encoder(probe.encoder, target)
    fitted = fitted_of(probe, classes, multi_label=multi_label, notes=notes)
    fitted.save(target)
    return fitted


def _save_encoder(encoder: object, folder: Path) -> None:
    if not isinstance(encoder, EAT):
        raise UsageError(f"{type(encoder).__name__}: only an EAT can be written as a model")
    name = folder.resolve().name
    card = Card(
        name=name,
        title=f"{encoder.name}, fine-tuned through a probe",
        config=encoder.config.model_copy(update={"n_classes": 0}),
        has_classifier=False,
        licence=encoder.licence or "unknown",
    )
    weights = {
        key: value for key, value in encoder.state_dict().items() if not key.startswith("head.")
    }
    written = write_model(folder, card, None, weights, "float32")
    encoder.name, encoder.weights_sha256 = name, written.sha256
