"""What `embed` and `predict` share on the command line: options, progress and the closing words."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.cli import output
from dawnchorus.errors import UsageError
from dawnchorus.paths import as_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dawnchorus.engine.dry_run import DryRun
    from dawnchorus.engine.report import RunReport

SOME_FAILED: Final = 3  # exit code: finished, but not all inputs could be read


def inputs(
    paths: list[str] | None, listing: Path | None, *, quiet: bool = False
) -> list[str | Path]:
    """What is to be read: paths, and the recordings of a list, of which is said what is read.

    Raises:
        UsageError: Neither was given, or the list is no CSV.
    """
    named: list[str | Path] = [*(paths or ()), *([listing] if listing else ())]
    if not named:
        raise UsageError("need recordings or folders of recordings, or --recordings list.csv")
    if listing and listing.suffix.lower() != ".csv":
        raise UsageError(f"--recordings {listing}: need a .csv file")
    for item in () if quiet else named:
        for note in _about(item):
            output.say(note)
    return named


def _about(item: str | Path) -> tuple[str, ...]:
    """What is read of a list of recordings; nothing of other inputs."""
    from dawnchorus.engine.recordings.listing import LIST_SUFFIX, describe_listing

    if not str(item).lower().endswith(LIST_SUFFIX):
        return ()
    place = as_path(item)
    return describe_listing(place) if place.is_file() else ()


def close(report: RunReport, *, as_json: bool, quiet: bool) -> int:
    """Say what a run did; returns the exit code."""
    if as_json:
        output.print_json(_plain(report))
    if not as_json and not quiet:
        for line in _summary(report):
            output.say(line)
    if not as_json:
        for failure in report.failures:
            output.say(f"failed ({failure.reason}): {failure.message}")
    return SOME_FAILED if report.n_failed else 0


def close_dry(report: DryRun, *, as_json: bool) -> int:
    """Say what a run would be; returns the exit code that it would have."""
    if as_json:
        output.print_json({**asdict(report), "seconds": report.seconds})
    else:
        for line in _dry_lines(report):
            print(line)
    for failure in () if as_json else report.refused:
        output.say(f"damaged or refused ({failure.reason}): {failure.path}: {failure.message}")
    return SOME_FAILED if report.refused else 0


def _dry_lines(report: DryRun) -> Iterator[str]:
    yield (
        f"{report.n_found} recordings found, {report.n_there} of them in the store already, "
        f"{len(report.refused)} damaged or refused"
    )
    if report.n_remote:
        yield f"{report.n_remote} behind URLs, which were not fetched: they come on top of this"
    yield f"{report.hours:.2f} h of sound to read, {report.n_windows} windows"
    yield _time_line(report)
    free = "" if report.free_mb is None else f", {report.free_mb:,.0f} MB are free there"
    yield f"about {report.written_mb:,.1f} MB to write{free}"
    if not report.fits:
        yield "warning: this does not fit on that disk"
    yield "nothing was written"


def _time_line(report: DryRun) -> str:
    how = (
        f"{report.model} on {report.device} in {report.precision}, {report.n_workers} batches at "
        "once"
    )
    if report.seconds is None:
        return f"no recording could be tried, so there is no estimate of time ({how})"
    return (
        f"about {report.seconds / 60:.1f} minutes, at the {report.windows_per_s:.1f} windows a "
        f"second of the batches tried ({how})"
    )


def _summary(report: RunReport) -> Iterator[str]:
    for warning in report.warnings:
        yield f"warning: {warning}"
    yield (
        f"{report.n_found} recordings found = {report.n_done} done + {report.n_skipped} skipped "
        f"(there already) + {report.n_failed} failed"
    )
    if report.n_corrected:
        yield (
            f"{report.n_corrected} of the skipped were brought up to date: start, time zone, site "
            "and other columns"
        )
    if report.n_windows:
        yield (
            f"{report.n_windows} windows of {report.duration_s / 3600:.2f} h of sound in "
            f"{report.elapsed_s:.1f} s: {report.real_time_factor:.0f} times real time, "
            f"{report.model} on {report.device} in {report.precision}"
        )
    if report.n_windows and any(report.seconds.values()):
        limit = max(report.busy, key=lambda room: report.busy[room])
        rooms = ", ".join(f"{room} {share:.0%}" for room, share in report.busy.items())
        yield f"busy, of that time: {rooms}; the limit was {limit}"


def _plain(report: RunReport) -> dict[str, Any]:
    values = {field.name: getattr(report, field.name) for field in fields(report)}
    values.pop("table", None)
    if "label_counts" in values:
        values["label_counts"] = [asdict(count) for count in values["label_counts"]]
        values["found"] = values["label_counts"]  # its old name, for one version
    values["failures"] = [
        {"path": failure.path, "reason": failure.reason, "message": failure.message}
        for failure in report.failures
    ]
    return {**values, "real_time_factor": report.real_time_factor}
