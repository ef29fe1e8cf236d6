"""Models that a program adds: encoders of other packages, and names that it registers itself.

Packages are found by entry point, never by scanning.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.errors import UsageError
from dawnchorus.models.encoder import Encoder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

GROUP: Final = "dawnchorus.encoders"
Maker = Callable[[str], Encoder]  # of a device
_registered: dict[str, str | Path | Maker] = {}


def plugin_names() -> Sequence[str]:
    """Names of all encoders that installed packages offer, or that were registered as functions."""
    makers = {name for name, model in _registered.items() if callable(model)}
    return sorted({*entry_points(group=GROUP).names, *makers})


def load_plugin(name: str, device: str) -> Encoder:
    """Call a plugin's entry point, a function of the device that gives an encoder.

    Raises:
        UsageError: What it gives is not an encoder.
    """
    maker = _registered.get(name)
    encoder: Any
    if callable(maker):
        encoder, where = maker(device), "registered"
    else:
        # the first of several: two packages that offer one name are the user's to sort out
        (entry, *_) = entry_points(group=GROUP, name=name)
        encoder, where = entry.load()(device=device), entry.value
    if not isinstance(encoder, Encoder):
        raise UsageError(
            f"plugin {name!r} ({where}) gives a {type(encoder).__name__}, which is not an "
            f"encoder; dawnchorus.testing.check_encoder says what is missing"
        )
    return encoder


def register(name: str, model: str | Path | Maker) -> None:
    """Keep a name until the program ends."""
    _registered[name] = model


def registered() -> Sequence[str]:
    """Names that were registered, in order."""
    return list(_registered)


def meant_by(name: str | Path) -> str | Path:
    """What a registered name stands for: a path or address; any other name stands for itself."""
    model = _registered.get(str(name))
    return name if model is None or callable(model) else model
