"""What a user says in keywords, and what a model and a config make of window lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

from dawnchorus.audio.frontend import FRAME_SAMPLES
from dawnchorus.audio.windows import to_samples
from dawnchorus.configs import Backend, ComputedPrecision, EmbedConfig, WindowConfig
from dawnchorus.engine.pipeline.read import ReadSettings
from dawnchorus.errors import UsageError
from dawnchorus.machine import n_readers
from dawnchorus.store.schema import HEADER_NAME, read_header

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dawnchorus.configs import Precision
    from dawnchorus.models.encoder import Encoder
    from dawnchorus.store.schema import StoreHeader


def embed_config(config: EmbedConfig | None, options: Mapping[str, Any]) -> EmbedConfig:
    """A config with keywords on top; ``window_s`` and ``hop_s`` go to its windows.

    Raises:
        UsageError: A keyword is unknown or a value is nonsense.
    """
    base = config or EmbedConfig()
    lengths = {name: options[name] for name in ("window_s", "hop_s") if name in options}
    others = {name: value for name, value in options.items() if name not in lengths}
    # not model_dump: it would turn the readout and the windows into dicts
    values = {name: getattr(base, name) for name in EmbedConfig.model_fields} | others
    if lengths:
        windows = values["windows"]
        values["windows"] = WindowConfig(
            **{"window_s": windows.window_s, "hop_s": windows.hop_s, **lengths}
        )
    return EmbedConfig(**values)


def continuing(config: EmbedConfig, store: Path) -> EmbedConfig:
    """The config in the precision and backend of the store, if there is one and none was named.

    So a store that was begun on one machine is continued on any other.

    Raises:
        StoreError: The store's header is damaged.
    """
    if not (store / HEADER_NAME).exists():
        return config
    header = read_header(store)
    backend = config.backend or backend_of(header)
    # of another backend: refused later, by the header, with both named
    if config.precision != "auto" or backend != backend_of(header):
        return config.model_copy(update={"backend": backend})
    return config.model_copy(update={"precision": precision_of(header), "backend": backend})


def backend_of(header: StoreHeader) -> Backend:
    """The backend to ask for, for vectors like those of a store."""
    return cast("Backend", header.backend) if header.backend in get_args(Backend) else "torch"


def precision_of(header: StoreHeader) -> Precision:
    """The precision to ask for, for vectors like those of a store."""
    if header.precision in get_args(ComputedPrecision):
        return cast("ComputedPrecision", header.precision)
    return "auto"  # an encoder of another package has its own


def read_settings(model: Encoder, config: EmbedConfig) -> ReadSettings:
    """Window and hop in samples at the model's rate; what was left out is the model's own.

    Raises:
        UsageError: The window is shorter than a frame, or the hop longer than the window.
    """
    window_s = config.windows.window_s or model.window_s
    hop_s = config.windows.hop_s or window_s
    window, hop = to_samples(window_s, model.sample_rate), to_samples(hop_s, model.sample_rate)
    # the frontend makes no frame of less, so there would be no token
    if window < FRAME_SAMPLES:
        raise UsageError(
            f"window_s {window_s:g} is {window} samples at {model.sample_rate} Hz; "
            f"need {FRAME_SAMPLES} or more"
        )
    if not 0 < hop <= window:
        raise UsageError(
            f"need 0 < hop_s <= window_s, so that no sound is passed over; got a hop of {hop_s:g} "
            f"s and a window of {window_s:g} s ({model.name}'s own is {model.window_s:g} s)"
        )
    return ReadSettings(
        sample_rate=model.sample_rate,
        window=window,
        hop=hop,
        channel=config.channel,
        content_hash=config.content_hash,
        n_readers=n_readers(config.workers),
    )
