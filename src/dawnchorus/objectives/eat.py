"""EAT's self-supervised objective: regress a teacher's features of the patches that are masked.

The student sees a fifth of a clip's patches, in several clones with different masks. The teacher,
a moving average of the student, sees the whole clip once. From the visible tokens and noise a
decoder predicts the teacher's features of every masked patch; the CLS token of each clone predicts
their mean over the clip. Source: EAT (Chen et al., IJCAI 2024) and its released code, which is
followed where they differ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from dawnchorus.models.eat_config import N_BAND_STEPS
from dawnchorus.nn import draws, ema
from dawnchorus.nn.decoder import Decoder, fill_grid
from dawnchorus.nn.masking import MaskShape, as_mask, inverse_block_masks
from dawnchorus.nn.patches import PATCH

if TYPE_CHECKING:
    from collections.abc import Callable

    from dawnchorus.models.eat import EAT
    from dawnchorus.nn.blocks import Block

TARGET_EPS: Final = 1e-5  # of both norms of the targets
VARIANCE_EPS: Final = 1e-6
MASK_STREAM, NOISE_STREAM = 1, 2  # one hash address for each use
N_WATCHED: Final = 4096  # patches whose variance is watched

Reduction = Literal["mean", "sum"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EATOptions:
    """What the objective leaves open; the defaults are the released base recipe's.

    Attributes:
        n_clones: masked copies of each clip that the student sees.
        mask: how much is masked, and how.
        noise_std: standard deviation of what the decoder sees in masked places.
        frame_weight: of the loss over masked patches.
        utterance_weight: of the loss of the CLS tokens.
        utterance_reduction: ``sum`` over the clones of the batch, as the code has it, or ``mean``,
            as the paper words it. The sum is over one process's part of the batch, so it changes
            with the number of processes; the mean does not. The code's 12 clips x 16 clones make
            the sum 192 times the mean.
        checkpoint: compute the student's blocks again in the backward pass, to save memory.
    """

    n_clones: int = 16
    mask: MaskShape = field(default_factory=MaskShape)
    noise_std: float = 0.01
    frame_weight: float = 1.0
    utterance_weight: float = 1.0
    utterance_reduction: Reduction = "sum"
    checkpoint: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Clones:
    """What the student and the decoder make of the clones of a batch; rows are clips x clones.

    Attributes:
        tokens: ``(rows, 1 + kept, dim)`` of the student, CLS first.
        decoder_in: ``(rows, patches, dim)``.
        decoder_out: ``(rows, patches, dim)``.
    """

    tokens: Tensor
    decoder_in: Tensor
    decoder_out: Tensor


class EATObjective(nn.Module):
    """Student, teacher and decoder; calling it with a batch of waveforms gives the losses."""

    def __init__(self, model: EAT, decoder: Decoder, options: EATOptions, *, seed: int) -> None:
        """``model`` becomes the student; the teacher starts as its copy."""
        super().__init__()
        self.model = model
        self.decoder = decoder
        self.options = options
        self.seed = seed
        self.teacher = ema.make_teacher(model)
        # bound here, so that `compile` can replace them while the names of weights stay
        self._run_noise: Callable[[Tensor, int], Tensor] = self._noise
        self._run_student: Callable[[Tensor], Tensor] = self._student_blocks
        self._run_teacher: Callable[[Tensor], Tensor] = self._teacher_targets
        self._run_decoder: Callable[[Tensor, int, int], Tensor] = self.decoder.forward

    def compile(self, backend: str = "inductor") -> None:
        """Compile the parts that take the time; weights and results stay the same."""
        together = partial(torch.compile, dynamic=False, backend=backend)
        self._run_noise = together(self._noise)
        self._run_student = together(self._student_blocks)
        self._run_teacher = together(self._teacher_targets)
        self._run_decoder = together(self.decoder.forward)

    def train(self, mode: bool = True) -> EATObjective:  # noqa: FBT001, FBT002  torch's signature
        """As for any module, but the teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(
        self, waveforms: Tensor, lengths: Tensor, *, step: int, first_row: int = 0
    ) -> dict[str, Tensor]:
        """Losses of a part of a step's batch.

        Args:
            waveforms: ``(batch, samples)`` at the model's rate.
            lengths: ``(batch,)`` samples that hold sound; a clip that is shorter than the batch is
                repeated to its end, so that every patch holds sound.
            step: of the run; masks and noise follow from seed, step and row.
            first_row: number of the first clip in the whole batch.

        Returns:
            ``loss``, ``frame``, ``utterance``, and ``target_deviation`` and
            ``prediction_deviation``: standard deviations over patches, the mean over channels.
        """
        device = self.model.cls_token.device
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            filled = repeat_to_end(waveforms.to(device), lengths.to(device))
            features, _ = self.model.features(filled)
        kept, noise = self.draw(len(features), features.shape[1], step=step, first_row=first_row)
        targets = self.targets(features)
        return self.losses(self.clones(features, kept, noise), targets, kept)

    def draw(
        self, n_clips: int, n_frames: int, *, step: int, first_row: int
    ) -> tuple[Tensor, Tensor]:
        """What is random in a part of a step's batch, on the model's device.

        Returns:
            Visible patches ``(clips x clones, kept)``, clones of a clip side by side, and the
            decoder's noise ``(clips x clones, patches, dim)``.
        """
        n_time = n_frames // PATCH
        # a row of the whole batch has its own masks and noise, whichever process computes it
        first = first_row * self.options.n_clones
        rows = torch.arange(n_clips * self.options.n_clones, device=self.model.cls_token.device)
        keys, noise_keys = (
            draws.row_keys(self.seed, step, stream, rows + first)
            for stream in (MASK_STREAM, NOISE_STREAM)
        )
        kept = inverse_block_masks(keys, n_time, N_BAND_STEPS, self.options.mask)
        return kept, self._run_noise(noise_keys, n_time * N_BAND_STEPS)

    def _noise(self, keys: Tensor, n_patches: int) -> Tensor:
        drawn = draws.normal(keys, n_patches * self.model.dim)
        return self.options.noise_std * drawn.view(-1, n_patches, self.model.dim)

    @torch.no_grad()
    def targets(self, features: Tensor) -> Tensor:
        """What the decoder should say of each patch, ``(batch, patches, dim)`` float32.

        The teacher's MLP outputs before their residual, each layer normalised over the patches of
        a clip, averaged over the layers, then normalised over channels.
        """
        return self._run_teacher(self.teacher.with_cls(self.teacher.patch_tokens(features)))

    def _teacher_targets(self, tokens: Tensor) -> Tensor:
        # normalised layer by layer, so that each counts the same whatever its scale
        total = torch.zeros((), device=tokens.device)
        for block in self.teacher.blocks:
            tokens, added = cast("Block", block).with_mlp(tokens)
            total = total + normalise_over_patches(added[:, 1:].float())
        mean = total / len(self.teacher.blocks)
        return functional.layer_norm(mean, mean.shape[-1:], eps=TARGET_EPS)

    def clones(self, features: Tensor, kept: Tensor, filler: Tensor) -> Clones:
        """Run student and decoder.

        Args:
            features: ``(batch, frames, 128)`` normalised.
            kept: ``(batch x clones, kept)`` visible patches, clones of a clip side by side.
            filler: ``(batch x clones, patches, dim)``, what the decoder sees in masked places.
        """
        tokens = self.student(self.visible(features, kept))
        decoder_in = fill_grid(tokens[:, 1:], kept, filler)
        n_time = features.shape[1] // PATCH
        out = self._run_decoder(decoder_in, n_time, N_BAND_STEPS)
        return Clones(tokens=tokens, decoder_in=decoder_in, decoder_out=out)

    def visible(self, features: Tensor, kept: Tensor) -> Tensor:
        """Each clone's visible patches, ``(batch x clones, kept, dim)``, embedded once a clip."""
        patches = self.model.patch_tokens(features)
        n_clips, n_patches, dim = patches.shape
        # index_select of flat rows: its backward pass adds up the clones of a clip
        clip = torch.arange(n_clips, device=kept.device).repeat_interleave(len(kept) // n_clips)
        flat = (clip[:, None] * n_patches + kept).flatten()
        return patches.reshape(-1, dim).index_select(0, flat).view(*kept.shape, dim)

    def student(self, visible: Tensor) -> Tensor:
        """The encoder on visible patches: ``(rows, 1 + kept, dim)``, CLS first."""
        return self._run_student(self.model.with_cls(visible))

    def _student_blocks(self, tokens: Tensor) -> Tensor:
        for block in self.model.blocks:
            if self.options.checkpoint and self.training:
                tokens = checkpoint(block, tokens, use_reentrant=False)
            else:
                tokens = block(tokens)
        return tokens

    def losses(self, clones: Clones, targets: Tensor, kept: Tensor) -> dict[str, Tensor]:
        """Frame and utterance loss and what is watched, in float32.

        Both are squared distances over the square root of the dimension, as in the code. All rows
        mask equally many patches, so equal parts of a batch can be averaged.

        Args:
            clones: of the batch.
            targets: ``(batch, patches, dim)``.
            kept: ``(batch x clones, kept)`` visible patches.
        """
        n_clips, n_patches, dim = targets.shape
        n_clones = len(kept) // n_clips
        masked = as_mask(kept, n_patches)
        # squares of bfloat16 keep three digits, and the loss is a sum of millions of them
        with torch.autocast(targets.device.type, enabled=False):
            predictions = clones.decoder_out.float().view(n_clips, n_clones, n_patches, dim)
            squared = (predictions - targets[:, None]).square().sum(-1)  # clips, clones, patches
            weight = masked.view_as(squared).float()
            frame = (squared * weight).sum() / (weight.sum() * math.sqrt(dim))
            cls = clones.tokens[:, 0].float().view(n_clips, n_clones, dim)
            apart = (cls - targets.mean(dim=1)[:, None]).square().sum(-1) / math.sqrt(dim)
            # the sum grows with the batch of a process, the mean does not; see EATOptions
            by_sum = self.options.utterance_reduction == "sum"
            utterance = apart.sum() if by_sum else apart.mean()
            loss = self.options.frame_weight * frame + self.options.utterance_weight * utterance
        return {
            "loss": loss,
            "frame": frame.detach(),
            "utterance": utterance.detach(),
            **watch(clones.decoder_out.detach(), targets, masked, n_patches - kept.shape[1]),
        }

    def follow(self, decay: float) -> None:
        """Move the teacher towards the student."""
        ema.follow(self.teacher, self.model, decay)


def normalise_over_patches(layer: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the patches of each clip, channel by channel."""
    variance, mean = torch.var_mean(layer, dim=1, correction=0, keepdim=True)
    return (layer - mean) * (variance + TARGET_EPS).rsqrt()


def repeat_to_end(waveforms: Tensor, lengths: Tensor) -> Tensor:
    """Repeat each clip from its beginning until the batch's width is full."""
    position = torch.arange(waveforms.shape[1], device=waveforms.device)
    return waveforms.gather(1, position[None] % lengths[:, None])


@torch.no_grad()
def watch(predictions: Tensor, targets: Tensor, masked: Tensor, n_masked: int) -> dict[str, Tensor]:
    """Standard deviation of targets and predictions over masked patches, mean over channels.

    Either goes to 0 when training collapses, and the loss with it. At most `N_WATCHED` patches are
    looked at. Source: EAT code, which calls them ``target_var`` and ``pred_var``.

    Args:
        predictions: ``(batch x clones, patches, dim)``.
        targets: ``(batch, patches, dim)``.
        masked: ``(batch x clones, patches)`` bool.
        n_masked: of each row.
    """
    n_clones = len(predictions) // len(targets)
    # every step-th row: a few thousand patches tell a collapse as well as all of them
    step = max(1, len(predictions) * n_masked // N_WATCHED)
    rows = torch.arange(0, len(predictions), step, device=masked.device)
    places = masked[rows].int().argsort(dim=1, descending=True, stable=True)[:, :n_masked]
    places = places[..., None].expand(-1, -1, targets.shape[-1])

    def spread(patches: Tensor) -> Tensor:
        chosen = patches.float().gather(1, places).flatten(0, 1)
        return (chosen.var(dim=0) + VARIANCE_EPS).sqrt().mean()

    return {
        "target_deviation": spread(targets[rows // n_clones]),
        "prediction_deviation": spread(predictions[rows]),
    }


@torch.no_grad()
def effective_rank(embeddings: Tensor) -> float:
    """Number of directions that embeddings really use: exp of the entropy of their spectrum.

    Args:
        embeddings: ``(clips, dim)``.

    Returns:
        From 1, when all differences lie on a line (0 when there are none), to the smaller of
        clips - 1 and dim. Source: Roy and Vetterli, EUSIPCO 2007.
    """
    centred = (embeddings - embeddings.mean(dim=0)).double()
    values = torch.linalg.svdvals(centred)
    if not bool(values.sum() > 0):
        return 0.0
    share = values / values.sum()
    return float(torch.special.entr(share).sum().exp())
