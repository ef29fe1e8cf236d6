"""What searches keep of a store: beside it, or in the user's cache where it cannot be written.

Everything kept can be made again from the store, and says itself whether it is still true of it. So
there may be two versions of a file, the owner's and the user's own, and a reader tries both.
"""

from __future__ import annotations

import hashlib
import warnings
from typing import TYPE_CHECKING, Final

from dawnchorus.errors import DawnChorusWarning, StoreError
from dawnchorus.paths import absolute, cache_folder, remote_errors, stored_name
from dawnchorus.store.files import write_whole
from dawnchorus.store.storage import make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER: Final = "search"  # in the store, and in the cache


def kept_contents(store: Path, name: str) -> Iterator[bytes]:
    """What is kept of a store under a name: its own file, then the user's; those that are there."""
    for path in kept_paths(store, name):
        try:
            with remote_errors(path):
                yield path.read_bytes()
        except OSError:
            continue


def keep(store: Path, name: str, content: bytes) -> bool:
    """Keep a file beside the store, or else in the cache; False, with a warning, if neither can be.

    A bucket that others own, or an archive on a disk that is read-only, is searched all the same.
    """
    refused = None
    for path in kept_paths(store, name):
        try:
            with remote_errors(path):
                make_folder(path.parent)
            write_whole(path, content)
        except (OSError, StoreError) as error:
            refused = refused or error
        else:
            return True
    text = f"{store / FOLDER / name}: cannot be kept ({refused}); it is made again by every search"
    warnings.warn(text, DawnChorusWarning, stacklevel=3)
    return False


def kept_paths(store: Path, name: str) -> tuple[Path, Path]:
    """Where a file of a store lies: beside it, and in the user's cache."""
    place = hashlib.sha256(stored_name(absolute(store)).encode()).hexdigest()[:16]
    return store / FOLDER / name, cache_folder() / FOLDER / place / name
