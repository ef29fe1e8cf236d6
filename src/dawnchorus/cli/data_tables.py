"""``dawnchorus data join | filter | split | summary``: manifests in, manifests and numbers out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dawnchorus.cli import options
from dawnchorus.cli.renamed import renamed
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from dawnchorus.clips.split import SplitReport
    from dawnchorus.clips.summary import Summary, SummaryRow


def join(
    manifests: Annotated[list[str], typer.Argument(help="Manifests (.parquet), or their URLs.")],
    output: options.NewManifest,
    prefix: Annotated[
        bool, typer.Option("--prefix", help="Put the name of its manifest before each clip's id.")
    ] = False,
    drop_duplicates: Annotated[
        bool,
        typer.Option(
            "--drop-duplicates", help="Keep only the first of clips with the same file and span."
        ),
    ] = False,
    as_json: options.AsJson = False,
) -> int:
    """Make one manifest of several; ids and clips that are there twice are reported.

    Example: dawnchorus data join xc.parquet inat.parquet -o all.parquet
    """
    from dataclasses import asdict

    from dawnchorus.cli.output import print_json, say
    from dawnchorus.clips.join import join_manifests
    from dawnchorus.clips.manifest import read_manifest, write_manifest

    joined, report = join_manifests(
        [read_manifest(path) for path in manifests],
        output.parent,
        prefix=prefix,
        drop_duplicates=drop_duplicates,
    )
    write_manifest(joined, output)
    if as_json:
        print_json({"output": output, **asdict(report)})
        return 0
    for path, first, later in report.duplicates:
        say(f"twice: {path} as {first} and {later}")
    what = "dropped" if drop_duplicates else "kept"
    print(f"{output}: {report.n_clips} clips; {report.n_duplicates} duplicates {what}")
    return 0


def filter_(
    manifest: options.ManifestPath,
    output: options.NewManifest,
    where: options.Where = None,
    forbid: Annotated[
        str | None, typer.Option(help="Leave out licences with these terms, such as nc,nd,sa.")
    ] = None,
    licensed: Annotated[
        bool, typer.Option("--licensed", help="Leave out clips without a licence.")
    ] = False,
    min_s: Annotated[float | None, typer.Option(help="Shortest clip in seconds.")] = None,
    max_s: Annotated[float | None, typer.Option(help="Longest clip in seconds.")] = None,
    min_labels: Annotated[int | None, typer.Option(help="Fewest labels per clip.")] = None,
    max_labels: Annotated[int | None, typer.Option(help="Most labels per clip.")] = None,
    min_clips: Annotated[int, typer.Option(help="Remove labels with fewer clips.")] = 0,
    as_json: options.AsJson = False,
) -> int:
    """Keep the clips that every rule lets through; each rule says how many it left out.

    --where also takes COLUMN!=VALUE, < <= > >= for numbers and dates, ~ for a part of a text, and
    COLUMN=A|B for either.

    Example: dawnchorus data filter all.parquet --where class=Aves --forbid nd -o birds.parquet
    """
    from dataclasses import asdict

    from dawnchorus.cli.output import print_json
    from dawnchorus.clips.filter import filter_manifest
    from dawnchorus.clips.manifest import read_manifest, write_manifest

    kept, report = filter_manifest(
        read_manifest(manifest),
        where=where or (),
        forbid=[term.strip().lower() for term in forbid.split(",")] if forbid else (),
        licensed=licensed,
        length_s=(min_s, max_s),
        n_labels=(min_labels, max_labels),
        min_clips=min_clips,
    )
    write_manifest(kept, output)
    if as_json:
        print_json({"output": output, **asdict(report)})
        return 0
    for rule, n_dropped in report.dropped:
        print(f"{rule}: {n_dropped} left out")
    if report.n_labels_removed:
        print(f"{report.n_labels_removed} rare labels removed")
    print(f"{output}: {report.n_clips} of {report.n_before} clips")
    return 0


@renamed({"--by": "--group-by"})
def split(
    manifest: options.ManifestPath,
    output: options.NewManifest,
    shares: Annotated[
        str, typer.Option(help="Share of the clips for each side.")
    ] = "train=0.8,val=0.1,test=0.1",
    group_by: options.GroupBy = None,
    seed: options.Seed = 0,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep clips on the side where they already are.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Forget the sides where clips already are.")
    ] = False,
    uncovered: Annotated[
        bool, typer.Option("--uncovered", help="Allow that rare labels are not on every side.")
    ] = False,
    as_json: options.AsJson = False,
) -> int:
    """Split a manifest so that no file, recordist or individual is on two sides.

    Example: dawnchorus data split all.parquet --group-by recordist -o split.parquet
    """
    from dataclasses import asdict

    from dawnchorus.cli.output import print_json
    from dawnchorus.clips.manifest import read_manifest, write_manifest
    from dawnchorus.clips.split import split_manifest

    if keep and replace:
        raise UsageError("--keep and --replace exclude each other")
    made, report = split_manifest(
        read_manifest(manifest),
        _numbers(shares),
        by=options.names(group_by),
        seed=seed,
        existing="keep" if keep else "replace" if replace else "refuse",
        cover=not uncovered,
    )
    write_manifest(made, output)
    if as_json:
        print_json({"output": output, **asdict(report)})
    else:
        _print_split(report, output)
    return 0


def _numbers(text: str) -> dict[str, float]:
    try:
        return {
            name: float(value) for name, value in options.pairs("--shares", text.split(",")).items()
        }
    except ValueError as error:
        raise UsageError(f"--shares {text!r}: need numbers, as in train=0.8,val=0.2") from error


def _print_split(report: SplitReport, output: Path) -> None:
    from dawnchorus.cli.output import print_table

    rows = [
        (side.name, side.n_clips, side.n_groups, f"{side.hours:.2f}", side.n_labels,
         len(side.missing))
        for side in report.sides
    ]  # fmt: skip
    print_table(("side", "clips", "groups", "hours", "labels", "labels missing"), rows)
    for side in report.sides:
        if side.missing:
            more = f" and {len(side.missing) - 5} more" if len(side.missing) > 5 else ""
            print(f"{side.name} lacks {', '.join(side.missing[:5])}{more}")
    print(
        f"{output}: {report.n_groups} groups by {', '.join(report.columns)}, the largest of "
        f"{report.largest_group} clips"
    )


def summary(
    manifest: options.ManifestPath,
    plot: Annotated[Path | None, typer.Option(help="Also draw a picture (.png, .pdf).")] = None,
    as_json: options.AsJson = False,
) -> int:
    """Sum up a manifest: hours, clips, labels, licences, rates, for each dataset and split.

    Example: dawnchorus data summary all.parquet --plot all.png
    """
    from dataclasses import asdict

    from dawnchorus.cli.output import print_json, say
    from dawnchorus.clips.manifest import read_manifest
    from dawnchorus.clips.summary import summarise
    from dawnchorus.clips.summary_plot import plot_summary

    clips = read_manifest(manifest)
    found = summarise(clips)
    if as_json:
        print_json(asdict(found))
    else:
        _print_summary(found)
    if plot:
        plot_summary(clips, plot)
        say(f"drawn: {plot}")
    return 0


def _print_summary(found: Summary) -> None:
    from dawnchorus.cli.output import print_table

    def row(part: SummaryRow) -> tuple[object, ...]:
        splits = " ".join(f"{name} {n}" for name, n in part.splits.items())
        return (part.name, part.n_clips, part.n_files, f"{part.hours:.2f}", part.n_labels,
                part.n_unlabelled, splits)  # fmt: skip

    headings = ("dataset", "clips", "files", "hours", "labels", "unlabelled", "splits")
    print_table(headings, [row(part) for part in (*found.datasets, found.total)])
    lines = {
        "licences": found.licences,
        "rates in Hz": found.rates,
        "kinds": found.kinds,
        "labels": dict(list(found.labels.items())[:8]),
    }
    for name, counts in lines.items():
        said = ", ".join(f"{value} {n}" for value, n in counts.items())
        print(f"{name}: {said or 'not given'}")
    print(
        f"{found.n_rare_labels} labels are on fewer than 10 clips, {found.n_single_labels} on one"
    )
    if found.length_s:
        low, _, first, middle, third, _, high = found.length_s
        print(f"lengths: {low:g} to {high:g} s, half of them {first:g} to {third:g}, ", end="")
        print(f"median {middle:g}")
    if found.total.n_unknown_length:
        print(f"the length of {found.total.n_unknown_length} clips is not known")
