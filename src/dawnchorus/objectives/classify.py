"""Multi-label classification, with further vocabularies and a teacher beside the shipped head."""

from __future__ import annotations

import math
import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dawnchorus.audio import frontend
from dawnchorus.audio.augment import blank_stripes, draw_stripes
from dawnchorus.models.eat_config import N_BAND_STEPS
from dawnchorus.nn import ema
from dawnchorus.nn.patches import PATCH

PRIOR: Final = 0.01  # share of labels that hold for a clip, in order of magnitude

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dawnchorus.configs import SpecAugmentConfig
    from dawnchorus.models.eat import EAT
    from dawnchorus.objectives.distil import Distillation, TeacherOutputs


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyWeights:
    """Weight of each part of the loss."""

    labels: float = 1.0
    label_smoothing: float = 0.0
    teacher_embedding: float = 0.0
    teacher_logits: float = 0.0
    band_statistics: float = 0.0


class ClassifyObjective(nn.Module):
    """A model, the heads that are only needed while it trains, and the loss over all of them."""

    def __init__(
        self,
        model: EAT,
        *,
        weights: ClassifyWeights,
        n_further: int = 0,
        teacher_dim: int = 0,
        teacher_classes: int = 0,
        distillation: Distillation | None = None,
        is_averaged: bool = False,
    ) -> None:
        """Heads as the losses need them.

        Args:
            model: with the weights that it starts from.
            weights: of the losses.
            n_further: labels of vocabularies that are trained and not shipped.
            teacher_dim: of a table's embeddings; 0: none.
            teacher_classes: of a table's logits; 0: none.
            distillation: heads of live teachers.
            is_averaged: whether a moving average of the weights is kept.
        """
        super().__init__()
        self.model = model
        self.averaged = ema.make_teacher(model) if is_averaged else None
        self.weights = weights
        self.distillation = distillation
        self.further = nn.Linear(model.dim, n_further) if n_further else None
        self.to_embedding = nn.Linear(model.dim, teacher_dim) if teacher_dim else None
        self.to_logits = nn.Linear(model.dim, teacher_classes) if teacher_classes else None
        keep_bands = weights.band_statistics > 0
        self.to_bands = nn.Linear(model.dim, 2 * frontend.N_BANDS) if keep_bands else None
        for head in (self.further, self.to_logits):
            if head is not None:
                expect_few(head)

    def forward(
        self,
        waveforms: Tensor,
        lengths: Tensor,
        labels: Tensor,
        *,
        teacher: Mapping[str, Tensor] | None = None,
        said: Mapping[str, TeacherOutputs] | None = None,
        patches: Tensor | None = None,
        blanks: tuple[Tensor, Tensor] | None = None,
        branches: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Each part of the loss, unweighted, their weighted sum as ``loss``, and the ``logits``.

        ``labels`` is binary cross-entropy, the mean over the batch and classes (AVES2 recipe).
        Every part is a mean over the clips, those without a teacher counting as zero, so that the
        mean over equal parts of a batch is that of the batch.

        Args:
            waveforms: ``(batch, samples)`` at the model's rate.
            lengths: ``(batch,)`` samples that hold sound.
            labels: ``(batch, classes + further classes)`` of 0 and 1: the model's own, then the
                rest.
            teacher: ``embedding (batch, dim)``, ``logits (batch, classes)`` and ``there (batch,)``
                bool, where the teacher has something to say; None without a teacher.
            said: of each teacher that `Distillation` has a head for, by name.
            patches: ``(batch, kept)`` indices of the patches that the encoder sees, None: all.
            blanks: ``(batch, frames)`` and ``(batch, bands)`` bool, what to blank in the log-mel.
            branches: ``(blocks, 2, batch)``, what residual branches count (drop path).
        """
        # nothing before the patch embedding has weights; a bfloat16 log-mel would be off by 0.03
        with torch.no_grad(), torch.autocast(waveforms.device.type, enabled=False):
            features, n_frames = self.model.features(waveforms, lengths)
            # of the clean input: blanked stripes are for the encoder to see through
            statistics = band_statistics(features, n_frames)
            if blanks is not None:
                features = blank_stripes(features, *blanks)
        tokens, has_signal = self.model.tokens(
            features, n_frames, patches=patches, branches=branches
        )
        # pooled once, (batch, dim): every head sees what the shipped one will see
        pooled = self.model.pool_for_head(tokens, has_signal)
        heads = [head(pooled) for head in (self.model.head, self.further) if head is not None]
        parts: dict[str, Tensor] = {}
        logits = torch.cat(heads, dim=1) if heads else pooled.new_zeros(len(pooled), 0)
        if heads:
            smooth = self.weights.label_smoothing
            # towards 0.5, not towards 1/classes: each label is a question of its own
            wanted = labels * (1 - smooth) + 0.5 * smooth
            parts["labels"] = functional.binary_cross_entropy_with_logits(logits, wanted)
        if teacher is not None:
            parts |= self._teacher_losses(pooled, teacher)
        if self.to_bands is not None:
            parts["band_statistics"] = functional.mse_loss(self.to_bands(pooled), statistics)
        weighted = [getattr(self.weights, name) * value for name, value in parts.items()]
        if self.distillation is not None and said is not None:
            distilled, each = self.distillation(pooled, said)
            weighted.append(distilled)
            parts |= each
        return {"loss": torch.stack(weighted).sum(), **parts, "logits": logits}

    def train(self, mode: bool = True) -> ClassifyObjective:  # noqa: FBT001, FBT002  torch's signature
        """As for any module, but the average stays in evaluation mode."""
        super().train(mode)
        if self.averaged is not None:
            self.averaged.eval()
        return self

    def follow(self, decay: float) -> None:
        """Move the average towards the model, if there is one."""
        if self.averaged is not None:
            ema.follow(self.averaged, self.model, decay)

    @contextmanager
    def with_average(self) -> Iterator[None]:
        """The average in the model's place, if there is one; not for training."""
        trained = self.model
        self.model = trained if self.averaged is None else self.averaged
        try:
            yield
        finally:
            self.model = trained

    def compile(self) -> None:
        """Compile the blocks, which take the time and are all alike."""
        for block in self.model.blocks:
            block.compile()

    def train_heads(self) -> None:
        """Freeze the encoder; only heads are trained."""
        self.train_everything()
        self.model.requires_grad_(requires_grad=False)
        if self.model.head is not None:
            self.model.head.requires_grad_(requires_grad=True)

    def train_everything(self) -> None:
        """Train the encoder too; its position table only if it was made a parameter."""
        self.requires_grad_(requires_grad=True)
        if self.averaged is not None:
            self.averaged.requires_grad_(requires_grad=False)

    def layer_scale(self, name: str, decay: float) -> float:
        """Share of the learning rate that a parameter has under layer-wise decay.

        Each block has ``decay`` times the share of the one after it, what lies before the first
        block one power more; heads have the whole rate. Source: BEiT, as EAT's fine-tuning uses it.
        """
        if not name.startswith("model.") or name.startswith("model.head."):
            return 1.0
        block = re.match(r"model\.blocks\.(\d+)\.", name)
        depth = int(block[1]) + 1 if block else 0
        return decay ** (self.model.n_layers + 1 - depth)

    def _teacher_losses(self, pooled: Tensor, teacher: Mapping[str, Tensor]) -> dict[str, Tensor]:
        # clips without a teacher count as zero, so that parts of a batch can be averaged
        there = teacher["there"].to(pooled.dtype)
        parts: dict[str, Tensor] = {}
        if self.to_embedding is not None:
            guess = self.to_embedding(pooled)
            errors = functional.mse_loss(guess, teacher["embedding"], reduction="none")
            parts["teacher_embedding"] = (errors.mean(1) * there).mean()
        if self.to_logits is not None:
            guess, soft = self.to_logits(pooled), teacher["logits"].sigmoid()
            errors = functional.binary_cross_entropy_with_logits(guess, soft, reduction="none")
            parts["teacher_logits"] = (errors.mean(1) * there).mean()
        return parts


def expect_few(head: nn.Linear) -> None:
    """Start a fresh multi-label head at a low probability, instead of unlearning one half first.

    A clip is assumed to have one of the labels, or a share of `PRIOR` of them where they are many.
    """
    prior = min(max(PRIOR, 1 / head.out_features), 0.5)
    nn.init.constant_(head.bias, math.log(prior / (1 - prior)))


def band_statistics(features: Tensor, n_frames: Tensor) -> Tensor:
    """Mean and std of each band over the frames that hold sound, ``(batch, 2 x bands)``.

    The plain spectrum is a strong embedding of short calls; as a target it keeps the encoder from
    throwing away what a linear probe could have read off the log-mel.
    """
    frame = torch.arange(features.shape[1], device=features.device)
    n_frames = n_frames.to(features.device, non_blocking=True)
    has_sound = (frame[None] < n_frames[:, None]).to(features.dtype)[..., None]
    count = has_sound.sum(1)  # (batch, 1)
    mean = (features * has_sound).sum(1) / count
    variance = ((features - mean[:, None]).square() * has_sound).sum(1) / count
    return torch.cat([mean, variance.sqrt()], dim=1)


def draw_choices(
    model: EAT,
    lengths: Tensor,
    n_samples: int,
    rngs: Sequence[np.random.Generator],
    *,
    patch_keep: float,
    augment: SpecAugmentConfig,
) -> dict[str, Tensor | tuple[Tensor, Tensor]]:
    """Whatever the objective's forward leaves to chance, drawn for each clip by itself.

    Args:
        model: that is trained; it says how many frames and which drop path there are.
        lengths: ``(batch,)`` samples that hold sound.
        n_samples: width of the batch.
        rngs: one generator a clip.
        patch_keep: share of the patches that the encoder sees.
        augment: stripes to blank.

    Returns:
        Arguments of `ClassifyObjective.forward`, on the model's device.
    """
    device = model.cls_token.device
    n_frames = [frontend.n_frames(n) for n in lengths.tolist()]
    # whole patches: the front end pads the last one
    total = model.config.padded_frames or -(-frontend.n_frames(n_samples) // PATCH) * PATCH
    send = partial(torch.Tensor.to, device=device, non_blocking=True)  # small; nobody waits
    choices: dict[str, Tensor | tuple[Tensor, Tensor]] = {}
    if patch_keep < 1:
        choices["patches"] = send(draw_patches(n_frames, total // PATCH, patch_keep, rngs))
    if augment.n_time_masks or augment.n_band_masks:
        frames, bands = draw_stripes(n_frames, (total, frontend.N_BANDS), augment, rngs)
        choices["blanks"] = send(frames), send(bands)
    if model.config.drop_path:
        choices["branches"] = send(draw_branches(model, rngs))
    return choices


def draw_branches(model: EAT, rngs: Sequence[np.random.Generator]) -> Tensor:
    """What each clip's residual branches count, ``(blocks, 2, batch)``.

    Drop path rises evenly from 0 in the first block to the config's rate in the last; a branch that
    is kept counts so much more that the expectation stays. Source: Huang et al., ECCV 2016.
    """
    rates = torch.linspace(0, model.config.drop_path, model.n_layers)[:, None, None]
    drawn = np.stack([rng.random((model.n_layers, 2)) for rng in rngs], axis=-1)
    # (blocks, 2, batch): attention and MLP of each block
    return (torch.from_numpy(drawn) >= rates) / (1 - rates)


def draw_patches(
    n_frames: Sequence[int], n_steps: int, keep: float, rngs: Sequence[np.random.Generator]
) -> Tensor:
    """Random patches for each clip, those that hold sound first.

    Args:
        n_frames: frames that hold sound, of each clip.
        n_steps: time steps of the grid.
        keep: share of all patches to keep.
        rngs: one generator a clip.

    Returns:
        ``(batch, kept)`` indices, ascending.
    """
    n_patches = n_steps * N_BAND_STEPS
    order = torch.from_numpy(np.stack([rng.random(n_patches) for rng in rngs]))
    step = torch.arange(n_patches) // N_BAND_STEPS
    # patches of padding get a key above 1, so that they are chosen only when sound runs out
    empty = step[None] * PATCH >= torch.tensor(n_frames)[:, None]
    kept = max(1, round(keep * n_patches))
    return (order + empty).argsort(dim=1)[:, :kept].sort(dim=1).values
