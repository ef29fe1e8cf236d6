"""The released library's import path of the probe builder.

Probes lie above models, so the name is looked up at first use, never at import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dawnchorus.probes.build import build_probe_from_config

__all__ = ["build_probe_from_config"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dawnchorus.probes import build  # noqa: PLC0415 - see the docstring

    return getattr(build, name)
