"""``dawnchorus search``: find more sounds like this one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dawnchorus.cli import options
from dawnchorus.cli.flag_record import OutputFlags, WindowFilterFlags, command_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from dawnchorus.configs.search import SearchConfig
    from dawnchorus.failures import Failure
    from dawnchorus.progress import Progress
    from dawnchorus.search.results import SearchResult

SHOWN = 20  # windows on the terminal


@dataclass(frozen=True, kw_only=True)
class SearchFlags(WindowFilterFlags, OutputFlags):
    """Flags of ``dawnchorus search``."""

    stores: options.StorePaths
    like: options.Like = None
    unlike: Annotated[
        list[str] | None,
        typer.Option(
            "--unlike", help="A sound that it must not be mistaken for, as --like. Repeatable."
        ),
    ] = None
    label: options.Label = None
    output: Annotated[
        Path | None,
        options.output(
            "File to write: .csv, .parquet, .jsonl, or .txt for Raven. Default: a table."
        ),
    ] = None
    file_format: options.FileFormat = None
    clips: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the sounds that were found, each with a spectrogram, and index.csv."
        ),
    ] = None
    annotate: Annotated[
        str | None,
        typer.Option(
            help="Also write what was found into the annotations as suggestions of this label."
        ),
    ] = None
    annotations: options.Annotations = None
    k: Annotated[int, typer.Option("-k", "--top", help="Windows to find.")] = 50
    per_recording: Annotated[
        int,
        typer.Option(help="At most this many windows of one recording; 0: any number."),
    ] = 5
    sketch: Annotated[
        str,
        typer.Option(
            help="on: compare only windows that a sketch of the store chooses, off: all of them, "
            "auto: on above 500,000 windows whose vectors do not fit into memory."
        ),
    ] = "auto"
    columns: Annotated[
        str | None,
        typer.Option(
            "--add", help="Columns to add, such as recorded_at,silent. Default: site, local_time."
        ),
    ] = None
    model: options.Model = None
    device: options.Device = None
    engine: options.Engine = "local"
    address: options.Address = None
    audio_root: options.AudioRoot = None
    seed: options.Seed = 0
    spreadsheet_safe: options.SpreadsheetSafe = False

    def config(self) -> SearchConfig:
        """How many windows, and how they are looked for.

        Raises:
            UsageError: A value is none that it may have.
        """
        from dawnchorus.configs.search import SearchConfig

        return SearchConfig.model_validate(
            {
                "k": self.k,
                "per_recording": self.per_recording or None,
                "columns": options.names(self.columns) or (),
                "annotations": None if self.annotations is None else str(self.annotations),
                "sketch": self.sketch,
                "device": self.device or "auto",
                "seed": self.seed,
                "engine": self.engine,
                "address": self.address,
            }
        )


@command_of(SearchFlags)
def command(flags: SearchFlags) -> int:
    """Find the windows of stores that sound most like an example.

    Every window is compared. Words are not searched for: give a sound, or with
    --label a label of the annotations, whose windows are then looked for. The score is a cosine;
    the percentile says how many windows score lower, and is what to compare between stores.

    Example: dawnchorus search archive.store --like night.wav@12.5-14.0 --clips found/
    """
    from dawnchorus import search_stores
    from dawnchorus.annotations.annotation_row import named_label
    from dawnchorus.cli.output import watched
    from dawnchorus.search.result_files import result_format
    from dawnchorus.search.results import check_clips_folder

    # refused before anything is searched
    if flags.output is not None:
        result_format(flags.output, flags.file_format)
    if flags.annotate is not None:
        named_label(flags.annotate)
    if flags.clips is not None:
        check_clips_folder(flags.clips)
    with watched(quiet=flags.quiet) as progress:
        result = search_stores(
            flags.stores,
            flags.like or (),
            unlike=flags.unlike or (),
            label=flags.label,
            config=flags.config(),
            model=flags.model,
            progress=progress,
            **flags.filters(),
        )
        failures = _write(result, flags, progress)
    _say_written(flags, failures)
    _show(result, as_json=flags.as_json, has_file=flags.output is not None)
    return 3 if failures else 0


def _write(result: SearchResult, flags: SearchFlags, progress: Progress) -> list[Failure]:
    """Write what was asked for; returns what could not be cut."""
    from dawnchorus.search.result_files import write_results
    from dawnchorus.search.results import write_clips
    from dawnchorus.store.read import Store

    failures = []
    header = Store(flags.stores[0]).header
    if flags.output is not None:
        write_results(
            result.table,
            flags.output,
            form=flags.file_format,
            stores=flags.stores,
            audio_root=flags.audio_root,
            label=flags.annotate,
            spreadsheet_safe=flags.spreadsheet_safe,
        )
    if flags.clips is not None:
        root = Path(flags.audio_root or header.audio_root)
        safe = flags.spreadsheet_safe
        failures = write_clips(
            result.table, flags.clips, root, spreadsheet_safe=safe, progress=progress
        )
    if flags.annotate is not None:
        _annotate(result, flags, header.model)
    return failures


def _annotate(result: SearchResult, flags: SearchFlags, model: str) -> None:
    from dawnchorus.annotations.annotation_table import annotations_beside
    from dawnchorus.cli.output import say
    from dawnchorus.search.run import suggest_matches

    folder = flags.annotations or annotations_beside(flags.stores[0])
    n_rows = suggest_matches(result.table, folder, str(flags.annotate), model=model)
    say(f"{n_rows} suggestions of {flags.annotate!r} written to {folder}")


def _say_written(flags: SearchFlags, failures: Sequence[Failure]) -> None:
    from dawnchorus.cli.output import say

    for failure in failures:
        say(f"warning: {failure.path}: not cut: {failure.message}")
    for written in () if flags.quiet else filter(None, (flags.output, flags.clips)):
        say(f"written: {written}")


def _show(result: SearchResult, *, as_json: bool, has_file: bool) -> None:
    from dawnchorus.cli.output import print_json, print_table

    if as_json:
        print_json(result.table.to_pylist())
        return
    if not has_file:
        headings, rows = _table(result.table)
        print_table(headings, rows)
        if len(result.table) > SHOWN:
            print(f"and {len(result.table) - SHOWN} more; write them all with -o found.csv")
    how = "each compared" if result.is_exact else f"by sketch, recall {result.recall:.3f}"
    print(f"{len(result.table):,} of {result.n_windows:,} windows, {how}")


def _table(table: pa.Table) -> tuple[list[str], list[list[str]]]:
    headings = [name for name in table.column_names if name not in HIDDEN]
    rows = []
    for row in table.slice(0, SHOWN).to_pylist():
        cells = [row[name] for name in headings]
        rows.append([f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells])
    return headings, rows


# in files they are what joins a result to other tables; on a terminal they are noise
HIDDEN = {"query", "recording_id", "window"}
