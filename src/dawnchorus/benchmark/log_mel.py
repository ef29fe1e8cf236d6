"""The baseline that any encoder has to beat: mean and standard deviation of the log-mel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from dawnchorus.audio.frontend import FRAME_HOP_SAMPLES, FRAME_SAMPLES, N_BANDS, log_mel
from dawnchorus.errors import UsageError
from dawnchorus.models.encoder import EncoderOutput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

LOG_MEL: Final = "log-mel"


class LogMel:
    """The baseline that any encoder has to beat: mean and deviation of each band over a clip.

    An encoder of one token, 256 wide, so that every pooling of it is the same.
    """

    name = LOG_MEL
    sample_rate = 16_000
    window_s = 10.0
    dim = 2 * N_BANDS
    n_layers = 0
    labels: Sequence[str] | None = None
    weights_sha256 = "log-mel-1"  # known by what it does; a change of that needs another number

    def __init__(self) -> None:
        """Has no weights; its identity lies where the loader notes that of others."""
        self.weights_sha256 = LogMel.weights_sha256

    def encode(
        self,
        waveforms: Tensor,
        lengths: Tensor | None = None,
        layers: Sequence[int | str] | None = None,
    ) -> EncoderOutput:
        """``(batch, samples)`` to one token each; see `Encoder`.

        Raises:
            UsageError: A layer is asked for.
        """
        if layers:
            raise UsageError(f"log-mel has no layers, {list(layers)} were asked for; use output")
        if lengths is None:
            lengths = torch.full((len(waveforms),), waveforms.shape[1])
        frames = 1 + (lengths - FRAME_SAMPLES) // FRAME_HOP_SAMPLES
        energies = log_mel(waveforms, lengths)
        held = [one[:n] for one, n in zip(energies, frames.tolist(), strict=True)]
        tokens = torch.stack([torch.cat([x.mean(0), x.std(0, unbiased=False)]) for x in held])
        seconds = waveforms.shape[1] / self.sample_rate
        return EncoderOutput(
            tokens=tokens[:, None],
            time_span_s=torch.tensor([[0.0, seconds]]),
            band_span=torch.tensor([[0, N_BANDS]]),
            has_signal=torch.ones(len(tokens), 1, dtype=torch.bool),
            n_cls=0,
        )
