"""``dawnchorus activity``: calls per recorded hour, by site, local date and local hour."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dawnchorus.cli import options

if TYPE_CHECKING:
    from dawnchorus.activity.run import Activity

HEADINGS = ("label", "site", "recorded h", "days", "calls", "per hour", "low", "high")
DENSITY_HEADINGS = ("windows per hour", "low", "high")
BY_SITE = ("site",)


def command(
    calls: Annotated[
        Path,
        typer.Argument(
            metavar="DETECTIONS|STORE",
            help="Detections (.csv, .parquet) as predict writes them, or a store with scores.",
        ),
    ],
    effort: Annotated[
        list[str] | None,
        typer.Option(
            "--effort",
            help="What was recorded: a store, the folder of the recordings, or their list (.csv "
            "with path, start_time, site). Default: the store that was named. Repeatable.",
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", help="Label to count. Default: the 12 most frequent. Repeatable."),
    ] = None,
    output: Annotated[Path | None, options.output("Table to write (.csv or .parquet).")] = None,
    by: Annotated[
        str,
        typer.Option(
            help="Rows of the table are of each site, date, hour (local) or several of these, "
            "such as site,hour."
        ),
    ] = "site,date,hour",
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            help="Web page to write (.html): what was recorded and found, with pictures and sound, "
            "in one file.",
        ),
    ] = None,
    examples: Annotated[
        int, typer.Option(help="Examples of each label in the report, with sound; 0: none.")
    ] = 3,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "Calls per recorded hour",
    density: Annotated[
        Path | None,
        typer.Option(
            "--density",
            help="CSV of label density: adds windows that hold the call per recorded hour, with "
            "its interval, to rows of the same strata.",
        ),
    ] = None,
    probe: options.Probe = None,
    threshold: options.Threshold = None,
    merge: options.Merge = False,
    annotations: Annotated[
        Path | None,
        typer.Option(
            "--annotations",
            help="Count what people call present in this annotation table, instead of scores.",
        ),
    ] = None,
    time_zone: options.TimeZone = None,
    site_from: options.SiteFrom = None,
    audio_root: options.AudioRoot = None,
    picture: options.Picture = None,
    spreadsheet_safe: options.SpreadsheetSafe = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Count calls per recorded hour, by site, local date and local hour.

    Recorded hours come from the recordings, so an hour without a recording is empty, never 0. The
    table on the terminal is by site, with a 90% interval over days like those that were recorded.

    Example: dawnchorus activity detections.csv --effort archive.store --report report.html
    """
    from dawnchorus.activity.activity_table import check_by
    from dawnchorus.activity.pictures import plot_activity
    from dawnchorus.activity.report import ReportOptions, check_report, write_report
    from dawnchorus.activity.run import check_suffix, measure_activity
    from dawnchorus.cli.output import watched
    from dawnchorus.figures import picture_format

    strata = options.names(by) or ()
    check_by(strata)
    if output is not None:
        check_suffix(output)
    if picture is not None:
        picture_format(picture)
    chosen = options.given(
        probe=probe, threshold=threshold, merge=merge or None, annotations=annotations,
        time_zone=time_zone, site_from=site_from, audio_root=audio_root,
    )  # fmt: skip
    others = options.given(effort=effort, label=label, density=density, report=report)
    again = _typed(calls, {**others, **chosen, "examples": examples, "title": title})
    page = ReportOptions(title=title, command=again, examples=examples)
    if report is not None:
        check_report(report, page)
    with watched(quiet=quiet) as progress:
        activity = measure_activity(
            calls, effort=effort, labels=label, density=density, progress=progress, **chosen
        )
        if picture is not None:
            plot_activity(activity, picture)
        if report is not None:
            write_report(activity, report, page, progress)
    if output is not None:
        activity.write(output, by=strata, spreadsheet_safe=spreadsheet_safe)
    _show(activity, as_json=as_json, quiet=quiet)
    return 0


def _typed(calls: Path, given: dict[str, Any]) -> str:
    """The command as it is typed, for somebody who wants the page again."""
    import shlex

    words = ["dawnchorus", "activity", str(calls)]
    for name, value in given.items():
        for item in value if isinstance(value, list) else [value]:
            # a switch has no value
            words += [f"--{name.replace('_', '-')}", *([] if item is True else [str(item)])]
    return shlex.join(words)


def _show(activity: Activity, *, as_json: bool, quiet: bool) -> None:
    from dawnchorus.cli.output import print_json, print_table, say

    rows = activity.rows(BY_SITE).to_pylist()
    if as_json:
        facts = {"what": activity.what, "recorded_hours": activity.recorded_hours}
        print_json({**facts, "rows": rows, "warnings": activity.warnings})
        return
    names = ["label", "site", "recorded_hours", "n_days", "n_calls", "calls_per_hour"]
    names += ["low", "high"]
    more = ["windows_per_hour", "windows_low", "windows_high"] if activity.density else []
    headings = (*HEADINGS, *(DENSITY_HEADINGS if more else ()))
    print_table(headings, [[_cell(row[name]) for name in (*names, *more)] for row in rows])
    if not quiet:
        say(f"a call is {activity.what}")
        for warning in activity.warnings:
            say(f"warning: {warning}")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
