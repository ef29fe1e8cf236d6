"""``dawnchorus benchmark report | leaks``: results as a page, and what of a test set is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dawnchorus.cli import options
from dawnchorus.cli.renamed import renamed

Results = Annotated[Path, typer.Argument(help="Folder of a run, or its Parquet or CSV file.")]


def report(
    results: Results,
    output: Annotated[
        Path | None, options.output("Folder of the report. Default: report, in the results.")
    ] = None,
    where: options.Where = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="Model that the others are compared with, item by item. Default: the first."
        ),
    ] = None,
    cache: options.Cache = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="CSV of scores that others report: model, task, measure, value."),
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "Benchmark",
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Make tables and pictures of results: Markdown, one HTML page, PNG files.

    Protocols are never put into one table; those of the paper stand beside the published figures.

    Example: dawnchorus benchmark report benchmark/ -o report/
    """
    from dataclasses import asdict

    from dawnchorus.benchmark.report import benchmark_report
    from dawnchorus.cli.output import print_json, watched

    folder = results if results.is_dir() else results.parent
    with watched(quiet=quiet) as progress:
        written = benchmark_report(
            results,
            output or folder / "report",
            cache=cache,
            where=options.pairs("--where", where),
            reference=reference,
            figures=figures,
            title=title,
            progress=progress,
        )
    if as_json:
        print_json(asdict(written))
    else:
        protocols = " and ".join(written.protocols)
        counts = f"{written.n_scores} scores, {len(written.pictures)} pictures ({protocols})"
        print(f"{written.html}: {counts}")
        print(f"{written.markdown}: the same for a repository")
    return 0


@renamed({"--task": "--of-task"})
def leaks(
    manifest: options.ManifestPath,
    training: Annotated[
        list[str],
        typer.Option("--against", help="Training manifest (.parquet), or its URL. Repeatable."),
    ],
    output: Annotated[
        Path, options.output("Folder for hits.parquet, items.parquet and audit.json.")
    ],
    task: Annotated[
        str | None,
        typer.Option("--of-task", help="Use only rows with this id in the column tasks."),
    ] = None,
    split: options.Split = "test",
    written_only: Annotated[
        bool, typer.Option("--written-only", help="Compare numbers and names only; open no sound.")
    ] = False,
    threads: options.Threads = 0,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Look for test items among training clips: by catalogue number, checksum, file and sound.

    Writes hits.parquet, items.parquet and audit.json. The exit code is 3 when files could not be
    read: what they hold is not known.

    Example: dawnchorus benchmark leaks task.parquet --against train.parquet -o audit/
    """
    from dawnchorus.benchmark.leaks import audit_leaks, summary, task_rows, write_leaks
    from dawnchorus.cli.output import print_json, say, watched
    from dawnchorus.cli.runs import SOME_FAILED
    from dawnchorus.clips.manifest import read_manifest

    clips = task_rows(read_manifest(manifest), task)
    test = clips if split in {None, "all"} else clips.where(split=split)
    parts = [read_manifest(path) for path in training]
    with watched(quiet=quiet) as progress:
        report = audit_leaks(
            test, parts, sound=not written_only, threads=threads, progress=progress
        )
    write_leaks(report, output)
    counts = summary(report)
    if as_json:
        print_json(counts)
    else:
        for hit in report.hits[:20]:
            print(f"{hit.test_id} and {hit.train_id}: {hit.why}, {hit.what} ({hit.strength:.2f})")
        for _, message in report.bad[:20]:
            say(message)
        n_train = sum(n for _, n in report.training)
        print(
            f"{counts['n_known']} of {counts['n_test']} test items are known from {n_train:,} "
            f"training clips; written: {output}"
        )
    return SOME_FAILED if report.bad else 0
