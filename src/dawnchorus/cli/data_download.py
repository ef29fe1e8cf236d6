"""``dawnchorus data download``: the sound behind the URLs of a manifest."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dawnchorus.cli import options
from dawnchorus.cli.findings import fields_of
from dawnchorus.cli.renamed import renamed
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from dawnchorus.sources.download.plan import DownloadPlan
    from dawnchorus.sources.download.run import DownloadReport


@renamed({"--at-once": "--downloads"})
def download(
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="A manifest (.parquet) with a column url.")
    ],
    output: Annotated[Path, options.output("Folder for the sound.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Start without asking.")] = False,
    dry_run: options.DryRun = False,
    licence: options.Licences = None,
    downloads: Annotated[
        int | None, typer.Option(help="Files to download at once (default 8).")
    ] = None,
    per_host: Annotated[
        int | None, typer.Option(help="Files at once from one host (default 4).")
    ] = None,
    per_second: Annotated[
        float | None, typer.Option(help="Requests per second to one host (default 4).")
    ] = None,
    tries: Annotated[int | None, typer.Option(help="Times to try each file (default 5).")] = None,
    timeout_s: Annotated[
        float | None,
        typer.Option(help="Seconds of silence before a retry (default 30)."),
    ] = None,
    most_mb: Annotated[
        float | None, typer.Option(help="Megabytes of one file that are accepted (default 4000).")
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Fetch the sound of a manifest into a folder, within request limits.

    Files that are there are not fetched again: the same command resumes a stopped download.
    FOLDER/downloads.jsonl says what became of every file; FOLDER/downloaded.parquet is the manifest
    to use next. Exit code 3: some files could not be fetched.

    Example: dawnchorus data download xc.parquet -o sound --licence "CC BY" --licence CC0 --yes
    """
    from dawnchorus.cli.output import print_json, say, watched
    from dawnchorus.configs.data import DownloadConfig
    from dawnchorus.interrupt import stop_on_signals
    from dawnchorus.sources.download.plan import plan_download
    from dawnchorus.sources.download.run import download as fetch

    config = DownloadConfig(
        **options.given(
            licences=tuple(licence) if licence else None,
            n_downloads=downloads,
            n_per_host=per_host,
            per_second=per_second,
            n_tries=tries,
            timeout_s=timeout_s,
            most_mb=most_mb,
        )
    )
    plan = plan_download(manifest, output, config)
    if not quiet:
        say(_planned(plan))
    if dry_run:
        if as_json:
            print_json(fields_of(plan))
        return 0
    # before the question: nobody should agree to what cannot be done
    plan.check_room()
    if plan.n_wanted and not yes and not _agreed():
        raise UsageError("nothing was fetched; add --yes to start")
    with stop_on_signals() as stop, watched(quiet=quiet) as progress:
        report = fetch(manifest, output, config, stop=stop, progress=progress)
    if as_json:
        print_json(fields_of(report))
    else:
        if not quiet:
            say(_fetched(report))
        print(report.manifest)
    return 3 if report.n_failed else 0


def _agreed() -> bool:
    return sys.stdin.isatty() and typer.confirm("Start?", err=True)


def _planned(plan: DownloadPlan) -> str:
    hosts = ", ".join(f"{host} {n:,}" for host, n in plan.hosts.most_common(5))
    if plan.n_bytes is None:
        size = "of unknown size"
    else:
        size = f"{'' if plan.exact else 'about '}{plan.n_bytes / 1e6:,.1f} MB"
    lines = [f"{plan.n_wanted:,} files to fetch, {size} ({plan.free_bytes / 1e9:,.1f} GB are free)"]
    if hosts:
        lines.append(f"from {hosts}")
    if plan.n_there:
        lines.append(f"{plan.n_there:,} are there already")
    lines += [f"{n:,} rows not fetched: {reason}" for reason, n in plan.refused.most_common()]
    return "\n".join(lines)


def _fetched(report: DownloadReport) -> str:
    lines = [
        f"{report.n_done:,} files fetched ({report.n_bytes / 1e6:,.1f} MB in "
        f"{report.wall_s:,.0f} s), {report.n_there:,} were there, {report.n_failed:,} failed"
    ]
    lines += [f"  {n:>9,} failed: {reason}" for reason, n in report.failed.most_common()]
    return "\n".join(lines)
