"""Clips are handed to a player of the system, and taken away again."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dawnchorus.audio import player as playing
from dawnchorus.audio.decode.read import read_audio, read_info
from dawnchorus.audio.player import MOST_GAIN, PEAK, Player, find_player

RATE = 16_000
QUIET = (0.01 * np.sin(np.arange(RATE) / 5)).astype(np.float32)
WAITS = (sys.executable, "-c", "import time; time.sleep(60)")


def there(*names: str):
    return lambda name: f"/usr/bin/{name}" if name in names else None


@pytest.mark.parametrize(
    ("names", "command"),
    [
        (("aplay", "play"), ("/usr/bin/aplay", "-q")),
        (("afplay", "powershell"), ("/usr/bin/afplay",)),
        (("ffplay", "aplay"), ("/usr/bin/ffplay", "-nodisp", "-autoexit", "-loglevel", "error")),
        (("powershell",), ("/usr/bin/powershell", "-NoProfile", "-Command")),
        ((), None),
    ],
)
def test_the_first_player_that_is_there_is_taken(
    names: tuple[str, ...], command: tuple[str, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", there(*names))
    assert find_player() == command


@pytest.mark.parametrize(
    ("samples", "peak"),
    [(QUIET, min(PEAK, 0.01 * MOST_GAIN)), (90 * QUIET, 0.9), (0 * QUIET, 0.0)],
    ids=["quiet", "loud", "silent"],
)
def test_a_clip_is_a_wav_that_is_raised_and_never_lowered(samples: np.ndarray, peak: float) -> None:
    with Player(None) as player:
        clip = player.play(samples, RATE, "night_0.50s")
        assert clip.name == "night_0.50s.wav"
        assert read_info(clip).sample_rate == RATE
        written = read_audio(clip)
        assert len(written) == RATE
        assert np.abs(written).max() == pytest.approx(peak, rel=1e-3)
        other = player.play(samples, RATE, "other")
        assert other.exists()
        assert not clip.exists()
    assert not other.parent.exists()


def test_the_next_clip_and_the_end_stop_what_plays() -> None:
    began = time.monotonic()
    with Player(WAITS) as player:
        player.play(QUIET, RATE, "a")
        first = player._process
        player.play(QUIET, RATE, "b")
        second = player._process
        assert first is not None
        assert first.poll() is not None
        assert second is not None
        assert second.poll() is None
    assert second.poll() is not None
    assert time.monotonic() - began < 50
    assert player.problem == ""


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ((sys.executable, "-c", "raise SystemExit(3)"), "cannot play it (exit code 3)"),
        (("/no/such/program",), "cannot be started"),
    ],
    ids=["fails", "gone"],
)
def test_a_player_that_cannot_play_is_named_and_not_tried_again(
    command: tuple[str, ...], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playing, "FAILS_WITHIN_S", 30.0)
    with Player(command) as player:
        clip = player.play(QUIET, RATE, "a")
        assert problem in player.problem
        assert player.command is None
        assert clip.exists()


def test_powershell_gets_a_quoted_path(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []

    class Played:
        def __init__(self, command: list[str], **_: object) -> None:
            calls.append(command)

        def wait(self, **_: object) -> int:
            return 0

        def poll(self) -> int:
            return 0

    monkeypatch.setattr(playing.subprocess, "Popen", Played)
    with Player(("C:/powershell.exe", "-Command")) as player:
        clip = player.play(QUIET, RATE, "a'b")
    quoted = str(clip).replace("'", "''")
    assert calls[0][2] == f"(New-Object Media.SoundPlayer '{quoted}').PlaySync()"
    assert Path(quoted).name == "a''b.wav"
