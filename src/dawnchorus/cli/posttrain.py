"""``dawnchorus posttrain``: train a classifier and its encoder on labelled clips."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def command(
    config: Annotated[
        Path | None, typer.Argument(help="YAML file of the run; see recipes/.", show_default=False)
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Instead of a file: a folder of sounds, in which each folder is a label."
        ),
    ] = None,
    init_from: Annotated[
        str | None, typer.Option(help="Model, file or run to start from.", show_default=False)
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data, instead of data.root in the file.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps, instead of those in the file.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder that holds run folders.")] = Path("runs"),
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    devices: Annotated[int | None, typer.Option(help="Processes on this machine.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would be, try two steps, leave nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train a classifier and its encoder on labelled clips.

    With a YAML file, the run is what it says. With --folder, a model is fine-tuned on your own
    sounds: each folder is a label, a fifth of each label's files is kept for validation.

    A run that was stopped goes on with the same command, from its last checkpoint, as if nothing
    had happened. The result in RUNS/NAME/export is accepted wherever a model name is.

    Example: dawnchorus posttrain recipes/eat_tiny_local.yaml --data my_corpus

    Example: dawnchorus posttrain --folder my_species --init-from dawnchorus_eat_tiny
    """
    from dawnchorus.cli.train_output import dry_run_text, talk, training_values
    from dawnchorus.configs import PosttrainConfig, read_yaml
    from dawnchorus.errors import UsageError
    from dawnchorus.recipes.posttrain import posttrain, posttrain_dry_run
    from dawnchorus.training.devices import is_first

    if (config is None) == (folder is None):
        raise UsageError("give a YAML file or --folder, one of them; see recipes/ for files")
    if config is not None:
        values = read_yaml(config)
    elif folder is not None:
        from dawnchorus.recipes.finetune import finetune_values

        values = finetune_values(folder, init_from=init_from, runs=runs, name=name, steps=steps)
    values = training_values(values, data=data, device=device, devices=devices)
    given = {"init_from": init_from, "name": name, "steps": steps}
    values |= {key: value for key, value in given.items() if value is not None}
    checked = PosttrainConfig(**values)
    if dry_run:
        found = posttrain_dry_run(checked)
        if is_first():
            print(json.dumps(found, indent=1) if as_json else dry_run_text(found))
        return
    report = posttrain(checked, runs=runs, say=talk(checked.steps, quiet=quiet))
    if not is_first():
        return
    if as_json:
        print(json.dumps(asdict(report), default=str))
        return
    best = "none" if report.best_score is None else f"{report.best_score:.3f}"
    print(
        f"{report.steps} steps, {report.skipped_steps} skipped, best validation mAP {best}; "
        f"{report.n_parameters} parameters, {report.n_labels} labels",
        file=sys.stderr,
    )
    print(report.export)
