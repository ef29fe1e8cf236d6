"""``dawnchorus data make SOURCE``: manifests of published collections, a subcommand a source."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dawnchorus.cli import options
from dawnchorus.cli.flag_record import OutputFlags, command_of
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from dawnchorus.progress import Progress
    from dawnchorus.sources.names.taxonomy import Taxonomy
    from dawnchorus.sources.report import SourceReport

Archive = Annotated[
    Path, typer.Argument(metavar="ARCHIVE", help="The published zip file, or its folder.")
]
Namespace = Annotated[str, typer.Option(help="Text to put before each label, such as audioset:.")]
MANIFEST = Path("manifest.parquet")


@dataclass(frozen=True, kw_only=True)
class NameFlags:
    """How published names become labels."""

    backbone: Annotated[
        Path | None, typer.Option(help="GBIF's Taxon.tsv or backbone.zip, to find accepted names.")
    ] = None
    match_service: Annotated[
        bool, typer.Option("--match-service", help="Ask GBIF for the accepted names, one by one.")
    ] = False
    match_cache: Annotated[Path, typer.Option(help="File that keeps the answers of GBIF.")] = Path(
        "gbif_matches.jsonl"
    )
    offline: Annotated[
        bool,
        typer.Option(
            "--offline", help="With --match-service: use only the answers in --match-cache."
        ),
    ] = False
    corrections: Annotated[
        Path | None,
        typer.Option(help="CSV with published and accepted names; an empty one drops the name."),
    ] = None
    subspecies: Annotated[
        bool, typer.Option("--subspecies", help="Keep subspecies as labels of their own.")
    ] = False
    namespace: Namespace = ""

    @contextmanager
    def taxonomy(self, progress: Progress) -> Iterator[Taxonomy]:
        """What resolves names as the options say, until the block ends."""
        from dawnchorus.sources.names.backbone import Backbone, index_backbone
        from dawnchorus.sources.names.species_match import SpeciesMatch
        from dawnchorus.sources.names.taxonomy import Taxonomy

        if self.backbone is not None and self.match_service:
            raise UsageError("--backbone and --match-service exclude each other")
        resolver: Backbone | SpeciesMatch | None = None
        if self.match_service:
            resolver = SpeciesMatch(self.match_cache, offline=self.offline)
        elif self.backbone is not None:
            resolver = Backbone(index_backbone(self.backbone, progress=progress))
        try:
            yield Taxonomy(
                resolver,
                corrections=self.corrections,
                subspecies=self.subspecies,
                namespace=self.namespace,
            )
        finally:
            if resolver is not None:
                resolver.close()


@dataclass(frozen=True, kw_only=True)
class ManifestFlags(OutputFlags):
    """What all sources have in common."""

    output: options.NewManifest = MANIFEST
    licence: options.Licences = None


@dataclass(frozen=True, kw_only=True)
class ArchiveFlags(ManifestFlags, NameFlags):
    """Flags of a source that is one published archive."""

    archive: Archive


@dataclass(frozen=True, kw_only=True)
class XenoCantoFlags(ManifestFlags, NameFlags):
    """Flags of ``dawnchorus data make xeno-canto``."""

    archive: Annotated[
        Path | None,
        typer.Argument(
            metavar="ARCHIVE", help="The published zip file or its folder; none with --query."
        ),
    ] = None
    query: Annotated[
        str | None, typer.Option(help="Query for Xeno-canto's API, such as 'grp:birds q:A'.")
    ] = None
    pages: Annotated[Path | None, typer.Option(help="Folder that keeps the pages of the API.")] = (
        None
    )
    key: Annotated[
        str | None, typer.Option(help="Your API key; the variable XENO_CANTO_KEY is safer.")
    ] = None


@command_of(XenoCantoFlags)
def xeno_canto(flags: XenoCantoFlags) -> int:
    """Make a manifest of Xeno-canto: of a GBIF download, its own archive, or a query of its API.

    The sound is then fetched by data download. Every recording that is left out is counted with a
    reason. NAME.labels.csv, beside the manifest, says what became of every published name. Exit
    code 3: lines were malformed.

    Example: dawnchorus data make xeno-canto gbif.zip -o xc.parquet --backbone backbone.zip
    """
    from dawnchorus.cli.output import watched
    from dawnchorus.interrupt import stop_on_signals
    from dawnchorus.sources.xeno_canto_api import fetch_pages

    archive = flags.archive
    if flags.query is not None and archive is not None:
        raise UsageError("--query asks the API, and stands instead of an archive")
    if flags.query is not None:
        archive = flags.pages or flags.output.with_suffix(".pages")
        with stop_on_signals() as stop, watched(quiet=flags.quiet) as progress:
            fetch_pages(flags.query, archive, key=flags.key, stop=stop, progress=progress)
    if archive is None:
        raise UsageError("which file or folder? give the published archive, or --query")
    return _make("xeno-canto", archive, flags, flags)


@command_of(ArchiveFlags)
def inaturalist(flags: ArchiveFlags) -> int:
    """Make a manifest of iNaturalist sounds, of its own archive or a GBIF download.

    Example: dawnchorus data make inaturalist inat.zip -o inat.parquet --backbone backbone.zip
    """
    return _make("inaturalist", flags.archive, flags, flags)


@command_of(ArchiveFlags)
def animal_sound_archive(flags: ArchiveFlags) -> int:
    """Make a manifest of the Animal Sound Archive (Tierstimmenarchiv), of a GBIF download.

    Example: dawnchorus data make animal-sound-archive gbif.zip -o asa.parquet
    """
    return _make("animal-sound-archive", flags.archive, flags, flags)


@dataclass(frozen=True, kw_only=True)
class WatkinsFlags(ManifestFlags, NameFlags):
    """Flags of ``dawnchorus data make watkins``."""

    folder: Annotated[Path, typer.Argument(help="Folder that holds a folder for each species.")]
    table: Annotated[
        Path | None,
        typer.Option(help="Table with a line for each file. Default: the one in the folder."),
    ] = None


@command_of(WatkinsFlags)
def watkins(flags: WatkinsFlags) -> int:
    """Make a manifest of the Watkins Marine Mammal Sound Database.

    Example: dawnchorus data make watkins watkins/ -o watkins.parquet --table watkins.csv
    """
    return _make("watkins", flags.folder, flags, flags, {"table": flags.table})


@dataclass(frozen=True, kw_only=True)
class AudioSetFlags(ManifestFlags):
    """Flags of ``dawnchorus data make audioset``."""

    lists: Annotated[Path, typer.Argument(help="Folder of the segment lists, or one of them.")]
    audio: options.Audio = None
    ancestors: Annotated[
        bool, typer.Option("--ancestors", help="Add the classes above in the ontology as labels.")
    ] = False
    namespace: Namespace = ""


@command_of(AudioSetFlags)
def audioset(flags: AudioSetFlags) -> int:
    """Make a manifest of AudioSet's segments whose clips lie in a folder.

    Example: dawnchorus data make audioset lists/ --audio clips/ --ancestors -o audioset.parquet
    """
    names = ("audio", "ancestors", "namespace")
    reading = {name: getattr(flags, name) for name in names}
    return _make("audioset", flags.lists, flags, NameFlags(), reading)


def _make(
    source: str,
    path: Path,
    flags: ManifestFlags,
    names: NameFlags,
    reading: dict[str, Any] | None = None,
) -> int:
    from dawnchorus.cli.findings import fields_of
    from dawnchorus.cli.output import print_json, watched
    from dawnchorus.cli.runs import SOME_FAILED
    from dawnchorus.clips.licences import LicenceRule
    from dawnchorus.sources.make import MakeOptions, make_manifest

    licences = LicenceRule.of(tuple(flags.licence or ()))
    with watched(quiet=flags.quiet) as progress, names.taxonomy(progress) as taxonomy:
        chosen = MakeOptions(licences=licences, taxonomy=taxonomy, reading=reading or {})
        report = make_manifest(source, path, flags.output, chosen, progress=progress)
    if flags.as_json:
        print_json(fields_of(report) | {"manifest": flags.output})
    else:
        if not flags.quiet:
            _say_made(report, flags.output)
        print(flags.output)
    return SOME_FAILED if report.n_bad_lines else 0


def _say_made(report: SourceReport, output: Path) -> None:
    from dawnchorus.cli.output import say

    n_dropped = report.n_found - report.n_kept
    say(
        f"{report.source}: {report.n_found:,} recordings found, {report.n_kept:,} kept, "
        f"{n_dropped:,} dropped"
    )
    for reason, n in report.dropped.most_common():
        say(f"  {n:>9,} dropped: {reason} ({', '.join(report.examples[reason])})")
    for what, n in report.noted.most_common():
        say(f"  {n:>9,} also: {what}")
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


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.most_common())


subcommands = [xeno_canto, inaturalist, animal_sound_archive, watkins, audioset]
