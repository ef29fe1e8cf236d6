"""``dawnchorus data make | query | download``: manifests of published sources, and their sound."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path  # noqa: TC003  typer resolves the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dawnchorus.cli.runs import SOME_FAILED
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dawnchorus.data.download import DownloadReport, Plan
    from dawnchorus.data.names import Resolver
    from dawnchorus.data.sources.report import Report

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress.")]
Licences = Annotated[
    list[str] | None,
    typer.Option("--licence", help="Taken, such as 'CC BY-NC' or any; as often as needed."),
]
SHOWN = 8  # of a long list


def make(
    source: Annotated[
        str,
        typer.Argument(help="xeno-canto, inaturalist, animal-sound-archive, watkins or audioset."),
    ],
    place: Annotated[Path, typer.Argument(help="Published archive (zip or folder), or pages.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Manifest to write (.parquet).")],
    backbone: Annotated[
        Path | None, typer.Option(help="GBIF backbone (zip, folder or Taxon.tsv), for synonyms.")
    ] = None,
    lookup: Annotated[
        Path | None,
        typer.Option(help="Ask GBIF's match service instead; answers are kept in this file."),
    ] = None,
    corrections: Annotated[
        Path | None, typer.Option(help="CSV: published, accepted; of names that you looked at.")
    ] = None,
    licence: Licences = None,
    subspecies: Annotated[bool, typer.Option("--subspecies", help="Keep them apart.")] = False,
    namespace: Annotated[str, typer.Option(help="Before AudioSet's labels: audioset:")] = "",
    audio: Annotated[Path | None, typer.Option(help="AudioSet: folder of the clips.")] = None,
    ancestors: Annotated[
        bool, typer.Option("--ancestors", help="AudioSet: classes above a label are labels too.")
    ] = False,
    table: Annotated[Path | None, typer.Option(help="Watkins: table of the files.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Make a manifest out of what a source publishes; every row that is left out is accounted for.

    Example: dawnchorus data make xeno-canto gbif.zip -o xc.parquet --backbone backbone.zip
    """
    from dawnchorus.cli.output import print_json, progress
    from dawnchorus.data.licences import LicenceRule
    from dawnchorus.data.sources.make import MakeOptions, make_manifest
    from dawnchorus.data.taxonomy import Taxonomy

    reading = _reading(source, namespace=namespace, audio=audio, ancestors=ancestors, table=table)
    with progress(None, "reading names", quiet=quiet) as advance:
        resolver = _resolver(backbone, lookup, advance)
    options = MakeOptions(
        licences=LicenceRule.of(tuple(licence or ())),
        taxonomy=Taxonomy(resolver, corrections=corrections, subspecies=subspecies),
        reading=reading,
    )
    with progress(None, "reading", quiet=quiet, unit="recordings") as advance:
        report = make_manifest(source, place, output, options, advance)
    if as_json:
        print_json(_plain(report))
    else:
        _print_made(report, output)
    return 0


def _reading(source: str, **given: Any) -> dict[str, Any]:
    """Arguments of a source's reader; those of another source are refused."""
    own = {"audioset": {"namespace", "audio", "ancestors"}, "watkins": {"table"}}
    chosen = {name: value for name, value in given.items() if value}
    foreign = sorted(set(chosen) - own.get(source, set()))
    if foreign:
        raise UsageError(f"--{foreign[0]} is not for {source}; see dawnchorus data make --help")
    return chosen


def _resolver(backbone: Path | None, lookup: Path | None, advance: Any) -> Resolver | None:
    if backbone is not None and lookup is not None:
        raise UsageError("--backbone and --lookup both resolve names; give one of them")
    if backbone is not None:
        from dawnchorus.data.backbone import Backbone, index_backbone

        return Backbone(index_backbone(backbone, progress=advance))
    if lookup is not None:
        from dawnchorus.data.species_match import SpeciesMatch

        return SpeciesMatch(lookup)
    return None


def _print_made(report: Report, output: Path) -> None:
    n_dropped = sum(report.dropped.values())
    print(f"{report.source}: {report.n_found} found = {report.n_kept} kept + {n_dropped} left out")
    for reason, n in report.dropped.most_common():
        print(f"  left out: {reason}: {n} (such as {', '.join(report.examples[reason])})")
    for what, n in report.noted.most_common():
        print(f"  noted: {what}: {n}")
    if report.n_bad_lines:
        file, line, problem = report.bad_lines[0]
        print(
            f"  malformed lines: {report.n_bad_lines}, the first in {file}, line {line}: {problem}"
        )
    if report.names:
        print(f"  names: {_counts(report.names)}; each one in {output.with_suffix('.labels.csv')}")
    unknown = f", {report.n_without_duration} of unknown length" * bool(report.n_without_duration)
    print(f"  {report.n_labels} labels, {report.hours:.1f} hours{unknown}")
    print(f"  licences: {_counts(report.licences)}")
    print(output)


def _counts(found: Mapping[str, int]) -> str:
    ordered = sorted(found.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{name} {n}" for name, n in ordered[:SHOWN])
    return shown + (f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else "")


def query(
    terms: Annotated[list[str], typer.Argument(help="Tagged, such as gen:Turdus cnt:Brazil q:A.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the pages.")],
    quiet: Quiet = False,
) -> int:
    """Ask Xeno-canto's API, page by page, with your key in XENO_CANTO_KEY; then: data make.

    Example: dawnchorus data query gen:Turdus sp:merula q:A -o pages
    """
    from dawnchorus.cli.output import progress
    from dawnchorus.data.sources.xeno_canto_api import fetch_pages
    from dawnchorus.interrupt import stop_on_signals

    with (
        stop_on_signals() as stop,
        progress(None, "asking", quiet=quiet, unit="recordings") as advance,
    ):
        n_pages = fetch_pages(" ".join(terms), output, stop=stop, progress=advance)
    print(
        f"{output}: {n_pages} pages; next: dawnchorus data make xeno-canto {output} -o xc.parquet"
    )
    return 0


def download(
    manifest: Annotated[Path, typer.Argument(help="Manifest with a column url.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the sound.")],
    licence: Licences = None,
    at_once: Annotated[int, typer.Option(help="Files at once, over all hosts.")] = 8,
    per_host: Annotated[int, typer.Option(help="Files at once from one host.")] = 4,
    per_second: Annotated[float, typer.Option(help="Requests a second to one host.")] = 4.0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before fetching.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Fetch the sound of a manifest; the same command goes on where it was stopped.

    Says beforehand how much it is. Writes downloaded.parquet, the manifest of what is there; exit
    code 3 if some files could not be had.

    Example: dawnchorus data download xc.parquet -o sounds --licence 'CC BY' --licence 'CC0'
    """
    from dawnchorus.cli.output import print_json, progress, say
    from dawnchorus.configs.data import DownloadConfig
    from dawnchorus.data.download import download as fetch
    from dawnchorus.data.download import plan_download
    from dawnchorus.interrupt import stop_on_signals

    config = DownloadConfig(
        n_at_once=at_once,
        n_per_host=per_host,
        per_second=per_second,
        licences=tuple(licence or ()),
    )
    plan = plan_download(manifest, output, config)
    if not quiet:
        say(_planned(plan))
    plan.check_room()
    if plan.n_wanted and not yes and not _agreed():
        return 0
    with (
        stop_on_signals() as stop,
        progress(plan.n_wanted, "fetching", quiet=quiet, unit="files") as advance,
    ):
        report = fetch(manifest, output, config, stop=stop, progress=advance)
    if as_json:
        print_json({**_plain(report), "n_failed": report.n_failed})
    else:
        say(
            f"{report.n_found} files = {report.n_done} fetched ({report.n_bytes / 1e6:.1f} MB) + "
            f"{report.n_there} there already + {report.n_failed} failed"
        )
        for reason, n in report.failed.most_common():
            say(f"  failed: {reason}: {n}")
        print(report.manifest)
    return SOME_FAILED if report.n_failed else 0


def _plain(report: Report | DownloadReport) -> dict[str, Any]:
    # not dataclasses.asdict, which counts the items of a Counter
    return {field.name: getattr(report, field.name) for field in fields(report)}


def _planned(plan: Plan) -> str:
    size = "of unknown size"
    if plan.n_bytes is not None:
        size = f"{'' if plan.exact else 'some '}{plan.n_bytes / 1e6:.1f} MB"
    refused = f"; left out: {_counts(plan.refused)}" if plan.refused else ""
    return (
        f"{plan.n_wanted} files to fetch, {size}, from {_counts(plan.hosts) or 'nowhere'}; "
        f"{plan.n_there} there already{refused}; {plan.free_bytes / 1e9:.1f} GB free"
    )


def _agreed() -> bool:
    """Ask on a terminal; elsewhere only ``--yes`` is an answer."""
    import sys

    if not sys.stdin.isatty():
        raise UsageError("nobody is there to ask whether to fetch this; say --yes")
    return typer.confirm("Fetch?", err=True)
