"""Multi-label classification, with further vocabularies and a teacher beside the shipped head."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from dawnchorus.audio import frontend
from dawnchorus.audio.augment import spec_augment
from dawnchorus.nn.patches import PATCH

PRIOR = 0.01  # share of labels that hold for a clip, in order of magnitude

if TYPE_CHECKING:
    import numpy as np

    from dawnchorus.configs import SpecAugmentConfig
    from dawnchorus.models.eat import EAT


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyTargets:
    """What each clip of a batch should give.

    Attributes:
        labels: ``(batch, classes + further classes)`` of 0 and 1: the model's own labels, then the
            rest.
        teacher_embedding: ``(batch, dim)`` standardised, None without a teacher.
        teacher_logits: ``(batch, classes)`` of the teacher, None without one.
        has_teacher: ``(batch,)`` bool, where the teacher has something to say.
    """

    labels: Tensor
    teacher_embedding: Tensor | None = None
    teacher_logits: Tensor | None = None
    has_teacher: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyWeights:
    """Weight of each part of the loss."""

    labels: float = 1.0
    label_smoothing: float = 0.0
    teacher_embedding: float = 0.0
    teacher_logits: float = 0.0
    band_statistics: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyOutput:
    """What a batch gave: pooled ``(batch, dim)``, logits ``(batch, classes)``, band statistics."""

    pooled: Tensor
    logits: Tensor
    statistics: Tensor


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
    ) -> None:
        """``n_further``: labels of vocabularies that are trained and not shipped."""
        super().__init__()
        self.model = model
        self.weights = weights
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
        *,
        patch_keep: float = 1.0,
        augment: SpecAugmentConfig | None = None,
        rng: np.random.Generator | None = None,
    ) -> ClassifyOutput:
        """Run the model as the heads see it.

        Args:
            waveforms: ``(batch, samples)`` at the model's rate.
            lengths: ``(batch,)`` samples that hold sound.
            patch_keep: share of the patches that the encoder sees; needs ``rng`` below 1.
            augment: stripes to blank in the log-mel; needs ``rng``.
            rng: source of the random choices; None: none are made.
        """
        with torch.no_grad():  # nothing before the patch embedding has weights
            features, n_frames = self.model.features(waveforms, lengths)
            statistics = band_statistics(features, n_frames)
            if augment is not None and rng is not None:
                features = spec_augment(features, n_frames, augment, rng)
        patches = None
        if patch_keep < 1 and rng is not None:
            patches = draw_patches(n_frames, features.shape[1] // PATCH, patch_keep, rng)
            patches = patches.to(features.device)
        tokens, has_signal = self.model.tokens(features, n_frames, patches=patches)
        pooled = self.model.pool_for_head(tokens, has_signal)
        heads = [head(pooled) for head in (self.model.head, self.further) if head is not None]
        return ClassifyOutput(pooled=pooled, logits=torch.cat(heads, dim=1), statistics=statistics)

    def losses(self, output: ClassifyOutput, targets: ClassifyTargets) -> dict[str, Tensor]:
        """Each part of the loss, unweighted, and their weighted sum as ``loss``.

        ``labels`` is binary cross-entropy, the mean over the batch and classes (AVES2 recipe).
        """
        smooth = self.weights.label_smoothing
        wanted = targets.labels * (1 - smooth) + 0.5 * smooth
        parts = {"labels": functional.binary_cross_entropy_with_logits(output.logits, wanted)}
        parts |= self._teacher_losses(output.pooled, targets)
        if self.to_bands is not None:
            guess = self.to_bands(output.pooled)
            parts["band_statistics"] = functional.mse_loss(guess, output.statistics)
        weighted = [getattr(self.weights, name) * value for name, value in parts.items()]
        return {"loss": torch.stack(weighted).sum(), **parts}

    def _teacher_losses(self, pooled: Tensor, targets: ClassifyTargets) -> dict[str, Tensor]:
        here = targets.has_teacher
        if here is None or not bool(here.any()):
            return {}
        parts: dict[str, Tensor] = {}
        if self.to_embedding is not None and targets.teacher_embedding is not None:
            guess = self.to_embedding(pooled[here])
            parts["teacher_embedding"] = functional.mse_loss(guess, targets.teacher_embedding[here])
        if self.to_logits is not None and targets.teacher_logits is not None:
            soft = targets.teacher_logits[here].sigmoid()
            guess = self.to_logits(pooled[here])
            parts["teacher_logits"] = functional.binary_cross_entropy_with_logits(guess, soft)
        return parts


def expect_few(head: nn.Linear) -> None:
    """Start a fresh multi-label head at a low probability, instead of unlearning one half first."""
    nn.init.constant_(head.bias, math.log(PRIOR / (1 - PRIOR)))


def band_statistics(features: Tensor, n_frames: Tensor) -> Tensor:
    """Mean and deviation of each band over the frames that hold sound, ``(batch, 2 x bands)``.

    The plain spectrum is a strong embedding of short calls; as a target it keeps the encoder from
    throwing away what a linear probe could have read off the log-mel.
    """
    frame = torch.arange(features.shape[1], device=features.device)
    held = (frame[None] < n_frames[:, None]).to(features.dtype)[..., None]
    count = held.sum(1)
    mean = (features * held).sum(1) / count
    variance = ((features - mean[:, None]).square() * held).sum(1) / count
    return torch.cat([mean, variance.sqrt()], dim=1)


def draw_patches(n_frames: Tensor, n_steps: int, keep: float, rng: np.random.Generator) -> Tensor:
    """Random patches for each clip, those that hold sound first.

    Args:
        n_frames: ``(batch,)`` frames that hold sound.
        n_steps: time steps of the grid.
        keep: share of all patches to keep.
        rng: source of the choice.

    Returns:
        ``(batch, kept)`` indices, ascending.
    """
    n_bands = 8
    order = torch.from_numpy(rng.random((len(n_frames), n_steps * n_bands)))
    step = torch.arange(n_steps * n_bands) // n_bands
    empty = step[None] * PATCH >= n_frames.cpu()[:, None]
    kept = max(1, round(keep * n_steps * n_bands))
    return (order + empty).argsort(dim=1)[:, :kept].sort(dim=1).values
