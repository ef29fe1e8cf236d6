"""``dawnchorus predict``: recordings, or a store of their scores, to a table of what is heard."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import typer

from dawnchorus.cli import options
from dawnchorus.cli.flag_record import RunFlags, command_of
from dawnchorus.cli.renamed import renamed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dawnchorus.engine.detections.label_counts import LabelCount
    from dawnchorus.engine.report import PredictReport

MOST_LISTED: Final = 20  # labels in the closing table; all are in the output


@dataclass(frozen=True, kw_only=True)
class PredictFlags(RunFlags):
    """Flags of ``dawnchorus predict``."""

    FOR_COMMAND: ClassVar = {*RunFlags.FOR_COMMAND, "overwrite", "species"}
    KEYWORDS: ClassVar = {
        **RunFlags.KEYWORDS,
        "file_format": "format",
        "gap": "gap_s",
        "min_length": "min_length_s",
    }

    output: Annotated[
        Path | None,
        options.output(
            "Table to write: .csv, .parquet, .jsonl, or .txt for Raven. Default: print CSV."
        ),
    ] = None
    probe: options.Probe = None
    top_k: Annotated[
        int | None,
        typer.Option(
            help="Most labels per window. Without a threshold: the likeliest, however unlikely."
        ),
    ] = None
    threshold: options.Threshold = None
    species: Annotated[
        Path | None,
        typer.Option(
            help="File with the labels to report, one on a line. 'label, 0.7' also sets its "
            "threshold; 'Scientific name_Common name' is understood."
        ),
    ] = None
    name_unfamiliar: Annotated[
        bool | None,
        typer.Option(
            "--name-unfamiliar/--no-name-unfamiliar",
            help="Name windows too that sound unlike everything the model was trained on. Default: "
            "only with --top-k or --threshold.",
            show_default=False,
        ),
    ] = None
    file_format: options.FileFormat = None
    segments: Annotated[
        int | None,
        typer.Option(
            help="Cut out this many detections of each label as FLAC files for review, with up to "
            "a second of sound before and after. index.csv says where each comes from."
        ),
    ] = None
    merge: options.Merge = False
    low_threshold: Annotated[
        float | None,
        typer.Option(help="With --merge: probability down to which a detection continues."),
    ] = None
    gap: Annotated[
        float | None,
        typer.Option(help="With --merge: longest gap in a detection, in seconds (default 0)."),
    ] = None
    min_length: Annotated[
        float | None, typer.Option(help="With --merge: shortest detection, in seconds (default 0).")
    ] = None
    absolute_paths: Annotated[
        bool,
        typer.Option(
            "--absolute-paths",
            help="Write absolute paths instead of those relative to the audio root.",
        ),
    ] = False
    overwrite: options.Overwrite = False
    spreadsheet_safe: options.SpreadsheetSafe = False

    def keywords(self) -> dict[str, Any]:
        """Those of `RunFlags`, and the labels and thresholds of the list of species."""
        from dawnchorus.engine.detections.label_names import read_label_list

        if self.species is None:
            return super().keywords()
        labels, thresholds = read_label_list(self.species)
        return {
            **super().keywords(),
            **options.given(labels=labels, thresholds=thresholds or None),
        }


@renamed({"--labels": "--species"})
@command_of(PredictFlags)
def command(flags: PredictFlags) -> int:
    """Name what is heard in recordings, window by window.

    A label is named where its score reaches the model's threshold for it (describe MODEL
    --list-labels lists them), or 0.5 where its card has none. Windows without any signal, or
    unlike all that the model was trained on, give nothing. With --probe, a probe gives the labels
    and their thresholds, in windows as long as those that it was fitted on.

    Probabilities are calibrated where the model's card has a calibration, as the bundled model's;
    those of a probe are too. Otherwise they are the classifier's sigmoid. --json says which.
    Sample numbers count at the recording's own rate. Each row has its path from the folder that
    holds all recordings, when the recording and the sound began in local time, and the columns of
    the list.

    Example: dawnchorus predict recordings/ -o detections.selections.txt --threshold 0.5
    """
    from dawnchorus import predict
    from dawnchorus.cli import runs
    from dawnchorus.cli.output import say, watched

    keywords = flags.keywords()
    inputs = runs.inputs(flags.paths, flags.recordings, quiet=flags.quiet)
    if flags.dry_run:
        from dawnchorus.engine.dry_run import predict_dry_run

        forecast = predict_dry_run(inputs, output=flags.output, **keywords)
        return runs.close_dry(forecast, as_json=flags.as_json)
    with watched(quiet=flags.quiet) as progress:
        report = predict(
            inputs, output=flags.output, overwrite=flags.overwrite, progress=progress, **keywords
        )
    code = runs.close(report, as_json=flags.as_json, quiet=flags.quiet)
    for line in _remarks(report, quiet=flags.quiet):
        say(line)
    if not flags.as_json:
        _print_result(report, flags)
    return code


def _print_result(report: PredictReport, flags: PredictFlags) -> None:
    """The rows, or the file that has them, on stdout; a table of labels for the reader."""
    from dawnchorus.cli.output import say
    from dawnchorus.engine.exports.csv_table import write_csv

    if not flags.quiet:
        if report.n_rows and report.audio_root:
            say(f"paths are relative to {report.audio_root}")
        for line in count_lines(report.label_counts):
            say(line)
    if report.table is None:
        print(report.output)
    else:
        write_csv(report.table, sys.stdout, spreadsheet_safe=flags.spreadsheet_safe)


def count_lines(counts: Sequence[LabelCount]) -> list[str]:
    """How often each label was detected, as a table for a reader."""
    from dawnchorus.cli.output import table_lines

    if not counts:
        return []
    rows = [
        (c.label, c.level, c.n_detections, c.n_recordings, f"{c.highest:.2f}")
        for c in counts[:MOST_LISTED]
    ]
    lines = table_lines(("label", "level", "detections", "recordings", "highest"), rows)
    n_more = len(counts) - MOST_LISTED
    return [*lines, f"and {n_more} more labels"] if n_more > 0 else lines


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
    if report.n_unfamiliar:
        yield (
            f"{report.n_unfamiliar} of {report.n_windows} windows sound unlike all that the model "
            "was trained on, and nothing is named in them; --name-unfamiliar names them too"
        )
    if report.segments:
        yield f"segments for review: {report.segments}"
    if report.empty_because:
        yield report.empty_because
    elif report.without_detection:
        yield f"{len(report.without_detection)} recordings without a detection"
