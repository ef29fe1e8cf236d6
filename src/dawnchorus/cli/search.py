"""``dawnchorus search``: find more sounds like this one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dawnchorus.cli import options

if TYPE_CHECKING:
    import pyarrow as pa

    from dawnchorus.search.results import SearchResult

SHOWN = 20  # windows on the terminal


def command(
    stores: options.StorePaths,
    like: options.Like = None,
    unlike: Annotated[
        list[str] | None,
        typer.Option(
            "--unlike", help="A sound that it must not be mistaken for, as --like. Repeatable."
        ),
    ] = None,
    label: options.Label = None,
    output: Annotated[
        Path | None, options.output("File to write: .csv, .parquet or .jsonl. Default: a table.")
    ] = None,
    clips: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the sounds that were found, each with a spectrogram, and index.csv."
        ),
    ] = None,
    annotate: Annotated[
        str | None,
        typer.Option(
            help="Also write what was found into the annotations as suggestions of this label."
        ),
    ] = None,
    annotations: options.Annotations = None,
    k: Annotated[int, typer.Option("-k", "--top", help="Windows to find.")] = 50,
    per_recording: Annotated[
        int,
        typer.Option(help="At most this many windows of one recording; 0: any number."),
    ] = 5,
    sketch: Annotated[
        str,
        typer.Option(
            help="on: compare only windows that a sketch of the store chooses, off: all of them, "
            "auto: on if the vectors do not fit into memory."
        ),
    ] = "auto",
    columns: Annotated[
        str | None,
        typer.Option(
            "--add", help="Columns to add, such as recorded_at,silent. Default: site, local_time."
        ),
    ] = None,
    where: options.Where = None,
    time_of_day: options.TimeOfDay = None,
    dates: options.Dates = None,
    time_zone: options.TimeZone = None,
    model: options.Model = None,
    device: options.Device = None,
    audio_root: options.AudioRoot = None,
    seed: options.Seed = 0,
    spreadsheet_safe: options.SpreadsheetSafe = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Find the windows of stores that sound most like an example.

    Every window is compared. Words are not searched for: give a sound, or with
    --label a label of the annotations, whose windows are then looked for. The score is a cosine;
    the percentile says how many windows score lower, and is what to compare between stores.

    Example: dawnchorus search archive.store --like night.wav@12.5-14.0 --clips found/
    """
    from dawnchorus.cli.output import say, watched
    from dawnchorus.configs.search import SearchConfig
    from dawnchorus.search.results import check_suffix, write_clips, write_results
    from dawnchorus.search.run import search_stores, suggest_matches
    from dawnchorus.store.read import Store

    if output is not None:
        check_suffix(output)
    config = SearchConfig.model_validate(
        {
            "k": k,
            "per_recording": per_recording or None,
            "columns": tuple(options.names(columns) or ()),
            "annotations": None if annotations is None else str(annotations),
            "sketch": sketch,
            "device": device or "auto",
            "seed": seed,
        }
    )
    failures = []
    with watched(quiet=quiet) as progress:
        result = search_stores(
            stores,
            like or (),
            unlike=unlike or (),
            label=label,
            config=config,
            model=model,
            progress=progress,
            **options.window_filters(where, time_of_day, dates, time_zone),
        )
        header = Store(stores[0]).header
        if output is not None:
            write_results(result.table, output, spreadsheet_safe=spreadsheet_safe)
        if clips is not None:
            root = Path(audio_root or header.audio_root)
            failures = write_clips(result.table, clips, root, progress=progress)
    if annotate is not None:
        folder = annotations or _beside(stores[0])
        n_rows = suggest_matches(result.table, folder, annotate, model=header.model)
        say(f"{n_rows} suggestions of {annotate!r} written to {folder}")
    for failure in failures:
        say(f"warning: {failure.path}: not cut: {failure.message}")
    for written in () if quiet else filter(None, (output, clips)):
        say(f"written: {written}")
    _show(result, as_json=as_json, has_file=output is not None)
    return 3 if failures else 0


def _beside(store: str) -> str:
    from dawnchorus.annotations.annotation_table import annotations_beside

    return str(annotations_beside(store))


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
