"""``dawnchorus data check | duplicates | pack | statistics``: what reads the sound itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dawnchorus.cli import options
from dawnchorus.cli.findings import report_as_json, say_left_out
from dawnchorus.cli.renamed import renamed
from dawnchorus.errors import UsageError


def check(
    manifest: options.ManifestPath,
    output: Annotated[
        Path | None,
        options.output("Manifest to write: the good clips, with their measured lengths."),
    ] = None,
    table: options.Findings = None,
    threads: options.Threads = 0,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Decode every file to its end: what is bad, and how long each clip really is.

    The exit code is 3 when a clip is bad.

    Example: dawnchorus data check all.parquet --csv report.csv -o good.parquet
    """
    from dawnchorus.cli.output import print_json, say, watched
    from dawnchorus.cli.runs import SOME_FAILED
    from dawnchorus.clips.check import check_manifest, write_report
    from dawnchorus.clips.manifest import read_manifest, write_manifest

    clips = read_manifest(manifest)
    with watched(quiet=quiet) as progress:
        report = check_manifest(clips, threads=threads, progress=progress)
    # also where clips are bad: the list of them is what the command is for
    if table:
        write_report(report, table)
    if output:
        write_manifest(report.kept, output)
    if as_json:
        bad = [{"id": f.id, "verdict": f.verdict, "message": f.message} for f in report.bad]
        facts = {"files": report.n_files, "hours": report.hours, "verdicts": report.verdicts}
        print_json({**facts, "bad": bad})
    else:
        for finding in report.bad[:20]:
            print(f"{finding.id}: {finding.verdict}: {finding.message}")
        verdicts = ", ".join(f"{verdict} {n}" for verdict, n in report.verdicts.items())
        print(
            f"{len(report.findings)} clips of {report.n_files} files, {report.hours:.2f} h: "
            f"{verdicts}"
        )
        for written in filter(None, (table, output)):
            say(f"written: {written}")
    return SOME_FAILED if report.bad else 0


def duplicates(
    manifest: options.ManifestPath,
    table: options.Findings = None,
    output: Annotated[
        Path | None, options.output("Manifest to write: without one clip of each pair.")
    ] = None,
    threads: options.Threads = 0,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Find files that share sound: re-encoded, shifted, trimmed, louder or softer copies.

    Of a pair in two splits, what -o leaves out is that of train before val before test. The exit
    code is 3 when a pair lies in two splits.

    Example: dawnchorus data duplicates all.parquet --csv pairs.csv
    """
    from dawnchorus.cli.output import print_json, say, watched
    from dawnchorus.cli.runs import SOME_FAILED
    from dawnchorus.clips.duplicates import find_duplicates, without_duplicates, write_duplicates
    from dawnchorus.clips.manifest import read_manifest, write_manifest

    clips = read_manifest(manifest)
    with watched(quiet=quiet) as progress:
        report = find_duplicates(clips, threads=threads, progress=progress)
    if table:
        write_duplicates(report, table)
    if output:
        write_manifest(without_duplicates(clips, report), output)
    if as_json:
        print_json(report_as_json(report))
    else:
        say_left_out([failure.message for failure in report.failures])
        for pair in report.found[:20]:
            sides = f"{pair.split or '-'} and {pair.other_split or '-'}"
            print(
                f"{pair.path} and {pair.other} ({sides}): {pair.overlap_s:g} s shared, "
                f"correlation {pair.correlation:.2f}"
            )
        print(
            f"{report.n_pairs} pairs of {report.n_files} files compared, {report.n_verified} of "
            f"them sample by sample: {len(report.found)} share sound, {report.n_between_splits} "
            "between splits"
        )
        if report.without:
            say(f"{len(report.without)} files are silent or too short to compare")
    return SOME_FAILED if report.n_between_splits or report.failures else 0


@renamed({}, dropped={"--prefix VALUE": "shards are named shard-NUMBER"})
def pack(
    manifest: options.ManifestPath,
    output: Annotated[Path, options.output("Folder for the shards.")],
    shard_mb: Annotated[
        float, typer.Option(help="Approximate size of a shard in megabytes.")
    ] = 500.0,
    seed: options.Seed = 0,
    in_order: Annotated[
        bool, typer.Option("--in-order", help="Keep the files in the manifest's order.")
    ] = False,
    threads: options.Threads = 0,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Pack the sound of a manifest into WebDataset shards with an index.

    The index is a manifest: training and all other commands read it, on disk or behind a URL. The
    same command continues where it was stopped.

    Example: dawnchorus data pack good.parquet -o shards/
    """
    from dawnchorus.cli.output import print_json, say, watched
    from dawnchorus.cli.runs import SOME_FAILED
    from dawnchorus.clips.manifest import read_manifest
    from dawnchorus.feed.shards import pack_manifest

    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; need a folder for the shards")
    clips = read_manifest(manifest)
    with watched(quiet=quiet) as progress:
        report = pack_manifest(
            clips,
            output,
            shard_mb=shard_mb,
            shuffle_seed=None if in_order else seed,
            threads=threads,
            progress=progress,
        )
    if as_json:
        print_json(report_as_json(report))
    else:
        say_left_out([failure.message for failure in report.failures])
        if report.n_clipped:
            say(f"{report.n_clipped} files went beyond full scale and were clipped there")
        print(
            f"{report.index}: {report.n_clips} clips of {report.n_files} files, "
            f"{report.hours:.2f} h, {report.n_bytes / 1e6:.1f} MB in {report.n_shards} shards, "
            f"{report.n_made} of them new; {len(report.failures)} left out"
        )
    return SOME_FAILED if report.failures else 0


@renamed({"--clips": "--n-clips"})
def statistics(
    manifest: options.ManifestPath,
    split: options.Split = "train",
    clips: Annotated[
        int,
        typer.Option("--n-clips", help="Number of clips to measure, drawn at random; 0: all."),
    ] = 10_000,
    crop_s: Annotated[float, typer.Option(help="Most seconds to use of each clip.")] = 10.0,
    seed: options.Seed = 0,
    threads: options.Threads = 0,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Mean and standard deviation of the log-mel over training clips, for the input normalisation.

    Over every band of each frame that holds sound. Clips without a split count as training.

    Example: dawnchorus data statistics all.parquet
    """
    from dawnchorus.cli.output import print_json, say, watched
    from dawnchorus.cli.runs import SOME_FAILED
    from dawnchorus.clips.manifest import read_manifest
    from dawnchorus.feed.statistics import input_statistics, of_split

    chosen = of_split(read_manifest(manifest), split or "all")
    n_clips = min(clips, len(chosen)) or len(chosen)
    with watched(quiet=quiet) as progress:
        found = input_statistics(
            chosen, n_clips=n_clips, crop_s=crop_s, seed=seed, threads=threads, progress=progress
        )
    if as_json:
        print_json(report_as_json(found))
    else:
        say_left_out([failure.message for failure in found.failures])
        say(f"{found.n_clips} clips, {found.n_frames} frames, {found.hours:.2f} h")
        print(found.config_line)
    return SOME_FAILED if found.failures else 0
