"""What a recorder wrote down beside the sound of a WAV: which it is, when, where, how warm.

GUANO (bat detectors and many others) and the comment of AudioMoth are read. Our own parser is kept
before the packages guano and metamoth (both MIT): guano 1.0.16 refuses WAVs of floats and notes in
which a line has no colon, and metamoth 1.2.2 raised on all eight WAVs that were tried, two of them
with a comment as AudioMoth writes it. Here a wrong line costs that line.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dawnchorus.audio.clock import StartTime, start_time
from dawnchorus.audio.decode.riff import info_texts, wav_chunks

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

MAX_NOTE_BYTES: Final = 1 << 16  # of a chunk of notes
GUANO: Final = "guan"  # the chunk, and the key of its text
COMMENT: Final = "ICMT"  # of LIST INFO
GUANO_LINE: Final = re.compile(r"^([^:\n]+?):[ \t]*(.*?)\s*$", re.MULTILINE)
AUDIOMOTH: Final = re.compile(r"by (AudioMoth [0-9A-F]+)")
AUDIOMOTH_TEMPERATURE: Final = re.compile(r"temperature was (-?\d+(?:\.\d+)?) ?C")
NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderMetadata:
    """What is known of a recording beside its sound; None where nothing says it.

    Attributes:
        start: when it began, by the recorder's notes or by the name of the file.
        recorder: make, model and serial number.
        latitude, longitude: in degrees, as the recorder wrote them.
        temperature_int_c, temperature_ext_c: inside and outside of the recorder.
    """

    start: StartTime | None = None
    recorder: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    temperature_int_c: float | None = None
    temperature_ext_c: float | None = None


def read_metadata(path: Path, now: datetime | None = None) -> RecorderMetadata:
    """Read the notes of a recording; those of other formats than WAV are not looked for.

    Args:
        path: the file, which need not be there: its name may say when it began.
        now: as for `start_time`.
    """
    notes = _notes(path)
    comment = notes.get(COMMENT, "")
    guano = dict(GUANO_LINE.findall(notes.get(GUANO, "")))
    latitude, longitude = _position(guano.get("Loc Position", ""))
    temperature = AUDIOMOTH_TEMPERATURE.search(comment)
    inside = guano.get("Temperature Int") or (temperature[1] if temperature else "")
    return RecorderMetadata(
        start=start_time(guano.get("Timestamp", ""), comment, path.stem, now),
        recorder=_recorder(guano, comment),
        latitude=latitude,
        longitude=longitude,
        temperature_int_c=_number(inside),
        temperature_ext_c=_number(guano.get("Temperature Ext", "")),
    )


def _recorder(guano: dict[str, str], comment: str) -> str | None:
    names = [guano[key] for key in ("Make", "Model", "Serial") if guano.get(key)]
    if names:
        return " ".join(names)
    audiomoth = AUDIOMOTH.search(comment)
    return audiomoth[1] if audiomoth else None


def _position(text: str) -> tuple[float | None, float | None]:
    match [_number(part) for part in text.split()]:
        case [float(latitude), float(longitude)]:
            is_possible = abs(latitude) <= 90 and abs(longitude) <= 180
            # 0, 0 is what a receiver without a fix writes
            if is_possible and (latitude, longitude) != (0.0, 0.0):
                return latitude, longitude
    return None, None


def _number(text: str) -> float | None:
    return float(text) if NUMBER.fullmatch(text) else None


def _notes(path: Path) -> dict[str, str]:
    """The text of the ``guan`` chunk and the strings of ``LIST INFO``, by name.

    As far as it goes for a file that breaks off; whoever reads the sound reports what is wrong.
    """
    if not os.path.isfile(path):  # noqa: PTH113  no error where it cannot be seen
        return {}  # to open a pipe would be to wait for ever
    notes: dict[str, bytes] = {}
    try:
        with path.open("rb") as file:
            for chunk in wav_chunks(file):
                if chunk.name == GUANO.encode():
                    notes[GUANO] = file.read(min(chunk.n_bytes, MAX_NOTE_BYTES))
                elif chunk.name == b"LIST":
                    notes |= info_texts(file.read(min(chunk.n_bytes, MAX_NOTE_BYTES)))
    except OSError:
        return {}
    return {name: text.rstrip(b"\0").decode("utf-8", "replace") for name, text in notes.items()}
