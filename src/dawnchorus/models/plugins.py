"""Encoders of other packages, found by entry point and never by scanning."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

from dawnchorus.errors import UsageError
from dawnchorus.models.encoder import Encoder

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUP: Final = "dawnchorus.encoders"


def plugin_names() -> Sequence[str]:
    """Names of all encoders that installed packages offer."""
    return sorted(entry_points(group=GROUP).names)


def load_plugin(name: str, device: str) -> Encoder:
    """Call a plugin's entry point, a function of the device that gives an encoder.

    Raises:
        UsageError: What it gives is not an encoder.
    """
    (entry, *_) = entry_points(group=GROUP, name=name)
    encoder = entry.load()(device=device)
    if not isinstance(encoder, Encoder):
        raise UsageError(
            f"plugin {name!r} ({entry.value}) gives a {type(encoder).__name__}, which is not an "
            f"encoder; dawnchorus.testing.check_encoder says what is missing"
        )
    return encoder
