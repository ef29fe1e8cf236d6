"""Names of a package that are imported when they are first used."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType


def on_first_use(package: str, home: Mapping[str, str]) -> Callable[[str], Any]:
    """A ``__getattr__`` for a package.

    Args:
        package: its name.
        home: the module of each name; ``module:name`` where it has another name there.
    """

    def found(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, its_name = home[name].partition(":")
        value = getattr(import_quickly(module), its_name or name)
        setattr(sys.modules[package], name, value)
        return value

    return found


def import_quickly(module: str) -> ModuleType:
    """Import a module without collecting garbage meanwhile.

    What importing torch makes stays. The collector would walk over all of it again whenever there
    is a quarter more, which is a fifth of the time until a model is loaded.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return import_module(module)
    finally:
        if was_enabled:
            if not gc.get_freeze_count():  # a program's own frozen objects stay frozen
                # what was made counts as old: else the next small collection walks over it
                gc.freeze()
                gc.unfreeze()
            gc.enable()
