"""Every option that more than one command has: its names, its type, its help, and its parser.

One flag has one meaning in all commands; a test walks the whole program and holds that. What a
flag was called before is in `dawnchorus.cli.renamed`. Options of one command only stand in its
own file.

A help text is a sentence for somebody who has never seen the program. It says what happens
without the option (``Default: ...``), unless the program prints the default itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

# --- what is read ---

Paths = Annotated[
    list[str] | None, typer.Argument(help="Recordings, folders of recordings, or URLs (s3://).")
]
ManifestPath = Annotated[
    str, typer.Argument(metavar="MANIFEST", help="A manifest (.parquet), or its URL.")
]
StorePath = Annotated[str, typer.Argument(help="Folder of the store, or its URL (s3://).")]
StorePaths = Annotated[
    list[str],
    typer.Argument(metavar="STORE...", help="Stores of one model and settings, or their URLs."),
]
ModelName = Annotated[
    str, typer.Argument(help="A model's name, weights file, folder, or hf://owner/repo.")
]
LabelledClips = Annotated[
    list[Path],
    typer.Argument(
        help="CSV (path,label,...), a folder with a folder for each label, Raven selection tables, "
        "Audacity labels, or a manifest (.parquet)."
    ),
]
MaybeLabelledClips = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[LABELS]...",
        help="CSV (path,label,...), a folder with a folder for each label, Raven selection tables, "
        "Audacity labels, or a manifest (.parquet); or --annotations instead.",
    ),
]
AnnotationFolder = Annotated[
    str,
    typer.Argument(
        metavar="ANNOTATIONS",
        help="Folder of an annotation table. A store stands for the one beside it.",
    ),
]
AnyPurpose = Annotated[
    bool,
    typer.Option(
        "--any-purpose",
        help="Use annotations of every purpose. By default a fit uses those of train, an "
        "evaluation those of estimate.",
    ),
]
AnnotationFormat = Annotated[
    str | None,
    typer.Option(
        "--to",
        help="raven, audacity, kaleidoscope, csv or parquet. Default: by the suffix of the output. "
        "A folder for raven or audacity gets one file per recording.",
    ),
]
OfState = Annotated[
    str | None,
    typer.Option(
        "--state",
        help="State of the annotations: present, absent, unsure, or suggested (not judged yet). "
        "Default: present in an import, otherwise all.",
    ),
]
OfPurpose = Annotated[
    str | None,
    typer.Option(
        "--purpose",
        help="Purpose of the annotations: train, or estimate (drawn by chance, never trained on). "
        "Default: train in an import, otherwise all.",
    ),
]
Author = Annotated[
    str | None,
    typer.Option(
        "--author",
        help="Author of the annotations. Default: in an import and while judging "
        "$DAWNCHORUS_AUTHOR or the name of the login, otherwise everybody.",
    ),
]
Recordings = Annotated[
    Path | None,
    typer.Option(
        "--recordings",
        help="CSV with the columns path (a recording or folder), start_time, time_zone, and any "
        "others to keep.",
    ),
]
InputFormat = Annotated[
    str | None,
    typer.Option(
        "--input-format",
        help="Format of the labels: csv, folder, raven, audacity or manifest. Default: detected.",
    ),
]
Audio = Annotated[
    Path | None,
    typer.Option(help="Folder of the recordings. Default: paths are relative to their table."),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        help="OURS=THEIRS: which column of the table is path, start_s, stop_s, length_s, labels or "
        "any other column of a manifest, such as labels=Species. Repeatable.",
    ),
]
Separator = Annotated[
    str | None,
    typer.Option(help="Text between several labels in one cell. Default: a cell is one label."),
]
FromStore = Annotated[
    str | None,
    typer.Option("--store", help="Take embeddings from this store instead of computing them."),
]
Label = Annotated[
    str | None,
    typer.Option("--label", help="Label that is asked for, spelled as it is there. Default: all."),
]
Where = Annotated[
    list[str] | None, typer.Option(help="COLUMN=VALUE: keep only these rows. Repeatable.")
]
Like = Annotated[
    list[str] | None,
    typer.Option(
        "--like",
        help="A sound to look for: call.wav, or night.wav@12.5-14.0 for a span in seconds. "
        "Repeatable: several are one query.",
    ),
]
Probe = Annotated[
    Path | None,
    typer.Option(help="Folder of a probe (probe fit), which then gives the labels."),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="Lowest probability, 0 to 1, for every label. Default: the model's or the probe's."
    ),
]
Merge = Annotated[
    bool, typer.Option("--merge", help="Join windows that follow each other into one row.")
]
Strategy = Annotated[
    str,
    typer.Option(
        help="mixed, margin (least sure), high (best scores), diverse (least alike) or random."
    ),
]
TimeOfDay = Annotated[
    str | None,
    typer.Option(help="Keep windows that begin in this span of local time, such as 04:00-07:00."),
]
Dates = Annotated[
    str | None,
    typer.Option(help="Keep windows of these local dates, such as 2024-05-01..2024-05-31."),
]
Annotations = Annotated[
    Path | None,
    typer.Option(
        "--annotations",
        help="Folder of the annotations. Default: X.annotations beside the store X.store.",
    ),
]
Context = Annotated[
    float,
    typer.Option(
        "--context", help="Seconds to play before and after what is judged; judge without them."
    ),
]
NoSound = Annotated[bool, typer.Option("--no-sound", help="Show clips without playing them.")]
Split = Annotated[
    str | None, typer.Option(help="Use only clips of this split: train, val, test, or all.")
]
Licences = Annotated[
    list[str] | None,
    typer.Option(
        "--licence",
        help="Licence to accept, such as 'CC BY-NC' (every version), or any. Repeatable.",
    ),
]
Background = Annotated[
    list[str] | None,
    typer.Option(
        "--background",
        help="Label that means: none of the other labels is heard. Upper and lower case are the "
        "same. The probe remembers it. Repeatable.",
    ),
]
Unannotated = Annotated[
    bool,
    typer.Option(
        "--unannotated",
        help="Parts of annotated recordings that no annotation covers are background too. Only for "
        "recordings that were annotated throughout.",
    ),
]
GroupBy = Annotated[
    str | None,
    typer.Option(
        help="Columns whose equal values keep clips on one side of a split, such as site,day. "
        "Default: group and recordist (data split: individual too)."
    ),
]

# --- time and place of recordings ---

TimeZone = Annotated[
    str | None,
    typer.Option(
        "--time-zone",
        help="Europe/Berlin or +02:00: local time of recordings that give UTC or no zone. An "
        "offset that a recording gives itself is kept.",
    ),
]
SiteFrom = Annotated[
    str | None,
    typer.Option(
        "--site-from",
        help="Take the column site from the path: folder (its first folder) or parent (its last).",
    ),
]
AudioRoot = Annotated[
    str | None,
    typer.Option(
        help="Folder that the paths in the result are relative to. If the recordings of a store "
        "have moved: where they are now."
    ),
]

# --- which model, and how it is applied ---

Model = Annotated[
    str | None,
    typer.Option(
        "-m",
        "--model",
        help="A model's name, weights file, folder, or hf://owner/repo. Default: the one included.",
    ),
]
Window = Annotated[
    float | None,
    typer.Option(
        help="Length of a window in seconds. Default: the model's or the probe's. Default of probe "
        "fit: long enough for nine in ten clips, at most the model's."
    ),
]
Hop = Annotated[
    float | None,
    typer.Option(help="Seconds from one window's start to the next. Default: the window's length."),
]
Channel = Annotated[
    str | None,
    typer.Option(help="Channel to use: mean, or a number from 0. Default: mean."),
]
Readout = Annotated[
    str | None,
    typer.Option(
        "--readout",
        help="Layers of the model and how each is pooled, such as 5,11:bands or output:cls: mean, "
        "cls, patches, valid, std, max, bands or band_stds. Default: the model's.",
    ),
]
# Until 0.2 --readout was two options. The config that they reach warns of it.
Layers = Annotated[str | None, typer.Option("--layers", hidden=True)]
Pooling = Annotated[str | None, typer.Option("--pooling", hidden=True)]
FewShot = Annotated[
    list[str] | None,
    typer.Option(
        help="Also score with this many clips of each class, such as 5,10,20. Repeatable."
    ),
]
ProbeType = Annotated[str, typer.Option("--probe-type", help="linear, mlp or knn.")]

# --- how it is computed ---

Device = Annotated[
    str | None,
    typer.Option(
        help="auto, cpu, cuda, cuda:N or mps; embed and predict: cuda:all. Default: auto."
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        help="auto, float32 or bfloat16, which is 2 to 4 times faster where processor or GPU "
        "multiply it. auto: the store's own; of a new one bfloat16 where that is faster. "
        "Default: auto."
    ),
]
Backend = Annotated[
    str | None,
    typer.Option(
        help="torch, onnx-int8 (in 8 bits, faster on many laptops) or onnx (as fast as torch); "
        "these two need the extra onnx, and a CPU. Default: the store's own, else torch; of "
        "export, onnx."
    ),
]
BatchSize = Annotated[
    int | None, typer.Option(help="Windows in a batch. Default: 8 on a CPU, 64 on a GPU.")
]
Workers = Annotated[
    int | None, typer.Option(help="Batches at once on a CPU. Default: one for each core.")
]
Engine = Annotated[str, typer.Option(help="local, or ray: all machines of a Ray cluster.")]
Address = Annotated[
    str | None, typer.Option(help="With --engine ray: address of the cluster, such as auto.")
]
Threads = Annotated[int, typer.Option(help="Files decoded at once; 0: one for each core.")]
Shard = Annotated[
    str | None, typer.Option(help="I/N: do only this share of the work; I counts from 0.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything that is drawn at random.")]
Cache = Annotated[
    Path | None, typer.Option(help="Folder that keeps embeddings of clips for the next run.")
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Keep no embeddings of clips.")]
Protocol = Annotated[
    str | None, typer.Option(help="strict, or paper: as published. Default: strict.")
]

# --- a run of training ---

RecipePath = Annotated[Path, typer.Argument(help="YAML file of the run; see recipes/.")]
Data = Annotated[
    Path | None, typer.Option(help="Folder of the data. Default: the one in the YAML file.")
]
InitFrom = Annotated[
    str | None, typer.Option(help="Model, weights file or run to start from. Default: the file's.")
]
RunName = Annotated[
    str | None, typer.Option("--name", help="Name of the run. Default: the one in the file.")
]
Steps = Annotated[int | None, typer.Option(help="Steps to train. Default: as in the file.")]
Extend = Annotated[
    bool, typer.Option("--extend", help="Continue a run for more steps than it was started with.")
]
Runs = Annotated[Path, typer.Option(help="Folder that holds run folders.")]
Devices = Annotated[
    int | None, typer.Option(help="Processes on this machine, one for each GPU. Default: one.")
]

# --- what is written and said ---

FileFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="csv, parquet, jsonl, raven, audacity or kaleidoscope. Default: by the suffix of "
        "the output. A folder for raven or audacity gets one file per recording.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Check the inputs, report what the run would do and need, and write nothing.",
    ),
]
Findings = Annotated[
    Path | None, typer.Option("--csv", help="Also write the findings to this CSV file.")
]
Picture = Annotated[
    Path | None, typer.Option("--picture", help="Also draw the result (.png, .svg or .pdf).")
]
SpreadsheetSafe = Annotated[
    bool,
    typer.Option(
        "--spreadsheet-safe",
        help="In CSV, put an apostrophe before text that Excel or LibreOffice would run (= + - @).",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[
    bool, typer.Option("-q", "--quiet", help="Report failures only: no progress, no remarks.")
]


def output(help_text: str) -> Any:
    """``-o/--output``, the one option that says in each command what is written there."""
    return typer.Option("-o", "--output", help=help_text)


NewManifest = Annotated[Path, output("Manifest to write (.parquet).")]

# --- parsers ---

NAME_VALUE: Final = "="


def given(**options: Any) -> dict[str, Any]:
    """The options that the user gave, without the others."""
    return {name: value for name, value in options.items() if value is not None}


def pairs(flag: str, texts: Iterable[str] | None) -> dict[str, str]:
    """NAME=VALUE texts as a dict; blanks around either are dropped.

    Raises:
        UsageError: One has no name or no ``=``.
    """
    return dict(pair(flag, text, NAME_VALUE, "NAME=VALUE") for text in texts or ())


def pair(flag: str, text: str, separator: str, form: str) -> tuple[str, str]:
    """Two texts with a separator between them.

    Args:
        flag: the option, for the message.
        text: what the user gave.
        separator: what stands between the two.
        form: how it is written, for the message, such as ``04:00-07:00``.

    Raises:
        UsageError: The separator is not there, or nothing is before it.
    """
    first, sign, second = text.partition(separator)
    if not sign or not first.strip():
        raise UsageError(f"{flag} {text!r}: need {form}")
    return first.strip(), second.strip()


def names(text: str | None) -> tuple[str, ...] | None:
    """Comma-separated names; None stays None."""
    # "a, b," is a slip of the hand, not a third name
    return None if text is None else tuple(filter(None, map(str.strip, text.split(","))))


def counts(flag: str, texts: Iterable[str] | None) -> tuple[int, ...] | None:
    """Comma-separated whole numbers from 1, such as ``5,10,20``; None stays None.

    Raises:
        UsageError: One is not such a number, or there is none.
    """
    items = None if texts is None else names(",".join(texts))
    if items is not None and not (items and all(n.isdecimal() and int(n) for n in items)):
        raise UsageError(f"{flag} {','.join(texts or ())}: need numbers from 1, such as 5,10,20")
    return None if items is None else tuple(map(int, items))


def parse_channel(text: str | None) -> str | int | None:
    """``mean``, or the index of a channel.

    Raises:
        UsageError: It is neither.
    """
    if text is None or text == "mean":
        return text
    if not text.isdecimal():
        raise UsageError(f"--channel {text}: need mean, or a channel's number from 0")
    return int(text)


def parse_shard(text: str | None) -> tuple[int, int] | None:
    """``i/n``.

    Raises:
        UsageError: It is not of this form.
    """
    if text is None:
        return None
    share, _, count = text.partition("/")
    if not (share.isdecimal() and count.isdecimal()):
        raise UsageError(f"--shard {text}: need I/N with I from 0, such as 0/8 to 7/8")
    return int(share), int(count)


def window_filters(
    where: list[str] | None,
    time_of_day: str | None,
    dates: str | None,
    time_zone: str | None,
) -> dict[str, Any]:
    """The fields of a `WindowFilter` that were given.

    Raises:
        UsageError: One is not of the form that its help shows.
    """
    given = {
        "where": pairs("--where", where),
        "time_of_day": _span("--time-of-day", time_of_day, "-", "04:00-07:00"),
        "dates": _span("--dates", dates, "..", "2024-05-01..2024-05-31"),
        "time_zone": time_zone,
    }
    return {name: value for name, value in given.items() if value not in (None, {})}


def _span(flag: str, text: str | None, separator: str, example: str) -> tuple[str, str] | None:
    return None if text is None else pair(flag, text, separator, f"two, as in {example}")
