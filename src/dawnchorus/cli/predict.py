"""``dawnchorus predict``: recordings to a table of what is heard in them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dawnchorus.cli import options
from dawnchorus.cli.renamed import renamed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dawnchorus.engine.detections.label_counts import LabelCount
    from dawnchorus.engine.report import PredictReport

MOST_LISTED: Final = 20  # labels in the closing table; all are in the output


@renamed({"--labels": "--species"})
def command(
    paths: options.Paths = None,
    *,
    result: Annotated[
        Path | None,
        options.output(
            "Table to write: .csv, .parquet, .jsonl, or .txt for Raven. Default: print CSV."
        ),
    ] = None,
    model: options.Model = None,
    probe: Annotated[
        Path | None,
        typer.Option(help="Folder of a probe (probe fit), which then gives the labels."),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(
            help="Most labels per window. Without a threshold: the likeliest, however unlikely."
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Lowest probability, 0 to 1, for every label. Default: the model's or the probe's."
        ),
    ] = None,
    species: Annotated[
        Path | None,
        typer.Option(
            help="File with the labels to report, one on a line. 'label, 0.7' also sets its "
            "threshold; 'Scientific name_Common name' is understood."
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="csv, parquet, jsonl, raven, audacity or kaleidoscope. Default: by the suffix of "
            "the output. A folder for raven or audacity gets one file per recording.",
        ),
    ] = None,
    segments: Annotated[
        int | None,
        typer.Option(
            help="Cut out this many detections of each label as FLAC files for review, with up to "
            "a second of sound before and after. index.csv says where each comes from."
        ),
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Join windows that follow each other into one row.")
    ] = False,
    low_threshold: Annotated[
        float | None,
        typer.Option(help="With --merge: probability down to which a detection continues."),
    ] = None,
    gap: Annotated[
        float | None,
        typer.Option(help="With --merge: longest gap in a detection, in seconds (default 0)."),
    ] = None,
    min_length: Annotated[
        float | None, typer.Option(help="With --merge: shortest detection, in seconds (default 0).")
    ] = None,
    listing: options.Recordings = None,
    time_zone: options.TimeZone = None,
    site_from: options.SiteFrom = None,
    audio_root: options.AudioRoot = None,
    absolute_paths: Annotated[
        bool,
        typer.Option(
            "--absolute-paths",
            help="Write absolute paths instead of those relative to the audio root.",
        ),
    ] = False,
    window: options.Window = None,
    hop: options.Hop = None,
    batch_size: options.BatchSize = None,
    workers: options.Workers = None,
    device: options.Device = None,
    precision: options.Precision = None,
    channel: options.Channel = None,
    overwrite: options.Overwrite = False,
    shard: options.Shard = None,
    spreadsheet_safe: options.SpreadsheetSafe = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Name what is heard in recordings, window by window.

    A label is named where its score reaches the model's threshold for it (describe MODEL
    --list-labels lists them), or 0.5 where its card has none. Windows without any signal give
    nothing.
    Probabilities are the classifier's sigmoid, not calibrated; those of a probe are calibrated.
    Sample numbers count at the recording's own rate. Each row has its path from the folder that
    holds all recordings, when the recording and the sound began in local time, and the columns of
    the list.

    Example: dawnchorus predict recordings/ -o detections.selections.txt --threshold 0.5
    """
    from dawnchorus.cli import runs
    from dawnchorus.cli.output import say, watched
    from dawnchorus.engine.detections.label_names import read_label_list
    from dawnchorus.engine.exports.csv_table import write_csv
    from dawnchorus.engine.predict import predict

    names, thresholds = (None, {}) if species is None else read_label_list(species)
    named = runs.inputs(paths, listing, quiet=quiet)
    given = options.given(
        model=model,
        probe=probe,
        top_k=top_k,
        threshold=threshold,
        labels=names,
        thresholds=thresholds or None,
        format=kind,
        segments=segments,
        spreadsheet_safe=spreadsheet_safe or None,
        absolute_paths=absolute_paths or None,
        time_zone=time_zone,
        site_from=site_from,
        audio_root=audio_root,
        merge=merge or None,
        low_threshold=low_threshold,
        gap_s=gap,
        min_length_s=min_length,
        window_s=window,
        hop_s=hop,
        batch_size=batch_size,
        workers=workers,
        shard=options.parse_shard(shard),
        device=device,
        precision=precision,
        channel=options.parse_channel(channel),
    )
    if dry_run:
        from dawnchorus.engine.dry_run import predict_dry_run

        return runs.close_dry(predict_dry_run(named, output=result, **given), as_json=as_json)
    with watched(quiet=quiet) as progress:
        report = predict(named, output=result, overwrite=overwrite, progress=progress, **given)
    code = runs.close(report, as_json=as_json, quiet=quiet)
    for line in _remarks(report, quiet=quiet):
        say(line)
    if as_json:
        return code
    if not quiet:
        if report.n_rows and report.audio_root:
            say(f"paths are relative to {report.audio_root}")
        for line in found_lines(report.label_counts):
            say(line)
    if report.table is not None:
        write_csv(report.table, sys.stdout, spreadsheet_safe=spreadsheet_safe)
    else:
        print(report.output)
    return code


def found_lines(found: Sequence[LabelCount]) -> list[str]:
    """What was found, as a table for a reader."""
    from dawnchorus.cli.output import table_lines

    if not found:
        return []
    rows = [
        (f.label, f.level, f.n_detections, f.n_recordings, f"{f.highest:.2f}")
        for f in found[:MOST_LISTED]
    ]
    lines = table_lines(("label", "level", "detections", "recordings", "highest"), rows)
    n_more = len(found) - MOST_LISTED
    return [*lines, f"and {n_more} labels more"] if n_more > 0 else lines


def _remarks(report: PredictReport, *, quiet: bool) -> Iterator[str]:
    if report.unknown_labels:
        names = ", ".join(report.unknown_labels)
        yield f"warning: {len(report.unknown_labels)} names are not labels of the model: {names}"
    if report.demonstration and not quiet:
        yield (
            f"{report.model} is a demonstration, for trying dawnchorus out: do not take its names "
            "for identifications. For field work load a model made for it (dawnchorus models), or "
            "fit a probe on clips of your own (dawnchorus probe fit)"
        )
    if report.segments:
        yield f"segments for review: {report.segments}"
    if report.empty_because:
        yield report.empty_because
    elif report.without_detection:
        yield f"{len(report.without_detection)} recordings without a detection"
