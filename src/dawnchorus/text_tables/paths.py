r"""One spelling for each path of a table: ``./a.wav``, ``x\a.wav`` and ``x//a.wav`` are not three.

What the file system alone knows, such as that ``A.WAV`` is ``a.wav`` here, or that one is a link
to the other, is not decided by spelling; see `dawnchorus.clips.recordings`.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

# A path that `plain_path` may spell differently; leading ``../`` are as they should be.
ODD: Final = r"\\|//|(^|/)\./|(^|/)(\.[^./]|\.\.[^/]|[^./])[^/]*/\.\.(/|$)|/\.?$"
_ODD: Final = re.compile(ODD)


def plain_path(text: str, folder: Path | None = None) -> str:
    r"""The path with ``/`` between its parts and nothing in it that leads nowhere.

    URLs stay as they are. A path with ``\`` is one of Windows; on other systems a file may have it
    in its name, and keeps it where there is such a file.

    Args:
        text: as a table has it.
        folder: where a relative path starts; None: do not look for files.
    """
    text = text.strip()
    if "://" in text or not _ODD.search(text):
        return text
    # a path of Windows, unless a file here is called so
    if "\\" in text and not _is_name(text, folder):
        return posixpath.normpath(PureWindowsPath(text).as_posix()).strip()
    return posixpath.normpath(text).strip()  # two slashes at the beginning stay: a share


def _is_name(text: str, folder: Path | None) -> bool:
    """Whether a file has this name, backslash and all."""
    if folder is None or os.sep == "\\":
        return False
    try:
        return (folder / text).exists()
    except (OSError, ValueError):
        return False


def is_absolute(text: str) -> bool:
    """Whether a plain path begins at a root or a drive, of any system."""
    return PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()


def parts_of(text: str) -> tuple[str, ...]:
    """Names of the folders and the file of a plain path, without root and drive."""
    path = PureWindowsPath(text)
    return path.relative_to(path.anchor).parts
