"""Pictures and sound of a span of a recording, cut out by seeking: never the whole file."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.audio.decode.read import read_audio, read_info
from dawnchorus.audio.spectrogram import png_bytes, spectrogram_shades
from dawnchorus.audio.windows import to_samples
from dawnchorus.errors import AudioError, UsageError
from dawnchorus.paths import local_copy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dawnchorus.serve.library import Library, RecordingFacts
    from dawnchorus.serve.picture_cache import PictureCache

    Floats = NDArray[np.float32]

MOST_SAMPLES: Final = 12_000_000  # decoded at once: four minutes at 48 kHz, 50 MB
MOST_WIDTH, MOST_HEIGHT = 4_096, 2_048
WIDTH, HEIGHT = 360, 160  # of a picture whose size nobody names
EDGE_HZ: Final = 0.1  # share of an edge's frequency over which a band-pass falls off
MOST_GAIN_DB: Final = 80.0
SLOWEST: Final = 100.0
PICTURE_VERSION: Final = 2  # of what is drawn; another number is another cache


@dataclass(frozen=True, slots=True)
class Cut:
    """A span of a recording.

    Attributes:
        recording: whose.
        start_s, stop_s: in it, in seconds.
    """

    recording: RecordingFacts
    start_s: float
    stop_s: float

    def __post_init__(self) -> None:
        """Refuse what is no span, or too long to be decoded for one page.

        Raises:
            UsageError: As the line above says.
        """
        if not 0 <= self.start_s < self.stop_s:
            raise UsageError(f"need 0 <= start < stop, got {self.start_s:g} s to {self.stop_s:g} s")
        rate = self.recording.rate or 48_000
        if (self.stop_s - self.start_s) * rate > MOST_SAMPLES:
            raise UsageError(
                f"{self.stop_s - self.start_s:g} s are too long for one piece; at most "
                f"{MOST_SAMPLES / rate:g} s of this recording"
            )


def read_cut(library: Library, cut: Cut) -> tuple[Floats, int]:
    """Samples of a span and their rate; fewer than asked for at the recording's end.

    Raises:
        NotThereError: The recording's file is not there.
        AudioError: It cannot be read there.
    """
    try:
        with local_copy(library.file(cut.recording)) as path:
            rate = read_info(path).sample_rate
            samples = read_audio(path, start_s=cut.start_s, stop_s=cut.stop_s)
    except OSError as error:
        raise AudioError(f"{cut.recording.path}: {error}", reason="denied") from error
    return samples, rate


@dataclass(frozen=True, slots=True)
class Look:
    """How a picture is to look.

    Attributes:
        width, height: in pixels.
        low_hz, high_hz: edges of the band; None: none.
    """

    width: int = WIDTH
    height: int = HEIGHT
    low_hz: float | None = None
    high_hz: float | None = None

    def __post_init__(self) -> None:
        """Refuse sizes that no screen has.

        Raises:
            UsageError: As the line above says.
        """
        if not (1 <= self.width <= MOST_WIDTH and 1 <= self.height <= MOST_HEIGHT):
            raise UsageError(
                f"picture: need 1 x 1 to {MOST_WIDTH} x {MOST_HEIGHT} pixels, got {self.width} x "
                f"{self.height}"
            )


def picture_key(cut: Cut, look: Look) -> str:
    """What names a picture: the file as it was embedded, the span, and how it looks."""
    facts = (
        PICTURE_VERSION, cut.recording.recording_id, cut.recording.stamp, cut.recording.path,
        round(cut.start_s, 6), round(cut.stop_s, 6),
        look.width, look.height, look.low_hz, look.high_hz,
    )  # fmt: skip
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:40]


def picture(library: Library, cache: PictureCache, cut: Cut, look: Look) -> bytes:
    """A span as a PNG, by the function that makes all pictures of sound.

    What lies behind the recording's end is shown as silence, so that a second is as wide there as
    everywhere.

    Raises:
        NotThereError: The recording's file is not there.
        AudioError: It cannot be read there.
        UsageError: The band lies outside the recording's.
    """
    return cache.get(picture_key(cut, look), lambda: _drawn(library, cut, look))


def _drawn(library: Library, cut: Cut, look: Look) -> bytes:
    samples, rate = read_cut(library, cut)
    wanted = to_samples(cut.stop_s, rate) - to_samples(cut.start_s, rate)
    samples = np.pad(np.nan_to_num(samples), (0, max(0, wanted - len(samples))))
    shades = spectrogram_shades(
        samples,
        rate,
        height=look.height,
        width=look.width,
        lowest_hz=look.low_hz or 0.0,
        highest_hz=look.high_hz,
    )
    return png_bytes(shades)


def top_hz(library: Library, recording: RecordingFacts, look: Look) -> float:
    """The upper edge of the frequency axis of a picture.

    Raises:
        NotThereError: The recording's file is not there.
        AudioError: It cannot be read.
    """
    # stores have the rate of what was read whole
    nyquist = (recording.rate or read_info(library.file(recording)).sample_rate) / 2
    return min(look.high_hz or nyquist, nyquist)


@dataclass(frozen=True, slots=True)
class Ear:
    """How a span is to be heard.

    Attributes:
        low_hz, high_hz: what passes; None: no edge.
        slow: 10: ten times slower, and so ten times lower.
        gain_db: louder or softer; what is beyond full scale is clipped.
    """

    low_hz: float | None = None
    high_hz: float | None = None
    slow: float = 1.0
    gain_db: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be heard.

        Raises:
            UsageError: As the line above says.
        """
        low_hz, high_hz = self.low_hz or 0.0, self.high_hz
        if low_hz < 0 or (high_hz is not None and high_hz <= low_hz):
            raise UsageError(f"band: need 0 <= low < high, got {self.low_hz} to {self.high_hz} Hz")
        if not 1 / SLOWEST <= self.slow <= SLOWEST:
            raise UsageError(f"slow: need {1 / SLOWEST:g} to {SLOWEST:g}, got {self.slow:g}")
        if abs(self.gain_db) > MOST_GAIN_DB:
            raise UsageError(f"gain: need -{MOST_GAIN_DB:g} to {MOST_GAIN_DB:g} dB")


def sound(library: Library, cut: Cut, ear: Ear) -> bytes:
    """A span as a WAV of 16 bits and one channel: exactly the span, at the recording's own rate.

    Raises:
        NotThereError: The recording's file is not there.
        AudioError: It cannot be read there.
    """
    samples, rate = read_cut(library, cut)
    if ear.low_hz or ear.high_hz is not None:
        samples = band_pass(samples, rate, ear.low_hz or 0.0, ear.high_hz)
    if ear.gain_db:
        samples = samples * np.float32(10 ** (ear.gain_db / 20))
    return wav(samples, max(1, round(rate / ear.slow)))


def band_pass(samples: Floats, rate: int, low_hz: float, high_hz: float | None) -> Floats:
    """What lies between two frequencies, ``(n,)``; nothing is moved in time.

    All of the span is at hand, so the band is cut out of its spectrum. Each edge falls off as a
    cosine over a tenth of its frequency, so that nothing rings for long.
    """
    n = 1 << (2 * len(samples) - 1).bit_length()  # zeros behind: the end does not leak to the start
    n = n // 2 if n // 2 >= len(samples) + rate // 10 else n
    spectrum = np.fft.rfft(samples, n)
    hz = np.fft.rfftfreq(n, 1 / rate)
    gain = np.ones(len(hz))
    if low_hz > 0:
        gain *= _ramp(hz, low_hz * (1 - EDGE_HZ), low_hz)
    if high_hz is not None and high_hz < rate / 2:
        gain *= 1 - _ramp(hz, high_hz, high_hz * (1 + EDGE_HZ))
    heard: Floats = np.fft.irfft(spectrum * gain, n)[: len(samples)].astype(np.float32)
    return heard


def _ramp(hz: NDArray[np.floating], begin: float, end: float) -> NDArray[np.float64]:
    """0 up to ``begin``, 1 from ``end`` on."""
    at = np.clip((hz - begin) / (end - begin), 0, 1)
    return np.asarray((1 - np.cos(np.pi * at)) / 2, np.float64)


def wav(samples: Floats, rate: int) -> bytes:
    """One channel as a WAV of 16 bits; what is beyond full scale is clipped, nan is silence."""
    scaled = np.rint(np.nan_to_num(samples) * 32_768)
    content = np.clip(scaled, -32_768, 32_767).astype("<i2").tobytes()
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(content), b"WAVE", b"fmt ", 16,
        1, 1, rate, 2 * rate, 2, 16, b"data", len(content),
    )  # fmt: skip
    return head + content
