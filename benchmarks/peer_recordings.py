"""Recordings for `peers.py`: an hour of sound in pieces, and damaged ones of known content.

A set is a folder with `piece-0`, `piece-1`, ..., `damaged`, and `sounds.json`: for each folder how
many seconds of sound each file really holds.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Final

import numpy as np
import soundfile  # noqa: TID251  makes recordings, reads none
from embed import MIX, chirps_in_noise, make_recordings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAMAGED: Final = "damaged"
SOUNDS: Final = "sounds.json"
DAMAGED_S: Final = 60  # each of the damaged ones, before it was damaged
RATE: Final = 48_000
SUFFIXES: Final = {".wav", ".flac", ".ogg", ".opus", ".mp3"}


def make_set(folder: Path, minutes: float, pieces: int, own: Path | None) -> None:
    """Make the set in ``folder``; of recordings in ``own`` if that is given, else of chirps."""
    shutil.rmtree(folder, ignore_errors=True)
    names = [f"piece-{number}" for number in range(pieces)]
    for name in [*names, DAMAGED]:
        (folder / name).mkdir(parents=True)
    if own is None:
        for name in names:
            make_recordings(folder / name, minutes / pieces, MIX)
    else:
        deal(own, [folder / name for name in names], minutes * 60)
    sounds = {name: {p.name: length_s(p) for p in (folder / name).iterdir()} for name in names}
    damaged = {name: damage(folder / DAMAGED / name) for name, damage in DAMAGES.items()}
    (folder / SOUNDS).write_text(json.dumps({**sounds, DAMAGED: damaged}, indent=1))


def length_s(path: Path) -> float:
    """Seconds of a sound recording, by its header."""
    return float(soundfile.info(path).duration)


def deal(own: Path, folders: list[Path], seconds: float) -> None:
    """Copy recordings of ``own``, drawn by a seed, into the folders in turn until there is enough.

    Raises:
        SystemExit: It holds less than that.
    """
    paths = sorted(path for path in own.rglob("*") if path.suffix.lower() in SUFFIXES)
    for number, drawn in enumerate(np.random.default_rng(0).permutation(len(paths))):
        path = paths[drawn]
        if seconds <= 0:
            return
        seconds -= length_s(path)
        target = folders[number % len(folders)] / f"{number:05}-{path.name}"
        shutil.copyfile(path, target)
    if seconds > 0:
        raise SystemExit(f"{own}: {seconds / 60:.1f} minutes too few; use fewer --minutes")


def chirps(path: Path, **settings: str) -> Path:
    """A minute of chirps in one channel."""
    rng = np.random.default_rng(sum(path.name.encode()))
    with soundfile.SoundFile(path, "w", RATE, 1, **settings) as file:
        for _ in range(DAMAGED_S // 10):
            file.write(chirps_in_noise(rng, RATE, 1))
    return path


def cut_wav(path: Path) -> float:
    """The card was pulled: the header promises a minute, 25 s are there."""
    content = chirps(path, subtype="PCM_16").read_bytes()
    path.write_bytes(content[: 44 + 25 * RATE * 2])
    return 25.0


def unfinished_wav(path: Path) -> float:
    """The battery died: all the sound is there, the sizes in the header are still 0."""
    content = bytearray(chirps(path, subtype="PCM_16").read_bytes())
    content[4:8] = content[40:44] = bytes(4)
    path.write_bytes(content)
    return float(DAMAGED_S)


def cut_flac(path: Path) -> float:
    """Half of its bytes, which are half of its sound."""
    content = chirps(path, subtype="PCM_16").read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return DAMAGED_S / 2


def holed_flac(path: Path) -> float:
    """16 kB in the middle are zeros."""
    content = bytearray(chirps(path, subtype="PCM_16").read_bytes())
    middle = len(content) // 2
    content[middle : middle + (1 << 14)] = bytes(1 << 14)
    path.write_bytes(content)
    return float(DAMAGED_S)


def holed_mp3(path: Path) -> float:
    """8 kB in the middle are zeros."""
    content = bytearray(chirps(path, subtype="MPEG_LAYER_III").read_bytes())
    middle = len(content) // 2
    content[middle : middle + (1 << 13)] = bytes(1 << 13)
    path.write_bytes(content)
    return float(DAMAGED_S)


def not_numbers(path: Path) -> float:
    """Floating-point samples, a second of them not numbers."""
    samples = np.random.default_rng(1).standard_normal(DAMAGED_S * RATE).astype(np.float32) * 0.1
    samples[30 * RATE : 31 * RATE] = np.nan
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    return float(DAMAGED_S)


def empty(path: Path) -> float:
    """No byte."""
    path.write_bytes(b"")
    return 0.0


def text(path: Path) -> float:
    """Something else with the ending of sound."""
    path.write_text("site,date\nnorth,2026-05-01\n" * 100)
    return 0.0


DAMAGES: Final[dict[str, Callable[[Path], float]]] = {
    "cut.wav": cut_wav,
    "unfinished.wav": unfinished_wav,
    "cut.flac": cut_flac,
    "hole.flac": holed_flac,
    "hole.mp3": holed_mp3,
    "not-numbers.wav": not_numbers,
    "empty.wav": empty,
    "text.wav": text,
}
