"""Recordings, inputs and a stand-in for commands that the tests of the program share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from dawnchorus.cli import app
from program_inputs import Inputs, emptied

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


@pytest.fixture(scope="session")
def inputs(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Something to run each command on, by name; nothing may change it."""
    return Inputs(tmp_path_factory.mktemp("inputs") / "given", tiny_folder)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty folder for what a command writes, which is where it runs, too."""
    return emptied(tmp_path / "out")


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What each command is called with, instead of running it."""
    calls: list[dict[str, Any]] = []

    def recording(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(**given: Any) -> int:
            calls.append(given)
            return 0

        return call

    monkeypatch.setattr(app, "_finite", recording)
    return calls
