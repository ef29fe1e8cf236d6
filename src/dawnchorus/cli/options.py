"""Options that several commands have, each with its name and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# what is read, and by which model
Paths = Annotated[
    list[str] | None, typer.Argument(help="Recordings, folders of them, or URLs (s3://).")
]
Listing = Annotated[
    Path | None,
    typer.Option(
        "--recordings",
        help="CSV with path (recording or folder), start_time, time_zone, and columns to keep.",
    ),
]
TimeZone = Annotated[
    str | None,
    typer.Option(
        "--time-zone",
        help="Europe/Berlin or +02:00: local time of recordings that say UTC or no zone; an offset "
        "that a recording gives itself is kept.",
    ),
]
SiteFrom = Annotated[
    str | None,
    typer.Option(
        "--site-from",
        help="Column site from the path: folder (the first one) or parent (the last one).",
    ),
]
Model = Annotated[
    str | None, typer.Option("-m", "--model", help="Name, file or folder; else the shipped one.")
]
Window = Annotated[float | None, typer.Option(help="Seconds; else the model's.")]
Hop = Annotated[float | None, typer.Option(help="Seconds; else the window.")]
Channel = Annotated[str | None, typer.Option(help="mean, or a number from 0.")]
Layers = Annotated[
    str | None, typer.Option(help="Layers to join, such as 5,11:bands; else the model's.")
]
Pooling = Annotated[
    str | None,
    typer.Option(
        help="mean, cls, patches, valid, deviation, max, bands, band_deviations; else the model's."
    ),
]

# how it is computed
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")]
Precision = Annotated[str | None, typer.Option(help="float32 or bfloat16.")]
BatchSize = Annotated[int | None, typer.Option(help="Windows at once; 8 on a CPU.")]
Workers = Annotated[int | None, typer.Option(help="Batches at once on a CPU; else one a core.")]
Shard = Annotated[
    str | None, typer.Option(help="i/n: only this share of the recordings, i from 0.")
]

# a run of training
Data = Annotated[
    Path | None, typer.Option(help="Folder of the data, instead of data.root in the file.")
]
InitFrom = Annotated[
    str | None, typer.Option(help="Model, file or run to start from.", show_default=False)
]
RunName = Annotated[str | None, typer.Option("--name", help="Name of the run.")]
Steps = Annotated[int | None, typer.Option(help="Steps, instead of those in the file.")]
Extend = Annotated[
    bool, typer.Option("--extend", help="Go on with a run for more steps than it was begun with.")
]
Runs = Annotated[Path, typer.Option(help="Folder that holds run folders.")]
Devices = Annotated[int | None, typer.Option(help="Processes on this machine.")]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Say sizes, schedule and memory, refuse what cannot fit, then try two steps. "
        "Nothing is left behind.",
    ),
]

RunDry = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Say hours, windows, minutes, MB and what is damaged; try a few batches, write "
        "nothing.",
    ),
]
SpreadsheetSafe = Annotated[
    bool,
    typer.Option(
        "--spreadsheet-safe",
        help="In CSV: an apostrophe before text that Excel or LibreOffice would run (= + - @).",
    ),
]

# what is said
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
JsonOnly = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say only what failed.")]
NoProgress = Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")]
