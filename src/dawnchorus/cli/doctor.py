"""``dawnchorus doctor``: what is in a folder of recordings, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dawnchorus.cli import options

if TYPE_CHECKING:
    from dawnchorus.engine.doctor.scan import DoctorReport


def command(
    paths: options.Paths,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", help="Decode every file to its end instead of only reading headers."
        ),
    ] = False,
    time_zone: options.TimeZone = None,
    page: Annotated[
        Path | None,
        typer.Option("--html", help="Also write a web page with a picture of the coverage."),
    ] = None,
    table: options.Findings = None,
    spreadsheet_safe: options.SpreadsheetSafe = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Look at recordings without a model: hours, rates, gaps, damage, odd clocks.

    The exit code is 3 when something is wrong with a recording, or a folder cannot be read.

    Example: dawnchorus doctor disk1/ disk2/ --html report.html --csv report.csv
    """
    from dawnchorus.cli import runs
    from dawnchorus.cli.output import print_json, say, watched
    from dawnchorus.engine.doctor.page import write_page
    from dawnchorus.engine.doctor.scan import doctor, write_findings

    named = runs.inputs(paths, None, quiet=quiet)
    with watched(quiet=quiet) as progress:
        report = doctor(named, deep=deep, time_zone=time_zone, progress=progress)
    if table:
        write_findings(report, table, spreadsheet_safe=spreadsheet_safe)
    if page:
        write_page(report, page)
    if as_json:
        print_json(_facts(report))
    else:
        _print(report)
        for written in filter(None, (page, table)):
            say(f"written: {written}")
    return 0 if report.is_well else runs.SOME_FAILED


def _facts(report: DoctorReport) -> dict[str, object]:
    from dataclasses import asdict

    from dawnchorus.paths import stored_name

    return {
        "root": stored_name(report.root),
        "deep": report.deep,
        "clocks": report.clocks,
        "clock_warnings": report.clock_warnings,
        "n_recordings": len(report.findings),
        "hours": report.hours,
        "verdicts": report.verdicts,
        "unread": report.unread,
        "folders": [asdict(folder) for folder in report.folders],
    }


def _print(report: DoctorReport) -> None:
    from dawnchorus.cli.output import print_table, say
    from dawnchorus.engine.doctor.finding import OK

    rows = [
        (
            folder.folder,
            folder.recorder or "-",
            folder.n_recordings,
            f"{folder.hours:.1f}",
            ",".join(map(str, folder.rates)) or "-",
            folder.first or "-",
            folder.last or "-",
            ", ".join(f"{verdict} {n}" for verdict, n in folder.verdicts.items()) or "-",
        )
        for folder in report.folders
    ]
    headings = ("folder", "recorder", "files", "hours", "rates, Hz", "from", "to", "wrong")
    print_table(headings, rows)
    for folder in report.folders:
        for oddity in folder.oddities:
            print(f"{folder.folder}: {oddity}")
    print(report.clocks)
    for warning in (*report.clock_warnings, *report.unread):
        say(f"warning: {warning}")
    for finding in [found for found in report.findings if found.verdict != OK][:20]:
        print(f"{finding.path}: {finding.verdict}: {finding.message}")
    wrong = ", ".join(f"{n} {verdict}" for verdict, n in report.verdicts.items() if verdict != OK)
    how = "" if report.deep else " (headers only; --deep decodes every file)"
    print(
        f"{len(report.findings)} recordings, {report.hours:.1f} h of readable sound; "
        f"wrong: {wrong or 'nothing'}{how}"
    )
