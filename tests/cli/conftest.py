"""Recordings that the tests of the program share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

WriteSound = Callable[..., Path]


@pytest.fixture
def mixed(tmp_path: Path, write_sound: WriteSound) -> Path:
    """A long recording and three short ones, one of them bad."""
    folder = tmp_path / "recordings"
    write_sound(folder / "a.wav", 12.4, 44_100, seed=1)
    write_sound(folder / "b.flac", 2.0, 16_000, seed=2)
    write_sound(folder / "c.ogg", 1.7, 22_050, seed=3)
    (folder / "bad.wav").write_text("not sound")
    return folder
