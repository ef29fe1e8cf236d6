"""``dawnchorus data make`` and ``download``: published collections and their sound."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dawnchorus.cli import options
from dawnchorus.cli.renamed import renamed
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections import Counter

    from dawnchorus.sources.download.plan import Plan
    from dawnchorus.sources.download.run import DownloadReport
    from dawnchorus.sources.names.scientific import Resolver
    from dawnchorus.sources.report import Report


def make(
    source: Annotated[
        str,
        typer.Argument(help="xeno-canto, inaturalist, animal-sound-archive, watkins or audioset."),
    ],
    place: Annotated[
        Path | None, typer.Argument(help="The published zip file or folder; none with --query.")
    ] = None,
    output: options.NewManifest = Path("manifest.parquet"),
    licence: options.Licences = None,
    backbone: Annotated[
        Path | None, typer.Option(help="GBIF's Taxon.tsv or backbone.zip, to find accepted names.")
    ] = None,
    match_service: Annotated[
        bool, typer.Option("--match-service", help="Ask GBIF for the accepted names, one by one.")
    ] = False,
    match_cache: Annotated[Path, typer.Option(help="File that keeps the answers of GBIF.")] = Path(
        "gbif_matches.jsonl"
    ),
    offline: Annotated[
        bool,
        typer.Option(
            "--offline", help="With --match-service: use only the answers in --match-cache."
        ),
    ] = False,
    corrections: Annotated[
        Path | None,
        typer.Option(help="CSV with published and accepted names; an empty one drops the name."),
    ] = None,
    subspecies: Annotated[
        bool, typer.Option("--subspecies", help="Keep subspecies as labels of their own.")
    ] = False,
    namespace: Annotated[
        str, typer.Option(help="Text to put before each label, such as audioset:.")
    ] = "",
    audio: options.Audio = None,
    ancestors: Annotated[
        bool, typer.Option("--ancestors", help="audioset: add the classes above as labels.")
    ] = False,
    table: Annotated[
        Path | None, typer.Option(help="watkins: table with a line for each file.")
    ] = None,
    query: Annotated[
        str | None, typer.Option(help="xeno-canto: query for its API, such as 'grp:birds q:A'.")
    ] = None,
    pages: Annotated[
        Path | None, typer.Option(help="xeno-canto: folder that keeps the pages of the API.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="xeno-canto: your API key; XENO_CANTO_KEY is safer.")
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Make a manifest of a published collection; its sound is then fetched by data download.

    Every recording that is left out is counted with a reason. NAME.labels.csv, beside the
    manifest, tells what became of every published name. Exit code 3: lines were malformed.

    Example: dawnchorus data make xeno-canto gbif.zip -o xc.parquet --backbone backbone.zip
    """
    from dawnchorus.cli.output import print_json
    from dawnchorus.clips.licences import LicenceRule
    from dawnchorus.sources.make import SOURCES, MakeOptions, make_manifest
    from dawnchorus.sources.names.taxonomy import Taxonomy

    if source not in SOURCES:
        raise UsageError(f"no source {source!r}; known: {', '.join(SOURCES)}")
    licences = LicenceRule.of(tuple(licence or ()))
    reading = _reading(source, audio=audio, ancestors=ancestors, table=table)
    if source == "audioset":
        reading["namespace"] = namespace
    place = _place(source, place, query, pages or output.with_suffix(".pages"), key, quiet=quiet)
    resolver = _resolver(backbone, match_cache if match_service else None, offline, quiet=quiet)
    try:
        taxonomy = Taxonomy(
            resolver, corrections=corrections, subspecies=subspecies, namespace=namespace
        )
        reading_options = MakeOptions(licences=licences, taxonomy=taxonomy, reading=reading)
        with _counting(f"reading {source}", "recordings", quiet=quiet) as advance:
            report = make_manifest(source, place, output, reading_options, advance)
    finally:
        if resolver is not None:
            resolver.close()
    if as_json:
        print_json(_plain(report) | {"manifest": output})
    else:
        if not quiet:
            _say_made(report, output)
        print(output)
    return 3 if report.n_bad_lines else 0


def _reading(source: str, **given: Any) -> dict[str, Any]:
    """The reader's own options.

    Raises:
        UsageError: One belongs to another source.
    """
    owner = {"audio": "audioset", "ancestors": "audioset", "table": "watkins"}
    wrong = [name for name, value in given.items() if value and owner[name] != source]
    if wrong:
        raise UsageError(f"--{wrong[0]} is for {owner[wrong[0]]}, not for {source}")
    return {name: value for name, value in given.items() if value}


def _place(
    source: str, place: Path | None, query: str | None, pages: Path, key: str | None, *, quiet: bool
) -> Path:
    if query is None:
        if place is None:
            raise UsageError("which file or folder? give the published archive of the source")
        return place
    if source != "xeno-canto" or place is not None:
        raise UsageError("--query asks the API of xeno-canto, and stands instead of an archive")
    from dawnchorus.interrupt import stop_on_signals
    from dawnchorus.sources.xeno_canto_api import fetch_pages

    with stop_on_signals() as stop, _counting("asking", "recordings", quiet=quiet) as advance:
        fetch_pages(query, pages, key=key, stop=stop, progress=advance)
    return pages


def _resolver(
    backbone: Path | None, match_cache: Path | None, offline: bool, *, quiet: bool
) -> Resolver | None:
    if backbone is not None and match_cache is not None:
        raise UsageError("--backbone and --match-service exclude each other")
    if match_cache is not None:
        from dawnchorus.sources.names.species_match import SpeciesMatch

        return SpeciesMatch(match_cache, offline=offline)
    if backbone is None:
        return None
    from dawnchorus.sources.names.backbone import Backbone, index_backbone

    with _counting("indexing the backbone, once", "names", quiet=quiet) as advance:
        return Backbone(index_backbone(backbone, progress=advance))


def _counting(label: str, unit: str, *, quiet: bool) -> Any:
    from dawnchorus.cli.output import progress

    return progress(None, label, quiet=quiet, unit=unit)


def _say_made(report: Report, output: Path) -> None:
    from dawnchorus.cli.output import say

    n_dropped = report.n_found - report.n_kept
    say(
        f"{report.source}: {report.n_found:,} recordings found, {report.n_kept:,} kept, "
        f"{n_dropped:,} dropped"
    )
    for reason, n in report.dropped.most_common():
        say(f"  {n:>9,} dropped: {reason} ({', '.join(report.examples[reason])})")
    for what, n in report.noted.most_common():
        say(f"  {n:>9,} besides: {what}")
    unknown = report.n_without_duration
    unknown_text = f", and {unknown:,} recordings of unknown duration" if unknown else ""
    say(f"{report.hours:,.1f} hours{unknown_text}, {report.n_labels:,} labels")
    if report.names:
        outcome = ", ".join(f"{n:,} {what}" for what, n in report.names.most_common())
        say(f"names: {outcome}; each in {output.with_suffix('.labels.csv')}")
    say(f"licences: {_counted(report.licences)}")
    say(f"formats: {_counted(report.formats)}")
    if report.n_bad_lines:
        say(f"{report.n_bad_lines:,} malformed lines were left out:")
        for file, line, problem in report.bad_lines[:10]:
            say(f"  {file}, line {line}: {problem}")
        if report.n_bad_lines > len(report.bad_lines[:10]):
            say("  and more; see --json")


def _plain(report: Report | Plan | DownloadReport) -> dict[str, Any]:
    return {field.name: getattr(report, field.name) for field in fields(report)}


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.most_common())


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
    """Fetch the sound of a manifest into a folder, politely.

    What is there is not fetched again: the same command continues a stopped download.
    FOLDER/downloads.jsonl holds the fate of every file; FOLDER/downloaded.parquet is the manifest
    to use next. Exit code 3: some files could not be fetched.

    Example: dawnchorus data download xc.parquet -o sound --licence "CC BY" --licence CC0 --yes
    """
    from dawnchorus.cli.output import print_json, progress, say
    from dawnchorus.configs.data import DownloadConfig
    from dawnchorus.interrupt import stop_on_signals
    from dawnchorus.sources.download.plan import plan_download
    from dawnchorus.sources.download.run import download as fetch

    given: dict[str, Any] = {
        "licences": tuple(licence) if licence else None,
        "n_at_once": downloads,
        "n_per_host": per_host,
        "per_second": per_second,
        "n_tries": tries,
        "timeout_s": timeout_s,
        "most_mb": most_mb,
    }
    config = DownloadConfig(**{name: value for name, value in given.items() if value is not None})
    plan = plan_download(manifest, output, config)
    if not quiet:
        say(_planned(plan))
    if dry_run:
        if as_json:
            print_json(_plain(plan))
        return 0
    plan.check_room()
    if plan.n_wanted and not yes and not _agreed():
        raise UsageError("nothing was fetched; add --yes to begin")
    total = plan.n_wanted + plan.n_there
    with stop_on_signals() as stop, progress(total, "files", quiet=quiet, unit="files") as advance:
        report = fetch(manifest, output, config, stop=stop, progress=advance)
    if as_json:
        print_json(_plain(report))
    else:
        if not quiet:
            say(_fetched(report))
        print(report.manifest)
    return 3 if report.n_failed else 0


def _agreed() -> bool:
    return sys.stdin.isatty() and typer.confirm("Begin?", err=True)


def _planned(plan: Plan) -> str:
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


subcommands = [make, download]
