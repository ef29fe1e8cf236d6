"""A store whose recordings are there, and a browser that has its cookie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from dawnchorus.serve.session import Session
from planted_store import plant
from served import RATE, RECORDINGS, Browser, sound_of


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with ``x.store`` and ``recordings/``, of which one is missing."""
    root = tmp_path / "recordings"
    for name, groups in RECORDINGS.items():
        if "gone" not in name:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, sound_of(name, len(groups)), RATE, "PCM_16")
    plant(tmp_path / "x.store", RECORDINGS, audio_root=str(root))
    return tmp_path


@pytest.fixture
def session(home: Path) -> Iterator[Session]:
    session = Session([home / "x.store"], author="ann")
    yield session
    session.close()


@pytest.fixture
def browser(session: Session) -> Browser:
    return Browser(session).enter()
