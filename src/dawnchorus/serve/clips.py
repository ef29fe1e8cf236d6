"""Sounds that were dropped on the page: kept in a folder of their own while the server runs."""

from __future__ import annotations

import base64
import binascii
import hashlib
import shutil
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dawnchorus.audio.decode.read import AUDIO_SUFFIXES, read_audio, read_info
from dawnchorus.errors import UsageError
from dawnchorus.serve.bodies import ClipAnswer
from dawnchorus.serve.library import NotThereError

if TYPE_CHECKING:
    from dawnchorus.serve.bodies import DroppedClip

MOST_CLIP_BYTES: Final = 20_000_000
LONGEST_CLIP_S: Final = 120.0  # a query is a call, not a night
MOST_CLIPS: Final = 50


class Clips:
    """Clips by an id that is made of their content."""

    def __init__(self) -> None:
        """There is none yet; the folder goes with the server."""
        self._folder: Path | None = None
        self._kept: OrderedDict[str, tuple[str, Path]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, clip: DroppedClip) -> ClipAnswer:
        """Keep a clip.

        Raises:
            UsageError: It is too large, too long, or not base64.
            AudioError: It is no sound that can be read.
        """
        try:
            content = base64.b64decode(clip.content, validate=True)
        except (binascii.Error, ValueError) as error:
            raise UsageError(f"the clip is not base64: {error}") from error
        if len(content) > MOST_CLIP_BYTES:
            raise UsageError(f"the clip has {len(content):,} bytes; at most {MOST_CLIP_BYTES:,}")
        name = hashlib.sha256(content).hexdigest()[:16]
        # the name that came with it decides nothing but a known suffix
        suffix = Path(clip.name).suffix.lower()
        path = self._made() / f"{name}{suffix if suffix in AUDIO_SUFFIXES else '.wav'}"
        path.write_bytes(content)
        try:
            duration_s = _duration_s(path)
        except Exception:
            path.unlink()
            raise
        with self._lock:
            self._kept[name] = (clip.name, path)
            while len(self._kept) > MOST_CLIPS:
                self._kept.popitem(last=False)[1][1].unlink(missing_ok=True)
        return ClipAnswer(id=name, name=clip.name, duration_s=duration_s)

    def path(self, name: str) -> Path:
        """The file of a clip.

        Raises:
            NotThereError: There is none of this id.
        """
        return self._get(name)[1]

    def name(self, name: str) -> str:
        """What the clip was called where it came from."""
        return self._get(name)[0]

    def close(self) -> None:
        """Remove all of them."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None
        self._kept.clear()

    def _made(self) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="dawnchorus-clips-"))
            return self._folder

    def _get(self, name: str) -> tuple[str, Path]:
        with self._lock:
            if name not in self._kept:
                raise NotThereError("this clip is not kept any more; drop it on the page again")
            return self._kept[name]


def _duration_s(path: Path) -> float:
    info = read_info(path)
    if info.n_samples is not None and info.n_samples > LONGEST_CLIP_S * info.sample_rate:
        raise UsageError(
            f"the clip is {info.n_samples / info.sample_rate:.0f} s long; at most "
            f"{LONGEST_CLIP_S:.0f} s: cut out the call"
        )
    samples = read_audio(path, stop_s=LONGEST_CLIP_S)
    return len(samples) / info.sample_rate
