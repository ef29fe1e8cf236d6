"""What a store says of the vectors in it: model, settings, versions."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from dawnchorus.audio.resample import RESAMPLER
from dawnchorus.engine.encode import model_identity, own_choices
from dawnchorus.engine.options import read_settings
from dawnchorus.models.eat import EAT
from dawnchorus.paths import stored_name
from dawnchorus.store.schema import StoreHeader

if TYPE_CHECKING:
    from pathlib import Path

    from dawnchorus.configs import EmbedConfig
    from dawnchorus.models.encoder import Encoder

PACKAGES: Final = ("dawnchorus", "torch", "numpy", "soundfile", "soxr", "pyarrow")


def make_header(model: Encoder, config: EmbedConfig, *, dim: int, audio_root: Path) -> StoreHeader:
    """The header that a store of this model and these options has."""
    settings = read_settings(model, config)
    pooling, layers = own_choices(model, config)
    identity = model_identity(model)
    return StoreHeader(
        model=model.name,
        weights_sha256=identity.weights_sha256,
        labels_sha256=identity.labels_sha256,
        licence=identity.licence,
        sample_rate=settings.sample_rate,
        window_s=settings.window / settings.sample_rate,
        hop_s=settings.hop / settings.sample_rate,
        window_samples=settings.window,
        hop_samples=settings.hop,
        channel=settings.channel,
        resampler=RESAMPLER,
        precision=identity.precision,
        normalization=model.config.normalization if isinstance(model, EAT) else None,
        pooling=pooling,
        layers=layers,
        dim=dim,
        dtype=config.dtype,
        labels=tuple(model.labels or ()) if config.predict else None,
        audio_root=stored_name(audio_root),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={package: version(package) for package in PACKAGES},
    )
