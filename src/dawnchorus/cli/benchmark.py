"""``dawnchorus benchmark``: run a plan, list and prepare tasks, merge the parts of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from dawnchorus.cli import benchmark_pages as pages
from dawnchorus.cli import options
from dawnchorus.cli.renamed import renamed
from dawnchorus.errors import TaskError, UsageError

if TYPE_CHECKING:
    from dawnchorus.benchmark.run import RunCount
    from dawnchorus.configs.benchmark import BenchmarkConfig

N_LINES: Final = 60  # of scores after a run; all are in the files


@renamed({"--labels": "--few-shot", "--probe": "--probe-type"})
def run(
    models: Annotated[
        list[str] | None,
        typer.Option(
            "-m",
            "--model",
            help="A model as in other commands, or random:MODEL, log-mel, table:FILE; NAME= before "
            "it gives it a name. Repeatable.",
        ),
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option("-t", "--task", help="Task id, or a pattern such as 'beans/*'. Repeatable."),
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="YAML file with a plan. Options replace its keys.")
    ] = None,
    data: options.Data = None,
    output: Annotated[str | None, options.output("Folder of results. Default: benchmark.")] = None,
    cache: options.Cache = None,
    protocol: options.Protocol = None,
    split: options.Split = None,
    readouts: Annotated[
        list[str] | None,
        typer.Option(
            "-r",
            "--readout",
            help="Layers to join, such as 5,11:bands; own, output, each or stack. Repeatable.",
        ),
    ] = None,
    poolings: Annotated[
        list[str] | None, typer.Option("--pooling", help="mean, cls, valid, own, ... Repeatable.")
    ] = None,
    probes: Annotated[
        list[str] | None,
        typer.Option(
            "-p",
            "--probe-type",
            help="linear, linear_schedule, mlp, knn, attention, prototype, ... or none. "
            "Repeatable.",
        ),
    ] = None,
    few_shot: options.FewShot = None,
    n_seeds: Annotated[
        int | None, typer.Option("--seeds", help="Number of seeds (default 5).")
    ] = None,
    leaks: Annotated[
        str | None,
        typer.Option(
            help="Folder with an audit (benchmark leaks) for each task: also score without its "
            "hits."
        ),
    ] = None,
    device: options.Device = None,
    shard: options.Shard = None,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> int:
    """Score encoders on tasks, in a folder of results; also without the word run.

    The same command continues where it was stopped. What was computed is not computed again.

    Example: dawnchorus benchmark -m dawnchorus_eat_tiny -m log-mel -t 'local/*' --data corpus
    """
    from dataclasses import asdict

    from dawnchorus.benchmark import run as harness
    from dawnchorus.cli.output import print_json, say, watched

    config = _config(
        plan,
        options.given(
            models=models,
            tasks=tasks,
            data=data and str(data),
            output=output,
            cache=cache and str(cache),
            protocol=protocol,
            split=split,
            readouts=readouts,
            poolings=poolings,
            probes=[] if probes == ["none"] else probes,
            n_labels=options.counts("--few-shot", few_shot),
            n_seeds=n_seeds,
            leaks=leaks,
            device=device,
            shard=options.parse_shard(shard),
        ),
    )
    if dry_run:
        _print_plan(harness.dry_run(config), as_json=as_json)
        return 0
    with watched(quiet=quiet) as progress:
        report = harness.benchmark(config, progress=progress)
    if as_json:
        print_json(asdict(report))
        return 0
    if not quiet:
        _print_scores(config)
    for reason, n_scores in report.undefined.items():
        say(f"{n_scores} scores are not defined: {reason}")
    kept = f", {report.n_kept} were there" if report.n_kept else ""
    print(f"{report.output}: {report.n_done} cells computed{kept}; {report.n_rows} rows in all")
    return 0


def _config(plan: Path | None, given: dict[str, Any]) -> BenchmarkConfig:
    from dawnchorus.configs.benchmark import BenchmarkConfig
    from dawnchorus.configs.yaml_file import read_yaml

    values = {} if plan is None else read_yaml(plan)
    values |= {name: value for name, value in given.items() if value is not None}
    for key, flag in (("models", "-m"), ("tasks", "-t")):
        if key not in values:
            raise UsageError(f"no {key}: give {flag}, or {key} in a --plan file")
    return BenchmarkConfig(**values)


def _print_plan(counts: list[RunCount], *, as_json: bool) -> None:
    from dataclasses import asdict

    from dawnchorus.cli.output import print_json, print_table

    if as_json:
        print_json([asdict(count) for count in counts])
        return
    headings = ("shard", "model", "task", "clips", "to encode", "cells", "done", "readouts")
    print_table(
        headings,
        [
            (c.shard, c.model, c.task, c.n_clips, c.n_to_encode, c.n_cells, c.n_done,
             "; ".join(c.readouts))
            for c in counts
        ],
    )  # fmt: skip
    print(
        f"{sum(c.n_cells for c in counts)} cells, {sum(c.n_done for c in counts)} of them done; "
        f"{sum(c.n_to_encode for c in counts)} clips to encode"
    )


def _print_scores(config: BenchmarkConfig) -> None:
    """The main scores of a plan's tasks, as far as they fill a screen or two."""
    from dawnchorus.benchmark.results import main_scores
    from dawnchorus.cli.output import print_table, say

    scores = main_scores(config)
    lines = [
        (
            row["task"], row["model"], row["readout"], row["pooling"], row["probe"] or "-",
            row["measure"], f"{row['value']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}",
        )
        for row in scores[:N_LINES]
    ]  # fmt: skip
    headings = ("task", "model", "readout", "pooling", "probe", "measure", "value", "95 %")
    print_table(headings, lines)
    if len(scores) > N_LINES:
        say(f"{len(scores) - N_LINES} more in {config.output}/results.csv")


def tasks(as_json: options.AsJson = False) -> int:
    """List the tasks that are known.

    Example: dawnchorus benchmark tasks
    """
    from dawnchorus.benchmark.tasks.registry import all_tasks
    from dawnchorus.cli.output import print_json, print_table

    rows = [
        (task.id, task.kind, task.version, task.licence, task.title)
        for task in all_tasks().values()
    ]
    names = ("task", "kind", "version", "licence", "what")
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        print_table(names, rows)
    return 0


def prepare(
    task: Annotated[str, typer.Argument(help="Task id, or a pattern such as 'beans/*'.")],
    data: options.Data = None,
    protocol: options.Protocol = "strict",
) -> int:
    """Say what to download for a task, check what is there, and write its manifest.

    Example: dawnchorus benchmark prepare beans/watkins --data /data/benchmarks
    """
    from dawnchorus.benchmark.prepare import load_items, what_to_fetch
    from dawnchorus.benchmark.prepare import prepare as prepare_task
    from dawnchorus.benchmark.tasks.registry import find_tasks
    from dawnchorus.cli.output import say

    data = data or Path()
    if protocol not in {"strict", "paper"}:
        raise UsageError(f"--protocol {protocol!r}: need strict or paper")
    missing = []
    for one in find_tasks([task]):
        say(what_to_fetch(one, data))
        try:
            manifest = prepare_task(one, data, protocol)  # type: ignore[arg-type]  # checked above
        except TaskError as error:
            missing.append(str(error))
            continue
        items = load_items(one, data, protocol)  # type: ignore[arg-type]
        sizes = {s: sum(i.split == s for i in items.items) for s in ("train", "val", "test")}
        counts = ", ".join(f"{n} {split}" for split, n in sizes.items())
        print(f"{manifest}: {one.id}, {protocol}: {counts}; {len(items.classes)} classes")
    if missing:
        raise TaskError("\n".join(missing))
    return 0


def merge(
    sources: Annotated[list[Path], typer.Argument(help="Folders of results.")],
    output: Annotated[Path, options.output("Folder for the results of all.")],
) -> int:
    """Bring the results of shards, or of several machines, together.

    Example: dawnchorus benchmark merge part0 part1 -o benchmark
    """
    from dawnchorus.benchmark.results import merge as merge_results

    table = merge_results(sources, output)
    print(f"{output}: {len(table)} rows of {len(sources)} folders")
    return 0


subcommands = [run, tasks, prepare, merge, pages.report, pages.leaks]
default = "run"
