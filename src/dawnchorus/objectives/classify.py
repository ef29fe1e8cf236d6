"""Multi-label classification, with further vocabularies and a teacher beside the shipped head."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dawnchorus.audio import frontend
from dawnchorus.audio.augment import blank_stripes
from dawnchorus.models.eat import N_BAND_STEPS
from dawnchorus.nn.patches import PATCH

PRIOR = 0.01  # share of labels that hold for a clip, in order of magnitude

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dawnchorus.models.eat import EAT


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
        labels: Tensor,
        *,
        teacher: Mapping[str, Tensor] | None = None,
        patches: Tensor | None = None,
        blanks: tuple[Tensor, Tensor] | None = None,
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
            patches: ``(batch, kept)`` indices of the patches that the encoder sees, None: all.
            blanks: ``(batch, frames)`` and ``(batch, bands)`` bool, what to blank in the log-mel.
        """
        with torch.no_grad():  # nothing before the patch embedding has weights
            features, n_frames = self.model.features(waveforms, lengths)
            statistics = band_statistics(features, n_frames)
            if blanks is not None:
                features = blank_stripes(features, *blanks)
        tokens, has_signal = self.model.tokens(features, n_frames, patches=patches)
        pooled = self.model.pool_for_head(tokens, has_signal)
        heads = [head(pooled) for head in (self.model.head, self.further) if head is not None]
        logits = torch.cat(heads, dim=1)
        smooth = self.weights.label_smoothing
        wanted = labels * (1 - smooth) + 0.5 * smooth
        parts = {"labels": functional.binary_cross_entropy_with_logits(logits, wanted)}
        if teacher is not None:
            parts |= self._teacher_losses(pooled, teacher)
        if self.to_bands is not None:
            parts["band_statistics"] = functional.mse_loss(self.to_bands(pooled), statistics)
        weighted = [getattr(self.weights, name) * value for name, value in parts.items()]
        return {"loss": torch.stack(weighted).sum(), **parts, "logits": logits}

    def _teacher_losses(self, pooled: Tensor, teacher: Mapping[str, Tensor]) -> dict[str, Tensor]:
        there = teacher["there"].to(pooled.dtype)
        parts: dict[str, Tensor] = {}
        if self.to_embedding is not None:
            guess = self.to_embedding(pooled)
            off = functional.mse_loss(guess, teacher["embedding"], reduction="none")
            parts["teacher_embedding"] = (off.mean(1) * there).mean()
        if self.to_logits is not None:
            guess, soft = self.to_logits(pooled), teacher["logits"].sigmoid()
            off = functional.binary_cross_entropy_with_logits(guess, soft, reduction="none")
            parts["teacher_logits"] = (off.mean(1) * there).mean()
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
    empty = step[None] * PATCH >= torch.tensor(n_frames)[:, None]
    kept = max(1, round(keep * n_patches))
    return (order + empty).argsort(dim=1)[:, :kept].sort(dim=1).values
