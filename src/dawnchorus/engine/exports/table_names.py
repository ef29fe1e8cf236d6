"""Which file a recording's table goes to, where each recording has one of its own."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import Final

from dawnchorus.audio.decode.read import AUDIO_SUFFIXES
from dawnchorus.engine.exports.file_names import legal, marked, same_name
from dawnchorus.paths import absolute, as_text, is_remote, stored_name

DIGEST_BYTES: Final = 8


class TableNames:
    """Names in a folder that mirrors the recordings'.

    A table is called as its recording without the suffix. Where another recording of the folder
    would want that name too (``dawn.wav`` beside ``dawn.flac`` or ``Dawn.wav``), the suffix stays,
    for both of them, so that a name does not hang on which came first. What is left of doubt, such
    as folders that differ in case, is settled within the run by a hash.
    """

    def __init__(self, folder: Path, root: Path, ending: str) -> None:
        """``root``: the folder of the recordings; ``ending``: behind each name."""
        self._folder = folder
        self._root = root
        self._ending = ending
        self._taken: set[int] = set()  # digests: an archive has millions of names
        self._listed: tuple[Path, Counter[str]] = (Path(), Counter())

    def path(self, recording: Path) -> Path:
        """The file of one recording, no other recording's."""
        *folders, _ = self._inside(recording)
        stem = self._stem(recording)
        folder = self._folder.joinpath(*map(legal, folders))
        path = folder / legal(stem, behind=self._ending, whole=recording.name)
        if not self._take(path):
            path = folder / legal(marked(stem, as_text(recording)), behind=self._ending)
            self._take(path)
        return path

    def _inside(self, recording: Path) -> tuple[str, ...]:
        if is_remote(recording):
            relative = Path(stored_name(recording).removeprefix(stored_name(self._root) + "/"))
            return tuple(part for part in relative.parts if not part.endswith(":"))
        try:
            relative = Path(os.path.relpath(absolute(recording), absolute(self._root)))
        except ValueError:  # another drive of Windows
            relative = Path("..", recording.name)
        if ".." not in relative.parts:
            return relative.parts
        folder = absolute(recording).parent
        return marked(folder.name, folder.as_posix()), recording.name

    def _stem(self, recording: Path) -> str:
        if is_remote(recording):
            return recording.stem
        alike = self._names_in(recording.parent)
        return recording.name if alike[same_name(recording.stem)] > 1 else recording.stem

    def _names_in(self, folder: Path) -> Counter[str]:
        """Stems of the recordings in a folder; recordings come folder by folder, so one is kept."""
        if self._listed[0] != folder:
            try:
                files = [Path(name) for name in os.listdir(folder)]  # noqa: PTH208  names alone
            except OSError:
                files = []  # a store knows recordings that are not on this disk
            stems = (same_name(f.stem) for f in files if f.suffix.lower() in AUDIO_SUFFIXES)
            self._listed = (folder, Counter(stems))
        return self._listed[1]

    def _take(self, path: Path) -> bool:
        name = same_name(path.as_posix()).encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(name, digest_size=DIGEST_BYTES).digest()
        number = int.from_bytes(digest, "big")
        if number in self._taken:
            return False
        self._taken.add(number)
        return True
