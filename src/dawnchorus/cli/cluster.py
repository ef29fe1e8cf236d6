"""``dawnchorus cluster``: what there is in an archive, as clusters and a map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dawnchorus.cli import options
from dawnchorus.cli.flag_record import OutputFlags, WindowFilterFlags, command_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.search.map_files import ClusterReport

SHOWN = 15  # clusters on the terminal


@dataclass(frozen=True, kw_only=True)
class ClusterFlags(WindowFilterFlags, OutputFlags):
    """Flags of ``dawnchorus cluster``."""

    stores: options.StorePaths
    output: Annotated[Path, options.output("Folder for the map, its tables and pictures.")]
    annotations: options.Annotations = None
    duplicates: Annotated[
        float | None,
        typer.Option(
            help="Also list windows of different recordings with at least this cosine, such as "
            "0.98, and draw how alike all are."
        ),
    ] = None
    novel: Annotated[
        int,
        typer.Option(help="Also list this many windows of each site that are like nothing else."),
    ] = 0
    landmarks: Annotated[
        int, typer.Option(help="Windows that are compared each with each; others follow them.")
    ] = 20_000
    least: Annotated[int, typer.Option("--min-size", help="Landmarks in the smallest cluster.")] = (
        10
    )
    coarse: Annotated[
        bool, typer.Option("--coarse", help="Fewer, larger clusters, often one a site or recorder.")
    ] = False
    stability: Annotated[
        int,
        typer.Option(
            help="Also say how stable each cluster is over this many draws of half of the "
            "recordings, such as 20."
        ),
    ] = 0
    audio_root: options.AudioRoot = None
    seed: options.Seed = 0
    overwrite: options.Overwrite = False


@command_of(ClusterFlags)
def command(flags: ClusterFlags) -> int:
    """Group the windows of stores by what they sound like, and draw a map of them.

    Clusters are named by the annotations of their windows. Run again on a store that has grown, the
    new windows are placed on the same map, and no point moves.

    Example: dawnchorus cluster archive.store -o archive.map --novel 10
    """
    from dawnchorus import cluster_stores
    from dawnchorus.cli.output import say, watched
    from dawnchorus.configs.search import ClusterConfig

    config = ClusterConfig(
        landmarks=flags.landmarks,
        least=flags.least,
        coarse=flags.coarse,
        seed=flags.seed,
        duplicates=flags.duplicates,
        novel=flags.novel,
        stability=flags.stability,
    )
    with watched(quiet=flags.quiet) as progress:
        report = cluster_stores(
            flags.stores,
            flags.output,
            config=config,
            annotations=flags.annotations,
            overwrite=flags.overwrite,
            audio_root=flags.audio_root,
            progress=progress,
            **flags.filters(),
        )
    for warning in report.warnings:
        say(f"warning: {warning}")
    _print(report, as_json=flags.as_json)
    return 0


def _print(report: ClusterReport, *, as_json: bool) -> None:
    from dataclasses import asdict

    from dawnchorus.cli.output import print_json, print_table, say

    if as_json:
        print_json(asdict(report))
        return
    rows = [
        [size, *([f"{stable:.2f}"] if stable is not None else []), name.text]
        for size, stable, name in zip(report.sizes, _stable(report), report.names, strict=True)
    ]
    if rows:
        more = ["stability"] if report.stability is not None else []
        print_table(["windows", *more, "cluster"], rows[:SHOWN])
    if len(rows) > SHOWN:
        print(f"and {len(rows) - SHOWN} smaller clusters")
    new = "" if report.n_new == report.n_windows else f", {report.n_new:,} of them new on the map"
    print(f"{report.n_windows:,} windows{new}: {len(rows)} clusters, {report.n_none:,} in none")
    if report.n_duplicates is not None:
        print(f"{report.n_duplicates:,} pairs of duplicates")
    for path in report.files:
        say(f"written: {path}")


def _stable(report: ClusterReport) -> Sequence[float | None]:
    return report.stability or [None] * len(report.names)
