"""The calls of each label with the highest scores, cut out as sound and as a picture."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dawnchorus.audio.decode.flac import encode_flac
from dawnchorus.audio.decode.read import read_audio, read_info
from dawnchorus.audio.decode.unexpected import recording_errors
from dawnchorus.audio.resample import resample
from dawnchorus.audio.spectrogram import png_bytes, spectrogram_shades
from dawnchorus.errors import AudioError
from dawnchorus.paths import from_stored_name, local_copy
from dawnchorus.progress import NO_PROGRESS

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from dawnchorus.activity.run import Activity
    from dawnchorus.progress import Progress

CONTEXT_S: Final = 1.0  # of sound before and after, for the ear
LONGEST_S: Final = 10.0  # of an example: a page must not grow with merged detections
HEARD_HZ: Final = 32_000  # the rate of sound in a page: what ears hear, at half the bytes
PICTURE: Final = (420, 150)  # pixels, width and height


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One call.

    Attributes:
        label, site, path, start_s, stop_s, probability, local_time: of the call.
        sound, picture: ``data:`` addresses of a FLAC and a PNG; None: see ``problem``.
        length_s: of the sound.
        lead_s: of it before the call.
        highest_hz: at the top of the picture.
        problem: why there is no sound.
    """

    label: str
    site: str
    path: str
    start_s: float
    stop_s: float | None
    probability: float | None
    local_time: str | None
    sound: str | None = None
    picture: str | None = None
    length_s: float = 0.0
    lead_s: float = 0.0
    highest_hz: float = 0.0
    problem: str = ""


def best_examples(
    activity: Activity, per_label: int, progress: Progress = NO_PROGRESS
) -> dict[str, list[Example]]:
    """Examples of each label, those with the highest score first.

    Each is of another recording while there are enough; a night with one loud bird is no sample.
    What cannot be read becomes an example without sound, and says why.
    """
    chosen = {label: _chosen(activity.calls, label, per_label) for label in activity.labels}
    advance = progress.start("cutting examples", sum(map(len, chosen.values())), "examples")
    found: dict[str, list[Example]] = {}
    for label, rows in chosen.items():
        found[label] = []
        for row in rows:
            found[label].append(_cut(row, activity.archive.root))
            advance(1)
    return found


def _chosen(calls: pa.Table, label: str, n: int) -> list[dict[str, Any]]:
    rows = [row for row in calls.to_pylist() if row["label"] == label]
    # of equal scores the earlier one, so that the page is the same each time
    rows.sort(key=lambda row: (-(row["probability"] or 0.0), row["path"], row["start_s"]))
    seen: set[str] = set()
    first: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for row in rows:
        (others if row["path"] in seen else first).append(row)
        seen.add(row["path"])
    return [*first, *others][:n]


def _cut(row: dict[str, Any], root: Path) -> Example:
    known = {name: row[name] for name in ("label", "site", "path", "start_s", "stop_s",
                                          "probability", "local_time")}  # fmt: skip
    path = from_stored_name(row["path"], root)
    lead_s = min(CONTEXT_S, row["start_s"])
    stop_s = row["stop_s"] if row["stop_s"] is not None else row["start_s"] + 2 * CONTEXT_S
    stop_s = min(stop_s + CONTEXT_S, row["start_s"] - lead_s + LONGEST_S)
    try:
        with recording_errors(path), local_copy(path) as file:
            rate = read_info(file).sample_rate
            samples = read_audio(file, start_s=row["start_s"] - lead_s, stop_s=stop_s)
    except AudioError as error:
        return Example(**known, problem=f"no sound: {error.reason}")
    return Example(
        **known,
        sound=_address("audio/flac", _as_heard(samples, rate)),
        picture=_address("image/png", _picture(samples, rate)),
        length_s=len(samples) / rate,
        lead_s=lead_s,
        highest_hz=rate / 2,
    )


def _as_heard(samples: NDArray[np.float32], rate: int) -> bytes:
    loudest = float(np.abs(samples).max())
    # faint calls are heard on the speakers of a laptop
    louder = samples * min(0.7 / loudest, 30.0) if loudest > 0 else samples
    if rate > HEARD_HZ:
        louder, rate = resample(louder, rate, HEARD_HZ), HEARD_HZ
    return encode_flac(louder.astype(np.float32), rate)


def _picture(samples: NDArray[np.float32], rate: int) -> bytes:
    width, height = PICTURE
    return png_bytes(spectrogram_shades(samples, rate, width=width, height=height))


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
