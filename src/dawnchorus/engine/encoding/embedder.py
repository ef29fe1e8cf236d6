"""A model with an `EmbedConfig`: windows to vectors, and to logits where those are stored too."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dawnchorus.engine.encoding.batches import BatchEncoder
from dawnchorus.engine.encoding.lanes import several_devices
from dawnchorus.engine.encoding.model import labels_of, ready_model
from dawnchorus.engine.encoding.workers import batch_size, n_workers
from dawnchorus.engine.options import read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from dawnchorus.configs import EmbedConfig
    from dawnchorus.engine.pipeline.read import ReadSettings
    from dawnchorus.models.encoder import Encoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedder:
    """An encoder that was checked with the windows of a run.

    Attributes:
        encoder: that embeds.
        config: of the run.
        settings: how recordings are cut into windows.
        batches: the encoder with the readout of the config.
        dim: length of a vector.
        batch_size: windows at once.
    """

    encoder: Encoder
    config: EmbedConfig
    settings: ReadSettings
    batches: BatchEncoder
    dim: int
    batch_size: int

    def encode(self, waveforms: Tensor, lengths: Tensor) -> NDArray[np.float32]:
        """``(batch, dim)``; with ``predict``, ``(batch, dim + classes)``, logits behind vectors."""
        if self.config.predict:
            return self.batches.vectors_and_logits(waveforms, lengths)
        return self.batches.vectors(waveforms, lengths)


@contextmanager
def ready_embedder(
    model: str | Path | Encoder, config: EmbedConfig, *, workers: int | None = None
) -> Iterator[Embedder]:
    """Load the model, or lend a loaded one, and check what it gives before any recording is read.

    Args:
        model: a name, file or folder, or a loaded encoder.
        config: of the run.
        workers: batches at once, where it is not the config that says so.

    Raises:
        UsageError: Scores are wanted of a model without labels, or the windows do not suit it.
        WeightsError: The outputs cannot be right.
    """
    with ready_model(model, config) as encoder:
        settings = read_settings(encoder, config)
        if config.predict:
            labels_of(encoder)  # refuses a model that has none
        batches = BatchEncoder(
            encoder,
            readout=config.readout,
            n_workers=workers or n_workers(encoder, config.workers),
            devices=several_devices(config.device),
        )
        yield Embedder(
            encoder=encoder,
            config=config,
            settings=settings,
            batches=batches,
            dim=batches.check(settings.window),
            batch_size=batch_size(encoder, config.batch_size, settings.window),
        )
