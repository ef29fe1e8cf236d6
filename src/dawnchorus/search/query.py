"""What is looked for: sounds like some clips and unlike others, as one direction among vectors."""

from __future__ import annotations

import re
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from dawnchorus.audio.decode.flac import write_exact
from dawnchorus.audio.decode.read import read_audio, read_info
from dawnchorus.audio.levels import ADVICE, BEYOND_FULL_SCALE, MAX_LEVEL
from dawnchorus.configs.engine import EmbedConfig, WindowConfig
from dawnchorus.engine.embed import embed
from dawnchorus.engine.options import backend_of, precision_of
from dawnchorus.engine.pipeline.flags import SILENCE
from dawnchorus.errors import AudioError, DawnChorusWarning, UsageError, WeightsError
from dawnchorus.models.registry import list_models
from dawnchorus.paths import as_path, local_copy
from dawnchorus.search.neighbours import query_directions
from dawnchorus.store.read import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dawnchorus.models.encoder import Encoder
    from dawnchorus.search.archive import Archive
    from dawnchorus.store.schema import StoreHeader

    Floats = NDArray[np.float32]

SPAN: Final = re.compile(r"(?P<path>.+)@(?P<start>\d+(\.\d*)?)-(?P<stop>\d+(\.\d*)?)", re.DOTALL)
WEAK_NEGATIVES: Final = 500  # random windows that most likely do not hold the sound
WEAK_WEIGHT: Final = 0.1  # of one of them, as some may hold it
RIDGE: Final = 0.1  # of the linear head, whose examples have length 1 and weigh 1 a side


@dataclass(frozen=True, slots=True)
class SoundQuery:
    """A sound that is looked for: a whole file, or a span of it.

    Attributes:
        path: the file.
        start_s: where it begins; None: at the file's beginning.
        stop_s: where it ends; None: at the file's end.
    """

    path: Path
    start_s: float | None = None
    stop_s: float | None = None

    @classmethod
    def parse(cls, text: str) -> SoundQuery:
        """``call.wav``, or ``night.wav@12.5-14.0`` for a span in seconds.

        Raises:
            UsageError: The span has no length, or is none.
        """
        path, sign, span = text.rpartition("@")
        # a file may itself have a name of that form
        if not sign or as_path(text).is_file():
            return cls(as_path(text))
        match = SPAN.fullmatch(text)
        if match is None and as_path(path).is_file():
            raise UsageError(
                f"{text}: {span!r} is not a span; need START-STOP in seconds, such as @12.5-14.0"
            )
        if match is None:
            return cls(as_path(text))
        start_s, stop_s = float(match["start"]), float(match["stop"])
        if stop_s <= start_s:
            raise UsageError(
                f"{text}: the span ends before it begins; need START < STOP in seconds"
            )
        return cls(as_path(match["path"]), start_s, stop_s)

    def __str__(self) -> str:
        """As users write it."""
        span = "" if self.start_s is None else f"@{self.start_s:g}-{self.stop_s:g}"
        return f"{self.path}{span}"


def embed_sounds(
    sounds: Sequence[SoundQuery], header: StoreHeader, model: Encoder | str | Path | None = None
) -> list[Floats]:
    """Vectors of sounds, made as those of a store were: by `embed`, with the store's settings.

    A span that is shorter than the store's window is heard with what lies around it, as a window
    of the store hears it.

    Args:
        sounds: that are looked for.
        header: of the store.
        model: the store's encoder. None: the one whose name the store has.

    Returns:
        ``(windows, dim)`` for each sound.

    Raises:
        AudioError: A sound cannot be read, or is silence.
        WeightsError: The model is not the one that the store was made with.
    """
    with tempfile.TemporaryDirectory(prefix="dawnchorus-query-") as name:
        folder = Path(name)
        for at, sound in enumerate(sounds):
            _cut(sound, folder / "sounds" / f"{at:06d}.wav", header)
        if model is None:
            model = _known(header)
        report = embed(
            folder / "sounds", store=folder / "store", model=model, config=_settings(header)
        )
        store = Store(folder / "store")
        _check_same(header, store.header)
        if report.failures:
            failure = report.failures[0]
            at = int(Path(failure.path).stem)
            raise AudioError(f"{sounds[at]}: {failure.message}", reason=failure.reason)
        vectors, windows = store.read()
        of_sound = [int(Path(path).stem) for path in windows["path"].to_pylist()]
        return [vectors[np.array(of_sound) == at] for at in range(len(sounds))]


def _known(header: StoreHeader) -> str:
    """The name of a model, if it can be loaded by it.

    Raises:
        UsageError: It was a folder or file of the user's, of which a store keeps the name alone.
    """
    name = header.model
    # an address of a hub has a slash; a folder or file is kept by its name alone
    if name not in list_models() and "/" not in name:
        raise UsageError(
            f"the store was made with the model {name!r}, which is not known by its name; say "
            "where it lies with --model. Its weights are those of SHA-256 "
            f"{header.weights_sha256}, as `dawnchorus verify` shows of a model"
        )
    return name


def _settings(header: StoreHeader) -> EmbedConfig:
    return EmbedConfig.model_validate(
        {
            "windows": WindowConfig(window_s=header.window_s, hop_s=header.window_s),
            "readout": header.readout,
            "precision": precision_of(header),
            "backend": backend_of(header),
            "dtype": "float32",
            "content_hash": False,
        }
    )


def _cut(sound: SoundQuery, target: Path, header: StoreHeader) -> None:
    """Write the sound as a file of its own, one channel at its own rate."""
    with local_copy(sound.path) as path:
        info = read_info(path)
        # a file without a length in its header is not widened
        length_s = None if info.n_samples is None else info.n_samples / info.sample_rate
        # widened to a window, such a span would be the recording's last sound
        if length_s is not None and (sound.start_s or 0.0) >= length_s > 0:
            raise AudioError(f"{sound}: the recording ends at {length_s:g} s", reason="empty")
        start_s, stop_s = _heard(sound, length_s, header.window_s)
        samples = read_audio(path, start_s=start_s, stop_s=stop_s, channel=header.channel)
    peak = float(np.abs(samples).max())
    if peak <= SILENCE:
        raise AudioError(
            f"{sound}: silence, which every search would find something for: choose another sound "
            "or span; of channels that cancel each other, cut out one",
            reason="empty",
        )
    if peak > MAX_LEVEL:
        text = f"{sound}: samples up to {peak:g}: {ADVICE[BEYOND_FULL_SCALE]}"
        warnings.warn(DawnChorusWarning(text), stacklevel=2)
    write_exact(target, samples, info.sample_rate)


def _heard(
    sound: SoundQuery, duration_s: float | None, window_s: float
) -> tuple[float, float | None]:
    """The span, widened to a window where the recording has more around it."""
    if sound.start_s is None or sound.stop_s is None:
        return 0.0, None
    missing_s = window_s - (sound.stop_s - sound.start_s)
    if missing_s <= 0 or duration_s is None:
        return sound.start_s, sound.stop_s
    latest_s = max(0.0, duration_s - window_s)
    start_s = float(np.clip(sound.start_s - missing_s / 2, 0.0, latest_s))
    return start_s, min(start_s + window_s, duration_s)


def _check_same(header: StoreHeader, made: StoreHeader) -> None:
    loose = {"hop_s", "hop_samples", "dtype", "channel", "labels", "predict", "content_hash"}
    different = [text for text in header.differences(made) if text.partition(":")[0] not in loose]
    if different:
        raise WeightsError(
            f"the query cannot be embedded as the store was: {'; '.join(different)}. Name the "
            "store's model with --model"
        )


def direction_of(
    archive: Archive, positives: Floats, negatives: Floats | None = None, *, seed: int = 0
) -> Floats:
    """One direction for `best_windows`, ``(dim,)``.

    With positives alone, the mean of their directions. With negatives, the weights of a ridge
    regression on both and on random windows, which weigh little because some may hold the sound.

    Args:
        archive: that is searched.
        positives: ``(n, dim)`` vectors of the sound.
        negatives: ``(m, dim)`` of what it is mistaken for.
        seed: of the random windows.

    Raises:
        UsageError: There is no positive, or nothing tells the sound from the rest.
    """
    mean = archive.mean()
    if not len(positives):
        raise UsageError("a search needs at least one sound, label or vector to look for")
    like = query_directions(positives, mean)
    if negatives is None or not len(negatives):
        direction = like.mean(axis=0)
    else:
        draws = np.random.default_rng(seed)
        n_weak = min(WEAK_NEGATIVES, archive.n_windows)
        rows = np.sort(draws.choice(archive.n_windows, n_weak, replace=False))
        weak = archive.take(rows) - mean
        weak /= np.maximum(np.linalg.norm(weak, axis=1, keepdims=True), 1e-12)
        direction = _ridge(like, query_directions(negatives, mean), weak.astype(np.float32))
    if not np.linalg.norm(direction) > 1e-6:
        raise UsageError("the sounds cancel each other: no direction is common to them")
    return np.asarray(direction, np.float32)


def _ridge(like: Floats, unlike: Floats, weak: Floats) -> NDArray[np.float64]:
    """Weights that give 1 for what is like, -1 for what is unlike and for random windows."""
    features = np.concatenate([like, unlike, weak]).astype(np.float64)
    target = np.concatenate([np.ones(len(like)), -np.ones(len(unlike) + len(weak))])
    # both sides weigh the same however many there are of each; random windows a tenth of a side
    weight = np.concatenate(
        [
            np.full(len(like), 1 / len(like)),
            np.full(len(unlike), 1 / len(unlike)),
            np.full(len(weak), WEAK_WEIGHT / max(len(weak), 1)),
        ]
    )
    root = np.sqrt(weight)[:, None]
    scaled = features * root
    # in the space of the examples, which are fewer than dimensions squared
    inner = scaled @ scaled.T + RIDGE * np.eye(len(scaled))
    solved: NDArray[np.float64] = scaled.T @ np.linalg.solve(inner, target * root[:, 0])
    return solved
