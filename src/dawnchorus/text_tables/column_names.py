"""What columns are called: by ourselves, by BirdNET, Raven, Kaleidoscope, crowsetta and by hand.

Names are compared as keys, without case, spaces, underscores and unit: ``Start (s)``, ``start_ms``
and ``START`` all have the key ``start``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from dawnchorus.text_tables.values import SAMPLES, UNITS, is_missing

if TYPE_CHECKING:
    from collections.abc import Sequence

# keys, not names: see `column_key`
START: Final = frozenset(
    {"start", "starttime", "begin", "begintime", "onset", "onsettime", "tstart", "timestart",
     "startoffset", "beg"}
)  # fmt: skip
STOP: Final = frozenset(
    {"stop", "stoptime", "end", "endtime", "offsettime", "tstop", "tend", "timeend", "timestop",
     "endoffset", "finish"}
)  # fmt: skip
# Words before a start or stop that do not change it, as in ``segment_start``.
_OF_WHAT: Final = frozenset(
    {"segment", "clip", "window", "event", "call", "selection", "annotation", "detection", "sound",
     "syllable", "song", "vocalization", "chunk", "box", "audio", "label"}
)  # fmt: skip
LENGTH: Final = frozenset({"duration", "length", "dur", "deltatime"})
OFFSET: Final = frozenset({"offset"})  # a start beside a duration, a stop beside an onset
FILE_OFFSET: Final = frozenset({"fileoffset"})  # Raven: the start in the file itself
RATE: Final = frozenset({"samplerate", "samplingrate", "fs", "sr"})
# In the order in which they are preferred where the names of their files agree.
PATH: Final = (
    "path", "filepath", "audiopath", "audiofilepath", "wavpath", "localpath", "notatedpath",
    "beginpath", "file", "filename", "soundfile", "soundfiles", "audiofile", "audiofilename",
    "audio", "wav", "wavfile", "wavfilename", "recording", "recordingfile", "fname", "infile",
    "beginfile",
)  # fmt: skip
FOLDERS: Final = ("indir", "folder")  # before Kaleidoscope's IN FILE
# A column of the first tier that has any is the label; two of one tier are a question.
LABELS: Final = (
    ("labels",),
    ("label", "species", "class", "category", "target", "tag", "tags", "annotation",
     "annotations", "classname", "labelname", "speciesname", "primarylabel", "ebirdcode"),
    ("manualid",),
    ("scientificname",),
    ("commonname",),
    ("speciescode",),
    ("autoid",),
    ("top1match",),
    ("calltype",),
    ("type",),
)  # fmt: skip
_METADATA: Final = frozenset({
    "site", "location", "locality", "station", "place", "habitat", "country", "region", "state",
    "county", "recordist", "author", "observer", "annotator", "user", "reviewer", "device",
    "recorder", "model", "serial", "date", "datetime", "time", "timestamp", "recordedat",
    "recorded", "note", "notes", "comment", "comments", "remark", "remarks", "description",
    "quality", "url", "link", "licence", "license", "source", "dataset", "split", "fold",
    "group", "view", "channel", "selection", "index", "week", "confidence", "probability",
    "score", "scores", "rank", "window", "nwindows", "kind", "level", "individual",
    "attribution", "sha256", "annotpath", "sequence", "lat", "lon", "latitude", "longitude",
    "elevation", "temperature", "overlap", "sensitivity", "minconf", "specieslist", "esc10",
    "take", "srcfile", "vocalization", "inpath", "outdir", "outfile",
})  # fmt: skip
# also of some other languages, to refuse what would be overlooked; none is read as a time
_TIME_WORDS: Final = re.compile(
    r"start\w*|begin\w*|beg|onset\w*|offset\w*|end|ends|stop\w*|finish\w*|until|from|to|time|times|"
    r"timestamps?|cent(er|re)|middle|peak|t\d?|tmin|tmax|xmin|xmax|anfang|beginn|ende|d[eé]but|fin|inicio|fim|inizio|fine|van|tot|"
    r"position"
)
_NO_TIME_WORDS: Final = re.compile(
    r"date|clock|hour|day|week|month|year|recorded|freq\w*|frequency|hz|khz|lat\w*|lon\w*|"
    r"confidence|score|probability|channel|file|rate|view"
)
_LABEL_WORDS: Final = re.compile(
    r"labels?|species|sp|class|category|names?|taxon|taxa|tags?|annotations?|calls?|types?|codes?|"
    r"birds?|animals?|events?|art|esp[eè]ces?|especies?|specie|soort|genus|family|identification|"
    r"identity|determination|vernacular|english|latin|target|what"
)
_NTH: Final = re.compile(r" \(\d+\)$")  # the second column of a name, see `read.open_table`
_NUMBER: Final = re.compile(r"[+-]?\d*[.,]?\d+(e[+-]?\d+)?|\d+:\d+:\d+([.,]\d+)?", re.I)
_PLAIN_NUMBER: Final = re.compile(r"[+-]?\d*[.,]?\d+(e[+-]?\d+)?", re.I)
_SOUND: Final = re.compile(r".+\.(wav|flac|mp3|ogg|opus|m4a|aac|aiff?|w4v|wac)", re.I)
_DATE: Final = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}.*")


def is_called(name: str, ours: str) -> bool:
    """Whether a column has exactly one of our names, were it the second of that name."""
    return _NTH.sub("", name) == ours


def column_key(name: str) -> str:
    """The key of a name, unit and all: ``start_s`` gives ``starts``."""
    return "".join(_words(name))


def key_and_unit(name: str) -> tuple[str, str | None]:
    """The key of a name and the unit that it says; None: it says none.

    A unit that is not known stays as it is, so that nobody takes it for seconds.
    """
    # a unit in brackets, as in "Begin Time (s)" and "Start [ms]"
    text, unit = _NTH.sub("", name.strip()), None
    bracket = re.fullmatch(r"(.*?)\s*[(\[]\s*(.+?)\s*[)\]]", text)
    if bracket is not None:
        text, unit = bracket[1], bracket[2].lower()
        unit = "s" if re.fullmatch(r"h+:m+:s+([.,]s+)?", unit) else unit  # read as they stand
    words = _words(text)
    if len(words) > 1 and (words[-1] in SAMPLES or (unit is None and words[-1] in UNITS)):
        last = words.pop()
        unit = unit or last
    if len(words) > 1 and words[0] in _OF_WHAT and "".join(words[1:]) in START | STOP:
        words = words[1:]
    key = "".join(words)
    # a unit without a sign before it, as in "startms"
    if unit is None:
        for suffix in ("samples", "sample", "msec", "ms", "secs", "sec"):
            if key.removesuffix(suffix) in START | STOP | LENGTH | OFFSET and key != suffix:
                return (key.removesuffix(suffix), suffix) if key.endswith(suffix) else (key, None)
    return key, unit


def _words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-zà-ÿ])(?=[A-Z])", " ", _NTH.sub("", name))
    return re.findall(r"[^\W_]+", spaced.lower())


def is_metadata(name: str) -> bool:
    """Whether a column is one that people carry along, neither time nor label."""
    return bool(column_key(name) in _METADATA or re.fullmatch(r"column \d+|.*\bHz\b.*", name))


def names_a_time(name: str) -> bool:
    """Whether a name may be that of times in a recording."""
    words = _words(name)
    if any(map(_NO_TIME_WORDS.fullmatch, words)):
        return False
    only_a_unit = len(words) == 1 and len(words[0]) > 1 and words[0] in UNITS
    return only_a_unit or any(map(_TIME_WORDS.fullmatch, words))


def looks_like_time(name: str, cells: Sequence[str]) -> bool:
    """Whether a column that was not read may hold times in a recording."""
    if not names_a_time(name):
        return False
    number = _PLAIN_NUMBER if column_key(name) == "time" else _NUMBER  # 04:30:00 is a time of day
    held = [cell for cell in cells if not is_missing(cell)]
    return 2 * sum(bool(number.fullmatch(cell)) for cell in held) > len(held)


def looks_like_label(name: str, cells: Sequence[str]) -> bool:
    """Whether a column that was not read may hold labels: by its name, or because it holds text."""
    held = [cell for cell in cells if not is_missing(cell)]
    if not held or is_metadata(name):
        return False
    if any(map(_LABEL_WORDS.fullmatch, _words(name))):
        return True
    return not any(_NUMBER.fullmatch(cell) or _DATE.fullmatch(cell) for cell in held)


def looks_like_path(cells: Sequence[str]) -> bool:
    """Whether a column names sound files."""
    return any(_SOUND.fullmatch(cell) for cell in cells)


def is_binary(name: str, cells: Sequence[str]) -> bool:
    """Whether a column may be a class of a table with a column for each: 0 or 1 in every cell."""
    return (
        not is_metadata(name) and bool(cells) and all(as_flag(cell) is not None for cell in cells)
    )


def is_nearly_binary(name: str, cells: Sequence[str]) -> bool:
    """Whether a column holds 0 and 1 and empty cells; what those mean nobody knows."""
    held = [cell for cell in cells if not is_missing(cell)]
    return 0 < len(held) < len(cells) and is_binary(name, held)


def is_number(cells: Sequence[str]) -> bool:
    """Whether all cells are numbers, with at least one among them."""
    held = [cell for cell in cells if not is_missing(cell)]
    return bool(held) and all(map(_PLAIN_NUMBER.fullmatch, held))


def as_flag(cell: str) -> bool | None:
    """Whether a class is there; None: the cell says neither."""
    return {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}.get(
        cell.casefold()
    )
