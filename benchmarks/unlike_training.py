"""Sounds that are no label's, made by formula: noise, hum, engines, crackle, buzzers, near silence.

No sines, steady or pulsed: tree crickets, owls and alarms come near to them.

They are heard by the bundled model as recordings of a window each, and show what `predict` names
where there is nothing to name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from label_corpus import CONFIG, RATE

from dawnchorus.engine.encoding.embedder import ready_embedder
from dawnchorus.engine.encoding.model import DEFAULT_MODEL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Sound = NDArray[np.float64]
    Rng = np.random.Generator

LENGTH = 5 * RATE
TIME = np.arange(LENGTH) / RATE
EACH = 48  # sounds of a kind, half of them for fitting
AT_ONCE = 8


def noise(rng: Rng, exponent: float, high_hz: float = RATE / 2) -> Sound:
    """Noise whose amplitude falls with the frequency: 0 white, 0.5 pink, 1 brown."""
    spectrum = rng.standard_normal(LENGTH // 2 + 1) + 1j * rng.standard_normal(LENGTH // 2 + 1)
    hz = np.fft.rfftfreq(LENGTH, 1 / RATE)
    gain = np.where((hz >= 20) & (hz <= high_hz), np.maximum(hz, 20.0) ** -exponent, 0.0)
    return peak(np.fft.irfft(spectrum * gain, LENGTH))


def peak(sound: Sound) -> Sound:
    """Scaled to a highest value of 1."""
    return sound / np.abs(sound).max()


def over_time(values: Sound) -> Sound:
    """A slow curve through some values."""
    return np.interp(TIME, np.linspace(0, TIME[-1], len(values)), values)


def wind(rng: Rng) -> Sound:
    """Gusts on a microphone."""
    return noise(rng, 1.0, rng.uniform(150, 500)) * over_time(rng.uniform(0.05, 1, 12))


def hum(rng: Rng) -> Sound:
    """Mains hum with overtones."""
    hz, n = rng.choice([50.0, 60.0]), rng.integers(4, 20)
    waves = [rng.uniform() / k * np.sin(2 * np.pi * hz * k * TIME) for k in range(1, n)]
    return peak(sum(waves, np.zeros(LENGTH))) + 0.003 * rng.standard_normal(LENGTH)


def engine(rng: Rng) -> Sound:
    """Overtones of a number of revolutions that drifts, rough, over pinkish noise."""
    speed = np.maximum(over_time(1 + 0.05 * rng.standard_normal(8).cumsum()), 0.3)
    phase = 2 * np.pi * np.cumsum(rng.uniform(15, 90) * speed) / RATE
    fall = rng.uniform(0.6, 1.6)
    waves = [k**-fall * np.sin(k * phase + rng.uniform(0, 6)) for k in range(1, 40)]
    rough = 1 + 0.5 * np.sin(phase / rng.choice([1, 2, 4]))
    return peak(sum(waves, np.zeros(LENGTH)) * rough) + rng.uniform(0.02, 0.3) * noise(rng, 0.7)


def crackle(rng: Rng) -> Sound:
    """Single samples, as of a bad contact."""
    sound, n = 0.002 * rng.standard_normal(LENGTH), int(rng.uniform(5, 400))
    sound[rng.integers(0, LENGTH, n)] += rng.uniform(-1, 1, n)
    return sound


def square(rng: Rng) -> Sound:
    """A square wave, as of a buzzer."""
    return np.sign(np.sin(2 * np.pi * rng.uniform(40, 1500) * TIME))


KINDS = {
    "white noise": lambda rng: noise(rng, 0.0),
    "pink noise": lambda rng: noise(rng, 0.5),
    "brown noise": lambda rng: noise(rng, 1.0),
    "wind": wind,
    "hum": hum,
    "engine": engine,
    "crackle": crackle,
    "silence with hiss": lambda rng: rng.standard_normal(LENGTH),
    "square wave": square,
}


FAMILIES = (
    ("white noise", "pink noise", "brown noise", "silence with hiss"),
    ("wind", "hum", "engine"),
    ("crackle",),
    ("square wave",),
)


@dataclass(frozen=True, slots=True)
class Made:
    """Made sounds as the model hears them.

    Attributes:
        kinds: ``(n,)``, keys of `KINDS`.
        vectors: ``(n, dim)``, the model's own readout.
        logits: ``(n, labels)``.
    """

    kinds: NDArray[np.str_]
    vectors: NDArray[np.float32]
    logits: NDArray[np.float32]

    @property
    def for_fitting(self) -> NDArray[np.bool_]:
        """``(n,)``, the half of each kind that is fitted on; the rest shows what that is worth."""
        return np.arange(len(self.kinds)) % 2 == 0


def sounds() -> tuple[NDArray[np.str_], NDArray[np.float32]]:
    """The kind of each, and 16-bit samples ``(n, LENGTH)``; the same on every machine."""
    kinds, made = [], []
    for number, (kind, make) in enumerate(KINDS.items()):
        for seed in range(EACH):
            rng = np.random.default_rng([number, seed])
            sound = peak(make(rng))
            db = rng.uniform(-95, -75) if kind.startswith("silence") else rng.uniform(-40, -1)
            kinds.append(kind)
            made.append(np.round(sound * 10 ** (db / 20) * 32767) / 32768)
    return np.array(kinds), np.stack(made).astype(np.float32)


def encoded() -> Made:
    """All of them through the bundled model."""
    kinds, samples = sounds()
    with ready_embedder(DEFAULT_MODEL, CONFIG) as embedder:
        samples = samples[:, : embedder.settings.window]
        lengths = torch.full((AT_ONCE * 2,), samples.shape[1])  # no batch is larger
        values = np.concatenate(
            [
                embedder.encode(torch.from_numpy(batch), lengths[: len(batch)])
                for batch in np.array_split(samples, len(samples) // AT_ONCE)
            ]
        )
    vectors, logits = np.split(values, [embedder.dim], axis=1)
    return Made(kinds, vectors, logits)
