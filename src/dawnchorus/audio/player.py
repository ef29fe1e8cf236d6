"""Playing a clip through whatever program of the system plays sound."""

from __future__ import annotations

import shutil
import subprocess
import wave
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# ffmpeg's; ALSA's; PulseAudio's and PipeWire's; that of macOS; that of SoX
PROGRAMS: Final = (
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
    ("aplay", "-q"),
    ("paplay",),
    ("afplay",),
    ("play", "-q"),
)
WINDOWS: Final = "powershell"
PEAK: Final = 0.7  # of full scale, to which a quiet clip is raised
MOST_GAIN: Final = 30.0  # about 30 dB: more would make silence a roar
FAILS_WITHIN_S: Final = 0.3  # a player without a sound card ends at once


def find_player() -> tuple[str, ...] | None:
    """The command that plays a file whose path is its last argument; None: there is none."""
    for name, *arguments in PROGRAMS:
        program = shutil.which(name)
        if program is not None:
            return program, *arguments
    program = shutil.which(WINDOWS)
    return None if program is None else (program, "-NoProfile", "-Command")


class Player:
    """Plays one clip at a time, out of a folder that is gone when it is closed.

    Attributes:
        command: as `find_player` finds it; None: clips are written, and nothing plays them.
        problem: why the last clip was not heard; empty if nothing is known against it.
    """

    def __init__(self, command: tuple[str, ...] | None) -> None:
        """Make the folder."""
        self.command = command
        self.problem = ""
        self._folder = TemporaryDirectory(prefix="dawnchorus-clip-")
        self._process: subprocess.Popen[bytes] | None = None
        self._clip: Path | None = None

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and remove the clip."""
        self.stop()
        self._folder.cleanup()

    def play(self, samples: NDArray[np.float32], sample_rate: int, name: str) -> Path:
        """Begin to play a clip, in place of the one before; returns where it lies as a WAV.

        A quiet clip is raised. When the program cannot play, `problem` says so, and no other clip
        is given to it.

        Args:
            samples: ``(n,)`` of one channel.
            sample_rate: of them.
            name: of the file, without suffix.

        Raises:
            OSError: The clip cannot be written.
        """
        self.stop()
        if self._clip is not None:
            self._clip.unlink(missing_ok=True)
        self._clip = Path(self._folder.name) / f"{name}.wav"
        loudest = float(np.abs(samples).max(initial=0.0))
        gain = min(MOST_GAIN, max(1.0, PEAK / loudest)) if loudest else 1.0
        _write_wav(self._clip, samples * np.float32(gain), sample_rate)
        if self.command is not None:
            self._start(self.command, self._clip)
        return self._clip

    def stop(self) -> None:
        """End what is playing."""
        process, self._process = self._process, None
        if process is not None:
            if process.poll() is None:
                process.kill()
            process.wait()

    def _start(self, command: tuple[str, ...], clip: Path) -> None:
        path = str(clip)
        if Path(command[0]).stem.casefold() == WINDOWS:
            quoted = path.replace("'", "''")
            path = f"(New-Object Media.SoundPlayer '{quoted}').PlaySync()"
        try:
            # what it says would be written over the lines of the terminal
            self._process = subprocess.Popen(  # noqa: S603  a program of `PROGRAMS`
                [*command, path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            code = self._process.wait(timeout=FAILS_WITHIN_S)
        except subprocess.TimeoutExpired:
            return
        except OSError as error:
            code, self.problem = 1, f"{command[0]} cannot be started: {error}"
        if code:
            self.problem = self.problem or f"{command[0]} cannot play it (exit code {code})"
            self.command = None


def _write_wav(path: Path, samples: NDArray[np.float32], sample_rate: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
